/* Embedding and its gradient. */
#include "config.h"

#include <omp.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

void sru_cpu_embed(struct sru_dev *dev, const struct sru_embed *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);
    const bool masked = sru_mask_is_on(&s->mask);

#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s->B * s->T; n++) {
        float *x = sru_row(s->x, n / s->T, n % s->T, s->d);
        const float *e = s->table.w + (size_t)s->tokens[n] * s->d;

        if (masked)
            cpu->k->mul(s->d, e, sru_mask_row(cpu, &s->mask, n, s->d, x), x);
        else
            memcpy(x, e, s->d * sizeof *x);
    }
}

size_t sru_cpu_embed_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return s->train ? (size_t)cpu->dev.threads * s->d : 0;
}

static void mask_rows(const struct sru_cpu *cpu, const struct sru_embed *s)
{
#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s->B * s->T; n++) {
        float *dx = sru_row(s->dx, n / s->T, n % s->T, s->d);
        float *room = cpu->work + (size_t)omp_get_thread_num() * s->d;

        cpu->k->mul(s->d, dx, sru_mask_row(cpu, &s->mask, n, s->d, room), dx);
    }
}

/* A thread owns columns of the table, and takes the rows in their order: the same sums for every number of threads. */
void sru_cpu_embed_back(struct sru_dev *dev, const struct sru_embed *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);

    if (sru_mask_is_on(&s->mask))
        mask_rows(cpu, s);
#pragma omp parallel
    {
        const size_t threads = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
        const size_t each = sru_round_up((s->d + threads - 1) / threads, 16), from = sru_min(me * each, s->d);
        const size_t n = sru_min(each, s->d - from);

        for (size_t i = 0; n > 0 && i < s->B * s->T; i++)
            cpu->k->add(n, sru_row(s->dx, i / s->T, i % s->T, s->d) + from,
                        s->table.g + (size_t)s->tokens[i] * s->d + from);
    }
}
