/* Parts of a corpus: see part.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/part.h"

/* ---- Words to numbers ------------------------------------------------------------------------ */

/* Room for one more number; false without memory. */
static bool make_room(struct sru_part *p, size_t *room)
{
    if (p->size < *room)
        return true;
    const size_t more = *room > 0 ? 2 * *room : 4096;
    void *larger = more <= SIZE_MAX / 8 ? realloc(p->own, more * p->width) : NULL;

    if (!larger)
        return false;
    p->own = larger;
    *room = more;
    return true;
}

static sru_status number_words(struct sru_part *p, const struct sru_vocab *v, const char *text, const char *name, struct sru_error *err)
{
    struct sru_word_reader r = { .text = text, .size = (size_t)p->bytes };
    struct sru_word word;
    size_t room = 0;

    while (sru_word_next(&r, &word)) {
        const int32_t id = sru_vocab_word(v, word);

        if (id < 0)
            return sru_fail(err, SRU_EFORMAT, "%s: word %zu, '%.*s', is not in the model's vocabulary of %zu, which has no " SRU_UNK " for it",
                            name, p->size, (int)sru_min(word.size, 60), word.text, v->size);
        if (!make_room(p, &room))
            return sru_fail(err, SRU_ENOMEM, "out of memory for the words of %s", name);
        if (p->width == 2)
            ((uint16_t *)p->own)[p->size++] = (uint16_t)id;
        else
            ((int32_t *)p->own)[p->size++] = id;
    }
    return SRU_OK;
}

unsigned sru_part_width(const struct sru_vocab *v)
{
    return v->unit == SRU_BYTES ? 1 : v->size <= 65536 ? 2 : 4;
}

sru_status sru_part_of(struct sru_part *p, const struct sru_vocab *v, const char *text, size_t size, const char *name,
                       struct sru_error *err)
{
    *p = (struct sru_part){ .data = text, .size = size, .width = 1, .bytes = size };
    if (v->unit == SRU_BYTES)
        return SRU_OK;
    p->width = sru_part_width(v);
    p->size = 0;
    const sru_status status = number_words(p, v, text, name, err);
    p->data = p->own;
    if (status)
        sru_part_close(p);
    return status;
}

void sru_part_close(struct sru_part *p)
{
    free(p->own);
    *p = (struct sru_part){ 0 };
}

/* ---- Reading ------------------------------------------------------------------------------------ */

static sru_status unknown_byte(unsigned char byte, size_t at, const struct sru_vocab *v, const char *name, struct sru_error *err)
{
    return byte > ' ' && byte < 0x7f
        ? sru_fail(err, SRU_EFORMAT, "%s: byte %zu is '%c', which is not in the model's vocabulary of %zu", name, at, byte, v->size)
        : sru_fail(err, SRU_EFORMAT, "%s: byte %zu is %u, which is not in the model's vocabulary of %zu", name, at, byte, v->size);
}

sru_status sru_part_get(const struct sru_part *p, const struct sru_vocab *v, size_t from, size_t n, int32_t *ids, const char *name,
                        struct sru_error *err)
{
    if (p->width == 1)
        for (size_t i = 0; i < n; i++) {
            const unsigned char byte = ((const unsigned char *)p->data)[from + i];

            if ((ids[i] = v->ids[byte]) < 0)
                return unknown_byte(byte, from + i, v, name, err);
        }
    else
        for (size_t i = 0; i < n; i++) {
            ids[i] = p->width == 2 ? ((const uint16_t *)p->data)[from + i] : ((const int32_t *)p->data)[from + i];
            if (ids[i] < 0 || (size_t)ids[i] >= v->size)
                return sru_fail(err, SRU_EFORMAT, "%s: token %zu is %d, and the vocabulary has %zu", name, from + i, (int)ids[i], v->size);
        }
    return SRU_OK;
}
