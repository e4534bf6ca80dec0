/* What products (product.cu), those of few rows (matvec.cu) and the choice of cuBLASLt's algorithms (algorithm.cu) share. */
#ifndef SRU_GPU_PRODUCT_CUH
#define SRU_GPU_PRODUCT_CUH

#include "gpu/device.cuh"

/* What cuBLASLt, whose c is ours transposed, is told of a product: its first operand is our b. */
struct sru_cuda_call {
    struct sru_cuda_product key;
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t a, b, c;
};

cublasStatus_t sru_cuda_call(struct sru_cuda *, const struct sru_cuda_call *, const cublasLtMatmulAlgo_t *, const void *a, const void *b,
                             void *c);

/*
 * The fastest of some algorithms among those that give the bits of the first, so that results do not hang on what a clock said; the
 * first of all for products too small to measure, where memory for operands is wanting, and while a step is being recorded.
 */
cublasLtMatmulAlgo_t sru_cuda_fastest(struct sru_cuda *, const struct sru_cuda_call *, const cublasLtMatmulHeuristicResult_t *, int n);

/* A product of few rows, in which b is read once; false where it is none, or not in eights, and nothing was done (matvec.cu). */
bool sru_cuda_few_rows(struct sru_cuda *, const struct sru_cuda_product *, const void *a, const void *b, void *c);

#endif
