/* What the kernels of normalisation share: those for any rows (norm.cu), and those for rows in groups of eight (norm-groups.cu). */
#ifndef SRU_GPU_NORM_CUH
#define SRU_GPU_NORM_CUH

#include "gpu/device.cuh"

template <typename A> struct norm_args {
    size_t N, T, cols;
    rows_of<A> a, r, y, dy, da, dr;
    bool add_dr;
    const float *alpha, *gamma, *beta;
    struct sru_cuda_mask mask;
    float *stats;
};

/* y = mask * r or, back, dr (+)= mask * dy, of rows in groups where that is all; false where it is not, and nothing was done. */
template <typename A> bool sru_cuda_mask_groups(struct sru_cuda *, const norm_args<A> &, bool back);

/* The forward of rows in groups; false where they are not, and nothing was done. */
template <typename A> bool sru_cuda_norm_groups(struct sru_cuda *, const norm_args<A> &);

/*
 * Their backward, but for adding up the blocks' sums, rows of dgamma, dbeta and dalpha `*stride` apart, less than 4 cols + 1.  Returns
 * how many, at most N and SRU_NORM_SUMS, or 0 where nothing was done.
 */
enum { SRU_NORM_SUMS = 528 };
template <typename A> size_t sru_cuda_norm_back_groups(struct sru_cuda *, const norm_args<A> &, float *sums, size_t *stride);

#endif
