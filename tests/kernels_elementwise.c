/* Cases of check_kernels: conversion, masks, embeddings, transposition, packing, the optimizer. */
#include "config.h"

#include <string.h>

#include "simd/philox.h"
#include "tests/kernels.h"

static uint32_t bits_of(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

/* In bf16 a denormal may become 0 of its sign. */
static bool flushed(const struct sru_kernels *k, float from, float to)
{
    return k->act_bytes == 2 && fabsf(from) < 0x1p-126f && bits_of(to) == (bits_of(from) & 0x80000000u);
}

/* Every float of a stride, so with denormals, infinities and NaN. */
void case_conversion(const struct sru_kernels *k, size_t n)
{
    float *x = filled(n, 0), *back = filled(n, 0);
    sru_act *y = acts(k, n, 0);

    for (uint32_t round = 0; round < 1000; round++) {
        for (size_t i = 0; i < n; i++) {
            const uint32_t ties = (round & 3) == 0 ? 0x8000 : (round & 3) == 1 ? 0 : (uint32_t)i * 40503u & 0xFFFF;
            const uint32_t u = (uint32_t)(round * 2654435761u + i * 65537u * 97u) << 16 | ties;

            memcpy(x + i, &u, sizeof u);
        }
        k->narrow(n, x, y);
        k->widen(n, y, back);
        for (size_t i = 0; i < n; i++) {
            const uint32_t u = bits_of(x[i]), odd = u >> 16 & 1;
            const uint32_t right = k->act_bytes == 4 ? u : (u + 0x7FFF + odd) & 0xFFFF0000u;

            expect(isnan(x[i]) ? isnan(back[i]) : bits_of(back[i]) == right || flushed(k, x[i], back[i]), "%08x becomes %08x", u,
                   bits_of(back[i]));
        }
    }
}

void case_random_masks(const struct sru_kernels *k, size_t n)
{
    static const size_t rows[] = { 0, 1, 130150524, 4294967295 };   /* the 33 blocks of row 130150524 pass 2^32 */
    const struct sru_step step = { .count = 7 };
    const struct sru_mask s = { .rate = 0.3f, .step = &step, .layer = 3, .site = SRU_SITE_PROJECT, .seed = 1234567890123u };
    float *m = filled(n, -1);

    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        k->mask_row(&s, rows[r], n, m);
        for (size_t j = 0; j < n; j++) {
            const size_t blocks = (n + 7) / 8, i = j % (4 * blocks);
            const uint64_t at = (uint64_t)rows[r] * blocks + i / 4;
            uint32_t c[4] = { (uint32_t)at, (uint32_t)(at >> 32), step.count, s.layer << 8 | s.site };

            sru_philox(c, s.seed);
            expect(m[j] == ((i == j ? c[i % 4] & 0xFFFF : c[i % 4] >> 16) < 19661 ? 0 : 1 / (1 - 0.3f)),   /* 0.3 of 65536 */
                   "row %zu, column %zu is %g", rows[r], j, (double)m[j]);
        }
    }
}

void case_elementwise(const struct sru_kernels *k, size_t n)
{
    const size_t rows = n % 7;
    sru_act *x = acts(k, n, 2), *y = acts(k, n, 0), *many = acts(k, rows * n + 1, 1);
    float *e = floats(n, 1), *sum = filled(n, 0.5f), *total = filled(n, 0.25f);
    double *right = doubles(n), *added = doubles(n), *totals = doubles(n), *embedded = doubles(n);

    for (int masked = 0; masked < 2; masked++) {
        const float *m = masked ? floats(n, 1) : NULL;
        float *de = filled(n, 2);
        double *back = doubles(n);

        for (size_t i = 0; i < n; i++) {
            right[i] = act_get(k, x, i) * factor_of(m, i);
            embedded[i] = e[i] * factor_of(m, i);
            back[i] = 2 + right[i];
        }
        k->mask(n, x, m, y);
        acts_near("mask", k, n, y, right, 0);
        for (size_t i = 0; i < n; i++)
            right[i] += act_get(k, y, i);
        k->mask_add(n, x, m, y);
        acts_near("mask_add", k, n, y, right, k->act_bytes == 4 ? 1e-6 : 4e-3);
        k->embed(n, e, m, y);
        acts_near("embed", k, n, y, embedded, 0);
        k->embed_back(n, x, m, de);
        floats_near("embed_back", n, de, back, 0);
    }
    for (size_t i = 0; i < n; i++) {
        added[i] = 0.5 + e[i];
        totals[i] = 0.25;
        for (size_t r = 0; r < rows; r++)
            totals[i] += act_get(k, many, r * n + i);
    }
    k->add(n, e, sum);
    floats_near("add", n, sum, added, 0);
    k->add_rows(rows, n, many, total);
    floats_near("add_rows", n, total, totals, 0);
}

void case_transpose(const struct sru_kernels *k, size_t n)
{
    static const size_t cols[] = { 1, 3, 31, 32, 33, 64, 70 };
    const size_t rows[] = { n, 1024 };   /* and columns that share places in cache */

    for (size_t c = 0; c < 2 * sizeof cols / sizeof *cols; c++) {
        const size_t h = rows[c % 2], w = cols[c / 2], stride = w + c % 3;
        sru_act *x = acts(k, h * stride, 1), *y = acts(k, h * w, 0);

        k->transpose(h, w, x, stride, y, h);
        for (size_t i = 0; i < h; i++)
            for (size_t j = 0; j < w; j++)
                expect(act_get(k, x, i * stride + j) == act_get(k, y, j * h + i), "row %zu, column %zu", i, j);
    }
}

/* Where (i,j) of a strip stands, as kernels.h says. */
static size_t packed_at(const struct sru_kernels *k, size_t i, size_t j)
{
    return k->act_bytes == 2 ? (i / 2 * 64 + j) * 2 + i % 2 : i * 64 + j;
}

void case_pack(const struct sru_kernels *k, size_t n)
{
    static const size_t cols[] = { 1, 3, 16, 31, 63, 64 };
    const size_t block = k->act_bytes == 2 ? 32 : 16, rows = (n + block - 1) / block * block;

    for (size_t c = 0; c < 2 * sizeof cols / sizeof *cols; c++) {
        const size_t w = cols[c / 2], by_rows = c % 2, k_stride = by_rows ? w + 2 : 1, n_stride = by_rows ? 1 : n + 3;
        const float *x = floats((n - 1) * k_stride + (w - 1) * n_stride + 1, 1);
        sru_act *out = acts(k, rows * 64, 0), *right = acts(k, 1, 0);

        k->pack(n, w, x, k_stride, n_stride, out);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < 64; j++) {
                const float value = i < n && j < w ? x[i * k_stride + j * n_stride] : 0;

                k->narrow(1, &value, right);
                expect(act_get(k, out, packed_at(k, i, j)) == act_get(k, right, 0), "row %zu, column %zu of %zu", i, j, w);
            }
    }
}

void case_optimizer(const struct sru_kernels *k, size_t n)
{
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        const size_t from = n / 3;
        float *w = floats(n, 1), *g = floats(n, 1), *m = floats(n, 1), *v = filled(n, 0.01f);
        double *w1 = doubles(n), *m1 = doubles(n), *v1 = doubles(n);
        const struct sru_step step = { .decay = 0.01f, .rate = 0.125f, .correction = 0.75f, .adaptive = adaptive };
        const struct sru_gauge gauge = { .clip = 0.5f };
        const struct sru_update s = { .n = n, .w = w, .g = g, .m = m, .v = v, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-3f,
                                      .step = &step, .gauge = &gauge };

        g[n - 1] = 0;
        m[n - 1] = v[n - 1] = 1e-38f;   /* becomes 0 */
        for (size_t i = 0; i < n; i++) {
            const double x = 0.5 * g[i];

            m1[i] = i < from ? m[i] : 0.9 * m[i] + 0.1 * x;
            v1[i] = i < from ? v[i] : 0.99 * v[i] + 0.01 * x * x;
            w1[i] = i < from ? w[i] : 0.99 * w[i] - 0.125 * m1[i] / (adaptive ? sqrt(v1[i]) / 0.75 + 1e-3 : 1);
        }
        k->update(&s, from, n);
        floats_near("m", n, m, m1, 1e-6);
        floats_near("v", n, v, v1, 1e-6);
        floats_near("w", n, w, w1, 1e-6);
        expect(m[n - 1] == 0 && v[n - 1] == 0, "denormal moments stay");
    }

    const float *x = floats(n, 1e20);
    double right = 0;

    for (size_t i = 0; i < n; i++)
        right += (double)x[i] * (double)x[i];
    expect(fabs(k->sumsq(n, x) - right) <= 1e-13 * right, "sumsq is %g, not %g", k->sumsq(n, x), right);
}

void case_muon(const struct sru_kernels *k, size_t n)
{
    const float b = 0.95f, c[3] = { 3.4445f, -4.775f, 2.0315f };
    const size_t side = n > 40 ? 40 : n;
    float *g = floats(n, 1), *m = floats(n, 1), *w = floats(n, 1);
    sru_act *x = acts(k, n, 0), *a = acts(k, side * side, 1), *aa = acts(k, side * side, 1);
    double *moment = doubles(n), *u = doubles(n), *left = doubles(n), *poly = doubles(side * side), sum = 0;

    for (size_t i = 0; i < n; i++) {
        moment[i] = 0.95 * m[i] + 0.05 * 0.5 * g[i];
        u[i] = 0.05 * 0.5 * g[i] + 0.95 * moment[i];
        sum += u[i] * u[i];
        u[i] *= 3;
    }
    for (size_t i = 0; i < side * side; i++)
        poly[i] = (i % (side + 1) == 0 ? 3.4445 : 0) - 4.775 * act_get(k, a, i) + 2.0315 * act_get(k, aa, i);
    const double is = k->momentum(n, b, 0.5f, g, m);
    expect(fabs(is - sum) <= 2e-6 * sum, "the sum of squares is %g, not %g", is, sum);
    floats_near("momentum", n, m, moment, 0);
    k->direction(n, b, 0.5f, 3, g, m, x);
    acts_near("direction", k, n, x, u, 0);
    k->polynomial(side, c, a, aa);
    acts_near("polynomial", k, side * side, aa, poly, 1);
    for (size_t i = 0; i < n; i++)
        left[i] = 0.75 * w[i] - 0.5 * act_get(k, x, i);
    k->descend(n, 0.25f, 0.5f, x, w);
    floats_near("descend", n, w, left, 0);
}
