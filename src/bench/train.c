/* Training steps on random tokens. */
#include "config.h"

#include <stdlib.h>

#include "src/bench/bench.h"
#include "src/clock.h"
#include "src/train/trainer.h"

enum { SEGMENTS = 4, BEFORE = 4 /* steps until the memory is full, and steps of either order of rows recorded */ };
#define RATE 1e-4   /* so small that no number of steps diverges; a step costs the same at every rate */

struct bench {
    struct sru_lm lm;
    struct sru_trainer trainer;
    struct sru_streams streams;
    struct sru_vocab vocab;
    int32_t *tokens;
};

static sru_status open_text(struct bench *b, const struct sru_bench_model *m, struct sru_error *err)
{
    const size_t size = SEGMENTS * m->B * m->T + 1;
    uint64_t state = SRU_RANDOM_SEED;

    if (!(b->tokens = malloc(size * sizeof *b->tokens)))
        return sru_fail(err, SRU_ENOMEM, "out of memory for a text");
    for (size_t i = 0; i < size; i++)
        b->tokens[i] = sru_bench_token(m->config.vocab, &state);
    b->vocab = (struct sru_vocab){ .unit = SRU_WORDS, .size = m->config.vocab };
    const struct sru_part part = { .data = b->tokens, .size = size, .width = sizeof *b->tokens };
    return sru_streams_open(&b->streams, &b->vocab, &part, m->B, m->T, 0, err);
}

static sru_status bench_open(struct bench *b, const struct sru_bench_model *m, struct sru_dev *dev, struct sru_error *err)
{
    struct sru_optimizer optimizer;
    sru_status status;

    sru_optimizer_parse(m->optimizer, &optimizer);
    if ((status = open_text(b, m, err)) || (status = sru_lm_open(&b->lm, &m->config, dev, SRU_USE_TRAIN, err)))
        return status;
    if ((status = sru_lm_init(&b->lm, 1, err)))
        return status;
    return sru_trainer_open(&b->trainer, &b->lm, &b->streams, &optimizer, 1, 1, err);
}

static void bench_close(struct bench *b)
{
    sru_trainer_close(&b->trainer);
    if (b->lm.dev)
        sru_lm_close(&b->lm);
    sru_streams_close(&b->streams);
    free(b->tokens);
}

/* Wait for steps until so many are left unread. */
static sru_status catch_up(struct sru_trainer *t, size_t unread, struct sru_error *err)
{
    sru_status status = SRU_OK;
    double loss;

    while (!status && t->unread > unread)
        status = sru_trainer_loss(t, &loss, err);
    return status;
}

/* No epoch ends, so that the memory stays full. */
static sru_status step(void *of, struct sru_error *err)
{
    struct sru_trainer *t = of;

    t->streams->segment %= SEGMENTS;
    const sru_status status = sru_trainer_step(t, RATE, RATE, err);
    return status ? status : catch_up(t, sru_trainer_ahead(t), err);
}

/* Steps with the clock on. */
static sru_status measure_operators(struct sru_trainer *t, struct sru_dev *dev, double seconds, struct sru_spread *spread,
                                    struct sru_training *out, struct sru_error *err)
{
    const sru_status before = catch_up(t, 0, err);
    const double from = sru_now();
    const uint64_t first = t->step;
    struct sru_ops_timing timing;

    if (before)
        return before;
    sru_ops_timing_begin(&timing, dev, &out->times);
    const sru_status status = sru_measure(seconds, step, t, spread, err), failed = sru_ops_timing_end(&timing, dev, err);
    if (status || failed)
        return failed ? failed : status;
    const double steps = (double)(t->step - first);
    out->mean = (sru_now() - from) / steps;
    for (int op = 0; op < SRU_TIMED; op++)
        for (int k = 0; k < SRU_DIRECTIONS; k++)
            out->times.seconds[op][k] /= steps;
    return SRU_OK;
}

/* The clock costs nothing on the processor. */
static sru_status measure(struct sru_trainer *t, struct sru_dev *dev, double seconds, struct sru_training *out, struct sru_error *err)
{
    struct sru_spread slowed;

    if (sru_is_cpu(dev))
        return measure_operators(t, dev, seconds, &out->step, out, err);
    const sru_status status = sru_measure(seconds, step, t, &out->step, err);
    return status ? status : measure_operators(t, dev, seconds, &slowed, out, err);
}

sru_status sru_bench_train(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_training *out,
                           struct sru_error *err)
{
    struct bench b = { .tokens = NULL };
    sru_status status = bench_open(&b, m, dev, err);

    *out = (struct sru_training){ .mean = 0 };
    for (int i = 0; i < BEFORE && !status; i++)
        status = step(&b.trainer, err);
    if (!status)
        status = measure(&b.trainer, dev, seconds, out, err);
    if (!status)
        out->bytes = (double)(sru_lm_bytes(&b.lm) + sru_trainer_bytes(&b.lm, m->B, m->T, &b.trainer.optimizer));
    bench_close(&b);
    return status;
}
