/* Parts of a text, and streams: see part.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/part.h"

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

sru_status sru_streams_open(struct sru_streams *s, const struct sru_vocab *v, const struct sru_part *part, size_t B, size_t T,
                            struct sru_error *err)
{
    *s = (struct sru_streams){ .vocab = v, .part = *part, .B = B, .T = T };
    s->length = part->size ? (part->size - 1) / B : 0;
    s->segments = s->length / T;
    if (s->segments == 0)
        return sru_fail(err, SRU_EFORMAT, "the training text is too short: it has %zu %ss, and %zu streams of %zu positions "
                        "need %zu; give more text, or a smaller --batch or --unroll", part->size, sru_unit_name(v->unit), B, T, B * T + 1);
    return SRU_OK;
}

sru_status sru_streams_get(const struct sru_streams *s, size_t segment, int32_t *tokens, int32_t *targets, struct sru_error *err)
{
    static const char name[] = "the training text";
    sru_status status = SRU_OK;

    for (size_t b = 0; b < s->B && !status; b++) {
        const size_t from = b * s->length + segment * s->T;

        if (!(status = sru_part_get(&s->part, s->vocab, from, s->T, tokens + b * s->T, name, err)))
            status = sru_part_get(&s->part, s->vocab, from + 1, s->T, targets + b * s->T, name, err);
    }
    return status;
}
