/* Parts of a text, and streams: see part.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/part.h"
#include "src/text/shuffle.h"

bool sru_split_parse(const char *word, double percent[3])
{
    double sum = 0;
    size_t n = 0;

    percent[2] = 0;
    for (const char *at = word; n < 3; at++) {
        char *end;

        if (strchr(" \t\n+-", *at))   /* the empty string's end included */
            return false;
        percent[n] = strtod(at, &end);
        if (end == at || !(percent[n] > 0))
            return false;
        sum += percent[n++];
        at = end;
        if (*at == '\0')
            return n >= 2 && sum <= 100;
        if (*at != '/')
            return false;
    }
    return false;
}

void sru_split_text(const struct sru_text *t, const double percent[3], bool lines, size_t end[3])
{
    double sum = 0;
    size_t before = 0;

    for (size_t i = 0; i < 3; i++) {
        sum += percent[i];
        end[i] = percent[i] > 0 ? sru_max(before, sum >= 100 ? t->size : sru_min(t->size, (size_t)((double)t->size * sum / 100))) : before;
        if (lines && end[i] > 0 && end[i] < t->size && t->data[end[i] - 1] != '\n') {
            const char *line = memchr(t->data + end[i], '\n', t->size - end[i]);
            end[i] = line ? (size_t)(line - t->data) + 1 : t->size;
        }
        before = end[i];
    }
}

/* ---- Streams of a text ---------------------------------------------------------------------------- */

static const char name[] = "the training text";

static size_t stream_length(const struct sru_streams *s)
{
    return s->part.size > 0 ? (s->part.size - 1) / s->B : 0;
}

static sru_status get_text(const struct sru_streams *s, int32_t *tokens, int32_t *targets, struct sru_error *err)
{
    sru_status status = SRU_OK;

    for (size_t b = 0; b < s->B && !status; b++) {
        const size_t from = b * stream_length(s) + (size_t)s->segment * s->T;

        if (!(status = sru_part_get(&s->part, s->vocab, from, s->T, tokens + b * s->T, name, err)))
            status = sru_part_get(&s->part, s->vocab, from + 1, s->T, targets + b * s->T, name, err);
    }
    return status;
}

/* ---- Streams of sentences ---------------------------------------------------------------------------- */

/* Sentence `done` of a stream, from its token `at` on; the token before it is the segment's first. */
struct sru_cursor {
    uint64_t done, at;
};

static uint64_t sentences(const struct sru_streams *s)
{
    return s->part.n_lines / s->B;
}

static void rewind_cursors(struct sru_streams *s)
{
    for (size_t b = 0; b < s->B; b++)
        s->cursors[b] = (struct sru_cursor){ 0 };
}

/* A stream's sentence i: its first token, and how many it has.  SRU_EFORMAT: it is not in the part. */
static sru_status sentence(const struct sru_streams *s, size_t b, uint64_t i, uint64_t *first, uint64_t *size, struct sru_error *err)
{
    const uint64_t line = sru_shuffled(b * sentences(s) + i, s->part.n_lines, s->seed, s->epoch), end = s->part.lines[line + 1];

    *first = s->part.lines[line];
    *size = end - *first;
    return *first >= 1 && *first < end && end <= s->part.size ? SRU_OK
        : sru_fail(err, SRU_EFORMAT, "%s: sentence %llu is not where it can be", name, (unsigned long long)line);
}

/* Move a stream's cursor over T tokens, into `out` unless it is NULL.  *over: the stream ends before. */
static sru_status advance(struct sru_streams *s, size_t b, int32_t *out, bool *over, struct sru_error *err)
{
    struct sru_cursor c = s->cursors[b];
    size_t filled = 0;

    *over = false;
    while (filled < s->T) {
        uint64_t first, size;
        sru_status status;

        if (c.done == sentences(s)) {
            *over = true;
            return SRU_OK;
        }
        if ((status = sentence(s, b, c.done, &first, &size, err)))
            return status;
        const size_t n = (size_t)(size - c.at < s->T - filled ? size - c.at : s->T - filled);
        if (out && (status = sru_part_get(&s->part, s->vocab, (size_t)(first + c.at), n, out + filled, name, err)))
            return status;
        filled += n;
        c.at += n;
        if (c.at == size)
            c = (struct sru_cursor){ c.done + 1, 0 };
    }
    s->cursors[b] = c;
    return SRU_OK;
}

/* The token before a stream's cursor. */
static sru_status token_before(const struct sru_streams *s, size_t b, int32_t *token, struct sru_error *err)
{
    const struct sru_cursor c = s->cursors[b];
    uint64_t first, size;
    sru_status status;

    if (c.at == 0) {   /* the end of a sentence: they all have the same */
        *token = s->vocab->end;
        return SRU_OK;
    }
    if ((status = sentence(s, b, c.done, &first, &size, err)))
        return status;
    return sru_part_get(&s->part, s->vocab, (size_t)(first + c.at) - 1, 1, token, name, err);
}

static sru_status get_sentences(struct sru_streams *s, int32_t *tokens, int32_t *targets, bool *over, struct sru_error *err)
{
    sru_status status = SRU_OK;

    *over = false;
    for (size_t b = 0; b < s->B && !status && !*over; b++) {
        int32_t *x = tokens + b * s->T, *y = targets + b * s->T;

        if ((status = token_before(s, b, x, err)) || (status = advance(s, b, y, over, err)) || *over)
            return status;
        memcpy(x + 1, y, (s->T - 1) * sizeof *x);
    }
    return status;
}

/* ---- Streams of either --------------------------------------------------------------------------------- */

/* Segments of an epoch; of sentences an estimate, from their mean length. */
static uint64_t segments(const struct sru_streams *s)
{
    return stream_length(s) / s->T;
}

sru_status sru_streams_open(struct sru_streams *s, const struct sru_vocab *v, const struct sru_part *part, size_t B, size_t T, uint64_t seed,
                            struct sru_error *err)
{
    *s = (struct sru_streams){ .vocab = v, .part = *part, .B = B, .T = T, .seed = seed };
    if (segments(s) == 0)
        return sru_fail(err, SRU_EFORMAT, "the training text is too short: it has %zu %ss, and %zu streams of %zu positions "
                        "need %zu; give more text, or a smaller --batch or --unroll", part->size, sru_unit_name(v->unit), B, T, B * T + 1);
    if (part->lines && !(s->cursors = calloc(B, sizeof *s->cursors)))
        return sru_fail(err, SRU_ENOMEM, "out of memory for %zu streams", B);
    return SRU_OK;
}

void sru_streams_close(struct sru_streams *s)
{
    free(s->cursors);
    *s = (struct sru_streams){ 0 };
}

sru_status sru_streams_seek(struct sru_streams *s, uint64_t epoch, uint64_t segment, struct sru_error *err)
{
    bool over = !s->cursors && segment > segments(s);
    sru_status status = SRU_OK;

    s->epoch = epoch;
    if (s->cursors)
        rewind_cursors(s);
    for (s->segment = 0; s->segment < segment && s->cursors && !over && !status; s->segment++)
        for (size_t b = 0; b < s->B && !over && !status; b++)
            status = advance(s, b, NULL, &over, err);
    s->segment = segment;
    if (status)
        return status;
    return over ? sru_fail(err, SRU_EFORMAT, "%s has no segment %llu", name, (unsigned long long)segment) : SRU_OK;
}

/* The next segment of the epoch.  *over: there is none. */
static sru_status get(struct sru_streams *s, int32_t *tokens, int32_t *targets, bool *over, struct sru_error *err)
{
    if (s->cursors)
        return get_sentences(s, tokens, targets, over, err);
    *over = s->segment == segments(s);
    return *over ? SRU_OK : get_text(s, tokens, targets, err);
}

sru_status sru_streams_next(struct sru_streams *s, int32_t *tokens, int32_t *targets, bool *anew, struct sru_error *err)
{
    bool over;
    sru_status status = get(s, tokens, targets, &over, err);

    *anew = over && !s->cursors;   /* sentences follow each other in no order, in an epoch or across */
    if (!status && over) {
        s->epoch++;
        s->segment = 0;
        if (s->cursors)
            rewind_cursors(s);
        status = get(s, tokens, targets, &over, err);
    }
    if (!status && over)
        return sru_fail(err, SRU_EFORMAT, "%s has %zu sentences, too few for %zu streams: give a smaller --batch or --unroll", name,
                        s->part.n_lines, s->B);
    s->segment += !status;
    return status;
}
