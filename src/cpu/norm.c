/* Residual and layer normalisation, row by row. */
#include "config.h"

#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* Backward: groups' sums of dgamma, dbeta and dalpha; and for each thread a row in f32 and one of mask. */
size_t sru_cpu_norm_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    const size_t cols = sru_max(s->d, s->p);

    return SRU_GROUPS * (2 * cols + 1) + (size_t)cpu->dev.threads * 2 * cols;
}

/* The forward's arguments for row n; `room` has space for two rows. */
static struct sru_norm_row row_of(const struct sru_cpu *cpu, const struct sru_norm *s, size_t n, float *room)
{
    const size_t b = n / s->T, t = n % s->T;

    return (struct sru_norm_row){
        .n = s->cols, .alpha = s->a.p ? s->alpha.w[0] : 0, .a = s->a.p ? sru_row(&cpu->dev, s->a, b, t, s->cols) : NULL,
        .r = sru_row(&cpu->dev, s->r, b, t, s->cols), .gamma = s->gamma.w, .beta = s->beta.w,
        .m = sru_mask_row(cpu, &s->mask, n, s->cols, room + s->cols), .room = room,
    };
}

static void norm_row(const struct sru_cpu *cpu, const struct sru_norm *s, size_t n)
{
    float unused[2];
    struct sru_norm_row k = row_of(cpu, s, n, cpu->work + (size_t)omp_get_thread_num() * 2 * s->cols);

    k.y = sru_row(&cpu->dev, s->y, n / s->T, n % s->T, s->cols);
    k.stats = s->stats ? s->stats + 2 * n : unused;
    cpu->k->norm(&k);
}

void sru_cpu_norm(struct sru_dev *dev, const struct sru_norm *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);

    SRU_EACH(cpu, sru_is_work(cpu, s->B * s->T * s->cols), n, s->B * s->T, norm_row(cpu, s, n));
}

void sru_cpu_norm_back(struct sru_dev *dev, const struct sru_norm *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t N = s->B * s->T, cols = s->cols, each = 2 * cols + 1;
    float *sums = cpu->work, *rooms = sums + SRU_GROUPS * each;

    memset(sums, 0, SRU_GROUPS * each * sizeof *sums);
#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu))
    for (size_t i = 0; i < SRU_GROUPS; i++) {
        float *sum = sums + i * each, *room = rooms + (size_t)omp_get_thread_num() * 2 * cols;

        for (size_t n = i * N / SRU_GROUPS; n < (i + 1) * N / SRU_GROUPS; n++) {
            struct sru_norm_row k = row_of(cpu, s, n, room);

            k.stats = s->stats ? s->stats + 2 * n : NULL;
            k.dy = sru_row(&cpu->dev, s->dy, n / s->T, n % s->T, cols);
            k.da = s->a.p ? sru_row(&cpu->dev, s->da, n / s->T, n % s->T, cols) : NULL;
            k.dr = sru_row(&cpu->dev, s->dr, n / s->T, n % s->T, cols);
            k.add_dr = s->add_dr;
            k.dgamma = sum;
            k.dbeta = sum + cols;
            cpu->k->norm_back(&k);
            sum[2 * cols] += k.dalpha;
        }
    }
    for (size_t i = 1; i < SRU_GROUPS; i++)
        cpu->k->add(each, sums + i * each, sums);
    if (s->gamma.w) {
        memcpy(s->gamma.g, sums, cols * sizeof *sums);
        memcpy(s->beta.g, sums + cols, cols * sizeof *sums);
    }
    if (s->a.p)
        s->alpha.g[0] = sums[2 * cols];
}
