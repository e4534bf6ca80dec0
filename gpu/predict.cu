/* The output product with its loss, a block of rows at a time. */
#include <math.h>

#include "gpu/device.cuh"

extern "C" {
#include "src/size.h"
}

/* Large enough for the products to be fast, small enough for the logits to be few. */
static size_t block_rows(size_t N, size_t V)
{
    return sru_min(N, sru_max(256, sru_min(8192, ((size_t)1 << 24) / V)));
}

/* What a block works on. */
struct block {
    size_t from, n, length;     /* length: of dlogits' rows, aligned */
    float   *logits;            /* [rows,V] */
    sru_act *h, *dlogits;       /* [rows,d] masked h and later dh; [rows,length] */
    float   *sums;              /* sru_cuda_columns' */
};

static float *take(float *work, size_t *at, size_t n)
{
    float *p = work ? work + *at : nullptr;

    *at += sru_round_up(n, 64);
    return p;
}

/* The workspace cut up, and its floats (work NULL: that alone). */
static size_t cut(const struct sru_cuda *cuda, struct block *k, float *work, size_t N, size_t d, size_t V, bool back)
{
    const size_t rows = block_rows(N, V), length = sru_round_up(V, 32), bytes = cuda->dev.act_bytes, each = sizeof(float);
    size_t at = 0;

    k->length = length;
    k->h = (sru_act *)take(work, &at, (rows * d * bytes + each - 1) / each);
    k->logits = take(work, &at, rows * V);
    k->dlogits = (sru_act *)take(work, &at, back ? rows * length * bytes / each : 0);
    k->sums = take(work, &at, back ? sru_cuda_columns_work(rows, V) : 0);
    return at;
}

size_t sru_cuda_predict_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    struct block k;

    return cut(cuda, &k, nullptr, s->B * s->T, s->d, s->V, s->train);
}

/* ---- Kernels: a block a row --------------------------------------------------------------------- */

static unsigned threads_for(size_t n, size_t most)
{
    return (unsigned)sru_min(most, sru_round_up(n, 32));
}

/* Rows of `mine` = mask * outer's or, with back, outer's = mask * mine. */
template <typename A> __global__ void move_kernel(rows_of<A> outer, A *mine, size_t from, size_t T, size_t d, struct sru_cuda_mask mask,
                                                  bool back)
{
    const size_t n = from + blockIdx.x;
    A *theirs = outer.row(n, T, d), *ours = mine + blockIdx.x * d;
    const A *x = back ? ours : theirs;
    A *y = back ? theirs : ours;

    for (size_t j = threadIdx.x; j < d; j += blockDim.x)
        sru_store(y + j, sru_load(x + j) * sru_cuda_factor(mask, n, j, d));
}

template <typename A> static void move_rows(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    move_kernel<<<(unsigned)k->n, threads_for(s->d, 256), 0, cuda->stream>>>(rows_of<A>(back ? s->dh : s->h), (A *)k->h, k->from, s->T,
                                                                            s->d, sru_cuda_mask_of(&s->mask), back);
    sru_cuda_launched(cuda, back ? "predict_back" : "predict");
}

__global__ void bias_kernel(size_t V, float *logits, const float *bias)
{
    float *x = logits + blockIdx.x * V;

    for (size_t j = threadIdx.x; j < V; j += blockDim.x)
        x[j] += bias[j];
}

/* The row's loss; its logits with the bias where `keep`, and their gradients where there is room for them. */
template <typename A> __global__ void loss_kernel(size_t V, float *logits, const float *bias, const int32_t *targets, float *nll, bool keep,
                                                  float factor, size_t length, A *dlogits)
{
    float *x = logits + blockIdx.x * V, top = -INFINITY, sum = 0.0f;
    const size_t target = (size_t)targets[blockIdx.x];
    const float hit = x[target] + bias[target];   /* before x is written */

    for (size_t j = threadIdx.x; j < V; j += blockDim.x) {
        const float y = x[j] + bias[j];

        top = y > top || y != y ? y : top;
    }
    top = sru_block_max(top);
    for (size_t j = threadIdx.x; j < V; j += blockDim.x)
        sum += expf(x[j] + bias[j] - top);
    sum = sru_block_sum(sum);
    if (threadIdx.x == 0)
        nll[blockIdx.x] = logf(sum) + (top - hit);
    if (!keep && !dlogits)
        return;
    for (size_t j = threadIdx.x; j < V; j += blockDim.x) {
        const float y = x[j] + bias[j], e = expf(y - top) * (factor / sum);

        if (keep)
            x[j] = y;
        if (dlogits)
            sru_store(dlogits + blockIdx.x * length + j, j == target ? e - factor : e);
    }
}

template <typename A> static void loss(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    loss_kernel<<<(unsigned)k->n, threads_for(s->V, 1024), 0, cuda->stream>>>(s->V, k->logits, s->bias.w, s->targets + k->from,
                                                                             s->nll + k->from, s->logits != nullptr, s->factor, k->length,
                                                                             back ? (A *)k->dlogits : nullptr);
    sru_cuda_launched(cuda, "predict");
}

/* ---- The operator -------------------------------------------------------------------------------- */

/* The values that products take, [V,d]. */
static const void *matrix(const struct sru_weight *w)
{
    const struct sru_cuda_operand *o = (const struct sru_cuda_operand *)w->operand;

    return o->copy ? o->copy : w->w;
}

/* Logits of the block's rows, their losses and, with back, the logits' gradients. */
static void block_loss(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    struct sru_cuda_product x = {};

    SRU_BY_TYPE(cuda, move_rows, cuda, s, k, false);
    x.m = k->n;
    x.n = s->V;
    x.k = s->d;
    x.tb = x.c_f32 = true;
    sru_cuda_multiply(cuda, &x, k->h, matrix(&s->w), k->logits);
    if (s->targets) {
        SRU_BY_TYPE(cuda, loss, cuda, s, k, back);
        return;
    }
    bias_kernel<<<(unsigned)k->n, threads_for(s->V, 1024), 0, cuda->stream>>>(s->V, k->logits, s->bias.w);
    sru_cuda_launched(cuda, "predict");
}

template <typename A> static void bias_gradient(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    sru_cuda_columns(cuda, k->n, s->V, k->length, (const A *)k->dlogits, k->from > 0, k->sums, s->bias.g);
}

static void block_back(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    struct sru_cuda_product w = {}, h = {};

    SRU_BY_TYPE(cuda, bias_gradient, cuda, s, k);
    w.m = s->V;
    w.n = s->d;
    w.k = k->n;
    w.lda = k->length;
    w.ta = w.c_f32 = true;
    w.add = k->from > 0;
    sru_cuda_multiply(cuda, &w, k->dlogits, k->h, s->w.g);
    h.m = k->n;
    h.n = s->d;
    h.k = s->V;
    h.lda = k->length;
    sru_cuda_multiply(cuda, &h, k->dlogits, matrix(&s->w), k->h);
    SRU_BY_TYPE(cuda, move_rows, cuda, s, k, true);
}

static void run(struct sru_cuda *cuda, const struct sru_predict *s, bool back)
{
    const size_t N = s->B * s->T, rows = block_rows(N, s->V);
    struct block k;

    cut(cuda, &k, cuda->work, N, s->d, s->V, back);
    for (k.from = 0; k.from < N; k.from += rows) {
        k.n = sru_min(rows, N - k.from);
        if (s->logits)
            k.logits = s->logits + k.from * s->V;
        block_loss(cuda, s, &k, back);
        if (back)
            block_back(cuda, s, &k);
    }
}

void sru_cuda_predict(struct sru_dev *dev, const struct sru_predict *s)
{
    run(sru_cuda_of(dev), s, false);
}

void sru_cuda_predict_back(struct sru_dev *dev, const struct sru_predict *s)
{
    run(sru_cuda_of(dev), s, true);
}
