/* What the recurrence's operator (recur.cu) and its kernels (scan.cu, scan-staged.cu) share. */
#ifndef SRU_GPU_RECUR_CUH
#define SRU_GPU_RECUR_CUH

#include "gpu/device.cuh"

template <typename A> struct sru_cuda_scan {
    size_t B, T, d;
    float  scale;
    rows_of<A> x, h, dh, dx;
    A *u;                       /* [N,3d]; dU in its place */
    float *states;              /* or NULL; see sru_cuda_segment_of */
    const float *v, *bias, *c0;
    float *c1;
    float *sums;                /* [B,4,d] */
    struct sru_cuda_mask mask;
};

/*
 * What is kept of the state: c before each segment of 16 bytes' worth of positions, [B, segments, d].  Going back computes a
 * segment's states again, from inputs that it reads anyway: to write and read them all would be 8 of 36 bytes an element.
 */
__host__ __device__ constexpr size_t sru_cuda_segment_of(size_t act_bytes) { return 16 / act_bytes; }
__host__ __device__ constexpr size_t sru_cuda_segments(size_t T, size_t act_bytes)
{
    return (T + sru_cuda_segment_of(act_bytes) - 1) / sru_cuda_segment_of(act_bytes);
}

/* A unit of a stream: its parameters, which stay in registers. */
struct sru_cuda_unit {
    size_t b, j;
    float  vf, vr, bf, br, m;
};

template <typename A> __device__ inline struct sru_cuda_unit sru_cuda_unit_of(const sru_cuda_scan<A> &s, size_t b, size_t j)
{
    const size_t d = s.d;

    return sru_cuda_unit{ b, j, s.v[j], s.v[d + j], s.bias[j], s.bias[d + j], sru_cuda_factor(s.mask, b, j, d) };
}

/* To single precision, or as well as bf16 can tell. */
template <typename A> __device__ float sru_cuda_sigmoid(float x);
template <> __device__ inline float sru_cuda_sigmoid<float>(float x) { return 1.0f / (1.0f + expf(-x)); }
template <> __device__ inline float sru_cuda_sigmoid<__nv_bfloat16>(float x)
{
    float power, inverse;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x * -1.44269504f));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + power));
    return inverse;
}

/* What a position reads. */
struct sru_cuda_inputs {
    float u0, u1, u2, x;
};

template <typename A> __device__ inline float sru_cuda_forget(const struct sru_cuda_unit &k, float u1, float c)
{
    return sru_cuda_sigmoid<A>(fmaf(k.vf, c, u1 + k.bf));
}

template <typename A> __device__ inline float sru_cuda_reset(const struct sru_cuda_unit &k, float u2, float c)
{
    return sru_cuda_sigmoid<A>(fmaf(k.vr, c, u2 + k.br));
}

/* c[t] from f, U0 and c[t-1]. */
__device__ inline float sru_cuda_state(float f, float u0, float c)
{
    return fmaf(f, c - u0, u0);
}

/* c[t] from c[t-1], and h[t]. */
template <typename A> __device__ inline float sru_cuda_step(const struct sru_cuda_unit &k, float scale, const struct sru_cuda_inputs &in,
                                                            float c, float *h)
{
    const float skip = in.x * scale, r = sru_cuda_reset<A>(k, in.u2, c);

    c = sru_cuda_state(sru_cuda_forget<A>(k, in.u1, c), in.u0, c);
    *h = fmaf(k.m * r, c - skip, skip);
    return c;
}

/* What a unit gathers going back. */
struct sru_cuda_sums {
    float dc, vf, vr, bf, br;
};

/* Gradients of a position. */
struct sru_cuda_outputs {
    float dx, du0, du1, du2;
};

/* From f, c[t-1] and c[t]; see model.md. */
template <typename A> __device__ inline struct sru_cuda_outputs sru_cuda_step_back(const struct sru_cuda_unit &k, float scale,
    const struct sru_cuda_inputs &in, float dh, float f, float before, float c, struct sru_cuda_sums *sum)
{
    const float r = sru_cuda_reset<A>(k, in.u2, before);
    const float gr = k.m * dh * r, dc = sum->dc + gr, dcf = dc * f;
    const float above = c - in.x * scale;
    const float dr = gr * above * (1.0f - r), df = dcf * ((1.0f - f) * (before - in.u0));

    sum->vf = fmaf(df, before, sum->vf);
    sum->vr = fmaf(dr, before, sum->vr);
    sum->bf += df;
    sum->br += dr;
    sum->dc = fmaf(df, k.vf, fmaf(dr, k.vr, dcf));
    return sru_cuda_outputs{ (dh - gr) * scale, dc - dcf, df, dr };
}

/* The kernels: through shared memory where `staged`, which asks for aligned rows, or for whatever there is. */
template <typename A> bool sru_cuda_scan_staged(struct sru_cuda *, const sru_cuda_scan<A> &, bool back);
template <typename A> void sru_cuda_scan_any(struct sru_cuda *, const sru_cuda_scan<A> &, bool back);

#endif
