/*
 * Vector kernels of the CPU: the loops inside operators, over rows that stand in cache.
 * Their source is compiled once for each instruction set and each storage of activations; a table is chosen at run time.
 * They know neither threads nor files.  Arrays are dense and need no alignment; NaN in is NaN out; an array that is
 * written may be one that is read only where that is said.
 *
 * sru_act is f32, or bf16 where the table's act_bytes is 2.  bf16 is rounded to nearest, ties to even, once: whatever
 * happens between reading and writing is in f32.  A mask's factors `m` are f32; NULL drops nothing.
 */
#ifndef SRU_SIMD_KERNELS_H
#define SRU_SIMD_KERNELS_H

#include <stddef.h>

#include "src/ops.h"

/* One row of a norm: s = alpha a + r (a NULL: s = r), y = m * ((s - mean) / sigma * gamma + beta); gamma NULL: y = m s. */
struct sru_norm_row {
    size_t n;
    float  alpha;
    const sru_act *a, *r;
    const float   *gamma, *beta, *m;
    sru_act *y;             /* may be r */
    float   *stats;         /* mean and 1/sigma: the forward writes, the backward reads them */
    float   *room;          /* [n] workspace */
    /* Backward.  dy may be dr where it is replaced. */
    const sru_act *dy;
    sru_act *da;            /* (=) alpha ds; with a */
    sru_act *dr;            /* (=) ds or, with add_dr, (+=) */
    bool     add_dr;
    float   *dgamma, *dbeta;    /* (+=); with gamma */
    float    dalpha;            /* out: sum of ds a; with a */
};

/*
 * One stream's recurrence over units [0,n) of d, through T positions.  Rows of u and du are 3d apart (U0, U1, U2 d apart
 * in each), all others d.  u is read alone: the backward computes f and r again, and has (1 - f) (c[t-1] - U0) from
 * c[t-1] - c[t].
 */
struct sru_scan {
    size_t T, n, d;
    float  scale;
    const sru_act *u, *x;
    const float   *m, *c0;      /* [n]; m NULL: ones */
    const float   *v, *bias;    /* v_f, v_r and b_f, b_r, d apart */
    float         *c;           /* the states' rows; or, with `last`, one row: the state in place (may be c0) */
    bool           last;
    sru_act       *h;
    const sru_act *dh;
    sru_act       *dx;          /* may be dh */
    sru_act       *du;          /* may be u */
    float         *dv, *dbias;  /* as v and bias (+=) */
    float         *dc;          /* [n] the backward's workspace, zeros at first */
};

/* How weights stand in panels; int8 ones have a scale for each output. */
enum sru_form { SRU_AS_F32, SRU_AS_BF16, SRU_AS_INT8, SRU_FORMS };
enum { SRU_PANEL = 16 };

/*
 * Products of a few rows with weights [out,in] that stand in panels of 16 outputs, [out/16][in][16], zeros after the last:
 * y[b][o] = sum of w[o][i] x[b][i].
 */
struct sru_panels {
    size_t rows, in, out;
    size_t x_stride, y_stride;  /* of rows of x, and of y or sum */
    const void  *w;
    const float *scale;         /* [out] and what fills the last panel; int8 */
    const float *x;
    sru_act     *y;             /* (=) */
    float       *sum;           /* (+=) instead of y; or NULL */
};

/* Part of a product, f32: c [rows,cols] (=) or, with add, (+=) a [rows,depth] b, rows of a and c being strides apart. */
struct sru_tile {
    size_t rows, cols;          /* up to the table's tile_rows and tile_cols */
    size_t depth;
    size_t a_stride, c_stride;
    const float *a;
    const float *b;             /* a panel [depth,tile_cols], whole vectors past cols */
    float *c;
    bool   add;
};

struct sru_kernels {
    const char *name;
    size_t act_bytes;

    /* Conversion.  widen: activations to f32; narrow: f32 to activations. */
    void (*widen)(size_t n, const sru_act *x, float *y);
    void (*narrow)(size_t n, const float *x, sru_act *y);

    /* Factors of one row of a mask (not `given`): 0 or 1/(1-rate), by Philox (simd/philox.h). */
    void (*mask_row)(const struct sru_mask *, size_t row, size_t cols, float *out);
    /* y = m x, where y may be x; and y += m x. */
    void (*mask)(size_t n, const sru_act *x, const float *m, sru_act *y);
    void (*mask_add)(size_t n, const sru_act *x, const float *m, sru_act *y);
    /* x = m e, and its backward de += m dx. */
    void (*embed)(size_t n, const float *e, const float *m, sru_act *x);
    void (*embed_back)(size_t n, const sru_act *dx, const float *m, float *de);
    /* y += a, and y += all of the rows of x. */
    void (*add)(size_t n, const float *a, float *y);
    void (*add_rows)(size_t rows, size_t n, const sru_act *x, float *y);

    /* p = softmax(factor s); s is used up. */
    void (*softmax)(size_t n, float factor, float *s, sru_act *p);
    /* ds = p (m dp - sum(p m dp)) factor. */
    void (*softmax_back)(size_t n, float factor, const sru_act *p, const float *m, const float *dp, sru_act *ds);
    /* nll of one row of logits, which is used up; with factor != 0, d = factor (softmax - onehot). */
    float (*nll)(size_t V, float *logits, int32_t target, float factor, sru_act *d);

    void (*norm)(const struct sru_norm_row *);
    void (*norm_back)(struct sru_norm_row *);

    void (*scan)(const struct sru_scan *);
    void (*scan_back)(const struct sru_scan *);

    /* x [rows,cols] to y [cols,rows]; rows of x are x_stride apart, those of y y_stride. */
    void (*transpose)(size_t rows, size_t cols, const sru_act *x, size_t x_stride, sru_act *y, size_t y_stride);
    /*
     * Columns [0,n), n <= 64, of f32 weights w [k,n] to what oneDNN calls BA16a64b, or BA16a64b2a in bf16: 64 columns of a
     * row together, in bf16 a row's and the next one's by turns; zeros to 64 columns and to a multiple of 16 rows, in bf16
     * of 32.  One of the strides is 1.
     */
    void (*pack)(size_t k, size_t n, const float *w, size_t k_stride, size_t n_stride, sru_act *out);

    /* A tile of a product; and the panels of `cols` columns of b [depth,..], rows a stride apart, with zeros after them. */
    size_t tile_rows, tile_cols;
    void (*tile)(const struct sru_tile *);
    void (*take_columns)(size_t depth, size_t cols, const float *b, size_t stride, float *out);

    /* Decoding (simd/decode.h): panels [from,to) in a form. */
    void (*panels[SRU_FORMS])(const struct sru_panels *, size_t from, size_t to);
    /*
     * Attention of one query: s[j] = q . k[j] of rows `stride` apart; s = softmax(factor s); out = sum of p[j] v[j],
     * which gathers in sum [cols].
     */
    void (*keys)(size_t n, size_t cols, size_t stride, const sru_act *q, const sru_act *k, float *s);
    void (*probabilities)(size_t n, float factor, float *s);
    void (*values)(size_t n, size_t cols, size_t stride, const float *p, const sru_act *v, float *sum, sru_act *out);

    void   (*update)(const struct sru_update *, size_t from, size_t to);
    double (*sumsq)(size_t n, const float *x);

    /* Muon.  m = b m + (1-b) clip g; the sum of squares of u = b m + (1-b) clip g, and x = scale u. */
    double (*momentum)(size_t n, float b, float clip, const float *g, float *m);
    void   (*direction)(size_t n, float b, float clip, float scale, const float *g, const float *m, sru_act *x);
    /* aa = c[0] I + c[1] a + c[2] aa, of [n,n]. */
    void   (*polynomial)(size_t n, const float c[3], const sru_act *a, sru_act *aa);
    /* w = (1 - decay) w - rate x. */
    void   (*descend)(size_t n, float decay, float rate, const sru_act *x, float *w);
};

/*
 * The table of an instruction set, or of the best that runs here for NULL.  @param bf16  storage of activations
 * @return SRU_EINVAL for an unknown name, SRU_EDEVICE where the processor or its operating system lacks it.
 */
sru_status sru_kernels_find(const char *name, bool bf16, const struct sru_kernels **out, struct sru_error *err);

/* Table n of all that run here, for tests; NULL after the last. */
const struct sru_kernels *sru_kernels_at(size_t n);

#endif
