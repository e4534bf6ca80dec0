/*
 * sru.h - public interface of libsru: SRU++ language models.
 *
 * The model is that of Tao Lei, "When Attention Meets Fast Recurrence:
 * Training Language Models with Reduced Compute" (EMNLP 2021).
 *
 * Conventions.  A function that can fail returns an sru_status and takes a last
 * argument `struct sru_error *err`, which may be NULL; when it is not, a failure
 * leaves a one-line message there (what, where, what to do).  The library never
 * prints and never exits.
 *
 * Copyright (c) 2026 the sru-lm authors.  MIT licence, see COPYING.
 */
#ifndef SRU_H
#define SRU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SRU_BUILD) && defined(__GNUC__)
# define SRU_API __attribute__((visibility("default")))
#else
# define SRU_API
#endif

typedef enum {
    SRU_OK = 0,
    SRU_EINVAL,   /* an argument is out of range or does not fit the model */
    SRU_ENOMEM,   /* memory could not be allocated */
    SRU_EIO,      /* a file could not be opened, read or written */
    SRU_EFORMAT,  /* a file is malformed, truncated or of an unsupported kind */
    SRU_EDEVICE,  /* the device failed or lacks what was asked for */
    SRU_EDIVERGED /* training produced numbers that are not finite */
} sru_status;

struct sru_error {
    sru_status status;
    char message[512];   /* one line, without newline */
};

/** @return the version of the library, such as "0.1.0"; static storage. */
SRU_API const char *sru_version(void);

#ifdef __cplusplus
}
#endif
#endif
