/* Parts of a corpus: stretches of tokens, and the streams that training reads. */
#ifndef SRU_TEXT_PART_H
#define SRU_TEXT_PART_H

#include "src/text/text.h"
#include "src/text/vocab.h"

/* Tokens in memory: a text's own bytes (width 1), or words' numbers of 2 or 4 bytes. */
struct sru_part {
    const void *data;
    size_t   size;      /* tokens */
    unsigned width;     /* bytes of one */
    uint64_t bytes;     /* of text that they stand for */
    void    *own;       /* freed when it is closed; or NULL */
    /* Of sentences that training shuffles: the first token is the end of one, and sentence i is tokens [lines[i], lines[i+1]), with its end. */
    const uint64_t *lines;   /* [n_lines + 1], or NULL */
    size_t   n_lines;
};

/*
 * A text's tokens.  By bytes the part is the text itself, which has to stay, and its bytes are looked up when they are read;
 * by words it is an array of its own.  SRU_EFORMAT for a word that the vocabulary neither has nor has SRU_UNK for; SRU_ENOMEM.
 */
sru_status sru_part_of(struct sru_part *p, const struct sru_vocab *v, const char *text, size_t size, const char *name,
                       struct sru_error *err);
/* Bytes of a token of such a part. */
unsigned sru_part_width(const struct sru_vocab *v);
void sru_part_close(struct sru_part *p);

/* Tokens [from, from + n) into ids.  SRU_EFORMAT with its position where one is not in the vocabulary. */
sru_status sru_part_get(const struct sru_part *p, const struct sru_vocab *v, size_t from, size_t n, int32_t *ids, const char *name,
                        struct sru_error *err);

/* ---- Splits ------------------------------------------------------------------------------------ */

/* Percentages of a split, such as "90/5/5" or "90/10" (no test part): positive, at most 100 together.  false: another text. */
bool sru_split_parse(const char *word, double percent[3]);

/* Where the train, valid and test parts of a text end: neighbours, [0, end[0]), [end[0], end[1]) ...; `lines`: where a line begins. */
void sru_split_text(const struct sru_text *t, const double percent[3], bool lines, size_t end[3]);

/* ---- Streams ------------------------------------------------------------------------------------- */

/*
 * A part cut into B streams, read T tokens at a time.
 *
 * Of a text each is L = (size - 1) / B neighbouring tokens: segment s of stream b is tokens b*L + s*T onwards, what remains of a stream
 * is left out, and an epoch is L / T segments.
 * Of sentences each is as many of them, one after another, in an order of the epoch's own; an epoch ends where the first stream does.
 */
struct sru_streams {
    const struct sru_vocab *vocab;
    struct sru_part part;            /* borrowed */
    size_t   B, T;
    uint64_t seed;                   /* of the orders */
    uint64_t epoch, segment;         /* the next one to read */
    struct sru_cursor *cursors;      /* [B] of sentences, where the next segment begins */
};

/* SRU_EFORMAT where the part is too short for one segment; SRU_ENOMEM. */
sru_status sru_streams_open(struct sru_streams *s, const struct sru_vocab *v, const struct sru_part *part, size_t B, size_t T, uint64_t seed,
                            struct sru_error *err);
void sru_streams_close(struct sru_streams *s);
/* The place where a run goes on.  SRU_EFORMAT: there is none such. */
sru_status sru_streams_seek(struct sru_streams *s, uint64_t epoch, uint64_t segment, struct sru_error *err);
/*
 * Tokens and their successors of the next segment: [B,T] each.
 * @param anew  true where streams begin again with it, and what was before them is not what they remember
 * @return as sru_part_get
 */
sru_status sru_streams_next(struct sru_streams *s, int32_t *tokens, int32_t *targets, bool *anew, struct sru_error *err);

#endif
