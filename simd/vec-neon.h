/* Vectors of aarch64's Advanced SIMD.  See vec.h. */
#include <arm_neon.h>

#define SRU_SET neon

typedef float32x4_t vf;
typedef uint32x4_t vu;
typedef struct { float64x2_t low, high; } vd;

enum { W = 4 };

SRU_INLINE vf vf_load(const float *p, size_t k)
{
    float part[W] = { 0 };

    if (k < W)
        memcpy(part, p, k * sizeof *p);
    return vld1q_f32(k < W ? part : p);
}

SRU_INLINE void vf_store(float *p, size_t k, vf x)
{
    if (k == W) {
        vst1q_f32(p, x);
    } else {
        float part[W];

        vst1q_f32(part, x);
        memcpy(p, part, k * sizeof *p);
    }
}

SRU_INLINE vf vf_fill(vf x, size_t k, vf y)
{
    static const uint32_t lanes[W] = { 0, 1, 2, 3 };

    return k == W ? x : vbslq_f32(vcltq_u32(vld1q_u32(lanes), vdupq_n_u32((uint32_t)k)), x, y);
}

SRU_INLINE vf vf_set1(float x) { return vdupq_n_f32(x); }

SRU_INLINE vf bf_load(const uint16_t *p, size_t k)
{
    uint16_t part[W] = { 0 };

    if (k < W)
        memcpy(part, p, k * sizeof *p);
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(k < W ? part : p), 16));
}

SRU_INLINE vf i8_load(const int8_t *p)
{
    uint32_t four;

    memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four))))));
}

SRU_INLINE uint16x4_t bf_half(vf x)
{
    const uint32x4_t u = vreinterpretq_u32_f32(x), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7FFF)), odd);
    const uint32x4_t nan = vorrq_u32(u, vdupq_n_u32(0x400000));

    return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, nan), 16);
}

SRU_INLINE vu bf_words(vf a, vf b) { return vreinterpretq_u32_u16(vcombine_u16(bf_half(a), bf_half(b))); }

SRU_INLINE void bf_store(uint16_t *p, size_t k, vf x)
{
    const uint16x4_t half = bf_half(x);

    if (k == W) {
        vst1_u16(p, half);
    } else {
        uint16_t part[W];

        vst1_u16(part, half);
        memcpy(p, part, k * sizeof *p);
    }
}

SRU_INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
SRU_INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
SRU_INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
SRU_INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
SRU_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
SRU_INLINE vf vf_sqrt(vf x) { return vsqrtq_f32(x); }
SRU_INLINE vf vf_abs(vf x) { return vabsq_f32(x); }
SRU_INLINE vf vf_min(vf a, vf x) { return vminq_f32(a, x); }   /* NaN where either is */
SRU_INLINE vf vf_max(vf a, vf x) { return vmaxq_f32(a, x); }
SRU_INLINE vf vf_zero_below(vf x, vf a, vf y)
{
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), vcltq_f32(x, a)));
}

SRU_INLINE float vf_sum(vf x) { return vaddvq_f32(x); }
SRU_INLINE float vf_top(vf x) { return vmaxvq_f32(x); }

SRU_INLINE vf vf_round(vf x) { return vrndnq_f32(x); }
SRU_INLINE vf vf_scale(vf y, vf n)
{
    const int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
    const int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);

    return vmulq_f32(vmulq_f32(y, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));   /* 2^128 alone is no float */
}

SRU_INLINE vu vu_set1(uint32_t x) { return vdupq_n_u32(x); }
SRU_INLINE vu vu_add(vu a, vu b) { return vaddq_u32(a, b); }
SRU_INLINE vu vu_sub(vu a, vu b) { return vsubq_u32(a, b); }
SRU_INLINE vu vu_xor(vu a, vu b) { return veorq_u32(a, b); }
SRU_INLINE vu vu_low_up(vu x) { return vshlq_n_u32(x, 16); }
SRU_INLINE vu vu_less(vu a, vu b) { return vcltq_u32(a, b); }
SRU_INLINE vf vf_unless(vu u, vf y) { return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), u)); }
SRU_INLINE vu vu_wide(vu a, vu b, vu *hi)
{
    const uint32x4_t low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
    const uint32x4_t high = vreinterpretq_u32_u64(vmull_high_u32(a, b));

    *hi = vuzp2q_u32(low, high);
    return vuzp1q_u32(low, high);
}

SRU_INLINE vu vu_order(void)
{
    static const uint32_t lanes[W] = { 0, 1, 2, 3 };

    return vld1q_u32(lanes);
}

SRU_INLINE void vf_weave(float *p, vf a, vf b, vf c, vf d) { vst4q_f32(p, (float32x4x4_t){ { a, b, c, d } }); }

SRU_INLINE vu vu_load(const void *p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }
SRU_INLINE vu vu_bits(vf x) { return vreinterpretq_u32_f32(x); }
SRU_INLINE void vu_store(void *p, vu x) { vst1q_u8(p, vreinterpretq_u8_u32(x)); }

SRU_INLINE vu vu_pair_low(vu a, vu b)
{
    return vreinterpretq_u32_u16(vzip1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

SRU_INLINE vu vu_pair_high(vu a, vu b)
{
    return vreinterpretq_u32_u16(vzip2q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

SRU_INLINE void vu_turn(vu x[W])
{
    const vu ac0 = vzip1q_u32(x[0], x[2]), ac1 = vzip2q_u32(x[0], x[2]);
    const vu bd0 = vzip1q_u32(x[1], x[3]), bd1 = vzip2q_u32(x[1], x[3]);

    x[0] = vzip1q_u32(ac0, bd0);
    x[1] = vzip2q_u32(ac0, bd0);
    x[2] = vzip1q_u32(ac1, bd1);
    x[3] = vzip2q_u32(ac1, bd1);
}

SRU_INLINE vd vd_zero(void) { return (vd){ vdupq_n_f64(0), vdupq_n_f64(0) }; }
SRU_INLINE vd vd_add(vd a, vd b) { return (vd){ vaddq_f64(a.low, b.low), vaddq_f64(a.high, b.high) }; }
SRU_INLINE vd vd_squares(vd s, vf x)
{
    const float64x2_t low = vcvt_f64_f32(vget_low_f32(x)), high = vcvt_high_f64_f32(x);

    return (vd){ vfmaq_f64(s.low, low, low), vfmaq_f64(s.high, high, high) };
}

SRU_INLINE double vd_sum(vd x) { return vaddvq_f64(vaddq_f64(x.low, x.high)); }
