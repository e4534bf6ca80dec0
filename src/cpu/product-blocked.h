/*
 * Products by our own kernels, where no library has better ones.  An element's sum has one order, whatever the number of threads:
 * results are the same bits for any.
 */
#ifndef SRU_CPU_PRODUCT_BLOCKED_H
#define SRU_CPU_PRODUCT_BLOCKED_H

#include "src/cpu/product.h"

#define SRU_BLOCKED "our own"   /* what computes them */

struct sru_blocked;

/* NULL kernels: the best that run here.  SRU_ENOMEM. */
sru_status sru_blocked_open(struct sru_blocked **out, const struct sru_kernels *, int threads, struct sru_error *err);
void sru_blocked_close(struct sru_blocked *);
/* As those of product.h; packed is f32 always. */
void sru_blocked_product(struct sru_blocked *, const struct sru_product *, const void *a, const void *b, void *c);
size_t sru_blocked_packed_bytes(const struct sru_blocked *, size_t k, size_t n);
void sru_blocked_pack(struct sru_blocked *, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed);

#endif
