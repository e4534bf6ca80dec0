/* The W3 product and the recurrence. */
#include "config.h"

#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* Kept: c [N,d] in f32, then U [N,3d] (rows U0 | U1 | U2: one product with the three planes of W3). */
static size_t kept_c(const struct sru_recur *s)
{
    return sru_round_up(s->B * s->T * s->d, 16);
}

size_t sru_cpu_kept_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    return kept_c(s) * sizeof(float) + s->B * s->T * 3 * s->d * dev->act_bytes;
}

/* Workspace: the mask [B,d], then U where nothing is kept; or dc [B,d], the streams' dv and dbias [B,4,d], and a copy of a [N,p]. */
size_t sru_cpu_recur_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    const size_t u = s->B * s->T * 3 * s->d, back = 5 * s->B * s->d + sru_cpu_gradient_work(s->B * s->T, s->p);

    (void)cpu;
    return sru_round_up(s->B * s->d, 16) + sru_max(u, s->train ? back : 0);
}

/* The masks of all streams; ones where nothing is dropped, so that the scan has no branch. */
static void highway_masks(const struct sru_cpu *cpu, const struct sru_recur *s, float *m)
{
    for (size_t b = 0; b < s->B; b++) {
        float *row = m + b * s->d;
        const float *given = sru_mask_row(cpu, &s->mask, b, s->d, row);

        if (given && given != row)
            memcpy(row, given, s->d * sizeof *row);
        for (size_t j = 0; j < s->d && !given; j++)
            row[j] = 1.0f;
    }
}

/* A stream is cut into as many parts as keep the threads busy, at multiples of a cache line. */
static size_t part_size(const struct sru_cpu *cpu, size_t B, size_t d)
{
    const size_t threads = (size_t)cpu->dev.threads, parts = B >= threads ? 1 : (threads + B - 1) / B;

    return sru_round_up((d + parts - 1) / parts, 32);
}

/* The arguments for units [from, from + n) of stream b. */
static struct sru_scan scan_of(const struct sru_cpu *cpu, const struct sru_recur *s, const float *m, sru_act *u, float *c, size_t b,
                               size_t from, size_t n)
{
    return (struct sru_scan){
        .T = s->T, .n = n, .d = s->d, .scale = s->scale,
        .u = sru_at(&cpu->dev, u, b * s->T * 3 * s->d + from),
        .x = sru_at(&cpu->dev, s->x.p, b * s->x.stride + from),
        .m = m + b * s->d + from,
        .c0 = s->c0 + b * s->d + from,
        .v = s->v.w + from, .bias = s->bias.w + from,
        .last = !c,
        .c = c ? c + b * s->T * s->d + from : s->c1 + b * s->d + from,
        .h = sru_at(&cpu->dev, s->h.p, b * s->h.stride + from),
    };
}

/* The product with all rows at once, or stream by stream. */
static void product(struct sru_cpu *cpu, const struct sru_recur *s, sru_act *u)
{
    const struct sru_blocks k = sru_blocks_of(s->B, s->T, s->a.stride == s->T * s->p);

    for (size_t b = 0; b < k.n; b++)
        sru_cpu_forward(cpu, &s->w3, k.rows, sru_row(&cpu->dev, s->a, b, 0, s->p), sru_at(&cpu->dev, u, b * s->T * 3 * s->d));
}

/* Part i of all streams' units, of this size. */
static void scan_part(const struct sru_cpu *cpu, const struct sru_recur *s, const float *m, sru_act *u, float *c, size_t size, size_t i)
{
    const size_t parts = (s->d + size - 1) / size, from = i % parts * size;
    const struct sru_scan k = scan_of(cpu, s, m, u, c, i / parts, from, sru_min(size, s->d - from));

    cpu->k->scan(&k);
}

void sru_cpu_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    float *m = cpu->work, *c = s->kept;
    sru_act *u = (sru_act *)(c ? c + kept_c(s) : m + sru_round_up(s->B * s->d, 16));
    const size_t size = part_size(cpu, s->B, s->d), parts = (s->d + size - 1) / size;

    highway_masks(cpu, s, m);
    product(cpu, s, u);
    SRU_EACH(cpu, sru_is_work(cpu, s->B * s->T * 3 * s->d), i, s->B * parts, scan_part(cpu, s, m, u, c, size, i));
    for (size_t b = 0; c && b < s->B; b++)
        memcpy(s->c1 + b * s->d, c + (b * s->T + s->T - 1) * s->d, s->d * sizeof *c);
}

/* Gradients of the products: dW3 = dU^T a and da = dU W3. */
static void product_back(struct sru_cpu *cpu, const struct sru_recur *s, sru_act *du, sru_act *room)
{
    const struct sru_blocks k = sru_blocks_of(s->B, s->T, s->a.stride == s->T * s->p && s->da.stride == s->T * s->p);

    for (size_t b = 0; b < k.n; b++) {
        const sru_act *rows_of_b = sru_at(&cpu->dev, du, b * s->T * 3 * s->d);

        sru_cpu_gradient(cpu, &s->w3, k.rows, sru_row(&cpu->dev, s->a, b, 0, s->p), rows_of_b, b > 0, room);
        sru_cpu_back(cpu, &s->w3, k.rows, rows_of_b, false, sru_row(&cpu->dev, s->da, b, 0, s->p));
    }
}

void sru_cpu_recur_back(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    float *c = s->kept, *m = cpu->work, *dc = m + sru_round_up(s->B * s->d, 16), *sums = dc + s->B * s->d;
    sru_act *u = (sru_act *)(c + kept_c(s)), *room = (sru_act *)(sums + 4 * s->B * s->d);
    const size_t size = part_size(cpu, s->B, s->d), parts = (s->d + size - 1) / size;

    highway_masks(cpu, s, m);
    memset(dc, 0, s->B * s->d * 5 * sizeof *dc);
#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu)) if (s->B * parts > 1)
    for (size_t i = 0; i < s->B * parts; i++) {
        const size_t b = i / parts, from = i % parts * size;
        struct sru_scan k = scan_of(cpu, s, m, u, c, b, from, sru_min(size, s->d - from));

        k.dh = sru_at(dev, s->dh.p, b * s->dh.stride + from);
        k.dx = sru_at(dev, s->dx.p, b * s->dx.stride + from);
        k.du = sru_at(dev, u, b * s->T * 3 * s->d + from);
        k.dc = dc + b * s->d + from;
        k.dv = sums + b * 4 * s->d + from;
        k.dbias = k.dv + 2 * s->d;
        cpu->k->scan_back(&k);
    }
    memset(s->v.g, 0, 2 * s->d * sizeof *s->v.g);
    memset(s->bias.g, 0, 2 * s->d * sizeof *s->bias.g);
    for (size_t b = 0; b < s->B; b++) {
        cpu->k->add(2 * s->d, sums + b * 4 * s->d, s->v.g);
        cpu->k->add(2 * s->d, sums + b * 4 * s->d + 2 * s->d, s->bias.g);
    }
    product_back(cpu, s, u, room);
}
