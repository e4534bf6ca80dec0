/*
 * Prepared corpora: words' numbers and their vocabulary in one safetensors file, mapped into memory.
 *
 * Tensors "train", "valid" and perhaps "test", U16 or U32, one dimension; of sentences "train.lines", U64, where in "train" each of them
 * begins, and the end of the last; __metadata__ {bytes: "[n, n, n]" of text behind each,
 * fingerprint: 16 hexadecimal digits, format: "sru-corpus", vocab: as in models}.
 */
#ifndef SRU_TEXT_PREPARED_H
#define SRU_TEXT_PREPARED_H

#include "src/text/corpus.h"

#define SRU_PREPARED_NAME "corpus.safetensors"
#define SRU_PREPARED_FORMAT "sru-corpus"
#define SRU_LINES_NAME "train.lines"

/* Does the path name a prepared corpus, or a directory that has one? */
bool sru_is_prepared(const char *path);

/* For sru_corpus_open and sru_corpus_close, whose corpus is empty. */
sru_status sru_prepared_open(struct sru_corpus *c, const struct sru_sources *from, struct sru_error *err);
void sru_prepared_close(struct sru_corpus *c);

/* ---- To make one --------------------------------------------------------------------------- */

/* Told now and then. */
struct sru_preparing {
    void (*progress)(void *context, uint64_t bytes, uint64_t of);   /* of text; of 0: not known */
    void *context;
};

struct sru_prepared {
    size_t   words;                              /* in the vocabulary */
    uint64_t tokens[SRU_PARTS], bytes[SRU_PARTS], unknown[SRU_PARTS];
    uint64_t lines;                              /* of the train part */
};

/*
 * Prepare texts, in memory for the vocabulary and a few buffers; a file of 4 bytes a word is needed beside it meanwhile.
 * Writes DIRECTORY/SRU_PREPARED_NAME and DIRECTORY/vocabulary.txt, atomically each.  A path may be a directory: its files are read by name,
 * one after another; "-" is standard input.
 * @param given   a vocabulary, which is then taken instead of the train part's; or NULL
 * @return SRU_EIO, SRU_EFORMAT, SRU_EINVAL (a split of what is not one file), SRU_ENOMEM
 */
sru_status sru_prepare(const char *directory, const struct sru_sources *from, const struct sru_tokenizing *how, const struct sru_vocab *given,
                       const struct sru_preparing *watch, struct sru_prepared *out, struct sru_error *err);

/* The parts' names in files and messages. */
extern const char *const sru_part_names[SRU_PARTS];

#endif
