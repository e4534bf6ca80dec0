/* Errors as values: see error.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/error.h"

/* A message stays on one line, whatever a file name in it holds. */
static void keep_to_a_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
}

static void vfail(struct sru_error *err, sru_status status, const char *fmt, va_list ap) SRU_PRINTF(3, 0);
static void vfail(struct sru_error *err, sru_status status, const char *fmt, va_list ap)
{
    err->status = status;
    vsnprintf(err->message, sizeof err->message, fmt, ap);
    keep_to_a_line(err->message);
}

sru_status sru_fail(struct sru_error *err, sru_status status, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        vfail(err, status, fmt, ap);
        va_end(ap);
    }
    return status;
}

sru_status sru_fail_errno(struct sru_error *err, sru_status status, int errnum, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        vfail(err, status, fmt, ap);
        va_end(ap);

        const size_t n = strlen(err->message);
        snprintf(err->message + n, sizeof err->message - n, ": %s", strerror(errnum));
    }
    return status;
}
