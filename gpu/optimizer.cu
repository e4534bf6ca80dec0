/* The optimizer's step and the sum of squares. */
#include "gpu/device.cuh"

enum { THREADS = 256, MOST_BLOCKS = 4096 };

/* 1/correction is a factor, as the CPU's is. */
template <bool adaptive> __global__ static void update(struct sru_update s, float inverse)
{
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < s.n; i += (size_t)gridDim.x * THREADS) {
        const float g = s.clip * s.g[i], old = s.w[i];
        const float m = sru_flushed(fmaf(s.beta1, s.m[i], (1.0f - s.beta1) * g));
        const float v = sru_flushed(fmaf(s.beta2, s.v[i], (1.0f - s.beta2) * g * g));
        float step = s.rate * m;

        if (adaptive)
            step /= fmaf(sqrtf(v), inverse, s.eps);
        s.m[i] = m;
        s.v[i] = v;
        s.w[i] = old - s.decay * old - step;
    }
}

void sru_cuda_update(struct sru_dev *dev, const struct sru_update *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const unsigned blocks = (unsigned)sru_min((s->n + THREADS - 1) / THREADS, MOST_BLOCKS);

    if (blocks == 0)
        return;
    if (s->adaptive)
        update<true><<<blocks, THREADS, 0, cuda->stream>>>(*s, 1.0f / s->correction);
    else
        update<false><<<blocks, THREADS, 0, cuda->stream>>>(*s, 0.0f);
    sru_cuda_launched(cuda, "update");
}

/* ---- The sum of squares ---------------------------------------------------------------------------- */

__global__ static void squares(size_t n, const float *x, double *sums)
{
    double sum = 0;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS)
        sum += (double)x[i] * x[i];
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

/* One block: sums[0] = the sum of all. */
__global__ static void total(unsigned n, double *sums)
{
    double sum = 0;

    for (unsigned i = threadIdx.x; i < n; i += THREADS)
        sum += sums[i];
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        sums[0] = sum;
}

double sru_cuda_sumsq(struct sru_dev *dev, const float *x, size_t n)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const unsigned blocks = (unsigned)sru_min((n + THREADS - 1) / THREADS, SRU_CUDA_SUMS);
    double sum = 0;

    if (blocks == 0)
        return 0;
    squares<<<blocks, THREADS, 0, cuda->stream>>>(n, x, cuda->sums);
    sru_cuda_launched(cuda, "sumsq");
    total<<<1, THREADS, 0, cuda->stream>>>(blocks, cuda->sums);
    sru_cuda_launched(cuda, "sumsq");
    sru_cuda_check(cuda, cudaMemcpyAsync(&sum, cuda->sums, sizeof sum, cudaMemcpyDeviceToHost, cuda->stream), "sumsq");
    sru_cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "sumsq");
    return sum;
}
