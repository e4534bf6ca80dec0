/* The output product with its loss, a block of rows at a time. */
#include "gpu/groups.cuh"
#include "gpu/predict.cuh"

/* Rows of a block at most: many, for the products to be fast and dW, which each block reads and writes, to pass few times. */
static size_t most_rows(size_t V)
{
    return sru_max(512, sru_min(8192, ((size_t)1 << 28) / V / 128 * 128));
}

/* And where all blocks are of about the same size. */
static size_t block_rows(size_t N, size_t V)
{
    const size_t blocks = (N + most_rows(V) - 1) / most_rows(V);

    return sru_min(N, sru_round_up((N + blocks - 1) / blocks, 128));
}

/* What a block works on. */
struct block {
    size_t from, n, stride, length; /* of a row of logits, and of dlogits, aligned */
    float   *logits;            /* [rows,stride]: the caller's, or [rows,length] */
    sru_act *room, *dlogits;    /* [rows,d] masked h and later dh; [rows,length] */
    sru_act *h, *dh;            /* what products read and write: the room, or the caller's rows themselves */
    float   *loss;              /* sru_cuda_loss's */
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
    const size_t rows = sru_min(N, most_rows(V)), length = sru_round_up(V, SRU_CUDA_PAD), bytes = cuda->dev.act_bytes, each = sizeof(float);
    size_t at = 0;

    k->stride = k->length = length;
    k->room = (sru_act *)take(work, &at, (rows * d * bytes + each - 1) / each);
    k->logits = take(work, &at, rows * length);
    k->dlogits = (sru_act *)take(work, &at, back ? rows * length * bytes / each : 0);
    k->loss = take(work, &at, sru_cuda_loss_work(rows, V));
    return at;
}

size_t sru_cuda_predict_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    struct block k;

    return cut(cuda, &k, nullptr, s->B * s->T, s->d, s->V, s->train);
}

/* ---- Rows in and out: a block a row ------------------------------------------------------------------ */

/* Rows of `mine` = mask * outer's or, with back, outer's = mask * mine; by groups (gpu/groups.cuh) or columns. */
template <typename A, bool groups> __global__ void move_kernel(rows_of<A> outer, A *mine, size_t first, size_t T, size_t d,
                                                               struct sru_cuda_mask mask, bool back)
{
    const size_t n = first + blockIdx.x;
    A *theirs = outer.row(n, T, d), *ours = mine + blockIdx.x * d, *to = back ? theirs : ours;
    const A *from = back ? ours : theirs;

    for (size_t i = threadIdx.x; i < (groups ? d / SRU_GROUP : d); i += blockDim.x)
        if constexpr (groups)
            sru_move_group(mask, n, i, d, from, to, false);
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

/* blockIdx.x is the row. */
__global__ void bias_kernel(size_t V, float *logits, const float *bias)
{
    float *x = logits + blockIdx.x * V;

    for (size_t j = (size_t)blockIdx.y * blockDim.x + threadIdx.x; j < V; j += (size_t)gridDim.y * blockDim.x)
        x[j] += bias[j];
}

/* The outputs that products compute: with the padding where the weight has it and the logits have room for it. */
static size_t outputs(const struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    return cuda->bf16 && k->stride == k->length ? k->length : s->V;
}

/* ---- The operator -------------------------------------------------------------------------------- */

/* Logits of the block's rows, their losses and, with back, the gradients of the logits and of the bias. */
static void block_loss(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k, bool back)
{
    const struct sru_cuda_product x = { .m = k->n, .n = outputs(cuda, s, k), .k = s->d, .ldc = k->stride, .tb = true, .c_f32 = true };
    const struct sru_cuda_losses losses = { k->n, s->V, k->stride, k->length, k->logits, s->bias.w, s->targets + k->from, s->nll + k->from,
                                            s->factor, s->logits != nullptr, k->from > 0, back ? k->dlogits : nullptr, s->bias.g, k->loss };

    if (k->h == k->room)
        SRU_BY_TYPE(cuda, move_rows, cuda, s, k, false);
    sru_cuda_multiply(cuda, &x, k->h, sru_cuda_values(&s->w), k->logits);
    if (s->targets) {
        sru_cuda_loss(cuda, &losses);
        return;
    }
    const unsigned threads = sru_threads_for(s->V, 256), pieces = (unsigned)sru_min((s->V + threads - 1) / threads, 1024);
    bias_kernel<<<dim3((unsigned)k->n, pieces), threads, 0, cuda->stream>>>(s->V, k->logits, s->bias.w);
    sru_cuda_launched(cuda, "predict");
}

static void block_back(struct sru_cuda *cuda, const struct sru_predict *s, const struct block *k)
{
    const struct sru_cuda_product w = { .m = s->V, .n = s->d, .k = k->n, .lda = k->length, .ta = true, .add = k->from > 0, .c_f32 = true };
    const struct sru_cuda_product h = { .m = k->n, .n = s->d, .k = cuda->bf16 ? k->length : s->V, .lda = k->length };

    sru_cuda_multiply(cuda, &w, k->dlogits, k->h, s->w.g);
    sru_cuda_multiply(cuda, &h, k->dlogits, sru_cuda_values(&s->w), k->dh);
    if (k->dh == k->room)
        SRU_BY_TYPE(cuda, move_rows, cuda, s, k, true);
}

static void run(struct sru_cuda *cuda, const struct sru_predict *s, bool back)
{
    const size_t N = s->B * s->T, rows = N > 0 ? block_rows(N, s->V) : 1;
    struct block k;

    cut(cuda, &k, cuda->work, N, s->d, s->V, back);
    for (k.from = 0; k.from < N; k.from += rows) {
        k.n = sru_min(rows, N - k.from);
        if (s->logits) {
            k.logits = s->logits + k.from * s->V;
            k.stride = s->V;
        }
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
