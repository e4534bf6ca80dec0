/* The optimizer's step and its gauge. */
#include "gpu/device.cuh"

enum { THREADS = 256, MOST_BLOCKS = 4096 };

/* 1/correction is a factor, as the CPU's is. */
__global__ static void update(struct sru_update s)
{
    const struct sru_step at = *s.step;
    const float clip = s.gauge->clip, inverse = 1.0f / at.correction;

    if (clip == 0)
        return;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < s.n; i += (size_t)gridDim.x * THREADS) {
        const float g = clip * s.g[i], old = s.w[i];
        const float m = sru_flushed(fmaf(s.beta1, s.m[i], (1.0f - s.beta1) * g));
        const float v = sru_flushed(fmaf(s.beta2, s.v[i], (1.0f - s.beta2) * g * g));
        float step = at.rate * m;

        if (at.adaptive)
            step /= fmaf(sqrtf(v), inverse, s.eps);
        s.m[i] = m;
        s.v[i] = v;
        s.w[i] = old - at.decay * old - step;
    }
}

void sru_cuda_update(struct sru_dev *dev, const struct sru_update *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const unsigned blocks = (unsigned)sru_min((s->n + THREADS - 1) / THREADS, MOST_BLOCKS);

    if (blocks == 0)
        return;
    update<<<blocks, THREADS, 0, cuda->stream>>>(*s);
    sru_cuda_launched(cuda, "update");
}

/* ---- The gauge ------------------------------------------------------------------------------------- */

__global__ static void squares(size_t n, const float *x, double *sums)
{
    double sum = 0;

    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS)
        sum += (double)x[i] * x[i];
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

/* One block: the losses, and n sums of squares. */
__global__ static void conclude(struct sru_measure s, unsigned n, const double *sums)
{
    double nll = 0, square = 0;

    for (size_t i = threadIdx.x; i < s.N; i += blockDim.x)
        nll += (double)s.nll[i];
    for (unsigned i = threadIdx.x; i < n; i += blockDim.x)
        square += sums[i];
    nll = sru_block_sum(nll);
    square = sru_block_sum(square);
    if (threadIdx.x > 0)
        return;
    const double loss = nll / (double)s.N, norm = sqrt(square);
    const bool fine = s.gauge->clip != 0 && isfinite(loss) && isfinite(norm);

    s.gauge->loss = loss;
    s.gauge->norm = norm;
    s.gauge->clip = !fine ? 0 : s.largest > 0 && norm > s.largest ? (float)(s.largest / norm) : 1;
}

void sru_cuda_measure(struct sru_dev *dev, const struct sru_measure *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const unsigned blocks = (unsigned)sru_min((s->n + THREADS - 1) / THREADS, SRU_CUDA_SUMS);

    if (blocks > 0)
        squares<<<blocks, THREADS, 0, cuda->stream>>>(s->n, s->g, cuda->sums);
    sru_cuda_launched(cuda, "measure");
    conclude<<<1, 1024, 0, cuda->stream>>>(*s, blocks, cuda->sums);
    sru_cuda_launched(cuda, "measure");
}
