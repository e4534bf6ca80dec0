/*
 * Products of few rows, as generation has: matrix-vector products in all but name.  Their time is that of reading b, which takes many
 * threads with wide loads; cuBLASLt's tiles are made for more rows.
 */
#include "gpu/groups.cuh"
#include "gpu/product.cuh"

enum {
    MOST = 4,                   /* rows */
    WARP = 32, EIGHT = 8,       /* elements at a time */
    AHEAD = 8,                  /* eights that a thread has on their way */
    OUTPUTS = 4,                /* of a block of warps */
    COLUMNS = 64, THREADS = 256, TEAM = COLUMNS / EIGHT, SLICES = THREADS / TEAM, WARPS = THREADS / WARP,
    CHUNK = AHEAD * SLICES,     /* of k, as many as there are threads */
};

template <typename C, typename A> struct args {
    size_t m, n, k, ldc;
    const A *a, *b;
    C *c;
};

/* Eight elements as they stand in memory. */
template <typename A> struct alignas(16) eight {
    sru_four<A> half[2];
};

/* AHEAD eights from p on, `step` elements apart, as far as there are more than i * step elements. */
template <typename A> __device__ static void fetch(const A *p, size_t step, size_t elements, eight<A> (&x)[AHEAD])
{
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
        x[i] = i * step < elements ? *(const eight<A> *)(p + i * step) : eight<A>{};
}

/* ---- b [n,k]: a warp for an output ------------------------------------------------------------------- */

template <int rows, typename C, typename A> __global__ static void by_outputs(args<C, A> s)
{
    const size_t o = (size_t)blockIdx.x * OUTPUTS + threadIdx.x / WARP, step = WARP * EIGHT;
    const int lane = threadIdx.x % WARP;
    float sum[rows] = {};

    if (o >= s.n)
        return;
    for (size_t i = lane * EIGHT; i < s.k; i += AHEAD * step) {
        eight<A> b[AHEAD], a[AHEAD];

        fetch(s.b + o * s.k + i, step, s.k - i, b);
        for (int r = 0; r < rows; r++) {
            fetch(s.a + (r < s.m ? r : 0) * s.k + i, step, s.k - i, a);
#pragma unroll
            for (int e = 0; e < AHEAD; e++)
                for (int j = 0; j < EIGHT; j++)
                    sum[r] += sru_element(b[e].half, j) * sru_element(a[e].half, j);
        }
    }
    for (int r = 0; r < rows; r++) {
        sum[r] = sru_warp_sum(sum[r]);
        if (lane == 0 && r < s.m)
            sru_store(s.c + r * s.ldc + o, sum[r]);
    }
}

/* ---- b [k,n]: a block for COLUMNS outputs, SLICES of its threads for the same eight ---------------------- */

template <int rows, typename C, typename A> __global__ static void by_columns(args<C, A> s)
{
    __shared__ float room[rows][WARPS][COLUMNS], x[rows][CHUNK];
    const int mine = threadIdx.x % TEAM * EIGHT, slice = threadIdx.x / TEAM, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const size_t first = (size_t)blockIdx.x * COLUMNS;
    float sum[rows][EIGHT] = {};

    for (size_t from = 0; from < s.k; from += CHUNK) {
        const size_t i = from + slice, at = from + threadIdx.x;
        eight<A> b[AHEAD];

        fetch(s.b + i * s.n + first + mine, SLICES * s.n, i < s.k && first + mine < s.n ? (s.k - i) * s.n : 0, b);
        __syncthreads();   /* x may still be read */
        for (int r = 0; r < rows; r++)
            x[r][threadIdx.x] = r < s.m && at < s.k ? sru_load(s.a + r * s.k + at) : 0.0f;
        __syncthreads();
#pragma unroll
        for (int e = 0; e < AHEAD; e++)
            for (int r = 0; r < rows; r++)
                for (int j = 0; j < EIGHT; j++)
                    sum[r][j] += x[r][slice + e * SLICES] * sru_element(b[e].half, j);
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < EIGHT; j++) {
            for (int d = TEAM; d < WARP; d *= 2)
                sum[r][j] += __shfl_xor_sync(0xffffffffu, sum[r][j], d);
            if (lane < TEAM)
                room[r][warp][mine + j] = sum[r][j];
        }
    __syncthreads();
    for (int i = threadIdx.x; i < rows * COLUMNS; i += THREADS) {
        const int r = i / COLUMNS, j = i % COLUMNS;
        float all = 0.0f;

        for (int w = 0; w < WARPS; w++)
            all += room[r][w][j];
        if (r < s.m && first + j < s.n)
            sru_store(s.c + r * s.ldc + first + j, all);
    }
}

/* ---- Launching ------------------------------------------------------------------------------------------ */

template <int rows, typename C, typename A> static void launch(struct sru_cuda *cuda, const args<C, A> &s, bool tb)
{
    if (tb)
        by_outputs<rows><<<(unsigned)((s.n + OUTPUTS - 1) / OUTPUTS), OUTPUTS * WARP, 0, cuda->stream>>>(s);
    else
        by_columns<rows><<<(unsigned)((s.n + COLUMNS - 1) / COLUMNS), THREADS, 0, cuda->stream>>>(s);
    sru_cuda_launched(cuda, "a matrix product");
}

template <typename C, typename A>
static void multiply(struct sru_cuda *cuda, const struct sru_cuda_product *k, const void *a, const void *b, void *c)
{
    const args<C, A> s = { k->m, k->n, k->k, k->ldc ? k->ldc : k->n, (const A *)a, (const A *)b, (C *)c };

    if (k->m == 1)
        launch<1>(cuda, s, k->tb);
    else
        launch<MOST>(cuda, s, k->tb);
}

bool sru_cuda_few_rows(struct sru_cuda *cuda, const struct sru_cuda_product *k, const void *a, const void *b, void *c)
{
    const size_t row = k->tb ? k->k : k->n;   /* of b */
    const bool dense = (k->lda == 0 || k->lda == k->k) && (k->ldb == 0 || k->ldb == row);

    if (k->m == 0 || k->m > MOST || k->batch > 1 || k->ta || k->add || !dense || row == 0 || row % EIGHT != 0
        || ((k->tb ? (uintptr_t)a : 0) | (uintptr_t)b) % 16 != 0)
        return false;
    if (!cuda->bf16)
        multiply<float, float>(cuda, k, a, b, c);
    else if (k->c_f32)
        multiply<float, __nv_bfloat16>(cuda, k, a, b, c);
    else
        multiply<__nv_bfloat16, __nv_bfloat16>(cuda, k, a, b, c);
    return true;
}
