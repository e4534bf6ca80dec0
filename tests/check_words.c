/* Words of texts, vocabularies of them, and their numbers in a file. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/spool.h"
#include "src/text/words.h"
#include "tests/support.h"

/* The words of a text, each after a bar. */
static const char *words_of(const char *text, size_t size)
{
    static char all[256];
    struct sru_word_reader r = { .text = text, .size = size };
    struct sru_word word;
    size_t n = 0;

    while (sru_word_next(&r, &word)) {
        all[n++] = '|';
        memcpy(all + n, word.text, word.size);
        n += word.size;
    }
    all[n] = '\0';
    return all;
}
#define WORDS(text) words_of(text, sizeof text - 1)

START_TEST(words_are_pythons)
{
    ck_assert_str_eq(WORDS(""), "");
    ck_assert_str_eq(WORDS("a"), "|a|<eos>");
    ck_assert_str_eq(WORDS(" a  bc \t\r\nd\n"), "|a|bc|<eos>|d|<eos>");
    ck_assert_str_eq(WORDS("\n\n \nx"), "|<eos>|<eos>|<eos>|x|<eos>");
    ck_assert_str_eq(WORDS("x\n "), "|x|<eos>|<eos>");
    /* No-break, thin and ideographic spaces part words; other letters, and bytes that are no UTF-8, do not. */
    ck_assert_str_eq(WORDS("a\xc2\xa0" "b\xe2\x80\x89" "c\xe3\x80\x80" "d"), "|a|b|c|d|<eos>");
    ck_assert_str_eq(WORDS("\xc3\xa9t\xc3\xa9 \xe2\x80\xa6\xe2\x80"), "|\xc3\xa9t\xc3\xa9|\xe2\x80\xa6\xe2\x80|<eos>");
    ck_assert_str_eq(WORDS("a\xc2"), "|a\xc2|<eos>");
}
END_TEST

/* What a text is made of here, and what of it is white space. */
static const struct { const char *text; bool white; } pieces[] = {
    { " ", true }, { "\n", true }, { "\n\n", true }, { "\t", true }, { "\xc2\xa0", true }, { "\xe2\x80\x89", true }, { "\xe3\x80\x80", true },
    { "\x1f", true }, { "a", false }, { "word", false }, { "\xe2\x80\x99", false }, { "\xc2", false }, { "\xe2\x80", false }, { "\x7f", false },
    { "longer-than-eight", false }, { "A", false }, { "\x1b", false }, { "!", false },
};

/* The words of a text of n pieces, from where to where, and NULL for the end of a line. */
static size_t naive_words(const int *which, size_t n, const char *text, const char *(*words)[2])
{
    size_t found = 0, at = 0;
    bool inside = false, line = false;

    for (size_t k = 0; k < n; k++) {
        const char *piece = pieces[which[k]].text, *from = text + at;

        at += strlen(piece);
        line = true;
        if (!pieces[which[k]].white) {
            if (!inside)
                words[found++][0] = from;
            words[found - 1][1] = text + at;
            inside = true;
            continue;
        }
        inside = false;
        for (const char *p = piece; *p == '\n'; p++) {
            words[found++][0] = NULL;
            line = false;
        }
    }
    if (line)
        words[found++][0] = NULL;
    return found;
}

/* Pieces one after another, so that each stands at every place of a block of 64 bytes, and texts end there. */
START_TEST(words_in_blocks)
{
    enum { MOST = 300, PIECES = sizeof pieces / sizeof *pieces };
    static char text[MOST * 20];
    static const char *expected[2 * MOST + 1][2];
    uint32_t random = 1;

    for (int round = 0; round < 3000; round++) {
        const size_t n = (size_t)round % MOST;
        int which[MOST];
        size_t size = 0, count = 0;
        struct sru_word word;

        for (size_t k = 0; k < n; k++) {
            random = random * 1664525u + 1013904223u;
            which[k] = (int)((random >> 16) % PIECES);
            /* Bytes that are no character would join what follows into one that is. */
            if (k > 0 && strchr("\xc2\xe2", pieces[which[k - 1]].text[0]) && !pieces[which[k - 1]].white && pieces[which[k]].white)
                which[k] = 0;
            strcpy(text + size, pieces[which[k]].text);
            size += strlen(pieces[which[k]].text);
        }
        const size_t words = naive_words(which, n, text, expected);
        char *exact = malloc(size + 1);   /* for what checks memory */
        memcpy(exact, text, size);
        struct sru_word_reader r = { .text = exact, .size = size };

        for (; sru_word_next(&r, &word); count++) {
            ck_assert(count < words);
            if (!expected[count][0]) {
                ck_assert(sru_word_is_end(word));
                continue;
            }
            ck_assert(word.text - exact == expected[count][0] - text && word.text + word.size - exact == expected[count][1] - text);
            const struct sru_word again = sru_word_of(word.text, word.size);
            ck_assert(again.first == word.first && again.last == word.last);
        }
        ck_assert_uint_eq(count, words);
        ck_assert(!sru_word_next(&r, &word));
        free(exact);
    }
}
END_TEST

/* A vocabulary's words, each with its count. */
static const char *rank(const char *text, bool lower, uint64_t min_count, size_t most, bool always)
{
    static char all[256];
    struct sru_words counted = { .lower = lower }, v;
    size_t n = 0;

    ck_assert(!sru_words_count_text(&counted, text, strlen(text), NULL) && !sru_words_rank(&counted, min_count, most, always, &v, NULL));
    all[0] = '\0';
    for (size_t i = 0; i < v.n; i++)
        n += (size_t)sprintf(all + n, "%s %d,", v.text + v.at[i], (int)v.count[i]);
    for (size_t i = 0; i < v.n; i++)
        ck_assert_int_eq(sru_words_find(&v, sru_words_get(&v, i)), (int)i);
    ck_assert_int_eq(sru_words_find(&v, sru_word_of("nowhere", 7)), -1);
    sru_words_close(&v), sru_words_close(&counted);
    return all;
}

static const char *ranked(const char *text, bool lower, uint64_t min_count, size_t most)
{
    return rank(text, lower, min_count, most, false);
}

START_TEST(words_by_frequency)
{
    const char text[] = "b a c a\nB d c a\n";

    ck_assert_str_eq(ranked(text, false, 0, 0), "<eos> 2,a 3,c 2,b 1,B 1,d 1,");
    ck_assert_str_eq(ranked(text, true, 0, 0), "<eos> 2,a 3,b 2,c 2,d 1,");
    ck_assert_str_eq(ranked(text, false, 2, 0), "<eos> 2,a 3,<unk> 3,c 2,");
    ck_assert_str_eq(ranked(text, false, 0, 4), "<eos> 2,a 3,<unk> 3,c 2,");
    ck_assert_str_eq(ranked(text, false, 0, 6), "<eos> 2,a 3,c 2,b 1,B 1,d 1,");
    ck_assert_str_eq(ranked(text, false, 0, 5), "<eos> 2,a 3,c 2,<unk> 2,b 1,");
    ck_assert_str_eq(ranked("<unk> a <unk> b a a <unk> <unk>", false, 2, 0), "<eos> 1,<unk> 5,a 3,");
    ck_assert_str_eq(ranked("", false, 0, 0), "<eos> 0,");
    /* With <unk> whatever the text has, which is one of those that there may be. */
    ck_assert_str_eq(rank(text, false, 0, 0, true), "<eos> 2,a 3,c 2,b 1,B 1,d 1,<unk> 0,");
    ck_assert_str_eq(rank(text, false, 0, 7, true), "<eos> 2,a 3,c 2,b 1,B 1,d 1,<unk> 0,");
    ck_assert_str_eq(rank(text, false, 0, 6, true), "<eos> 2,a 3,c 2,b 1,B 1,<unk> 1,");
    ck_assert_str_eq(rank("<unk> a b", false, 0, 4, true), "<eos> 1,<unk> 1,a 1,b 1,");
}
END_TEST

/* Many words, so that the table grows many times. */
START_TEST(many_words)
{
    struct sru_words w = { 0 };
    char word[16];

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 50000; i++) {
            const size_t size = (size_t)sprintf(word, "%d", i * 7);
            ck_assert_int_eq(sru_words_count(&w, sru_word_of(word, size), 1), i);
        }
    ck_assert(w.n == 50000 && w.count[123] == 2 && strcmp(w.text + w.at[49999], "349993") == 0);
    sru_words_close(&w);
}
END_TEST

/* Every byte as the fourth, and as the twelfth, of a word: A to Z and no other is lowered. */
START_TEST(lowered)
{
    struct sru_words w = { .lower = true };
    char word[12] = "xyzwXYZWabcd";

    for (int byte = 1; byte < 256; byte++)
        for (size_t at = 3; at < 12; at += 8) {
            memcpy(word, "xyzwxyzwabcd", 12);
            word[at] = (char)byte;
            const int32_t i = sru_words_count(&w, sru_word_of(word, 12), 1);
            ck_assert_int_eq(w.text[w.at[i] + at], (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte));
            memcpy(word, "XyZWxYzwaBC", 11);
            word[at] = (char)byte;
            word[11] = at == 11 ? (char)byte : 'D';
            ck_assert_int_eq(sru_words_find(&w, sru_word_of(word, 12)), i);
            ck_assert_int_eq(sru_words_find(&w, sru_word_of(word, 11)), -1);
        }
    sru_words_close(&w);
}
END_TEST

/* ---- Numbers that wait ------------------------------------------------------------------------------ */

/* Numbers of every length, more than a buffer has room for; from the beginning, and from a place between. */
START_TEST(spooled)
{
    enum { N = 700000, AT = 123457 };
    uint32_t *numbers = malloc(N * sizeof *numbers), *again = malloc(N * sizeof *again), x = 1;
    struct sru_spool s = { .fd = -1 };
    struct sru_error err;
    uint64_t place = 0;

    for (size_t i = 0; i < N; i++) {
        x = x * 1664525u + 1013904223u;
        numbers[i] = i < 2 ? (i == 0 ? 0 : SRU_SPOOL_LARGEST) : (x >> 2) >> (x >> 8) % 30;
    }
    ck_assert(!sru_spool_open(&s, "/tmp", &err));
    ck_assert(!sru_spool_put(&s, numbers, AT, &err));
    place = s.put;
    for (size_t i = AT, n = 1; i < N; i += n, n = sru_min(N - i, 3 * n + 1))
        ck_assert(!sru_spool_put(&s, numbers + i, n, &err));
    for (int round = 0; round < 2; round++) {
        ck_assert(!sru_spool_seek(&s, 0, &err));
        for (size_t i = 0, n = 1; i < N; i += n, n = sru_min(N - i, 2 * n + 1))
            ck_assert(!sru_spool_take(&s, again + i, n, &err));
        ck_assert_mem_eq(again, numbers, N * sizeof *again);
        ck_assert_int_eq(sru_spool_take(&s, again, 1, &err), SRU_EIO);
        ck_assert(!sru_spool_seek(&s, place, &err) && !sru_spool_seek(&s, place, &err) && !sru_spool_take(&s, again, N - AT, &err));
        ck_assert_mem_eq(again, numbers + AT, (N - AT) * sizeof *again);
    }
    sru_spool_close(&s);
    ck_assert_int_eq(sru_spool_open(&s, "/nowhere", &err), SRU_EIO);
    sru_spool_close(&s);
    free(numbers);
    free(again);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("words");
    TCase *t = tcase_create("words");

    tcase_add_test(t, words_are_pythons);
    tcase_add_test(t, words_in_blocks);
    tcase_add_test(t, words_by_frequency);
    tcase_add_test(t, many_words);
    tcase_add_test(t, lowered);
    tcase_add_test(t, spooled);
    suite_add_tcase(s, t);
    return run_suite(s);
}
