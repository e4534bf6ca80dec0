/* Residual and layer normalisation, row by row. */
#include "config.h"

#include <omp.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* Backward: groups' sums of dgamma, dbeta and dalpha, and for each thread two rows. */
size_t sru_cpu_norm_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    const size_t cols = sru_max(s->d, s->p);

    return SRU_GROUPS * (2 * cols + 1) + (size_t)cpu->dev.threads * 2 * cols;
}

static void residual(const struct sru_cpu *cpu, const struct sru_norm *s, size_t b, size_t t, float *out)
{
    const float *r = sru_row(s->r, b, t, s->cols);

    if (s->a.p)
        cpu->k->mix(s->cols, s->alpha.w[0], sru_row(s->a, b, t, s->cols), r, out);
    else if (out != r)
        memcpy(out, r, s->cols * sizeof *r);
}

void sru_cpu_norm(struct sru_dev *dev, const struct sru_norm *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const bool masked = sru_mask_is_on(&s->mask);

#pragma omp parallel for schedule(static)
    for (size_t n = 0; n < s->B * s->T; n++) {
        float *y = sru_row(s->y, n / s->T, n % s->T, s->cols), stats[2];

        residual(cpu, s, n / s->T, n % s->T, y);
        if (s->gamma.w)
            cpu->k->norm(s->cols, s->gamma.w, s->beta.w, y, s->stats ? s->stats + 2 * n : stats);
        if (masked)
            cpu->k->mul(s->cols, y,
                        sru_mask_row(cpu, &s->mask, n, s->cols,
                                     cpu->work + (size_t)omp_get_thread_num() * s->cols), y);
    }
}

/* One row: ds, and from it the gradients of a, r and alpha. */
static float back_row(const struct sru_cpu *cpu, const struct sru_norm *s, size_t n, float *room, float *dgamma,
                      float *dbeta)
{
    const size_t b = n / s->T, t = n % s->T;
    const float *dy = sru_row(s->dy, b, t, s->cols);
    float *dr = sru_row(s->dr, b, t, s->cols), *masked = room, *ds = room + s->cols, dalpha = 0;

    if (sru_mask_is_on(&s->mask)) {
        cpu->k->mul(s->cols, dy, sru_mask_row(cpu, &s->mask, n, s->cols, masked), masked);
        dy = masked;
    }
    if (s->gamma.w) {
        residual(cpu, s, b, t, ds);
        cpu->k->norm_back(s->cols, s->gamma.w, s->stats + 2 * n, dy, ds, dgamma, dbeta);
    } else {
        memcpy(ds, dy, s->cols * sizeof *ds);
    }
    if (s->a.p) {
        dalpha = cpu->k->dot(s->cols, ds, sru_row(s->a, b, t, s->cols));
        cpu->k->scale(s->cols, s->alpha.w[0], ds, sru_row(s->da, b, t, s->cols));
    }
    if (s->add_dr)
        cpu->k->add(s->cols, ds, dr);
    else
        memcpy(dr, ds, s->cols * sizeof *dr);
    return dalpha;
}

void sru_cpu_norm_back(struct sru_dev *dev, const struct sru_norm *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t N = s->B * s->T, cols = s->cols, each = 2 * cols + 1;
    float *sums = cpu->work, *rooms = sums + SRU_GROUPS * each;

    memset(sums, 0, SRU_GROUPS * each * sizeof *sums);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < SRU_GROUPS; i++) {
        float *sum = sums + i * each, *room = rooms + (size_t)omp_get_thread_num() * 2 * cols;

        for (size_t n = i * N / SRU_GROUPS; n < (i + 1) * N / SRU_GROUPS; n++)
            sum[2 * cols] += back_row(cpu, s, n, room, sum, sum + cols);
    }
    for (size_t i = 0; i < SRU_GROUPS; i++) {
        const float *sum = sums + i * each;

        if (s->gamma.w) {
            cpu->k->add(cols, sum, s->gamma.g);
            cpu->k->add(cols, sum + cols, s->beta.g);
        }
        if (s->a.p)
            s->alpha.g[0] += sum[2 * cols];
    }
}
