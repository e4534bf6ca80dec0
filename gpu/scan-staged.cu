/*
 * The recurrence with its inputs brought ahead into shared memory, 16 bytes at a time: a block is a warp with some units of a stream,
 * and several stages of positions are under way while one is computed.  A thread takes four bytes of a row: a unit in f32, two in
 * bf16.
 */
#include <cuda_pipeline.h>

#include "gpu/recur.cuh"

enum { THREADS = 32, DEPTH = 4, PIECE = 16, PIECES = 4 * THREADS / PIECE };   /* pieces of a row */

template <typename A> struct by {
    static constexpr int units = 4 / sizeof(A), columns = THREADS * units;   /* of a thread, of a block */
    static constexpr int positions = sru_cuda_segment_of(sizeof(A));         /* of a stage: a segment */
};

/* A thread's units of a row. */
template <typename A> __device__ static void read(const A *p, float (&x)[by<A>::units]);
template <> __device__ void read(const float *p, float (&x)[1])
{
    x[0] = *p;
}
template <> __device__ void read(const __nv_bfloat16 *p, float (&x)[2])
{
    const uint32_t pair = *(const uint32_t *)p;

    x[0] = __uint_as_float(pair << 16);
    x[1] = __uint_as_float(pair & 0xffff0000u);
}

__device__ static void write(float *p, const float (&x)[1])
{
    *p = x[0];
}
__device__ static void write(__nv_bfloat16 *p, const float (&x)[2])
{
    *(__nv_bfloat162 *)p = __floats2bfloat162_rn(x[0], x[1]);
}

/* ---- Bringing stages ---------------------------------------------------------------------------------- */

/* Rows of arrays, position by position, of a block's columns. */
template <typename A, int arrays> struct stage {
    alignas(PIECE) A row[by<A>::positions][arrays][by<A>::columns];   /* copied by pieces */
};

/* What a thread copies: the same piece of every fourth row, from its first on. */
template <typename A, int arrays> struct share {
    const A *from[arrays];
    unsigned stride[arrays];    /* elements between positions */
    unsigned row, at;           /* the first row, and where the piece is in it */
    unsigned rows;              /* of all positions, from the first row on; 0 where no such columns exist */
};

/* Of stream b, from column `first` on: U's three planes, x and, with five arrays, dh. */
template <typename A, int arrays> __device__ static struct share<A, arrays> share_of(const sru_cuda_scan<A> &s, size_t b, size_t first)
{
    struct share<A, arrays> my;

    my.row = threadIdx.x / PIECES;
    my.at = threadIdx.x % PIECES * (PIECE / sizeof(A));
    my.rows = my.at < s.d - first && my.row < s.T ? (unsigned)(s.T - my.row) : 0;
    for (int array = 0; array < arrays; array++) {
        const rows_of<A> &rows = array == 3 ? s.x : s.dh;

        my.from[array] = (array < 3 ? s.u + (b * s.T * 3 + array) * s.d : rows.p + b * rows.stride) + first + my.at;
        my.stride[array] = (unsigned)(array < 3 ? 3 * s.d : s.d);
    }
    return my;
}

template <typename A, int arrays> __device__ static void fetch(const struct share<A, arrays> &my, unsigned n, struct stage<A, arrays> *to)
{
    constexpr unsigned step = THREADS / PIECES, positions = by<A>::positions;

#pragma unroll
    for (unsigned i = 0; i < positions; i += step)
        if (n * positions + i < my.rows)
#pragma unroll
            for (int array = 0; array < arrays; array++)
                __pipeline_memcpy_async(&to->row[my.row + i][array][my.at],
                                        my.from[array] + (size_t)(n * positions + my.row + i) * my.stride[array], PIECE);
}

/* ---- Forward -------------------------------------------------------------------------------------- */

/* A thread's outputs at position 0. */
template <typename A> struct up_places {
    float *states;              /* or NULL */
    A *h;
};

/* Positions t to t + count - 1: all of a stage where `full`.  Without branches the positions' work can overlap. */
template <typename A, bool full> __device__ static void up(const sru_cuda_scan<A> &s, const struct sru_cuda_unit (&k)[by<A>::units],
                                                           const struct stage<A, 4> &in, unsigned t, unsigned count,
                                                           const up_places<A> &to, float (&c)[by<A>::units])
{
    constexpr int units = by<A>::units;
    const unsigned d = (unsigned)s.d;

    if (to.states)
#pragma unroll
        for (int e = 0; e < units; e++)
            to.states[(size_t)(t / by<A>::positions) * d + e] = c[e];
#pragma unroll
    for (unsigned i = 0; i < by<A>::positions; i++) {
        float u0[units], u1[units], u2[units], x[units], h[units];

        if (!full && i >= count)
            break;
        read(&in.row[i][0][threadIdx.x * units], u0);
        read(&in.row[i][1][threadIdx.x * units], u1);
        read(&in.row[i][2][threadIdx.x * units], u2);
        read(&in.row[i][3][threadIdx.x * units], x);
#pragma unroll
        for (int e = 0; e < units; e++)
            c[e] = sru_cuda_step<A>(k[e], s.scale, sru_cuda_inputs{ u0[e], u1[e], u2[e], x[e] }, c[e], &h[e]);
        write(to.h + (size_t)(t + i) * d, h);
    }
}

template <typename A> __global__ static void __launch_bounds__(THREADS) scan(sru_cuda_scan<A> s)
{
    constexpr unsigned units = by<A>::units, positions = by<A>::positions;
    __shared__ struct stage<A, 4> stages[DEPTH];
    const size_t d = s.d, b = blockIdx.y, first = (size_t)blockIdx.x * by<A>::columns, j = first + threadIdx.x * units;
    const unsigned T = (unsigned)s.T, count = (T + positions - 1) / positions;
    const struct share<A, 4> my = share_of<A, 4>(s, b, first);
    struct sru_cuda_unit k[units];
    float c[units];

    for (unsigned n = 0; n < DEPTH - 1; n++) {
        fetch(my, n, &stages[n]);
        __pipeline_commit();
    }
    const bool mine = j < d;
    for (unsigned e = 0; e < units; e++) {
        k[e] = sru_cuda_unit_of(s, b, mine ? j + e : 0);
        c[e] = s.c0[b * d + (mine ? j + e : 0)];
    }
    const up_places<A> to = { s.states ? s.states + b * count * d + j : nullptr, s.h.p + b * s.h.stride + j };
    for (unsigned n = 0; n < count; n++) {
        fetch(my, n + DEPTH - 1, &stages[(n + DEPTH - 1) % DEPTH]);
        __pipeline_commit();
        __pipeline_wait_prior(DEPTH - 1);
        __syncwarp();
        if (mine) {
            if ((n + 1) * positions <= T)
                up<A, true>(s, k, stages[n % DEPTH], n * positions, positions, to, c);
            else
                up<A, false>(s, k, stages[n % DEPTH], n * positions, T - n * positions, to, c);
        }
        __syncwarp();
    }
    for (unsigned e = 0; mine && e < units; e++)
        s.c1[b * d + j + e] = c[e];
}

/* ---- Backward ------------------------------------------------------------------------------------- */

/* A thread's outputs at position 0. */
template <typename A> struct down_places {
    A *dx, *du;
};

/* The `count` positions of a segment from t on, all of them where `full`: their states, then their gradients. */
template <typename A, bool full> __device__ static void down(const sru_cuda_scan<A> &s, const struct sru_cuda_unit (&k)[by<A>::units],
                                                             const struct stage<A, 5> &in, const float (&before)[by<A>::units], unsigned t,
                                                             unsigned count, const down_places<A> &to,
                                                             struct sru_cuda_sums (&sum)[by<A>::units])
{
    constexpr int units = by<A>::units, positions = by<A>::positions;
    const unsigned d = (unsigned)s.d, me = threadIdx.x * units;
    float c[positions + 1][units], f[positions][units];   /* c[i] before position i */

#pragma unroll
    for (int e = 0; e < units; e++)
        c[0][e] = before[e];
#pragma unroll
    for (int i = 0; i < positions; i++) {
        float u0[units], u1[units];

        if (!full && i >= (int)count)
            continue;
        read(&in.row[i][0][me], u0);
        read(&in.row[i][1][me], u1);
#pragma unroll
        for (int e = 0; e < units; e++) {
            f[i][e] = sru_cuda_forget<A>(k[e], u1[e], c[i][e]);
            c[i + 1][e] = sru_cuda_state(f[i][e], u0[e], c[i][e]);
        }
    }
#pragma unroll
    for (int i = positions - 1; i >= 0; i--) {
        float u0[units], u2[units], x[units], dh[units], dx[units], du[3][units];

        if (!full && i >= (int)count)
            continue;
        read(&in.row[i][0][me], u0);
        read(&in.row[i][2][me], u2);
        read(&in.row[i][3][me], x);
        read(&in.row[i][4][me], dh);
#pragma unroll
        for (int e = 0; e < units; e++) {
            const struct sru_cuda_outputs out = sru_cuda_step_back<A>(k[e], s.scale, sru_cuda_inputs{ u0[e], 0, u2[e], x[e] }, dh[e],
                                                                      f[i][e], c[i][e], c[i + 1][e], &sum[e]);

            dx[e] = out.dx;
            du[0][e] = out.du0;
            du[1][e] = out.du1;
            du[2][e] = out.du2;
        }
        write(to.dx + (size_t)(t + i) * d, dx);
        for (unsigned plane = 0; plane < 3; plane++)
            write(to.du + (size_t)((t + i) * 3 + plane) * d, du[plane]);
    }
}

template <typename A> __global__ static void __launch_bounds__(THREADS) scan_back(sru_cuda_scan<A> s)
{
    constexpr unsigned units = by<A>::units, positions = by<A>::positions;
    __shared__ struct stage<A, 5> stages[DEPTH];
    const size_t d = s.d, b = blockIdx.y, first = (size_t)blockIdx.x * by<A>::columns, j = first + threadIdx.x * units;
    const unsigned T = (unsigned)s.T, count = (T + positions - 1) / positions;
    const struct share<A, 5> my = share_of<A, 5>(s, b, first);
    struct sru_cuda_unit k[units];
    struct sru_cuda_sums sum[units] = {};

    for (unsigned n = 1; n < DEPTH; n++) {
        if (n <= count)
            fetch(my, count - n, &stages[n - 1]);
        __pipeline_commit();
    }
    const bool mine = j < d;
    for (unsigned e = 0; e < units; e++)
        k[e] = sru_cuda_unit_of(s, b, mine ? j + e : 0);
    const down_places<A> to = { s.dx.p + b * s.dx.stride + j, s.u + b * T * 3 * d + j };
    const float *states = s.states + b * count * d + (mine ? j : 0);
    float next[units], before[units];

    for (unsigned e = 0; e < units; e++)
        next[e] = states[(size_t)(count - 1) * d + e];
    for (unsigned n = 0; n < count; n++) {
        const unsigned now = count - 1 - n, t = now * positions;

        if (n + DEPTH <= count)
            fetch(my, count - n - DEPTH, &stages[(n + DEPTH - 1) % DEPTH]);
        __pipeline_commit();
        for (unsigned e = 0; e < units; e++) {
            before[e] = next[e];
            if (now > 0)
                next[e] = states[(size_t)(now - 1) * d + e];
        }
        __pipeline_wait_prior(DEPTH - 1);
        __syncwarp();
        if (mine) {
            if (t + positions <= T)
                down<A, true>(s, k, stages[n % DEPTH], before, t, positions, to, sum);
            else
                down<A, false>(s, k, stages[n % DEPTH], before, t, T - t, to, sum);
        }
        __syncwarp();
    }
    for (unsigned e = 0; mine && e < units; e++) {
        float *out = s.sums + b * 4 * d + j + e;

        out[0] = sum[e].vf;
        out[d] = sum[e].vr;
        out[2 * d] = sum[e].bf;
        out[3 * d] = sum[e].br;
    }
}

/* ---- Launching -------------------------------------------------------------------------------------- */

/*
 * Shared memory to ask for besides, so that a multiprocessor takes no more blocks at a time than spread all of them evenly: blocks
 * last as long as the segment does, and a few left for the end would leave most of the GPU idle that long.
 */
static size_t padding(struct sru_cuda *cuda, const void *kernel, size_t blocks, size_t shared)
{
    enum { ASKED = 48 << 10, OWN = 1 << 10, UNIT = 128 };   /* bytes to be had without an attribute; a block's besides */
    int fit = 1, processors = 1, all = 0;

    sru_cuda_check(cuda, cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, cuda->index), "attributes");
    sru_cuda_check(cuda, cudaDeviceGetAttribute(&all, cudaDevAttrMaxSharedMemoryPerMultiprocessor, cuda->index), "attributes");
    if (blocks * (shared + OWN) <= (size_t)processors * all / 2)
        return 0;
    sru_cuda_check(cuda, cudaOccupancyMaxActiveBlocksPerMultiprocessor(&fit, kernel, THREADS, 0), "occupancy");
    const size_t room = (size_t)max(fit, 1) * processors, rounds = (blocks + room - 1) / room;
    const size_t each = (blocks + rounds * processors - 1) / (rounds * processors);
    const size_t whole = sru_min(ASKED, all / each / UNIT * UNIT - OWN);

    return whole > shared ? whole - shared : 0;
}

static bool aligned(const void *p, size_t bytes_apart)
{
    return ((uintptr_t)p | bytes_apart) % PIECE == 0;
}

template <typename A> bool sru_cuda_scan_staged(struct sru_cuda *cuda, const sru_cuda_scan<A> &s, bool back)
{
    const dim3 blocks((unsigned)((s.d + by<A>::columns - 1) / by<A>::columns), (unsigned)s.B);

    if (s.d * sizeof(A) % PIECE != 0 || !aligned(s.u, 0) || !aligned(s.x.p, s.x.stride * sizeof(A)) || s.B > 65535)
        return false;
    if (!aligned(s.h.p, s.h.stride * sizeof(A)) || (s.T + 1) * s.d > UINT32_MAX / 3)
        return false;
    if (back && (!aligned(s.dh.p, s.dh.stride * sizeof(A)) || !aligned(s.dx.p, s.dx.stride * sizeof(A))))
        return false;
    const size_t n = (size_t)blocks.x * blocks.y;
    if (back)
        scan_back<A><<<blocks, THREADS, padding(cuda, (const void *)scan_back<A>, n, sizeof(stage<A, 5>[DEPTH])), cuda->stream>>>(s);
    else
        scan<A><<<blocks, THREADS, padding(cuda, (const void *)scan<A>, n, sizeof(stage<A, 4>[DEPTH])), cuda->stream>>>(s);
    sru_cuda_launched(cuda, "recur");
    return true;
}

template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<float> &, bool);
template bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<__nv_bfloat16> &, bool);
