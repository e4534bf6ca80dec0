/* Reading safetensors files.  Nothing of a file is believed before it has been checked. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/dtype.h"
#include "src/io/safetensors.h"
#include "src/size.h"

#define DEEPEST 4   /* a header nests three levels: header, tensor, shape */

/* ---- Bytes -------------------------------------------------------------------------- */

/* n bytes at `offset`; loops over short reads and EINTR. */
static sru_status read_at(const struct sru_st_file *f, void *out, size_t n, uint64_t offset,
                          struct sru_error *err)
{
    char *at = out;

    while (n > 0) {
        /* One call reads at most 2 GiB on Linux and may fail for more elsewhere. */
        const ssize_t got = pread(f->fd, at, sru_min(n, (size_t)1 << 30), (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sru_fail_errno(err, SRU_EIO, errno, "cannot read %s", f->path);
        if (got == 0)
            return sru_fail(err, SRU_EFORMAT, "%s became shorter while it was read", f->path);
        at += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return SRU_OK;
}

static sru_status open_regular(struct sru_st_file *f, uint64_t *size, struct sru_error *err)
{
    struct stat st;

    /* Not to block on a FIFO; without effect on regular files. */
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        return sru_fail_errno(err, SRU_EIO, errno, "cannot open %s", f->path);
    if (fstat(f->fd, &st))
        return sru_fail_errno(err, SRU_EIO, errno, "cannot examine %s", f->path);
    if (S_ISDIR(st.st_mode))
        return sru_fail(err, SRU_EIO, "%s is a directory: a model file is needed, such as its best.safetensors",
                        f->path);
    if (!S_ISREG(st.st_mode))
        return sru_fail(err, SRU_EIO, "%s is not a regular file", f->path);
    *size = (uint64_t)st.st_size;
    return SRU_OK;
}

/* ---- Header ------------------------------------------------------------------------- */

/* jansson recurses, and allows 2048 levels; a header needs three. */
static bool too_deep(const char *text, size_t n)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        const char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth >= DEEPEST)
            return true;
    }
    return false;
}

static sru_status parse_header(const struct sru_st_file *f, const char *text, size_t n, json_t **out,
                               struct sru_error *err)
{
    json_error_t where;

    if (too_deep(text, n))
        return sru_fail(err, SRU_EFORMAT, "%s: its header nests deeper than the format allows", f->path);
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (!*out)
        return sru_fail(err, json_error_code(&where) == json_error_out_of_memory ? SRU_ENOMEM : SRU_EFORMAT,
                        "%s: its header is not valid JSON: %s (byte %d)", f->path, where.text, where.position);
    if (!json_is_object(*out))   /* the caller's to free, in any case */
        return sru_fail(err, SRU_EFORMAT, "%s: its header is not a JSON object", f->path);
    return SRU_OK;
}

static sru_status read_header(struct sru_st_file *f, uint64_t size, json_t **out, struct sru_error *err)
{
    unsigned char prefix[8];
    uint64_t n = 0;
    char *text;
    sru_status status;

    if (size < sizeof prefix)
        return sru_fail(err, SRU_EFORMAT, "%s is not a safetensors file: it has only %llu bytes", f->path,
                        (unsigned long long)size);
    if ((status = read_at(f, prefix, sizeof prefix, 0, err)))
        return status;
    for (unsigned i = 0; i < 8; i++)
        n |= (uint64_t)prefix[i] << (8 * i);
    if (n > size - sizeof prefix)
        return sru_fail(err, SRU_EFORMAT, "%s is not a safetensors file, or is cut short: its header would "
                        "have %llu bytes, the file has %llu", f->path, (unsigned long long)n,
                        (unsigned long long)size);
    if (n > SRU_ST_MAX_HEADER)
        return sru_fail(err, SRU_EFORMAT, "%s: its header of %llu bytes is larger than the %llu that are read",
                        f->path, (unsigned long long)n, (unsigned long long)SRU_ST_MAX_HEADER);
    text = malloc((size_t)n + 1);
    if (!text)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the header of %s", f->path);
    status = read_at(f, text, (size_t)n, sizeof prefix, err);
    if (!status)
        status = parse_header(f, text, (size_t)n, out, err);
    free(text);
    f->data_start = sizeof prefix + n;
    return status;
}

/* ---- Entries ------------------------------------------------------------------------ */

static sru_status bad_entry(const struct sru_st_file *f, const char *name, const char *what,
                            struct sru_error *err)
{
    return sru_fail(err, SRU_EFORMAT, "%s: tensor '%.100s': %s", f->path, name, what);
}

static bool whole_number(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static sru_status parse_shape(struct sru_st_entry *e, const struct sru_st_file *f, json_t *shape,
                              uint64_t *elements, struct sru_error *err)
{
    uint64_t dim;

    if (!json_is_array(shape))
        return bad_entry(f, e->name, "its shape is not a list", err);
    if (json_array_size(shape) > SRU_ST_MAX_RANK)
        return bad_entry(f, e->name, "it has more than 8 dimensions", err);
    e->rank = json_array_size(shape);
    *elements = 1;
    for (size_t i = 0; i < e->rank; i++) {
        if (!whole_number(json_array_get(shape, i), &dim) || dim > SIZE_MAX)
            return bad_entry(f, e->name, "a dimension is not a whole number", err);
        e->shape[i] = (size_t)dim;
        if (__builtin_mul_overflow(*elements, dim, elements))
            return bad_entry(f, e->name, "its size overflows", err);
    }
    return SRU_OK;
}

static sru_status parse_entry(struct sru_st_entry *e, const struct sru_st_file *f, json_t *value,
                              struct sru_error *err)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    json_t *offsets = json_object_get(value, "data_offsets");
    const unsigned bits = dtype ? sru_dtype_bits(dtype) : 0;
    uint64_t elements = 0, total;
    sru_status status;

    if (!json_is_object(value) || !dtype || json_object_size(value) != 3)
        return bad_entry(f, e->name, "it must have a dtype, a shape and data_offsets, and nothing else", err);
    if (!bits)
        return bad_entry(f, e->name, "its dtype is unknown", err);
    strcpy(e->dtype, dtype);   /* it is one of the table's, and fits */
    if ((status = parse_shape(e, f, json_object_get(value, "shape"), &elements, err)))
        return status;
    if (json_array_size(offsets) != 2 || !whole_number(json_array_get(offsets, 0), &e->begin)
        || !whole_number(json_array_get(offsets, 1), &e->end) || e->begin > e->end)
        return bad_entry(f, e->name, "its data_offsets are not two whole numbers in order", err);
    if (__builtin_mul_overflow(elements, (uint64_t)bits, &total))
        return bad_entry(f, e->name, "its size overflows", err);
    if (total % 8 || total / 8 != e->end - e->begin)
        return bad_entry(f, e->name, "its data_offsets do not fit its shape and dtype", err);
    return SRU_OK;
}

static sru_status take_metadata(struct sru_st_file *f, json_t *value, struct sru_error *err)
{
    const char *key;
    json_t *text;

    if (!json_is_object(value))
        return sru_fail(err, SRU_EFORMAT, "%s: its __metadata__ is not an object", f->path);
    json_object_foreach(value, key, text)
        if (!json_is_string(text))
            return sru_fail(err, SRU_EFORMAT, "%s: __metadata__ '%.100s' is not a string", f->path, key);
    json_object_update(f->metadata, value);
    return SRU_OK;
}

static sru_status take_entries(struct sru_st_file *f, json_t *header, struct sru_error *err)
{
    const char *key;
    json_t *value;
    sru_status status = SRU_OK;

    f->metadata = json_object();
    f->entries = calloc(json_object_size(header) + 1, sizeof *f->entries);
    if (!f->entries || !f->metadata)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the tensors of %s", f->path);
    json_object_foreach(header, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            status = take_metadata(f, value, err);
        } else {
            struct sru_st_entry *e = &f->entries[f->n_entries];

            if (!(e->name = strdup(key)))
                return sru_fail(err, SRU_ENOMEM, "out of memory for the tensors of %s", f->path);
            f->n_entries++;
            status = parse_entry(e, f, value, err);
        }
        if (status)
            return status;
    }
    return SRU_OK;
}

static int by_range(const void *a, const void *b)
{
    const struct sru_st_entry *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sru_st_entry *)a)->name, ((const struct sru_st_entry *)b)->name);
}

static int name_of(const void *name, const void *entry)
{
    return strcmp(name, ((const struct sru_st_entry *)entry)->name);
}

/* Ranges that follow one another from 0 to the end of the file: no overlap, no hole, nothing behind. */
static sru_status check_ranges(struct sru_st_file *f, uint64_t size, struct sru_error *err)
{
    const uint64_t data = size - f->data_start;
    uint64_t at = 0;

    qsort(f->entries, f->n_entries, sizeof *f->entries, by_range);
    for (size_t i = 0; i < f->n_entries; i++) {
        const struct sru_st_entry *e = &f->entries[i];

        if (e->begin != at)
            return bad_entry(f, e->name, e->begin < at ? "its data overlap another tensor's"
                                                       : "there is a hole before its data", err);
        at = e->end;
    }
    if (at != data)
        return sru_fail(err, SRU_EFORMAT, "%s %s: its tensors take %llu bytes, and %llu are there", f->path,
                        at > data ? "is cut short" : "has bytes behind its last tensor", (unsigned long long)at,
                        (unsigned long long)data);
    qsort(f->entries, f->n_entries, sizeof *f->entries, by_name);
    return SRU_OK;
}

/* ---- Interface ---------------------------------------------------------------------- */

sru_status sru_st_open(const char *path, struct sru_st_file *f, struct sru_error *err)
{
    json_t *header = NULL;
    uint64_t size = 0;
    sru_status status;

    *f = (struct sru_st_file){ .fd = -1, .path = strdup(path) };
    if (!f->path)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    status = open_regular(f, &size, err);
    if (!status)
        status = read_header(f, size, &header, err);
    if (!status)
        status = take_entries(f, header, err);
    if (!status)
        status = check_ranges(f, size, err);
    json_decref(header);
    if (status)
        sru_st_close(f);
    return status;
}

void sru_st_close(struct sru_st_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    for (size_t i = 0; i < f->n_entries; i++)
        free(f->entries[i].name);
    free(f->entries);
    json_decref(f->metadata);
    free(f->path);
    *f = (struct sru_st_file){ .fd = -1 };
}

const struct sru_st_entry *sru_st_find(const struct sru_st_file *f, const char *name)
{
    return f->n_entries ? bsearch(name, f->entries, f->n_entries, sizeof *f->entries, name_of) : NULL;
}

const char *sru_st_metadata(const struct sru_st_file *f, const char *key)
{
    return json_string_value(json_object_get(f->metadata, key));
}

sru_status sru_st_metadata_json(const struct sru_st_file *f, const char *key, json_t **out, struct sru_error *err)
{
    const char *text = sru_st_metadata(f, key);
    json_error_t where;

    *out = text ? json_loads(text, JSON_REJECT_DUPLICATES, &where) : NULL;
    return *out || !text ? SRU_OK : sru_fail(err, SRU_EFORMAT, "%s: metadata '%s' is not valid JSON: %s", f->path, key, where.text);
}

sru_status sru_st_read(const struct sru_st_file *f, const struct sru_st_entry *e, void *out, size_t bytes,
                       struct sru_error *err)
{
    if (bytes != e->end - e->begin)
        return bad_entry(f, e->name, "it has another size than asked for", err);
    return read_at(f, out, bytes, f->data_start + e->begin, err);
}

sru_status sru_st_require(const struct sru_st_file *f, const char *name, const char *dtype, size_t rank,
                          const size_t *shape, const struct sru_st_entry **out, struct sru_error *err)
{
    const struct sru_st_entry *e = sru_st_find(f, name);

    if (!e)
        return sru_fail(err, SRU_EFORMAT, "%s has no tensor '%.100s'", f->path, name);
    if (strcmp(e->dtype, dtype) != 0)
        return sru_fail(err, SRU_EFORMAT, "%s: tensor '%.100s' is %s where %s is needed", f->path, name,
                        e->dtype, dtype);
    if (e->rank != rank)
        return sru_fail(err, SRU_EFORMAT, "%s: tensor '%.100s' has %zu dimensions where %zu are needed", f->path,
                        name, e->rank, rank);
    for (size_t i = 0; i < rank; i++)
        if (e->shape[i] != shape[i])
            return sru_fail(err, SRU_EFORMAT, "%s: tensor '%.100s': dimension %zu is %zu where %zu is needed",
                            f->path, name, i, e->shape[i], shape[i]);
    *out = e;
    return SRU_OK;
}

sru_status sru_st_read_as(const struct sru_st_file *f, const char *name, const char *dtype, size_t rank,
                          const size_t *shape, void *out, struct sru_error *err)
{
    const struct sru_st_entry *e;
    const sru_status status = sru_st_require(f, name, dtype, rank, shape, &e, err);

    return status ? status : sru_st_read(f, e, out, (size_t)(e->end - e->begin), err);
}
