/* Atomic replacement of a file: write a new one beside it, fsync, rename, fsync the directory. */
#ifndef SRU_IO_REPLACE_H
#define SRU_IO_REPLACE_H

#include "src/error.h"

struct sru_replace {
    int   fd;
    char *path, *temp;
};

/* Create PATH.tmp-PID beside path; `size` bytes are reserved so that a full disk shows now (0: unknown). */
sru_status sru_replace_begin(struct sru_replace *r, const char *path, uint64_t size, struct sru_error *err);
/* Append; loops over short writes and EINTR. */
sru_status sru_replace_write(struct sru_replace *r, const void *data, size_t n, struct sru_error *err);
/* Make the new file permanent under its name. r is finished whatever the outcome; on failure the old file stands. */
sru_status sru_replace_commit(struct sru_replace *r, struct sru_error *err);
/* Remove the new file; the old one stands. */
void sru_replace_abort(struct sru_replace *r);

/* Remove what interrupted replacements of other, dead processes left in a directory. */
void sru_replace_sweep(const char *directory);

#endif
