/* Texts, vocabularies, splits, streams. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/text/text.h"
#include "tests/support.h"

START_TEST(vocabulary)
{
    char first[] = "banana\xff", second[] = "cab\0";
    const struct sru_text texts[] = { { first, 7 }, { second, 4 } };
    const struct sru_vocab v = sru_vocab_of(texts, 2);
    struct sru_vocab again;
    struct sru_error err;
    int32_t ids[4];

    ck_assert_uint_eq(v.size, 6);
    ck_assert_mem_eq(v.symbols, "\0abcn\xff", 6);
    ck_assert(!sru_vocab_encode(&v, "nab", 0, 3, ids, "x", &err));
    ck_assert(ids[0] == 4 && ids[1] == 1 && ids[2] == 2);
    ck_assert_int_eq(sru_vocab_encode(&v, "banax", 2, 3, ids, "some.txt", &err), SRU_EFORMAT);
    ck_assert_str_eq(err.message, "some.txt: byte 4 is 'x', which is not in the model's vocabulary of 6");
    json_t *list = sru_vocab_to_json(&v);
    ck_assert(!sru_vocab_from_json(&again, list, &err));
    ck_assert_mem_eq(&again, &v, sizeof v);
    json_array_append_new(list, json_integer(255));
    ck_assert_int_eq(sru_vocab_from_json(&again, list, &err), SRU_EFORMAT);
    json_decref(list);
    ck_assert_int_eq(sru_vocab_from_json(&again, NULL, &err), SRU_EFORMAT);
}
END_TEST

START_TEST(splits)
{
    double p[3];
    struct sru_part part[3];
    const char *const bad[] = { "", "90", "90/", "90/5/5/0", "95/10", "-5/5", "0/5", "a/b", "90/5/5x", " 90/5", "nan/5" };
    char text[] = "0123456789abcdefghij";
    const struct sru_text t = { text, 20 };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!sru_split_parse(bad[i], p), "'%s' was taken", bad[i]);
    ck_assert(sru_split_parse("90/5/5", p));
    sru_split_text(&t, p, part);
    ck_assert(part[0].size == 18 && part[1].size == 1 && part[2].size == 1 && part[2].data[0] == 'j');
    ck_assert(sru_split_parse("90/10", p));
    sru_split_text(&t, p, part);
    ck_assert(part[0].size == 18 && part[1].size == 2 && part[2].size == 0);
    ck_assert(sru_split_parse("50/25", p));
    sru_split_text(&t, p, part);
    ck_assert(part[0].size == 10 && part[1].size == 5 && part[2].size == 0);
}
END_TEST

START_TEST(streams)
{
    char text[] = "abcdefghijk";
    const struct sru_text t = { text, 11 };
    const struct sru_vocab v = sru_vocab_of(&t, 1);
    const struct sru_part part = { t.data, t.size };
    struct sru_streams s;
    struct sru_error err;
    int32_t x[4], y[4];

    ck_assert(!sru_streams_open(&s, &v, part, 2, 2, &err));
    ck_assert(s.length == 5 && s.segments == 2);
    sru_streams_get(&s, 1, x, y);
    ck_assert(x[0] == 2 && x[1] == 3 && x[2] == 7 && x[3] == 8);
    ck_assert(y[0] == 3 && y[1] == 4 && y[2] == 8 && y[3] == 9);
    ck_assert_int_eq(sru_streams_open(&s, &v, part, 2, 6, &err), SRU_EFORMAT);
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

int main(void)
{
    Suite *s = suite_create("text");
    TCase *t = tcase_create("text");

    tcase_add_test(t, vocabulary);
    tcase_add_test(t, splits);
    tcase_add_test(t, streams);
    tcase_add_test(t, files);
    suite_add_tcase(s, t);
    return run_suite(s);
}
