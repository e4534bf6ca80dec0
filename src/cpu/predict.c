/* The output product with its loss, a block of rows at a time. */
#include "config.h"

#include <omp.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

static size_t block_rows(size_t N, size_t V)
{
    return sru_min(N, sru_max(64, sru_min(1024, ((size_t)1 << 21) / V)));
}

/* A block of masked h, one of logits, and a row of mask for each thread. */
size_t sru_cpu_predict_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return block_rows(s->B * s->T, s->V) * (s->d + s->V) + (size_t)cpu->dev.threads * s->d;
}

struct block {
    size_t from, n;
    float *h, *logits, *rooms;
};

/* Row i of the block's masked h, copied in or, with `back`, masked and copied out to dh. */
static void move_rows(const struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, bool back)
{
    const bool masked = sru_mask_is_on(&s->mask);

#pragma omp parallel for schedule(static) if (k->n > 1)
    for (size_t i = 0; i < k->n; i++) {
        const size_t n = k->from + i;
        float *mine = k->h + i * s->d;
        float *outer = sru_row(back ? s->dh : s->h, n / s->T, n % s->T, s->d);
        float *room = k->rooms + (size_t)omp_get_thread_num() * s->d;
        const float *src = back ? mine : outer;
        float *dst = back ? outer : mine;

        if (masked)
            cpu->k->mul(s->d, src, sru_mask_row(cpu, &s->mask, n, s->d, room), dst);
        else
            memcpy(dst, src, s->d * sizeof *dst);
    }
}

/* Logits of the block's rows, then their losses; with factor the logits become gradients. */
static void block_loss(struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k, float factor)
{
    move_rows(cpu, s, k, false);
    for (size_t i = 0; i < k->n; i++)
        memcpy(k->logits + i * s->V, s->bias.w, s->V * sizeof(float));
    sru_gemm(cpu, false, true, k->n, s->V, s->d, k->h, s->d, s->w.w, s->d, true, k->logits, s->V);
    if (s->logits)
        memcpy(s->logits + k->from * s->V, k->logits, k->n * s->V * sizeof(float));
    if (!s->targets)
        return;
#pragma omp parallel for schedule(static) if (k->n > 1)
    for (size_t i = 0; i < k->n; i++)
        s->nll[k->from + i] = cpu->k->nll(s->V, k->logits + i * s->V, s->targets[k->from + i], factor);
}

static void block_back(struct sru_cpu *cpu, const struct sru_predict *s, const struct block *k)
{
    sru_gemm(cpu, true, false, s->V, s->d, k->n, k->logits, s->V, k->h, s->d, true, s->w.g, s->d);
    for (size_t i = 0; i < k->n; i++)
        cpu->k->add(s->V, k->logits + i * s->V, s->bias.g);
    sru_gemm(cpu, false, false, k->n, s->d, s->V, k->logits, s->V, s->w.w, s->d, false, k->h, s->d);
    move_rows(cpu, s, k, true);
}

static void run(struct sru_cpu *cpu, const struct sru_predict *s, bool back)
{
    const size_t N = s->B * s->T, rows = block_rows(N, s->V);
    struct block k = { .h = cpu->work, .logits = cpu->work + rows * s->d };

    k.rooms = k.logits + rows * s->V;
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
