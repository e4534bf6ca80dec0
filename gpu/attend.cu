/*
 * Attention: a head's scores for all queries of some streams at once, by batched products, with a kernel between them.  What is kept
 * is the log-sum-exp of every row of scores; the backward computes the scores again.
 */
#include <math.h>

#include "gpu/attend.cuh"

typedef struct sru_cuda_part part;

/* ---- Workspace ------------------------------------------------------------------------------ */

enum { LIMIT = 64 << 20 };   /* floats, where a stream alone does not need more */

static size_t length_of(size_t keys)
{
    return sru_round_up(keys, 32);
}

/* Floats for a stream: scores and probabilities, and with `back` their gradients. */
static size_t stream_work(const struct sru_cuda *cuda, size_t T, size_t keys, bool back)
{
    const size_t scores = T * length_of(keys);

    return (back ? 2 : 1) * (scores + scores * cuda->dev.act_bytes / sizeof(float));
}

/* Enough for smaller calls too, of which more streams may be taken at once. */
size_t sru_cuda_attend_work(const struct sru_cuda *cuda, const struct sru_shape *s)
{
    const size_t one = stream_work(cuda, s->T, s->M + s->T, s->train);

    return sru_max(one, sru_min(s->B * one, LIMIT));
}

size_t sru_cuda_kept_attend(struct sru_dev *, const struct sru_attend *s)
{
    return sru_max(s->B * s->H * s->T * sizeof(float), 16);
}

struct room {
    float   *S, *dP;    /* [n,T,length] */
    sru_act *P, *dS;
};

static struct room room_of(const struct sru_cuda *cuda, const part *k, bool back)
{
    const size_t scores = k->n * k->T * k->length;
    sru_act *acts = (sru_act *)(cuda->work + (back ? 2 : 1) * scores);

    return { cuda->work, back ? cuda->work + scores : nullptr, acts, back ? sru_at(&cuda->dev, acts, scores) : nullptr };
}

/* Head 0 of the first streams. */
static part part_of(const struct sru_cuda *cuda, const struct sru_attend *s, bool back)
{
    part k = {};

    k.T = s->T;
    k.M = s->M;
    k.H = s->H;
    k.first = s->M - s->present;
    k.window = s->window;
    k.turned = s->turned;
    k.lo = s->turned ? 0 : s->window > 0 && s->M > s->window ? sru_max(k.first, s->M - s->window) : k.first;
    k.keys = s->M + s->T - k.lo;
    k.length = length_of(k.keys);
    k.factor = 1.0f / sqrtf((float)(s->p / s->H));
    const size_t most = sru_max(1, LIMIT / stream_work(cuda, k.T, k.keys, back)), parts = (s->B + most - 1) / most;
    k.n = parts > 0 ? (s->B + parts - 1) / parts : 0;   /* as many in each */
    return k;
}

/* Call f for every head of every stream. */
static void each_part(struct sru_cuda *cuda, const struct sru_attend *s, bool back,
                      void (*f)(struct sru_cuda *, const struct sru_attend *, const part *))
{
    part k = part_of(cuda, s, back);
    const size_t most = k.n;

    for (; k.b0 < s->B; k.b0 += most) {
        k.n = sru_min(most, s->B - k.b0);
        for (k.h = 0; k.h < s->H; k.h++)
            f(cuda, s, &k);
    }
}

/* ---- Products --------------------------------------------------------------------------------- */

/* The head's columns, which begin at `column`, of its part's rows from t on. */
static sru_act *head(const struct sru_cuda *cuda, const struct sru_attend *s, const part *k, struct sru_rows r, size_t t,
                     size_t cols, size_t column)
{
    return sru_at(&cuda->dev, r.p, k->b0 * r.stride + t * cols + column + k->h * (s->p / s->H));
}

/* c = a b^T, f32: scores of rows a of queries and b of keys. */
static void scores(struct sru_cuda *cuda, const struct sru_attend *s, const part *k, struct sru_rows a, struct sru_rows b, float *c)
{
    struct sru_cuda_product x = {};

    x.m = k->T;
    x.n = k->keys;
    x.k = s->p / s->H;
    x.lda = x.ldb = s->p;
    x.ldc = k->length;
    x.batch = k->n;
    x.a_stride = a.stride;
    x.b_stride = b.stride;
    x.c_stride = k->T * k->length;
    x.tb = x.c_f32 = true;
    sru_cuda_multiply(cuda, &x, head(cuda, s, k, a, 0, s->p, 0), head(cuda, s, k, b, k->lo, s->p, 0), c);
}

/* c (=) or, with add, (+=) a b: rows of queries from those of keys. */
static void to_queries(struct sru_cuda *cuda, const struct sru_attend *s, const part *k, const sru_act *a, struct sru_rows b,
                       bool add, struct sru_rows c)
{
    struct sru_cuda_product x = {};

    x.m = k->T;
    x.n = s->p / s->H;
    x.k = k->keys;
    x.lda = k->length;
    x.ldb = x.ldc = s->p;
    x.batch = k->n;
    x.a_stride = k->T * k->length;
    x.b_stride = b.stride;
    x.c_stride = c.stride;
    x.add = add;
    sru_cuda_multiply(cuda, &x, a, head(cuda, s, k, b, k->lo, s->p, 0), head(cuda, s, k, c, 0, s->p, 0));
}

/* dkv's columns from `column` on = a^T b: rows of keys from those of queries. */
static void to_keys(struct sru_cuda *cuda, const struct sru_attend *s, const part *k, const sru_act *a, struct sru_rows b,
                    size_t column)
{
    struct sru_cuda_product x = {};

    x.m = k->keys;
    x.n = s->p / s->H;
    x.k = k->T;
    x.lda = k->length;
    x.ldb = s->p;
    x.ldc = 2 * s->p;
    x.batch = k->n;
    x.a_stride = k->T * k->length;
    x.b_stride = b.stride;
    x.c_stride = s->dkv.stride;
    x.ta = true;
    sru_cuda_multiply(cuda, &x, a, head(cuda, s, k, b, 0, s->p, 0), head(cuda, s, k, s->dkv, k->lo, 2 * s->p, column));
}

/* ---- The operator ------------------------------------------------------------------------------ */

static void forward(struct sru_cuda *cuda, const struct sru_attend *s, const part *k)
{
    const struct room r = room_of(cuda, k, false);

    scores(cuda, s, k, s->q, s->k, r.S);
    sru_cuda_softmax(cuda, k, &s->mask, r.S, r.P, (float *)s->kept);
    to_queries(cuda, s, k, r.P, s->v, false, s->out);
}

void sru_cuda_attend(struct sru_dev *dev, const struct sru_attend *s)
{
    each_part(sru_cuda_of(dev), s, false, forward);
}

static void backward(struct sru_cuda *cuda, const struct sru_attend *s, const part *k)
{
    const struct room r = room_of(cuda, k, true);

    scores(cuda, s, k, s->q, s->k, r.S);
    scores(cuda, s, k, s->dout, s->v, r.dP);
    sru_cuda_softmax_back(cuda, k, &s->mask, (const float *)s->kept, r.S, r.dP, r.P, r.dS);
    to_queries(cuda, s, k, r.dS, s->k, true, s->dq);
    to_keys(cuda, s, k, r.dS, s->q, 0);
    to_keys(cuda, s, k, r.P, s->dout, s->p);
}

void sru_cuda_attend_back(struct sru_dev *dev, const struct sru_attend *s)
{
    struct sru_cuda *cuda = sru_cuda_of(dev);
    const size_t unseen = part_of(cuda, s, true).lo * 2 * s->p * dev->act_bytes;   /* bytes of the rows below lo */

    for (size_t b = 0; b < s->B && unseen > 0; b++)
        sru_cuda_check(cuda, cudaMemsetAsync(sru_at(dev, s->dkv.p, b * s->dkv.stride), 0, unseen, cuda->stream), "attend_back");
    each_part(cuda, s, true, backward);
}
