/*
 * The operator interface: all that the model asks of a device.
 *
 * Letters: B streams, T positions of a segment, M positions of memory before it, N = B*T,
 * d hidden size, p attention size, H heads, V vocabulary.  Arrays are row-major and
 * stream-major: position t of stream b is row b*T + t.
 *
 * Activations (sru_act) are in the device's storage type, act_bytes each; only operators look inside.
 * Everything that is `float` is f32 on every device: parameters, gradients, states, statistics, losses.
 * All pointers are device memory unless said to be the host's.
 *
 * An operator's arguments stand in one struct, filled alike for the forward and its backward; a forward
 * ignores the gradients' members.  "(=)" says a result replaces what was there, "(+=)" that it is added.  Weights'
 * gradients are replaced.  What differs from step to step of training stands in device memory (struct sru_step), so that a step
 * can be recorded once and done again.
 * Operators return nothing and allocate nothing: sizes are the caller's business, `reserve` came before, and
 * what fails on the device is reported by `sync`.  Reductions have a fixed order.
 */
#ifndef SRU_OPS_H
#define SRU_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "src/error.h"

typedef struct sru_act sru_act;

/* Rows of all streams: row t of stream b stands at p + b*stride + t*columns. */
struct sru_rows {
    sru_act *p;
    size_t   stride;
};

struct sru_weight {
    float *w, *g;   /* values, and their gradient of the same shape (NULL where nothing trains) */
    void  *operand; /* of a matrix: the device's copies of the values, made by `prepare` in whatever form its products want */
};

/* What a training step has of its own, in device memory. */
struct sru_step {
    uint32_t count;             /* of the dropout masks */
    bool     adaptive;          /* the update divides by sqrt(v) */
    float    rate, decay, correction;
    float    muon_rate, muon_decay;
};

/* What it came to, in device memory. */
struct sru_gauge {
    double loss, norm;          /* mean nats a token; the gradient's norm */
    float  clip;                /* the gradient's factor; 0: the training diverged, and updates do nothing.  1 before the first step */
};

/*
 * Dropout: element (row, column) is 0 with probability `rate` (to a multiple of 2^-16), else 1/(1-rate).  Philox4x32-10 keyed by
 * seed, step, layer and site decides (simd/philox.h); or, where `given` is set, that array of factors [rows, columns].
 * rate 0 without `given` drops nothing and costs nothing.
 */
struct sru_mask {
    float        rate;
    uint32_t     layer, site;
    uint64_t     seed;
    const struct sru_step *step;   /* device memory */
    const float *given;
};

enum sru_site { SRU_SITE_EMBED, SRU_SITE_ATTEND, SRU_SITE_PROJECT, SRU_SITE_HIGHWAY, SRU_SITE_OUTPUT, SRU_SITE_CLUSTER_IN,
                SRU_SITE_CLUSTER_OUT };

/*
 * x[n] = mask * E[token[n]].  Backward: dE[v] = sum of mask * dx[n] over token[n] = v, in the order of n; dx is used up.  With `add`
 * it is added to what dE holds, tokens must not fall, and rows of no token cost nothing.
 */
struct sru_embed {
    size_t B, T, d, V;
    const int32_t    *tokens;   /* [B,T], each in [0,V) */
    struct sru_weight table;    /* [V,d] */
    struct sru_rows   x, dx;    /* d columns */
    struct sru_mask   mask;     /* [N,d] */
    bool              add;
};

/*
 * Some rows of a segment, side by side: `gather` y[i] = mask * x[at[i]], `scatter` x[at[i]] (=) or, with add, (+=) mask * y[i].
 * A row of the mask is that of x.
 */
struct sru_pick {
    size_t n, T, cols;
    const int32_t  *at;         /* [n]: b*T + t, none of them twice */
    struct sru_rows x;          /* cols columns */
    sru_act        *y;          /* [n,cols] */
    struct sru_mask mask;       /* [N,cols] */
    bool            add;
};

/* y = x W^T over `rows` rows of each stream.  Backward: dW = dy^T x; dx = dy W for some of them. */
struct sru_linear {
    size_t B, rows, in, out;
    struct sru_weight w;        /* [out,in] */
    struct sru_rows   x, y, dy;
    struct sru_rows   dx;       /* dx_rows rows of each stream, of its row dx_from and on; (=) or, with add_dx, (+=); p NULL: none */
    size_t            dx_from, dx_rows;
    bool              add_dx;
    bool              add_dw;   /* the weight's gradient is added to */
};

/*
 * Attention of the segment over memory and itself, per head (head h owns columns h*p/H up to (h+1)*p/H):
 *
 *   out = (softmax(q k^T / sqrt(p/H) + visible) . mask) v
 *
 * Key j of M+T is visible to query t when M - present <= j <= M + t and, with window > 0, M + t - j <= window.
 * The memory's keys come first: in rows too, or with `turned`, which asks for M == T, no window and a device that `turns`, after
 * the segment's.
 */
struct sru_attend {
    size_t B, T, M, H, p, present, window;
    bool turned;
    struct sru_rows q;          /* [B,T,p] */
    struct sru_rows k, v;       /* [B,M+T,p] */
    struct sru_rows out, dout;  /* [B,T,p] */
    struct sru_rows dq;         /* (+=) */
    struct sru_rows dkv;        /* (=) [B,M+T,2p]: dk, and beside it dv */
    struct sru_mask mask;       /* [B*H*T, M+T], row (b*H + h)*T + t */
    void           *kept;       /* kept_attend bytes; NULL where no backward follows */
};

/*
 * The same of one position a stream, over those before it in a ring of `rows` keys and values, which fills from its end.  k and v, the
 * position's own, go to their row of the ring first.
 */
struct sru_recall {
    size_t B, H, p, rows;
    const struct sru_place *place;  /* in device memory, for all streams */
    sru_act *q, *k, *v;             /* [B,p] */
    sru_act *keys, *values;         /* [B,rows,p] */
    sru_act *out;                   /* [B,p] */
};

struct sru_place {
    int32_t row, held;          /* the position's row; how many rows, the last, are held then, this one included */
};

/*
 * y = mask * LN(alpha * a + r), LN(s) = (s - mean) / sqrt(var + 1e-5) * gamma + beta.
 * a.p NULL: s = r.  gamma.w NULL: no normalisation, y = mask * s.
 */
struct sru_norm {
    size_t B, T, cols;
    struct sru_rows   a, r, y, dy;
    struct sru_rows   da;       /* (=); a's */
    struct sru_rows   dr;       /* (=) or, with add_dr, (+=); may be dy where (=) */
    bool              add_dr;
    struct sru_weight alpha;    /* [1] */
    struct sru_weight gamma, beta; /* [cols] */
    struct sru_mask   mask;     /* [N,cols] */
    float            *stats;    /* [N,2] mean and 1/sigma; NULL where no backward follows */
};

/*
 * U = a W3^T, then for unit j, with c[-1] = c0:
 *
 *   f = sigmoid(U1 + v_f c[t-1] + b_f)      r = sigmoid(U2 + v_r c[t-1] + b_r)
 *   c[t] = f c[t-1] + (1 - f) U0            h[t] = x' + m r (c[t] - x'),  x' = scale x
 */
struct sru_recur {
    size_t B, T, d, p;
    float  scale;
    struct sru_rows   a, da;    /* p columns; da (=) */
    struct sru_weight w3;       /* [p,3,d], W3 transposed: plane g is output g of every unit */
    struct sru_rows   x;        /* d columns */
    struct sru_rows   dx;       /* (=): scale dx'; may be dh */
    struct sru_weight v, bias;  /* [2,d]: v_f, v_r; b_f, b_r */
    const float      *c0;       /* [B,d] */
    float            *c1;       /* [B,d] the state after the segment; may be c0 where kept is NULL */
    struct sru_rows   h, dh;    /* d columns */
    struct sru_mask   mask;     /* m, [B,d]: one row a stream, the same for all t */
    void             *kept;     /* kept_recur bytes; NULL where no backward follows */
};

/*
 * logits = (mask * h) W^T + b, nll[n] = log sum exp logits[n] - logits[n][target[n]], a block of rows at a time.
 * `predict_back` is the forward and its gradients in one pass: of factor * sum of nll.
 */
struct sru_predict {
    size_t B, T, d, V;
    struct sru_rows   h;        /* d columns */
    struct sru_weight w, bias;  /* [V,d], [V] */
    const int32_t    *targets;  /* [N] in [0,V), or below 0: that row has no loss; NULL: logits alone are wanted */
    float            *nll;      /* [N], nats; with targets */
    float            *logits;   /* [N,V] f32, or NULL */
    struct sru_rows   dh;       /* (=) */
    float             factor;
    struct sru_mask   mask;     /* [N,d] */
};

/*
 * The step's gauge: loss = the mean of nll[N], norm = sqrt(sum of g^2) in double precision and a fixed order.  clip = largest / norm
 * where the norm is above `largest` and that is not 0, else 1; 0 where loss or norm is not finite, and once it was 0.
 */
struct sru_measure {
    size_t N, n;
    const float *nll, *g;       /* [N], [n] */
    double largest;
    struct sru_gauge *gauge;    /* device memory */
};

/*
 * One optimizer step over n scalars, with g' = clip * g (model.md, "Training"):
 *
 *   w -= decay w     m = b1 m + (1-b1) g'     v = b2 v + (1-b2) g'^2
 *   w -= rate m / (sqrt(v) / correction + eps)     or, where not `adaptive`, w -= rate m
 */
struct sru_update {
    size_t n;
    float *w, *g, *m, *v;
    float  beta1, beta2, eps;
    const struct sru_step  *step;    /* decay, rate, correction, adaptive */
    const struct sru_gauge *gauge;   /* clip */
};

/* A matrix in an arena: element (i,j) stands at offset + i*length + j. */
struct sru_muon_matrix {
    size_t offset, rows, cols, length;
    float  scale;               /* of its rate */
};

/*
 * One step of Muon over n matrices (model.md, "Training"), with g' = clip * g, for each of them:
 *
 *   m = b m + (1-b) g'     u = (1-b) g' + b m     x = u / (|u| + 1e-7)
 *   five times:  A = x x^T,  x = 3.4445 x + (-4.7750 A + 2.0315 A A) x     or, with more rows than columns, of the transpose
 *   w = (1 - decay) w - rate scale x
 */
struct sru_muon {
    size_t n;
    const struct sru_muon_matrix *matrices;   /* the host's */
    float *w, *g, *m;           /* arenas */
    float  momentum;
    const struct sru_step  *step;    /* muon_rate, muon_decay */
    const struct sru_gauge *gauge;   /* clip */
};

/* The largest sizes of the operator calls to come. */
struct sru_shape {
    size_t B, T, M, d, p, H, V;
    bool   train, muon;
};

/*
 * What a weight's operand is for: forwards; backwards too; or forwards of a few rows, whose time is that of reading the weights.
 * INT8: those read them as 8-bit numbers with a scale for each output (src/int8.h).
 */
enum sru_use { SRU_USE_READ, SRU_USE_TRAIN, SRU_USE_DECODE, SRU_USE_DECODE_INT8 };

struct sru_dev;

struct sru_ops {
    bool turns;    /* sru_attend's `turned` is understood, and costs nothing */

    /* Memory: zeroed, aligned to 64 bytes.  `put` and `get` move f32 or integers, the _act forms convert to and from f32. */
    void *(*alloc)(struct sru_dev *, size_t bytes);      /* NULL without memory */
    void  (*release)(struct sru_dev *, void *);          /* NULL is allowed */
    void  (*put)(struct sru_dev *, void *dst, const void *host, size_t bytes);
    void  (*get)(struct sru_dev *, void *host, const void *src, size_t bytes);
    void  (*put_act)(struct sru_dev *, sru_act *dst, const float *host, size_t n);
    void  (*get_act)(struct sru_dev *, float *host, const sru_act *src, size_t n);
    /* n pieces of `bytes`, which stand `stride` bytes apart in both; where a piece goes may overlap where it was. */
    void  (*copy)(struct sru_dev *, void *dst, const void *src, size_t bytes, size_t n, size_t stride);
    void  (*zero)(struct sru_dev *, void *, size_t bytes);

    /* Memory that is left, in bytes; 0 where that is not known (a system's memory is shared, and can be swapped out). */
    uint64_t (*left)(struct sru_dev *);

    /* Bytes that a forward keeps for its backward, by the sizes in its arguments. */
    size_t (*kept_attend)(struct sru_dev *, const struct sru_attend *);
    size_t (*kept_recur)(struct sru_dev *, const struct sru_recur *);
    /* The workspace that calls up to a shape need, and making room for it (it only grows). */
    size_t     (*work)(struct sru_dev *, const struct sru_shape *);
    sru_status (*reserve)(struct sru_dev *, const struct sru_shape *, struct sru_error *);

    /*
     * Operand copies of a matrix [out,in], or with in_first [in,out], for a use; NULL without memory.  `prepare` makes those of n weights anew after the
     * values changed, before any operator uses them.
     */
    void *(*operand_open)(struct sru_dev *, size_t in, size_t out, bool in_first, enum sru_use use);
    size_t (*operand_bytes)(struct sru_dev *, size_t in, size_t out, enum sru_use use);
    void  (*operand_close)(struct sru_dev *, void *);   /* NULL is allowed */
    void  (*prepare)(struct sru_dev *, const struct sru_weight *, size_t n);

    void (*embed)(struct sru_dev *, const struct sru_embed *);
    void (*embed_back)(struct sru_dev *, const struct sru_embed *);
    void (*gather)(struct sru_dev *, const struct sru_pick *);
    void (*scatter)(struct sru_dev *, const struct sru_pick *);
    /* y[at[i]] += x[i] for i below n, no place twice. */
    void (*add_at)(struct sru_dev *, size_t n, const int32_t *at, const float *x, float *y);
    void (*linear)(struct sru_dev *, const struct sru_linear *);
    void (*linear_back)(struct sru_dev *, const struct sru_linear *);
    void (*attend)(struct sru_dev *, const struct sru_attend *);
    void (*attend_back)(struct sru_dev *, const struct sru_attend *);
    void (*recall)(struct sru_dev *, const struct sru_recall *);       /* of the shape reserved, T 1 and M rows - 1 */
    void (*norm)(struct sru_dev *, const struct sru_norm *);
    void (*norm_back)(struct sru_dev *, const struct sru_norm *);
    void (*recur)(struct sru_dev *, const struct sru_recur *);
    void (*recur_back)(struct sru_dev *, const struct sru_recur *);    /* uses up what was kept */
    void (*predict)(struct sru_dev *, const struct sru_predict *);
    void (*predict_back)(struct sru_dev *, const struct sru_predict *);
    void (*update)(struct sru_dev *, const struct sru_update *);
    void (*muon)(struct sru_dev *, const struct sru_muon *);   /* [p,d] and [p,p], of the shape reserved */

    void (*measure)(struct sru_dev *, const struct sru_measure *);

    /*
     * Devices that queue their work (else NULL, all four).  From `record` to `recorded` operators are noted down; recorded does them, and
     * keeps them in place of an older record, if there is one.  NULL: it failed, which `sync` reports.  `replay` does them again.  A
     * record holds while the workspace is what it was: else, and without one, replay returns false, and nothing was done.
     */
    void  (*record)(struct sru_dev *);
    void  (*recorded)(struct sru_dev *, void **record);
    bool  (*replay)(struct sru_dev *, void *record);
    void  (*forget)(struct sru_dev *, void *record);   /* NULL is allowed */

    /* Send a gauge to the host when all that was queued so far is done, by one of two boxes; and wait for what was sent by one. */
    void       (*send)(struct sru_dev *, int box, const struct sru_gauge *);
    sru_status (*receive)(struct sru_dev *, int box, struct sru_gauge *host, struct sru_error *);
    /* Wait for all queued work; SRU_EDEVICE when any of it failed since the last time. */
    sru_status (*sync)(struct sru_dev *, struct sru_error *);
    void       (*close)(struct sru_dev *);
};

/* First member of struct sru_cpu and of every device to come. */
struct sru_dev {
    const struct sru_ops *ops;
    const char *name;        /* "cpu" */
    const char *kernels;     /* the vector kernels in use, such as "avx512" */
    size_t      act_bytes;
    int         threads;
};

/* p + n elements. */
static inline sru_act *sru_at(const struct sru_dev *dev, sru_act *p, size_t n)
{
    return (sru_act *)((char *)p + n * dev->act_bytes);
}

/* The same of what is only read. */
static inline const sru_act *sru_from(const struct sru_dev *dev, const sru_act *p, size_t n)
{
    return (const sru_act *)((const char *)p + n * dev->act_bytes);
}

/* Storage of activations and of the products' operands; auto: bf16 where the processor multiplies it. */
enum sru_precision { SRU_PRECISION_AUTO, SRU_PRECISION_F32, SRU_PRECISION_BF16 };

/* Row t of stream b. */
static inline sru_act *sru_row(const struct sru_dev *dev, struct sru_rows r, size_t b, size_t t, size_t columns)
{
    return sru_at(dev, r.p, b * r.stride + t * columns);
}

/* `rows` rows of each of B streams: where they are dense one block of all of them, else a block for each stream. */
struct sru_blocks {
    size_t n, rows;
};

static inline struct sru_blocks sru_blocks_of(size_t B, size_t rows, bool dense)
{
    return dense ? (struct sru_blocks){ 1, B * rows } : (struct sru_blocks){ B, rows };
}

static inline bool sru_mask_is_on(const struct sru_mask *m)
{
    return m->given || m->rate > 0;
}

/* Any other device queues its work, and has memory of its own. */
static inline bool sru_is_cpu(const struct sru_dev *dev)
{
    return strcmp(dev->name, "cpu") == 0;
}

/*
 * Open the processor.  @param kernels  an instruction set (simd/kernels.h), or NULL for $SRU_CPU or the best that runs here.
 * @return SRU_EINVAL for an unknown name, SRU_EDEVICE where the processor lacks it, SRU_ENOMEM.
 */
sru_status sru_cpu_open(const char *kernels, enum sru_precision precision, struct sru_dev **out, struct sru_error *err);

static inline void sru_dev_close(struct sru_dev *dev)
{
    if (dev)
        dev->ops->close(dev);
}

#endif
