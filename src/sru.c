/* The public interface: see sru.h. */
#include "config.h"

#include <stdlib.h>

#include "src/model/decode.h"
#include "src/model/file.h"

const char *sru_version(void)
{
    return PACKAGE_VERSION;
}

/* ---- Models -------------------------------------------------------------------------------- */

struct sru_model {
    struct sru_dev  *dev;
    struct sru_vocab vocab;
    struct sru_lm    lm;
};

static sru_status fill(struct sru_model *m, const char *path, struct sru_error *err)
{
    struct sru_model_file f;
    sru_status status = sru_cpu_open(NULL, SRU_PRECISION_AUTO, &m->dev, err);

    if (status || (status = sru_model_file_open(&f, path, err)))
        return status;
    m->vocab = f.vocab;
    f.vocab = (struct sru_vocab){ 0 };
    if (!(status = sru_lm_open(&m->lm, &f.config, m->dev, SRU_USE_DECODE, err)))
        status = sru_model_file_weights(&f, &m->lm, err);
    sru_model_file_close(&f);
    return status;
}

sru_status sru_model_open(const char *path, struct sru_model **out, struct sru_error *err)
{
    struct sru_model *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m)
        return sru_fail(err, SRU_ENOMEM, "out of memory to open %s", path);
    const sru_status status = fill(m, path, err);
    if (status)
        sru_model_close(m);
    else
        *out = m;
    return status;
}

void sru_model_close(struct sru_model *m)
{
    if (!m)
        return;
    sru_lm_close(&m->lm);
    sru_vocab_close(&m->vocab);
    sru_dev_close(m->dev);
    free(m);
}

size_t sru_model_vocab(const struct sru_model *m)
{
    return m->vocab.size;
}

int32_t sru_model_token(const struct sru_model *m, unsigned char byte)
{
    return m->vocab.unit == SRU_BYTES ? m->vocab.ids[byte] : -1;
}

unsigned char sru_model_byte(const struct sru_model *m, int32_t token)
{
    return m->vocab.unit == SRU_BYTES ? m->vocab.symbols[token] : 0;
}

int32_t sru_model_word(const struct sru_model *m, const char *word, size_t n)
{
    if (m->vocab.unit != SRU_WORDS)
        return -1;
    return n == 1 && *word == '\n' ? m->vocab.end : sru_vocab_word(&m->vocab, sru_word_of(word, n));
}

const char *sru_model_text(const struct sru_model *m, int32_t token, size_t *n)
{
    return sru_vocab_text(&m->vocab, token, n);
}

/* ---- Reading ------------------------------------------------------------------------------------ */

struct sru_reader {
    struct sru_decoder decoder;
};

sru_status sru_reader_open(struct sru_model *m, size_t window, struct sru_reader **out, struct sru_error *err)
{
    struct sru_reader *r = calloc(1, sizeof *r);

    *out = NULL;
    if (!r)
        return sru_fail(err, SRU_ENOMEM, "out of memory for a reader");
    const sru_status status = sru_decoder_open(&r->decoder, &m->lm, 1, window ? window : m->lm.config.window, err);
    if (status)
        free(r);
    else
        *out = r;
    return status;
}

void sru_reader_close(struct sru_reader *r)
{
    if (!r)
        return;
    sru_decoder_close(&r->decoder);
    free(r);
}

void sru_reader_reset(struct sru_reader *r)
{
    sru_decoder_reset(&r->decoder);
}

sru_status sru_reader_read(struct sru_reader *r, int32_t token, float *logits, struct sru_error *err)
{
    const size_t V = r->decoder.lm->config.vocab;

    if (token < 0 || (size_t)token >= V)
        return sru_fail(err, SRU_EINVAL, "there is no token %d: the model has %zu", (int)token, V);
    return sru_decoder_read(&r->decoder, &token, logits, err);
}
