/*
 * Vector kernels of the CPU: the loops inside operators, over rows that stand in cache.
 * Their source (kernels.c) is compiled once for each instruction set; a table is chosen at run time.
 * They know neither threads nor files; arrays are f32, dense, and need no alignment.
 */
#ifndef SRU_SIMD_KERNELS_H
#define SRU_SIMD_KERNELS_H

#include <stddef.h>

#include "src/ops.h"

/* One stream's recurrence over units [0,n) of d, through T positions.  Rows of u are 3d apart, all others d. */
struct sru_scan {
    size_t T, n, d;
    float  scale;
    float       *u;             /* U0, U1, U2 d apart; the forward leaves U0, f, r and the backward dU */
    const float *x, *m, *c0;
    const float *v, *bias;      /* v_f, v_r and b_f, b_r, d apart */
    float       *c;             /* the states' rows; or, with `last`, one row: the state in place (may be c0) */
    bool         last;
    float       *h;
    const float *dh;
    float       *dx;
    float       *dv, *dbias;    /* as v and bias (+=) */
    float       *dc;            /* [n] the backward's workspace, zeros at first */
};

struct sru_kernels {
    const char *name;

    /* Factors of one row of a mask (not `given`). */
    void (*mask_row)(const struct sru_mask *, size_t row, size_t cols, float *out);
    void  (*mul)(size_t n, const float *a, const float *b, float *y);                    /* y = a b */
    void  (*add)(size_t n, const float *a, float *y);                                    /* y += a */
    void  (*scale)(size_t n, float alpha, const float *x, float *y);                     /* y = alpha x */
    void  (*mix)(size_t n, float alpha, const float *a, const float *r, float *y);       /* y = alpha a + r */
    float (*dot)(size_t n, const float *a, const float *b);

    /* s = softmax(factor s) in place. */
    void (*softmax)(size_t n, float factor, float *s);
    /* ds = p (dp - sum(p dp)) factor, in place of dp. */
    void (*softmax_back)(size_t n, float factor, const float *p, float *dp);

    /* y = LN(y) in place; stats = mean and 1/sigma. */
    void (*norm)(size_t n, const float *gamma, const float *beta, float *y, float stats[2]);
    /* The gradient of s from dy, in place of s; dgamma and dbeta +=. */
    void (*norm_back)(size_t n, const float *gamma, const float stats[2], const float *dy, float *s,
                      float *dgamma, float *dbeta);

    void (*scan)(const struct sru_scan *);
    void (*scan_back)(const struct sru_scan *);

    /* nll of one row of logits; with factor != 0 the row becomes factor * (softmax - onehot). */
    float (*nll)(size_t V, float *logits, int32_t target, float factor);

    void   (*update)(const struct sru_update *, size_t from, size_t to);
    double (*sumsq)(size_t n, const float *x);
};

extern const struct sru_kernels sru_kernels_baseline;
#ifdef SRU_HAVE_X86_KERNELS
extern const struct sru_kernels sru_kernels_avx2, sru_kernels_avx512;
#endif

/* The table of a name, or the best that runs here for NULL; SRU_EINVAL, SRU_EDEVICE. */
sru_status sru_kernels_find(const char *name, const struct sru_kernels **out, struct sru_error *err);

#endif
