/* Lines by themselves: see eval-lines.h. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/eval-lines.h"
#include "src/size.h"
#include "src/text/part.h"

enum { STEP = 16 };   /* positions are read in multiples of it: few sizes recur, and devices keep what they make for each */

struct scores {
    double nats, known;      /* of all tokens, and of those that are in the vocabulary */
    uint64_t tokens, unknown;
};

struct work {
    struct sru_net *net;
    const struct sru_vocab *v;
    const char *name;
    int32_t end;             /* the token of a line's end, or -1 */
    float   *nll;            /* [net->T + STEP] */
};

static sru_status out_of_memory(struct sru_error *err)
{
    return sru_fail(err, SRU_ENOMEM, "out of memory for a line");
}

/* A line's tokens between the ends of two lines, to be freed, and room for STEP more; *n of them in all. */
static sru_status encode(const struct work *w, const char *line, size_t size, int32_t **ids, size_t *n, struct sru_error *err)
{
    const bool words = w->v->unit == SRU_WORDS;
    struct sru_part part;
    sru_status status = sru_part_of(&part, w->v, line, size, w->name, err);

    *ids = NULL;
    if (status)
        return status;
    const size_t inside = part.size - (words && part.size > 0 ? 1 : 0);   /* words' part ends with the line */
    *n = 0;
    if (!(*ids = malloc((inside + 2 + STEP) * sizeof **ids)))
        status = out_of_memory(err);
    if (!status && w->end >= 0)
        (*ids)[(*n)++] = w->end;
    if (!status)
        status = sru_part_get(&part, w->v, 0, inside, *ids + *n, w->name, err);
    *n += inside;
    if (!status && w->end >= 0)
        (*ids)[(*n)++] = w->end;
    sru_part_close(&part);
    return status;
}

/* Tokens but the first, each after those before it, from an empty state. */
static sru_status score(const struct work *w, int32_t *ids, size_t n, struct scores *s, struct sru_error *err)
{
    sru_net_reset(w->net);
    for (size_t i = 0; i < STEP; i++)
        ids[n + i] = ids[0];   /* what comes after the line changes nothing in it */
    for (size_t at = 0; at + 1 < n;) {
        const size_t t = sru_min(w->net->T, n - 1 - at), padded = sru_min(w->net->T, sru_round_up(t, STEP));
        const sru_status status = sru_net_read(w->net, padded, ids + at, ids + at + 1, w->nll, err);

        if (status)
            return status;
        for (size_t i = 0; i < t; i++) {
            const bool unknown = w->v->unit == SRU_WORDS && ids[at + 1 + i] == w->v->unknown;

            s->nats += (double)w->nll[i];
            s->known += unknown ? 0 : (double)w->nll[i];
            s->unknown += unknown;
        }
        s->tokens += t;
        at += t;
    }
    return SRU_OK;
}

static sru_status score_lines(const struct work *w, const struct sru_text *text, struct scores *all, struct sru_error *err)
{
    sru_status status = SRU_OK;

    for (size_t at = 0; at < text->size && !status && !ferror(stdout);) {   /* main reports an error of stdout */
        const char *line = text->data + at, *end = memchr(line, '\n', text->size - at);
        const size_t size = end ? (size_t)(end - line) : text->size - at;
        struct scores s = { 0 };
        int32_t *ids;
        size_t n;

        at += size + 1;
        if (!(status = encode(w, line, size, &ids, &n, err)))
            status = score(w, ids, n, &s, err);
        free(ids);
        if (status)
            break;
        printf("Total: %.6f OOV: %llu\n", -s.nats / log(10), (unsigned long long)s.unknown);
        all->nats += s.nats;
        all->known += s.known;
        all->tokens += s.tokens;
        all->unknown += s.unknown;
    }
    return status;
}

static void print(const struct scores *s)
{
    printf("Perplexity including OOVs:\t%.6g\n", exp(s->nats / (double)s->tokens));
    printf("Perplexity excluding OOVs:\t%.6g\n", exp(s->known / (double)(s->tokens - s->unknown)));
    printf("OOVs:\t%llu\nTokens:\t%llu\n", (unsigned long long)s->unknown, (unsigned long long)s->tokens);
}

sru_status sru_eval_lines(struct sru_net *net, const struct sru_vocab *v, const struct sru_text *text, const char *name, struct sru_error *err)
{
    const struct work w = { .net = net, .v = v, .name = name, .end = v->unit == SRU_WORDS ? v->end : v->ids['\n'],
                      .nll = malloc((net->T + STEP) * sizeof *w.nll) };
    struct scores all = { 0 };
    const sru_status status = w.nll ? score_lines(&w, text, &all, err) : out_of_memory(err);

    if (!status)
        print(&all);
    free(w.nll);
    return status;
}
