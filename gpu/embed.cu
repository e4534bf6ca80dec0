/* Embedding and its gradient. */
#include "gpu/device.cuh"

enum { EMBED_THREADS = 256, BACK_THREADS = 128, WARPS = BACK_THREADS / 32, STEPS = 8, TILE = BACK_THREADS * STEPS };

static_assert(STEPS * WARPS == 32, "a warp adds up a tile's counts, one a lane");

template <typename A> struct embed_args {
    size_t N, T, d;
    const int32_t *tokens;
    float *table;
    rows_of<A> rows;
    struct sru_cuda_mask mask;
};

/* Row blockIdx.x, a block's columns. */
template <typename A> __global__ static void embed_rows(embed_args<A> s)
{
    const size_t n = blockIdx.x, j = (size_t)blockIdx.y * EMBED_THREADS + threadIdx.x;

    if (j < s.d)
        sru_store(s.rows.row(n, s.T, s.d) + j, s.table[(size_t)s.tokens[n] * s.d + j] * sru_cuda_factor(s.mask, n, j, s.d));
}

template <typename A> static void embed(struct sru_cuda *cuda, const struct sru_embed *s)
{
    const embed_args<A> k = { s->B * s->T, s->T, s->d, s->tokens, s->table.w, s->x, sru_cuda_mask_of(&s->mask) };
    const dim3 grid((unsigned)k.N, (unsigned)((s->d + EMBED_THREADS - 1) / EMBED_THREADS));

    if (k.N == 0 || s->d == 0)
        return;
    embed_rows<A><<<grid, EMBED_THREADS, 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, "embed");
}

void sru_cuda_embed(struct sru_dev *dev, const struct sru_embed *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, embed, cuda, s);
}

/* ---- Backward: a block gathers a token's rows, a tile of positions at a time ---------------------- */

/* The tile's positions that hold the token, in order, and where their rows begin. */
struct found {
    uint16_t position[TILE];
    size_t   at[TILE];
};

/* The number of matches before those of step lane / WARPS of warp lane % WARPS; *total is that of all. */
__device__ static int count_before(const int *count, int *total)
{
    const int lane = threadIdx.x % 32, own = count[lane];
    int sum = own;

    for (int i = 1; i < 32; i *= 2) {
        const int other = __shfl_up_sync(0xffffffffu, sum, i);
        sum += lane >= i ? other : 0;
    }
    *total = __shfl_sync(0xffffffffu, sum, 31);
    return sum - own;
}

/* Find token v from position `from` on; `count` must be another one than the last time.  Returns how many there are. */
template <typename A> __device__ static int find(const embed_args<A> &s, int32_t v, size_t from, int *count, struct found *found)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned matches[STEPS];
    int total;

#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const size_t n = from + i * BACK_THREADS + threadIdx.x;
        matches[i] = __ballot_sync(0xffffffffu, n < s.N && s.tokens[n] == v);
    }
#pragma unroll
    for (int i = 0; i < STEPS; i++)
        if (lane == 0)
            count[i * WARPS + warp] = __popc(matches[i]);
    __syncthreads();   /* and all have read what was found the last time */
    const int before = count_before(count, &total);
    if (total == 0)
        return 0;
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const int first = __shfl_sync(0xffffffffu, before, i * WARPS + warp);
        if (matches[i] >> lane & 1) {
            const int position = i * BACK_THREADS + threadIdx.x, k = first + __popc(matches[i] & ((1u << lane) - 1));
            const size_t n = from + position;
            found->position[k] = (uint16_t)position;
            found->at[k] = n / s.T * s.rows.stride + n % s.T * s.d;
        }
    }
    __syncthreads();
    return total;
}

/* A thread has EACH columns of token blockIdx.x; with one, several rows are read at a time. */
template <typename A, int EACH> __global__ static void gather_rows(embed_args<A> s)
{
    __shared__ struct found found;
    __shared__ int count[2][32];
    const size_t v = blockIdx.x, first = (size_t)blockIdx.y * BACK_THREADS * EACH + threadIdx.x;
    float sum[EACH] = { 0 };

    for (size_t from = 0; from < s.N; from += TILE) {
        const int n = find(s, (int32_t)v, from, count[from / TILE % 2], &found);
#pragma unroll 8 / EACH
        for (int k = 0; k < n; k++) {
            const A *row = s.rows.p + found.at[k];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const size_t j = first + i * BACK_THREADS;
                if (j < s.d)
                    sum[i] = fmaf(sru_load(row + j), sru_cuda_factor(s.mask, from + found.position[k], j, s.d), sum[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < EACH; i++)
        if (first + i * BACK_THREADS < s.d)
            s.table[v * s.d + first + i * BACK_THREADS] = sum[i];
}

/* Few tokens occur often: many blocks share one's columns.  With many tokens their search is what takes time. */
template <typename A> static void embed_back(struct sru_cuda *cuda, const struct sru_embed *s)
{
    const embed_args<A> k = { s->B * s->T, s->T, s->d, s->tokens, s->table.g, s->dx, sru_cuda_mask_of(&s->mask) };
    const size_t each = s->V <= 1024 ? 1 : 8, columns = BACK_THREADS * each;
    const dim3 grid((unsigned)s->V, (unsigned)((s->d + columns - 1) / columns));

    if (s->V == 0 || s->d == 0)
        return;
    if (each == 1)
        gather_rows<A, 1><<<grid, BACK_THREADS, 0, cuda->stream>>>(k);
    else
        gather_rows<A, 8><<<grid, BACK_THREADS, 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, "embed_back");
}

void sru_cuda_embed_back(struct sru_dev *dev, const struct sru_embed *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, embed_back, cuda, s);
}
