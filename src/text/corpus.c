/* Corpora from texts: see corpus.h. */
#include "config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/io/path.h"
#include "src/text/corpus.h"
#include "src/text/prepared.h"

sru_status sru_sources_parse(const char *split, struct sru_sources *s, struct sru_error *err)
{
    if (s->path[SRU_TEST] && !s->path[SRU_VALID])
        return sru_fail(err, SRU_EINVAL, "--test needs --valid: both texts stand beside --data, or both are parts of it");
    if (!sru_split_parse(split, s->split))
        return sru_fail(err, SRU_EINVAL, "option '--split': '%.40s' is not percentages such as 90/5/5 or 90/10", split);
    return SRU_OK;
}

/* A part's text. */
struct stretch {
    const char *data, *name;
    size_t size;
};

/* Read the texts, and say where the parts are in them. */
static sru_status open_texts(struct sru_corpus *c, const struct sru_sources *from, bool lines, struct stretch part[SRU_PARTS],
                             struct sru_error *err)
{
    size_t n = 0, end[SRU_PARTS], before = 0;

    for (; n < SRU_PARTS && from->path[n]; n++) {
        const sru_status status = sru_text_open(&c->text[n], from->path[n], err);

        if (status)
            return status;
        part[n] = (struct stretch){ c->text[n].data, from->path[n], c->text[n].size };
    }
    if (n > 1)
        return SRU_OK;
    sru_split_text(&c->text[0], from->split, lines, end);
    for (size_t i = 0; i < SRU_PARTS; before = end[i++])
        part[i] = (struct stretch){ c->text[0].data + before, from->path[0], end[i] - before };
    return SRU_OK;
}

/* Of all the bytes that occur in any of the texts. */
static void find_bytes(struct sru_corpus *c)
{
    bool seen[256] = { false };

    for (size_t k = 0; k < SRU_PARTS; k++)
        sru_see_bytes(seen, c->text[k].data, c->text[k].size);
    c->vocab = sru_vocab_of_bytes(seen);
}

sru_status sru_corpus_vocab(struct sru_vocab *v, const struct sru_words *counted, const struct sru_tokenizing *how, struct sru_error *err)
{
    struct sru_words ranked;
    /* Texts to come may have words that this one has not. */
    const sru_status status = sru_words_rank(counted, how->min_count, how->most, true, &ranked, err);

    return status ? status : sru_vocab_of_words(v, &ranked, err);
}

static sru_status find_words(struct sru_corpus *c, const struct sru_tokenizing *how, const struct stretch *train, struct sru_error *err)
{
    struct sru_words counted = { .lower = how->lower };
    sru_status status = sru_words_count_text(&counted, train->data, train->size, err);

    if (!status)
        status = sru_corpus_vocab(&c->vocab, &counted, how, err);
    sru_words_close(&counted);
    return status;
}

static sru_status from_texts(struct sru_corpus *c, const struct sru_sources *from, const struct sru_tokenizing *how, struct sru_error *err)
{
    struct stretch part[SRU_PARTS] = { { 0 } };
    sru_status status = open_texts(c, from, how->unit == SRU_WORDS, part, err);

    if (status)
        return status;
    for (size_t i = 0; i < SRU_PARTS; i++)
        c->fingerprint = c->fingerprint * 31 + sru_text_fingerprint(c->text[i].data, c->text[i].size);
    if (how->unit == SRU_BYTES)
        find_bytes(c);
    else if ((status = find_words(c, how, &part[SRU_TRAIN], err)))
        return status;
    for (size_t i = 0; i < SRU_PARTS && !status; i++)
        status = sru_part_of(&c->part[i], &c->vocab, part[i].data, part[i].size, part[i].name, err);
    for (size_t i = 0; i < SRU_PARTS && how->unit == SRU_WORDS; i++)
        sru_text_close(&c->text[i]);
    return status;
}

/* The texts of a directory; NULL where there is none of that name. */
static void find_texts(const char *directory, char *names[SRU_PARTS])
{
    static const char *const texts[SRU_PARTS] = { "train.txt", "valid.txt", "test.txt" };

    for (size_t i = 0; i < SRU_PARTS; i++) {
        names[i] = sru_path_join(directory, texts[i]);
        if (names[i] && access(names[i], R_OK)) {
            free(names[i]);
            names[i] = NULL;
        }
    }
}

static sru_status from_directory(struct sru_corpus *c, const char *directory, const struct sru_tokenizing *how, struct sru_error *err)
{
    char *names[SRU_PARTS];

    find_texts(directory, names);
    const struct sru_sources texts = { .path = { names[SRU_TRAIN], names[SRU_VALID], names[SRU_TEST] } };
    const sru_status status = names[SRU_TRAIN] && names[SRU_VALID] ? from_texts(c, &texts, how, err)
        : sru_fail(err, SRU_EIO, "%s is a directory, and has neither " SRU_PREPARED_NAME " nor train.txt and valid.txt", directory);
    for (size_t i = 0; i < SRU_PARTS; i++)
        free(names[i]);
    return status;
}

/* Where texts come from: the paths given, or a directory's. */
static sru_status open_sources(struct sru_corpus *c, const struct sru_sources *from, const struct sru_tokenizing *how, struct sru_error *err)
{
    const char *path = from->path[SRU_TRAIN];
    struct stat st;

    if (sru_is_prepared(path))
        return sru_prepared_open(c, from, err);
    if (!from->path[SRU_VALID] && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return from_directory(c, path, how, err);
    return from_texts(c, from, how, err);
}

sru_status sru_corpus_open(struct sru_corpus *c, const struct sru_sources *from, const struct sru_tokenizing *how, struct sru_error *err)
{
    const char *const valid = from->path[SRU_VALID] ? from->path[SRU_VALID] : from->path[SRU_TRAIN];

    *c = (struct sru_corpus){ .file.fd = -1 };
    sru_status status = open_sources(c, from, how, err);
    if (!status && c->part[SRU_VALID].size < 2)
        status = sru_fail(err, SRU_EFORMAT, "%s is too short: its valid part has %zu %ss", valid, c->part[SRU_VALID].size,
                          sru_unit_name(c->vocab.unit));
    if (status)
        sru_corpus_close(c);
    return status;
}

void sru_corpus_close(struct sru_corpus *c)
{
    for (size_t i = 0; i < SRU_PARTS; i++) {
        sru_part_close(&c->part[i]);
        sru_text_close(&c->text[i]);
    }
    sru_vocab_close(&c->vocab);
    sru_prepared_close(c);
    *c = (struct sru_corpus){ .file.fd = -1 };
}
