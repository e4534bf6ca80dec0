/* The nearest of several names to a mistyped word. */
#ifndef SRU_CLI_WORDS_H
#define SRU_CLI_WORDS_H

#include <stddef.h>

struct sru_nearest {
    const char *word, *best;   /* best is NULL while no name is near */
    size_t distance;           /* of the best; names farther than this are no suggestion */
};

struct sru_nearest sru_nearest_begin(const char *word);
void sru_nearest_try(struct sru_nearest *near, const char *name);

#endif
