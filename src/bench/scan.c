/* The recurrence's kernels alone, on streams that no cache holds. */
#include "config.h"

#include <stdlib.h>

#include "src/bench/bench.h"
#include "src/cpu/cpu.h"
#include "src/size.h"

enum { BYTES = 128 << 20 };   /* of all streams at least */

/* Streams of a model's size; dU replaces U and dx dh, as in a step. */
struct streams {
    struct sru_dev *dev;
    size_t   B, T, d;
    sru_act *u, *x, *h, *dh;
    float   *c, *m, *v, *bias, *sums;   /* sums: a stream's c0, dc, dv and dbias */
};

static bool streams_open(struct streams *s)
{
    const struct sru_ops *ops = s->dev->ops;
    const size_t n = s->B * s->T * s->d, bytes = n * s->dev->act_bytes;

    s->u = ops->alloc(s->dev, 3 * bytes);
    s->x = ops->alloc(s->dev, bytes);
    s->h = ops->alloc(s->dev, bytes);
    s->dh = ops->alloc(s->dev, bytes);
    s->c = ops->alloc(s->dev, n * sizeof *s->c);
    s->m = ops->alloc(s->dev, s->d * sizeof *s->m);
    s->v = ops->alloc(s->dev, 2 * s->d * sizeof *s->v);
    s->bias = ops->alloc(s->dev, 2 * s->d * sizeof *s->bias);
    s->sums = ops->alloc(s->dev, 6 * s->B * s->d * sizeof *s->sums);
    return s->u && s->x && s->h && s->dh && s->c && s->m && s->v && s->bias && s->sums;
}

static void streams_close(struct streams *s)
{
    void *const all[] = { s->u, s->x, s->h, s->dh, s->c, s->m, s->v, s->bias, s->sums };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        s->dev->ops->release(s->dev, all[i]);
}

/* Numbers of either sign below 1. */
static void fill(const struct sru_kernels *k, size_t act_bytes, size_t n, sru_act *out)
{
    enum { PIECE = 4096 };
    float piece[PIECE];

    for (size_t i = 0; i < PIECE; i++)
        piece[i] = (float)(i * 2654435761u % 2001) / 1000 - 1;
    for (size_t i = 0; i < n; i += PIECE)
        k->narrow(sru_min(PIECE, n - i), piece, (sru_act *)((char *)out + i * act_bytes));
}

static void begin(struct streams *s)
{
    const struct sru_kernels *k = sru_cpu_of(s->dev)->k;
    const size_t n = s->B * s->T * s->d;

    fill(k, s->dev->act_bytes, 3 * n, s->u);
    fill(k, s->dev->act_bytes, n, s->x);
    fill(k, s->dev->act_bytes, n, s->dh);
    for (size_t i = 0; i < s->d; i++)
        s->m[i] = 1;
}

/* By a scale of 2 and gates that are open half the way, dh stays as large as it is however often dx replaces it. */
static struct sru_scan stream(const struct streams *s, size_t b)
{
    const size_t at = b * s->T * s->d;
    float *sums = s->sums + 6 * b * s->d;

    return (struct sru_scan){
        .T = s->T, .n = s->d, .d = s->d, .scale = 2, .m = s->m, .c0 = sums, .v = s->v, .bias = s->bias, .c = s->c + at,
        .u = sru_at(s->dev, s->u, 3 * at), .x = sru_at(s->dev, s->x, at), .h = sru_at(s->dev, s->h, at),
        .dh = sru_at(s->dev, s->dh, at), .dx = sru_at(s->dev, s->dh, at), .du = sru_at(s->dev, s->u, 3 * at),
        .dc = sums + s->d, .dv = sums + 2 * s->d, .dbias = sums + 4 * s->d,
    };
}

static void pass(const struct streams *s, void (*kernel)(const struct sru_scan *))
{
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < s->B; b++) {
        const struct sru_scan k = stream(s, b);

        kernel(&k);
    }
}

static sru_status forward(void *of, struct sru_error *err)
{
    (void)err;
    pass(of, sru_cpu_of(((struct streams *)of)->dev)->k->scan);
    return SRU_OK;
}

static sru_status backward(void *of, struct sru_error *err)
{
    (void)err;
    pass(of, sru_cpu_of(((struct streams *)of)->dev)->k->scan_back);
    return SRU_OK;
}

sru_status sru_bench_scan(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_recurrence *out,
                          struct sru_error *err)
{
    struct streams s = { .dev = dev, .T = m->T, .d = m->config.n_d };
    const size_t each = s.T * s.d * (6 * dev->act_bytes + sizeof(float));
    sru_status status;

    s.B = sru_round_up((BYTES + each - 1) / each, (size_t)dev->threads);
    *out = (struct sru_recurrence){ .elements = (double)(s.B * s.T * s.d) };
    if (!streams_open(&s)) {
        status = sru_fail(err, SRU_ENOMEM, "out of memory for %zu streams", s.B);
    } else {
        begin(&s);
        if (!(status = sru_measure(seconds, forward, &s, &out->pass[SRU_FORWARD], err)))
            status = sru_measure(seconds, backward, &s, &out->pass[SRU_BACKWARD], err);
    }
    streams_close(&s);
    return status;
}
