/* One position at a time: see decode.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/model/decode.h"
#include "src/size.h"

/*
 * The order of keys does not matter to attention, so a cache of window + 1 rows is a ring: position n stands in
 * row window - n % (window + 1).  What differs from one position to the next is in device memory, so that devices
 * that queue their work can do it again from a record.
 */
struct sru_decoder_layer {
    sru_act *k, *v;   /* [B,window+1,p] with attention */
    float   *c;       /* [B,d] */
};

static size_t cache_rows(const struct sru_decoder *d)
{
    return d->window + 1;
}

uint64_t sru_decoder_bytes(const struct sru_lm *lm, size_t B, size_t window)
{
    const struct sru_config *c = &lm->config;
    uint64_t sum = 0;

    for (size_t i = 0; i < c->depth; i++) {
        if (lm->params.layers[i].attends)
            sum += (uint64_t)2 * B * (window + 1) * c->n_proj * lm->dev->act_bytes;
        sum += (uint64_t)B * c->n_d * sizeof(float);
    }
    return sum;
}

void sru_decoder_close(struct sru_decoder *d)
{
    const struct sru_ops *ops = d->lm->dev->ops;
    struct sru_dev *dev = d->lm->dev;

    for (size_t i = 0; d->layers && i < d->lm->config.depth; i++) {
        ops->release(dev, d->layers[i].k);
        ops->release(dev, d->layers[i].v);
        ops->release(dev, d->layers[i].c);
    }
    free(d->layers);
    if (ops->forget)
        for (int i = 0; i < 2; i++)
            ops->forget(dev, d->records[i]);
    ops->release(dev, d->x);
    ops->release(dev, d->h);
    ops->release(dev, d->z);
    ops->release(dev, d->k);
    ops->release(dev, d->v);
    ops->release(dev, d->A);
    ops->release(dev, d->a);
    ops->release(dev, d->place);
    ops->release(dev, d->tokens);
    ops->release(dev, d->logits);
    ops->release(dev, d->small);
    free(d->ids);
    free(d->scores);
    *d = (struct sru_decoder){ .lm = NULL };
}

/* Of one stream: those of the vocabulary, and the head's for the other clusters. */
static size_t n_scores(const struct sru_decoder *d)
{
    return d->lm->config.vocab + (d->lm->params.n_clusters > 0 ? d->lm->config.n_cutoffs : 0);
}

static bool allocate(struct sru_decoder *d)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;
    const struct sru_ops *ops = dev->ops;
    const size_t hidden = d->B * c->n_d * dev->act_bytes, row = d->B * c->n_proj * dev->act_bytes;
    bool ok = (d->layers = calloc(c->depth, sizeof *d->layers)) && (d->x = ops->alloc(dev, hidden))
        && (d->h = ops->alloc(dev, hidden)) && (d->z = ops->alloc(dev, row)) && (d->k = ops->alloc(dev, row))
        && (d->v = ops->alloc(dev, row)) && (d->A = ops->alloc(dev, row)) && (d->a = ops->alloc(dev, row))
        && (d->place = ops->alloc(dev, sizeof *d->place)) && (d->tokens = ops->alloc(dev, d->B * sizeof *d->tokens))
        && (d->logits = ops->alloc(dev, d->B * n_scores(d) * sizeof *d->logits));

    if (ok && d->lm->params.n_clusters > 0)
        ok = (d->small = ops->alloc(dev, d->B * c->n_e * dev->act_bytes)) && (d->ids = malloc(d->B * sizeof *d->ids))
            && (d->scores = malloc(d->B * n_scores(d) * sizeof *d->scores));
    for (size_t i = 0; i < c->depth && ok; i++) {
        struct sru_decoder_layer *l = &d->layers[i];

        ok = (l->c = ops->alloc(dev, d->B * c->n_d * sizeof *l->c)) != NULL;
        if (ok && d->lm->params.layers[i].attends)
            ok = (l->k = ops->alloc(dev, row * cache_rows(d))) && (l->v = ops->alloc(dev, row * cache_rows(d)));
    }
    return ok;
}

sru_status sru_decoder_open(struct sru_decoder *d, struct sru_lm *lm, size_t B, size_t window, struct sru_error *err)
{
    const struct sru_config *c = &lm->config;
    const struct sru_shape shape = { .B = B, .T = 1, .M = window, .d = sru_max(c->n_d, c->n_e), .p = c->n_proj, .H = c->heads, .V = c->vocab };
    size_t bytes;
    sru_status status;

    *d = (struct sru_decoder){ .lm = lm, .B = B, .window = window };
    if (window >= INT32_MAX || !sru_mul(B, window + 1, &bytes) || !sru_mul(bytes, c->n_proj + c->heads, &bytes)
        || bytes > SIZE_MAX / 64)
        return sru_fail(err, SRU_EINVAL, "%zu streams with a window of %zu positions are too large", B, window);
    if ((status = lm->dev->ops->reserve(lm->dev, &shape, err)))
        return status;
    if (allocate(d))
        return SRU_OK;
    sru_decoder_close(d);
    return sru_fail(err, SRU_ENOMEM, "out of memory for the keys and values of %zu streams and %zu positions", B, window);
}

void sru_decoder_reset(struct sru_decoder *d)
{
    struct sru_dev *dev = d->lm->dev;

    for (size_t i = 0; i < d->lm->config.depth; i++)
        dev->ops->zero(dev, d->layers[i].c, d->B * d->lm->config.n_d * sizeof(float));
    d->position = 0;
}

/* ---- One position ------------------------------------------------------------------------------ */

static void attend(struct sru_decoder *d, const struct sru_layer *l, size_t p)
{
    struct sru_dev *dev = d->lm->dev;
    const struct sru_decoder_layer *cache = &d->layers[l->i];
    struct sru_linear project = { .B = d->B, .rows = 1, .in = p, .out = p, .w = l->w2k, .x = { d->z, p }, .y = { d->k, p } };
    const struct sru_recall s = {
        .B = d->B, .H = d->lm->config.heads, .p = p, .rows = cache_rows(d), .place = d->place,
        .q = d->z, .k = d->k, .v = d->v, .keys = cache->k, .values = cache->v, .out = d->A,
    };

    dev->ops->linear(dev, &project);
    project.w = l->w2v;
    project.y.p = d->v;
    dev->ops->linear(dev, &project);
    dev->ops->recall(dev, &s);
}

static void layer(struct sru_decoder *d, size_t i, struct sru_rows x, struct sru_rows h)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;
    const struct sru_layer l = sru_layer_of(d->lm, i);
    const size_t n = c->n_d, p = c->n_proj;
    const struct sru_rows z = { d->z, p };
    struct sru_norm norm = { .B = d->B, .T = 1, .cols = n, .gamma = l.norm_w, .beta = l.norm_b };
    struct sru_linear project = { .B = d->B, .rows = 1, .in = n, .out = p, .w = l.w1, .x = x, .y = z };
    struct sru_norm combine = { .B = d->B, .T = 1, .cols = p, .r = z, .gamma = l.gamma, .beta = l.beta, .y = { d->a, p } };

    if (c->layer_norm && !c->normalize_after) {
        norm.r = x;
        norm.y = h;
        dev->ops->norm(dev, &norm);
        project.x = h;
    }
    dev->ops->linear(dev, &project);
    if (l.attends) {
        attend(d, &l, p);
        combine.a = (struct sru_rows){ d->A, p };
        combine.alpha = l.alpha;
    }
    dev->ops->norm(dev, &combine);
    const struct sru_recur recur = {
        .B = d->B, .T = 1, .d = n, .p = p, .scale = sru_config_scale(c), .a = combine.y, .w3 = l.w3, .x = x, .v = l.v,
        .bias = l.bias, .c0 = d->layers[i].c, .c1 = d->layers[i].c, .h = h,
    };
    dev->ops->recur(dev, &recur);
    if (c->layer_norm && c->normalize_after) {
        norm.r = h;
        norm.y = h;
        dev->ops->norm(dev, &norm);
    }
}

/* From one to the other, and back. */
static struct sru_rows layers(struct sru_decoder *d)
{
    struct sru_rows x = { d->x, d->lm->config.n_d }, h = { d->h, d->lm->config.n_d };

    for (size_t i = 0; i < d->lm->config.depth; i++) {
        layer(d, i, x, h);
        const struct sru_rows out = h;
        h = x;
        x = out;
    }
    return x;
}

/* ---- Tokens in, scores out ------------------------------------------------------------------------- */

static void embed(struct sru_decoder *d, const int32_t *tokens)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;
    const struct sru_embed s = { .B = d->B, .T = 1, .d = c->n_d, .V = c->vocab, .tokens = d->tokens, .table.w = d->lm->w + d->lm->params.embedding,
                                 .x = { d->x, c->n_d } };

    dev->ops->put(dev, d->tokens, tokens, d->B * sizeof *tokens);
    dev->ops->embed(dev, &s);
}

static void predict(struct sru_decoder *d, struct sru_rows h)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;
    const struct sru_predict s = { .B = d->B, .T = 1, .d = c->n_d, .V = c->vocab, .h = h,
                                   .w = sru_lm_matrix(d->lm, SRU_MATRICES * c->depth), .bias.w = d->lm->w + d->lm->params.out_b, .logits = d->logits };

    dev->ops->predict(dev, &s);
}

/* ---- The same by clusters ----------------------------------------------------------------------------- */

static struct sru_weight cluster_matrix(const struct sru_decoder *d, size_t k, size_t i)
{
    return sru_lm_matrix(d->lm, SRU_MATRICES * d->lm->config.depth + SRU_CLUSTER_MATRICES * k + i);
}

static size_t cluster_of(const struct sru_config *c, int32_t token)
{
    size_t k = 0;

    while (k < c->n_cutoffs && (size_t)token >= c->cutoffs[k])
        k++;
    return k;
}

static void embed_by_clusters(struct sru_decoder *d, const int32_t *tokens)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;

    for (size_t b = 0; b < d->B; b++)
        d->ids[b] = tokens[b] - (int32_t)d->lm->params.clusters[cluster_of(c, tokens[b])].sizes.from;
    dev->ops->put(dev, d->tokens, d->ids, d->B * sizeof *d->ids);
    for (size_t b = 0; b < d->B; b++) {
        const size_t k = cluster_of(c, tokens[b]), e = d->lm->params.clusters[k].sizes.e;
        const struct sru_rows small = { d->small, e };
        const struct sru_embed look_up = { .B = 1, .T = 1, .d = e, .V = d->lm->params.clusters[k].rows, .tokens = d->tokens + b,
                                           .table = cluster_matrix(d, k, SRU_TABLE), .x = small };
        const struct sru_linear widen = { .B = 1, .rows = 1, .in = e, .out = c->n_d, .w = cluster_matrix(d, k, SRU_IN_PROJ), .x = small,
                                          .y = { sru_at(dev, d->x, b * c->n_d), c->n_d } };

        dev->ops->embed(dev, &look_up);
        dev->ops->linear(dev, &widen);
    }
}

static void predict_by_clusters(struct sru_decoder *d, struct sru_rows h)
{
    const struct sru_config *c = &d->lm->config;
    struct sru_dev *dev = d->lm->dev;
    float *logits = d->logits;

    for (size_t k = 0; k < d->lm->params.n_clusters; k++) {
        const struct sru_cluster_params *p = &d->lm->params.clusters[k];
        const struct sru_rows small = { d->small, p->sizes.e };
        const struct sru_linear narrow = { .B = d->B, .rows = 1, .in = c->n_d, .out = p->sizes.e, .w = cluster_matrix(d, k, SRU_OUT_PROJ),
                                           .x = h, .y = small };
        const struct sru_predict s = { .B = d->B, .T = 1, .d = p->sizes.e, .V = p->rows, .h = small, .w = cluster_matrix(d, k, SRU_TABLE),
                                       .bias = sru_lm_weight(d->lm, p->bias), .logits = logits };

        dev->ops->linear(dev, &narrow);
        dev->ops->predict(dev, &s);
        logits += d->B * p->rows;
    }
}

static double log_sum_exp(const float *s, size_t n)
{
    float top = s[0];
    double sum = 0;

    for (size_t i = 1; i < n; i++)
        top = s[i] > top ? s[i] : top;
    for (size_t i = 0; i < n; i++)
        sum += (double)expf(s[i] - top);
    return (double)top + log(sum);
}

/* One softmax's logits: a word's log-probability in its cluster comes on top of what the head scores the cluster. */
static void join_clusters(const struct sru_decoder *d, float *logits)
{
    const struct sru_config *c = &d->lm->config;
    const struct sru_cluster_params *p = d->lm->params.clusters;
    const float *scores = d->scores;

    for (size_t k = 0; k < d->lm->params.n_clusters; k++)
        for (size_t b = 0; b < d->B; b++, scores += p[k].rows) {
            float *out = logits + b * c->vocab + p[k].sizes.from;
            const float *head = d->scores + b * p[0].rows;
            const double of = k > 0 ? (double)head[c->cutoffs[0] + c->n_cutoffs - k] - log_sum_exp(scores, p[k].rows) : 0;

            for (size_t i = 0; i < p[k].sizes.n; i++)
                out[i] = (float)((double)scores[i] + of);
        }
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

static void queue(struct sru_decoder *d, bool scores)
{
    const struct sru_rows h = layers(d);

    if (scores)
        (d->lm->params.n_clusters > 0 ? predict_by_clusters : predict)(d, h);
}

/* The same, and where the device can, from a record: not the first time, when it may have to choose among algorithms. */
static void queue_or_replay(struct sru_decoder *d, bool scores)
{
    struct sru_dev *dev = d->lm->dev;

    if (!dev->ops->record || !d->queued[scores]) {
        queue(d, scores);
        d->queued[scores] = true;
    } else if (!dev->ops->replay(dev, d->records[scores])) {
        dev->ops->record(dev);
        queue(d, scores);
        dev->ops->recorded(dev, &d->records[scores]);
    }
}

sru_status sru_decoder_read(struct sru_decoder *d, const int32_t *tokens, float *logits, struct sru_error *err)
{
    const bool clusters = d->lm->params.n_clusters > 0;
    const size_t rows = cache_rows(d);
    const struct sru_place place = { (int32_t)(d->window - d->position % rows), (int32_t)(sru_min(d->position, d->window) + 1) };
    struct sru_dev *dev = d->lm->dev;

    sru_lm_prepare(d->lm);
    (clusters ? embed_by_clusters : embed)(d, tokens);
    dev->ops->put(dev, d->place, &place, sizeof place);
    queue_or_replay(d, logits != NULL);
    d->position++;
    if (logits)
        dev->ops->get(dev, clusters ? d->scores : logits, d->logits, d->B * n_scores(d) * sizeof *logits);
    const sru_status status = dev->ops->sync(dev, err);
    if (!status && logits && clusters)
        join_clusters(d, logits);
    return status;
}
