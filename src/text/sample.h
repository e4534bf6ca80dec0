/* Choosing the next token from a model's scores. */
#ifndef SRU_TEXT_SAMPLE_H
#define SRU_TEXT_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct sru_sampler {
    double   temperature;   /* divides the scores; 0: always the best token */
    size_t   top_k;         /* only the k best; 0: all */
    double   top_p;         /* only the fewest best whose probabilities sum to p; 1: all */
    uint64_t seed;
};

/* A token that may be chosen; the caller lends room for V of them. */
struct sru_candidate {
    double  weight;
    int32_t id;
};

/*
 * Choose a token: temperature, then top-k, then top-p on what that left; then one draw, which depends on the seed,
 * the position and the scores alone.  Of equal scores the smaller id is the better.
 *
 * @param logits  [V]; -inf excludes a token     @param work  [V]
 * @return the token; -1 where none can be chosen: a score is NaN or +inf, or all are -inf.
 */
int32_t sru_sample(const struct sru_sampler *s, const float *logits, size_t V, uint64_t position, struct sru_candidate *work);

#endif
