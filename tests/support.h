/* What every test program needs around libcheck. */
#ifndef SRU_TESTS_SUPPORT_H
#define SRU_TESTS_SUPPORT_H

#include <check.h>
#include <stdlib.h>

/* Run one suite; the exit code of the program. */
static inline int run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);

    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
