/* How a text falls into words. */
#ifndef SRU_TEXT_WORD_H
#define SRU_TEXT_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Words are what white space parts (Unicode's, as Python's str.split has it), and every line ends with SRU_EOS, whatever ends it and
 * the last one even where nothing does.  Any bytes: what is not UTF-8 is not white space.
 */
#define SRU_EOS "<eos>"
#define SRU_UNK "<unk>"
/* What Billion Word's vocabulary has for them. */
#define SRU_SENTENCE "<S>"
#define SRU_UNK_UPPER "<UNK>"

struct sru_word {
    const char *text;      /* SRU_EOS's own, or in the text: it does not end with 0 */
    size_t size;
    uint64_t first, last;  /* its first 8 bytes, and zeros where it is shorter; its last 8, or 0 where it has no more than 8 */
    uint64_t hash;         /* of sru_words_expect, or 0: not known */
};

struct sru_word sru_word_of(const char *text, size_t size);
/* SRU_EOS, and whether a word is that. */
struct sru_word sru_word_end(void);
bool sru_word_is_end(struct sru_word word);
/* n bytes, at most 8, and zeros after them: the first is the lowest. */
uint64_t sru_word_load(const char *p, size_t n);

enum { SRU_WORD_BLOCK = 64 };   /* bytes that a reader takes at a time */

/* Where the next word of a text is looked for; zero but for the text and its size. */
struct sru_word_reader {
    const char *text;
    size_t size, at;                                    /* at: where the next block begins */
    size_t from[SRU_WORD_BLOCK + 1], to[SRU_WORD_BLOCK + 1];   /* words, and ends of lines, that were found; the last may have no end */
    unsigned n_from, n_to, next;
    unsigned skip;                                      /* bytes of the next block that end white space */
    bool in_word, after_line, read, done;               /* as the last block left it; the whole text; and its last line's end too */
};

/* false: there are no more. */
bool sru_word_next(struct sru_word_reader *r, struct sru_word *word);

#endif
