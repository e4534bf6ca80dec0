/* Muon (Jordan et al. 2024): matrices of one size go side by side, by batched products. */
#include <stdlib.h>

#include "gpu/device.cuh"

enum { THREADS = 256, ALIGN = 32 /* elements: 64 bytes or more */, MOST = 16 /* matrices at a time */, BLOCKS = SRU_CUDA_SUMS / MOST };

/* Matrices of one size. */
struct group {
    size_t n, rows, cols;
    struct { size_t offset, length; float scale; } of[MOST];
};

/* The workspace for a group: its x and their next values, and squares of the smaller side; elements between matrices. */
struct room {
    sru_act *x, *next, *a, *p;
    size_t large, square;
};

static size_t room_elements(size_t large, size_t square)
{
    return MOST * (2 * sru_round_up(large, ALIGN) + 2 * sru_round_up(square, ALIGN));
}

static struct room room_of(const struct sru_cuda *cuda, const struct group *s)
{
    const size_t small = sru_min(s->rows, s->cols), large = sru_round_up(s->rows * s->cols, ALIGN);
    const size_t square = sru_round_up(small * small, ALIGN);
    sru_act *x = (sru_act *)cuda->work, *next = sru_at(&cuda->dev, x, s->n * large), *a = sru_at(&cuda->dev, next, s->n * large);

    return (struct room){ x, next, a, sru_at(&cuda->dev, a, s->n * square), large, square };
}

/* ---- Kernels: blockIdx.y is the matrix, of which a block takes every gridDim.x-th row --------------------- */

/* (1-b) g' + b m, Nesterov's look ahead from a momentum that has taken g' in already. */
__device__ static float ahead(float b, float clip, float g, float m)
{
    return fmaf((1 - b) * clip, g, b * m);
}

/* m, and for each block the sum of u's squares. */
__global__ static void momentum(struct sru_muon s, struct group x, double *sums)
{
    const float clip = s.gauge->clip;
    double sum = 0;

    if (clip == 0)
        return;
    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            const size_t at = x.of[blockIdx.y].offset + i * x.of[blockIdx.y].length + j;
            const float g = s.g[at], m = ahead(s.momentum, clip, g, s.m[at]), now = sru_flushed(m);
            const float u = ahead(s.momentum, clip, g, now);

            s.m[at] = now;
            sum += (double)u * u;
        }
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

/* x = u / (|u| + 1e-7).  Each block adds up the sums of its matrix, which are gridDim.x as well, for itself. */
template <typename A> __global__ static void direction(struct sru_muon s, struct group x, const double *sums, size_t large, A *out)
{
    const float clip = s.gauge->clip;
    double sum = 0;

    if (clip == 0)
        return;
    for (unsigned i = threadIdx.x; i < gridDim.x; i += THREADS)
        sum += sums[blockIdx.y * gridDim.x + i];
    const float scale = (float)(1 / (sqrt(sru_block_sum(sum)) + 1e-7));
    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            const size_t at = x.of[blockIdx.y].offset + i * x.of[blockIdx.y].length + j;

            sru_store(out + blockIdx.y * large + i * x.cols + j, scale * ahead(s.momentum, clip, s.g[at], s.m[at]));
        }
}

/* aa = 3.4445 - 4.7750 a + 2.0315 aa, of matrices [n,n].  The diagonal is rounded once, as all else. */
template <typename A> __global__ static void polynomial(size_t n, size_t square, const A *a, A *aa)
{
    a += blockIdx.y * square;
    aa += blockIdx.y * square;
    for (size_t i = blockIdx.x; i < n; i += gridDim.x)
        for (size_t j = threadIdx.x; j < n; j += THREADS) {
            const float quadratic = fmaf(-4.7750f, sru_load(a + i * n + j), 2.0315f * sru_load(aa + i * n + j));

            sru_store(aa + i * n + j, i == j ? 3.4445f + quadratic : quadratic);
        }
}

template <typename A> __global__ static void descend(struct sru_muon s, struct group x, size_t large, const A *step)
{
    const float decay = s.step->muon_decay, rate = s.step->muon_rate * x.of[blockIdx.y].scale;

    if (s.gauge->clip == 0)
        return;
    for (size_t i = blockIdx.x; i < x.rows; i += gridDim.x)
        for (size_t j = threadIdx.x; j < x.cols; j += THREADS) {
            float *at = s.w + x.of[blockIdx.y].offset + i * x.of[blockIdx.y].length + j;
            const float old = *at;

            *at = old - decay * old - rate * sru_load(step + blockIdx.y * large + i * x.cols + j);
        }
}

/* ---- Newton-Schulz ---------------------------------------------------------------------------------------- */

/* x = (3.4445 - 4.7750 A + 2.0315 A A) x with A = x x^T; with more rows than columns, of the transpose. */
template <typename A> static void iterate(struct sru_cuda *cuda, const struct group *s, struct room *r)
{
    const bool tall = s->rows > s->cols;
    const size_t n = sru_min(s->rows, s->cols);
    const struct sru_cuda_product gram = {
        .m = n, .n = n, .k = tall ? s->rows : s->cols, .batch = s->n, .a_stride = r->large, .b_stride = r->large,
        .c_stride = r->square, .ta = tall, .tb = !tall,
    };
    const struct sru_cuda_product square = {
        .m = n, .n = n, .k = n, .batch = s->n, .a_stride = r->square, .b_stride = r->square, .c_stride = r->square, .tb = true,
    };
    const struct sru_cuda_product apply = {
        .m = s->rows, .n = s->cols, .k = n, .batch = s->n, .a_stride = tall ? r->large : r->square,
        .b_stride = tall ? r->square : r->large, .c_stride = r->large,
    };
    sru_act *const x = r->x;

    sru_cuda_multiply(cuda, &gram, x, x, r->a);
    sru_cuda_multiply(cuda, &square, r->a, r->a, r->p);
    polynomial<<<dim3((unsigned)sru_min(n, 65535), (unsigned)s->n), THREADS, 0, cuda->stream>>>(n, r->square, (const A *)r->a, (A *)r->p);
    sru_cuda_launched(cuda, "muon's polynomial");
    sru_cuda_multiply(cuda, &apply, tall ? x : r->p, tall ? r->p : x, r->next);
    r->x = r->next;
    r->next = x;
}

template <typename A> static void step(struct sru_cuda *cuda, const struct sru_muon *s, const struct group *x)
{
    const dim3 blocks((unsigned)sru_min(x->rows, BLOCKS), (unsigned)x->n);
    struct room r = room_of(cuda, x);

    momentum<<<blocks, THREADS, 0, cuda->stream>>>(*s, *x, cuda->sums);
    sru_cuda_launched(cuda, "muon's momentum");
    direction<<<blocks, THREADS, 0, cuda->stream>>>(*s, *x, cuda->sums, r.large, (A *)r.x);
    sru_cuda_launched(cuda, "muon's direction");
    for (int i = 0; i < 5; i++)
        iterate<A>(cuda, x, &r);
    descend<<<dim3((unsigned)sru_min(x->rows, 65535), (unsigned)x->n), THREADS, 0, cuda->stream>>>(*s, *x, r.large, (const A *)r.x);
    sru_cuda_launched(cuda, "muon's descent");
}

size_t sru_cuda_muon_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    if (!s->muon)
        return 0;
    return room_elements(s->p * sru_max(s->p, s->d), s->p * s->p) * cuda->dev.act_bytes / sizeof(float);
}

/* Matrix `first` and those after it of its size, as many as go at a time; what was taken is marked. */
static struct group group_of(const struct sru_muon *s, size_t first, bool *taken)
{
    struct group x = { 0, s->matrices[first].rows, s->matrices[first].cols };

    for (size_t i = first; i < s->n && x.n < MOST; i++) {
        const struct sru_muon_matrix *m = &s->matrices[i];

        if (taken[i] || m->rows != x.rows || m->cols != x.cols)
            continue;
        x.of[x.n++] = { m->offset, m->length, m->scale };
        taken[i] = true;
    }
    return x;
}

void sru_cuda_muon(struct sru_dev *dev, const struct sru_muon *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    bool *taken = (bool *)calloc(s->n + 1, sizeof *taken);

    if (!taken)
        sru_cuda_check(cuda, cudaErrorMemoryAllocation, "muon");
    for (size_t i = 0; taken && i < s->n; i++) {
        if (taken[i] || s->matrices[i].rows == 0 || s->matrices[i].cols == 0)
            continue;
        const struct group x = group_of(s, i, taken);

        SRU_BY_TYPE(cuda, step, cuda, s, &x);
    }
    free(taken);
}
