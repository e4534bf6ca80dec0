/* What the output's operator (predict.cu) and the kernels of its losses (loss.cu) share. */
#ifndef SRU_GPU_PREDICT_CUH
#define SRU_GPU_PREDICT_CUH

#include "gpu/device.cuh"

/*
 * Rows' losses from their logits, without the bias; where `keep`, the bias is added to these.  With dlogits, the gradients too: of
 * the logits, and zeros up to `length`, a multiple of four; and of the bias, their sum over rows (dbias (=) or, with add_bias, (+=)).
 * A row of target below 0 is worth nothing.
 */
struct sru_cuda_losses {
    size_t n, V, stride, length;    /* rows of logits, `stride` floats apart; of dlogits, `length` elements */
    float *logits;
    const float *bias;
    const int32_t *targets;
    float *nll, factor;
    bool keep, add_bias;
    sru_act *dlogits;               /* or NULL */
    float *dbias;
    float *work;                    /* sru_cuda_loss_work(n, V) floats */
};

size_t sru_cuda_loss_work(size_t n, size_t V);
void sru_cuda_loss(struct sru_cuda *, const struct sru_cuda_losses *);

#endif
