/* Texts: a file in memory. */
#ifndef SRU_TEXT_TEXT_H
#define SRU_TEXT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "src/error.h"

/* A text in memory. */
struct sru_text {
    char  *data;
    size_t size;
};

/* Read a file, or standard input for "-".  SRU_EIO where it cannot be read, is a directory or is empty. */
sru_status sru_text_open(struct sru_text *t, const char *path, struct sru_error *err);
void sru_text_close(struct sru_text *t);

/* 64-bit fingerprint (FNV-1a over the bytes), to tell whether a text has changed. */
uint64_t sru_text_fingerprint(const char *data, size_t n);

#endif
