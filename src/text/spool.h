/* Numbers that wait in a file without a name, from one pass over texts to the next. */
#ifndef SRU_TEXT_SPOOL_H
#define SRU_TEXT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/error.h"

#define SRU_SPOOL_LARGEST ((1u << 30) - 1)

/* Zero, but for fd -1, before it is opened. */
struct sru_spool {
    int fd;
    const char *directory;      /* borrowed: for messages */
    uint64_t put;               /* bytes so far: a place for sru_spool_seek */
    unsigned char *buffer;
    size_t n, at;               /* bytes in it, and of these taken */
    bool taken;                 /* it holds what was read */
};

/* In a directory; the file is gone with the process. */
sru_status sru_spool_open(struct sru_spool *s, const char *directory, struct sru_error *err);
void sru_spool_close(struct sru_spool *s);
/* n numbers up to SRU_SPOOL_LARGEST, of one to four bytes each, after those that are there. */
sru_status sru_spool_put(struct sru_spool *s, const uint32_t *numbers, size_t n, struct sru_error *err);
/* From a place that `put` was on, what all puts wrote is taken; no more is put then. */
sru_status sru_spool_seek(struct sru_spool *s, uint64_t place, struct sru_error *err);
/* The next n, which must be there. */
sru_status sru_spool_take(struct sru_spool *s, uint32_t *numbers, size_t n, struct sru_error *err);

#endif
