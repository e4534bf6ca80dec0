/* One SRU++ layer, forward and backward (model.md, "One layer" and "Backward"). */
#include "config.h"

#include "src/model/lm.h"

struct sru_layer sru_layer_of(const struct sru_lm *lm, size_t i)
{
    const struct sru_layer_params *p = &lm->params.layers[i];
    const size_t at = SRU_MATRICES * i;

    return (struct sru_layer){
        .i = i,
        .attends = p->attends,
        .w1 = sru_lm_matrix(lm, at + SRU_W1),
        .w2k = sru_lm_matrix(lm, at + SRU_W2K),
        .w2v = sru_lm_matrix(lm, at + SRU_W2V),
        .w2 = sru_lm_matrix(lm, at + SRU_W2),
        .w3 = sru_lm_matrix(lm, at + SRU_W3),
        .alpha = sru_lm_weight(lm, p->alpha),
        .gamma = sru_lm_weight(lm, p->ln_w),
        .beta = sru_lm_weight(lm, p->ln_b),
        .v = sru_lm_weight(lm, p->v),
        .bias = sru_lm_weight(lm, p->bias),
        .norm_w = sru_lm_weight(lm, p->norm_w),
        .norm_b = sru_lm_weight(lm, p->norm_b),
    };
}

struct sru_mask sru_net_mask(const struct sru_net *net, size_t layer, enum sru_site site, double rate, const float *given)
{
    if (!net->train)
        return (struct sru_mask){ .rate = 0 };
    return (struct sru_mask){ .rate = (float)rate, .step = net->step, .layer = (uint32_t)layer, .site = site,
                              .seed = net->seed, .given = given };
}

/* ---- The operators' arguments, the same for forward and backward ------------------------- */

struct pass {
    const struct sru_net *net;
    struct sru_dev *dev;
    struct sru_layer l;
    struct sru_layer_buffers *b;
    size_t B, t, M, p, d;      /* M: this layer's, 0 without attention */
    bool   pre, post;          /* layer_norm before or after */
};

static struct pass pass_of(const struct sru_net *net, size_t i, size_t t)
{
    const struct sru_config *c = &net->lm->config;
    const struct sru_layer l = sru_layer_of(net->lm, i);

    return (struct pass){
        .net = net, .dev = net->lm->dev, .l = l, .b = &net->layers[i], .B = net->B, .t = t,
        .M = l.attends ? net->M : 0, .p = c->n_proj, .d = c->n_d,
        .pre = c->layer_norm && !c->normalize_after, .post = c->layer_norm && c->normalize_after,
    };
}

/* Rows of a buffer [B,M+T,cols], from row `from` of every stream. */
static struct sru_rows with_memory(const struct pass *k, sru_act *p, size_t cols, size_t from)
{
    return (struct sru_rows){ sru_at(k->dev, p, from * cols), (k->M + k->net->T) * cols };
}

/* The segment's of a buffer [B,M+T,cols]. */
static struct sru_rows beside_memory(const struct pass *k, sru_act *p, size_t cols)
{
    return with_memory(k, p, cols, sru_net_segment_row(k->net, k->M));
}

/* Rows of a buffer [B,T,cols]. */
static struct sru_rows segment(const struct pass *k, sru_act *p, size_t cols)
{
    return (struct sru_rows){ p, k->net->T * cols };
}

static struct sru_norm norm_before(const struct pass *k)
{
    return (struct sru_norm){
        .B = k->B, .T = k->t, .cols = k->d, .gamma = k->l.norm_w, .beta = k->l.norm_b, .stats = k->b->norm_stats,
        .r = beside_memory(k, k->b->in, k->d), .y = beside_memory(k, k->b->joined, k->d),
        .dy = segment(k, k->net->dj, k->d), .dr = segment(k, k->net->dh, k->d), .add_dr = true,
    };
}

static struct sru_norm norm_after(const struct pass *k, struct sru_rows out)
{
    const struct sru_rows dh = segment(k, k->net->dh, k->d);

    return (struct sru_norm){
        .B = k->B, .T = k->t, .cols = k->d, .gamma = k->l.norm_w, .beta = k->l.norm_b, .stats = k->b->norm_stats,
        .r = segment(k, k->b->h, k->d), .y = out, .dy = dh, .dr = dh,
    };
}

static struct sru_linear project(const struct pass *k)
{
    return (struct sru_linear){
        .B = k->B, .rows = k->M + k->t, .in = k->d, .out = k->p, .w = k->l.w1, .dx_from = sru_net_segment_row(k->net, k->M), .dx_rows = k->t,
        .x = with_memory(k, k->b->joined, k->d, 0), .y = with_memory(k, k->b->z, k->p, 0),
        .dy = with_memory(k, k->net->dz, k->p, 0),
        .dx = segment(k, k->pre ? k->net->dj : k->net->dh, k->d), .add_dx = !k->pre,
    };
}

static struct sru_linear keys_or_values(const struct pass *k, struct sru_weight w, sru_act *y)
{
    return (struct sru_linear){
        .B = k->B, .rows = k->M + k->t, .in = k->p, .out = k->p, .w = w, .x = with_memory(k, k->b->z, k->p, 0),
        .y = with_memory(k, y, k->p, 0),
    };
}

/* Backward alone: keys and values at once. */
static struct sru_linear keys_and_values(const struct pass *k)
{
    return (struct sru_linear){
        .B = k->B, .rows = k->M + k->t, .in = k->p, .out = 2 * k->p, .w = k->l.w2, .x = with_memory(k, k->b->z, k->p, 0),
        .dy = with_memory(k, k->net->dkv, 2 * k->p, 0), .dx = with_memory(k, k->net->dz, k->p, 0), .dx_rows = k->M + k->t, .add_dx = true,
    };
}

static struct sru_attend attention(const struct pass *k)
{
    const struct sru_net *net = k->net;
    const struct sru_config *c = &net->lm->config;

    return (struct sru_attend){
        .B = k->B, .T = k->t, .M = k->M, .H = c->heads, .p = k->p, .present = net->present, .window = net->window,
        .turned = net->turned,
        .q = beside_memory(k, k->b->z, k->p), .k = with_memory(k, k->b->k, k->p, 0),
        .v = with_memory(k, k->b->v, k->p, 0), .out = segment(k, k->b->A, k->p), .dout = segment(k, net->dA, k->p),
        .dq = beside_memory(k, net->dz, k->p), .dkv = with_memory(k, net->dkv, 2 * k->p, 0),
        .kept = k->b->kept_attend,
        .mask = sru_net_mask(net, k->l.i, SRU_SITE_ATTEND, c->attn_dropout,
                             net->given ? net->given->layer[k->l.i].attend : NULL),
    };
}

static struct sru_norm combine(const struct pass *k)
{
    const struct sru_net *net = k->net;
    struct sru_norm s = {
        .B = k->B, .T = k->t, .cols = k->p, .gamma = k->l.gamma, .beta = k->l.beta, .stats = k->b->stats,
        .r = beside_memory(k, k->b->z, k->p), .y = segment(k, k->b->a, k->p), .dy = segment(k, net->da, k->p),
        .dr = beside_memory(k, net->dz, k->p),
        .mask = sru_net_mask(net, k->l.i, SRU_SITE_PROJECT, net->lm->config.dropout,
                             net->given ? net->given->layer[k->l.i].project : NULL),
    };

    if (k->l.attends) {
        s.a = segment(k, k->b->A, k->p);
        s.da = segment(k, net->dA, k->p);
        s.alpha = k->l.alpha;
    }
    return s;
}

static struct sru_recur recurrence(const struct pass *k, struct sru_rows out)
{
    const struct sru_net *net = k->net;
    const struct sru_config *c = &net->lm->config;
    const bool last = k->l.i + 1 == c->depth;    /* its highway is never dropped */

    return (struct sru_recur){
        .B = k->B, .T = k->t, .d = k->d, .p = k->p, .scale = sru_config_scale(c), .w3 = k->l.w3, .v = k->l.v,
        .bias = k->l.bias, .a = segment(k, k->b->a, k->p), .da = segment(k, net->da, k->p),
        .x = beside_memory(k, k->b->in, k->d), .h = k->post ? segment(k, k->b->h, k->d) : out,
        .dx = segment(k, net->dh, k->d), .dh = segment(k, net->dh, k->d), .c0 = k->b->c0, .c1 = k->b->c1,
        .kept = k->b->kept_recur,
        .mask = sru_net_mask(net, k->l.i, SRU_SITE_HIGHWAY, last ? 0 : c->dropout,
                             net->given ? net->given->layer[k->l.i].highway : NULL),
    };
}

/* ---- Forward and backward ------------------------------------------------------------------ */

void sru_layer_forward(struct sru_net *net, size_t i, size_t t, struct sru_rows out)
{
    const struct pass k = pass_of(net, i, t);
    const struct sru_ops *ops = k.dev->ops;

    if (k.pre) {
        const struct sru_norm before = norm_before(&k);

        if (k.M > 0)   /* the memory is not normalised */
            ops->copy(k.dev, with_memory(&k, k.b->joined, k.d, sru_net_memory_row(net)).p,
                      with_memory(&k, k.b->in, k.d, sru_net_memory_row(net)).p,
                      k.M * k.d * k.dev->act_bytes, k.B, (k.M + net->T) * k.d * k.dev->act_bytes);
        ops->norm(k.dev, &before);
    }
    const struct sru_linear z = project(&k);
    ops->linear(k.dev, &z);
    if (k.l.attends) {
        const struct sru_linear keys = keys_or_values(&k, k.l.w2k, k.b->k);
        const struct sru_linear values = keys_or_values(&k, k.l.w2v, k.b->v);
        const struct sru_attend att = attention(&k);

        ops->linear(k.dev, &keys);
        ops->linear(k.dev, &values);
        ops->attend(k.dev, &att);
    }
    const struct sru_norm a = combine(&k);
    ops->norm(k.dev, &a);
    const struct sru_recur r = recurrence(&k, out);
    ops->recur(k.dev, &r);
    if (k.post) {
        const struct sru_norm after = norm_after(&k, out);
        ops->norm(k.dev, &after);
    }
}

void sru_layer_backward(struct sru_net *net, size_t i)
{
    const struct pass k = pass_of(net, i, net->T);
    const struct sru_ops *ops = k.dev->ops;
    const struct sru_rows nowhere = { NULL, 0 };

    if (k.post) {
        const struct sru_norm after = norm_after(&k, nowhere);
        ops->norm_back(k.dev, &after);
    }
    const struct sru_recur r = recurrence(&k, nowhere);
    ops->recur_back(k.dev, &r);
    if (k.l.attends)   /* the memory's rows begin with 0; the segment's are replaced */
        ops->zero(k.dev, net->dz, k.B * (k.M + net->T) * k.p * k.dev->act_bytes);
    const struct sru_norm a = combine(&k);
    ops->norm_back(k.dev, &a);
    if (k.l.attends) {
        const struct sru_attend att = attention(&k);
        const struct sru_linear both = keys_and_values(&k);

        ops->attend_back(k.dev, &att);
        ops->linear_back(k.dev, &both);
    }
    const struct sru_linear z = project(&k);
    ops->linear_back(k.dev, &z);
    if (k.pre) {
        const struct sru_norm before = norm_before(&k);
        ops->norm_back(k.dev, &before);
    }
}
