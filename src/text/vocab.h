/* Vocabularies: which tokens a model knows, bytes or words, and their numbers. */
#ifndef SRU_TEXT_VOCAB_H
#define SRU_TEXT_VOCAB_H

#include <jansson.h>

#include "src/text/words.h"

enum sru_unit { SRU_BYTES, SRU_WORDS };

/* Zero: no vocabulary. */
struct sru_vocab {
    enum sru_unit unit;
    size_t  size;
    /* By bytes: those that a text has, in ascending order; token i is byte symbols[i]. */
    uint8_t symbols[256];
    int32_t ids[256];           /* of every byte; -1: not in the vocabulary */
    /* By words: token i is word i. */
    struct sru_words words;
    int32_t unknown;            /* the token of words that are not in it: SRU_UNK, SRU_UNK_UPPER, or -1: there may be none */
    int32_t end;                /* of a line's end: SRU_EOS, SRU_SENTENCE, or -1 */
};

/* "bytes" and "words" to a unit.  false: another word. */
bool sru_unit_parse(const char *word, enum sru_unit *unit);
/* What one token is called: "byte" or "word". */
const char *sru_unit_name(enum sru_unit unit);

/* A text's bytes are seen; and the vocabulary of those that were. */
void sru_see_bytes(bool seen[256], const char *text, size_t n);
struct sru_vocab sru_vocab_of_bytes(const bool seen[256]);
/* The vocabulary of ranked words (sru_words_rank), which it takes over.  SRU_EFORMAT where one is not UTF-8 (the words are closed). */
sru_status sru_vocab_of_words(struct sru_vocab *v, struct sru_words *words, struct sru_error *err);
void sru_vocab_close(struct sru_vocab *v);

/* Do they give the same tokens to the same texts? */
bool sru_vocab_same(const struct sru_vocab *a, const struct sru_vocab *b);

/* The token of a word, which may be `end` or `unknown`; -1: there is none. */
int32_t sru_vocab_word(const struct sru_vocab *v, struct sru_word word);

/* A token's bytes, *n of them; the end of a line is "\n".  Words come without the blanks between them. */
const char *sru_vocab_text(const struct sru_vocab *v, int32_t token, size_t *n);

/*
 * For a model's file and back (checked).  By bytes [32, 97, ...], ascending; by words {"lower": false, "unit": "words",
 * "words": "<eos> the ..."}, parted by blanks.  NULL without memory.
 */
json_t *sru_vocab_to_json(const struct sru_vocab *v);
sru_status sru_vocab_from_json(struct sru_vocab *v, json_t *json, struct sru_error *err);

/*
 * A file of words, one a line, in order; what follows a line's first word, such as its count, is passed over.
 * SRU_EIO; SRU_EFORMAT: no words, one twice, or not UTF-8; SRU_ENOMEM.
 */
sru_status sru_vocab_read(struct sru_vocab *v, const char *path, bool lower, struct sru_error *err);

#define SRU_VOCABULARY_NAME "vocabulary.txt"   /* beside a model or a corpus */
/* A word a line, in order.  SRU_EIO; SRU_EINVAL for a vocabulary of bytes. */
sru_status sru_vocab_write(const struct sru_vocab *v, const char *path, struct sru_error *err);

#endif
