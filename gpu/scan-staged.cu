/*
 * The recurrence with its inputs brought ahead into shared memory, 16 bytes at a time: a block takes some units of a stream, and
 * several stages of positions are under way while one is computed.
 */
#include <cuda_pipeline.h>

#include "gpu/recur.cuh"

/* Units of a block: few where there would be too few blocks to keep all multiprocessors of a large GPU equally busy. */
enum { MANY = 64, FEW = 32, DEPTH = 4, BLOCKS = 600 };

/* Positions of a stage: as many bytes in either type. */
template <typename A> struct stage_of {
    static constexpr int up = 32 / sizeof(A), down = 16 / sizeof(A);
};

/* Rows of an array of a block: position t's units from the block's first on. */
template <typename X> struct strip {
    const X *p;
    size_t stride;
};

/* Copy the block's units of position t, of which `width` exist. */
template <typename X> __device__ static void fetch(const strip<X> &from, size_t t, size_t width, X *to, int piece)
{
    constexpr int each = 16 / sizeof(X);
    const size_t at = piece * each;

    if (at < width)
        __pipeline_memcpy_async(to + at, from.p + t * from.stride + at, 16);
}

/* ---- Forward -------------------------------------------------------------------------------------- */

template <typename A, int units> struct up_row {
    A in[4][units];             /* U0, U1, U2, x */
};

/* Stage n, from position n*up on. */
template <typename A, int units> __device__ static void fetch_up(const strip<A> in[4], size_t T, size_t n, size_t width,
                                                                 up_row<A, units> *rows)
{
    constexpr int up = stage_of<A>::up, pieces = units * sizeof(A) / 16;

#pragma unroll
    for (int array = 0; array < 4; array++)
#pragma unroll
        for (int i = threadIdx.x; i < up * pieces; i += units)
            if (n * up + i / pieces < T)
                fetch(in[array], n * up + i / pieces, width, rows[i / pieces].in[array], i % pieces);
    __pipeline_commit();
}

/* A unit's outputs: where they go at position 0, and whether the thread has a unit. */
template <typename A> struct up_places {
    float *c;                   /* or NULL */
    A *h;
    bool mine;
};

/* Positions t to t + up - 1; where not `full`, those below T.  Without branches the positions' work can overlap. */
template <typename A, int units, bool full> __device__ static float stage_up(const sru_cuda_scan<A> &s, const struct sru_cuda_unit &k,
                                                                             const up_row<A, units> *rows, size_t t,
                                                                             const up_places<A> &to, float c)
{
    const int me = threadIdx.x;

#pragma unroll
    for (int i = 0; i < stage_of<A>::up; i++) {
        const up_row<A, units> &row = rows[i];
        float h;

        if (!full && t + i >= s.T)
            break;
        c = sru_cuda_step(k, s.scale, sru_cuda_inputs<A>{ row.in[0][me], row.in[1][me], row.in[2][me], row.in[3][me] }, c, &h);
        if (to.c && to.mine)
            to.c[(t + i) * s.d] = c;
        if (to.mine)
            sru_store(to.h + (t + i) * s.d, h);
    }
    return c;
}

template <typename A, int units> __global__ static void __launch_bounds__(units) scan(sru_cuda_scan<A> s)
{
    constexpr int up = stage_of<A>::up;
    __shared__ up_row<A, units> stages[DEPTH][up];
    const size_t T = s.T, d = s.d, b = blockIdx.y, first = (size_t)blockIdx.x * units, width = min((size_t)units, d - first);
    const size_t j = first + (threadIdx.x < width ? threadIdx.x : 0), count = (T + up - 1) / up;
    const A *u = s.u + b * T * 3 * d + first;
    const strip<A> in[4] = { { u, 3 * d }, { u + d, 3 * d }, { u + 2 * d, 3 * d }, { s.x.p + b * s.x.stride + first, d } };
    const struct sru_cuda_unit k = sru_cuda_unit_of(s, b, j);
    const up_places<A> to = { s.c ? s.c + b * T * d + j : nullptr, s.h.p + b * s.h.stride + j, threadIdx.x < width };
    float c = s.c0[b * d + j];

    for (int n = 0; n < DEPTH - 1; n++)
        fetch_up(in, T, n, width, stages[n]);
    for (size_t n = 0; n < count; n++) {
        fetch_up(in, T, n + DEPTH - 1, width, stages[(n + DEPTH - 1) % DEPTH]);
        __pipeline_wait_prior(DEPTH - 1);
        __syncthreads();
        if ((n + 1) * up <= T)
            c = stage_up<A, units, true>(s, k, stages[n % DEPTH], n * up, to, c);
        else
            c = stage_up<A, units, false>(s, k, stages[n % DEPTH], n * up, to, c);
        __syncthreads();
    }
    if (to.mine)
        s.c1[b * d + j] = c;
}

/* ---- Backward ------------------------------------------------------------------------------------- */

template <typename A, int units> struct down_row {
    float before[units];        /* c[t-1] */
    A in[5][units];             /* U0, U1, U2, x, dh */
};

/* Stage n, of the positions T-1 - n*down and before. */
template <typename A, int units> __device__ static void fetch_down(const strip<A> in[5], const strip<float> &c, const float *c0, size_t T,
                                                                   size_t n, size_t width, down_row<A, units> *rows)
{
    constexpr int down = stage_of<A>::down, pieces = units * sizeof(A) / 16, c_pieces = units * sizeof(float) / 16;

#pragma unroll
    for (int array = 0; array < 5; array++)
#pragma unroll
        for (int i = threadIdx.x; i < down * pieces; i += units)
            if (n * down + i / pieces < T)
                fetch(in[array], T - 1 - n * down - i / pieces, width, rows[i / pieces].in[array], i % pieces);
#pragma unroll
    for (int i = threadIdx.x; i < down * c_pieces; i += units) {
        const int row = i / c_pieces;
        const size_t after = T - n * down - row;   /* t + 1 */

        if (n * down + row < T)
            fetch(after > 1 ? c : strip<float>{ c0, 0 }, after > 1 ? after - 2 : 0, width, rows[row].before, i % c_pieces);
    }
    __pipeline_commit();
}

/* A unit's outputs at position 0. */
template <typename A> struct down_places {
    A *dx, *du;
    bool mine;
};

/* Positions t, t - 1, ..., `down` of them; where not `full`, those from 0 on. */
template <typename A, int units, bool full> __device__ static void stage_down(const sru_cuda_scan<A> &s, const struct sru_cuda_unit &k,
                                                                              const down_row<A, units> *rows, size_t t,
                                                                              const down_places<A> &to, struct sru_cuda_sums *sum)
{
    const size_t d = s.d;
    const int me = threadIdx.x;

#pragma unroll
    for (int i = 0; i < stage_of<A>::down; i++, t--) {
        const down_row<A, units> &row = rows[i];
        const sru_cuda_inputs<A> in = { row.in[0][me], row.in[1][me], row.in[2][me], row.in[3][me] };
        const struct sru_cuda_outputs out = sru_cuda_step_back(k, s.scale, in, sru_load(&row.in[4][me]), row.before[me], sum);

        if (to.mine) {
            sru_store(to.dx + t * d, out.dx);
            sru_store(to.du + t * 3 * d, out.du0);
            sru_store(to.du + t * 3 * d + d, out.du1);
            sru_store(to.du + t * 3 * d + 2 * d, out.du2);
        }
        if (!full && t == 0)
            break;
    }
}

template <typename A, int units> __global__ static void __launch_bounds__(units) scan_back(sru_cuda_scan<A> s)
{
    constexpr int down = stage_of<A>::down;
    __shared__ down_row<A, units> stages[DEPTH][down];
    const size_t T = s.T, d = s.d, b = blockIdx.y, first = (size_t)blockIdx.x * units, width = min((size_t)units, d - first);
    const size_t j = first + (threadIdx.x < width ? threadIdx.x : 0), count = (T + down - 1) / down;
    A *u = s.u + b * T * 3 * d + first;
    const strip<A> in[5] = { { u, 3 * d }, { u + d, 3 * d }, { u + 2 * d, 3 * d }, { s.x.p + b * s.x.stride + first, d },
                             { s.dh.p + b * s.dh.stride + first, d } };
    const strip<float> c = { s.c + b * T * d + first, d };
    const float *c0 = s.c0 + b * d + first;
    const struct sru_cuda_unit k = sru_cuda_unit_of(s, b, j);
    const down_places<A> to = { s.dx.p + b * s.dx.stride + j, s.u + b * T * 3 * d + j, threadIdx.x < width };
    struct sru_cuda_sums sum = { s.c[(b * T + T - 1) * d + j], 0, 0, 0, 0, 0 };

    for (int n = 0; n < DEPTH - 1; n++)
        fetch_down(in, c, c0, T, n, width, stages[n]);
    for (size_t n = 0; n < count; n++) {
        fetch_down(in, c, c0, T, n + DEPTH - 1, width, stages[(n + DEPTH - 1) % DEPTH]);
        __pipeline_wait_prior(DEPTH - 1);
        __syncthreads();
        if ((n + 1) * down <= T)
            stage_down<A, units, true>(s, k, stages[n % DEPTH], T - 1 - n * down, to, &sum);
        else
            stage_down<A, units, false>(s, k, stages[n % DEPTH], T - 1 - n * down, to, &sum);
        __syncthreads();
    }
    if (!to.mine)
        return;
    float *out = s.sums + b * 4 * d + j;
    out[0] = sum.vf;
    out[d] = sum.vr;
    out[2 * d] = sum.bf;
    out[3 * d] = sum.br;
}

/* ---- Launching -------------------------------------------------------------------------------------- */

static bool aligned(const void *p, size_t bytes_apart)
{
    return ((uintptr_t)p | bytes_apart) % 16 == 0;
}

template <typename A, int units> static void launch(struct sru_cuda *cuda, const sru_cuda_scan<A> &s, bool back)
{
    const dim3 blocks((unsigned)((s.d + units - 1) / units), (unsigned)s.B);

    if (back)
        scan_back<A, units><<<blocks, units, 0, cuda->stream>>>(s);
    else
        scan<A, units><<<blocks, units, 0, cuda->stream>>>(s);
    sru_cuda_launched(cuda, "recur");
}

template <typename A> bool sru_cuda_scan_staged(struct sru_cuda *cuda, const sru_cuda_scan<A> &s, bool back)
{
    if (s.d * sizeof(A) % 16 != 0 || !aligned(s.u, 0) || !aligned(s.x.p, s.x.stride * sizeof(A)) || s.B > 65535)
        return false;
    if (back && (!aligned(s.dh.p, s.dh.stride * sizeof(A)) || !aligned(s.c, 0) || !aligned(s.c0, 0)))
        return false;
    if (s.B * s.d / MANY < BLOCKS)
        launch<A, FEW>(cuda, s, back);
    else
        launch<A, MANY>(cuda, s, back);
    return true;
}

template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<float> &, bool);
template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<__nv_bfloat16> &, bool);
