/*
 * Naive double-precision twins of the operators of src/ops.h: the plainest possible statement of what each computes.
 * Arrays are dense; letters and layouts are those of ops.h.  A mask is an array of factors, or NULL.
 */
#ifndef SRU_TESTS_REFERENCE_H
#define SRU_TESTS_REFERENCE_H

#include "src/ops.h"

void ref_mask(const struct sru_mask *m, uint32_t step, size_t rows, size_t cols, double *out);
void ref_embed(size_t N, size_t d, const int32_t *tokens, const double *table, const double *mask, double *x);
void ref_linear(size_t rows, size_t in, size_t out, const double *x, const double *w, double *y);
/* Sizes and visibility from s. */
void ref_attend(const struct sru_attend *s, const double *q, const double *k, const double *v, const double *mask,
                double *out);
/* a, gamma (with beta) may be NULL. */
void ref_norm(size_t N, size_t cols, const double *a, const double *alpha, const double *r, const double *gamma,
              const double *beta, const double *mask, double *y);
/* Sizes and scale from s. */
void ref_recur(const struct sru_recur *s, const double *a, const double *w3, const double *x, const double *v,
               const double *bias, const double *c0, const double *mask, double *h, double *c1);
void ref_predict(size_t N, size_t d, size_t V, const double *h, const double *mask, const double *w,
                 const double *bias, const int32_t *targets, double *nll, double *logits);
/* The step s describes, on its arenas as doubles: s's own are not used. */
void ref_muon(const struct sru_muon *s, const struct sru_step *step, double clip, double *w, const double *g, double *m);

#endif
