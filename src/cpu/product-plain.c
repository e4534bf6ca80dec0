/*
 * Products without oneDNN: see product.h.  Blocks of c are computed by themselves, each in one fixed order, from pieces of
 * a and b widened to f32.
 */
#include "config.h"

#if !defined SRU_HAVE_ONEDNN || defined SRU_PLAIN_PRODUCTS   /* the latter for tests */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cpu/product.h"
#include "src/size.h"

enum { ROWS = 16, COLUMNS = 64, DEPTH = 128 };   /* of a block: its piece of b is 32 KB */

struct sru_products {
    char nothing;   /* there is nothing to keep */
};

static float from_bf16(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;

    memcpy(&y, &bits, sizeof y);
    return y;
}

/* Rounded to nearest, ties to even; NaN stays. */
static uint16_t to_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

static float get(const void *x, bool bf16, size_t i)
{
    return bf16 ? from_bf16(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

/* What a block works with: element (i,j) of a or b is x[i * rows + j * cols]. */
struct matrix {
    const void *x;
    size_t rows, cols;
    bool   bf16;
};

/* out[r][c], row length `length`, from (i,j) on. */
static void widen(const struct matrix *m, size_t i, size_t j, size_t rows, size_t cols, float *out, size_t length)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            out[r * length + c] = get(m->x, m->bf16, (i + r) * m->rows + (j + c) * m->cols);
}

static void multiply(size_t rows, size_t depth, const float *a, const float *b, float *sum)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < depth; i++) {
            const float x = a[r * DEPTH + i];

#pragma omp simd
            for (size_t c = 0; c < COLUMNS; c++)
                sum[r * COLUMNS + c] += x * b[i * COLUMNS + c];
        }
}

static void store(const struct sru_product *k, const float *sum, size_t i, size_t j, size_t rows, size_t cols, void *c)
{
    const size_t ldc = k->ldc ? k->ldc : k->n;

    for (size_t r = 0; r < rows; r++)
        for (size_t s = 0; s < cols; s++) {
            const size_t at = (i + r) * ldc + j + s;
            const float value = sum[r * COLUMNS + s] + (k->add ? get(c, k->c_bf16, at) : 0);

            if (k->c_bf16)
                ((uint16_t *)c)[at] = to_bf16(value);
            else
                ((float *)c)[at] = value;
        }
}

/* Columns [j, j+COLUMNS) of c: b's piece is widened once for all rows of a chunk. */
static void block(const struct sru_product *k, const struct matrix *a, const struct matrix *b, size_t i, size_t j, void *c)
{
    float piece_a[ROWS * DEPTH], piece_b[DEPTH * COLUMNS], sum[ROWS * COLUMNS] = { 0 };
    const size_t rows = sru_min(ROWS, k->m - i), cols = sru_min(COLUMNS, k->n - j);

    memset(piece_b, 0, sizeof piece_b);
    for (size_t at = 0; at < k->k; at += DEPTH) {
        const size_t depth = sru_min(DEPTH, k->k - at);

        widen(a, i, at, rows, depth, piece_a, DEPTH);
        widen(b, at, j, depth, cols, piece_b, COLUMNS);
        multiply(rows, depth, piece_a, piece_b, sum);
    }
    store(k, sum, i, j, rows, cols, c);
}

void sru_product(struct sru_products *x, const struct sru_product *k, const void *a, const void *b, void *c)
{
    const size_t lda = k->lda ? k->lda : k->ta ? k->m : k->k, ldb = k->ldb ? k->ldb : k->b == SRU_COLUMNS ? k->k : k->n;
    const struct matrix ma = { a, k->ta ? 1 : lda, k->ta ? lda : 1, k->bf16 };
    const struct matrix mb = { b, k->b == SRU_COLUMNS ? 1 : ldb, k->b == SRU_COLUMNS ? ldb : 1, k->bf16 };
    const size_t down = (k->m + ROWS - 1) / ROWS, across = (k->n + COLUMNS - 1) / COLUMNS;

    (void)x;
#pragma omp parallel for schedule(static) if (!k->alone && down * across > 1)
    for (size_t i = 0; i < down * across; i++)
        block(k, &ma, &mb, i / across * ROWS, i % across * COLUMNS, c);
}

const char *sru_product_by(struct sru_products *x, const struct sru_product *k)
{
    (void)x, (void)k;
    return "plain";
}

bool sru_products_gemm(struct sru_products *x, bool bf16)
{
    (void)x, (void)bf16;
    return false;
}

void sru_products_library(char *name, size_t size)
{
    snprintf(name, size, "plain loops");
}

bool sru_products_failed(struct sru_products *x)
{
    (void)x;
    return false;
}

/* Packed is row-major [k,n]. */
size_t sru_packed_bytes(struct sru_products *x, size_t k, size_t n, bool bf16)
{
    (void)x;
    return k * n * (bf16 ? sizeof(uint16_t) : sizeof(float));
}

void sru_pack(struct sru_products *x, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed)
{
    (void)x;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < n; j++) {
            const float value = transposed ? w[j * k + i] : w[i * n + j];

            if (bf16)
                ((uint16_t *)packed)[i * n + j] = to_bf16(value);
            else
                ((float *)packed)[i * n + j] = value;
        }
}

sru_status sru_products_open(struct sru_products **out, const struct sru_kernels *kernels, int threads, struct sru_error *err)
{
    (void)kernels;
    (void)threads;
    *out = calloc(1, sizeof **out);
    return *out ? SRU_OK : sru_fail(err, SRU_ENOMEM, "out of memory to open the processor");
}

void sru_products_close(struct sru_products *x)
{
    free(x);
}

#endif
