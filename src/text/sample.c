/* Choosing the next token: see sample.h. */
#include "config.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "simd/philox.h"
#include "src/size.h"
#include "src/text/sample.h"

#define DRAW 0xFFFFFFFEu   /* a place that no dropout mask has */

static int32_t find_best(const float *logits, size_t V)
{
    int32_t best = -1;

    for (size_t i = 0; i < V; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return -1;
        if (logits[i] > -INFINITY && (best < 0 || logits[i] > logits[best]))
            best = (int32_t)i;
    }
    return best;
}

static bool comes_first(const struct sru_candidate *a, const struct sru_candidate *b)
{
    return a->weight != b->weight ? a->weight > b->weight : a->id < b->id;
}

/* Let candidate i sink until neither of those below it comes first. */
static void sink(struct sru_candidate *c, size_t i, size_t n)
{
    const struct sru_candidate moving = c[i];

    for (size_t below; (below = 2 * i + 1) < n; i = below) {
        if (below + 1 < n && comes_first(&c[below + 1], &c[below]))
            below++;
        if (!comes_first(&c[below], &moving))
            break;
        c[i] = c[below];
    }
    c[i] = moving;
}

static double total_weight(const struct sru_candidate *c, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += c[i].weight;
    return sum;
}

static void swap(struct sru_candidate *a, struct sru_candidate *b)
{
    const struct sru_candidate kept = *a;

    *a = *b;
    *b = kept;
}

/*
 * The best candidates in front, best first: `most` of them, or as few as have the share p of the weight; at least one.  They come
 * off a heap, so that no more than these are sorted.
 */
static size_t keep_best(struct sru_candidate *c, size_t n, size_t most, double p)
{
    const double all = total_weight(c, n);
    double sum = 0;
    size_t kept = 0;

    for (size_t i = n / 2; i-- > 0;)
        sink(c, i, n);
    while (kept < sru_min(most, n) && (kept == 0 || p >= 1 || sum < p * all)) {
        sum += c[0].weight;
        swap(&c[0], &c[n - ++kept]);   /* to the end, where they stand the other way round */
        sink(c, 0, n - kept);
    }
    for (size_t i = 0; i < kept / 2; i++)
        swap(&c[n - kept + i], &c[n - 1 - i]);
    memmove(c, c + n - kept, kept * sizeof *c);
    return kept;
}

/* Candidates with exp(score / temperature), relative to the best, that top-k and top-p leave. */
static size_t gather(const struct sru_sampler *s, const float *logits, size_t V, int32_t best, struct sru_candidate *c)
{
    size_t n = 0;

    for (size_t i = 0; i < V; i++) {
        const double weight = exp(((double)logits[i] - (double)logits[best]) / s->temperature);
        if (weight > 0)
            c[n++] = (struct sru_candidate){ weight, (int32_t)i };
    }
    if (s->top_k > 0 && s->top_k < n)
        n = keep_best(c, n, s->top_k, 1);
    return s->top_p < 1 ? keep_best(c, n, n, s->top_p) : n;
}

/* Uniform in [0,1), 53 bits. */
static double draw(uint64_t seed, uint64_t position)
{
    uint32_t c[4] = { (uint32_t)position, (uint32_t)(position >> 32), 0, DRAW };

    sru_philox(c, seed);
    return ((double)(c[0] >> 5) * 67108864.0 + (double)(c[1] >> 6)) / 9007199254740992.0;
}

int32_t sru_sample(const struct sru_sampler *s, const float *logits, size_t V, uint64_t position, struct sru_candidate *work)
{
    const int32_t best = find_best(logits, V);

    if (best < 0 || s->temperature <= 0)
        return best;
    const size_t n = gather(s, logits, V, best, work);
    const double target = draw(s->seed, position) * total_weight(work, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if ((sum += work[i].weight) > target)
            return work[i].id;
    return work[n - 1].id;   /* rounding left the sum a little below the target */
}
