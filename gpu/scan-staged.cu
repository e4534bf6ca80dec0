/*
 * The recurrence with its inputs brought ahead into shared memory, 16 bytes at a time: a block takes some units of a stream, and
 * several stages of positions are under way while one is computed.
 */
#include <cuda_pipeline.h>

#include "gpu/recur.cuh"

/* Units of a block: few where there would be too few blocks to keep all multiprocessors of a large GPU equally busy. */
enum { MANY = 64, FEW = 32, DEPTH = 4, BLOCKS = 600 };

/* Positions of a stage: as many bytes in either type; going back, a segment. */
template <typename A> struct stage_of {
    static constexpr int down = sru_cuda_segment_of(sizeof(A)), up = 2 * down;
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
    float *states;              /* or NULL */
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
        if (i % stage_of<A>::down == 0 && to.states && to.mine)
            to.states[(t + i) / stage_of<A>::down * s.d] = c;
        c = sru_cuda_step(k, s.scale, sru_cuda_inputs<A>{ row.in[0][me], row.in[1][me], row.in[2][me], row.in[3][me] }, c, &h);
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
    const up_places<A> to = { s.states ? s.states + b * sru_cuda_segments(T, sizeof(A)) * d + j : nullptr, s.h.p + b * s.h.stride + j, threadIdx.x < width };
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

template <typename A, int units> struct down_stage {
    float before[units];        /* the state before the segment */
    A in[stage_of<A>::down][5][units];  /* U0, U1, U2, x, dh */
};

/* Where a block's segments come from. */
template <typename A> struct down_sources {
    strip<A> in[5];
    strip<float> states;
    size_t T, width;
};

/* Segment n, if there is one: they are asked for from the last to the first. */
template <typename A, int units> __device__ static void fetch_down(const down_sources<A> &from, size_t n, down_stage<A, units> *to)
{
    constexpr int down = stage_of<A>::down, pieces = units * sizeof(A) / 16, c_pieces = units * sizeof(float) / 16;

    if (n < sru_cuda_segments(from.T, sizeof(A))) {
#pragma unroll
        for (int array = 0; array < 5; array++)
#pragma unroll
            for (int i = threadIdx.x; i < down * pieces; i += units)
                if (n * down + i / pieces < from.T)
                    fetch(from.in[array], n * down + i / pieces, from.width, to->in[i / pieces][array], i % pieces);
        if (threadIdx.x < c_pieces)
            fetch(from.states, n, from.width, to->before, threadIdx.x);
    }
    __pipeline_commit();
}

/* A unit's outputs at position 0. */
template <typename A> struct down_places {
    A *dx, *du;
    bool mine;
};

/* The `count` positions of a segment from t on, all of them where `full`: their states, then their gradients. */
template <typename A, int units, bool full> __device__ static void segment_down(const sru_cuda_scan<A> &s, const struct sru_cuda_unit &k,
    const down_stage<A, units> &stage, size_t t, int count, const down_places<A> &to, struct sru_cuda_sums *sum)
{
    constexpr int down = stage_of<A>::down;
    const size_t d = s.d;
    const int me = threadIdx.x;
    float c[down + 1], f[down];

    c[0] = stage.before[me];
#pragma unroll
    for (int i = 0; i < down; i++) {
        if (!full && i >= count)
            continue;
        const sru_cuda_inputs<A> in = { stage.in[i][0][me], stage.in[i][1][me], A(), A() };

        f[i] = sru_cuda_forget(k, in, c[i]);
        c[i + 1] = sru_cuda_state(in, f[i], c[i]);
    }
#pragma unroll
    for (int i = down - 1; i >= 0; i--) {
        if (!full && i >= count)
            continue;
        const A *row = &stage.in[i][0][me];
        const sru_cuda_inputs<A> in = { row[0], row[units], row[2 * units], row[3 * units] };
        const struct sru_cuda_outputs out = sru_cuda_step_back(k, s.scale, in, sru_load(row + 4 * units), f[i], c[i], c[i + 1], sum);

        if (to.mine) {
            sru_store(to.dx + (t + i) * d, out.dx);
            sru_store(to.du + (t + i) * 3 * d, out.du0);
            sru_store(to.du + (t + i) * 3 * d + d, out.du1);
            sru_store(to.du + (t + i) * 3 * d + 2 * d, out.du2);
        }
    }
}

template <typename A, int units> __global__ static void __launch_bounds__(units) scan_back(sru_cuda_scan<A> s)
{
    constexpr int down = stage_of<A>::down;
    __shared__ down_stage<A, units> stages[DEPTH];
    const size_t T = s.T, d = s.d, b = blockIdx.y, first = (size_t)blockIdx.x * units, width = min((size_t)units, d - first);
    const size_t j = first + (threadIdx.x < width ? threadIdx.x : 0), segments = sru_cuda_segments(T, sizeof(A));
    A *u = s.u + b * T * 3 * d + first;
    const down_sources<A> from = { { { u, 3 * d }, { u + d, 3 * d }, { u + 2 * d, 3 * d }, { s.x.p + b * s.x.stride + first, d },
                                     { s.dh.p + b * s.dh.stride + first, d } },
                                   { s.states + b * segments * d + first, d }, T, width };
    const struct sru_cuda_unit k = sru_cuda_unit_of(s, b, j);
    const down_places<A> to = { s.dx.p + b * s.dx.stride + j, s.u + b * T * 3 * d + j, threadIdx.x < width };
    struct sru_cuda_sums sum = { 0, 0, 0, 0, 0 };

    for (size_t n = 1; n < DEPTH; n++)
        fetch_down(from, segments - n, &stages[n - 1]);
    for (size_t n = 0; n < segments; n++) {
        const size_t now = segments - 1 - n;

        fetch_down(from, segments - n - DEPTH, &stages[(n + DEPTH - 1) % DEPTH]);
        __pipeline_wait_prior(DEPTH - 1);
        __syncthreads();
        if ((now + 1) * down <= T)
            segment_down<A, units, true>(s, k, stages[n % DEPTH], now * down, down, to, &sum);
        else
            segment_down<A, units, false>(s, k, stages[n % DEPTH], now * down, (int)(T - now * down), to, &sum);
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
    if (back && (!aligned(s.dh.p, s.dh.stride * sizeof(A)) || !aligned(s.states, 0)))
        return false;
    if (s.B * s.d / MANY < BLOCKS)
        launch<A, FEW>(cuda, s, back);
    else
        launch<A, MANY>(cuda, s, back);
    return true;
}

template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<float> &, bool);
template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<__nv_bfloat16> &, bool);
