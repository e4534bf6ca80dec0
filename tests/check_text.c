/* Texts, vocabularies, splits, streams. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/text/corpus.h"
#include "tests/support.h"

START_TEST(vocabulary)
{
    static const char text[] = "banana\xff" "cab";   /* and the 0 after it */
    struct sru_vocab v = vocab_of(text, sizeof text), again;
    struct sru_part part;
    struct sru_error err;
    int32_t ids[4];

    ck_assert_uint_eq(v.size, 6);
    ck_assert_mem_eq(v.symbols, "\0abcn\xff", 6);
    ck_assert(!sru_part_of(&part, &v, "nabax", 5, "x", &err) && !sru_part_get(&part, &v, 0, 3, ids, "x", &err));
    ck_assert(ids[0] == 4 && ids[1] == 1 && ids[2] == 2);
    ck_assert_int_eq(sru_part_get(&part, &v, 2, 3, ids, "some.txt", &err), SRU_EFORMAT);
    ck_assert_str_eq(err.message, "some.txt: byte 4 is 'x', which is not in the model's vocabulary of 6");
    json_t *list = sru_vocab_to_json(&v);
    ck_assert(!sru_vocab_from_json(&again, list, &err));
    ck_assert_mem_eq(&again, &v, sizeof v);
    ck_assert(sru_vocab_same(&again, &v) && strcmp(sru_unit_name(v.unit), "byte") == 0);
    json_array_append_new(list, json_integer(255));
    ck_assert_int_eq(sru_vocab_from_json(&again, list, &err), SRU_EFORMAT);
    json_decref(list);
    ck_assert_int_eq(sru_vocab_from_json(&again, NULL, &err), SRU_EFORMAT);
}
END_TEST

START_TEST(splits)
{
    double p[3];
    size_t end[3];
    const char *const bad[] = { "", "90", "90/", "90/5/5/0", "95/10", "-5/5", "0/5", "a/b", "90/5/5x", " 90/5", "nan/5" };
    char text[] = "0123456789abcdefghij";
    const struct sru_text t = { text, 20 };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!sru_split_parse(bad[i], p), "'%s' was taken", bad[i]);
    ck_assert(sru_split_parse("90/5/5", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 18 && end[1] == 19 && end[2] == 20);
    ck_assert(sru_split_parse("90/10", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 18 && end[1] == 20 && end[2] == 20);
    ck_assert(sru_split_parse("50/25", p));
    sru_split_text(&t, p, false, end);
    ck_assert(end[0] == 10 && end[1] == 15 && end[2] == 15);
    /* At lines' beginnings: the middle and three quarters are in the second and the third. */
    char lines[] = "0123\n56789abc\nefghi\n";
    const struct sru_text l = { lines, 20 };
    sru_split_text(&l, p, true, end);
    ck_assert(end[0] == 14 && end[1] == 20 && end[2] == 20);
    ck_assert(sru_split_parse("25/50", p));
    sru_split_text(&l, p, true, end);
    ck_assert(end[0] == 5 && end[1] == 20);
}
END_TEST

START_TEST(streams)
{
    static const char text[] = "abcdefghijk";
    const struct sru_vocab v = vocab_of(text, 11);
    const struct sru_part part = { .data = text, .size = 11, .width = 1 };
    struct sru_streams s;
    struct sru_error err;
    int32_t x[4], y[4];

    ck_assert(!sru_streams_open(&s, &v, &part, 2, 2, &err));
    ck_assert(s.length == 5 && s.segments == 2);
    ck_assert(!sru_streams_get(&s, 1, x, y, &err));
    ck_assert(x[0] == 2 && x[1] == 3 && x[2] == 7 && x[3] == 8);
    ck_assert(y[0] == 3 && y[1] == 4 && y[2] == 8 && y[3] == 9);
    ck_assert_int_eq(sru_streams_open(&s, &v, &part, 2, 6, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "11 bytes"));
}
END_TEST

START_TEST(files)
{
    struct sru_text t;
    struct sru_error err;
    char path[] = "/tmp/check_text.XXXXXX";
    const int fd = mkstemp(path);

    ck_assert_int_eq(sru_text_open(&t, "/nowhere", &err), SRU_EIO);
    ck_assert_int_eq(sru_text_open(&t, "/tmp", &err), SRU_EIO);
    ck_assert_int_eq(sru_text_open(&t, path, &err), SRU_EIO);
    ck_assert_ptr_nonnull(strstr(err.message, "is empty"));
    ck_assert_int_eq((int)write(fd, "abc", 3), 3);
    ck_assert(!sru_text_open(&t, path, &err));
    ck_assert(t.size == 3 && memcmp(t.data, "abc", 3) == 0);
    ck_assert(sru_text_fingerprint(t.data, 3) == 0xe71fa2190541574bu);   /* FNV-1a's published value */
    sru_text_close(&t);
    close(fd);
    unlink(path);
}
END_TEST

/* ---- Words ------------------------------------------------------------------------------------------ */

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

/* A vocabulary's words, each with its count. */
static const char *ranked(const char *text, bool lower, uint64_t min_count, size_t most)
{
    static char all[256];
    struct sru_words counted = { .lower = lower }, v;
    size_t n = 0;

    ck_assert(!sru_words_count_text(&counted, text, strlen(text), NULL) && !sru_words_rank(&counted, min_count, most, &v, NULL));
    all[0] = '\0';
    for (size_t i = 0; i < v.n; i++)
        n += (size_t)sprintf(all + n, "%s %d,", v.text + v.at[i], (int)v.count[i]);
    for (size_t i = 0; i < v.n; i++)
        ck_assert_int_eq(sru_words_find(&v, (struct sru_word){ v.text + v.at[i], v.at[i + 1] - v.at[i] - 1 }), (int)i);
    ck_assert_int_eq(sru_words_find(&v, (struct sru_word){ "nowhere", 7 }), -1);
    sru_words_close(&v), sru_words_close(&counted);
    return all;
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
            ck_assert_int_eq(sru_words_count(&w, (struct sru_word){ word, size }, 1), i);
        }
    ck_assert(w.n == 50000 && w.count[123] == 2 && strcmp(w.text + w.at[49999], "349993") == 0);
    sru_words_close(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("text");
    TCase *t = tcase_create("text");

    tcase_add_test(t, vocabulary);
    tcase_add_test(t, splits);
    tcase_add_test(t, streams);
    tcase_add_test(t, files);
    tcase_add_test(t, words_are_pythons);
    tcase_add_test(t, words_by_frequency);
    tcase_add_test(t, many_words);
    suite_add_tcase(s, t);
    return run_suite(s);
}
