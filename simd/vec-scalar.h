/* Vectors of one float, for any processor.  See vec.h. */
#define SRU_SET scalar

typedef float vf;
typedef uint32_t vu;
typedef double vd;

enum { W = 1 };

/* k is 1 wherever these are called. */
#define SRU_ONE(k) ((void)(k))

SRU_INLINE vu vu_bits(vf x)
{
    vu u;

    memcpy(&u, &x, sizeof u);
    return u;
}

SRU_INLINE vf vf_bits(vu u)
{
    vf x;

    memcpy(&x, &u, sizeof x);
    return x;
}

SRU_INLINE vf vf_load(const float *p, size_t k) { SRU_ONE(k); return *p; }
SRU_INLINE void vf_store(float *p, size_t k, vf x) { SRU_ONE(k); *p = x; }
SRU_INLINE vf vf_fill(vf x, size_t k, vf y) { SRU_ONE(k); (void)y; return x; }
SRU_INLINE vf vf_set1(float x) { return x; }

SRU_INLINE vf bf_load(const uint16_t *p, size_t k) { SRU_ONE(k); return vf_bits((vu)*p << 16); }
SRU_INLINE void bf_store(uint16_t *p, size_t k, vf x)
{
    const vu u = vu_bits(x), nan = u >> 16 | 0x40, rounded = (u + 0x7FFF + (u >> 16 & 1)) >> 16;

    SRU_ONE(k);
    *p = (uint16_t)(x != x ? nan : rounded);
}

SRU_INLINE vu bf_words(vf a, vf b)
{
    uint16_t halves[2];
    vu u;

    bf_store(halves, 1, a);
    bf_store(halves + 1, 1, b);
    memcpy(&u, halves, sizeof u);
    return u;
}

SRU_INLINE vf vf_add(vf a, vf b) { return a + b; }
SRU_INLINE vf vf_sub(vf a, vf b) { return a - b; }
SRU_INLINE vf vf_mul(vf a, vf b) { return a * b; }
SRU_INLINE vf vf_div(vf a, vf b) { return a / b; }
SRU_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
SRU_INLINE vf vf_sqrt(vf x) { return __builtin_sqrtf(x); }
SRU_INLINE vf vf_abs(vf x) { return __builtin_fabsf(x); }
SRU_INLINE vf vf_min(vf a, vf x) { return a < x ? a : x; }
SRU_INLINE vf vf_max(vf a, vf x) { return a > x ? a : x; }
SRU_INLINE vf vf_zero_below(vf x, vf a, vf y) { return x < a ? 0.0f : y; }
SRU_INLINE float vf_sum(vf x) { return x; }
SRU_INLINE float vf_top(vf x) { return x; }

/* Adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits. */
SRU_INLINE vf vf_round(vf x) { return (x + 12582912.0f) - 12582912.0f; }
SRU_INLINE vf vf_scale(vf y, vf n)
{
    const vu whole = vu_bits(n + 12582912.0f) - 0x4B400000u, half = (vu)((int32_t)whole >> 1);

    return y * vf_bits((half + 127) << 23) * vf_bits((whole - half + 127) << 23);   /* 2^128 alone is no float */
}

SRU_INLINE vu vu_set1(uint32_t x) { return x; }
SRU_INLINE vu vu_add(vu a, vu b) { return a + b; }
SRU_INLINE vu vu_sub(vu a, vu b) { return a - b; }
SRU_INLINE vu vu_xor(vu a, vu b) { return a ^ b; }
SRU_INLINE vu vu_less(vu a, vu b) { return a < b ? ~(vu)0 : 0; }
SRU_INLINE vf vf_unless(vu u, vf y) { return u ? 0.0f : y; }
SRU_INLINE vu vu_wide(vu a, vu b, vu *hi)
{
    const uint64_t product = (uint64_t)a * b;

    *hi = (vu)(product >> 32);
    return (vu)product;
}

SRU_INLINE vu vu_order(void) { return 0; }
SRU_INLINE void vf_weave(float *p, vf a, vf b, vf c, vf d)
{
    p[0] = a;
    p[1] = b;
    p[2] = c;
    p[3] = d;
}

SRU_INLINE vu vu_load(const void *p)
{
    vu u;

    memcpy(&u, p, sizeof u);
    return u;
}

SRU_INLINE void vu_store(void *p, vu x) { memcpy(p, &x, sizeof x); }
SRU_INLINE void vu_turn(vu x[W]) { (void)x; }

/* The first half in memory is the low one of a little-endian word. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
SRU_INLINE vu vu_pair_low(vu a, vu b) { return (a & 0xFFFF0000u) | b >> 16; }
SRU_INLINE vu vu_pair_high(vu a, vu b) { return a << 16 | (b & 0xFFFFu); }
#else
SRU_INLINE vu vu_pair_low(vu a, vu b) { return (a & 0xFFFFu) | b << 16; }
SRU_INLINE vu vu_pair_high(vu a, vu b) { return a >> 16 | (b & 0xFFFF0000u); }
#endif

SRU_INLINE vd vd_zero(void) { return 0; }
SRU_INLINE vd vd_add(vd a, vd b) { return a + b; }
SRU_INLINE vd vd_squares(vd s, vf x) { return s + (double)x * x; }
SRU_INLINE double vd_sum(vd x) { return x; }

#undef SRU_ONE
