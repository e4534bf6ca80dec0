/* The optimizer's step and its gauge. */
#include "gpu/device.cuh"

enum { THREADS = 256, MOST_BLOCKS = 4096 };

/* What a step makes of every value; 1/correction is a factor, as the CPU's is. */
struct rule {
    struct sru_step at;
    float clip, inverse, beta1, beta2, eps;
};

__device__ static void update_one(const struct rule &k, float g, float *w, float *m, float *v)
{
    g *= k.clip;
    *m = sru_flushed(fmaf(k.beta1, *m, (1.0f - k.beta1) * g));
    *v = sru_flushed(fmaf(k.beta2, *v, (1.0f - k.beta2) * g * g));
    float step = k.at.rate * *m;

    if (k.at.adaptive)
        step /= fmaf(sqrtf(*v), k.inverse, k.eps);
    *w = *w - k.at.decay * *w - step;
}

/* A thread takes `each` values at a time, of arrays that are aligned to as many, and of the last ones those that there are. */
template <int each> __global__ static void __launch_bounds__(THREADS) update(struct sru_update s)
{
    struct alignas(4 * each) some { float x[each]; };
    const struct rule k = { *s.step, s.gauge->clip, 1.0f / s.step->correction, s.beta1, s.beta2, s.eps };

    if (k.clip == 0)
        return;
    for (size_t i = each * ((size_t)blockIdx.x * THREADS + threadIdx.x); i < s.n; i += each * (size_t)gridDim.x * THREADS) {
        if (i + each > s.n) {
            for (; i < s.n; i++)
                update_one(k, s.g[i], s.w + i, s.m + i, s.v + i);
            return;
        }
        const some g = *(const some *)(s.g + i);
        some w = *(const some *)(s.w + i), m = *(const some *)(s.m + i), v = *(const some *)(s.v + i);

#pragma unroll
        for (int e = 0; e < each; e++)
            update_one(k, g.x[e], &w.x[e], &m.x[e], &v.x[e]);
        *(some *)(s.m + i) = m;
        *(some *)(s.v + i) = v;
        *(some *)(s.w + i) = w;
    }
}

void sru_cuda_update(struct sru_dev *dev, const struct sru_update *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const bool fours = ((uintptr_t)s->g | (uintptr_t)s->w | (uintptr_t)s->m | (uintptr_t)s->v) % sizeof(float4) == 0;
    const size_t each = (size_t)THREADS * (fours ? 4 : 1);
    const unsigned blocks = (unsigned)sru_min((s->n + each - 1) / each, MOST_BLOCKS);

    if (blocks == 0)
        return;
    (fours ? update<4> : update<1>)<<<blocks, THREADS, 0, cuda->stream>>>(*s);
    sru_cuda_launched(cuda, "update");
}

/* ---- The gauge ------------------------------------------------------------------------------------- */

__global__ static void squares(size_t n, const float *x, double *sums)
{
    const size_t step = (size_t)gridDim.x * THREADS;
    double sum = 0;

#pragma unroll 8
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += step)
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
