/* Vectors of AVX2 and FMA.  See vec.h. */
#include <immintrin.h>

#define SRU_SET avx2

typedef __m256 vf;
typedef __m256i vu;
typedef struct { __m256d low, high; } vd;

enum { W = 8 };

SRU_INLINE __m256i vf_lanes(size_t k)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

SRU_INLINE vf vf_load(const float *p, size_t k)
{
    return k == W ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, vf_lanes(k));
}

SRU_INLINE void vf_store(float *p, size_t k, vf x)
{
    if (k == W)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, vf_lanes(k), x);
}

SRU_INLINE vf vf_fill(vf x, size_t k, vf y)
{
    return k == W ? x : _mm256_blendv_ps(y, x, _mm256_castsi256_ps(vf_lanes(k)));
}

SRU_INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }

SRU_INLINE vf bf_load(const uint16_t *p, size_t k)
{
    uint16_t part[W] = { 0 };

    if (k < W)
        memcpy(part, p, k * sizeof *p);
    const __m128i half = _mm_loadu_si128((const void *)(k < W ? part : p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

SRU_INLINE vf i8_load(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

/* In the low half of each word. */
SRU_INLINE __m256i bf_rounded(vf x)
{
    const __m256i u = _mm256_castps_si256(x), top = _mm256_srli_epi32(u, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF)), odd), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));

    return _mm256_blendv_epi8(rounded, _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
}

SRU_INLINE void bf_store(uint16_t *p, size_t k, vf x)
{
    const __m256i each = bf_rounded(x);
    const __m128i half = _mm_packus_epi32(_mm256_castsi256_si128(each), _mm256_extracti128_si256(each, 1));

    if (k == W) {
        _mm_storeu_si128((void *)p, half);
    } else {
        uint16_t part[W];

        _mm_storeu_si128((void *)part, half);
        memcpy(p, part, k * sizeof *p);
    }
}

SRU_INLINE vu bf_words(vf a, vf b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(bf_rounded(a), bf_rounded(b)), 0xD8);
}

SRU_INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
SRU_INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
SRU_INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
SRU_INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
SRU_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
SRU_INLINE vf vf_sqrt(vf x) { return _mm256_sqrt_ps(x); }
SRU_INLINE vf vf_abs(vf x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
SRU_INLINE vf vf_min(vf a, vf x) { return _mm256_min_ps(a, x); }   /* of NaN, the second */
SRU_INLINE vf vf_max(vf a, vf x) { return _mm256_max_ps(a, x); }
SRU_INLINE vf vf_zero_below(vf x, vf a, vf y) { return _mm256_andnot_ps(_mm256_cmp_ps(x, a, _CMP_LT_OQ), y); }

SRU_INLINE float vf_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

SRU_INLINE float vf_top(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

SRU_INLINE vf vf_round(vf x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SRU_INLINE vf vf_scale(vf y, vf n)
{
    const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);

    return _mm256_mul_ps(_mm256_mul_ps(y, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));   /* 2^128 alone is no float */
}

SRU_INLINE vu vu_set1(uint32_t x) { return _mm256_set1_epi32((int)x); }
SRU_INLINE vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
SRU_INLINE vu vu_sub(vu a, vu b) { return _mm256_sub_epi32(a, b); }
SRU_INLINE vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
SRU_INLINE vu vu_low_up(vu x) { return _mm256_slli_epi32(x, 16); }
SRU_INLINE vu vu_less(vu a, vu b)
{
    const __m256i sign = _mm256_set1_epi32(INT32_MIN);   /* only signed numbers are compared */

    return _mm256_cmpgt_epi32(_mm256_xor_si256(b, sign), _mm256_xor_si256(a, sign));
}

SRU_INLINE vf vf_unless(vu u, vf y) { return _mm256_andnot_ps(_mm256_castsi256_ps(u), y); }
SRU_INLINE vu vu_wide(vu a, vu b, vu *hi)
{
    const __m256i even = _mm256_mul_epu32(a, b);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));

    *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}

/* Unpacking works in halves of a register: lanes 0 and 4 leave first. */
SRU_INLINE vu vu_order(void) { return _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7); }
SRU_INLINE void vf_weave(float *p, vf a, vf b, vf c, vf d)
{
    const __m256d ab0 = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), ab1 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd0 = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)), cd1 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));

    _mm256_storeu_ps(p, _mm256_castpd_ps(_mm256_unpacklo_pd(ab0, cd0)));
    _mm256_storeu_ps(p + W, _mm256_castpd_ps(_mm256_unpackhi_pd(ab0, cd0)));
    _mm256_storeu_ps(p + 2 * W, _mm256_castpd_ps(_mm256_unpacklo_pd(ab1, cd1)));
    _mm256_storeu_ps(p + 3 * W, _mm256_castpd_ps(_mm256_unpackhi_pd(ab1, cd1)));
}

SRU_INLINE vu vu_load(const void *p) { return _mm256_loadu_si256(p); }
SRU_INLINE vu vu_bits(vf x) { return _mm256_castps_si256(x); }
SRU_INLINE void vu_store(void *p, vu x) { _mm256_storeu_si256(p, x); }

SRU_INLINE vu vu_pair_low(vu a, vu b)
{
    return _mm256_permute2x128_si256(_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b), 0x20);
}

SRU_INLINE vu vu_pair_high(vu a, vu b)
{
    return _mm256_permute2x128_si256(_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b), 0x31);
}

/* Four by four words in each half of the registers, then the halves. */
SRU_INLINE void vu_turn(vu x[W])
{
    vu y[W];

    SRU_UNROLL for (size_t i = 0; i < W; i += 4) {
        const __m256i ab0 = _mm256_unpacklo_epi32(x[i], x[i + 1]), ab1 = _mm256_unpackhi_epi32(x[i], x[i + 1]);
        const __m256i cd0 = _mm256_unpacklo_epi32(x[i + 2], x[i + 3]), cd1 = _mm256_unpackhi_epi32(x[i + 2], x[i + 3]);

        y[i] = _mm256_unpacklo_epi64(ab0, cd0);
        y[i + 1] = _mm256_unpackhi_epi64(ab0, cd0);
        y[i + 2] = _mm256_unpacklo_epi64(ab1, cd1);
        y[i + 3] = _mm256_unpackhi_epi64(ab1, cd1);
    }
    SRU_UNROLL for (size_t i = 0; i < 4; i++) {
        x[i] = _mm256_permute2x128_si256(y[i], y[i + 4], 0x20);
        x[i + 4] = _mm256_permute2x128_si256(y[i], y[i + 4], 0x31);
    }
}

SRU_INLINE vd vd_zero(void) { return (vd){ _mm256_setzero_pd(), _mm256_setzero_pd() }; }
SRU_INLINE vd vd_add(vd a, vd b) { return (vd){ _mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high) }; }
SRU_INLINE vd vd_squares(vd s, vf x)
{
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x)), high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));

    return (vd){ _mm256_fmadd_pd(low, low, s.low), _mm256_fmadd_pd(high, high, s.high) };
}

SRU_INLINE double vd_sum(vd x)
{
    const __m256d both = _mm256_add_pd(x.low, x.high);
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));

    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
