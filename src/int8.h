/* Weights in 8 bits: a row is its scale times whole numbers from -127 to 127. */
#ifndef SRU_INT8_H
#define SRU_INT8_H

#include <math.h>
#include <stddef.h>

/* The scale of n weights that are `stride` apart: a 127th of the largest; NaN where any is not finite. */
static inline float sru_int8_scale(size_t n, const float *w, size_t stride)
{
    float top = 0, strange = 0;

    for (size_t i = 0; i < n; i++) {
        top = fmaxf(top, fabsf(w[i * stride]));
        strange += w[i * stride] * 0;
    }
    return top / 127 + strange;
}

/* The whole number; 0 where the scale is NaN, which then makes the product so. */
static inline float sru_int8_of(float w, float scale)
{
    return scale > 0 ? rintf(w / scale) : 0;
}

#endif
