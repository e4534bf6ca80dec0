/* Vocabularies of bytes: see text.h. */
#include "config.h"

#include <string.h>

#include "src/text/text.h"

/* ids from symbols. */
static void index_symbols(struct sru_vocab *v)
{
    for (size_t i = 0; i < 256; i++)
        v->ids[i] = -1;
    for (size_t i = 0; i < v->size; i++)
        v->ids[v->symbols[i]] = (int32_t)i;
}

struct sru_vocab sru_vocab_of(const struct sru_text *texts, size_t n)
{
    struct sru_vocab v = { 0 };
    bool seen[256] = { false };

    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < texts[k].size; i++)
            seen[(unsigned char)texts[k].data[i]] = true;
    for (size_t i = 0; i < 256; i++)
        if (seen[i])
            v.symbols[v.size++] = (uint8_t)i;
    index_symbols(&v);
    return v;
}

sru_status sru_vocab_encode(const struct sru_vocab *v, const char *text, size_t from, size_t n, int32_t *ids, const char *name,
                            struct sru_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)text[from + i];

        ids[i] = v->ids[byte];
        if (ids[i] >= 0)
            continue;
        return byte > ' ' && byte < 0x7f
            ? sru_fail(err, SRU_EFORMAT, "%s: byte %zu is '%c', which is not in the model's vocabulary of %zu", name, from + i, byte, v->size)
            : sru_fail(err, SRU_EFORMAT, "%s: byte %zu is %u, which is not in the model's vocabulary of %zu", name, from + i, byte, v->size);
    }
    return SRU_OK;
}

json_t *sru_vocab_to_json(const struct sru_vocab *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->size && list; i++)
        if (json_array_append_new(list, json_integer(v->symbols[i]))) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

sru_status sru_vocab_from_json(struct sru_vocab *v, json_t *list, struct sru_error *err)
{
    json_int_t before = -1;

    *v = (struct sru_vocab){ .size = json_array_size(list) };
    if (v->size == 0 || v->size > 256)
        return sru_fail(err, SRU_EFORMAT, "the vocabulary is not a list of 1 to 256 bytes");
    for (size_t i = 0; i < v->size; i++) {
        const json_t *item = json_array_get(list, i);
        const json_int_t value = json_integer_value(item);

        if (!json_is_integer(item) || value <= before || value > 255)
            return sru_fail(err, SRU_EFORMAT, "the vocabulary's entry %zu is not a byte above the one before", i);
        v->symbols[i] = (uint8_t)value;
        before = value;
    }
    index_symbols(v);
    return SRU_OK;
}
