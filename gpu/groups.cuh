/*
 * Rows whose columns are in eights, by groups of eight, as masks go (simd/philox.h): group g is columns 4g to 4g+3, and as many from
 * the row's middle on.  One block of random words decides about a group.
 */
#ifndef SRU_GPU_GROUPS_CUH
#define SRU_GPU_GROUPS_CUH

#include "gpu/device.cuh"

enum { SRU_GROUP = 8, SRU_WARP = 32 };

/* Half a group as it stands in memory, aligned to its size; in registers bf16 stay in pairs. */
template <typename A> struct sru_four;
template <> struct sru_four<float> { float4 x; };
template <> struct sru_four<__nv_bfloat16> { uint2 x; };

template <typename A> __device__ inline sru_four<A> sru_read_four(const A *p)
{
    return *(const sru_four<A> *)p;
}

__device__ inline float sru_element(const sru_four<float> &four, int i)
{
    return i == 0 ? four.x.x : i == 1 ? four.x.y : i == 2 ? four.x.z : four.x.w;
}

__device__ inline float sru_element(const sru_four<__nv_bfloat16> &four, int i)
{
    const uint32_t pair = i < 2 ? four.x.x : four.x.y;

    return __uint_as_float(i % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
}

__device__ inline void sru_write_four(float *p, const float *x)
{
    *(float4 *)p = make_float4(x[0], x[1], x[2], x[3]);
}

__device__ inline void sru_write_four(__nv_bfloat16 *p, const float *x)
{
    union { __nv_bfloat162 pair[2]; uint2 all; } four;

    four.pair[0] = __floats2bfloat162_rn(x[0], x[1]);
    four.pair[1] = __floats2bfloat162_rn(x[2], x[3]);
    *(uint2 *)p = four.all;
}

/* Group g of a row of `cols` columns. */
template <typename A> __device__ inline void sru_read_group(const A *p, size_t g, size_t cols, float (&x)[SRU_GROUP])
{
    const sru_four<A> four[2] = { sru_read_four(p + 4 * g), sru_read_four(p + cols / 2 + 4 * g) };

    for (int i = 0; i < SRU_GROUP; i++)
        x[i] = sru_element(four, i);
}

template <typename A> __device__ inline void sru_write_group(A *p, size_t g, size_t cols, const float (&x)[SRU_GROUP])
{
    if (g >= cols / SRU_GROUP)
        return;
    sru_write_four(p + 4 * g, x);
    sru_write_four(p + cols / 2 + 4 * g, x + 4);
}

/* The random words of a group, and with them the factor of its element i; both for masks that are on and not given. */
__device__ inline void sru_group_words(const struct sru_cuda_mask &m, size_t row, size_t g, size_t cols, uint32_t c[4])
{
    const uint64_t block = (uint64_t)row * (cols / SRU_GROUP) + g;

    c[0] = (uint32_t)block;
    c[1] = (uint32_t)(block >> 32);
    c[2] = m.step->count;
    c[3] = m.site;
    sru_cuda_philox(c, m.seed);
}

__device__ inline float sru_group_factor(const struct sru_cuda_mask &m, const uint32_t c[4], int i)
{
    return (i < 4 ? c[i] << 16 : c[i - 4]) < m.limit ? 0.0f : m.keep;
}

/* Times the factors of group g of a row; not of masks that are given. */
__device__ inline void sru_mask_group(const struct sru_cuda_mask &m, size_t row, size_t g, size_t cols, float (&x)[SRU_GROUP])
{
    uint32_t words[4];

    if (!m.on)
        return;
    sru_group_words(m, row, g, cols, words);
    for (int i = 0; i < SRU_GROUP; i++)
        x[i] *= sru_group_factor(m, words, i);
}

/* to (=) or, with add, (+=) mask * from, of group g of row n. */
template <typename A> __device__ inline void sru_move_group(const struct sru_cuda_mask &m, size_t n, size_t g, size_t cols, const A *from,
                                                            A *to, bool add)
{
    float x[SRU_GROUP], before[SRU_GROUP] = {};

    sru_read_group(from, g, cols, x);
    if (add)
        sru_read_group((const A *)to, g, cols, before);
    sru_mask_group(m, n, g, cols, x);
    for (int i = 0; i < SRU_GROUP; i++)
        x[i] += before[i];
    sru_write_group(to, g, cols, x);
}

/* Whether every row, of columns in eights, can be read by fours; so can rows that there are not. */
template <typename A> inline bool sru_in_fours(const rows_of<A> &rows)
{
    return ((uintptr_t)rows.p | rows.stride * sizeof(A)) % sizeof(sru_four<A>) == 0;
}

/* The threads of a block for as much work, in rounds of at most `most`. */
inline unsigned sru_threads_for(size_t work, size_t most)
{
    const size_t rounds = (work + most - 1) / most;

    return (unsigned)sru_round_up((work + rounds - 1) / rounds, SRU_WARP);
}

/* ---- Rows in the registers of a team of threads: a warp, or the block ------------------------------------ */

/* Thread i of a team has groups i, i + team and so on. */
template <int team> __device__ inline size_t sru_group_of(int e)
{
    return threadIdx.x % team + e * team;
}

/* A thread's part of a row: 0 beyond the row, and where there is none. */
template <int team, typename A, int each> __device__ inline void sru_read_row(const A *p, size_t cols, sru_four<A> (&x)[each][2])
{
#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t g = sru_group_of<team>(e);
        const bool held = p && g < cols / SRU_GROUP;

        x[e][0] = held ? sru_read_four(p + 4 * g) : sru_four<A>{};
        x[e][1] = held ? sru_read_four(p + cols / 2 + 4 * g) : sru_four<A>{};
    }
}

template <typename A> __device__ inline float sru_element(const sru_four<A> (&x)[2], int i)
{
    return sru_element(x[i / 4], i % 4);
}

/* The random words of row n: none decides where the mask is off, since its limit is 0. */
template <int team, int each>
__device__ inline void sru_mask_row(const struct sru_cuda_mask &m, size_t n, size_t cols, uint32_t (&c)[each][4])
{
    if (m.on) {
#pragma unroll
        for (int e = 0; e < each; e++)
            sru_group_words(m, n, sru_group_of<team>(e), cols, c[e]);
    } else {
#pragma unroll
        for (int e = 0; e < each; e++)
            c[e][0] = c[e][1] = c[e][2] = c[e][3] = 0;
    }
}

/* Each number's sum over a team, in all its threads. */
template <int team, int n> __device__ inline void sru_team_sum(float (&x)[n])
{
#pragma unroll
    for (int k = 0; k < n; k++)
        x[k] = sru_warp_sum(x[k]);
    if constexpr (team > SRU_WARP) {
        __shared__ float part[n][team / SRU_WARP];

        __syncthreads();   /* part may still be read from the last time */
        if (threadIdx.x % SRU_WARP == 0)
            for (int k = 0; k < n; k++)
                part[k][threadIdx.x / SRU_WARP] = x[k];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < n; k++) {
            x[k] = part[k][0];
            for (int i = 1; i < team / SRU_WARP; i++)
                x[k] += part[k][i];
        }
    }
}

#endif
