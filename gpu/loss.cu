/*
 * Losses of rows of logits, and their gradients.  A row of few is a warp's, in registers.  Of long ones the largest and the sum are
 * found first, a block a row; then the gradients, by blocks of some columns of many rows, which sum them for the bias as they go.
 */
#include <float.h>
#include <math.h>

#include "gpu/groups.cuh"
#include "gpu/predict.cuh"

enum {
    THREADS = 256,
    SHORT = 1024,               /* logits of a row that a warp takes */
    ROW_THREADS = 512, AHEAD = 4,   /* fours of a long row in flight */
    STRIP_ROWS = 32,            /* rows of a block that computes gradients */
};

/* Of rows: the largest logit, and what exp(logit - largest) is multiplied by. */
struct row {
    float top, scale;
};

static size_t strips(size_t n)
{
    return (n + STRIP_ROWS - 1) / STRIP_ROWS;
}

size_t sru_cuda_loss_work(size_t n, size_t V)
{
    return V <= SHORT ? sru_cuda_columns_work(n, V) : 2 * n + strips(n) * V + sru_cuda_columns_work(strips(n), V);
}

/* ---- Short rows --------------------------------------------------------------------------------------- */

/* A warp a row, whose threads have `each` logits. */
template <typename A, int each> __global__ static void __launch_bounds__(THREADS) loss_short(sru_cuda_losses s)
{
    const size_t n = (size_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    float *logits = s.logits + n * s.stride, x[each], hit = 0.0f, top = -INFINITY, sum = 0.0f;

    if (n >= s.n)
        return;
    const size_t target = (size_t)s.targets[n];   /* none of the row's where it is below 0 */
    const float factor = s.targets[n] < 0 ? 0.0f : s.factor;
#pragma unroll
    for (int e = 0; e < each; e++)
        x[e] = lane + 32 * e < s.V ? logits[lane + 32 * e] + s.bias[lane + 32 * e] : -INFINITY;
#pragma unroll
    for (int e = 0; e < each; e++) {
        top = sru_larger(top, x[e]);
        hit = lane + 32 * e == target ? x[e] : hit;
        if (s.keep && lane + 32 * e < s.V)
            logits[lane + 32 * e] = x[e];
    }
    top = sru_warp_max(top);
    hit = __shfl_sync(0xffffffffu, hit, (int)(target % 32));
#pragma unroll
    for (int e = 0; e < each; e++)
        sum += x[e] = expf(x[e] - top);
    sum = sru_warp_sum(sum);
    if (lane == 0)
        s.nll[n] = s.targets[n] < 0 ? 0.0f : logf(sum) + (top - hit);
#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t j = lane + 32 * e;
        if (s.dlogits && j < s.length)
            sru_store((A *)s.dlogits + n * s.length + j, x[e] * (factor / sum) - (j == target ? factor : 0.0f));
    }
}

/* ---- Long rows: fours of logits ------------------------------------------------------------------------- */

/* Logits j to j + 3 with the bias: -infinity, which adds nothing, where there are none.  `whole`: fours are aligned. */
template <bool whole> __device__ static float4 four_at(const float *x, const float *bias, size_t j, size_t V)
{
    if (whole && j + 4 <= V) {
        const float4 y = *(const float4 *)(x + j), b = *(const float4 *)(bias + j);
        return make_float4(y.x + b.x, y.y + b.y, y.z + b.z, y.w + b.w);
    }
    return make_float4(j < V ? x[j] + bias[j] : -INFINITY, j + 1 < V ? x[j + 1] + bias[j + 1] : -INFINITY,
                       j + 2 < V ? x[j + 2] + bias[j + 2] : -INFINITY, j + 3 < V ? x[j + 3] + bias[j + 3] : -INFINITY);
}

/* A block a row.  The sum is of the largest so far, so that one pass does. */
template <bool whole> __global__ static void __launch_bounds__(ROW_THREADS) loss_long(sru_cuda_losses s, struct row *rows)
{
    const float *x = s.logits + blockIdx.x * s.stride;
    float top = -FLT_MAX, sum = 0.0f;

    for (size_t j = 4 * threadIdx.x; j < s.V; j += 4 * AHEAD * ROW_THREADS) {
        float4 y[AHEAD];
        float larger = top;

#pragma unroll
        for (int e = 0; e < AHEAD; e++)
            y[e] = four_at<whole>(x, s.bias, j + 4 * e * ROW_THREADS, s.V);
#pragma unroll
        for (int e = 0; e < AHEAD; e++)
            larger = sru_larger(sru_larger(larger, sru_larger(y[e].x, y[e].y)), sru_larger(y[e].z, y[e].w));
        sum *= expf(top - larger);
        top = larger;
#pragma unroll
        for (int e = 0; e < AHEAD; e++)
            sum += expf(y[e].x - top) + expf(y[e].y - top) + (expf(y[e].z - top) + expf(y[e].w - top));
    }
    const float all = sru_block_max(top);
    sum = sru_block_sum(sum * expf(top - all));
    if (threadIdx.x > 0)
        return;
    const int32_t target = s.targets[blockIdx.x];
    s.nll[blockIdx.x] = target < 0 ? 0.0f : logf(sum) + (all - (x[target] + s.bias[target]));
    rows[blockIdx.x] = { all, target < 0 ? 0.0f : s.factor / sum };
}

/* Columns j to j + 3 of the rows of a strip. */
template <typename A, bool whole> __device__ static float4 gradient_of_strip(const sru_cuda_losses &s, const struct row *rows, size_t j)
{
    const size_t from = (size_t)blockIdx.y * STRIP_ROWS, to = min(s.n, from + STRIP_ROWS);
    float4 sum = {};

#pragma unroll 4
    for (size_t n = from; n < to; n++) {
        const struct row row = rows[n];
        const float4 y = four_at<whole>(s.logits + n * s.stride, s.bias, j, s.V);
        const size_t hit = (size_t)s.targets[n] - j;
        const float x[4] = { y.x, y.y, y.z, y.w };
        float dx[4];

#pragma unroll
        for (int i = 0; i < 4; i++)
            dx[i] = expf(x[i] - row.top) * row.scale - (hit == (size_t)i ? s.factor : 0.0f);
        sum = make_float4(sum.x + dx[0], sum.y + dx[1], sum.z + dx[2], sum.w + dx[3]);
        for (int i = 0; i < 4; i++)
            if (s.keep && j + i < s.V)
                s.logits[n * s.stride + j + i] = x[i];
        if (s.dlogits)
            sru_write_four((A *)s.dlogits + n * s.length + j, dx);
    }
    return sum;
}

/* A thread's four columns of a strip of rows; beyond V, zeros. */
template <typename A, bool whole>
__global__ static void __launch_bounds__(THREADS) loss_gradients(sru_cuda_losses s, const struct row *rows, float *sums)
{
    const size_t j = 4 * ((size_t)blockIdx.x * THREADS + threadIdx.x);

    if (j >= s.length)
        return;
    const float4 sum = gradient_of_strip<A, whole>(s, rows, j);
    const float x[4] = { sum.x, sum.y, sum.z, sum.w };
    for (int i = 0; i < 4; i++)
        if (j + i < s.V)
            sums[blockIdx.y * s.V + j + i] = x[i];
}

/* ---- Launching ------------------------------------------------------------------------------------------ */

template <typename A> static void short_rows(struct sru_cuda *cuda, const struct sru_cuda_losses *s)
{
    const unsigned blocks = (unsigned)((s->n + THREADS / 32 - 1) / (THREADS / 32));

    if (s->V <= 256)
        loss_short<A, 8><<<blocks, THREADS, 0, cuda->stream>>>(*s);
    else if (s->V <= 512)
        loss_short<A, 16><<<blocks, THREADS, 0, cuda->stream>>>(*s);
    else
        loss_short<A, SHORT / 32><<<blocks, THREADS, 0, cuda->stream>>>(*s);
    sru_cuda_launched(cuda, "predict");
    if (s->dlogits)
        sru_cuda_columns(cuda, s->n, s->V, s->length, (const A *)s->dlogits, s->add_bias, s->work, s->dbias);
}

template <typename A, bool whole> static void long_rows(struct sru_cuda *cuda, const struct sru_cuda_losses *s)
{
    struct row *rows = (struct row *)s->work;
    float *sums = s->work + 2 * s->n;
    const dim3 blocks((unsigned)((s->length + 4 * THREADS - 1) / (4 * THREADS)), (unsigned)strips(s->n));

    loss_long<whole><<<(unsigned)s->n, ROW_THREADS, 0, cuda->stream>>>(*s, rows);
    sru_cuda_launched(cuda, "predict");
    if (!s->keep && !s->dlogits)
        return;
    loss_gradients<A, whole><<<blocks, THREADS, 0, cuda->stream>>>(*s, rows, sums);
    sru_cuda_launched(cuda, "predict_back");
    if (s->dlogits)
        sru_cuda_columns(cuda, strips(s->n), s->V, s->V, (const float *)sums, s->add_bias, sums + strips(s->n) * s->V, s->dbias);
}

template <typename A> static void loss(struct sru_cuda *cuda, const struct sru_cuda_losses *s)
{
    if (s->V <= SHORT)
        short_rows<A>(cuda, s);
    else if (s->stride % 4 == 0 && ((uintptr_t)s->logits | (uintptr_t)s->bias) % sizeof(float4) == 0)
        long_rows<A, true>(cuda, s);
    else
        long_rows<A, false>(cuda, s);
}

void sru_cuda_loss(struct sru_cuda *cuda, const struct sru_cuda_losses *s)
{
    SRU_BY_TYPE(cuda, loss, cuda, s);
}
