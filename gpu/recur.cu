/* The W3 product and the recurrence: a thread a unit of a stream, which reads some positions ahead. */
#include "gpu/device.cuh"
#include "src/size.h"

enum { THREADS = 64, AHEAD = 8, AHEAD_BACK = 4 };

/* Kept: c [N,d] in f32, then U [N,3d] (rows U0 | U1 | U2: one product with the three planes of W3). */
static size_t kept_c(const struct sru_recur *s)
{
    return sru_round_up(s->B * s->T * s->d, 16);
}

size_t sru_cuda_kept_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    return kept_c(s) * sizeof(float) + s->B * s->T * 3 * s->d * dev->act_bytes;
}

/* U where nothing is kept; or the streams' dv and dbias [B,4,d] and what adds them up. */
size_t sru_cuda_recur_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    const size_t u = (s->B * s->T * 3 * s->d * cuda->dev.act_bytes + sizeof(float) - 1) / sizeof(float);
    const size_t back = 4 * s->B * s->d + sru_cuda_columns_work(s->B, 2 * s->d);

    return sru_max(u, s->train ? back : 0);
}

template <typename A> struct scan_args {
    size_t B, T, d;
    float  scale;
    rows_of<A> x, h, dh, dx;
    A *u;                       /* [N,3d]; dU in its place */
    float *c;                   /* [N,d] or NULL */
    const float *v, *bias, *c0;
    float *c1;
    float *sums;                /* [B,4,d] */
    struct sru_cuda_mask mask;
};

template <typename A> static scan_args<A> args_of(const struct sru_recur *s, sru_act *u, float *sums)
{
    return scan_args<A>{ s->B, s->T, s->d, s->scale, s->x, s->h, s->dh, s->dx, (A *)u, (float *)s->kept, s->v.w, s->bias.w, s->c0,
                         s->c1, sums, sru_cuda_mask_of(&s->mask) };
}

static unsigned blocks_of(const struct sru_recur *s)
{
    return (unsigned)((s->B * s->d + THREADS - 1) / THREADS);
}

/* ---- A unit in registers -------------------------------------------------------------------------- */

struct unit {
    size_t b, j;
    float  vf, vr, bf, br, m;
};

template <typename A> __device__ static struct unit unit_of(const scan_args<A> &s, size_t i)
{
    const size_t d = s.d, b = i / d, j = i % d;

    return unit{ b, j, s.v[j], s.v[d + j], s.bias[j], s.bias[d + j], sru_cuda_factor(s.mask, b, j, d) };
}

__device__ static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* U and x at n positions, as they stand in memory. */
template <typename A, int n> struct ahead {
    A u0[n], u1[n], u2[n], x[n];
};

/* From position t of a stream on, going up; those from T on stay as they are. */
template <typename A> __device__ static void read_up(const scan_args<A> &s, const A *u, const A *x, size_t t, ahead<A, AHEAD> &out)
{
#pragma unroll
    for (int i = 0; i < AHEAD; i++, t++)
        if (t < s.T) {
            const A *at = u + t * 3 * s.d;
            out.u0[i] = at[0];
            out.u1[i] = at[s.d];
            out.u2[i] = at[2 * s.d];
            out.x[i] = x[t * s.d];
        }
}

/* ---- Forward -------------------------------------------------------------------------------------- */

template <typename A> __global__ static void __launch_bounds__(THREADS) scan(scan_args<A> s)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, T = s.T, d = s.d;

    if (at >= s.B * d)
        return;
    const struct unit k = unit_of(s, at);
    const A *u = s.u + k.b * T * 3 * d + k.j, *x = s.x.p + k.b * s.x.stride + k.j;
    A *h = s.h.p + k.b * s.h.stride + k.j;
    float *kept = s.c ? s.c + k.b * T * d + k.j : NULL, c = s.c0[at];
    ahead<A, AHEAD> now = {}, next = {};

    read_up(s, u, x, 0, now);
    for (size_t first = 0; first < T; first += AHEAD) {
        read_up(s, u, x, first + AHEAD, next);
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const size_t t = first + i;
            if (t >= T)
                break;
            const float u0 = sru_load(&now.u0[i]), skip = sru_load(&now.x[i]) * s.scale;
            const float f = sigmoid(fmaf(k.vf, c, sru_load(&now.u1[i]) + k.bf));
            const float r = sigmoid(fmaf(k.vr, c, sru_load(&now.u2[i]) + k.br));
            c = fmaf(f, c - u0, u0);
            if (kept)
                kept[t * d] = c;
            sru_store(h + t * d, fmaf(k.m * r, c - skip, skip));
        }
        now = next;
    }
    s.c1[at] = c;
}

/* The product with all rows at once, or stream by stream. */
static void product(struct sru_cuda *cuda, const struct sru_recur *s, sru_act *u)
{
    const bool dense = s->a.stride == s->T * s->p;
    const size_t n = dense ? 1 : s->B, rows = dense ? s->B * s->T : s->T;

    for (size_t b = 0; b < n; b++)
        sru_cuda_forward(cuda, &s->w3, rows, sru_at(&cuda->dev, s->a.p, b * s->a.stride), sru_at(&cuda->dev, u, b * s->T * 3 * s->d));
}

template <typename A> static void recur(struct sru_cuda *cuda, const struct sru_recur *s)
{
    float *c = (float *)s->kept;
    sru_act *u = (sru_act *)(c ? c + kept_c(s) : cuda->work);

    if (s->B * s->T * s->d == 0)
        return;
    product(cuda, s, u);
    scan<A><<<blocks_of(s), THREADS, 0, cuda->stream>>>(args_of<A>(s, u, NULL));
    sru_cuda_launched(cuda, "recur");
}

void sru_cuda_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, recur, cuda, s);
}

/* ---- Backward ------------------------------------------------------------------------------------- */

/* Besides, dh and c[t-1]. */
template <typename A> struct ahead_back {
    ahead<A, AHEAD_BACK> ux;
    A dh[AHEAD_BACK];
    float before[AHEAD_BACK];
};

/* Where a unit's arrays begin in its stream. */
template <typename A> struct places {
    A *u, *dx;
    const A *x, *dh;
    const float *c, *c0;
};

/* The positions below `end`, going down. */
template <typename A> __device__ static void read_down(const scan_args<A> &s, const places<A> &p, size_t end, ahead_back<A> &out)
{
#pragma unroll
    for (int i = 0; i < AHEAD_BACK; i++)
        if (end > (size_t)i) {
            const size_t t = end - 1 - i;
            const A *at = p.u + t * 3 * s.d;
            out.ux.u0[i] = at[0];
            out.ux.u1[i] = at[s.d];
            out.ux.u2[i] = at[2 * s.d];
            out.ux.x[i] = p.x[t * s.d];
            out.dh[i] = p.dh[t * s.d];
            out.before[i] = t > 0 ? p.c[(t - 1) * s.d] : *p.c0;
        }
}

/* What a unit gathers going back, and c[t]. */
struct scan_sums {
    float c, dc, vf, vr, bf, br;
};

/* Position t, the i-th of those read; see model.md. */
template <typename A> __device__ static void back_at(const scan_args<A> &s, const struct unit &k, const places<A> &p, size_t t,
                                                     const ahead_back<A> &read, int i, struct scan_sums *sum)
{
    const float before = read.before[i], u0 = sru_load(&read.ux.u0[i]), dh = sru_load(&read.dh[i]);
    const float f = sigmoid(fmaf(k.vf, before, sru_load(&read.ux.u1[i]) + k.bf));
    const float r = sigmoid(fmaf(k.vr, before, sru_load(&read.ux.u2[i]) + k.br));
    const float gr = k.m * dh * r, dc = sum->dc + gr, dcf = dc * f;
    const float above = sum->c - sru_load(&read.ux.x[i]) * s.scale;
    const float dr = gr * above * (1.0f - r), df = dcf * ((1.0f - f) * (before - u0));
    A *du = p.u + t * 3 * s.d;

    sru_store(p.dx + t * s.d, (dh - gr) * s.scale);
    sru_store(du, dc - dcf);
    sru_store(du + s.d, df);
    sru_store(du + 2 * s.d, dr);
    sum->vf = fmaf(df, before, sum->vf);
    sum->vr = fmaf(dr, before, sum->vr);
    sum->bf += df;
    sum->br += dr;
    sum->dc = fmaf(df, k.vf, fmaf(dr, k.vr, dcf));
    sum->c = before;
}

template <typename A> __global__ static void __launch_bounds__(THREADS) scan_back(scan_args<A> s)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, T = s.T, d = s.d;

    if (at >= s.B * d)
        return;
    const struct unit k = unit_of(s, at);
    const places<A> p = { s.u + k.b * T * 3 * d + k.j, s.dx.p + k.b * s.dx.stride + k.j, s.x.p + k.b * s.x.stride + k.j,
                          s.dh.p + k.b * s.dh.stride + k.j, s.c + k.b * T * d + k.j, s.c0 + at };
    struct scan_sums sum = { p.c[(T - 1) * d], 0, 0, 0, 0, 0 };
    ahead_back<A> now = {}, next = {};

    read_down(s, p, T, now);
    for (size_t end = T; end > 0; end = end > AHEAD_BACK ? end - AHEAD_BACK : 0) {
        read_down(s, p, end > AHEAD_BACK ? end - AHEAD_BACK : 0, next);
#pragma unroll
        for (int i = 0; i < AHEAD_BACK; i++)
            if (end > (size_t)i)
                back_at(s, k, p, end - 1 - i, now, i, &sum);
        now = next;
    }
    float *out = s.sums + k.b * 4 * d + k.j;
    out[0] = sum.vf;
    out[d] = sum.vr;
    out[2 * d] = sum.bf;
    out[3 * d] = sum.br;
}

/* Gradients of the products: dW3 = dU^T a and da = dU W3. */
static void product_back(struct sru_cuda *cuda, const struct sru_recur *s, sru_act *du)
{
    const bool dense = s->a.stride == s->T * s->p && s->da.stride == s->T * s->p;
    const size_t n = dense ? 1 : s->B, rows = dense ? s->B * s->T : s->T;

    for (size_t b = 0; b < n; b++) {
        const sru_act *rows_of_b = sru_at(&cuda->dev, du, b * s->T * 3 * s->d);

        sru_cuda_gradient(cuda, &s->w3, rows, sru_at(&cuda->dev, s->a.p, b * s->a.stride), rows_of_b, b > 0);
        sru_cuda_back(cuda, &s->w3, rows, rows_of_b, false, sru_at(&cuda->dev, s->da.p, b * s->da.stride));
    }
}

template <typename A> static void recur_back(struct sru_cuda *cuda, const struct sru_recur *s)
{
    const size_t B = s->B, d = s->d;
    float *sums = cuda->work, *room = sums + 4 * B * d;
    sru_act *u = (sru_act *)((float *)s->kept + kept_c(s));

    if (B * s->T * d == 0)
        return;
    scan_back<A><<<blocks_of(s), THREADS, 0, cuda->stream>>>(args_of<A>(s, u, sums));
    sru_cuda_launched(cuda, "recur_back");
    sru_cuda_columns(cuda, B, 2 * d, 4 * d, (const float *)sums, false, room, s->v.g);
    sru_cuda_columns(cuda, B, 2 * d, 4 * d, (const float *)sums + 2 * d, false, room, s->bias.g);
    product_back(cuda, s, u);
}

void sru_cuda_recur_back(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    SRU_BY_TYPE(cuda, recur_back, cuda, s);
}
