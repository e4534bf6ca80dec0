/* The output product with its loss, a block of rows at a time. */
#include "config.h"

#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

static size_t block_rows(size_t N, size_t V)
{
    return sru_min(N, sru_max(64, sru_min(1024, ((size_t)1 << 21) / V)));
}

/* What a block works on; each array begins with a cache line. */
struct block {
    size_t from, n;
    float   *logits;            /* [rows,V] */
    sru_act *h, *dlogits;       /* [rows,d] masked h and later dh; [rows,V] */
    sru_act *transposed;        /* workspace of the gradient product */
    float   *rooms;             /* a row of mask for each thread */
};

static float *take(float *work, size_t *at, size_t n)
{
    float *p = work ? work + *at : NULL;

    *at += sru_round_up(n, 16);
    return p;
}

/* The workspace cut up, and its size (work NULL: that alone); activations may need half of theirs. */
static size_t cut(const struct sru_cpu *cpu, struct block *k, float *work, size_t N, size_t d, size_t V)
{
    const size_t threads = (size_t)cpu->dev.threads, rows = block_rows(N, V);
    size_t at = 0;

    k->logits = take(work, &at, rows * V);
    k->h = (sru_act *)take(work, &at, rows * d);
    k->dlogits = (sru_act *)take(work, &at, rows * V);
    k->transposed = (sru_act *)take(work, &at, sru_cpu_gradient_work(rows, V));
    k->rooms = take(work, &at, threads * d);
    return at;
}

size_t sru_cpu_predict_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    struct block k;

    return cut(cpu, &k, NULL, s->B * s->T, s->d, s->V);
}

/* Row i of the block's masked h, copied in or, with `back`, masked and copied out to dh. */
static void move_row(const struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, size_t i, bool back)
{
    const size_t n = k->from + i;
    sru_act *mine = sru_at(&cpu->dev, k->h, i * s->d);
    sru_act *outer = sru_row(&cpu->dev, back ? s->dh : s->h, n / s->T, n % s->T, s->d);
    const float *m = sru_mask_row(cpu, &s->mask, n, s->d, k->rooms + (size_t)omp_get_thread_num() * s->d);

    cpu->k->mask(s->d, back ? mine : outer, m, back ? outer : mine);
    if (!back)
        memcpy(k->logits + i * s->V, s->bias.w, s->V * sizeof(float));
}

static void move_rows(const struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, bool back)
{
    SRU_EACH(cpu, sru_is_work(cpu, k->n * (s->d + s->V)), i, k->n, move_row(cpu, s, k, i, back));
}

static float row_loss(const struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, size_t i, float factor)
{
    const int32_t target = s->targets[k->from + i];
    sru_act *d = sru_at(&cpu->dev, k->dlogits, i * s->V);

    if (target >= 0)
        return cpu->k->nll(s->V, k->logits + i * s->V, target, factor, d);
    if (factor != 0)
        memset(d, 0, s->V * cpu->dev.act_bytes);
    return 0;
}

/* Logits of the block's rows, then their losses and with factor the logits' gradients. */
static void block_loss(struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, float factor)
{
    struct sru_product p = sru_act_product(cpu, k->n, s->V, s->d);
    const struct sru_cpu_operand *o = s->w.operand;

    move_rows(cpu, s, k, false);
    p.b = SRU_PACKED;
    p.c_bf16 = false;
    p.add = true;   /* to the bias */
    if (o->panels)
        sru_cpu_decode(cpu, o, k->n, k->h, s->d, NULL, k->logits, s->V);
    else
        sru_product(cpu->products, &p, k->h, o->forward, k->logits);
    if (s->logits)
        memcpy(s->logits + k->from * s->V, k->logits, k->n * s->V * sizeof(float));
    if (!s->targets)
        return;
#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu)) if (k->n > 1)
    for (size_t i = 0; i < k->n; i++)
        s->nll[k->from + i] = row_loss(cpu, s, k, i, factor);
}

static void block_back(struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k)
{
    sru_cpu_gradient(cpu, &s->w, k->n, k->h, k->dlogits, k->from > 0, k->transposed);
    cpu->k->add_rows(k->n, s->V, k->dlogits, s->bias.g);
    sru_cpu_back(cpu, &s->w, k->n, k->dlogits, false, k->h);
    move_rows(cpu, s, k, true);
}

static void run(struct sru_cpu *cpu, const struct sru_predict *s, bool back)
{
    const size_t N = s->B * s->T, rows = block_rows(N, s->V);
    struct block k;

    cut(cpu, &k, cpu->work, N, s->d, s->V);
    if (back)
        memset(s->bias.g, 0, s->V * sizeof *s->bias.g);
    for (k.from = 0; k.from < N; k.from += rows) {
        k.n = sru_min(rows, N - k.from);
        block_loss(cpu, s, &k, back ? s->factor : 0);
        if (back)
            block_back(cpu, s, &k);
    }
}

void sru_cpu_predict(struct sru_dev *dev, const struct sru_predict *s)
{
    run(sru_cpu_of(dev), s, false);
}

void sru_cpu_predict_back(struct sru_dev *dev, const struct sru_predict *s)
{
    run(sru_cpu_of(dev), s, true);
}
