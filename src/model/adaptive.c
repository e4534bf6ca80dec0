/* The adaptive embedding and softmax: see adaptive.h. */
#include "config.h"

#include <string.h>

#include "src/model/lm.h"
#include "src/size.h"

/* ---- Grouping ---------------------------------------------------------------------------------- */

enum { LEAST = 64 };   /* rows, and what they are a multiple of */

/* Eight sizes from one power of two to the next. */
size_t sru_adaptive_rows(size_t n)
{
    size_t step = LEAST;

    while (16 * step <= n)
        step *= 2;
    return sru_round_up(n, step);
}

size_t sru_adaptive_listed(const struct sru_config *c, size_t N)
{
    return N + N / 8 + LEAST * (c->n_cutoffs + 1);
}

/*
 * Positions of n tokens in the order of the tokens, which is the clusters', and of one token in their own; and the tokens, counted
 * from their cluster's first.  `count` has room for the vocabulary.
 */
static void group(const struct sru_config *c, size_t n, const int32_t *tokens, int32_t *count, struct sru_members *members, int32_t *at,
                  int32_t *ids)
{
    memset(count, 0, c->vocab * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[tokens[i]]++;
    for (size_t k = 0, from = 0; k <= c->n_cutoffs; k++) {
        const struct sru_cluster_sizes sizes = sru_config_cluster(c, k);
        struct sru_members *m = &members[k];

        m->from = from;
        for (size_t v = 0; v < sizes.n; v++) {   /* counts to places */
            const size_t end = from + (size_t)count[sizes.from + v];

            count[sizes.from + v] = (int32_t)from;
            while (from < end)
                ids[from++] = (int32_t)v;
        }
        m->n = from - m->from;
        m->rows = sru_adaptive_rows(m->n);
        while (from < m->from + m->rows)
            ids[from++] = -1;
    }
    for (size_t i = 0; i < n; i++)
        at[count[tokens[i]]++] = (int32_t)i;
}

/* What the head is to say at each position: a word of its own, or another cluster, the last of which it scores first. */
static void head_targets(const struct sru_config *c, const struct sru_members *members, const int32_t *at, const int32_t *ids, int32_t *head)
{
    for (size_t k = 0; k <= c->n_cutoffs; k++)
        for (size_t i = members[k].from; i < members[k].from + members[k].n; i++)
            head[at[i]] = k == 0 ? ids[i] : (int32_t)(c->cutoffs[0] + c->n_cutoffs - k);
}

void sru_adaptive_feed(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets)
{
    struct sru_adaptive *a = &net->adaptive;
    const struct sru_config *c = &net->lm->config;
    struct sru_dev *dev = net->lm->dev;
    const size_t n = net->B * t, listed = sru_adaptive_listed(c, n), bytes = listed * sizeof *tokens;
    int32_t *at = a->host, *ids = at + listed, *head = ids + listed, *count = head + n;

    group(c, n, tokens, count, a->in, at, ids);
    dev->ops->put(dev, a->in_at, at, bytes);
    dev->ops->put(dev, a->in_ids, ids, bytes);
    if (!targets)
        return;
    group(c, n, targets, count, a->out, at, ids);
    head_targets(c, a->out, at, ids, head);
    dev->ops->put(dev, a->out_at, at, bytes);
    dev->ops->put(dev, a->out_ids, ids, bytes);
    dev->ops->put(dev, net->targets, head, n * sizeof *head);
}

/* ---- The operators' arguments -------------------------------------------------------------------- */

/* A cluster of a net. */
struct part {
    struct sru_net *net;
    struct sru_dev *dev;
    const struct sru_cluster_params *p;
    struct sru_weight table, in_proj, out_proj, bias;
    size_t i, d, e, t;
    struct sru_members in, out;
};

static struct part part_of(struct sru_net *net, size_t i, size_t t)
{
    const struct sru_lm *lm = net->lm;
    const struct sru_cluster_params *p = &lm->params.clusters[i];
    const size_t first = SRU_MATRICES * lm->config.depth + SRU_CLUSTER_MATRICES * i;

    return (struct part){
        .net = net, .dev = lm->dev, .p = p, .table = sru_lm_matrix(lm, first + SRU_TABLE),
        .in_proj = sru_lm_matrix(lm, first + SRU_IN_PROJ), .out_proj = sru_lm_matrix(lm, first + SRU_OUT_PROJ),
        .bias = sru_lm_weight(lm, p->bias), .i = i, .d = lm->config.n_d, .e = p->sizes.e, .t = t,
        .in = net->adaptive.in[i], .out = net->adaptive.out[i],
    };
}

/* n rows of `cols`, one after another. */
static struct sru_rows dense(sru_act *p, size_t n, size_t cols)
{
    return (struct sru_rows){ p, n * cols };
}

static struct sru_mask mask(const struct part *k, enum sru_site site)
{
    return sru_net_mask(k->net, k->i, site, k->net->lm->config.emb_dropout, NULL);
}

static struct sru_embed look_up(const struct part *k)
{
    const struct sru_adaptive *a = &k->net->adaptive;

    return (struct sru_embed){
        .B = 1, .T = k->in.n, .d = k->e, .V = k->p->rows, .tokens = a->in_ids + k->in.from, .table = k->table, .add = true,
        .x = dense(a->small, k->in.n, k->e), .dx = dense(a->dsmall, k->in.n, k->e), .mask = mask(k, SRU_SITE_CLUSTER_IN),
    };
}

/* Embeddings to hidden states.  A projection that is the output's too has that gradient already. */
static struct sru_linear widen(const struct part *k)
{
    const struct sru_adaptive *a = &k->net->adaptive;

    return (struct sru_linear){
        .B = 1, .rows = k->in.rows, .dx_rows = k->in.rows, .in = k->e, .out = k->d, .w = k->in_proj, .x = dense(a->small, k->in.rows, k->e),
        .y = dense(a->picked, k->in.rows, k->d), .dy = dense(a->picked, k->in.rows, k->d), .dx = dense(a->dsmall, k->in.rows, k->e),
        .add_dw = k->p->in_proj == k->p->out_proj,
    };
}

/* Where a cluster's tokens stand in a segment. */
static struct sru_pick inputs(const struct part *k, struct sru_rows x)
{
    const struct sru_net *net = k->net;

    return (struct sru_pick){
        .n = k->in.n, .T = k->t, .cols = k->d, .at = net->adaptive.in_at + k->in.from, .x = x, .y = net->adaptive.picked,
        .mask = sru_net_mask(net, 0, SRU_SITE_EMBED, net->lm->config.dropout, net->given ? net->given->embed : NULL),
    };
}

/* ---- Embedding ----------------------------------------------------------------------------------- */

void sru_adaptive_embed(struct sru_net *net, size_t t, struct sru_rows x)
{
    for (size_t i = 0; i < net->lm->params.n_clusters; i++) {
        const struct part k = part_of(net, i, t);
        const struct sru_embed e = look_up(&k);
        const struct sru_linear w = widen(&k);
        const struct sru_pick to = inputs(&k, x);

        if (k.in.n == 0)
            continue;
        k.dev->ops->embed(k.dev, &e);
        k.dev->ops->linear(k.dev, &w);
        k.dev->ops->scatter(k.dev, &to);
    }
}

/* Embeddings are looked up again: they are small. */
void sru_adaptive_embed_back(struct sru_net *net)
{
    for (size_t i = 0; i < net->lm->params.n_clusters; i++) {
        const struct part k = part_of(net, i, net->T);
        const struct sru_embed e = look_up(&k);
        const struct sru_linear w = widen(&k);
        const struct sru_pick from = inputs(&k, (struct sru_rows){ net->dh, net->T * k.d });

        if (k.in.n == 0) {
            if (!w.add_dw)
                k.dev->ops->zero(k.dev, k.in_proj.g, k.d * k.e * sizeof(float));
            continue;
        }
        k.dev->ops->gather(k.dev, &from);
        k.dev->ops->zero(k.dev, sru_at(k.dev, net->adaptive.picked, k.in.n * k.d), (k.in.rows - k.in.n) * k.d * k.dev->act_bytes);
        k.dev->ops->embed(k.dev, &e);
        k.dev->ops->linear_back(k.dev, &w);
        k.dev->ops->embed_back(k.dev, &e);
    }
}

/* ---- Softmax -------------------------------------------------------------------------------------- */

/* Scores of n rows from their hidden states x, the gradient of which goes to dx. */
static void score(const struct part *k, size_t n, struct sru_rows x, struct sru_rows dx, const int32_t *targets, float *nll, bool back,
                  float factor)
{
    const struct sru_adaptive *a = &k->net->adaptive;
    const struct sru_ops *ops = k->dev->ops;
    const size_t B = k->i == 0 ? k->net->B : 1;   /* the head's rows are the streams' */
    const struct sru_linear narrow = {
        .B = B, .rows = n / B, .dx_rows = n / B, .in = k->d, .out = k->e, .w = k->out_proj, .x = x, .dx = dx,
        .y = dense(a->small, n / B, k->e), .dy = dense(a->dsmall, n / B, k->e),
    };
    const struct sru_predict p = {
        .B = 1, .T = n, .d = k->e, .V = k->p->rows, .h = dense(a->small, n, k->e), .dh = dense(a->dsmall, n, k->e), .w = k->table,
        .bias = k->bias, .targets = targets, .nll = nll, .factor = factor, .mask = mask(k, SRU_SITE_CLUSTER_OUT),
    };

    ops->linear(k->dev, &narrow);
    if (!back) {
        ops->predict(k->dev, &p);
        return;
    }
    ops->predict_back(k->dev, &p);
    ops->linear_back(k->dev, &narrow);
}

/* Of targets that are of no other cluster the head's scores are all. */
static void score_tail(const struct part *k, struct sru_rows hidden, bool back, float factor)
{
    struct sru_net *net = k->net;
    struct sru_adaptive *a = &net->adaptive;
    const struct sru_ops *ops = k->dev->ops;
    const size_t n = k->out.n;
    struct sru_pick pick = { .n = n, .T = k->t, .cols = k->d, .at = a->out_at + k->out.from, .x = hidden, .y = a->picked };

    if (n == 0 && back) {
        ops->zero(k->dev, k->table.g, k->p->rows * k->e * sizeof(float));
        ops->zero(k->dev, k->bias.g, k->p->rows * sizeof(float));
        ops->zero(k->dev, k->out_proj.g, k->d * k->e * sizeof(float));
    }
    if (n == 0)
        return;
    ops->gather(k->dev, &pick);
    score(k, k->out.rows, dense(a->picked, k->out.rows, k->d), dense(a->dpicked, k->out.rows, k->d), a->out_ids + k->out.from, a->nll, back, factor);
    ops->add_at(k->dev, n, pick.at, a->nll, net->nll);
    if (!back)
        return;
    pick.x = (struct sru_rows){ net->dh, net->T * k->d };
    pick.y = a->dpicked;
    pick.add = true;
    ops->scatter(k->dev, &pick);
}

void sru_adaptive_predict(struct sru_net *net, size_t t, bool back, float factor)
{
    struct sru_adaptive *a = &net->adaptive;
    const struct sru_config *c = &net->lm->config;
    struct sru_dev *dev = net->lm->dev;
    const struct sru_rows out = { net->out, net->T * c->n_d }, dh = { net->dh, net->T * c->n_d };
    const struct sru_norm drop = {
        .B = net->B, .T = t, .cols = c->n_d, .r = out, .y = { a->hidden, net->T * c->n_d }, .dy = dh, .dr = dh,
        .mask = sru_net_mask(net, 0, SRU_SITE_OUTPUT, c->dropout, net->given ? net->given->output : NULL),
    };
    const bool drops = sru_mask_is_on(&drop.mask);
    const struct sru_rows hidden = drops ? drop.y : out;

    if (drops)
        dev->ops->norm(dev, &drop);
    for (size_t i = 0; i < net->lm->params.n_clusters; i++) {
        const struct part k = part_of(net, i, t);

        if (i == 0)
            score(&k, net->B * t, hidden, dh, net->targets, net->nll, back, factor);
        else
            score_tail(&k, hidden, back, factor);
    }
    if (drops && back)
        dev->ops->norm_back(dev, &drop);
}
