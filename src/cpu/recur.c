/* The W3 product and the recurrence. */
#include "config.h"

#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/*
 * Kept: U [N,3d] (rows U0 | U1 | U2: one product with the three planes of W3), then c [N,d].
 * The design's [3,N,d] would be three products; rows of 3d are dense as well.
 */
size_t sru_cpu_kept_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    (void)dev;
    return s->B * s->T * 4 * s->d * sizeof(float);
}

/* Workspace: the mask [B,d], then U where nothing is kept; or dc [B,d] and the streams' dv and dbias [B,4,d]. */
size_t sru_cpu_recur_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    (void)cpu;
    return s->B * s->d * (1 + sru_max(3 * s->T, s->train ? 5 : 0));
}

/* The masks of all streams; ones where nothing is dropped, so that the scan has no branch. */
static void highway_masks(const struct sru_cpu *cpu, const struct sru_recur *s, float *m)
{
    for (size_t b = 0; b < s->B; b++) {
        float *row = m + b * s->d;

        if (sru_mask_is_on(&s->mask)) {
            const float *given = sru_mask_row(cpu, &s->mask, b, s->d, row);
            if (given != row)
                memcpy(row, given, s->d * sizeof *row);
        } else {
            for (size_t j = 0; j < s->d; j++)
                row[j] = 1.0f;
        }
    }
}

/* A stream is cut into as many parts as keep the threads busy, at multiples of a cache line. */
static size_t part_size(const struct sru_cpu *cpu, size_t B, size_t d)
{
    const size_t threads = (size_t)cpu->dev.threads, parts = B >= threads ? 1 : (threads + B - 1) / B;

    return sru_round_up((d + parts - 1) / parts, 16);
}

/* The arguments for units [from, from + n) of stream b. */
static struct sru_scan scan_of(const struct sru_recur *s, const float *m, float *u, float *c, size_t b, size_t from,
                               size_t n)
{
    struct sru_scan k = {
        .T = s->T, .n = n, .d = s->d, .scale = s->scale,
        .u = u + b * s->T * 3 * s->d + from,
        .x = sru_row(s->x, b, 0, s->d) + from,
        .m = m + b * s->d + from,
        .c0 = s->c0 + b * s->d + from,
        .v = s->v.w + from, .bias = s->bias.w + from,
        .last = !c,
        .c = c ? c + b * s->T * s->d + from : s->c1 + b * s->d + from,
        .h = sru_row(s->h, b, 0, s->d) + from,
    };
    return k;
}

/* The product with all rows at once, or stream by stream. */
static void product(struct sru_cpu *cpu, const struct sru_recur *s, float *u)
{
    const bool dense = s->a.stride == s->T * s->p;
    const size_t n = dense ? 1 : s->B, rows = dense ? s->B * s->T : s->T;

    for (size_t b = 0; b < n; b++)
        sru_gemm(cpu, false, true, rows, 3 * s->d, s->p, sru_row(s->a, b, 0, s->p), s->p, s->w3.w, s->p, false,
                 u + b * s->T * 3 * s->d, 3 * s->d);
}

void sru_cpu_recur(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    float *m = cpu->work, *u = s->kept ? s->kept : m + s->B * s->d;
    float *c = s->kept ? u + s->B * s->T * 3 * s->d : NULL;
    const size_t size = part_size(cpu, s->B, s->d), parts = (s->d + size - 1) / size;

    highway_masks(cpu, s, m);
    product(cpu, s, u);
#pragma omp parallel for schedule(static) if (s->B * parts > 1)
    for (size_t i = 0; i < s->B * parts; i++) {
        const size_t from = i % parts * size;
        const struct sru_scan k = scan_of(s, m, u, c, i / parts, from, sru_min(size, s->d - from));
        cpu->k->scan(&k);
    }
    for (size_t b = 0; c && b < s->B; b++)
        memcpy(s->c1 + b * s->d, c + (b * s->T + s->T - 1) * s->d, s->d * sizeof *c);
}

/* Gradients of the products: dW3 += dU^T a and da = dU W3. */
static void product_back(struct sru_cpu *cpu, const struct sru_recur *s, const float *du)
{
    const bool dense = s->a.stride == s->T * s->p && s->da.stride == s->T * s->p;
    const size_t n = dense ? 1 : s->B, rows = dense ? s->B * s->T : s->T;

    for (size_t b = 0; b < n; b++) {
        const float *rows_of_b = du + b * s->T * 3 * s->d;

        sru_gemm(cpu, true, false, 3 * s->d, s->p, rows, rows_of_b, 3 * s->d, sru_row(s->a, b, 0, s->p), s->p, true,
                 s->w3.g, s->p);
        sru_gemm(cpu, false, false, rows, s->p, 3 * s->d, rows_of_b, 3 * s->d, s->w3.w, s->p, false,
                 sru_row(s->da, b, 0, s->p), s->p);
    }
}

void sru_cpu_recur_back(struct sru_dev *dev, const struct sru_recur *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    float *u = s->kept, *c = u + s->B * s->T * 3 * s->d;
    float *m = cpu->work, *dc = m + s->B * s->d, *sums = dc + s->B * s->d;
    const size_t size = part_size(cpu, s->B, s->d), parts = (s->d + size - 1) / size;

    highway_masks(cpu, s, m);
    memset(dc, 0, s->B * s->d * 5 * sizeof *dc);
#pragma omp parallel for schedule(static) if (s->B * parts > 1)
    for (size_t i = 0; i < s->B * parts; i++) {
        const size_t b = i / parts, from = i % parts * size;
        struct sru_scan k = scan_of(s, m, u, c, b, from, sru_min(size, s->d - from));

        k.dh = sru_row(s->dh, b, 0, s->d) + from;
        k.dx = sru_row(s->dx, b, 0, s->d) + from;
        k.dc = dc + b * s->d + from;
        k.dv = sums + b * 4 * s->d + from;
        k.dbias = k.dv + 2 * s->d;
        cpu->k->scan_back(&k);
    }
    for (size_t b = 0; b < s->B; b++) {
        cpu->k->add(2 * s->d, sums + b * 4 * s->d, s->v.g);
        cpu->k->add(2 * s->d, sums + b * 4 * s->d + 2 * s->d, s->bias.g);
    }
    product_back(cpu, s, u);
}
