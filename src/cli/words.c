/* The nearest of several names to a mistyped word: edit distance with swaps of neighbours. */
#include "config.h"

#include <string.h>

#include "src/cli/words.h"
#include "src/size.h"

#define LONGEST 40   /* letters of a word or name that take part */

/* Fewest insertions, deletions, replacements and swaps of neighbours that turn a into b. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][LONGEST + 1], *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = sru_min(sru_min(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = sru_min(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

struct sru_nearest sru_nearest_begin(const char *word)
{
    return (struct sru_nearest){ .word = word, .distance = strlen(word) / 3 + 1 };
}

void sru_nearest_try(struct sru_nearest *near, const char *name)
{
    const size_t n = strlen(near->word), m = strlen(name);

    if (n == 0 || n > LONGEST || m > LONGEST)
        return;
    const size_t d = distance(near->word, n, name, m);
    if (d < near->distance + !near->best && d < n) {
        near->best = name;
        near->distance = d;
    }
}
