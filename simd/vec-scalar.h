/*
 * Vectors of four floats in the compiler's own words, for any processor: SSE2 on x86-64, single floats where there is
 * nothing better.  See vec.h.
 */
#define SRU_SET scalar

typedef float vf __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef double vd2 __attribute__((vector_size(16)));
typedef uint16_t vh __attribute__((vector_size(8)));
typedef uint16_t vh2 __attribute__((vector_size(16)));
typedef struct { vd2 low, high; } vd;

enum { W = 4 };

SRU_INLINE vf vf_load(const float *p, size_t k)
{
    vf x = { 0 };

    memcpy(&x, p, k * sizeof *p);
    return x;
}

SRU_INLINE void vf_store(float *p, size_t k, vf x) { memcpy(p, &x, k * sizeof *p); }
SRU_INLINE vf vf_set1(float x) { return (vf){ x, x, x, x }; }
SRU_INLINE vu vu_set1(uint32_t x) { return (vu){ x, x, x, x }; }

/* y where m is all ones, x where it is 0 */
SRU_INLINE vf vf_choose(vi m, vf x, vf y) { return (vf)(((vi)y & m) | ((vi)x & ~m)); }

SRU_INLINE vf vf_fill(vf x, size_t k, vf y)
{
    const int32_t n = (int32_t)k;

    return k == W ? x : vf_choose((vi){ n, n, n, n } > (vi){ 0, 1, 2, 3 }, y, x);
}

SRU_INLINE vf bf_load(const uint16_t *p, size_t k)
{
    vh half = { 0 };

    memcpy(&half, p, k * sizeof *p);
    return (vf)(__builtin_convertvector(half, vu) << 16);
}

SRU_INLINE vf i8_load(const int8_t *p) { return (vf){ p[0], p[1], p[2], p[3] }; }

SRU_INLINE void bf_store(uint16_t *p, size_t k, vf x)
{
    const vu u = (vu)x, rounded = u + 0x7FFF + (u >> 16 & 1);
    const vh half = __builtin_convertvector((vu)vf_choose(x == x, (vf)(u | 0x400000), (vf)rounded) >> 16, vh);

    memcpy(p, &half, k * sizeof *p);
}

SRU_INLINE vu bf_words(vf a, vf b)
{
    uint16_t halves[2 * W];
    vu u;

    bf_store(halves, W, a);
    bf_store(halves + W, W, b);
    memcpy(&u, halves, sizeof u);
    return u;
}

SRU_INLINE vf vf_add(vf a, vf b) { return a + b; }
SRU_INLINE vf vf_sub(vf a, vf b) { return a - b; }
SRU_INLINE vf vf_mul(vf a, vf b) { return a * b; }
SRU_INLINE vf vf_div(vf a, vf b) { return a / b; }
SRU_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
SRU_INLINE vf vf_sqrt(vf x)
{
    for (int i = 0; i < W; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
}

SRU_INLINE vf vf_abs(vf x) { return (vf)((vu)x & 0x7FFFFFFF); }
SRU_INLINE vf vf_min(vf a, vf x) { return vf_choose(a < x, x, a); }
SRU_INLINE vf vf_max(vf a, vf x) { return vf_choose(a > x, x, a); }
SRU_INLINE vf vf_zero_below(vf x, vf a, vf y) { return (vf)((vi)y & ~(x < a)); }
SRU_INLINE float vf_sum(vf x) { return (x[0] + x[2]) + (x[1] + x[3]); }
SRU_INLINE float vf_top(vf x)
{
    const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];

    return a > b ? a : b;
}

/* Adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits. */
SRU_INLINE vf vf_round(vf x) { return (x + 12582912.0f) - 12582912.0f; }
SRU_INLINE vf vf_scale(vf y, vf n)
{
    const vi whole = (vi)(n + 12582912.0f) - 0x4B400000, half = whole >> 1;

    return y * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);   /* 2^128 alone is no float */
}

SRU_INLINE vu vu_add(vu a, vu b) { return a + b; }
SRU_INLINE vu vu_sub(vu a, vu b) { return a - b; }
SRU_INLINE vu vu_xor(vu a, vu b) { return a ^ b; }
SRU_INLINE vu vu_low_up(vu x) { return x << 16; }
SRU_INLINE vu vu_less(vu a, vu b) { return (vu)(a < b); }
SRU_INLINE vf vf_unless(vu u, vf y) { return (vf)((vu)y & ~u); }

SRU_INLINE vu vu_wide(vu a, vu b, vu *hi)
{
    for (int i = 0; i < W; i++) {
        const uint64_t product = (uint64_t)a[i] * b[i];

        a[i] = (uint32_t)product;
        (*hi)[i] = (uint32_t)(product >> 32);
    }
    return a;
}

SRU_INLINE vu vu_load(const void *p)
{
    vu u;

    memcpy(&u, p, sizeof u);
    return u;
}

SRU_INLINE vu vu_bits(vf x) { return (vu)x; }
SRU_INLINE void vu_store(void *p, vu x) { memcpy(p, &x, sizeof x); }

SRU_INLINE vu vu_pair_low(vu a, vu b)
{
    const vh2 x = (vh2)a, y = (vh2)b;

    return (vu)(vh2){ x[0], y[0], x[1], y[1], x[2], y[2], x[3], y[3] };
}

SRU_INLINE vu vu_pair_high(vu a, vu b)
{
    const vh2 x = (vh2)a, y = (vh2)b;

    return (vu)(vh2){ x[4], y[4], x[5], y[5], x[6], y[6], x[7], y[7] };
}

SRU_INLINE vu two_low(vu a, vu b) { return (vu){ a[0], b[0], a[1], b[1] }; }
SRU_INLINE vu two_high(vu a, vu b) { return (vu){ a[2], b[2], a[3], b[3] }; }
SRU_INLINE void vu_turn(vu x[W])
{
    const vu ac0 = two_low(x[0], x[2]), ac1 = two_high(x[0], x[2]);
    const vu bd0 = two_low(x[1], x[3]), bd1 = two_high(x[1], x[3]);

    x[0] = two_low(ac0, bd0);
    x[1] = two_high(ac0, bd0);
    x[2] = two_low(ac1, bd1);
    x[3] = two_high(ac1, bd1);
}

SRU_INLINE vu vu_order(void) { return (vu){ 0, 1, 2, 3 }; }
SRU_INLINE void vf_weave(float *p, vf a, vf b, vf c, vf d)
{
    vu x[W] = { (vu)a, (vu)b, (vu)c, (vu)d };

    vu_turn(x);
    for (int i = 0; i < W; i++)
        vu_store(p + W * i, x[i]);
}

SRU_INLINE vd vd_zero(void) { return (vd){ { 0 }, { 0 } }; }
SRU_INLINE vd vd_add(vd a, vd b) { return (vd){ a.low + b.low, a.high + b.high }; }
SRU_INLINE vd vd_squares(vd s, vf x)
{
    const vd2 low = { (double)x[0], (double)x[1] }, high = { (double)x[2], (double)x[3] };

    return (vd){ s.low + low * low, s.high + high * high };
}

SRU_INLINE double vd_sum(vd x) { return (x.low[0] + x.high[0]) + (x.low[1] + x.high[1]); }
