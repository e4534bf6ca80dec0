/*
 * Normalisation of rows whose columns are in eights, and not too many: a team of threads, a warp or of longer rows the block, reads a
 * row once and holds it in registers.  In the backward a team holds its sums of columns too, over all rows that it takes.
 */
#include "gpu/groups.cuh"
#include "gpu/norm.cuh"

enum {
    WARP = SRU_WARP, BLOCK = 128, WIDE = 256,   /* threads of a team: several in a block, or the block */
    PROCESSORS = 132,               /* what the backward's grid fills */
};

/* Threads of a block of teams. */
__host__ __device__ static constexpr int threads_of(int team) { return team == WARP ? BLOCK : team; }

/* Row n's stream and its place there; of 32 bits, for the division's sake. */
struct place {
    size_t b, t;
};

__device__ static struct place place_of(size_t n, size_t T)
{
    const unsigned b = (unsigned)n / (unsigned)T;

    return { b, (unsigned)n - b * (unsigned)T };
}

template <typename A> __device__ static A *row_at(const rows_of<A> &rows, const struct place &at, size_t cols)
{
    return rows.p ? rows.p + at.b * rows.stride + at.t * cols : nullptr;
}

/* A group of gamma or beta, which no kernel here writes: read past the stores before it. */
__device__ static void weights_at(const float *p, size_t g, size_t cols, float (&x)[SRU_GROUP])
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const bool held = g < cols / SRU_GROUP;
        const float4 four = held ? __ldg((const float4 *)(p + h * (cols / 2) + 4 * g)) : make_float4(0, 0, 0, 0);

        x[4 * h] = four.x;
        x[4 * h + 1] = four.y;
        x[4 * h + 2] = four.z;
        x[4 * h + 3] = four.w;
    }
}

/* ---- Forward ------------------------------------------------------------------------------------------- */

template <typename A, int team, int each> __global__ static void __launch_bounds__(threads_of(team)) norm_groups(norm_args<A> s)
{
    const size_t n = (size_t)blockIdx.x * (threads_of(team) / team) + threadIdx.x / team, cols = s.cols;
    if (n >= s.N)
        return;
    const struct place at = place_of(n, s.T);
    const A *a = row_at(s.a, at, cols), *r = row_at(s.r, at, cols);
    A *y = row_at(s.y, at, cols);   /* may be r */
    const float alpha = a ? *s.alpha : 0;
    sru_four<A> as[each][2], rs[each][2];
    uint32_t words[each][4];
    float x[each][SRU_GROUP], sum[1] = { 0 }, square[1] = { 0 };

    sru_read_row<team>(a, cols, as);
    sru_read_row<team>(r, cols, rs);
    sru_mask_row<team>(s.mask, n, cols, words);
#pragma unroll
    for (int e = 0; e < each; e++)
        for (int i = 0; i < SRU_GROUP; i++)
            sum[0] += x[e][i] = fmaf(alpha, sru_element(as[e], i), sru_element(rs[e], i));
    sru_team_sum<team>(sum);
    const float mean = sum[0] / (float)cols;

#pragma unroll
    for (int e = 0; e < each; e++)
        for (int i = 0; i < SRU_GROUP; i++) {
            x[e][i] = sru_group_of<team>(e) < cols / SRU_GROUP ? x[e][i] - mean : 0;
            square[0] = fmaf(x[e][i], x[e][i], square[0]);
        }
    sru_team_sum<team>(square);
    const float inverse = 1.0f / sqrtf(square[0] / (float)cols + 1e-5f);

#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = sru_group_of<team>(e);
        float gamma[SRU_GROUP], beta[SRU_GROUP];

        weights_at(s.gamma, g, cols, gamma);
        weights_at(s.beta, g, cols, beta);
        for (int i = 0; i < SRU_GROUP; i++)
            x[e][i] = fmaf(x[e][i] * inverse, gamma[i], beta[i]) * sru_group_factor(s.mask, words[e], i);
        sru_write_group(y, g, cols, x[e]);
    }
    if (s.stats && threadIdx.x % team == 0)
        *(float2 *)(s.stats + 2 * n) = make_float2(mean, inverse);
}

/* ---- Backward ------------------------------------------------------------------------------------------ */

/* Blocks that a processor can hold at once, by the registers that they take. */
static constexpr int resident(size_t bytes, int threads, int each)
{
    return threads == WIDE ? 1 : bytes == 2 ? each < 3 ? 4 : each == 3 ? 3 : 2 : each == 1 ? 4 : each == 2 ? 3 : 2;
}

/*
 * With e = dy gamma and the normalised x: ds = (e - mean(e) - x mean(e x)) / sigma.  `joined`: there is an a.  Returns the thread's part
 * of dalpha.
 */
template <typename A, bool joined, int team, int each>
__device__ static float back_row(const norm_args<A> &s, size_t n, float (&dgamma)[each][SRU_GROUP], float (&dbeta)[each][SRU_GROUP])
{
    const size_t cols = s.cols;
    const struct place at = place_of(n, s.T);
    A *dr = row_at(s.dr, at, cols), *before = s.add_dr ? dr : nullptr;
    const float alpha = joined ? *s.alpha : 0;
    const float2 stats = *(const float2 *)(s.stats + 2 * n);
    sru_four<A> as[each][2], rs[each][2], dys[each][2], drs[each][2];
    sru_four<float> gamma[each][2];
    uint32_t words[each][4];
    float x[each][SRU_GROUP], es[each][SRU_GROUP], sum[2] = { 0, 0 }, dalpha = 0;

    if (joined)
        sru_read_row<team>(row_at(s.a, at, cols), cols, as);
    else
        sru_read_row<team>(before, cols, drs);
    sru_read_row<team>(row_at(s.r, at, cols), cols, rs);
    sru_read_row<team>(row_at(s.dy, at, cols), cols, dys);
    sru_read_row<team>(s.gamma, cols, gamma);   /* not held from row to row: registers are few */
    sru_mask_row<team>(s.mask, n, cols, words);
#pragma unroll
    for (int e = 0; e < each; e++)
        for (int i = 0; i < SRU_GROUP; i++) {
            const float r = sru_element(rs[e], i), g = sru_element(dys[e], i) * sru_group_factor(s.mask, words[e], i);

            x[e][i] = ((joined ? fmaf(alpha, sru_element(as[e], i), r) : r) - stats.x) * stats.y;
            es[e][i] = g * sru_element(gamma[e], i);
            sum[0] += es[e][i];
            sum[1] = fmaf(es[e][i], x[e][i], sum[1]);
            dgamma[e][i] = fmaf(g, x[e][i], dgamma[e][i]);
            dbeta[e][i] += g;
        }
    sru_team_sum<team>(sum);
    const float mean = sum[0] / (float)cols, slope = sum[1] / (float)cols;

    if (joined)
        sru_read_row<team>(before, cols, drs);   /* seldom any, and registers are few */
#pragma unroll
    for (int e = 0; e < each; e++) {
        float ds[SRU_GROUP];

        for (int i = 0; i < SRU_GROUP; i++) {
            ds[i] = (es[e][i] - mean - x[e][i] * slope) * stats.y;
            if (joined)
                dalpha = fmaf(ds[i], sru_element(as[e], i), dalpha);
            x[e][i] = alpha * ds[i];
            ds[i] += sru_element(drs[e], i);
        }
        if (joined)
            sru_write_group(row_at(s.da, at, cols), sru_group_of<team>(e), cols, x[e]);
        sru_write_group(dr, sru_group_of<team>(e), cols, ds);
    }
    return dalpha;
}

template <int team, int each> __device__ static void add_to(float *p, size_t cols, bool add, const float (&x)[each][SRU_GROUP])
{
    sru_four<float> before[each][2] = {};

    if (add)
        sru_read_row<team>(p, cols, before);
#pragma unroll
    for (int e = 0; e < each; e++) {
        float sum[SRU_GROUP];

        for (int i = 0; i < SRU_GROUP; i++)
            sum[i] = sru_element(before[e], i) + x[e][i];
        sru_write_group(p, sru_group_of<team>(e), cols, sum);
    }
}

/* A block's row of sums: its teams', one after the other. */
template <typename A, bool joined, int team, int each>
__global__ static void __launch_bounds__(threads_of(team), resident(sizeof(A), threads_of(team), each)) norm_back_groups(norm_args<A> s, size_t stride, float *sums)
{
    constexpr int teams = threads_of(team) / team;
    __shared__ alignas(16) float both[teams > 1 ? 2 * each * team * SRU_GROUP : 1];
    float dgamma[each][SRU_GROUP] = {}, dbeta[each][SRU_GROUP] = {}, dalpha = 0, *out = sums + blockIdx.x * stride;
    float *all = teams > 1 ? both : out;

    for (size_t n = (size_t)blockIdx.x * teams + threadIdx.x / team; n < s.N; n += (size_t)gridDim.x * teams)
        dalpha += back_row<A, joined, team, each>(s, n, dgamma, dbeta);
    dalpha = sru_block_sum(dalpha);
    if (threadIdx.x == 0)
        out[2 * s.cols] = dalpha;
    for (int i = 0; i < teams; i++) {
        if (threadIdx.x / team == i) {
            add_to<team>(all, s.cols, i > 0, dgamma);
            add_to<team>(all + s.cols, s.cols, i > 0, dbeta);
        }
        __syncthreads();
    }
    for (size_t j = threadIdx.x; teams > 1 && j < 2 * s.cols; j += threads_of(team))
        out[j] = both[j];
}

/* ---- Masks alone ------------------------------------------------------------------------------------------ */

/* A block a row. */
template <typename A> __global__ static void mask_groups(norm_args<A> s, rows_of<A> from, rows_of<A> to, bool add)
{
    const size_t n = blockIdx.x;
    const struct place at = place_of(n, s.T);

    for (size_t g = threadIdx.x; g < s.cols / SRU_GROUP; g += blockDim.x)
        sru_move_group(s.mask, n, g, s.cols, row_at(from, at, s.cols), row_at(to, at, s.cols), add);
}

/* ---- Launching ------------------------------------------------------------------------------------------ */

/* The kernels, in a table: teams' threads, and a thread's groups.  A row goes to the first that holds it. */
static const struct kind {
    int team, each;
} kinds[] = { { WARP, 1 }, { WARP, 2 }, { WARP, 3 }, { WARP, 4 }, { BLOCK, 2 }, { BLOCK, 3 }, { BLOCK, 4 }, { WIDE, 3 }, { WIDE, 4 } };

static const size_t KINDS = sizeof kinds / sizeof *kinds;

/* KINDS where none does. */
static size_t kind_of(size_t cols)
{
    size_t i = 0;

    while (i < KINDS && (size_t)kinds[i].team * kinds[i].each * SRU_GROUP < cols)
        i++;
    return i;
}

/* Rows that can be taken in groups; a given mask is not made of words. */
template <typename A> static bool in_groups(const norm_args<A> &s)
{
    return s.cols % SRU_GROUP == 0 && s.N <= UINT32_MAX && !s.mask.given && sru_in_fours(s.a) && sru_in_fours(s.r) && sru_in_fours(s.y)
        && sru_in_fours(s.dy) && sru_in_fours(s.da) && sru_in_fours(s.dr);
}

/* And held in registers. */
template <typename A> static bool are_held(const norm_args<A> &s)
{
    return in_groups(s) && s.gamma && kind_of(s.cols) < KINDS && ((uintptr_t)s.gamma | (uintptr_t)s.beta) % sizeof(float4) == 0
        && (uintptr_t)s.stats % sizeof(float2) == 0;
}

template <typename A> bool sru_cuda_mask_groups(struct sru_cuda *cuda, const norm_args<A> &s, bool back)
{
    if (s.gamma || s.a.p || !in_groups(s))
        return false;
    mask_groups<A><<<(unsigned)s.N, sru_threads_for(s.cols / SRU_GROUP, WIDE), 0, cuda->stream>>>(s, back ? s.dy : s.r, back ? s.dr : s.y,
                                                                                                 back && s.add_dr);
    sru_cuda_launched(cuda, "norm");
    return true;
}

template <typename A> bool sru_cuda_norm_groups(struct sru_cuda *cuda, const norm_args<A> &s)
{
    static void (*const kernels[])(norm_args<A>) = {
        norm_groups<A, WARP, 1>, norm_groups<A, WARP, 2>, norm_groups<A, WARP, 3>, norm_groups<A, WARP, 4>,
        norm_groups<A, BLOCK, 2>, norm_groups<A, BLOCK, 3>, norm_groups<A, BLOCK, 4>, norm_groups<A, WIDE, 3>, norm_groups<A, WIDE, 4>,
    };

    if (!are_held(s))
        return false;
    const size_t i = kind_of(s.cols);
    const int threads = threads_of(kinds[i].team), teams = threads / kinds[i].team;

    kernels[i]<<<(unsigned)((s.N + teams - 1) / teams), threads, 0, cuda->stream>>>(s);
    sru_cuda_launched(cuda, "norm");
    return true;
}

template <typename A, bool joined> static auto back_kernel(size_t i)
{
    static void (*const kernels[])(norm_args<A>, size_t, float *) = {
        norm_back_groups<A, joined, WARP, 1>, norm_back_groups<A, joined, WARP, 2>, norm_back_groups<A, joined, WARP, 3>,
        norm_back_groups<A, joined, WARP, 4>, norm_back_groups<A, joined, BLOCK, 2>, norm_back_groups<A, joined, BLOCK, 3>,
        norm_back_groups<A, joined, BLOCK, 4>, norm_back_groups<A, joined, WIDE, 3>, norm_back_groups<A, joined, WIDE, 4>,
    };

    return kernels[i];
}

template <typename A> size_t sru_cuda_norm_back_groups(struct sru_cuda *cuda, const norm_args<A> &s, float *sums, size_t *stride)
{
    if (!are_held(s))
        return 0;
    const size_t i = kind_of(s.cols);
    const int threads = threads_of(kinds[i].team), teams = threads / kinds[i].team;
    const size_t blocks = sru_min((s.N + teams - 1) / teams, PROCESSORS * resident(sizeof(A), threads, kinds[i].each));
    const auto kernel = s.a.p ? back_kernel<A, true>(i) : back_kernel<A, false>(i);

    static_assert(PROCESSORS * resident(2, BLOCK, 1) <= SRU_NORM_SUMS);
    *stride = 2 * s.cols + 4;   /* a multiple of four: read and written by fours */
    kernel<<<(unsigned)blocks, threads, 0, cuda->stream>>>(s, *stride, sums);
    sru_cuda_launched(cuda, "norm_back");
    return blocks;
}

template bool sru_cuda_mask_groups<float>(struct sru_cuda *, const norm_args<float> &, bool);
template bool sru_cuda_mask_groups<__nv_bfloat16>(struct sru_cuda *, const norm_args<__nv_bfloat16> &, bool);
template bool sru_cuda_norm_groups<float>(struct sru_cuda *, const norm_args<float> &);
template bool sru_cuda_norm_groups<__nv_bfloat16>(struct sru_cuda *, const norm_args<__nv_bfloat16> &);
template size_t sru_cuda_norm_back_groups<float>(struct sru_cuda *, const norm_args<float> &, float *, size_t *);
template size_t sru_cuda_norm_back_groups<__nv_bfloat16>(struct sru_cuda *, const norm_args<__nv_bfloat16> &, float *, size_t *);
