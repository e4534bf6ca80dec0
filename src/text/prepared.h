/*
 * Prepared corpora: words' numbers and their vocabulary in one safetensors file, mapped into memory.
 *
 * Tensors "train", "valid" and perhaps "test", U16 or U32, one dimension; __metadata__ {bytes: "[n, n, n]" of text behind each,
 * fingerprint: 16 hexadecimal digits, format: "sru-corpus", vocab: as in models}.
 */
#ifndef SRU_TEXT_PREPARED_H
#define SRU_TEXT_PREPARED_H

#include "src/text/corpus.h"

#define SRU_PREPARED_NAME "corpus.safetensors"
#define SRU_PREPARED_FORMAT "sru-corpus"

/* Does the path name a prepared corpus, or a directory that has one? */
bool sru_is_prepared(const char *path);

/* For sru_corpus_open and sru_corpus_close, whose corpus is empty. */
sru_status sru_prepared_open(struct sru_corpus *c, const struct sru_sources *from, struct sru_error *err);
void sru_prepared_close(struct sru_corpus *c);

/* The parts' names in files and messages. */
extern const char *const sru_part_names[SRU_PARTS];

#endif
