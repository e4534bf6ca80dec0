/*
 * sru.h - public interface of libsru: SRU++ language models.
 *
 * The model is that of Tao Lei, "When Attention Meets Fast Recurrence:
 * Training Language Models with Reduced Compute" (EMNLP 2021).
 *
 * Conventions.  A function that can fail returns an sru_status and takes a last
 * argument `struct sru_error *err`, which may be NULL; when it is not, a failure
 * leaves a one-line message there (what, where, what to do).  The library never
 * prints and never exits.
 *
 * Copyright (c) 2026 the sru-lm authors.  MIT licence, see COPYING.
 */
#ifndef SRU_H
#define SRU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SRU_BUILD) && defined(__GNUC__)
# define SRU_API __attribute__((visibility("default")))
#else
# define SRU_API
#endif

typedef enum {
    SRU_OK = 0,
    SRU_EINVAL,   /* an argument is out of range or does not fit the model */
    SRU_ENOMEM,   /* memory could not be allocated */
    SRU_EIO,      /* a file could not be opened, read or written */
    SRU_EFORMAT,  /* a file is malformed, truncated or of an unsupported kind */
    SRU_EDEVICE,  /* the device failed or lacks what was asked for */
    SRU_EDIVERGED /* training produced numbers that are not finite */
} sru_status;

struct sru_error {
    sru_status status;
    char message[512];   /* one line, without newline */
};

/** @return the version of the library, such as "0.1.0"; static storage. */
SRU_API const char *sru_version(void);

/* ---- Models -------------------------------------------------------------------------------- */

struct sru_model;

/**
 * Load a model file onto the processor.
 *
 * @param path  a safetensors file as `sru-lm train` writes it
 * @param out   the model, to be closed by sru_model_close; NULL on failure
 * @return SRU_OK; SRU_EIO, SRU_EFORMAT, SRU_ENOMEM.
 */
SRU_API sru_status sru_model_open(const char *path, struct sru_model **out, struct sru_error *err);
/** Free a model (NULL is allowed); its readers must be closed before. */
SRU_API void sru_model_close(struct sru_model *m);

/** @return the number of tokens V: a token is a number from 0 to V-1. */
SRU_API size_t sru_model_vocab(const struct sru_model *m);
/** @return the token of a byte, or -1 where the model does not know the byte, or is one of words. */
SRU_API int32_t sru_model_token(const struct sru_model *m, unsigned char byte);
/** @return the byte of a token, 0 <= token < V; 0 where the model is one of words. */
SRU_API unsigned char sru_model_byte(const struct sru_model *m, int32_t token);
/**
 * The token of a word of n bytes, or of "\n", which ends a line: for models of words.
 * @return that of unknown words where the model does not know it; -1 where it has none for these, or is a model of bytes
 */
SRU_API int32_t sru_model_word(const struct sru_model *m, const char *word, size_t n);
/**
 * What a token, 0 <= token < V, stands for: a byte, or a word without the blank before it; "\n" for the end of a line.
 * @param n  its length in bytes; it does not end with 0
 * @return static storage of the model
 */
SRU_API const char *sru_model_text(const struct sru_model *m, int32_t token, size_t *n);

/* ---- Reading: a token at a time, predicting the next --------------------------------------------- */

struct sru_reader;

/**
 * Begin to read a text from an empty state.
 *
 * @param window  positions before the current one that attention sees; 0: the model's own
 * @return SRU_OK; SRU_ENOMEM; SRU_EINVAL (a window too large).
 *
 * A reader belongs to one thread at a time, and so do the readers of one model.
 */
SRU_API sru_status sru_reader_open(struct sru_model *m, size_t window, struct sru_reader **out, struct sru_error *err);
SRU_API void sru_reader_close(struct sru_reader *r);
/** Forget everything read. */
SRU_API void sru_reader_reset(struct sru_reader *r);

/**
 * Read one token.
 *
 * @param token   0 <= token < V
 * @param logits  [V] scores of the token that follows, log-probabilities up to a constant; NULL: not wanted
 * @return SRU_OK; SRU_EINVAL (no such token, nothing read); SRU_EDEVICE.
 */
SRU_API sru_status sru_reader_read(struct sru_reader *r, int32_t token, float *logits, struct sru_error *err);

#ifdef __cplusplus
}
#endif
#endif
