/* The rates of a device by its operators alone.  It queues its work: a clock is looked at when all is done. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/bench/bench.h"
#include "src/clock.h"
#include "src/size.h"

/* ---- Time -------------------------------------------------------------------------------------------- */

#define LEAST 0.01   /* seconds between two looks at the clock: to queue work and to wait for it takes some 1e-5 */

struct queue {
    struct sru_dev *dev;
    void (*launch)(struct sru_dev *, const void *what);
    const void *what;
    size_t launches;   /* before a wait */
};

static sru_status run(void *of, struct sru_error *err)
{
    const struct queue *q = of;

    for (size_t i = 0; i < q->launches; i++)
        q->launch(q->dev, q->what);
    return q->dev->ops->sync(q->dev, err);
}

/* Seconds of a launch in the best run. */
static sru_status best(struct queue *q, double seconds, double *each, struct sru_error *err)
{
    struct sru_spread spread;
    double from;

    q->launches = 1;
    sru_status status = run(q, err);   /* what a first use loads and plans */
    for (from = sru_now(); !status && !(status = run(q, err)) && sru_now() - from < LEAST; from = sru_now())
        q->launches *= 2;
    if (!status)
        status = sru_measure(seconds, run, q, &spread, err);
    *each = status ? NAN : spread.least / (double)q->launches;
    return status;
}

/* ---- Numbers ------------------------------------------------------------------------------------------- */

enum { DRAWN = 1 << 20 };   /* they repeat */

/* Random numbers in [-1,1) that bf16 holds exactly: how much power a product takes, and so a GPU's clock, depends on them. */
static float *draw(void)
{
    float *x = malloc(DRAWN * sizeof *x);
    uint64_t state = SRU_RANDOM_SEED;

    for (size_t i = 0; x && i < DRAWN; i++)
        x[i] = (float)sru_random_byte(&state) / 128 - 1;
    return x;
}

/* The device's memory with n of them, activations or f32; NULL without memory. */
static void *drawn(struct sru_dev *dev, size_t n, bool act)
{
    const size_t size = act ? dev->act_bytes : sizeof(float);
    char *p = dev->ops->alloc(dev, n * size);
    float *host = p ? draw() : NULL;

    if (!host) {
        dev->ops->release(dev, p);
        return NULL;
    }
    if (act)
        dev->ops->put_act(dev, (sru_act *)p, host, sru_min(n, DRAWN));
    else
        dev->ops->put(dev, p, host, sru_min(n, DRAWN) * size);
    for (size_t have = DRAWN; have < n; have *= 2)
        dev->ops->copy(dev, p + have * size, p, sru_min(have, n - have) * size, 1, 0);
    free(host);
    return p;
}

/* ---- Memory -------------------------------------------------------------------------------------------- */

struct copy {
    void  *to, *from;
    size_t bytes;
};

static void copy(struct sru_dev *dev, const void *what)
{
    const struct copy *c = what;

    dev->ops->copy(dev, c->to, c->from, c->bytes, 1, 0);
}

sru_status sru_device_copy_rate(struct sru_dev *dev, size_t bytes, double seconds, double *rate, struct sru_error *err)
{
    const struct copy c = { drawn(dev, bytes / sizeof(float), false), drawn(dev, bytes / sizeof(float), false), bytes };
    struct queue q = { .dev = dev, .launch = copy, .what = &c };
    double each = NAN;
    const sru_status status = c.to && c.from ? best(&q, seconds, &each, err)
                                             : sru_fail(err, SRU_ENOMEM, "out of memory for two arrays of %zu MB", bytes >> 20);

    *rate = 2.0 * (double)bytes / each;
    dev->ops->release(dev, c.to);
    dev->ops->release(dev, c.from);
    return status;
}

/* ---- Products ------------------------------------------------------------------------------------------- */

static void forward(struct sru_dev *dev, const void *what)
{
    dev->ops->linear(dev, what);
}

static void gradient(struct sru_dev *dev, const void *what)
{
    dev->ops->linear_back(dev, what);
}

/* The operator that does a product.  What a forward writes and what a backward reads are one. */
static struct sru_linear linear_of(const struct sru_step_product *p)
{
    return p->stand == SRU_FIRST_TURNED ? (struct sru_linear){ .B = 1, .rows = p->k, .in = p->n, .out = p->m }
                                        : (struct sru_linear){ .B = 1, .rows = p->m, .in = p->k, .out = p->n };
}

static sru_status linear_open(struct sru_linear *s, struct sru_dev *dev, bool in_first, struct sru_error *err)
{
    const size_t columns = sru_max(s->in, s->out);
    const struct sru_shape shape = { .B = 1, .T = 1, .M = s->rows - 1, .d = columns, .p = columns, .H = 1, .V = 1, .train = true };

    s->x = (struct sru_rows){ drawn(dev, s->rows * s->in, true), s->rows * s->in };
    s->y = s->dy = (struct sru_rows){ drawn(dev, s->rows * s->out, true), s->rows * s->out };
    s->w.w = drawn(dev, s->in * s->out, false);
    s->w.g = dev->ops->alloc(dev, s->in * s->out * sizeof *s->w.g);
    s->w.operand = dev->ops->operand_open(dev, s->in, s->out, in_first, SRU_USE_TRAIN);
    if (!s->x.p || !s->y.p || !s->w.w || !s->w.g || !s->w.operand)
        return sru_fail(err, SRU_ENOMEM, "out of memory for a matrix product");
    dev->ops->prepare(dev, &s->w, 1);
    return dev->ops->reserve(dev, &shape, err);
}

static void linear_close(struct sru_linear *s, struct sru_dev *dev)
{
    dev->ops->operand_close(dev, s->w.operand);
    dev->ops->release(dev, s->w.g);
    dev->ops->release(dev, s->w.w);
    dev->ops->release(dev, s->y.p);
    dev->ops->release(dev, s->x.p);
}

sru_status sru_device_matmul(struct sru_dev *dev, const struct sru_step_product *p, bool bf16, double seconds, struct sru_matmul *out,
                             struct sru_error *err)
{
    struct sru_linear s = linear_of(p);
    struct queue q = { .dev = dev, .launch = p->stand == SRU_FIRST_TURNED ? gradient : forward, .what = &s };
    double each;

    *out = (struct sru_matmul){ .rate = NAN };
    if (bf16 != (dev->act_bytes == 2))
        return SRU_OK;
    sru_status status = linear_open(&s, dev, p->stand == SRU_NONE_TURNED, err);
    if (!status && !(status = best(&q, seconds, &each, err))) {
        out->rate = sru_product_flops(p) / each;
        snprintf(out->by, sizeof out->by, "%s", dev->kernels);
    }
    linear_close(&s, dev);
    return status;
}
