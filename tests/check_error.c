/* Errors as values. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "src/error.h"
#include "tests/support.h"

START_TEST(message_and_status)
{
    struct sru_error err;

    ck_assert_int_eq(sru_fail(&err, SRU_EFORMAT, "%s: bad", "x"), SRU_EFORMAT);
    ck_assert_int_eq(err.status, SRU_EFORMAT);
    ck_assert_str_eq(err.message, "x: bad");
    ck_assert_int_eq(sru_fail(NULL, SRU_EIO, "nobody listens"), SRU_EIO);
}
END_TEST

START_TEST(one_line_whatever_the_name)
{
    struct sru_error err;

    sru_fail(&err, SRU_EIO, "cannot open %s", "a\nb\x7f\x1b[2J");
    ck_assert_str_eq(err.message, "cannot open a?b??[2J");
}
END_TEST

START_TEST(long_text_is_cut)
{
    struct sru_error err;
    char text[2000];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sru_fail_errno(&err, SRU_EIO, ENOENT, "%s", text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
    sru_fail_errno(&err, SRU_EIO, ENOENT, "cannot open x");
    ck_assert_str_eq(err.message, "cannot open x: No such file or directory");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("error");
    TCase *t = tcase_create("error");

    tcase_add_test(t, message_and_status);
    tcase_add_test(t, one_line_whatever_the_name);
    tcase_add_test(t, long_text_is_cut);
    suite_add_tcase(s, t);
    return run_suite(s);
}
