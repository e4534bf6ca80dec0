/*
 * Matrix products: oneDNN primitives, made once for each shape and kept, or a plain blocked loop where configure found
 * (or was told to use) no oneDNN.
 */
#ifndef SRU_CPU_PRODUCT_H
#define SRU_CPU_PRODUCT_H

#include <stdbool.h>
#include <omp.h>
#include <stddef.h>

#include "simd/kernels.h"
#include "src/error.h"

/* Threads to take now: no more than were asked for since, nor than there are rooms for. */
static inline int sru_team(int rooms)
{
    const int now = omp_get_max_threads();

    return now < rooms ? now : rooms;
}

enum sru_operand_layout {
    SRU_ROWS,     /* b [k,n], row-major */
    SRU_COLUMNS,  /* b stands transposed: [n,k] row-major */
    SRU_PACKED    /* b as sru_pack leaves it */
};

/*
 * c[m,n] (+)= a[m,k] b[k,n], row-major; m, n and k are above 0.  a and b are bf16 or both f32, c is of either kind; sums are in f32.
 * Rows are dense; lda, ldb and ldc above 0 say otherwise (slower: oneDNN's best kernels take dense rows alone).
 * The struct is a key: shapes that come again find their primitive.
 */
struct sru_product {
    size_t m, n, k, lda, ldb, ldc;
    bool   bf16;      /* a and b */
    bool   c_bf16;
    bool   ta;        /* a stands transposed: [k,m] */
    bool   add;
    bool   alone;     /* called inside a parallel region: one thread */
    enum sru_operand_layout b;
};

/* All products of a device: its cache, and a scratchpad for each thread. */
struct sru_products;

/* The kernels pack where the layout is theirs; NULL leaves all packing to oneDNN. */
sru_status sru_products_open(struct sru_products **out, const struct sru_kernels *, int threads, struct sru_error *err);
void sru_products_close(struct sru_products *);

/*
 * Compute; any number of threads may call at once with `alone`, else one.  Errors wait for sru_products_failed.
 * A shape's first call allocates, later ones do not.
 */
void sru_product(struct sru_products *, const struct sru_product *, const void *a, const void *b, void *c);
/* What computes a product, in its library's words; NULL where nothing does. */
const char *sru_product_by(struct sru_products *, const struct sru_product *);
/* The library and its version. */
void sru_products_library(char *name, size_t size);
/* Whether any product failed since the last time. */
bool sru_products_failed(struct sru_products *);

/* Bytes of b [k,n] packed, and packing it from f32, row-major or with `transposed` from [n,k]; all threads take part. */
size_t sru_packed_bytes(struct sru_products *, size_t k, size_t n, bool bf16);
void sru_pack(struct sru_products *, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed);

#endif
