/*
 * Making a prepared corpus: see prepared.h.  Words are numbered in the order they are met, and these numbers wait in a file while
 * they are counted; in the vocabulary's order they then go into the corpus.  So texts are read and searched for words once.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/io/path.h"
#include "src/io/replace.h"
#include "src/size.h"
#include "src/text/lines.h"
#include "src/text/prepared.h"
#include "src/text/spool.h"

enum { WAITING = 1 << 18, AHEAD = 64 };       /* numbers in memory; words looked ahead */
#define UNSEEN SRU_SPOOL_LARGEST              /* a word that the text to learn has not */

struct preparation {
    const struct sru_tokenizing *how;
    const struct sru_vocab *given;
    const struct sru_preparing *watch;
    struct sru_prepared *out;
    struct sru_words counted;                 /* of the train part; its numbers are those that wait */
    struct sru_spool waiting;                 /* all parts' numbers, one after another */
    uint64_t begin[SRU_PARTS];                /* where they begin in it */
    uint64_t done, total;                     /* bytes of text */
    uint64_t fingerprint;
    struct sru_vocab vocab;
    uint32_t *token;                          /* [counted.n] in the vocabulary */
};

/* ---- Texts to numbers ------------------------------------------------------------------------- */

/* Of a text so far, and more of it. */
static uint64_t fingerprint(uint64_t h, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = 0;

        memcpy(&x, text + i, sru_min(n - i, 8));
        h = (h ^ x) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h;
}

/* The numbers of words in part i, at most AHEAD, which may be UNSEEN.  SRU_ENOMEM. */
static sru_status number_words(struct preparation *p, size_t i, const struct sru_word *words, size_t n, struct sru_error *err)
{
    const struct sru_words *in = p->given ? &p->given->words : &p->counted;
    int32_t known[AHEAD], end;
    uint32_t ids[AHEAD];

    if (p->given || i != SRU_TRAIN)
        for (size_t k = 0; k < n; k++)
            known[k] = p->given ? sru_vocab_word(p->given, words[k]) : sru_words_find(in, words[k]);
    else if (!sru_words_count_all(&p->counted, words, n, known) || p->counted.n >= UNSEEN)
        return sru_fail(err, SRU_ENOMEM, "out of memory for a vocabulary of more than %zu words", p->counted.n);
    end = p->given ? p->given->end : sru_words_find(in, sru_word_end());
    for (size_t k = 0; k < n; k++) {
        p->out->lines += i == SRU_TRAIN && known[k] == end;
        ids[k] = known[k] >= 0 ? (uint32_t)known[k] : UNSEEN;
    }
    p->out->tokens[i] += n;
    return sru_spool_put(&p->waiting, ids, n, err);
}

static sru_status number_lines(struct preparation *p, size_t i, const char *text, size_t size, struct sru_error *err)
{
    struct sru_word_reader r = { .text = text, .size = size };
    struct sru_word words[AHEAD];
    sru_status status = SRU_OK;

    if (p->out->tokens[i] == 0) {
        p->begin[i] = p->waiting.put;
        words[0] = sru_word_end();
        if (p->how->sentences)   /* the first sentence follows the end of one */
            status = number_words(p, i, words, 1, err);
    }
    for (size_t n = AHEAD; n == AHEAD && !status;) {
        for (n = 0; n < AHEAD && sru_word_next(&r, &words[n]); n++)
            sru_words_expect(p->given ? &p->given->words : &p->counted, &words[n]);
        status = number_words(p, i, words, n, err);
    }
    if (status)
        return status;
    p->fingerprint = fingerprint(p->fingerprint, text, size);
    p->out->bytes[i] += size;
    p->done += size;
    p->watch->progress(p->watch->context, p->done, p->total);
    return SRU_OK;
}

static sru_status number_part(struct preparation *p, size_t i, struct sru_lines *l, struct sru_error *err)
{
    const char *text;
    size_t n;
    sru_status status;

    while (!(status = sru_lines_next(l, &text, &n, err)) && n > 0)
        if ((status = number_lines(p, i, text, n, err)))
            return status;
    return status;
}

/* The length of the lines of a text that begin before `end`, where the text itself begins at `at`. */
static size_t lines_before(const char *text, size_t n, uint64_t at, uint64_t end)
{
    if (end <= at)
        return 0;
    if (end - at >= n)
        return n;
    const char *line = memchr(text + (end - at) - 1, '\n', n - (size_t)(end - at) + 1);
    return line ? (size_t)(line - text) + 1 : n;
}

/* All parts of one file, as sru_split_text has them. */
static sru_status number_split(struct preparation *p, const double percent[SRU_PARTS], struct sru_lines *l, struct sru_error *err)
{
    uint64_t at = 0;
    double sum = percent[0];
    const char *text;
    size_t n, i = 0;
    sru_status status;

    while (!(status = sru_lines_next(l, &text, &n, err)) && n > 0)
        while (n > 0 && i < SRU_PARTS) {
            const uint64_t end = sum >= 100 ? UINT64_MAX : (uint64_t)((double)p->total * sum / 100);
            const size_t mine = lines_before(text, n, at, end);

            if (mine > 0 && (status = number_lines(p, i, text, mine, err)))
                return status;
            if (mine < n)
                sum += ++i < SRU_PARTS ? percent[i] : 0;
            text += mine;
            n -= mine;
            at += mine;
        }
    return status;
}

static sru_status number_texts(struct preparation *p, const struct sru_sources *from, struct sru_error *err)
{
    struct sru_lines l[SRU_PARTS] = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } };
    sru_status status = SRU_OK;
    size_t n = 0;

    for (; n < SRU_PARTS && from->path[n] && !status; n++) {
        status = sru_lines_open(&l[n], from->path[n], err);
        p->total += l[n].total;
    }
    if (!status && n == 1 && l[0].sized && l[0].total == 0)
        status = sru_fail(err, SRU_EIO, "%s is empty", from->path[0]);
    if (!status && n == 1 && (!l[0].sized || l[0].n_paths > 1))
        status = sru_fail(err, SRU_EINVAL, "%s cannot be split into parts, which takes one file: give --valid", from->path[0]);
    for (size_t i = 0; i < n && n > 1 && !status; i++)
        status = number_part(p, i, &l[i], err);
    if (!status && n == 1)
        status = number_split(p, from->split, &l[0], err);
    for (size_t i = 0; i < SRU_PARTS; i++)
        sru_lines_close(&l[i]);
    for (size_t i = SRU_TRAIN; i <= SRU_VALID && !status; i++)
        if (p->out->tokens[i] < 2)
            status = sru_fail(err, SRU_EFORMAT, "the %s part is too short: it has %" PRIu64 " words", sru_part_names[i], p->out->tokens[i]);
    return status;
}

/* ---- The vocabulary ------------------------------------------------------------------------------- */

static sru_status find_vocab(struct preparation *p, struct sru_error *err)
{
    const struct sru_words *w = &p->counted;
    const sru_status status = sru_corpus_vocab(&p->vocab, w, p->how, err);

    if (status)
        return status;
    if (!(p->token = malloc((w->n + 1) * sizeof *p->token)))
        return sru_fail(err, SRU_ENOMEM, "out of memory for the numbers of %zu words", w->n);
    for (size_t i = 0; i < w->n; i++)
        p->token[i] = (uint32_t)sru_vocab_word(&p->vocab, sru_words_get(w, i));
    return SRU_OK;
}

/* ---- Numbers to tokens ------------------------------------------------------------------------------- */

/* A part's tokens, where they are written. */
struct tensor {
    struct preparation *p;
    size_t part;
    const struct sru_vocab *v;
    unsigned width;
};

/* Numbers to tokens, in place, and in 2 bytes where that is their width. */
static sru_status translate(const struct tensor *t, uint32_t *ids, uint16_t *narrow, size_t n, struct sru_error *err)
{
    const int32_t unknown = t->v->unknown;

    for (size_t i = 0; i < n; i++) {
        const bool unseen = ids[i] == UNSEEN;
        const uint32_t token = unseen ? (uint32_t)unknown : t->p->token ? t->p->token[ids[i]] : ids[i];

        if (unseen && unknown < 0)
            return sru_fail(err, SRU_EFORMAT, "the %s text has words that are not in the vocabulary given, which has no " SRU_UNK,
                            sru_part_names[t->part]);
        t->p->out->unknown[t->part] += token == (uint32_t)unknown;
        ids[i] = token;
        if (t->width == 2)
            narrow[i] = (uint16_t)token;
    }
    return SRU_OK;
}

static sru_status write_tensor(void *context, struct sru_replace *r, struct sru_error *err)
{
    const struct tensor *t = context;
    uint32_t *ids = malloc(WAITING * sizeof *ids);
    uint16_t *narrow = malloc(WAITING * sizeof *narrow);
    uint64_t left = t->p->out->tokens[t->part];
    sru_status status = ids && narrow ? sru_spool_seek(&t->p->waiting, t->p->begin[t->part], err) : sru_fail(err, SRU_ENOMEM, "out of memory");

    while (left > 0 && !status) {
        const size_t n = left < WAITING ? (size_t)left : WAITING;

        if (!(status = sru_spool_take(&t->p->waiting, ids, n, err)) && !(status = translate(t, ids, narrow, n, err)))
            status = sru_replace_write(r, t->width == 2 ? (const void *)narrow : ids, n * t->width, err);
        left -= n;
    }
    free(ids);
    free(narrow);
    return status;
}

/* Where sentences of the train part begin: after the ends of those before. */
static sru_status write_lines(void *context, struct sru_replace *r, struct sru_error *err)
{
    const struct tensor *t = context;
    const uint64_t n = t->p->out->tokens[SRU_TRAIN];
    uint64_t *lines = malloc(WAITING * sizeof *lines);
    uint32_t *ids = malloc(WAITING * sizeof *ids);
    sru_status status = lines && ids ? sru_spool_seek(&t->p->waiting, t->p->begin[SRU_TRAIN], err) : sru_fail(err, SRU_ENOMEM, "out of memory");

    for (uint64_t at = 0; at < n && !status; at += WAITING) {
        const size_t some = n - at < WAITING ? (size_t)(n - at) : WAITING;
        size_t found = 0;

        if ((status = sru_spool_take(&t->p->waiting, ids, some, err)))
            break;
        for (size_t i = 0; i < some; i++)
            if (ids[i] != UNSEEN && (int32_t)(t->p->token ? t->p->token[ids[i]] : ids[i]) == t->v->end)
                lines[found++] = at + i + 1;
        status = sru_replace_write(r, lines, found * sizeof *lines, err);
    }
    free(lines);
    free(ids);
    return status;
}

/* NULL without memory. */
static json_t *describe(const struct preparation *p, const struct sru_vocab *v)
{
    json_t *vocab = sru_vocab_to_json(v);
    char *words = vocab ? json_dumps(vocab, JSON_COMPACT | JSON_SORT_KEYS) : NULL, mark[24], bytes[96];
    json_t *metadata = NULL;

    snprintf(mark, sizeof mark, "%016" PRIx64,
             p->fingerprint * 31 + sru_text_fingerprint(v->words.text, v->words.at[v->size]));
    snprintf(bytes, sizeof bytes, "[%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]", p->out->bytes[0], p->out->bytes[1], p->out->bytes[2]);
    if (words)
        metadata = json_pack("{s:s, s:s, s:s, s:s}", "bytes", bytes, "fingerprint", mark, "format", SRU_PREPARED_FORMAT, "vocab", words);
    free(words);
    json_decref(vocab);
    return metadata;
}

static sru_status write_corpus(struct preparation *p, const char *directory, const struct sru_vocab *v, struct sru_error *err)
{
    const unsigned width = sru_part_width(v);
    struct sru_st_tensor tensors[SRU_PARTS + 1];
    struct tensor contexts[SRU_PARTS + 1];
    size_t n = 0;

    for (size_t i = 0; i < SRU_PARTS; i++) {
        if (p->out->tokens[i] == 0)
            continue;
        contexts[n] = (struct tensor){ p, i, v, width };
        tensors[n] = (struct sru_st_tensor){ .name = sru_part_names[i], .dtype = width == 2 ? "U16" : "U32", .rank = 1,
                                             .shape = { (size_t)p->out->tokens[i] }, .write = write_tensor, .context = &contexts[n] };
        n++;
    }
    if (p->how->sentences) {
        contexts[n] = (struct tensor){ p, SRU_TRAIN, v, width };
        tensors[n] = (struct sru_st_tensor){ .name = SRU_LINES_NAME, .dtype = "U64", .rank = 1, .shape = { (size_t)p->out->lines },
                                             .write = write_lines, .context = &contexts[n] };
        n++;
    }
    json_t *metadata = describe(p, v);
    char *path = sru_path_join(directory, SRU_PREPARED_NAME), *list = sru_path_join(directory, SRU_VOCABULARY_NAME);
    sru_status status = metadata && path && list ? sru_vocab_write(v, list, err)
                                                 : sru_fail(err, SRU_ENOMEM, "out of memory to write the corpus in %s", directory);
    if (!status)
        status = sru_st_write(path, metadata, tensors, n, err);
    free(path);
    free(list);
    json_decref(metadata);
    return status;
}

/* ---- Interface ------------------------------------------------------------------------------------------ */

sru_status sru_prepare(const char *directory, const struct sru_sources *from, const struct sru_tokenizing *how, const struct sru_vocab *given,
                       const struct sru_preparing *watch, struct sru_prepared *out, struct sru_error *err)
{
    struct preparation p = { .how = how, .given = given, .watch = watch, .out = out, .counted.lower = how->lower, .waiting.fd = -1,
                             .fingerprint = 0xcbf29ce484222325u };

    *out = (struct sru_prepared){ 0 };
    if (given && given->end < 0)
        return sru_fail(err, SRU_EFORMAT, "the vocabulary has neither " SRU_EOS " nor " SRU_SENTENCE ", one of which ends a line");
    sru_status status = sru_spool_open(&p.waiting, directory, err);
    if (!status)
        status = number_texts(&p, from, err);
    if (!status && !given)
        status = find_vocab(&p, err);
    if (!status)
        status = write_corpus(&p, directory, given ? given : &p.vocab, err);
    out->words = given ? given->size : p.vocab.size;
    sru_spool_close(&p.waiting);
    free(p.token);
    sru_words_close(&p.counted);
    sru_vocab_close(&p.vocab);
    return status;
}
