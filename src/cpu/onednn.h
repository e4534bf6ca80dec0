/* What is asked of oneDNN.  Descriptors start as NULL; those that are made, even where something fails, are the caller's to destroy. */
#ifndef SRU_CPU_ONEDNN_H
#define SRU_CPU_ONEDNN_H

#include <dnnl.h>

#include "src/cpu/product.h"

/* A product, with the caller's scratchpad.  A packed b has the layout that oneDNN likes best for many rows, whatever m is. */
dnnl_status_t sru_dnnl_product(dnnl_engine_t, const struct sru_product *, dnnl_primitive_desc_t *pd);
/* The product of many rows whose weights have the layout of a packed [k,n]. */
dnnl_status_t sru_dnnl_packed(dnnl_engine_t, size_t k, size_t n, bool bf16, dnnl_primitive_desc_t *pd);
/* A reorder from f32 [k,n], or with the key's `ta` [n,k], to the packed layout; and the product whose layout that is. */
dnnl_status_t sru_dnnl_packing(dnnl_engine_t, const struct sru_product *, dnnl_primitive_desc_t *pd, dnnl_primitive_desc_t *matmul);
/* Whether that product's layout is the one that the kernels' `pack` writes. */
bool sru_dnnl_kernels_pack(const struct sru_product *, dnnl_primitive_desc_t matmul);

#endif
