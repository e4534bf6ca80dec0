/* Parts of a text, and streams: see text.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/size.h"
#include "src/text/text.h"

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

void sru_split_text(const struct sru_text *t, const double percent[3], struct sru_part part[3])
{
    double sum = 0;
    size_t at = 0;

    for (size_t i = 0; i < 3; i++) {
        sum += percent[i];
        const size_t end = sum >= 100 ? t->size : sru_min(t->size, (size_t)((double)t->size * sum / 100));

        part[i] = (struct sru_part){ t->data + at, percent[i] > 0 ? end - at : 0 };
        at = end;
    }
}

sru_status sru_streams_open(struct sru_streams *s, const struct sru_vocab *v, struct sru_part part, size_t B, size_t T,
                            struct sru_error *err)
{
    *s = (struct sru_streams){ .vocab = v, .part = part, .B = B, .T = T };
    s->length = part.size ? (part.size - 1) / B : 0;
    s->segments = s->length / T;
    if (s->segments == 0)
        return sru_fail(err, SRU_EFORMAT, "the training text is too short: it has %zu bytes, and %zu streams of %zu positions "
                        "need %zu; give more text, or a smaller --batch or --unroll", part.size, B, T, B * T + 1);
    for (size_t i = 0; i < part.size; i++)
        if (v->ids[(unsigned char)part.data[i]] < 0)
            return sru_fail(err, SRU_EFORMAT, "the training text has a byte %u at %zu that is not in the vocabulary",
                            (unsigned char)part.data[i], i);
    return SRU_OK;
}

void sru_streams_get(const struct sru_streams *s, size_t segment, int32_t *tokens, int32_t *targets)
{
    for (size_t b = 0; b < s->B; b++) {
        const char *from = s->part.data + b * s->length + segment * s->T;

        for (size_t t = 0; t < s->T; t++) {
            tokens[b * s->T + t] = s->vocab->ids[(unsigned char)from[t]];
            targets[b * s->T + t] = s->vocab->ids[(unsigned char)from[t + 1]];
        }
    }
}
