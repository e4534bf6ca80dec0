/* Vocabularies of words by frequency. */
#ifndef SRU_TEXT_WORDS_H
#define SRU_TEXT_WORDS_H

#include "src/error.h"
#include "src/text/word.h"

/* Most words are told apart without a look at the text: these are the first and last 8 bytes, and the size with a part of the hash. */
struct sru_word_slot {
    uint64_t first, last;
    uint32_t mark, number;   /* number + 1, or 0: empty */
};

/* Distinct words by number.  Word i is text + at[i], and ends with 0; at[i+1] - at[i] - 1 bytes. */
struct sru_words {
    size_t  n, room;
    char   *text;
    size_t  text_room, *at;    /* [n+1] */
    uint64_t *count;           /* [n] how often each was counted */
    struct sru_word_slot *slots;   /* hash table */
    size_t  n_slots;           /* a power of two, more than n */
    bool    lower;             /* A-Z are counted and found as a-z */
};

void sru_words_close(struct sru_words *w);
/* Word i. */
struct sru_word sru_words_get(const struct sru_words *w, size_t i);
/* The word will be looked for soon, and in these words: the time its place in memory takes to come passes meanwhile. */
void sru_words_expect(const struct sru_words *w, struct sru_word *word);
/* The number of a word, or -1. */
int32_t sru_words_find(const struct sru_words *w, struct sru_word word);
/* The same, and where it is new its number is that of the next; `times` are counted.  -1: out of memory, or too many for a number. */
int32_t sru_words_count(struct sru_words *w, struct sru_word word, uint64_t times);
/* n words, once each, and their numbers.  false: as -1. */
bool sru_words_count_all(struct sru_words *w, const struct sru_word *words, size_t n, int32_t *numbers);
/* Count all of a text's words.  SRU_ENOMEM. */
sru_status sru_words_count_text(struct sru_words *w, const char *text, size_t size, struct sru_error *err);

/*
 * The vocabulary of what was counted: SRU_EOS, then the most frequent first, and of words as frequent the one that came first (the
 * reference's order).  Where words seen less than min_count times, or more than `most` words (0: any number), are left out, SRU_UNK
 * stands for them, as frequent as they are together.
 * @param always  SRU_UNK is there, and one of `most`, even where none is left out
 * @param v       to be closed.  SRU_ENOMEM.
 */
sru_status sru_words_rank(const struct sru_words *counted, uint64_t min_count, size_t most, bool always, struct sru_words *v, struct sru_error *err);

#endif
