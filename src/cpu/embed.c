/* Embedding and its gradient. */
#include "config.h"

#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* A row of mask for each thread. */
size_t sru_cpu_embed_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return (size_t)cpu->dev.threads * s->d;
}

static void embed_row(const struct sru_cpu *cpu, const struct sru_embed *s, size_t n)
{
    cpu->k->embed(s->d, s->table.w + (size_t)s->tokens[n] * s->d,
                  sru_mask_row(cpu, &s->mask, n, s->d, cpu->work + (size_t)omp_get_thread_num() * s->d),
                  sru_row(&cpu->dev, s->x, n / s->T, n % s->T, s->d));
}

void sru_cpu_embed(struct sru_dev *dev, const struct sru_embed *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);

    SRU_EACH(cpu, sru_is_work(cpu, s->B * s->T * s->d), n, s->B * s->T, embed_row(cpu, s, n));
}

static void mask_rows(const struct sru_cpu *cpu, const struct sru_embed *s)
{
#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu))
    for (size_t n = 0; n < s->B * s->T; n++) {
        sru_act *dx = sru_row(&cpu->dev, s->dx, n / s->T, n % s->T, s->d);
        float *room = cpu->work + (size_t)omp_get_thread_num() * s->d;

        cpu->k->mask(s->d, dx, sru_mask_row(cpu, &s->mask, n, s->d, room), dx);
    }
}

/* A thread owns columns of the table, and takes the rows in their order: the same sums for every number of threads. */
void sru_cpu_embed_back(struct sru_dev *dev, const struct sru_embed *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);

    if (sru_mask_is_on(&s->mask))
        mask_rows(cpu, s);
#pragma omp parallel num_threads(sru_threads(cpu))
    {
        const size_t threads = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
        const size_t each = sru_round_up((s->d + threads - 1) / threads, 32), from = sru_min(me * each, s->d);
        const size_t n = sru_min(each, s->d - from);

        for (size_t i = 0; n > 0 && i < s->V && !s->add; i++)
            memset(s->table.g + i * s->d + from, 0, n * sizeof *s->table.g);
        for (size_t i = 0; n > 0 && i < s->B * s->T; i++)
            cpu->k->embed_back(n, sru_at(dev, s->dx.p, i / s->T * s->dx.stride + i % s->T * s->d + from), NULL,
                               s->table.g + (size_t)s->tokens[i] * s->d + from);
    }
}
