/* The output product with its loss, a block of rows at a time. */
#include <float.h>
#include <math.h>

#include "gpu/groups.cuh"

/* Large enough for the products to be fast and dW, which each block reads and writes, to pass few times; small enough for the logits. */
static size_t block_rows(size_t N, size_t V)
{
    return sru_min(N, sru_max(256, sru_min(8192, ((size_t)1 << 27) / V / 128 * 128)));
}

/* What a block works on. */
struct block {
    size_t from, n, length;     /* length: of dlogits' rows, aligned */
    float   *logits;            /* [rows,V] */
    sru_act *room, *dlogits;    /* [rows,d] masked h and later dh; [rows,length] */
    sru_act *h, *dh;            /* what products read and write: the room, or the caller's rows themselves */
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
    k->room = (sru_act *)take(work, &at, (rows * d * bytes + each - 1) / each);
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

/* ---- Rows in and out: a block a row ------------------------------------------------------------------ */

/* to = mask * from, of group g of row n. */
template <typename A> __device__ static void move_group(const struct sru_cuda_mask &m, size_t n, size_t g, size_t d, const A *from, A *to)
{
    float x[SRU_GROUP];

    sru_read_group(from, g, d, x);
    sru_mask_group(m, n, g, d, x);
    sru_write_group(to, g, d, x);
}

/* Rows of `mine` = mask * outer's or, with back, outer's = mask * mine; by groups (gpu/groups.cuh) or columns. */
template <typename A, bool groups> __global__ void move_kernel(rows_of<A> outer, A *mine, size_t first, size_t T, size_t d,
                                                               struct sru_cuda_mask mask, bool back)
{
    const size_t n = first + blockIdx.x;
    A *theirs = outer.row(n, T, d), *ours = mine + blockIdx.x * d, *to = back ? theirs : ours;
    const A *from = back ? ours : theirs;

    for (size_t i = threadIdx.x; i < (groups ? d / SRU_GROUP : d); i += blockDim.x)
        if constexpr (groups)
            move_group(mask, n, i, d, from, to);
        else
            sru_store(to + i, sru_load(from + i) * sru_cuda_factor(mask, n, i, d));
}

template <typename A> static void move_rows(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    const rows_of<A> outer(back ? s->dh : s->h);
    const struct sru_cuda_mask mask = sru_cuda_mask_of(&s->mask);
    const unsigned rows = (unsigned)k->n;
    A *mine = (A *)k->room;

    if (sru_in_fours(outer) && s->d % SRU_GROUP == 0 && !mask.given)
        move_kernel<A, true><<<rows, sru_threads_for(s->d / SRU_GROUP, 256), 0, cuda->stream>>>(outer, mine, k->from, s->T, s->d, mask,
                                                                                               back);
    else
        move_kernel<A, false><<<rows, sru_threads_for(s->d, 256), 0, cuda->stream>>>(outer, mine, k->from, s->T, s->d, mask, back);
    sru_cuda_launched(cuda, back ? "predict_back" : "predict");
}

/* The block's rows as they stand where they are dense and nothing masks them, else the room for a copy. */
static sru_act *rows_or_room(const struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, struct sru_rows rows)
{
    const bool dense = s->B == 1 || rows.stride == s->T * s->d;

    return dense && !sru_mask_is_on(&s->mask) ? sru_at(&cuda->dev, rows.p, k->from * s->d) : k->room;
}

/* ---- Losses ------------------------------------------------------------------------------------------ */

__global__ void bias_kernel(size_t V, float *logits, const float *bias)
{
    float *x = logits + blockIdx.x * V;

    for (size_t j = threadIdx.x; j < V; j += blockDim.x)
        x[j] += bias[j];
}

/* Rows' losses; their logits with the bias where `keep`, and their gradients where there is room for them. */
template <typename A> struct losses {
    size_t n, V, length;
    float *logits;
    const float *bias;
    const int32_t *targets;
    float *nll, factor;
    bool keep;
    A *dlogits;
};

enum { LOSS_THREADS = 256, LOSS_ROWS = LOSS_THREADS / 32 };

/* A warp a row, whose threads have `each` logits, in registers. */
template <typename A, int each> __global__ void __launch_bounds__(LOSS_THREADS) loss_warps(losses<A> s)
{
    const size_t n = (size_t)blockIdx.x * LOSS_ROWS + threadIdx.x / 32, lane = threadIdx.x % 32;
    float *logits = s.logits + n * s.V, x[each], hit = 0.0f, top = -INFINITY, sum = 0.0f;

    if (n >= s.n)
        return;
    const size_t target = (size_t)s.targets[n];   /* none of the row's where it is below 0 */
    const float factor = s.targets[n] < 0 ? 0.0f : s.factor;
#pragma unroll
    for (int e = 0; e < each; e++)
        x[e] = lane + 32 * e < s.V ? logits[lane + 32 * e] + s.bias[lane + 32 * e] : -INFINITY;
#pragma unroll
    for (int e = 0; e < each; e++) {
        top = sru_larger(top, x[e]);
        hit = lane + 32 * e == target ? x[e] : hit;
        if (s.keep && lane + 32 * e < s.V)
            logits[lane + 32 * e] = x[e];
    }
    for (int i = 16; i > 0; i /= 2)
        top = sru_larger(top, __shfl_xor_sync(0xffffffffu, top, i));
    hit = __shfl_sync(0xffffffffu, hit, (int)(target % 32));
#pragma unroll
    for (int e = 0; e < each; e++)
        sum += x[e] = expf(x[e] - top);
    for (int i = 16; i > 0; i /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, i);
    if (lane == 0)
        s.nll[n] = s.targets[n] < 0 ? 0.0f : logf(sum) + (top - hit);
#pragma unroll
    for (int e = 0; e < each; e++) {
        const size_t j = lane + 32 * e;
        if (s.dlogits && j < s.V)
            sru_store(s.dlogits + n * s.length + j, x[e] * (factor / sum) - (j == target ? factor : 0.0f));
    }
}

enum { LOSS_EACH = 8 };   /* a thread's logits in flight */

/* A thread's logits from j on, with the bias; where the row ends, what adds nothing. */
template <typename A> __device__ static void load_logits(const losses<A> &s, const float *x, size_t j, float y[LOSS_EACH])
{
#pragma unroll
    for (int e = 0; e < LOSS_EACH; e++) {
        const size_t i = j + e * blockDim.x;
        y[e] = i < s.V ? x[i] + s.bias[i] : -INFINITY;
    }
}

/* A block a row, of any length. */
template <typename A> __global__ void loss_block(losses<A> s)
{
    float *x = s.logits + blockIdx.x * s.V, top = -FLT_MAX, sum = 0.0f;
    const bool none = s.targets[blockIdx.x] < 0;
    const size_t target = none ? s.V : (size_t)s.targets[blockIdx.x];
    const float hit = none ? 0.0f : x[target] + s.bias[target], factor = none ? 0.0f : s.factor;   /* before x is written */

    /* The sum as of the largest so far: one pass over rows that are longer than caches. */
    for (size_t j = threadIdx.x; j < s.V; j += LOSS_EACH * blockDim.x) {
        float y[LOSS_EACH], larger = top;

        load_logits(s, x, j, y);
#pragma unroll
        for (int e = 0; e < LOSS_EACH; e++)
            larger = sru_larger(larger, y[e]);
        sum *= expf(top - larger);
        top = larger;
#pragma unroll
        for (int e = 0; e < LOSS_EACH; e++)
            sum += expf(y[e] - top);
    }
    const float all = sru_block_max(top);
    sum = sru_block_sum(sum * expf(top - all));
    if (threadIdx.x == 0)
        s.nll[blockIdx.x] = none ? 0.0f : logf(sum) + (all - hit);
    for (size_t j = threadIdx.x; j < s.V && (s.keep || s.dlogits); j += LOSS_EACH * blockDim.x) {
        float y[LOSS_EACH];

        load_logits(s, x, j, y);
#pragma unroll
        for (int e = 0; e < LOSS_EACH; e++) {
            const size_t i = j + e * blockDim.x;
            const float p = expf(y[e] - all) * (factor / sum);

            if (s.keep && i < s.V)
                x[i] = y[e];
            if (s.dlogits && i < s.V)
                sru_store(s.dlogits + blockIdx.x * s.length + i, i == target ? p - factor : p);
        }
    }
}

template <typename A> static void loss(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    const losses<A> l = { k->n, s->V, k->length, k->logits, s->bias.w, s->targets + k->from, s->nll + k->from, s->factor,
                          s->logits != nullptr, back ? (A *)k->dlogits : nullptr };
    const unsigned rows = (unsigned)k->n, blocks = (rows + LOSS_ROWS - 1) / LOSS_ROWS;

    if (s->V <= 256)
        loss_warps<A, 8><<<blocks, LOSS_THREADS, 0, cuda->stream>>>(l);
    else if (s->V <= 512)
        loss_warps<A, 16><<<blocks, LOSS_THREADS, 0, cuda->stream>>>(l);
    else if (s->V <= 1024)
        loss_warps<A, 32><<<blocks, LOSS_THREADS, 0, cuda->stream>>>(l);
    else
        loss_block<A><<<rows, 1024, 0, cuda->stream>>>(l);
    sru_cuda_launched(cuda, "predict");
}

/* ---- The operator -------------------------------------------------------------------------------- */

/* Logits of the block's rows, their losses and, with back, the logits' gradients. */
static void block_loss(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    const struct sru_cuda_product x = { .m = k->n, .n = s->V, .k = s->d, .tb = true, .c_f32 = true };

    if (k->h == k->room)
        SRU_BY_TYPE(cuda, move_rows, cuda, s, k, false);
    sru_cuda_multiply(cuda, &x, k->h, sru_cuda_values(&s->w), k->logits);
    if (s->targets) {
        SRU_BY_TYPE(cuda, loss, cuda, s, k, back);
        return;
    }
    bias_kernel<<<(unsigned)k->n, sru_threads_for(s->V, 1024), 0, cuda->stream>>>(s->V, k->logits, s->bias.w);
    sru_cuda_launched(cuda, "predict");
}

template <typename A> static void bias_gradient(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    sru_cuda_columns(cuda, k->n, s->V, k->length, (const A *)k->dlogits, k->from > 0, k->sums, s->bias.g);
}

static void block_back(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    const struct sru_cuda_product w = { .m = s->V, .n = s->d, .k = k->n, .lda = k->length, .ta = true, .add = k->from > 0, .c_f32 = true };
    const struct sru_cuda_product h = { .m = k->n, .n = s->d, .k = s->V, .lda = k->length };

    SRU_BY_TYPE(cuda, bias_gradient, cuda, s, k);
    sru_cuda_multiply(cuda, &w, k->dlogits, k->h, s->w.g);
    sru_cuda_multiply(cuda, &h, k->dlogits, sru_cuda_values(&s->w), k->dh);
    if (k->dh == k->room)
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
        k.h = rows_or_room(cuda, s, &k, s->h);
        k.dh = rows_or_room(cuda, s, &k, s->dh);
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
