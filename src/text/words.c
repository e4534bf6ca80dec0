/* Words: see words.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/words.h"

static struct sru_word unknown(void)
{
    return sru_word_of(SRU_UNK, sizeof SRU_UNK - 1);
}

/* ---- Numbers of words ------------------------------------------------------------------------ */

void sru_words_close(struct sru_words *w)
{
    free(w->text);
    free(w->at);
    free(w->count);
    free(w->slots);
    *w = (struct sru_words){ 0 };
}

/* 8 bytes as w has them. */
static uint64_t folded(const struct sru_words *w, uint64_t x)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;

    if (!w->lower)
        return x;
    /* The high bit of every byte from 'A' to 'Z'; bytes above 127 have their own, and are neither. */
    const uint64_t low = x & ~high, letters = (low + (0x80 - 'A') * ones) & ~(low + (0x80 - 'Z' - 1) * ones) & ~x & high;
    return x + (letters >> 2);
}

/* Bytes k to k + 8 of a word, as w has them. */
static uint64_t eight(const struct sru_words *w, const struct sru_word *word, size_t k)
{
    return folded(w, k == 0 ? word->first : sru_word_load(word->text + k, word->size - k));
}

struct sru_word sru_words_get(const struct sru_words *w, size_t i)
{
    return sru_word_of(w->text + w->at[i], w->at[i + 1] - w->at[i] - 1);
}

/* Of a word of more than 16 bytes, as many as word i: what the slots do not tell. */
static bool same_middle(const struct sru_words *w, size_t i, const struct sru_word *word)
{
    const char *mine = w->text + w->at[i];

    if (w->at[i + 1] - w->at[i] - 1 != word->size)   /* of sizes above 255 */
        return false;
    for (size_t k = 8; k < word->size - 8; k += 8)
        if (sru_word_load(mine + k, word->size - k) != eight(w, word, k))
            return false;
    return true;
}

/* Of every byte something in every bit. */
static uint64_t hash_of(const struct sru_words *w, const struct sru_word *word)
{
    uint64_t h = (word->size ^ folded(w, word->first)) * 0x9e3779b97f4a7c15u;

    for (size_t k = 8; word->size > 16 && k < word->size - 8; k += 8)
        h = ((h ^ h >> 32) ^ eight(w, word, k)) * 0x9e3779b97f4a7c15u;
    h = ((h ^ h >> 32) + folded(w, word->last)) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

/* The slot that a word has, or would have; *key is what stands there besides the number. */
static struct sru_word_slot *slot_of(const struct sru_words *w, const struct sru_word *word, struct sru_word_slot *key)
{
    const uint64_t hash = word->hash ? word->hash : hash_of(w, word);
    struct sru_word_slot *slots = w->slots;
    size_t i = hash & (w->n_slots - 1);

    *key = (struct sru_word_slot){ folded(w, word->first), folded(w, word->last),
                                   (uint32_t)(hash >> 32) << 8 | (uint32_t)sru_min(word->size, 255), 0 };
    while (slots[i].number > 0 && ((slots[i].first ^ key->first) | (slots[i].last ^ key->last) | (slots[i].mark ^ key->mark)
                                   || (word->size > 16 && !same_middle(w, slots[i].number - 1, word))))
        i = (i + 1) & (w->n_slots - 1);
    return &slots[i];
}

void sru_words_expect(const struct sru_words *w, struct sru_word *word)
{
    word->hash = hash_of(w, word);
    if (w->n_slots > 0)
        __builtin_prefetch(&w->slots[word->hash & (w->n_slots - 1)]);
}

/* The number of a word, or -1. */
static int32_t number_of(const struct sru_words *w, const struct sru_word *word)
{
    struct sru_word_slot key;

    return w->n_slots > 0 ? (int32_t)slot_of(w, word, &key)->number - 1 : -1;
}

int32_t sru_words_find(const struct sru_words *w, struct sru_word word)
{
    return number_of(w, &word);
}

/* Word i, which has no slot yet, gets one. */
static void take_slot(struct sru_words *w, const struct sru_word *word, size_t i)
{
    struct sru_word_slot key, *slot = slot_of(w, word, &key);

    key.number = (uint32_t)i + 1;
    *slot = key;
}

/* Twice the slots. */
static bool rehash(struct sru_words *w)
{
    struct sru_words more = *w;

    more.n_slots = w->n_slots > 0 ? 2 * w->n_slots : 1024;
    if (!(more.slots = calloc(more.n_slots, sizeof *more.slots)))
        return false;
    for (size_t i = 0; i < w->n; i++) {
        const struct sru_word word = sru_words_get(w, i);

        take_slot(&more, &word, i);
    }
    free(w->slots);
    *w = more;
    return true;
}

static bool grow(void **p, size_t *room, size_t need, size_t size)
{
    const size_t more = sru_max(need, *room < SIZE_MAX / 4 ? 2 * *room : need);
    void *larger = more <= SIZE_MAX / size ? realloc(*p, more * size) : NULL;

    if (!larger)
        return false;
    *p = larger;
    *room = more;
    return true;
}

/* Room for one more word of so many bytes. */
static bool make_room(struct sru_words *w, size_t bytes)
{
    const size_t end = w->n > 0 ? w->at[w->n] : 0;
    size_t places = w->room;
    void *text = w->text, *at = w->at, *count = w->count;

    if (bytes > SIZE_MAX / 4 - end || w->n + 1 >= INT32_MAX)
        return false;
    if (end + bytes + 1 > w->text_room && !grow(&text, &w->text_room, end + bytes + 1, 1))
        return false;
    w->text = text;
    if (w->n + 2 > w->room) {
        if (!grow(&at, &places, sru_max(w->n + 2, 512), sizeof *w->at))
            return false;
        w->at = at;
        w->at[0] = 0;
        if (!(count = realloc(w->count, places * sizeof *w->count)))
            return false;
        w->count = count;
        w->room = places;
    }
    return 2 * (w->n + 1) <= w->n_slots || rehash(w);
}

/* The number of a word that is new.  -1: out of memory, or too many. */
static int32_t append(struct sru_words *w, const struct sru_word *word)
{
    if (!make_room(w, word->size))
        return -1;
    char *mine = w->text + w->at[w->n];

    for (size_t k = 0; k < word->size; k += 8) {
        const uint64_t x = eight(w, word, k);
        for (size_t b = k; b < sru_min(word->size, k + 8); b++)
            mine[b] = (char)(x >> 8 * (b - k));
    }
    mine[word->size] = '\0';
    take_slot(w, word, w->n);
    w->count[w->n] = 0;
    w->at[w->n + 1] = w->at[w->n] + word->size + 1;
    return (int32_t)w->n++;
}

static int32_t number_or_append(struct sru_words *w, const struct sru_word *word)
{
    const int32_t known = number_of(w, word);

    return known >= 0 ? known : append(w, word);
}

int32_t sru_words_count(struct sru_words *w, struct sru_word word, uint64_t times)
{
    const int32_t i = number_or_append(w, &word);

    if (i >= 0)
        w->count[i] += times;
    return i;
}

bool sru_words_count_all(struct sru_words *w, const struct sru_word *words, size_t n, int32_t *numbers)
{
    for (size_t k = 0; k < n; k++)
        if ((numbers[k] = number_or_append(w, &words[k])) < 0)
            return false;
    for (size_t k = 0; k < n; k++)   /* another pass, so that these places come from memory side by side */
        w->count[numbers[k]]++;
    return true;
}

sru_status sru_words_count_text(struct sru_words *w, const char *text, size_t size, struct sru_error *err)
{
    struct sru_word_reader r = { .text = text, .size = size };
    struct sru_word word;

    while (sru_word_next(&r, &word))
        if (sru_words_count(w, word, 1) < 0)
            return sru_fail(err, SRU_ENOMEM, "out of memory for a vocabulary of more than %zu words", w->n);
    return SRU_OK;
}

/* ---- By frequency ----------------------------------------------------------------------------- */

struct ranked {
    uint64_t count;
    size_t   i;
};

static int more_frequent(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->i < y->i ? -1 : 1;
}

/* Words and SRU_UNK in order: the first `kept` of n ranked ones, and what the others are together. */
static bool fill(const struct sru_words *counted, const struct ranked *r, size_t kept, uint64_t others, bool always, struct sru_words *v)
{
    const int32_t i = sru_words_find(counted, sru_word_end());
    bool ok = sru_words_count(v, sru_word_end(), i >= 0 ? counted->count[i] : 0) >= 0;

    for (size_t k = 0; k < kept && ok; k++) {
        if (others > 0 && r[k].count < others) {
            ok = sru_words_count(v, unknown(), others) >= 0;
            others = 0;
        }
        ok = ok && sru_words_count(v, sru_words_get(counted, r[k].i), r[k].count) >= 0;
    }
    return ok && ((others == 0 && !always) || sru_words_count(v, unknown(), others) >= 0);   /* nothing is added to one that is there */
}

sru_status sru_words_rank(const struct sru_words *counted, uint64_t min_count, size_t most, bool always, struct sru_words *v, struct sru_error *err)
{
    struct ranked *r = malloc((counted->n + 1) * sizeof *r);
    const int32_t end = sru_words_find(counted, sru_word_end()), had = sru_words_find(counted, unknown());
    size_t n = 0, kept = 0;
    uint64_t others = 0;

    *v = (struct sru_words){ .lower = counted->lower };
    for (size_t i = 0; i < counted->n && r; i++)
        if ((int32_t)i != end)
            r[n++] = (struct ranked){ counted->count[i], i };
    if (r)
        qsort(r, n, sizeof *r, more_frequent);
    while (kept < n && r && r[kept].count >= min_count)
        kept++;
    if (most > 0 && kept + 1 + (kept < n || (always && had < 0)) > most)
        kept = most > 2 ? most - 2 : 0;   /* besides the end of a line, and what stands for those that are left out */
    for (size_t k = kept; k < n && r; k++)
        others += r[k].count;
    if (others > 0 && had >= 0) {     /* a text that has some already */
        size_t at = 0;
        while (at < kept && r[at].i != (size_t)had)
            at++;
        if (at < kept) {
            others += r[at].count;
            memmove(r + at, r + at + 1, (--kept - at) * sizeof *r);
        }
    }
    const bool ok = r && fill(counted, r, kept, others, always, v);
    free(r);
    if (ok)
        return SRU_OK;
    sru_words_close(v);
    return sru_fail(err, SRU_ENOMEM, "out of memory to rank %zu words", counted->n);
}
