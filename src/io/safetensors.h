/* The safetensors format: a strict writer, a tolerant but safe reader. */
#ifndef SRU_IO_SAFETENSORS_H
#define SRU_IO_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>

#include "src/error.h"
#include "src/io/replace.h"

#define SRU_ST_MAX_HEADER ((uint64_t)16 << 20)  /* bytes of JSON the reader accepts */
#define SRU_ST_MAX_RANK 8

struct sru_st_entry {
    char    *name;
    char     dtype[12];              /* "F32", "I64", ... */
    size_t   rank, shape[SRU_ST_MAX_RANK];
    uint64_t begin, end;             /* byte range inside the data part */
};

/* An open file: every entry has been checked against the format and the file's size. */
struct sru_st_file {
    int      fd;
    char    *path;
    json_t  *metadata;               /* object of strings; empty when the file has none */
    struct sru_st_entry *entries;    /* sorted by name */
    size_t   n_entries;
    uint64_t data_start;             /* file offset of the data part */
};

/* Open and check.  @return SRU_OK; SRU_EIO; SRU_EFORMAT with the reason; SRU_ENOMEM.  Nothing to close on failure. */
sru_status sru_st_open(const char *path, struct sru_st_file *f, struct sru_error *err);
void sru_st_close(struct sru_st_file *f);

/* NULL when there is no such tensor. */
const struct sru_st_entry *sru_st_find(const struct sru_st_file *f, const char *name);

/* A metadata string, or NULL. */
const char *sru_st_metadata(const struct sru_st_file *f, const char *key);

/* A metadata string that holds JSON: *out is NULL where there is none.  SRU_EFORMAT: it is not valid. */
sru_status sru_st_metadata_json(const struct sru_st_file *f, const char *key, json_t **out, struct sru_error *err);

/* Read a whole tensor's bytes; `bytes` must equal end - begin. */
sru_status sru_st_read(const struct sru_st_file *f, const struct sru_st_entry *e, void *out, size_t bytes,
                       struct sru_error *err);

/* The entry of `name`, checked to have this dtype and shape. */
sru_status sru_st_require(const struct sru_st_file *f, const char *name, const char *dtype, size_t rank,
                          const size_t *shape, const struct sru_st_entry **out, struct sru_error *err);

/* The same, and read it. */
sru_status sru_st_read_as(const struct sru_st_file *f, const char *name, const char *dtype, size_t rank,
                          const size_t *shape, void *out, struct sru_error *err);

/* A tensor to write; data is little-endian, row-major, borrowed. */
struct sru_st_tensor {
    const char *name, *dtype;
    size_t rank, shape[SRU_ST_MAX_RANK];
    const void *data;                                /* or NULL: `write` writes all of its bytes with sru_replace_write */
    sru_status (*write)(void *context, struct sru_replace *r, struct sru_error *err);
    void *context;
};

/*
 * Write a file by atomic replacement (src/io/replace.h): entries by dtype width, then name;
 * metadata first and sorted; the header padded with spaces to a multiple of 8.
 * Equal contents give equal files.  @return SRU_OK; SRU_EIO (the old file is untouched); SRU_EINVAL; SRU_ENOMEM.
 */
sru_status sru_st_write(const char *path, json_t *metadata, const struct sru_st_tensor *tensors, size_t n,
                        struct sru_error *err);

#endif
