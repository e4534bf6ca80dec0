/* Errors as values: a status and a one-line message that travel up to the caller. */
#ifndef SRU_ERROR_H
#define SRU_ERROR_H

#include "src/sru.h"

#ifdef __GNUC__
# define SRU_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
# define SRU_MUST_USE __attribute__((warn_unused_result))
#else
# define SRU_PRINTF(fmt, args)
# define SRU_MUST_USE
#endif

/* Put status and message into *err (NULL is allowed); return the status. */
sru_status sru_fail(struct sru_error *err, sru_status status, const char *fmt, ...) SRU_PRINTF(3, 4);

/* The same, with ": " and strerror(errnum) appended. */
sru_status sru_fail_errno(struct sru_error *err, sru_status status, int errnum, const char *fmt, ...)
    SRU_PRINTF(4, 5);

#endif
