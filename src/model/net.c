/* Running segments through a model: the memory plan, the state, forward and backward. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/model/lm.h"
#include "src/size.h"

/* ---- The plan ------------------------------------------------------------------------------ */

enum { PER_LAYER = 13, OUTSIDE = 23 };

struct planner {
    struct sru_net *net;
    bool overflow;
};

/* `n` elements of `size` bytes for *where; n is a product of up to four factors, checked. */
static void plan(struct planner *p, const char *name, size_t layer, void *where, size_t size, const size_t *factors, size_t n)
{
    size_t bytes = size;

    for (size_t i = 0; i < n; i++)
        if (!sru_mul(bytes, factors[i], &bytes) || bytes > SIZE_MAX / 64)
            p->overflow = true;
    if (!p->overflow)
        p->net->buffers[p->net->n_buffers++] = (struct sru_buffer){ name, layer, bytes, where };
}
#define PLAN(p, name, layer, where, size, ...)                                                                        \
    plan(p, name, layer, where, size, (const size_t[]){ __VA_ARGS__ }, sizeof((size_t[]){ __VA_ARGS__ }) / sizeof(size_t))

static void plan_layer(struct planner *p, size_t i)
{
    struct sru_net *net = p->net;
    const struct sru_config *c = &net->lm->config;
    struct sru_dev *dev = net->lm->dev;
    struct sru_layer_buffers *b = &net->layers[i];
    const size_t B = net->B, T = net->T, d = c->n_d, q = c->n_proj, act = dev->act_bytes;
    const bool attends = net->lm->params.layers[i].attends, own = net->train || i == 0;   /* a reader's layers share the first's */
    const size_t rows = attends ? net->M + T : T;

    PLAN(p, "memory and input", i, &b->in, act, B, rows, d);
    PLAN(p, "state", i, &b->c0, sizeof(float), B, d);
    if (net->train) {
        const struct sru_attend att = { .B = B, .T = T, .M = net->M, .H = c->heads, .p = q };
        const struct sru_recur rec = { .B = B, .T = T, .d = d, .p = q };

        PLAN(p, "state after", i, &b->c1, sizeof(float), B, d);
        PLAN(p, "kept by the recurrence", i, &b->kept_recur, 1, dev->ops->kept_recur(dev, &rec));
        if (attends)
            PLAN(p, "kept by attention", i, &b->kept_attend, 1, dev->ops->kept_attend(dev, &att));
        if (c->attn_layer_norm)
            PLAN(p, "statistics", i, &b->stats, sizeof(float), B, T, 2);
        if (c->layer_norm)
            PLAN(p, "statistics", i, &b->norm_stats, sizeof(float), B, T, 2);
    }
    if (!own)
        return;
    const size_t most = net->train ? rows : net->M + T;
    PLAN(p, "projection z", i, &b->z, act, B, most, q);
    if (attends || !net->train) {
        PLAN(p, "keys", i, &b->k, act, B, most, q);
        PLAN(p, "values", i, &b->v, act, B, most, q);
        PLAN(p, "attention", i, &b->A, act, B, T, q);
    }
    PLAN(p, "a", i, &b->a, act, B, T, q);
    if (c->layer_norm && c->normalize_after)
        PLAN(p, "output before its norm", i, &b->h, act, B, T, d);
    else if (c->layer_norm)
        PLAN(p, "normalised input", i, &b->joined, act, B, most, d);
}

static void plan_clusters(struct planner *p)
{
    struct sru_net *net = p->net;
    struct sru_adaptive *a = &net->adaptive;
    const struct sru_config *c = &net->lm->config;
    const size_t N = net->B * net->T, listed = sru_adaptive_listed(c, N), rows = sru_adaptive_rows(N), d = c->n_d, e = c->n_e;
    const size_t act = net->lm->dev->act_bytes;

    PLAN(p, "positions of tokens", SRU_NONE, &a->in_at, sizeof(int32_t), listed);
    PLAN(p, "tokens of clusters", SRU_NONE, &a->in_ids, sizeof(int32_t), listed);
    PLAN(p, "positions of targets", SRU_NONE, &a->out_at, sizeof(int32_t), listed);
    PLAN(p, "targets of clusters", SRU_NONE, &a->out_ids, sizeof(int32_t), listed);
    PLAN(p, "losses of a cluster", SRU_NONE, &a->nll, sizeof(float), rows);
    PLAN(p, "hidden states of a cluster", SRU_NONE, &a->picked, act, rows, d);
    PLAN(p, "embeddings of a cluster", SRU_NONE, &a->small, act, rows, e);
    if (!net->train)
        return;
    if (c->dropout > 0)
        PLAN(p, "masked output", SRU_NONE, &a->hidden, act, N, d);
    PLAN(p, "their gradient", SRU_NONE, &a->dpicked, act, rows, d);
    PLAN(p, "gradient of embeddings", SRU_NONE, &a->dsmall, act, rows, e);
}

static void plan_outside(struct planner *p, bool logits)
{
    struct sru_net *net = p->net;
    const struct sru_config *c = &net->lm->config;
    const size_t B = net->B, T = net->T, M = net->M, d = c->n_d, q = c->n_proj, act = net->lm->dev->act_bytes;

    PLAN(p, "tokens", SRU_NONE, &net->tokens, sizeof(int32_t), B, T);
    PLAN(p, "targets", SRU_NONE, &net->targets, sizeof(int32_t), B, T);
    PLAN(p, "losses", SRU_NONE, &net->nll, sizeof(float), B, T);
    PLAN(p, "output", SRU_NONE, &net->out, act, B, T, d);
    if (net->lm->params.n_clusters > 0)
        plan_clusters(p);
    if (logits)
        PLAN(p, "logits", SRU_NONE, &net->logits, sizeof(float), B, T, c->vocab);
    if (!net->train)
        return;
    PLAN(p, "step", SRU_NONE, &net->step, 1, sizeof *net->step);
    PLAN(p, "gradient of h", SRU_NONE, &net->dh, act, B, T, d);
    if (c->layer_norm && !c->normalize_after)
        PLAN(p, "gradient of the normalised input", SRU_NONE, &net->dj, act, B, T, d);
    PLAN(p, "gradient of a", SRU_NONE, &net->da, act, B, T, q);
    PLAN(p, "gradient of attention", SRU_NONE, &net->dA, act, B, T, q);
    PLAN(p, "gradient of z", SRU_NONE, &net->dz, act, B, M + T, q);
    PLAN(p, "gradient of keys and values", SRU_NONE, &net->dkv, act, B, M + T, 2 * q);
}

/* The i-th shape of its operators' calls: the layers', and the output's where it has no clusters; and those of clusters. */
static struct sru_shape shape_of(const struct sru_net *net, size_t i, bool muon)
{
    const struct sru_config *c = &net->lm->config;
    const struct sru_params *p = &net->lm->params;

    if (i == 0)
        return (struct sru_shape){ .B = net->B, .T = net->T, .M = net->M, .d = c->n_d, .p = c->n_proj, .H = c->heads,
                                   .V = p->n_clusters ? 1 : c->vocab, .train = net->train, .muon = muon };
    return (struct sru_shape){ .B = sru_adaptive_rows(net->B * net->T), .T = 1, .d = p->clusters[i - 1].sizes.e, .p = c->n_d, .H = 1,
                               .V = p->clusters[i - 1].rows, .train = net->train };
}

uint64_t sru_net_work(const struct sru_net *net, bool muon)
{
    struct sru_dev *dev = net->lm->dev;
    uint64_t most = 0;

    for (size_t i = 0; i <= net->lm->params.n_clusters; i++) {
        const struct sru_shape shape = shape_of(net, i, muon);
        const uint64_t bytes = dev->ops->work(dev, &shape);

        most = bytes > most ? bytes : most;
    }
    return most;
}

sru_status sru_net_reserve(const struct sru_net *net, bool muon, struct sru_error *err)
{
    struct sru_dev *dev = net->lm->dev;
    sru_status status = SRU_OK;

    for (size_t i = 0; i <= net->lm->params.n_clusters && !status; i++) {
        const struct sru_shape shape = shape_of(net, i, muon);

        status = dev->ops->reserve(dev, &shape, err);
    }
    return status;
}

sru_status sru_net_plan(struct sru_net *net, struct sru_lm *lm, size_t B, size_t T, size_t M, bool train, bool logits,
                        struct sru_error *err)
{
    struct planner p = { .net = net };
    const size_t depth = lm->config.depth;
    size_t factors = 1;

    *net = (struct sru_net){ .lm = lm, .B = B, .T = T, .M = M, .window = train ? 0 : M, .train = train };
    if (logits && lm->params.n_clusters > 0)
        return sru_fail(err, SRU_EINVAL, "a model with an adaptive softmax has no logits of all tokens");
    /* Bounds under which no product inside an operator overflows: what passes here and fits in memory is safe. */
    if (!sru_mul(B, T + M, &factors) || !sru_mul(factors, T + M + lm->config.n_d + lm->config.vocab, &factors)
        || !sru_mul(factors, 64 + lm->config.heads, &factors) || factors > SIZE_MAX / 64)
        return sru_fail(err, SRU_EINVAL, "a segment of %zu streams, %zu positions and %zu of memory is too large", B, T, M);
    net->layers = calloc(depth, sizeof *net->layers);
    net->buffers = calloc(depth * PER_LAYER + OUTSIDE, sizeof *net->buffers);
    if (!net->layers || !net->buffers) {
        sru_net_close(net);
        return sru_fail(err, SRU_ENOMEM, "out of memory to plan %zu layers", depth);
    }
    for (size_t i = 0; i < depth; i++)
        plan_layer(&p, i);
    plan_outside(&p, logits);
    if (p.overflow) {
        sru_net_close(net);
        return sru_fail(err, SRU_EINVAL, "a segment of %zu streams and %zu positions is too large", B, T);
    }
    return SRU_OK;
}

uint64_t sru_net_bytes(const struct sru_net *net)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < net->n_buffers; i++)
        sum += net->buffers[i].bytes;
    return sum;
}

/* ---- Allocation and state ----------------------------------------------------------------------- */

/* What the plan does not allocate because it is another buffer. */
static void share(struct sru_net *net)
{
    const struct sru_layer_buffers first = net->layers[0];

    for (size_t i = 0; i < net->lm->config.depth; i++) {
        struct sru_layer_buffers *b = &net->layers[i];

        if (!net->train) {
            b->z = first.z, b->k = first.k, b->v = first.v, b->A = first.A, b->a = first.a, b->h = first.h;
            b->joined = first.joined;
            b->c1 = b->c0;
        }
        if (!b->joined)
            b->joined = b->in;
    }
}

sru_status sru_net_open(struct sru_net *net, struct sru_lm *lm, size_t B, size_t T, size_t M, bool train, bool logits,
                        struct sru_error *err)
{
    struct sru_dev *dev = lm->dev;
    sru_status status = sru_net_plan(net, lm, B, T, M, train, logits, err);

    if (status)
        return status;
    if ((status = sru_net_reserve(net, false, err))) {
        sru_net_close(net);
        return status;
    }
    const size_t listed = lm->params.n_clusters > 0 ? sru_adaptive_listed(&lm->config, B * T) : 0;
    if (listed > 0 && !(net->adaptive.host = malloc((2 * listed + B * T + lm->config.vocab) * sizeof(int32_t)))) {
        sru_net_close(net);
        return sru_fail(err, SRU_ENOMEM, "out of memory to group %zu tokens", B * T);
    }
    for (size_t i = 0; i < net->n_buffers; i++) {
        void *memory = dev->ops->alloc(dev, net->buffers[i].bytes);

        memcpy(net->buffers[i].where, &memory, sizeof memory);
        if (!memory) {
            status = sru_fail(err, SRU_ENOMEM, "out of memory: segments of %zu streams and %zu positions need %llu MB; "
                              "make the batch or the segment smaller", B, T, (unsigned long long)(sru_net_bytes(net) >> 20));
            sru_net_close(net);
            return status;
        }
    }
    share(net);
    return SRU_OK;
}

void sru_net_close(struct sru_net *net)
{
    for (size_t i = 0; i < net->n_buffers; i++) {
        void *memory;

        memcpy(&memory, net->buffers[i].where, sizeof memory);
        net->lm->dev->ops->release(net->lm->dev, memory);
    }
    free(net->adaptive.host);
    free(net->buffers);
    free(net->layers);
    *net = (struct sru_net){ .lm = NULL };
}

void sru_net_reset(struct sru_net *net)
{
    struct sru_dev *dev = net->lm->dev;
    const size_t d = net->lm->config.n_d;

    for (size_t i = 0; i < net->lm->config.depth; i++) {
        struct sru_layer_buffers *b = &net->layers[i];
        const size_t rows = net->T + (net->lm->params.layers[i].attends ? net->M : 0);

        dev->ops->zero(dev, b->in, net->B * rows * d * dev->act_bytes);
        dev->ops->zero(dev, b->c0, net->B * d * sizeof(float));
    }
    net->present = 0;
    net->last = 0;
    net->turned = false;
}

bool sru_net_turns(const struct sru_net *net)
{
    return net->train && net->lm->dev->ops->turns;
}

size_t sru_net_memory_row(const struct sru_net *net)
{
    return net->turned ? net->T : 0;
}

size_t sru_net_segment_row(const struct sru_net *net, size_t M)
{
    return net->turned ? 0 : M;
}

/*
 * The last segment becomes memory: the newest M of its M + last positions; its final state the next one's first.  In training the
 * two are as long, and change places where the device can tell them apart then.
 */
static void advance(struct sru_net *net)
{
    struct sru_dev *dev = net->lm->dev;
    const size_t d = net->lm->config.n_d, M = net->M, last = net->last;
    const bool turn = sru_net_turns(net) && last > 0;

    for (size_t i = 0; i < net->lm->config.depth && last > 0; i++) {
        struct sru_layer_buffers *b = &net->layers[i];
        if (b->c1 != b->c0)
            dev->ops->copy(dev, b->c0, b->c1, net->B * d * sizeof *b->c0, 1, 0);
        if (net->lm->params.layers[i].attends && !turn)
            dev->ops->copy(dev, b->in, sru_at(dev, b->in, last * d), M * d * dev->act_bytes, net->B,
                           (M + net->T) * d * dev->act_bytes);
    }
    net->present = sru_min(M, net->present + last);
    net->turned ^= turn;
    net->last = 0;
}

void sru_net_get_state(struct sru_net *net, size_t layer, float *memory, float *c)
{
    struct sru_dev *dev = net->lm->dev;
    const struct sru_layer_buffers *b = &net->layers[layer];
    const size_t d = net->lm->config.n_d, M = net->M;

    advance(net);
    for (size_t s = 0; memory && s < net->B; s++)
        dev->ops->get_act(dev, memory + s * M * d, sru_at(dev, b->in, (s * (M + net->T) + sru_net_memory_row(net)) * d), M * d);
    dev->ops->get(dev, c, b->c0, net->B * d * sizeof *c);
}

void sru_net_put_state(struct sru_net *net, size_t layer, const float *memory, const float *c)
{
    struct sru_dev *dev = net->lm->dev;
    const struct sru_layer_buffers *b = &net->layers[layer];
    const size_t d = net->lm->config.n_d, M = net->M;

    for (size_t s = 0; memory && s < net->B; s++)
        dev->ops->put_act(dev, sru_at(dev, b->in, (s * (M + net->T) + sru_net_memory_row(net)) * d), memory + s * M * d, M * d);
    dev->ops->put(dev, b->c0, c, net->B * d * sizeof *c);
}

/* ---- Segments --------------------------------------------------------------------------------------- */

/* Where layer i reads its segment from, which is where the one before it writes; or the output. */
static struct sru_rows input_of(const struct sru_net *net, size_t i)
{
    const size_t d = net->lm->config.n_d, T = net->T;

    if (i == net->lm->config.depth)
        return (struct sru_rows){ net->out, T * d };
    const size_t M = net->lm->params.layers[i].attends ? net->M : 0;
    return (struct sru_rows){ sru_at(net->lm->dev, net->layers[i].in, sru_net_segment_row(net, M) * d), (M + T) * d };
}

static struct sru_embed embedding(const struct sru_net *net, size_t t)
{
    const struct sru_lm *lm = net->lm;
    const size_t d = lm->config.n_d;

    return (struct sru_embed){
        .B = net->B, .T = t, .d = d, .V = lm->config.vocab, .tokens = net->tokens,
        .table = sru_lm_weight(lm, lm->params.embedding), .x = input_of(net, 0), .dx = { net->dh, net->T * d },
        .mask = sru_net_mask(net, 0, SRU_SITE_EMBED, lm->config.dropout, net->given ? net->given->embed : NULL),
    };
}

static struct sru_predict prediction(const struct sru_net *net, size_t t, const int32_t *targets, float factor)
{
    const struct sru_lm *lm = net->lm;
    const size_t d = lm->config.n_d;

    return (struct sru_predict){
        .B = net->B, .T = t, .d = d, .V = lm->config.vocab, .h = { net->out, net->T * d }, .dh = { net->dh, net->T * d },
        .w = sru_lm_matrix(lm, SRU_MATRICES * lm->config.depth), .bias = sru_lm_weight(lm, lm->params.out_b),
        .nll = net->nll, .logits = net->logits, .targets = targets, .factor = factor,
        .mask = sru_net_mask(net, 0, SRU_SITE_OUTPUT, lm->config.dropout, net->given ? net->given->output : NULL),
    };
}

static bool is_adaptive(const struct sru_net *net)
{
    return net->lm->params.n_clusters > 0;
}

static void embed(struct sru_net *net, size_t t)
{
    struct sru_dev *dev = net->lm->dev;

    if (is_adaptive(net)) {
        sru_adaptive_embed(net, t, input_of(net, 0));
        return;
    }
    const struct sru_embed e = embedding(net, t);
    dev->ops->embed(dev, &e);
}

static void embed_back(struct sru_net *net)
{
    struct sru_dev *dev = net->lm->dev;

    if (is_adaptive(net)) {
        sru_adaptive_embed_back(net);
        return;
    }
    const struct sru_embed e = embedding(net, net->T);
    dev->ops->embed_back(dev, &e);
}

/* Losses where there are targets, and logits where they were asked for. */
static void predict(struct sru_net *net, size_t t, const int32_t *targets)
{
    struct sru_dev *dev = net->lm->dev;

    if (is_adaptive(net)) {
        if (targets)
            sru_adaptive_predict(net, t, false, 0);
        return;
    }
    const struct sru_predict p = prediction(net, t, targets, 0);
    dev->ops->predict(dev, &p);
}

static void predict_back(struct sru_net *net, float factor)
{
    struct sru_dev *dev = net->lm->dev;

    if (is_adaptive(net)) {
        sru_adaptive_predict(net, net->T, true, factor);
        return;
    }
    const struct sru_predict p = prediction(net, net->T, net->targets, factor);
    dev->ops->predict_back(dev, &p);
}

void sru_net_feed(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets)
{
    struct sru_dev *dev = net->lm->dev;
    const size_t bytes = net->B * t * sizeof *tokens;

    if (is_adaptive(net)) {
        sru_adaptive_feed(net, t, tokens, targets);
        return;
    }
    dev->ops->put(dev, net->tokens, tokens, bytes);
    if (targets)
        dev->ops->put(dev, net->targets, targets, bytes);
}

static void forward(struct sru_net *net, size_t t)
{
    sru_lm_prepare(net->lm);
    advance(net);
    embed(net, t);
    for (size_t i = 0; i < net->lm->config.depth; i++)
        sru_layer_forward(net, i, t, input_of(net, i + 1));
    net->last = t;
}

/* Losses to the host, and what went wrong on the device. */
static sru_status finish(struct sru_net *net, size_t t, float *nll, struct sru_error *err)
{
    struct sru_dev *dev = net->lm->dev;
    const sru_status status = dev->ops->sync(dev, err);

    if (!status && nll)
        dev->ops->get(dev, nll, net->nll, net->B * t * sizeof *nll);
    return status;
}

sru_status sru_net_read(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets, float *nll,
                        struct sru_error *err)
{
    sru_net_feed(net, t, tokens, targets);
    forward(net, t);
    predict(net, t, targets ? net->targets : NULL);
    return finish(net, t, targets ? nll : NULL, err);
}

bool sru_net_is_steady(const struct sru_net *net)
{
    return net->present == net->M && net->last == net->T && !is_adaptive(net);   /* whose sizes differ each time */
}

void sru_net_replayed(struct sru_net *net)
{
    net->turned ^= sru_net_turns(net);
}

void sru_net_queue(struct sru_net *net, float factor)
{
    forward(net, net->T);
    predict_back(net, factor);
    for (size_t i = net->lm->config.depth; i-- > 0;)
        sru_layer_backward(net, i);
    embed_back(net);
}

sru_status sru_net_train(struct sru_net *net, const int32_t *tokens, const int32_t *targets, float factor, float *nll,
                         struct sru_error *err)
{
    sru_net_feed(net, net->T, tokens, targets);
    sru_net_queue(net, factor);
    return finish(net, net->T, nll, err);
}
