/* Muon (Jordan et al. 2024), matrix by matrix. */
#include "gpu/device.cuh"

enum { THREADS = 256, ALIGN = 32 /* elements: 64 bytes or more */ };

/* The workspace for a matrix: x and its next value, and squares of the smaller side. */
struct room {
    sru_act *x, *next, *a, *p;
};

static size_t room_elements(size_t large, size_t square)
{
    return 2 * sru_round_up(large, ALIGN) + 2 * sru_round_up(square, ALIGN);
}

static struct room room_of(const struct sru_cuda *cuda, const struct sru_muon_matrix *s)
{
    const size_t n = sru_min(s->rows, s->cols), large = sru_round_up(s->rows * s->cols, ALIGN), square = sru_round_up(n * n, ALIGN);
    sru_act *x = (sru_act *)cuda->work, *squares = sru_at(&cuda->dev, x, 2 * large);

    return (struct room){ x, sru_at(&cuda->dev, x, large), squares, sru_at(&cuda->dev, squares, square) };
}

/* ---- Kernels: a block takes every gridDim.x-th row ------------------------------------------------------ */

/* (1-b) g' + b m, Nesterov's look ahead from a momentum that has taken g' in already. */
__device__ static float ahead(float b, float clip, float g, float m)
{
    return fmaf((1 - b) * clip, g, b * m);
}

/* m, and for each block the sum of u's squares. */
__global__ static void momentum(struct sru_muon s, struct sru_muon_matrix x, double *sums)
{
    const float clip = s.gauge->clip;
    double sum = 0;

    if (clip == 0)
        return;

    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            const size_t at = x.offset + i * x.length + j;
            const float g = s.g[at], m = ahead(s.momentum, clip, g, s.m[at]), now = sru_flushed(m);
            const float u = ahead(s.momentum, clip, g, now);

            s.m[at] = now;
            sum += (double)u * u;
        }
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

/* x = u / (|u| + 1e-7).  Each block adds up the blocks' sums, which are gridDim.x as well, for itself. */
template <typename A> __global__ static void direction(struct sru_muon s, struct sru_muon_matrix x, const double *sums, A *out)
{
    const float clip = s.gauge->clip;
    double sum = 0;

    for (unsigned i = threadIdx.x; i < gridDim.x; i += THREADS)
        sum += sums[i];
    const float scale = (float)(1 / (sqrt(sru_block_sum(sum)) + 1e-7));
    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            const size_t at = x.offset + i * x.length + j;

            sru_store(out + i * x.cols + j, scale * ahead(s.momentum, clip, s.g[at], s.m[at]));
        }
}

/* aa = 3.4445 - 4.7750 a + 2.0315 aa, of matrices [n,n].  The diagonal is rounded once, as all else. */
template <typename A> __global__ static void polynomial(size_t n, const A *a, A *aa)
{
    for (size_t i = blockIdx.x; i < n; i += gridDim.x)
        for (size_t j = threadIdx.x; j < n; j += THREADS) {
            const float quadratic = fmaf(-4.7750f, sru_load(a + i * n + j), 2.0315f * sru_load(aa + i * n + j));

            sru_store(aa + i * n + j, i == j ? 3.4445f + quadratic : quadratic);
        }
}

template <typename A> __global__ static void descend(struct sru_muon s, struct sru_muon_matrix x, const A *step)
{
    const float decay = s.step->muon_decay, rate = s.step->muon_rate * x.scale;

    if (s.gauge->clip == 0)
        return;
    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            float *at = s.w + x.offset + i * x.length + j;
            const float old = *at;

            *at = old - decay * old - rate * sru_load(step + i * x.cols + j);
        }
}

/* ---- Newton-Schulz ---------------------------------------------------------------------------------------- */

/* x = (3.4445 - 4.7750 A + 2.0315 A A) x with A = x x^T; with more rows than columns, of the transpose. */
template <typename A> static void iterate(struct sru_cuda *cuda, const struct sru_muon_matrix *s, struct room *r)
{
    const bool tall = s->rows > s->cols;
    const size_t n = sru_min(s->rows, s->cols);
    const struct sru_cuda_product gram = { .m = n, .n = n, .k = tall ? s->rows : s->cols, .ta = tall, .tb = !tall };
    const struct sru_cuda_product square = { .m = n, .n = n, .k = n, .tb = true }, apply = { .m = s->rows, .n = s->cols, .k = n };
    sru_act *const x = r->x;

    sru_cuda_multiply(cuda, &gram, x, x, r->a);
    sru_cuda_multiply(cuda, &square, r->a, r->a, r->p);
    polynomial<<<(unsigned)sru_min(n, SRU_CUDA_SUMS), THREADS, 0, cuda->stream>>>(n, (const A *)r->a, (A *)r->p);
    sru_cuda_launched(cuda, "muon's polynomial");
    sru_cuda_multiply(cuda, &apply, tall ? x : r->p, tall ? r->p : x, r->next);
    r->x = r->next;
    r->next = x;
}

template <typename A> static void step(struct sru_cuda *cuda, const struct sru_muon *s, const struct sru_muon_matrix *x)
{
    const unsigned blocks = (unsigned)sru_min(x->rows, SRU_CUDA_SUMS);
    struct room r = room_of(cuda, x);

    if (x->rows == 0 || x->cols == 0)
        return;
    momentum<<<blocks, THREADS, 0, cuda->stream>>>(*s, *x, cuda->sums);
    sru_cuda_launched(cuda, "muon's momentum");
    direction<<<blocks, THREADS, 0, cuda->stream>>>(*s, *x, cuda->sums, (A *)r.x);
    sru_cuda_launched(cuda, "muon's direction");
    for (int i = 0; i < 5; i++)
        iterate<A>(cuda, x, &r);
    descend<<<blocks, THREADS, 0, cuda->stream>>>(*s, *x, (const A *)r.x);
    sru_cuda_launched(cuda, "muon's descent");
}

size_t sru_cuda_muon_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    if (!s->muon)
        return 0;
    return room_elements(s->p * sru_max(s->p, s->d), s->p * s->p) * cuda->dev.act_bytes / sizeof(float);
}

void sru_cuda_muon(struct sru_dev *dev, const struct sru_muon *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);

    for (size_t i = 0; i < s->n; i++)
        SRU_BY_TYPE(cuda, step, cuda, s, &s->matrices[i]);
}
