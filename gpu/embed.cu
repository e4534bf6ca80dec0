/* Embedding and its gradient: rows whose columns are in eights by groups (gpu/groups.cuh), others a column at a time. */
#include "gpu/groups.cuh"

template <typename A> struct embed_args {
    size_t N, T, d;
    const int32_t *tokens;
    float *table;
    rows_of<A> rows;
    struct sru_cuda_mask mask;
    bool add;
};

/* Whether all rows, and the mask, go by groups. */
template <typename A> static bool in_groups(const embed_args<A> &s)
{
    return s.d % SRU_GROUP == 0 && sru_in_fours(s.rows) && (uintptr_t)s.table % sizeof(float4) == 0 && !s.mask.given;
}

/* ---- Forward: a block a row ------------------------------------------------------------------------ */

enum { EMBED_THREADS = 256 };

template <typename A> __global__ static void embed_groups(embed_args<A> s)
{
    const size_t n = blockIdx.x;
    const float *e = s.table + (size_t)s.tokens[n] * s.d;
    A *y = s.rows.row(n, s.T, s.d);

    for (size_t g = threadIdx.x; g < s.d / SRU_GROUP; g += blockDim.x) {
        float x[SRU_GROUP];

        sru_read_group(e, g, s.d, x);
        sru_mask_group(s.mask, n, g, s.d, x);
        sru_write_group(y, g, s.d, x);
    }
}

template <typename A> __global__ static void embed_columns(embed_args<A> s)
{
    const size_t n = blockIdx.x;

    for (size_t j = threadIdx.x; j < s.d; j += blockDim.x)
        sru_store(s.rows.row(n, s.T, s.d) + j, s.table[(size_t)s.tokens[n] * s.d + j] * sru_cuda_factor(s.mask, n, j, s.d));
}

template <typename A> static void embed(struct sru_cuda *cuda, const struct sru_embed *s)
{
    const embed_args<A> k = { s->B * s->T, s->T, s->d, s->tokens, s->table.w, s->x, sru_cuda_mask_of(&s->mask), false };
    const bool groups = in_groups(k);

    if (k.N == 0 || k.d == 0)
        return;
    const unsigned threads = sru_threads_for(groups ? k.d / SRU_GROUP : k.d, EMBED_THREADS);
    if (groups)
        embed_groups<A><<<(unsigned)k.N, threads, 0, cuda->stream>>>(k);
    else
        embed_columns<A><<<(unsigned)k.N, threads, 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, "embed");
}

void sru_cuda_embed(struct sru_dev *dev, const struct sru_embed *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, embed, cuda, s);
}

/* ---- Backward by groups: the rows are sorted by token --------------------------------------------------- */

enum { SORT_THREADS = 1024, SORT_WARPS = SORT_THREADS / 32 };

/* Where the rows of token v = blockIdx.x begin in the order of tokens, and those rows, in theirs.  A warp takes a part of all rows. */
__global__ static void sort_rows(size_t N, const int32_t *__restrict__ tokens, uint32_t *__restrict__ first, uint32_t *__restrict__ order)
{
    __shared__ uint32_t count[SORT_WARPS];
    const int32_t v = (int32_t)blockIdx.x;
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const size_t from = N * warp / SORT_WARPS, to = N * (warp + 1) / SORT_WARPS;
    uint32_t less = 0, same = 0;

#pragma unroll 8
    for (size_t n = from + lane; n < to; n += 32) {
        less += tokens[n] < v;
        same += tokens[n] == v;
    }
    same = sru_warp_sum(same);
    if (lane == 0)
        count[warp] = same;
    uint32_t at = sru_block_sum(less);   /* and all see the counts */
    if (threadIdx.x == 0)
        first[v] = at;
    if (threadIdx.x == 0 && blockIdx.x + 1 == gridDim.x)
        first[v + 1] = (uint32_t)N;
    for (unsigned w = 0; w < warp; w++)
        at += count[w];
#pragma unroll 4
    for (size_t n = from; n < to && same > 0; n += 32) {
        const bool match = n + lane < to && tokens[n + lane] == v;
        const unsigned matches = __ballot_sync(0xffffffffu, match);

        if (match)
            order[at + __popc(matches & ((1u << lane) - 1))] = (uint32_t)(n + lane);
        at += __popc(matches);
    }
}

template <typename A> __device__ static void put(const embed_args<A> &s, size_t at, float sum)
{
    s.table[at] = s.add ? s.table[at] + sum : sum;
}

/* A block has SLICE groups of a token's columns.  All its threads mask CHUNK rows at a time; then a thread a column adds them up. */
enum { BACK_THREADS = 128, SLICE = 8, COLUMNS = SLICE * SRU_GROUP, ROWS = BACK_THREADS / SLICE, EACH = 4, CHUNK = ROWS * EACH };

template <typename A> __device__ static void stage_rows(const embed_args<A> &s, const uint32_t *order, uint32_t from, uint32_t n,
                                                        unsigned slice, float (*stage)[COLUMNS])
{
    const uint32_t q = threadIdx.x % SLICE, r = threadIdx.x / SLICE, T = (uint32_t)s.T;
    const size_t g = slice + q < s.d / SRU_GROUP ? slice + q : slice;   /* beyond the last one any will do */
    sru_four<A> four[EACH][2];
    uint32_t at[EACH];

#pragma unroll
    for (int e = 0; e < EACH; e++) {
        at[e] = from + (r + e * ROWS < n ? r + e * ROWS : 0);
        if (order)
            at[e] = order[at[e]];
    }
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        const uint32_t b = at[e] / T;
        const A *row = s.rows.p + b * s.rows.stride + (at[e] - b * T) * s.d + 4 * g;

        four[e][0] = sru_read_four(row);
        four[e][1] = sru_read_four(row + s.d / 2);
    }
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        float x[SRU_GROUP];

        if (r + e * ROWS >= n)
            break;
        for (int i = 0; i < SRU_GROUP; i++)
            x[i] = sru_element(four[e], i);
        sru_mask_group(s.mask, at[e], g, s.d, x);
        sru_write_four(stage[r + e * ROWS] + 4 * q, x);
        sru_write_four(stage[r + e * ROWS] + COLUMNS / 2 + 4 * q, x + 4);
    }
}

/* The rows of a token among the sorted ones. */
struct run {
    unsigned token;
    uint32_t from, to;
};

/* The run that begins at row i where tokens do not fall; an empty one where none does. */
template <typename A> __device__ static struct run run_at(const embed_args<A> &s, uint32_t i)
{
    const int32_t v = s.tokens[i];
    uint32_t low = i + 1, high = (uint32_t)s.N;   /* its end is one of these */

    if (i > 0 && s.tokens[i - 1] == v)
        return { 0, 0, 0 };
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (s.tokens[middle] == v)
            low = middle + 1;
        else
            high = middle;
    }
    return { (unsigned)v, i, low };
}

/* Run blockIdx.x / share: token v's, or with `add` the one at row v.  Blocks that share it take slices in turn. */
template <typename A> __global__ static void __launch_bounds__(BACK_THREADS, 8) gather_groups(embed_args<A> s, unsigned share,
                                                                                              const uint32_t *first, const uint32_t *order)
{
    __shared__ __align__(16) float stage[CHUNK][COLUMNS];
    const unsigned which = blockIdx.x / share, groups = (unsigned)(s.d / SRU_GROUP), c = threadIdx.x;
    const struct run run = s.add ? run_at(s, which) : (struct run){ which, first[which], first[which + 1] };
    const uint32_t from = run.from, to = run.to;
    const unsigned v = run.token;

    if (s.add && from == to)
        return;
    for (unsigned slice = blockIdx.x % share * SLICE; slice < groups; slice += share * SLICE) {
        const unsigned j = 4 * slice + c % (COLUMNS / 2);   /* of a half row */
        float sum = 0.0f;

        for (uint32_t k = from; k < to; k += CHUNK) {
            const uint32_t n = to - k < CHUNK ? to - k : CHUNK;

            __syncthreads();   /* the last rows have been added */
            stage_rows(s, order, k, n, slice, stage);
            __syncthreads();
#pragma unroll 8
            for (uint32_t i = 0; i < n && c < COLUMNS; i++)
                sum += stage[i][c];
        }
        if (c < COLUMNS && j < s.d / 2)
            put(s, (size_t)v * s.d + c / (COLUMNS / 2) * (s.d / 2) + j, sum);
    }
}

/* Where each token's rows begin among the sorted ones, and these. */
size_t sru_cuda_embed_work(const struct sru_shape *s)
{
    return s->train ? s->V + 1 + s->B * s->T : 0;
}

template <typename A> static bool back_by_groups(struct sru_cuda *cuda, const embed_args<A> &k, size_t V)
{
    const size_t slices = (k.d / SRU_GROUP + SLICE - 1) / SLICE;
    const size_t runs = k.add ? k.N : V;
    const unsigned share = (unsigned)sru_max(1, sru_min(slices, ((size_t)1 << 17) / sru_max(runs, 1)));
    uint32_t *first = k.add ? nullptr : (uint32_t *)cuda->work, *order = k.add ? nullptr : first + V + 1;

    if (!in_groups(k))
        return false;
    if (!k.add) {
        sort_rows<<<(unsigned)V, SORT_THREADS, 0, cuda->stream>>>(k.N, k.tokens, first, order);
        sru_cuda_launched(cuda, "embed_back");
    }
    if (runs > 0)
        gather_groups<A><<<(unsigned)runs * share, BACK_THREADS, 0, cuda->stream>>>(k, share, first, order);
    sru_cuda_launched(cuda, "embed_back");
    return true;
}

/* ---- Backward, a column at a time: a block gathers a token's rows, a tile of positions at a time ----------- */

enum { GATHER_THREADS = 128, WARPS = GATHER_THREADS / 32, STEPS = 8, TILE = GATHER_THREADS * STEPS };

static_assert(STEPS * WARPS == 32, "a warp adds up a tile's counts, one a lane");

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

/* Find token v from position `from` on, in order; `count` must be another one than the last time.  Returns how many there are. */
template <typename A> __device__ static int find(const embed_args<A> &s, int32_t v, size_t from, int *count, size_t *found)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned matches[STEPS];
    int total;

#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const size_t n = from + i * GATHER_THREADS + threadIdx.x;
        matches[i] = __ballot_sync(0xffffffffu, n < s.N && s.tokens[n] == v);
        if (lane == 0)
            count[i * WARPS + warp] = __popc(matches[i]);
    }
    __syncthreads();   /* and all have read what was found the last time */
    const int before = count_before(count, &total);
#pragma unroll
    for (int i = 0; i < STEPS; i++) {
        const int first = __shfl_sync(0xffffffffu, before, i * WARPS + warp);
        if (matches[i] >> lane & 1)
            found[first + __popc(matches[i] & ((1u << lane) - 1))] = from + i * GATHER_THREADS + threadIdx.x;
    }
    __syncthreads();
    return total;
}

/* A column of token blockIdx.x. */
template <typename A> __global__ static void gather_columns(embed_args<A> s)
{
    __shared__ size_t found[TILE];
    __shared__ int count[2][32];
    const size_t v = blockIdx.x, j = (size_t)blockIdx.y * GATHER_THREADS + threadIdx.x;
    float sum = 0.0f;

    for (size_t from = 0; from < s.N; from += TILE) {
        const int n = find(s, (int32_t)v, from, count[from / TILE % 2], found);
#pragma unroll 8
        for (int k = 0; k < n && j < s.d; k++)   /* not fused: as the other path has it */
            sum += __fmul_rn(sru_load(s.rows.row(found[k], s.T, s.d) + j), sru_cuda_factor(s.mask, found[k], j, s.d));
    }
    if (j < s.d)
        put(s, (size_t)v * s.d + j, sum);
}

template <typename A> static void embed_back(struct sru_cuda *cuda, const struct sru_embed *s)
{
    const embed_args<A> k = { s->B * s->T, s->T, s->d, s->tokens, s->table.g, s->dx, sru_cuda_mask_of(&s->mask), s->add };
    const dim3 grid((unsigned)s->V, (unsigned)((s->d + GATHER_THREADS - 1) / GATHER_THREADS));

    if (s->V == 0 || s->d == 0 || back_by_groups(cuda, k, s->V))
        return;
    gather_columns<A><<<grid, GATHER_THREADS, 0, cuda->stream>>>(k);
    sru_cuda_launched(cuda, "embed_back");
}

void sru_cuda_embed_back(struct sru_dev *dev, const struct sru_embed *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, embed_back, cuda, s);
}
