/* Opening an NVIDIA GPU.  Present where configure was given --with-cuda (SRU_HAVE_CUDA). */
#ifndef SRU_GPU_CUDA_H
#define SRU_GPU_CUDA_H

#include "src/ops.h"

/*
 * Open GPU `index`, with every operator of ops.h.  Precision auto is bf16.
 * @return SRU_EDEVICE where there is no such GPU or no driver for it, SRU_ENOMEM.
 */
sru_status sru_cuda_open(int index, enum sru_precision precision, struct sru_dev **out, struct sru_error *err);
/* GPUs that can be opened; 0 on a machine without any, or without a driver. */
int sru_cuda_count(void);

#endif
