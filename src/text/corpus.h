/* A corpus: what a run learns and is measured by, from texts or prepared before. */
#ifndef SRU_TEXT_CORPUS_H
#define SRU_TEXT_CORPUS_H

#include "src/io/safetensors.h"
#include "src/text/part.h"

enum { SRU_TRAIN, SRU_VALID, SRU_TEST, SRU_PARTS };

/* How texts become tokens. */
struct sru_tokenizing {
    enum sru_unit unit;
    /* By words. */
    bool lower;                  /* A-Z are a-z */
    uint64_t min_count;          /* words less frequent in the train part are SRU_UNK */
    bool sentences;              /* prepared: lines are shuffled in training */
    size_t most;                 /* words at most, SRU_EOS and SRU_UNK among them; 0: any number */
};

/* Where the parts are. */
struct sru_sources {
    const char *path[SRU_PARTS]; /* files; without a valid one, the first is cut by `split`; the last may be missing */
    double split[SRU_PARTS];     /* percent */
};

/* The percentages of --split, beside the paths of --data, --valid and --test.  SRU_EINVAL: they do not go together. */
sru_status sru_sources_parse(const char *split, struct sru_sources *s, struct sru_error *err);

struct sru_corpus {
    struct sru_vocab vocab;
    struct sru_part  part[SRU_PARTS];   /* the test part may be empty */
    uint64_t fingerprint;               /* of the texts: another one, another corpus */
    struct sru_text  text[SRU_PARTS];   /* behind parts by bytes */
    struct sru_st_file file;            /* behind parts that were prepared (src/text/prepared.h) */
    void  *map;
    size_t map_size;
};

/*
 * The first source's path may be a directory of train.txt, valid.txt and perhaps test.txt: the others have to be NULL then.
 * Or it may be a prepared corpus, a file or the directory it is in: the others have to be NULL then, and `how` and
 * the split are those it was prepared with.  By words the vocabulary is that of the train part, and has SRU_UNK.
 * @return SRU_EIO; SRU_EFORMAT, also where the valid part has fewer than two tokens; SRU_EINVAL; SRU_ENOMEM.
 */
sru_status sru_corpus_open(struct sru_corpus *c, const struct sru_sources *from, const struct sru_tokenizing *how, struct sru_error *err);
void sru_corpus_close(struct sru_corpus *c);

/* The vocabulary of words as they were counted, as `how` says; has SRU_UNK.  SRU_EFORMAT, SRU_ENOMEM. */
sru_status sru_corpus_vocab(struct sru_vocab *v, const struct sru_words *counted, const struct sru_tokenizing *how, struct sru_error *err);

#endif
