/* Prepared corpora, to read: see prepared.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "src/io/path.h"
#include "src/text/prepared.h"

const char *const sru_part_names[SRU_PARTS] = { "train", "valid", "test" };

/* The file that a path stands for, to be freed; NULL without memory. */
static char *file_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? sru_path_join(path, SRU_PREPARED_NAME) : strdup(path);
}

bool sru_is_prepared(const char *path)
{
    static const char ending[] = ".safetensors";
    const size_t n = sizeof ending - 1;
    struct stat st;
    char *name = file_of(path);
    const bool is = name && strlen(name) > n && strcmp(name + strlen(name) - n, ending) == 0 && (strcmp(name, path) == 0 || stat(name, &st) == 0);

    free(name);
    return is;
}

static sru_status map_file(struct sru_corpus *c, struct sru_error *err)
{
    struct stat st;

    if (fstat(c->file.fd, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot examine %s", c->file.path);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, c->file.fd, 0);
    if (map == MAP_FAILED)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot map %s into memory", c->file.path);
    c->map = map;
    c->map_size = (size_t)st.st_size;
    return SRU_OK;
}

static sru_status read_part(struct sru_corpus *c, size_t i, json_t *bytes, struct sru_error *err)
{
    const struct sru_st_entry *e = sru_st_find(&c->file, sru_part_names[i]);
    const json_t *text = json_array_get(bytes, i);

    if (!e && i == SRU_TEST)
        return SRU_OK;
    const unsigned width = !e ? 0 : strcmp(e->dtype, "U16") == 0 ? 2 : strcmp(e->dtype, "U32") == 0 ? 4 : 0;
    if (width == 0 || e->rank != 1 || (c->file.data_start + e->begin) % width != 0)
        return sru_fail(err, SRU_EFORMAT, "%s has no tensor '%s' of words as corpora have them", c->file.path, sru_part_names[i]);
    if (!json_is_integer(text) || json_integer_value(text) < 0)
        return sru_fail(err, SRU_EFORMAT, "%s: its metadata's 'bytes' are broken", c->file.path);
    c->part[i] = (struct sru_part){ .data = (const char *)c->map + c->file.data_start + e->begin, .size = e->shape[0], .width = width,
                                    .bytes = (uint64_t)json_integer_value(text) };
    return SRU_OK;
}

/* Where sentences begin: streams check each that they read, since a run need not read all of millions at its start. */
static sru_status read_lines(struct sru_corpus *c, struct sru_error *err)
{
    const struct sru_st_entry *e = sru_st_find(&c->file, SRU_LINES_NAME);
    struct sru_part *train = &c->part[SRU_TRAIN];

    if (!e)
        return SRU_OK;
    const uint64_t *lines = (const uint64_t *)(const void *)((const char *)c->map + c->file.data_start + e->begin);
    if (strcmp(e->dtype, "U64") != 0 || e->rank != 1 || (c->file.data_start + e->begin) % 8 != 0 || e->shape[0] < 2)
        return sru_fail(err, SRU_EFORMAT, "%s has no tensor '" SRU_LINES_NAME "' as corpora have it", c->file.path);
    train->n_lines = e->shape[0] - 1;
    train->lines = lines;
    return SRU_OK;
}

static sru_status read_metadata(struct sru_corpus *c, json_t **bytes, struct sru_error *err)
{
    const char *format = sru_st_metadata(&c->file, "format"), *fingerprint = sru_st_metadata(&c->file, "fingerprint");
    struct sru_error inner;
    json_t *vocab = NULL;
    char *end;

    if (!format || strcmp(format, SRU_PREPARED_FORMAT) != 0)
        return sru_fail(err, SRU_EFORMAT, "%s is not a corpus that 'sru-lm prepare' made", c->file.path);
    c->fingerprint = fingerprint ? strtoull(fingerprint, &end, 16) : 0;
    if (!fingerprint || *end || end != fingerprint + 16)
        return sru_fail(err, SRU_EFORMAT, "%s: its fingerprint is missing or broken", c->file.path);
    sru_status status = sru_st_metadata_json(&c->file, "vocab", &vocab, err);
    if (!status && sru_vocab_from_json(&c->vocab, vocab, &inner))
        status = sru_fail(err, inner.status, "%s: %s", c->file.path, inner.message);
    json_decref(vocab);
    return status ? status : sru_st_metadata_json(&c->file, "bytes", bytes, err);
}

sru_status sru_prepared_open(struct sru_corpus *c, const struct sru_sources *from, struct sru_error *err)
{
    json_t *bytes = NULL;

    if (from->path[SRU_VALID] || from->path[SRU_TEST])
        return sru_fail(err, SRU_EINVAL, "%s has its own valid part: --valid and --test go with texts", from->path[SRU_TRAIN]);
    char *name = file_of(from->path[SRU_TRAIN]);
    sru_status status = name ? sru_st_open(name, &c->file, err) : sru_fail(err, SRU_ENOMEM, "out of memory");
    free(name);
    if (!status)
        status = read_metadata(c, &bytes, err);
    if (!status && c->vocab.unit != SRU_WORDS)
        status = sru_fail(err, SRU_EFORMAT, "%s: its vocabulary is not one of words", c->file.path);
    if (!status)
        status = map_file(c, err);
    for (size_t i = 0; i < SRU_PARTS && !status; i++)
        status = read_part(c, i, bytes, err);
    if (!status)
        status = read_lines(c, err);
    json_decref(bytes);
    return status;
}

void sru_prepared_close(struct sru_corpus *c)
{
    if (c->map)
        munmap(c->map, c->map_size);
    if (c->file.path)
        sru_st_close(&c->file);
}
