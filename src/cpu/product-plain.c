/* Products without oneDNN, by our own kernels: see product.h. */
#include "config.h"

#if !defined SRU_HAVE_ONEDNN || defined SRU_PLAIN_PRODUCTS   /* the latter for tests */

#include <stdio.h>
#include <stdlib.h>

#include "src/cpu/product-blocked.h"

struct sru_products {
    struct sru_blocked *blocked;
};

void sru_product(struct sru_products *x, const struct sru_product *k, const void *a, const void *b, void *c)
{
    sru_blocked_product(x->blocked, k, a, b, c);
}

const char *sru_product_by(struct sru_products *x, const struct sru_product *k)
{
    (void)x, (void)k;
    return SRU_BLOCKED;
}

void sru_products_library(char *name, size_t size)
{
    snprintf(name, size, SRU_BLOCKED);
}

bool sru_products_failed(struct sru_products *x)
{
    (void)x;
    return false;
}

size_t sru_packed_bytes(struct sru_products *x, size_t k, size_t n, bool bf16)
{
    (void)bf16;
    return sru_blocked_packed_bytes(x->blocked, k, n);
}

void sru_pack(struct sru_products *x, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed)
{
    sru_blocked_pack(x->blocked, k, n, bf16, transposed, w, packed);
}

sru_status sru_products_open(struct sru_products **out, const struct sru_kernels *kernels, int threads, struct sru_error *err)
{
    sru_status status;

    if (!(*out = calloc(1, sizeof **out)))
        return sru_fail(err, SRU_ENOMEM, "out of memory to open the processor");
    if ((status = sru_blocked_open(&(*out)->blocked, kernels, threads, err))) {
        free(*out);
        *out = NULL;
    }
    return status;
}

void sru_products_close(struct sru_products *x)
{
    if (x)
        sru_blocked_close(x->blocked);
    free(x);
}

#endif
