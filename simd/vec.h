/*
 * The vocabulary that kernels are written in; vec-*.h say the same things, each in its instruction set's words:
 *
 *   vf, vu, vd             W floats, W uint32_t, W doubles
 *   vf_load, vf_store      the first k <= W lanes; no access beyond them, lanes not loaded are 0
 *   bf_load, bf_store      the same of bf16 in memory: exact, and rounded to nearest, ties to even (NaN stays NaN)
 *   bf_words(a, b)         bf16 of a and b as they would be stored, a's first
 *   i8_load                W of int8 in memory
 *   vf_fill(x, k, y)       x with y in the lanes from k on
 *   vf_fma(a, b, c)        a b + c
 *   vf_min, vf_max(a, x)   NaN in x is kept
 *   vf_zero_below(x, a, y) 0 where x < a, else y (so for NaN in x)
 *   vf_round, vf_scale     to the nearest whole number; y 2^n for a whole -252 <= n <= 254
 *   vf_sum, vf_top         of all lanes, in a fixed order
 *   vu_low_up(x)           x shifted left by 16
 *   vu_less(a, b)          all ones where a < b, unsigned, else 0
 *   vf_unless(u, y)        0 where u is all ones, y where it is 0
 *   vu_wide(a, b, &hi)     a b in 64 bits: the low halves, and the high ones
 *   vf_weave(p, a,b,c,d)   4W floats: those of lane l stand together, vu_order()[l] fours from p
 *   vd_squares(s, x)       s + x x
 *   vu_load, vu_store      W words that stand anywhere
 *   vu_bits(x)             words of the same bits
 *   vu_turn(x)             W by W words transposed
 *   vu_pair_low(a, b)      of 2W halves of words each, the first W: a's and b's by turns; vu_pair_high: the others
 *
 * AVX512_BF16's conversions make zeros of denormals, for which activations have no use; the other sets keep them.
 */
#ifndef SRU_SIMD_VEC_H
#define SRU_SIMD_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether k is the constant W must be known at compile time. */
#define SRU_INLINE static inline __attribute__((always_inline))

/* Arrays of vectors are registers only where loops over them are written out. */
#ifdef __clang__
# define SRU_UNROLL _Pragma("clang loop unroll(full)")
#else
# define SRU_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined SRU_AVX512
# include "simd/vec-avx512.h"
#elif defined SRU_AVX2
# include "simd/vec-avx2.h"
#elif defined SRU_NEON
# include "simd/vec-neon.h"
#else
# include "simd/vec-scalar.h"
#endif

/* Do something for elements i to i+k of n: whole vectors, k the constant W, then what is left of them. */
#define EACH(i, k, n, ...)                                      \
    do {                                                        \
        size_t i = 0;                                           \
        for (; i + W <= (n); i += W) {                          \
            enum { k = W };                                     \
            __VA_ARGS__;                                        \
        }                                                       \
        if (i < (n)) {                                          \
            const size_t k = (n) - i;                           \
            __VA_ARGS__;                                        \
        }                                                       \
    } while (0)

/* The same with j from 0 to 3 for four accumulators, since one sum would wait for itself. */
#define EACH_OF_4(i, k, j, n, ...)                              \
    do {                                                        \
        size_t i = 0;                                           \
        for (; i + 4 * W <= (n); i += W) {                      \
            enum { k = W };                                     \
            { enum { j = 0 }; __VA_ARGS__; }                    \
            i += W;                                             \
            { enum { j = 1 }; __VA_ARGS__; }                    \
            i += W;                                             \
            { enum { j = 2 }; __VA_ARGS__; }                    \
            i += W;                                             \
            { enum { j = 3 }; __VA_ARGS__; }                    \
        }                                                       \
        for (; i < (n); i += W) {                               \
            const size_t k = (n) - i < W ? (n) - i : W;         \
            enum { j = 0 };                                     \
            __VA_ARGS__;                                        \
        }                                                       \
    } while (0)

/* Elements i to i+k of activations y become x, for all n: two whole vectors at a time, a line of cache in bf16, then what is left. */
#define STORE_EACH(y, i, k, n, x)                               \
    do {                                                        \
        size_t i = 0;                                           \
        while (i + 2 * W <= (n)) {                              \
            enum { k = W };                                     \
            const vf first = (x);                               \
            i += W;                                             \
            const vf second = (x);                              \
            i += W;                                             \
            act_store_2(y, i - 2 * W, first, second);           \
        }                                                       \
        for (; i < (n); i += W) {                               \
            const size_t k = (n) - i < W ? (n) - i : W;         \
            act_store(y, i, k, x);                              \
        }                                                       \
    } while (0)

SRU_INLINE float sum_of_4(const vf s[4])
{
    return vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
}

/* Activations, as this table stores them: elements i to i+k of p. */
#if SRU_BF16
typedef uint16_t act;
SRU_INLINE vf act_load(const sru_act *p, size_t i, size_t k)
{
    return bf_load((const act *)p + i, k);
}

SRU_INLINE void act_store(sru_act *p, size_t i, size_t k, vf x)
{
    bf_store((act *)p + i, k, x);
}

SRU_INLINE void act_store_2(sru_act *p, size_t i, vf low, vf high)
{
    vu_store((act *)p + i, bf_words(low, high));
}
#else
typedef float act;
SRU_INLINE vf act_load(const sru_act *p, size_t i, size_t k)
{
    return vf_load((const act *)p + i, k);
}

SRU_INLINE void act_store(sru_act *p, size_t i, size_t k, vf x)
{
    vf_store((act *)p + i, k, x);
}

SRU_INLINE void act_store_2(sru_act *p, size_t i, vf low, vf high)
{
    act_store(p, i, W, low);
    act_store(p, i + W, W, high);
}
#endif

/* Factors of a mask: ones where there is none. */
SRU_INLINE vf mask_load(const float *m, size_t i, size_t k)
{
    return m ? vf_load(m + i, k) : vf_set1(1.0f);
}

#endif
