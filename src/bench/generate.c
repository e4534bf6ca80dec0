/* Generation, a token at a time in one stream. */
#include "config.h"

#include <omp.h>
#include <stdlib.h>

#include "src/bench/bench.h"
#include "src/model/decode.h"

struct bench {
    struct sru_lm lm;
    struct sru_decoder decoder;
    float  *logits;
    int32_t token;
};

static sru_status bench_open(struct bench *b, const struct sru_bench_model *m, struct sru_dev *dev, struct sru_error *err)
{
    sru_status status;

    *b = (struct bench){ .token = 0 };
    if ((status = sru_lm_open(&b->lm, &m->config, dev, SRU_USE_DECODE, err)))
        return status;
    if (!(b->logits = malloc(m->config.vocab * sizeof *b->logits)))
        return sru_fail(err, SRU_ENOMEM, "out of memory for the logits");
    if ((status = sru_lm_init(&b->lm, 1, err)) || (status = sru_decoder_open(&b->decoder, &b->lm, 1, m->config.window, err)))
        return status;
    sru_decoder_reset(&b->decoder);
    b->decoder.position = m->config.window;   /* as if it had been read: what stands there makes no difference to the time */
    return SRU_OK;
}

static void bench_close(struct bench *b)
{
    if (b->decoder.lm)
        sru_decoder_close(&b->decoder);
    if (b->lm.dev)
        sru_lm_close(&b->lm);
    free(b->logits);
}

static sru_status next(void *of, struct sru_error *err)
{
    struct bench *b = of;
    const sru_status status = sru_decoder_read(&b->decoder, &b->token, b->logits, err);

    for (size_t i = b->token = 0; i < b->lm.config.vocab && !status; i++)
        if (b->logits[i] > b->logits[b->token])
            b->token = (int32_t)i;
    return status;
}

sru_status sru_bench_generate(const struct sru_bench_model *m, struct sru_dev *dev, int threads, double seconds,
                              struct sru_generation *out, struct sru_error *err)
{
    struct bench b;
    sru_status status;

    *out = (struct sru_generation){ .threads = threads };
    omp_set_num_threads(threads);
    if (!(status = bench_open(&b, m, dev, err)))
        status = sru_measure(seconds, next, &b, &out->token, err);
    bench_close(&b);
    omp_set_num_threads(dev->threads);
    return status;
}
