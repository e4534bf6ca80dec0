/*
 * Residual and layer normalisation, a row a block; in the backward a block takes a range of rows and gathers sums of columns.  Rows in
 * groups of eight columns, the usual ones, go faster (norm-groups.cu).
 */
#include "gpu/norm.cuh"

enum {
    LEAST_THREADS = 32, MOST_THREADS = 256, EACH = 8,   /* columns of a thread, while there are few */
    FULL = 132 * 1024,          /* threads of the backward */
    BATCH = 4,                  /* columns whose loads are in flight at once */
    MOST_SHARED = 47 << 10,     /* beside what sru_block_sum takes */
    ACROSS = 32,                /* columns, and rows at a time, whose sums a block adds up */
};

template <typename A> static norm_args<A> args_of(const struct sru_norm *s)
{
    return norm_args<A>{ s->B * s->T, s->T, s->cols, s->a, s->r, s->y, s->dy, s->da, s->dr, s->add_dr, s->alpha.w, s->gamma.w,
                         s->beta.w, sru_cuda_mask_of(&s->mask), s->stats };
}

static size_t threads_of(size_t cols)
{
    return sru_max(LEAST_THREADS, sru_min(MOST_THREADS, sru_round_up((cols + EACH - 1) / EACH, 32)));
}

/* alpha a + r */
template <typename A> __device__ static float sum_at(const A *a, const A *r, float alpha, size_t j)
{
    return a ? fmaf(alpha, sru_load(a + j), sru_load(r + j)) : sru_load(r + j);
}

/* ---- Forward -------------------------------------------------------------------------------------- */

/* Mean and 1/sigma of a row. */
template <typename A> __device__ static float2 stats_of(const A *a, const A *r, float alpha, size_t cols)
{
    float sum = 0, square = 0;

#pragma unroll 4
    for (size_t j = threadIdx.x; j < cols; j += blockDim.x)
        sum += sum_at(a, r, alpha, j);
    const float mean = sru_block_sum(sum) / (float)cols;
#pragma unroll 4
    for (size_t j = threadIdx.x; j < cols; j += blockDim.x) {
        const float x = sum_at(a, r, alpha, j) - mean;
        square = fmaf(x, x, square);
    }
    return make_float2(mean, 1.0f / sqrtf(sru_block_sum(square) / (float)cols + 1e-5f));
}

template <typename A> __global__ static void norm_rows(norm_args<A> s)
{
    const size_t n = blockIdx.x, cols = s.cols;
    const A *a = s.a.row(n, s.T, cols), *r = s.r.row(n, s.T, cols);
    A *y = s.y.row(n, s.T, cols);   /* may be r */
    const float alpha = a ? *s.alpha : 0;
    const float2 stats = s.gamma ? stats_of(a, r, alpha, cols) : make_float2(0, 1);

    for (size_t j = threadIdx.x; j < cols; j += blockDim.x) {
        float x = sum_at(a, r, alpha, j);
        if (s.gamma)
            x = fmaf((x - stats.x) * stats.y, s.gamma[j], s.beta[j]);
        sru_store(y + j, x * sru_cuda_factor(s.mask, n, j, cols));
    }
    if (s.gamma && s.stats && threadIdx.x == 0) {
        s.stats[2 * n] = stats.x;
        s.stats[2 * n + 1] = stats.y;
    }
}

template <typename A> static void norm(struct sru_cuda *cuda, const struct sru_norm *s)
{
    const norm_args<A> k = args_of<A>(s);

    if (k.N == 0 || k.cols == 0 || sru_cuda_mask_groups(cuda, k, false) || sru_cuda_norm_groups(cuda, k))
        return;
    norm_rows<A><<<(unsigned)k.N, (unsigned)threads_of(k.cols), 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, "norm");
}

void sru_cuda_norm(struct sru_dev *dev, const struct sru_norm *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, norm, cuda, s);
}

/* ---- Backward ------------------------------------------------------------------------------------- */

/*
 * A block's room: sums of dgamma and dbeta, and of the present row the normalised x and mask * dy.  It is shared memory where
 * that is large enough, else a part of the block's row of workspace.  That row is dgamma, dbeta, dalpha (and the rest); without
 * gamma it is dalpha.
 */
struct room {
    float *dgamma, *dbeta, *x, *dy;
};

__device__ static struct room room_at(float *p, size_t cols)
{
    return room{ p, p + cols, p + 2 * cols + 1, p + 3 * cols + 1 };
}

static bool is_shared(size_t cols)
{
    return (4 * cols + 1) * sizeof(float) <= MOST_SHARED;
}

static size_t blocks_of(size_t N, size_t cols)
{
    return sru_min(N, FULL / threads_of(cols));
}

/*
 * The blocks' rows of sums.  Monotone, though blocks become fewer with columns: up to MOST_THREADS * EACH columns,
 * blocks * cols <= FULL * EACH.
 */
size_t sru_cuda_norm_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    const size_t cols = sru_max(s->d, s->p), each = 4 * cols + 1, most = FULL / LEAST_THREADS;

    (void)cuda;
    static_assert(SRU_NORM_SUMS <= FULL / MOST_THREADS);
    return s->train ? sru_min(s->B * s->T * each, sru_max(2 * (size_t)FULL * EACH + most, FULL / MOST_THREADS * each)) : 0;
}

/* This thread's part of the sums of e = dy gamma and of e x; fills the room. */
template <typename A> __device__ static float2 gather_row(const norm_args<A> &s, size_t n, const A *a, const A *r, float alpha,
                                                          const struct room &room)
{
    const A *dy = s.dy.row(n, s.T, s.cols);
    const float mean = s.stats[2 * n], inverse = s.stats[2 * n + 1];
    float sum = 0, product = 0;

    for (size_t first = threadIdx.x; first < s.cols; first += BATCH * blockDim.x) {
        float x[BATCH] = { 0 }, g[BATCH] = { 0 };
#pragma unroll
        for (size_t i = 0, j = first; i < BATCH; i++, j += blockDim.x)
            if (j < s.cols) {
                x[i] = (sum_at(a, r, alpha, j) - mean) * inverse;
                g[i] = sru_load(dy + j) * sru_cuda_factor(s.mask, n, j, s.cols);
            }
#pragma unroll
        for (size_t i = 0, j = first; i < BATCH; i++, j += blockDim.x)
            if (j < s.cols) {
                const float e = g[i] * s.gamma[j];
                sum += e;
                product = fmaf(e, x[i], product);
                room.dgamma[j] = fmaf(g[i], x[i], room.dgamma[j]);
                room.dbeta[j] += g[i];
                room.x[j] = x[i];
                room.dy[j] = g[i];
            }
    }
    return make_float2(sum, product);
}

/* ds of column j to where it belongs; the thread alone reads and writes the column.  Returns ds a. */
template <typename A> __device__ static float put(const norm_args<A> &s, const A *a, A *da, A *dr, float alpha, size_t j, float ds)
{
    const float dalpha = a ? ds * sru_load(a + j) : 0;

    if (a)
        sru_store(da + j, alpha * ds);
    sru_store(dr + j, s.add_dr ? ds + sru_load(dr + j) : ds);
    return dalpha;
}

/* With e = dy gamma and the normalised x: ds = (e - mean(e) - x mean(e x)) / sigma.  Returns the thread's part of dalpha. */
template <typename A> __device__ static float back_row(const norm_args<A> &s, size_t n, const struct room &room)
{
    const size_t cols = s.cols;
    const A *a = s.a.row(n, s.T, cols), *dy = s.dy.row(n, s.T, cols);
    A *da = s.da.row(n, s.T, cols), *dr = s.dr.row(n, s.T, cols);
    const float alpha = a ? *s.alpha : 0;
    float dalpha = 0;

    if (!s.gamma) {
        for (size_t j = threadIdx.x; j < cols; j += blockDim.x)
            dalpha += put(s, a, da, dr, alpha, j, sru_load(dy + j) * sru_cuda_factor(s.mask, n, j, cols));
        return dalpha;
    }
    const float2 part = gather_row(s, n, a, (const A *)s.r.row(n, s.T, cols), alpha, room);
    const float mean = sru_block_sum(part.x) / (float)cols, slope = sru_block_sum(part.y) / (float)cols;
    const float inverse = s.stats[2 * n + 1];

    for (size_t j = threadIdx.x; j < cols; j += blockDim.x)
        dalpha += put(s, a, da, dr, alpha, j, (room.dy[j] * s.gamma[j] - mean - room.x[j] * slope) * inverse);
    return dalpha;
}

/* A range of rows. */
template <typename A> __global__ static void norm_back_rows(norm_args<A> s, size_t each, bool shared, float *sums)
{
    extern __shared__ float memory[];
    float *out = sums + blockIdx.x * each, dalpha = 0;
    const struct room room = room_at(shared ? memory : out, s.cols);
    const size_t from = s.N * blockIdx.x / gridDim.x, to = s.N * (blockIdx.x + 1) / gridDim.x;

    for (size_t j = threadIdx.x; s.gamma && j < s.cols; j += blockDim.x)
        room.dgamma[j] = room.dbeta[j] = 0;
    for (size_t n = from; n < to; n++)
        dalpha += back_row(s, n, room);
    dalpha = sru_block_sum(dalpha);
    if (threadIdx.x == 0)
        out[s.gamma ? 2 * s.cols : 0] = dalpha;
    for (size_t j = threadIdx.x; s.gamma && shared && j < s.cols; j += blockDim.x) {
        out[j] = room.dgamma[j];
        out[s.cols + j] = room.dbeta[j];
    }
}

/* The sums of `rows` rows of dgamma, dbeta, which have cols columns, and dalpha (or NULL), `stride` apart. */
__global__ static void add_up(size_t rows, size_t cols, size_t stride, const float *sums, float *dgamma, float *dbeta, float *dalpha)
{
    __shared__ float part[ACROSS][ACROSS + 1];
    const size_t j = (size_t)blockIdx.x * ACROSS + threadIdx.x, mine = (size_t)blockIdx.x * ACROSS + threadIdx.y;
    float sum = 0;

    if (j <= 2 * cols) {
#pragma unroll 8
        for (size_t i = threadIdx.y; i < rows; i += ACROSS)
            sum += sums[i * stride + j];
    }
    part[threadIdx.x][threadIdx.y] = sum;
    __syncthreads();
    sum = sru_warp_sum(part[threadIdx.y][threadIdx.x]);
    if (threadIdx.x > 0 || mine > 2 * cols)
        return;
    if (mine < cols)
        dgamma[mine] = sum;
    else if (mine < 2 * cols)
        dbeta[mine - cols] = sum;
    else if (dalpha)
        *dalpha = sum;
}

/* The blocks' sums of any rows: how many rows of them, and what is between them. */
template <typename A> static size_t sum_rows(struct sru_cuda *cuda, const norm_args<A> &k, float *sums, size_t *stride)
{
    const size_t cols = k.cols, blocks = blocks_of(k.N, cols);
    const bool shared = k.gamma && is_shared(cols);

    *stride = !k.gamma ? 1 : shared ? 2 * cols + 1 : 4 * cols + 1;
    norm_back_rows<A><<<(unsigned)blocks, (unsigned)threads_of(cols), shared ? (4 * cols + 1) * sizeof(float) : 0, cuda->stream>>>(
        k, *stride, shared, sums);
    sru_cuda_launched(cuda, "norm_back");
    return blocks;
}

template <typename A> static void norm_back(struct sru_cuda *cuda, const struct sru_norm *s)
{
    const norm_args<A> k = args_of<A>(s);
    const size_t summed = k.gamma ? k.cols : 0;
    size_t stride, rows;

    if (k.N == 0 || k.cols == 0 || sru_cuda_mask_groups(cuda, k, true))
        return;
    if ((rows = sru_cuda_norm_back_groups(cuda, k, cuda->work, &stride)) == 0)
        rows = sum_rows(cuda, k, cuda->work, &stride);
    if (!k.gamma && !k.a.p)
        return;
    add_up<<<(unsigned)(2 * summed / ACROSS + 1), dim3(ACROSS, ACROSS), 0, cuda->stream>>>(
        rows, summed, stride, cuda->work, s->gamma.g, s->beta.g, s->a.p ? s->alpha.g : NULL);
    sru_cuda_launched(cuda, "norm_back");
}

void sru_cuda_norm_back(struct sru_dev *dev, const struct sru_norm *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, norm_back, cuda, s);
}
