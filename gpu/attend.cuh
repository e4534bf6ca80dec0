/* What attention's products (attend.cu) and its kernels (softmax.cu) share. */
#ifndef SRU_GPU_ATTEND_CUH
#define SRU_GPU_ATTEND_CUH

#include "gpu/device.cuh"

/*
 * One head of streams [b0, b0+n).  Scores are rows of the keys from `lo` on, the first that any query sees, `length` apart: more than
 * `keys`, so that every row is aligned.
 */
struct sru_cuda_part {
    size_t b0, n, h, T, M, H, lo, keys, length, first, window;
    bool   turned;              /* of M == T keys, the later half's scores come first */
    float  factor;
};

/* P [n,T,length] = mask * softmax of the visible scores S, 0 elsewhere; lse [B,H,T], or NULL, the log-sum-exp of each row. */
void sru_cuda_softmax(struct sru_cuda *, const struct sru_cuda_part *, const struct sru_mask *, const float *S, sru_act *P, float *lse);
/* P again from S and lse, and dS from dP, the gradient of P; S and dP are used up. */
void sru_cuda_softmax_back(struct sru_cuda *, const struct sru_cuda_part *, const struct sru_mask *, const float *lse, float *S, float *dP,
                           sru_act *P, sru_act *dS);

#endif
