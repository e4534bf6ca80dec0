/* Writing safetensors files: strictly, and equal contents as equal bytes. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/io/dtype.h"
#include "src/io/replace.h"
#include "src/io/safetensors.h"
#include "src/size.h"

struct item {
    const struct sru_st_tensor *t;
    uint64_t bytes;
};

static int by_dtype_and_name(const void *a, const void *b)
{
    const struct sru_st_tensor *x = ((const struct item *)a)->t, *y = ((const struct item *)b)->t;
    const unsigned dx = sru_dtype_rank(x->dtype), dy = sru_dtype_rank(y->dtype);

    if (dx != dy)
        return dx < dy ? -1 : 1;
    return strcmp(x->name, y->name);
}

static sru_status measure(struct item *item, const struct sru_st_tensor *t, struct sru_error *err)
{
    uint64_t bits = sru_dtype_bits(t->dtype);

    for (size_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(bits, (uint64_t)t->shape[i], &bits))
            return sru_fail(err, SRU_EINVAL, "tensor '%s': its size overflows", t->name);
    if (sru_dtype_bits(t->dtype) == 0 || bits % 8 || t->rank > SRU_ST_MAX_RANK)
        return sru_fail(err, SRU_EINVAL, "tensor '%s' has a dtype or shape that files cannot hold", t->name);
    *item = (struct item){ t, bits / 8 };
    return SRU_OK;
}

static json_t *entry(const struct item *item, uint64_t begin)
{
    json_t *shape = json_array();

    for (size_t i = 0; i < item->t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)item->t->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", item->t->dtype, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + item->bytes));
}

/* A copy of an object with its keys in order: jansson writes them as they were put in. */
static json_t *sorted(const json_t *object)
{
    char *text = object ? json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_t *copy = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    return copy;
}

/* The JSON of the header; *total gets the bytes of all tensors.  NULL without memory. */
static char *header_text(json_t *metadata, const struct item *items, size_t n, uint64_t *total)
{
    json_t *header = json_object();
    bool failed = false;
    char *text = NULL;

    *total = 0;
    if (metadata && json_object_size(metadata) > 0)
        failed = json_object_set_new(header, "__metadata__", sorted(metadata)) != 0;
    for (size_t i = 0; i < n && !failed; i++) {
        failed = json_object_set_new(header, items[i].t->name, entry(&items[i], *total)) != 0;
        *total += items[i].bytes;
    }
    if (!failed)
        text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static sru_status write_parts(struct sru_replace *r, const char *text, const struct item *items, size_t n,
                              struct sru_error *err)
{
    static const char spaces[8] = { ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' };
    const size_t length = strlen(text), padded = sru_round_up(length, 8);
    unsigned char prefix[8];
    sru_status status;

    for (unsigned i = 0; i < 8; i++)
        prefix[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    if ((status = sru_replace_write(r, prefix, sizeof prefix, err))
        || (status = sru_replace_write(r, text, length, err))
        || (status = sru_replace_write(r, spaces, padded - length, err)))
        return status;
    for (size_t i = 0; i < n && !status; i++) {
        const struct sru_st_tensor *t = items[i].t;

        status = t->write ? t->write(t->context, r, err) : sru_replace_write(r, t->data, (size_t)items[i].bytes, err);
    }
    return status;
}

static sru_status write_file(const char *path, const char *text, const struct item *items, size_t n,
                             uint64_t total, struct sru_error *err)
{
    struct sru_replace r;
    sru_status status = sru_replace_begin(&r, path, 8 + sru_round_up(strlen(text), 8) + total, err);

    if (status)
        return status;
    status = write_parts(&r, text, items, n, err);
    if (status) {
        sru_replace_abort(&r);
        return status;
    }
    return sru_replace_commit(&r, err);
}

sru_status sru_st_write(const char *path, json_t *metadata, const struct sru_st_tensor *tensors, size_t n,
                        struct sru_error *err)
{
    struct item *items = calloc(n + 1, sizeof *items);
    sru_status status = SRU_OK;
    uint64_t total;
    char *text;

    if (!items)
        return sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path);
    for (size_t i = 0; i < n && !status; i++)
        status = measure(&items[i], &tensors[i], err);
    if (status) {
        free(items);
        return status;
    }
    qsort(items, n, sizeof *items, by_dtype_and_name);
    text = header_text(metadata, items, n, &total);
    if (!text)
        status = sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path);
    else if (strlen(text) > SRU_ST_MAX_HEADER)
        status = sru_fail(err, SRU_EINVAL, "%s would have a header larger than the format's readers take", path);
    else
        status = write_file(path, text, items, n, total, err);
    free(text);
    free(items);
    return status;
}
