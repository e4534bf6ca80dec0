/* The optimizer's step and the sum of squares. */
#include "simd/vec.h"

/* 0 for what would soon be denormal, and slow: eps is far above it. */
SRU_INLINE vf flushed(vf x)
{
    return vf_zero_below(vf_abs(x), vf_set1(1e-37f), x);
}

/* `at` is a copy of *s->step, which stores to the arenas might change as far as a compiler knows. */
SRU_INLINE void update_some(const struct sru_update *s, struct sru_step at, float clip, bool adaptive, size_t i, size_t k)
{
    const vf one = vf_set1(1.0f), b1 = vf_set1(s->beta1), b2 = vf_set1(s->beta2);
    const vf g = vf_mul(vf_load(s->g + i, k), vf_set1(clip)), old = vf_load(s->w + i, k);
    const vf m = flushed(vf_fma(b1, vf_load(s->m + i, k), vf_mul(vf_sub(one, b1), g)));
    const vf v = flushed(vf_fma(b2, vf_load(s->v + i, k), vf_mul(vf_mul(vf_sub(one, b2), g), g)));
    const vf w = vf_sub(old, vf_mul(vf_set1(at.decay), old));
    vf step = vf_mul(vf_set1(at.rate), m);

    if (adaptive)
        step = vf_div(step, vf_fma(vf_sqrt(v), vf_set1(1.0f / at.correction), vf_set1(s->eps)));
    vf_store(s->m + i, k, m);
    vf_store(s->v + i, k, v);
    vf_store(s->w + i, k, vf_sub(w, step));
}

static void update(const struct sru_update *s, size_t from, size_t to)
{
    const struct sru_step at = *s->step;
    const float clip = s->gauge->clip;

    if (at.adaptive)
        EACH(i, k, to - from, update_some(s, at, clip, true, from + i, k));
    else
        EACH(i, k, to - from, update_some(s, at, clip, false, from + i, k));
}

static double sumsq(size_t n, const float *x)
{
    vd sum[4] = { vd_zero(), vd_zero(), vd_zero(), vd_zero() };

    EACH_OF_4(i, k, j, n, sum[j] = vd_squares(sum[j], vf_load(x + i, k)));
    return vd_sum(vd_add(vd_add(sum[0], sum[1]), vd_add(sum[2], sum[3])));
}
