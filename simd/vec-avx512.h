/* Vectors of AVX-512 F, BW, CD, DQ and VL, with SRU_AVX512BF16 of BF16 too.  See vec.h. */
#include <immintrin.h>

#define SRU_SET avx512

typedef __m512 vf;
typedef __m512i vu;
typedef struct { __m512d low, high; } vd;

enum { W = 16 };

SRU_INLINE __mmask16 vf_lanes(size_t k) { return (__mmask16)((1u << k) - 1); }

SRU_INLINE vf vf_load(const float *p, size_t k)
{
    return k == W ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(vf_lanes(k), p);
}

SRU_INLINE void vf_store(float *p, size_t k, vf x)
{
    if (k == W)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, vf_lanes(k), x);
}

SRU_INLINE vf vf_fill(vf x, size_t k, vf y) { return k == W ? x : _mm512_mask_mov_ps(y, vf_lanes(k), x); }
SRU_INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }

SRU_INLINE vf bf_load(const uint16_t *p, size_t k)
{
    const __m256i half = k == W ? _mm256_loadu_si256((const void *)p) : _mm256_maskz_loadu_epi16(vf_lanes(k), p);

    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

SRU_INLINE vf i8_load(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

#ifdef SRU_AVX512BF16
SRU_INLINE __m256i bf_half(vf x) { return (__m256i)_mm512_cvtneps_pbh(x); }
SRU_INLINE vu bf_words(vf a, vf b) { return (__m512i)_mm512_cvtne2ps_pbh(b, a); }
#else
SRU_INLINE __m256i bf_half(vf x)
{
    const __m512i u = _mm512_castps_si512(x), top = _mm512_srli_epi32(u, 16);
    const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7FFF)), odd), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);

    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, top, _mm512_set1_epi32(0x40)));
}

SRU_INLINE vu bf_words(vf a, vf b) { return _mm512_inserti64x4(_mm512_castsi256_si512(bf_half(a)), bf_half(b), 1); }
#endif

SRU_INLINE void bf_store(uint16_t *p, size_t k, vf x)
{
    const __m256i half = bf_half(x);

    if (k == W)
        _mm256_storeu_si256((void *)p, half);
    else
        _mm256_mask_storeu_epi16(p, vf_lanes(k), half);
}

SRU_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
SRU_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
SRU_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
SRU_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
SRU_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
SRU_INLINE vf vf_sqrt(vf x) { return _mm512_sqrt_ps(x); }
SRU_INLINE vf vf_abs(vf x) { return _mm512_abs_ps(x); }
SRU_INLINE vf vf_min(vf a, vf x) { return _mm512_min_ps(a, x); }   /* of NaN, the second */
SRU_INLINE vf vf_max(vf a, vf x) { return _mm512_max_ps(a, x); }
SRU_INLINE vf vf_zero_below(vf x, vf a, vf y)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, a, _CMP_NLT_UQ), y);
}

SRU_INLINE float vf_sum(vf x) { return _mm512_reduce_add_ps(x); }
SRU_INLINE float vf_top(vf x) { return _mm512_reduce_max_ps(x); }

SRU_INLINE vf vf_round(vf x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
SRU_INLINE vf vf_scale(vf y, vf n) { return _mm512_scalef_ps(y, n); }

SRU_INLINE vu vu_set1(uint32_t x) { return _mm512_set1_epi32((int)x); }
SRU_INLINE vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
SRU_INLINE vu vu_sub(vu a, vu b) { return _mm512_sub_epi32(a, b); }
SRU_INLINE vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
SRU_INLINE vu vu_low_up(vu x) { return _mm512_slli_epi32(x, 16); }
SRU_INLINE vu vu_less(vu a, vu b) { return _mm512_movm_epi32(_mm512_cmplt_epu32_mask(a, b)); }
SRU_INLINE vf vf_unless(vu u, vf y) { return _mm512_andnot_ps(_mm512_castsi512_ps(u), y); }
SRU_INLINE vu vu_wide(vu a, vu b, vu *hi)
{
    const __m512i even = _mm512_mul_epu32(a, b);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));

    *hi = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CCAA);
}

/* Unpacking works in quarters of a register: lanes 0, 4, 8 and 12 leave first. */
SRU_INLINE vu vu_order(void) { return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); }
SRU_INLINE void vf_weave(float *p, vf a, vf b, vf c, vf d)
{
    const __m512d ab0 = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), ab1 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    const __m512d cd0 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)), cd1 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));

    _mm512_storeu_ps(p, _mm512_castpd_ps(_mm512_unpacklo_pd(ab0, cd0)));
    _mm512_storeu_ps(p + W, _mm512_castpd_ps(_mm512_unpackhi_pd(ab0, cd0)));
    _mm512_storeu_ps(p + 2 * W, _mm512_castpd_ps(_mm512_unpacklo_pd(ab1, cd1)));
    _mm512_storeu_ps(p + 3 * W, _mm512_castpd_ps(_mm512_unpackhi_pd(ab1, cd1)));
}

SRU_INLINE vu vu_load(const void *p) { return _mm512_loadu_si512(p); }
SRU_INLINE vu vu_bits(vf x) { return _mm512_castps_si512(x); }
SRU_INLINE void vu_store(void *p, vu x) { _mm512_storeu_si512(p, x); }

SRU_INLINE vu vu_pair_low(vu a, vu b)
{
    const __m512i by_turns = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                                              39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);

    return _mm512_permutex2var_epi16(a, by_turns, b);
}

SRU_INLINE vu vu_pair_high(vu a, vu b)
{
    const __m512i by_turns = _mm512_set_epi16(63, 31, 62, 30, 61, 29, 60, 28, 59, 27, 58, 26, 57, 25, 56, 24,
                                              55, 23, 54, 22, 53, 21, 52, 20, 51, 19, 50, 18, 49, 17, 48, 16);

    return _mm512_permutex2var_epi16(a, by_turns, b);
}

/* Four by four words in each quarter of the registers, then the quarters. */
SRU_INLINE void vu_turn(vu x[W])
{
    vu y[W];

    SRU_UNROLL for (size_t i = 0; i < W; i += 4) {
        const __m512i ab0 = _mm512_unpacklo_epi32(x[i], x[i + 1]), ab1 = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        const __m512i cd0 = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]), cd1 = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);

        y[i] = _mm512_unpacklo_epi64(ab0, cd0);
        y[i + 1] = _mm512_unpackhi_epi64(ab0, cd0);
        y[i + 2] = _mm512_unpacklo_epi64(ab1, cd1);
        y[i + 3] = _mm512_unpackhi_epi64(ab1, cd1);
    }
    SRU_UNROLL for (size_t i = 0; i < 4; i++) {
        const __m512i ab0 = _mm512_shuffle_i32x4(y[i], y[i + 4], 0x44), ab1 = _mm512_shuffle_i32x4(y[i], y[i + 4], 0xEE);
        const __m512i cd0 = _mm512_shuffle_i32x4(y[i + 8], y[i + 12], 0x44), cd1 = _mm512_shuffle_i32x4(y[i + 8], y[i + 12], 0xEE);

        x[i] = _mm512_shuffle_i32x4(ab0, cd0, 0x88);
        x[i + 4] = _mm512_shuffle_i32x4(ab0, cd0, 0xDD);
        x[i + 8] = _mm512_shuffle_i32x4(ab1, cd1, 0x88);
        x[i + 12] = _mm512_shuffle_i32x4(ab1, cd1, 0xDD);
    }
}

SRU_INLINE vd vd_zero(void) { return (vd){ _mm512_setzero_pd(), _mm512_setzero_pd() }; }
SRU_INLINE vd vd_add(vd a, vd b) { return (vd){ _mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high) }; }
SRU_INLINE vd vd_squares(vd s, vf x)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x)), high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));

    return (vd){ _mm512_fmadd_pd(low, low, s.low), _mm512_fmadd_pd(high, high, s.high) };
}

SRU_INLINE double vd_sum(vd x) { return _mm512_reduce_add_pd(_mm512_add_pd(x.low, x.high)); }
