/* The recurrence over rows of any size and place: a thread a unit of a stream, a position at a time. */
#include "gpu/recur.cuh"

enum { THREADS = 64 };

/* Where a unit's rows begin in its stream. */
template <typename A> struct places {
    A *u, *h, *dx;
    const A *x, *dh;
    float *states;
};

template <typename A> __device__ static places<A> places_of(const sru_cuda_scan<A> &s, size_t b, size_t j)
{
    return { s.u + b * s.T * 3 * s.d + j, s.h.p + b * s.h.stride + j, s.dx.p + b * s.dx.stride + j, s.x.p + b * s.x.stride + j,
             s.dh.p + b * s.dh.stride + j, s.states ? s.states + b * sru_cuda_segments(s.T, sizeof(A)) * s.d + j : nullptr };
}

template <typename A> __device__ static struct sru_cuda_inputs read(const sru_cuda_scan<A> &s, const places<A> &p, size_t t)
{
    const A *u = p.u + t * 3 * s.d;

    return { sru_load(u), sru_load(u + s.d), sru_load(u + 2 * s.d), sru_load(p.x + t * s.d) };
}

template <typename A> __global__ static void __launch_bounds__(THREADS) scan(sru_cuda_scan<A> s)
{
    constexpr size_t segment = sru_cuda_segment_of(sizeof(A));
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (at >= s.B * s.d)
        return;
    const struct sru_cuda_unit k = sru_cuda_unit_of(s, at / s.d, at % s.d);
    const places<A> p = places_of(s, k.b, k.j);
    float c = s.c0[at], h;

#pragma unroll 4
    for (size_t t = 0; t < s.T; t++) {
        if (p.states && t % segment == 0)
            p.states[t / segment * s.d] = c;
        c = sru_cuda_step<A>(k, s.scale, read(s, p, t), c, &h);
        sru_store(p.h + t * s.d, h);
    }
    s.c1[at] = c;
}

template <typename A> __device__ static void position_back(const sru_cuda_scan<A> &s, const struct sru_cuda_unit &k, const places<A> &p,
                                                           size_t t, float f, float before, float c, struct sru_cuda_sums *sum)
{
    const struct sru_cuda_outputs out = sru_cuda_step_back<A>(k, s.scale, read(s, p, t), sru_load(p.dh + t * s.d), f, before, c, sum);
    A *du = p.u + t * 3 * s.d;

    sru_store(p.dx + t * s.d, out.dx);
    sru_store(du, out.du0);
    sru_store(du + s.d, out.du1);
    sru_store(du + 2 * s.d, out.du2);
}

template <typename A> __global__ static void __launch_bounds__(THREADS) scan_back(sru_cuda_scan<A> s)
{
    constexpr size_t segment = sru_cuda_segment_of(sizeof(A));
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, d = s.d;

    if (at >= s.B * d)
        return;
    const struct sru_cuda_unit k = sru_cuda_unit_of(s, at / d, at % d);
    const places<A> p = places_of(s, k.b, k.j);
    struct sru_cuda_sums sum = { 0, 0, 0, 0, 0 };
    float c[segment + 1], f[segment];   /* c[i] before the segment's position i */

    for (size_t n = sru_cuda_segments(s.T, sizeof(A)); n-- > 0;) {
        const size_t first = n * segment, count = min(segment, s.T - first);

        c[0] = p.states[n * d];
        for (size_t i = 0; i < count; i++) {
            const struct sru_cuda_inputs in = read(s, p, first + i);

            f[i] = sru_cuda_forget<A>(k, in.u1, c[i]);
            c[i + 1] = sru_cuda_state(f[i], in.u0, c[i]);
        }
        for (size_t i = count; i-- > 0;)
            position_back(s, k, p, first + i, f[i], c[i], c[i + 1], &sum);
    }
    float *to = s.sums + k.b * 4 * d + k.j;
    to[0] = sum.vf;
    to[d] = sum.vr;
    to[2 * d] = sum.bf;
    to[3 * d] = sum.br;
}

template <typename A> void sru_cuda_scan_any(struct sru_cuda *cuda, const sru_cuda_scan<A> &s, bool back)
{
    const unsigned blocks = (unsigned)((s.B * s.d + THREADS - 1) / THREADS);

    if (back)
        scan_back<A><<<blocks, THREADS, 0, cuda->stream>>>(s);
    else
        scan<A><<<blocks, THREADS, 0, cuda->stream>>>(s);
    sru_cuda_launched(cuda, "recur");
}

template void sru_cuda_scan_any(struct sru_cuda *, const sru_cuda_scan<float> &, bool);
template void sru_cuda_scan_any(struct sru_cuda *, const sru_cuda_scan<__nv_bfloat16> &, bool);
