/* Kernels without reductions: conversions, masks, embeddings, sums of rows. */
#include "simd/philox.h"
#include "simd/vec.h"

static void widen(size_t n, const sru_act *x, float *y)
{
    EACH(i, k, n, vf_store(y + i, k, act_load(x, i, k)));
}

static void narrow(size_t n, const float *x, sru_act *y)
{
    STORE_EACH(y, i, k, n, vf_load(x + i, k));
}

static void mask(size_t n, const sru_act *x, const float *m, sru_act *y)
{
    STORE_EACH(y, i, k, n, vf_mul(act_load(x, i, k), mask_load(m, i, k)));
}

static void mask_add(size_t n, const sru_act *x, const float *m, sru_act *y)
{
    STORE_EACH(y, i, k, n, vf_add(act_load(y, i, k), vf_mul(act_load(x, i, k), mask_load(m, i, k))));
}

static void embed(size_t n, const float *e, const float *m, sru_act *x)
{
    STORE_EACH(x, i, k, n, vf_mul(vf_load(e + i, k), mask_load(m, i, k)));
}

static void embed_back(size_t n, const sru_act *dx, const float *m, float *de)
{
    EACH(i, k, n, vf_store(de + i, k, vf_fma(act_load(dx, i, k), mask_load(m, i, k), vf_load(de + i, k))));
}

static void add(size_t n, const float *a, float *y)
{
    EACH(i, k, n, vf_store(y + i, k, vf_add(vf_load(y + i, k), vf_load(a + i, k))));
}

SRU_INLINE vf sum_of_2_rows(size_t n, const sru_act *x, size_t i, size_t k)
{
    return vf_add(act_load(x, i, k), act_load(x, n + i, k));
}

/* Four rows at once, so that y is read and written a quarter as often. */
static void add_rows(size_t rows, size_t n, const sru_act *x, float *y)
{
    size_t row = 0;

    for (; row + 4 <= rows; row += 4) {
        const sru_act *a = (const sru_act *)((const act *)x + row * n), *b = (const sru_act *)((const act *)x + (row + 2) * n);

        EACH(i, k, n, vf_store(y + i, k, vf_add(vf_load(y + i, k), vf_add(sum_of_2_rows(n, a, i, k),
                                                                            sum_of_2_rows(n, b, i, k)))));
    }
    for (; row < rows; row++)
        EACH(i, k, n, vf_store(y + i, k, vf_add(vf_load(y + i, k), act_load(x, row * n + i, k))));
}

/* ---- Random masks: simd/philox.h's rounds with a block in each lane -------------------- */

SRU_INLINE void philox(vu c[4], uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++) {
        vu high0, high2;
        const vu low0 = vu_wide(vu_set1(0xD2511F53u), c[0], &high0), low2 = vu_wide(vu_set1(0xCD9E8D57u), c[2], &high2);

        c[0] = vu_xor(vu_xor(high2, c[1]), vu_set1(k0));
        c[2] = vu_xor(vu_xor(high0, c[3]), vu_set1(k1));
        c[1] = low2;
        c[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* 4W factors from words: W blocks' of four, of which a lane has one. */
SRU_INLINE void mask_factors(const vu c[4], vu limit, vf keep, float *out)
{
    vf_weave(out, vf_unless(vu_less(c[0], limit), keep), vf_unless(vu_less(c[1], limit), keep),
             vf_unless(vu_less(c[2], limit), keep), vf_unless(vu_less(c[3], limit), keep));
}

/* 4W factors by the low halves of W blocks from `block` on, and 4W by their high halves. */
SRU_INLINE void mask_blocks(const struct sru_mask *s, uint64_t block, float *low, float *high)
{
    const vf keep = vf_set1(1.0f / (1.0f - s->rate));
    const vu limit = vu_set1(sru_philox_limit(s->rate));
    const vu first = vu_set1((uint32_t)block), at = vu_add(first, vu_order());
    const vu carry = vu_less(at, first);   /* -1 where there is one */
    vu c[4] = { at, vu_sub(vu_set1((uint32_t)(block >> 32)), carry), vu_set1(s->step->count), vu_set1(s->layer << 8 | s->site) };

    philox(c, s->seed);
    mask_factors(c, limit, keep, high);
    SRU_UNROLL for (size_t i = 0; i < 4; i++)
        c[i] = vu_low_up(c[i]);
    mask_factors(c, limit, keep, low);
}

/* Low halves decide about the first half of a row, high halves about the second: see philox.h. */
static void mask_row(const struct sru_mask *s, size_t row, size_t cols, float *out)
{
    const size_t blocks = (cols + 7) / 8, half = 4 * blocks, end = half < cols ? half : cols;
    const uint64_t first = (uint64_t)row * blocks;
    size_t j = 0;

    for (; half + j + 4 * W <= cols; j += 4 * W)
        mask_blocks(s, first + j / 4, out + j, out + half + j);
    for (; j < end; j += 4 * W) {
        float low[4 * W], high[4 * W];

        mask_blocks(s, first + j / 4, low, high);
        memcpy(out + j, low, (end - j < 4 * W ? end - j : 4 * W) * sizeof *out);
        if (half + j < cols)
            memcpy(out + half + j, high, (cols - half - j < 4 * W ? cols - half - j : 4 * W) * sizeof *out);
    }
}
