/* A clock around every operator: see bench.h. */
#include "config.h"

#include <stdint.h>

#include "src/bench/bench.h"
#include "src/clock.h"

static struct sru_ops_timing *timing_of(const struct sru_dev *dev)
{
    return (struct sru_ops_timing *)(uintptr_t)dev->ops;   /* begin's own, which is not constant */
}

/* The clock when all that was queued is done. */
static double now(struct sru_dev *dev)
{
    struct sru_ops_timing *t = timing_of(dev);

    if (t->queues && !t->status)
        t->status = t->inner->sync(dev, &t->err);
    return sru_now();
}

/* Operator, its argument's struct, and what its time counts as. */
#define OPERATORS(X)                                                   \
    X(embed, embed, SRU_EMBED, SRU_FORWARD)                            \
    X(embed_back, embed, SRU_EMBED, SRU_BACKWARD)                      \
    X(linear, linear, which_linear(s), SRU_FORWARD)                    \
    X(linear_back, linear, which_linear(s), SRU_BACKWARD)              \
    X(attend, attend, SRU_ATTEND, SRU_FORWARD)                         \
    X(attend_back, attend, SRU_ATTEND, SRU_BACKWARD)                   \
    X(recall, recall, SRU_ATTEND, SRU_FORWARD)                         \
    X(norm, norm, SRU_NORM, SRU_FORWARD)                               \
    X(norm_back, norm, SRU_NORM, SRU_BACKWARD)                         \
    X(recur, recur, SRU_RECUR, SRU_FORWARD)                            \
    X(recur_back, recur, SRU_RECUR, SRU_BACKWARD)                      \
    X(predict, predict, SRU_PREDICT, SRU_FORWARD)                      \
    X(predict_back, predict, SRU_PREDICT, SRU_BACKWARD)                \
    X(update, update, SRU_UPDATE, SRU_BACKWARD)                        \
    X(muon, muon, SRU_MUON_UPDATE, SRU_BACKWARD)                       \
    X(gather, pick, SRU_MOVE, SRU_FORWARD)                             \
    X(scatter, pick, SRU_MOVE, SRU_BACKWARD)                           \
    X(measure, measure, SRU_MEASURE, SRU_BACKWARD)

/* W1 makes few columns of many, W2 does not. */
static enum sru_timed which_linear(const struct sru_linear *s)
{
    return s->in > s->out ? SRU_LINEAR_W1 : SRU_LINEAR_W2;
}

#define WRAPPER(name, args, op, direction)                                          \
    static void timed_##name(struct sru_dev *dev, const struct sru_##args *s)       \
    {                                                                               \
        const struct sru_ops_timing *t = timing_of(dev);                            \
        const double from = now(dev);                                               \
                                                                                    \
        t->inner->name(dev, s);                                                     \
        t->times->seconds[op][direction] += now(dev) - from;                        \
    }
OPERATORS(WRAPPER)

static void timed_prepare(struct sru_dev *dev, const struct sru_weight *w, size_t n)
{
    const struct sru_ops_timing *t = timing_of(dev);
    const double from = now(dev);

    t->inner->prepare(dev, w, n);
    t->times->seconds[SRU_PREPARE][SRU_FORWARD] += now(dev) - from;
}

static void timed_copy(struct sru_dev *dev, void *dst, const void *src, size_t bytes, size_t n, size_t stride)
{
    const struct sru_ops_timing *t = timing_of(dev);
    const double from = now(dev);

    t->inner->copy(dev, dst, src, bytes, n, stride);
    t->times->seconds[SRU_MOVE][SRU_FORWARD] += now(dev) - from;
}

static void timed_zero(struct sru_dev *dev, void *p, size_t bytes)
{
    const struct sru_ops_timing *t = timing_of(dev);
    const double from = now(dev);

    t->inner->zero(dev, p, bytes);
    t->times->seconds[SRU_MOVE][SRU_BACKWARD] += now(dev) - from;
}

void sru_ops_timing_begin(struct sru_ops_timing *t, struct sru_dev *dev, struct sru_op_times *times)
{
    *t = (struct sru_ops_timing){ .ops = *dev->ops, .inner = dev->ops, .times = times, .queues = !sru_is_cpu(dev) };
#define REPLACE(name, args, op, direction) t->ops.name = timed_##name;
    OPERATORS(REPLACE)
    t->ops.record = NULL;   /* operators are done one by one */
    t->ops.prepare = timed_prepare;
    t->ops.copy = timed_copy;
    t->ops.zero = timed_zero;
    dev->ops = &t->ops;
}

sru_status sru_ops_timing_end(const struct sru_ops_timing *t, struct sru_dev *dev, struct sru_error *err)
{
    dev->ops = t->inner;
    if (t->status && err)
        *err = t->err;
    return t->status;
}
