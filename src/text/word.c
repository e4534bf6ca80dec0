/*
 * Words of a text: see word.h.  A block of 64 bytes becomes masks, a bit a byte; where words begin and end follows from these without
 * a branch for each, since nobody foresees how long a word is.
 */
#include "config.h"

#include <string.h>

#include "src/size.h"
#include "src/text/word.h"

#define ONES 0x0101010101010101u
#define HIGH (0x80 * ONES)

/* ---- A word -------------------------------------------------------------------------------- */

/* 8 bytes, the first as the lowest. */
static uint64_t eight(const char *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

uint64_t sru_word_load(const char *p, size_t n)
{
    uint64_t x = 0;

    if (n >= 8)
        return eight(p);
    for (size_t i = n; i-- > 0;)
        x = x << 8 | (unsigned char)p[i];
    return x;
}

struct sru_word sru_word_of(const char *text, size_t size)
{
    return (struct sru_word){ text, size, sru_word_load(text, size), size > 8 ? eight(text + size - 8) : 0, 0 };
}

struct sru_word sru_word_end(void)
{
    return sru_word_of(SRU_EOS, sizeof SRU_EOS - 1);
}

bool sru_word_is_end(struct sru_word word)
{
    return word.size == sizeof SRU_EOS - 1 && memcmp(word.text, SRU_EOS, word.size) == 0;
}

/* The same where a text has more bytes after the word: without a branch. */
static struct sru_word word_within(const char *text, size_t size, size_t room)
{
    if (room < 8)
        return sru_word_of(text, size);
    const bool longer = size > 8;
    const uint64_t first = eight(text), last = eight(text + (longer ? size - 8 : 0));

    return (struct sru_word){ text, size, first & UINT64_MAX >> 8 * (8 - sru_min(size, 8)), longer ? last : 0, 0 };
}

/* ---- Blocks to masks -------------------------------------------------------------------------- */

/* Bytes of the white space beyond ASCII that a text of n bytes begins with: one character of it, or 0. */
static size_t wide_space(const unsigned char *s, size_t n)
{
    if (s[0] == 0xc2)
        return n >= 2 && (s[1] == 0x85 || s[1] == 0xa0) ? 2 : 0;
    if (n < 3 || s[0] < 0xe1 || s[0] > 0xe3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
        return 0;
    const unsigned code = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);
    return code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f
        || code == 0x3000 ? 3 : 0;
}

/* The high bit of every byte whose low seven bits are at least `least`: of sums that do not reach the next byte. */
static uint64_t at_least(uint64_t low, unsigned least)
{
    return low + (0x80 - least) * ONES;
}

/* The high bits of 8 bytes, side by side. */
static uint64_t gathered(uint64_t x)
{
    return ((x & HIGH) >> 7) * 0x0102040810204080u >> 56;
}

struct masks {
    uint64_t white, line, beyond;   /* white space of ASCII; '\n'; bytes beyond ASCII */
};

static struct masks masks_of(const char *block)
{
    struct masks m = { 0, 0, 0 };

    for (size_t i = 0; i < SRU_WORD_BLOCK; i += 8) {
        const uint64_t x = eight(block + i), low = x & ~HIGH;
        /* '\t' to '\r', and 0x1c to ' '. */
        const uint64_t white = (at_least(low, '\t') & ~at_least(low, '\r' + 1)) | (at_least(low, 0x1c) & ~at_least(low, ' ' + 1));
        const uint64_t line = at_least(low, '\n') & ~at_least(low, '\n' + 1);

        m.white |= gathered(white & ~x) << i;
        m.line |= gathered(line & ~x) << i;
        m.beyond |= gathered(x) << i;
    }
    return m;
}

/* White space beyond ASCII joins the mask; what of it the next block has is to be skipped there. */
static uint64_t with_wide(struct sru_word_reader *r, struct masks m, size_t n)
{
    uint64_t white = m.white | (((uint64_t)1 << r->skip) - 1);

    r->skip = 0;
    for (uint64_t left = m.beyond; left; left &= left - 1) {
        const unsigned i = (unsigned)__builtin_ctzll(left);
        const size_t bytes = i < n ? wide_space((const unsigned char *)r->text + r->at + i, r->size - r->at - i) : 0;

        white |= (((uint64_t)1 << bytes) - 1) << i;
        if (i + bytes > SRU_WORD_BLOCK)
            r->skip = (unsigned)(i + bytes - SRU_WORD_BLOCK);
    }
    return white;
}

/* The positions of a mask's bits. */
static unsigned positions(uint64_t mask, size_t at, size_t *to, unsigned n)
{
    for (; mask; mask &= mask - 1)
        to[n++] = at + (unsigned)__builtin_ctzll(mask);
    return n;
}

/* The next block's words and ends of lines; behind the text is white space. */
static void read_block(struct sru_word_reader *r)
{
    const size_t n = sru_min(r->size - r->at, SRU_WORD_BLOCK);
    char rest[SRU_WORD_BLOCK];

    if (n < SRU_WORD_BLOCK) {
        memset(rest, ' ', sizeof rest);
        if (n > 0)
            memcpy(rest, r->text + r->at, n);
    }
    const struct masks m = masks_of(n < SRU_WORD_BLOCK ? rest : r->text + r->at);
    const uint64_t white = m.beyond || r->skip ? with_wide(r, m, n) : m.white, before = ~white << 1 | r->in_word;

    r->from[0] = r->from[r->n_to];   /* the word that has no end yet, if there is one */
    r->n_from = positions((~white & ~before) | m.line, r->at, r->from, r->n_from - r->n_to);
    r->n_to = positions((white & before) | m.line << 1 | r->after_line, r->at, r->to, 0);
    r->next = 0;
    r->in_word = !(white >> (SRU_WORD_BLOCK - 1));
    r->after_line = m.line >> (SRU_WORD_BLOCK - 1);
    r->read = n < SRU_WORD_BLOCK;
    r->at += n;
}

bool sru_word_next(struct sru_word_reader *r, struct sru_word *word)
{
    while (r->next == r->n_to) {
        if (r->read) {   /* the last line ends, where nothing ended it */
            const bool last = !r->done && r->size > 0 && r->text[r->size - 1] != '\n';

            r->done = true;
            *word = sru_word_end();
            return last;
        }
        read_block(r);
    }
    const size_t from = r->from[r->next], to = r->to[r->next];

    r->next++;
    *word = r->text[from] == '\n' ? sru_word_end() : word_within(r->text + from, to - from, r->size - from);
    return true;
}
