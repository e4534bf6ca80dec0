check_PROGRAMS += tests/check_error
TESTS += $(check_PROGRAMS)
CHECK_LINK = libcore.la $(CHECK_LIBS)
tests_check_error_SOURCES = tests/check_error.c tests/support.h
tests_check_error_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_error_LDADD = $(CHECK_LINK)

EXTRA_DIST += tests/lsan.supp
