/* Texts: a file in memory, its vocabulary of bytes, its parts, and the streams that training reads. */
#ifndef SRU_TEXT_TEXT_H
#define SRU_TEXT_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "src/error.h"

/* A text in memory. */
struct sru_text {
    char  *data;
    size_t size;
};

/* Read a file, or standard input for "-".  SRU_EIO where it cannot be read, is a directory or is empty. */
sru_status sru_text_open(struct sru_text *t, const char *path, struct sru_error *err);
void sru_text_close(struct sru_text *t);

/* 64-bit fingerprint (FNV-1a over the bytes), to tell whether a text has changed. */
uint64_t sru_text_fingerprint(const char *data, size_t n);

/* ---- Vocabulary ------------------------------------------------------------------------- */

/* The distinct bytes of a text in ascending order: token i is byte symbols[i]. */
struct sru_vocab {
    size_t  size;
    uint8_t symbols[256];
    int32_t ids[256];       /* of every byte; -1: not in the vocabulary */
};

/* Of all bytes that occur in n texts. */
struct sru_vocab sru_vocab_of(const struct sru_text *texts, size_t n);

/* Bytes [from, from + n) of a text into n ids.  SRU_EFORMAT with the byte and its position where one is not in the vocabulary. */
sru_status sru_vocab_encode(const struct sru_vocab *v, const char *text, size_t from, size_t n, int32_t *ids, const char *name,
                            struct sru_error *err);

/* [32, 97, ...] and back (checked: ascending, in range).  NULL without memory. */
json_t *sru_vocab_to_json(const struct sru_vocab *v);
sru_status sru_vocab_from_json(struct sru_vocab *v, json_t *list, struct sru_error *err);

/* ---- Parts and streams -------------------------------------------------------------------- */

/* A stretch of text. */
struct sru_part {
    const char *data;
    size_t size;
};

/* Percentages of a split, such as "90/5/5" or "90/10" (no test part): positive, at most 100 together.  false: another text. */
bool sru_split_parse(const char *word, double percent[3]);

/* Neighbouring parts of a text: train, valid, test. */
void sru_split_text(const struct sru_text *t, const double percent[3], struct sru_part part[3]);

/*
 * A part cut into B streams of L = (size - 1) / B neighbouring bytes, read T at a time:
 * segment s of stream b is bytes b*L + s*T onwards.  What remains of a stream is left out.
 */
struct sru_streams {
    const struct sru_vocab *vocab;
    struct sru_part part;
    size_t B, T, length, segments;   /* L, L / T */
};

/* SRU_EFORMAT where the part is too short for one segment, or has a byte outside of the vocabulary. */
sru_status sru_streams_open(struct sru_streams *s, const struct sru_vocab *v, struct sru_part part, size_t B, size_t T,
                            struct sru_error *err);
/* Tokens and their successors of a segment: [B,T] each. */
void sru_streams_get(const struct sru_streams *s, size_t segment, int32_t *tokens, int32_t *targets);

#endif
