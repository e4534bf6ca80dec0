/*
 * Attention of one position a stream over a ring of keys and values.  Every block takes some rows of a head, all that a head has being
 * too few threads' work for a GPU to read at its memory's speed: their softmax by themselves, and the values' sum by it.  Other blocks
 * join those.  Where the position stands is read from device memory.
 */
#include <math.h>

#include "gpu/groups.cuh"

enum { ROWS = 16, THREADS = 256, WARP = 32, WARPS = THREADS / WARP, COLS = 32 };

/* What the blocks of rows leave for those that join them, [B*H][parts] of each. */
struct work {
    float *top, *sum;           /* the largest score, and the sum of exp(score - top) */
    float *values;              /* [cols] times those */
};

static size_t parts_of(size_t rows)
{
    return (rows + ROWS - 1) / ROWS;
}

size_t sru_cuda_recall_work(const struct sru_shape *s)
{
    return s->T == 1 ? s->B * parts_of(s->M + 1) * (2 * s->H + s->p) : 0;
}

/* ---- Some rows ------------------------------------------------------------------------------------ */

/* n elements, 4 or 1, aligned to their size. */
template <int n, typename A> __device__ static void read(const A *p, float (&x)[n])
{
    if constexpr (n == 4) {
        const sru_four<A> four = sru_read_four(p);
        for (int i = 0; i < n; i++)
            x[i] = sru_element(four, i);
    } else {
        x[0] = sru_load(p);
    }
}

/* Rows [from, to) of values are wanted soon. */
template <typename A> __device__ static void announce(int from, int to, size_t cols, size_t p, const A *values)
{
    const unsigned line = 128 / sizeof(A), lines = ((unsigned)cols + line - 1) / line;

    for (unsigned i = threadIdx.x; i < (to - from) * lines; i += THREADS)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(values + (from + i / lines) * p + i % lines * line));
}

/* The scores of rows [from, to) of keys that are p apart: a row a warp, and to all its threads. */
template <int n, typename A>
__device__ static void score(int from, int to, size_t cols, size_t p, const float *q, const A *keys, float *scores)
{
    const int lane = threadIdx.x % WARP;

#pragma unroll 4
    for (int j = from + (int)threadIdx.x / WARP; j < to; j += WARPS) {
        float sum = 0.0f, x[n];

#pragma unroll 4
        for (size_t c = lane * n; c < cols; c += WARP * n) {
            read<n>(keys + j * p + c, x);
            for (int i = 0; i < n; i++)
                sum += q[c + i] * x[i];
        }
        sum = sru_warp_sum(sum);
        if (lane == 0)
            scores[j] = sum;
    }
}

/*
 * out [cols] = the sum of weights times rows [from, to) of values.  A thread has n columns; where that leaves some over, teams of threads
 * share the rows, and their sums meet in `room`.
 */
template <int n, typename A>
__device__ static void weigh(int from, int to, size_t cols, size_t p, const float *weights, const A *values, float *room, float *out)
{
    const int team = (int)(cols / n < THREADS ? cols / n : THREADS), teams = THREADS / team, mine = threadIdx.x / team;

    for (size_t c = threadIdx.x % team * n; c < cols && mine < teams; c += team * n) {
        float sum[n] = {}, x[n];

#pragma unroll 8
        for (int j = from + mine; j < to; j += teams) {
            read<n>(values + j * p + c, x);
            for (int i = 0; i < n; i++)
                sum[i] += weights[j] * x[i];
        }
        for (int i = 0; i < n; i++)
            room[mine * cols + c + i] = sum[i];
    }
    __syncthreads();
    for (size_t c = threadIdx.x; c < cols; c += THREADS) {
        float sum = room[c];

        for (int i = 1; i < teams; i++)
            sum += room[i * cols + c];
        out[c] = sum;
    }
}

/* A block for rows i*ROWS and on, of a stream's head.  Shared memory: the query, and room for sums. */
template <int n, typename A>
__global__ static void recall_rows(unsigned H, size_t p, int rows, unsigned parts, const struct sru_place *place, float factor,
                                   const A *q, const A *k, const A *v, A *keys, A *values, work w)
{
    extern __shared__ float shared[];
    __shared__ float scores[WARP];   /* ROWS of them */
    const unsigned i = blockIdx.x / parts, b = i / H, cols = (unsigned)p / H, head = i % H * cols;
    const size_t one = b * p + head;
    const int first = (int)(blockIdx.x % parts) * ROWS, row = place->row - first, unheld = rows - place->held - first;
    const int from = unheld > 0 ? unheld : 0, to = rows - first < ROWS ? rows - first : ROWS, lane = threadIdx.x % WARP;
    const size_t ring = ((size_t)b * rows + first) * p + head;

    if (from >= to)
        return;
    announce(from, to, cols, p, values + ring);
    for (size_t c = threadIdx.x; c < cols; c += THREADS) {
        shared[c] = sru_load(q + one + c) * factor;
        if (row >= 0 && row < to) {
            keys[ring + row * p + c] = k[one + c];
            values[ring + row * p + c] = v[one + c];
        }
    }
    __syncthreads();
    score<n>(from, to, cols, p, shared, keys + ring, scores);
    __syncthreads();

    const bool mine = lane >= from && lane < to;
    const float top = sru_warp_max(mine ? scores[lane] : -INFINITY), e = mine ? expf(scores[lane] - top) : 0.0f, sum = sru_warp_sum(e);
    __syncthreads();   /* all warps have read the scores */
    if (threadIdx.x < WARP) {
        scores[lane] = e;
        if (lane == 0) {
            w.top[blockIdx.x] = top;
            w.sum[blockIdx.x] = sum;
        }
    }
    __syncthreads();
    weigh<n>(from, to, cols, p, scores, values + ring, shared + cols, w.values + (size_t)blockIdx.x * cols);
}

/* ---- All rows ------------------------------------------------------------------------------------------ */

/* A block for COLS columns of a head, a warp for every eighth part. */
template <typename A>
__global__ static void recall_all(unsigned H, size_t p, int rows, int parts, const struct sru_place *place, work w, A *out)
{
    __shared__ float room[2][WARPS][COLS];
    const unsigned cols = (unsigned)p / H, pieces = (cols + COLS - 1) / COLS, i = blockIdx.x / pieces;
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, from = (rows - place->held) / ROWS;
    const size_t c = blockIdx.x % pieces * COLS + lane, first = (size_t)i * parts;
    const float *top = w.top + first, *sum = w.sum + first, *values = w.values + first * cols;
    float largest = -INFINITY, all = 0.0f, x = 0.0f;

    for (int j = from + lane; j < parts; j += WARP)
        largest = sru_larger(largest, top[j]);
    largest = sru_warp_max(largest);
#pragma unroll 4
    for (int j = from + warp; j < parts; j += WARPS) {
        const float share = expf(top[j] - largest);

        all += share * sum[j];
        x += c < cols ? share * values[j * cols + c] : 0.0f;
    }
    room[0][warp][lane] = x;
    room[1][warp][lane] = all;
    __syncthreads();
    if (warp > 0 || c >= cols)
        return;
    for (int j = 1; j < WARPS; j++) {
        x += room[0][j][lane];
        all += room[1][j][lane];
    }
    sru_store(out + i / H * p + i % H * cols + c, x / all);
}

/* ---- Launching ------------------------------------------------------------------------------------------ */

template <typename A> static void recall(struct sru_cuda *cuda, const struct sru_recall *s)
{
    const size_t heads = s->B * s->H, cols = s->p / s->H, parts = parts_of(s->rows), blocks = heads * parts;
    const size_t n = cols % 4 == 0 ? 4 : 1, room = sru_max(cols, n * THREADS), shared = (cols + room) * sizeof(float);
    const float factor = 1.0f / sqrtf((float)cols);
    const work w = { cuda->work, cuda->work + blocks, cuda->work + 2 * blocks };
    const auto kernel = n == 4 ? recall_rows<4, A> : recall_rows<1, A>;

    if (shared > 48 * 1024)
        sru_cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared), "recall");
    kernel<<<(unsigned)blocks, THREADS, shared, cuda->stream>>>((unsigned)s->H, s->p, (int)s->rows, (unsigned)parts, s->place, factor,
                                                               (const A *)s->q, (const A *)s->k, (const A *)s->v, (A *)s->keys,
                                                               (A *)s->values, w);
    recall_all<A><<<(unsigned)(heads * ((cols + COLS - 1) / COLS)), THREADS, 0, cuda->stream>>>((unsigned)s->H, s->p, (int)s->rows,
                                                                                                (int)parts, s->place, w, (A *)s->out);
    sru_cuda_launched(cuda, "recall");
}

void sru_cuda_recall(struct sru_dev *dev, const struct sru_recall *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, recall, cuda, s);
}
