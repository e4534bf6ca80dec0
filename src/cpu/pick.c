/* Rows of a segment side by side, and back. */
#include "config.h"

#include "src/cpu/cpu.h"

/* The factors of the row of x that row i is; the workspace is embed's, a row for each thread. */
static const float *factors(const struct sru_cpu *cpu, const struct sru_pick *s, size_t i)
{
    return sru_mask_row(cpu, &s->mask, (size_t)s->at[i], s->cols, cpu->work + (size_t)omp_get_thread_num() * s->cols);
}

static sru_act *row(const struct sru_cpu *cpu, const struct sru_pick *s, size_t i)
{
    return sru_row(&cpu->dev, s->x, (size_t)s->at[i] / s->T, (size_t)s->at[i] % s->T, s->cols);
}

void sru_cpu_gather(struct sru_dev *dev, const struct sru_pick *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);

    SRU_EACH(cpu, sru_is_work(cpu, s->n * s->cols), i, s->n,
             cpu->k->mask(s->cols, row(cpu, s, i), factors(cpu, s, i), sru_at(dev, s->y, i * s->cols)));
}

void sru_cpu_scatter(struct sru_dev *dev, const struct sru_pick *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);
    void (*const move)(size_t, const sru_act *, const float *, sru_act *) = s->add ? cpu->k->mask_add : cpu->k->mask;

    SRU_EACH(cpu, sru_is_work(cpu, s->n * s->cols), i, s->n,
             move(s->cols, sru_at(dev, s->y, i * s->cols), factors(cpu, s, i), row(cpu, s, i)));
}

void sru_cpu_add_at(struct sru_dev *dev, size_t n, const int32_t *at, const float *x, float *y)
{
    (void)dev;
    for (size_t i = 0; i < n; i++)
        y[at[i]] += x[i];
}
