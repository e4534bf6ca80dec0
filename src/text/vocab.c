/* Vocabularies: see vocab.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/io/replace.h"
#include "src/size.h"
#include "src/text/text.h"
#include "src/text/vocab.h"

static const char *const units[] = { [SRU_BYTES] = "byte", [SRU_WORDS] = "word" };

bool sru_unit_parse(const char *word, enum sru_unit *unit)
{
    *unit = strcmp(word, "words") == 0 ? SRU_WORDS : SRU_BYTES;
    return *unit == SRU_WORDS || strcmp(word, "bytes") == 0;
}

const char *sru_unit_name(enum sru_unit unit)
{
    return units[unit];
}

/* ---- Of bytes --------------------------------------------------------------------------------- */

/* ids from symbols. */
static void index_symbols(struct sru_vocab *v)
{
    v->unknown = -1;
    for (size_t i = 0; i < 256; i++)
        v->ids[i] = -1;
    for (size_t i = 0; i < v->size; i++)
        v->ids[v->symbols[i]] = (int32_t)i;
}

void sru_see_bytes(bool seen[256], const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seen[(unsigned char)text[i]] = true;
}

struct sru_vocab sru_vocab_of_bytes(const bool seen[256])
{
    struct sru_vocab v = { 0 };

    for (size_t i = 0; i < 256; i++)
        if (seen[i])
            v.symbols[v.size++] = (uint8_t)i;
    index_symbols(&v);
    return v;
}

static json_t *bytes_to_json(const struct sru_vocab *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->size && list; i++)
        if (json_array_append_new(list, json_integer(v->symbols[i]))) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static sru_status bytes_from_json(struct sru_vocab *v, json_t *list, struct sru_error *err)
{
    json_int_t before = -1;

    v->size = json_array_size(list);
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

/* ---- Of words ------------------------------------------------------------------------------------ */

/* Are all words UTF-8, and without zeros? */
static bool is_text(const struct sru_words *w)
{
    json_t *all = json_stringn(w->text, w->at[w->n]);
    bool ok = all != NULL;

    for (size_t i = 0; i < w->n && ok; i++)
        ok = strlen(w->text + w->at[i]) + 1 == w->at[i + 1] - w->at[i];
    json_decref(all);
    return ok;
}

/* The number of one word, or of another one where that is none. */
static int32_t first_of(const struct sru_words *words, const char *one, const char *other)
{
    const int32_t id = sru_words_find(words, sru_word_of(one, strlen(one)));

    return id >= 0 ? id : sru_words_find(words, sru_word_of(other, strlen(other)));
}

sru_status sru_vocab_of_words(struct sru_vocab *v, struct sru_words *words, struct sru_error *err)
{
    *v = (struct sru_vocab){ .unit = SRU_WORDS, .size = words->n, .words = *words, .unknown = first_of(words, SRU_UNK, SRU_UNK_UPPER),
                             .end = first_of(words, SRU_EOS, SRU_SENTENCE) };
    *words = (struct sru_words){ 0 };
    if (is_text(&v->words))
        return SRU_OK;
    sru_vocab_close(v);
    return sru_fail(err, SRU_EFORMAT, "the text is not UTF-8, which words have to be: convert it, or read it by bytes");
}

/* All words, each with something after it; to be freed.  NULL without memory. */
static char *joined(const struct sru_words *w, char after)
{
    char *text = malloc(w->at[w->n]);

    if (text) {
        memcpy(text, w->text, w->at[w->n]);
        for (size_t i = 0; i < w->n; i++)
            text[w->at[i + 1] - 1] = after;
    }
    return text;
}

static json_t *words_to_json(const struct sru_vocab *v)
{
    char *text = joined(&v->words, ' ');
    json_t *json = text ? json_pack("{s:b, s:s, s:s%}", "lower", (int)v->words.lower, "unit", "words", "words", text, v->words.at[v->size] - 1)
                        : NULL;

    free(text);
    return json;
}

static sru_status words_from_json(struct sru_vocab *v, json_t *json, struct sru_error *err)
{
    const json_t *string = json_object_get(json, "words"), *lower = json_object_get(json, "lower");
    struct sru_word_reader r = { .text = json_string_value(string), .size = json_string_length(string) };
    struct sru_words words = { .lower = json_is_true(lower) };
    struct sru_word word;

    if (!r.text || !json_is_boolean(lower) || json_string_value(json_object_get(json, "unit")) == NULL
        || strcmp(json_string_value(json_object_get(json, "unit")), "words") != 0)
        return sru_fail(err, SRU_EFORMAT, "the vocabulary is neither a list of bytes nor one of words");
    for (size_t n = 0; sru_word_next(&r, &word) && word.text >= r.text && word.text < r.text + r.size; n++)   /* to the line's end */
        if (sru_words_count(&words, word, 1) != (int32_t)n) {
            const sru_status status = words.n == n ? sru_fail(err, SRU_ENOMEM, "out of memory for a vocabulary of more than %zu words", n)
                                                   : sru_fail(err, SRU_EFORMAT, "the vocabulary has its word %zu twice", n);
            sru_words_close(&words);
            return status;
        }
    if (words.n > 0 && r.at == r.size)
        return sru_vocab_of_words(v, &words, err);
    sru_words_close(&words);
    return sru_fail(err, SRU_EFORMAT, "the vocabulary is not one line of words");
}

sru_status sru_vocab_write(const struct sru_vocab *v, const char *path, struct sru_error *err)
{
    char *text = v->unit == SRU_WORDS ? joined(&v->words, '\n') : NULL;
    struct sru_replace r;
    sru_status status;

    if (!text)
        return v->unit == SRU_WORDS ? sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path)
                                    : sru_fail(err, SRU_EINVAL, "a vocabulary of bytes is not written as words");
    if (!(status = sru_replace_begin(&r, path, v->words.at[v->size], err))) {
        if ((status = sru_replace_write(&r, text, v->words.at[v->size], err)))
            sru_replace_abort(&r);
        else
            status = sru_replace_commit(&r, err);
    }
    free(text);
    return status;
}

/* SRU_EFORMAT: the file's line is empty, or its word was before. */
static sru_status read_words(struct sru_words *words, const struct sru_text *text, const char *path, struct sru_error *err)
{
    struct sru_word_reader r = { .text = text->data, .size = text->size };
    struct sru_word word;
    bool begins = true;

    while (sru_word_next(&r, &word)) {
        const bool inside = word.text >= text->data && word.text < text->data + text->size;
        const size_t n = words->n;

        if (!inside && begins)
            return sru_fail(err, SRU_EFORMAT, "%s: line %zu has no word", path, n + 1);
        if (inside && begins && sru_words_count(words, word, 1) != (int32_t)n)
            return words->n > n ? sru_fail(err, SRU_ENOMEM, "out of memory for a vocabulary of more than %zu words", n)
                : sru_fail(err, SRU_EFORMAT, "%s: line %zu: '%.*s' is in the vocabulary already", path, n + 1, (int)sru_min(word.size, 60),
                           word.text);
        begins = !inside;
    }
    return SRU_OK;
}

sru_status sru_vocab_read(struct sru_vocab *v, const char *path, bool lower, struct sru_error *err)
{
    struct sru_words words = { .lower = lower };
    struct sru_text text;
    sru_status status = sru_text_open(&text, path, err);

    *v = (struct sru_vocab){ 0 };
    if (status)
        return status;
    status = read_words(&words, &text, path, err);
    sru_text_close(&text);
    if (!status)
        return sru_vocab_of_words(v, &words, err);
    sru_words_close(&words);
    return status;
}

/* ---- Of either ------------------------------------------------------------------------------------- */

void sru_vocab_close(struct sru_vocab *v)
{
    sru_words_close(&v->words);
    *v = (struct sru_vocab){ 0 };
}

bool sru_vocab_same(const struct sru_vocab *a, const struct sru_vocab *b)
{
    if (a->unit != b->unit || a->size != b->size)
        return false;
    if (a->unit == SRU_BYTES)
        return memcmp(a->symbols, b->symbols, a->size) == 0;
    const size_t bytes = a->words.at[a->size];
    return a->words.lower == b->words.lower && b->words.at[b->size] == bytes && memcmp(a->words.text, b->words.text, bytes) == 0;
}

int32_t sru_vocab_word(const struct sru_vocab *v, struct sru_word word)
{
    const int32_t id = sru_words_find(&v->words, word);

    return id >= 0 ? id : sru_word_is_end(word) ? v->end : v->unknown;
}

const char *sru_vocab_text(const struct sru_vocab *v, int32_t token, size_t *n)
{
    if (v->unit == SRU_BYTES) {
        *n = 1;
        return (const char *)&v->symbols[token];
    }
    const char *word = v->words.text + v->words.at[token];
    const bool end = token == v->end;

    *n = end ? 1 : v->words.at[token + 1] - v->words.at[token] - 1;
    return end ? "\n" : word;
}

json_t *sru_vocab_to_json(const struct sru_vocab *v)
{
    return v->unit == SRU_WORDS ? words_to_json(v) : bytes_to_json(v);
}

sru_status sru_vocab_from_json(struct sru_vocab *v, json_t *json, struct sru_error *err)
{
    *v = (struct sru_vocab){ 0 };
    return json_is_object(json) ? words_from_json(v, json, err) : bytes_from_json(v, json, err);
}
