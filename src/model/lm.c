/* A model's weights on a device. */
#include "config.h"

#include <stdlib.h>

#include "src/model/lm.h"
#include "src/size.h"

/* ---- Matrices --------------------------------------------------------------------------------- */

size_t sru_lm_n_matrices(const struct sru_lm *lm)
{
    return SRU_MATRICES * lm->config.depth + (lm->params.n_clusters > 0 ? SRU_CLUSTER_MATRICES * lm->params.n_clusters : 1);
}

/* Matrix i of those of the clusters.  A projection makes hidden states of embeddings, and the other way round scores: it is never in 8 bits, being
 * small and, where one is both, of rows either way. */
static struct sru_matrix_plan cluster_matrix(const struct sru_lm *lm, size_t i, enum sru_use use)
{
    const struct sru_cluster_params *k = &lm->params.clusters[i / SRU_CLUSTER_MATRICES];
    const size_t d = lm->config.n_d, e = k->sizes.e;
    const enum sru_use whole = use == SRU_USE_DECODE_INT8 ? SRU_USE_DECODE : use;

    switch (i % SRU_CLUSTER_MATRICES) {
    case SRU_TABLE:   return (struct sru_matrix_plan){ k->table, e, k->rows, false, use };
    case SRU_IN_PROJ: return (struct sru_matrix_plan){ k->in_proj, e, d, false, whole };
    default:          return (struct sru_matrix_plan){ k->out_proj, d, e, true, whole };
    }
}

struct sru_matrix_plan sru_lm_matrix_plan(const struct sru_lm *lm, size_t i, enum sru_use use)
{
    const size_t d = lm->config.n_d, p = lm->config.n_proj;
    const bool train = use == SRU_USE_TRAIN;
    const enum sru_use forward = train ? SRU_USE_READ : use;

    if (i >= SRU_MATRICES * lm->config.depth && lm->params.n_clusters > 0)
        return cluster_matrix(lm, i - SRU_MATRICES * lm->config.depth, use);
    if (i + 1 == sru_lm_n_matrices(lm))
        return (struct sru_matrix_plan){ lm->params.out_w, d, lm->config.vocab, false, use };
    const struct sru_layer_params *l = &lm->params.layers[i / SRU_MATRICES];
    switch (i % SRU_MATRICES) {
    case SRU_W1:  return (struct sru_matrix_plan){ l->w1, d, p, false, use };
    case SRU_W2K: return (struct sru_matrix_plan){ l->w2, p, p, false, forward };
    case SRU_W2V: return (struct sru_matrix_plan){ l->w2 == SRU_NONE ? SRU_NONE : l->w2 + p * p, p, p, false, forward };
    case SRU_W2:  return (struct sru_matrix_plan){ train ? l->w2 : SRU_NONE, p, 2 * p, false, use };
    default:      return (struct sru_matrix_plan){ l->w3, p, 3 * d, true, use };
    }
}

static bool add_matrices(struct sru_lm *lm, enum sru_use use)
{
    lm->matrices = calloc(sru_lm_n_matrices(lm), sizeof *lm->matrices);
    for (size_t i = 0; lm->matrices && i < sru_lm_n_matrices(lm); i++) {
        const struct sru_matrix_plan m = sru_lm_matrix_plan(lm, i, use);

        lm->matrices[i].offset = m.offset;
        if (m.offset == SRU_NONE)
            continue;
        lm->matrices[i].operand = lm->dev->ops->operand_open(lm->dev, m.in, m.out, m.in_first, m.use);
        if (!lm->matrices[i].operand)
            return false;
    }
    return lm->matrices != NULL;
}

uint64_t sru_lm_operand_bytes(const struct sru_lm *lm, enum sru_use use)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < sru_lm_n_matrices(lm); i++) {
        const struct sru_matrix_plan m = sru_lm_matrix_plan(lm, i, use);

        sum += m.offset == SRU_NONE ? 0 : lm->dev->ops->operand_bytes(lm->dev, m.in, m.out, m.use);
    }
    return sum;
}

struct sru_weight sru_lm_weight(const struct sru_lm *lm, size_t offset)
{
    if (offset == SRU_NONE)
        return (struct sru_weight){ .w = NULL };
    return (struct sru_weight){ .w = lm->w + offset, .g = lm->g ? lm->g + offset : NULL };
}

struct sru_weight sru_lm_matrix(const struct sru_lm *lm, size_t i)
{
    struct sru_weight w = sru_lm_weight(lm, lm->matrices[i].offset);

    w.operand = lm->matrices[i].operand;
    return w;
}

void sru_lm_prepare(struct sru_lm *lm)
{
    struct sru_weight some[64];
    size_t n = 0;

    if (lm->prepared)
        return;
    for (size_t i = 0; i < sru_lm_n_matrices(lm); i++) {
        if (lm->matrices[i].operand)
            some[n++] = sru_lm_matrix(lm, i);
        if (n == sizeof some / sizeof *some || i + 1 == sru_lm_n_matrices(lm)) {
            lm->dev->ops->prepare(lm->dev, some, n);
            n = 0;
        }
    }
    lm->prepared = true;
}

uint64_t sru_lm_bytes(const struct sru_lm *lm)
{
    return (lm->g ? 2 : 1) * (uint64_t)lm->params.arena * sizeof *lm->w + sru_lm_operand_bytes(lm, lm->g ? SRU_USE_TRAIN : SRU_USE_READ);
}

float *sru_lm_values(const struct sru_lm *lm)
{
    const struct sru_params *p = &lm->params;
    float *weights = malloc(p->arena * sizeof *weights), *values = malloc((size_t)p->count * sizeof *values), *at = values;

    if (weights && values) {
        lm->dev->ops->get(lm->dev, weights, lm->w, p->arena * sizeof *weights);
        for (size_t i = 0; i < p->n_tensors; at += p->tensors[i++].count)
            sru_tensor_to_file(&p->tensors[i], weights, at);
    } else {
        free(values);
        values = NULL;
    }
    free(weights);
    return values;
}

/* ---- Opening -------------------------------------------------------------------------------------- */

sru_status sru_lm_open(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev, enum sru_use use,
                       struct sru_error *err)
{
    const bool train = use == SRU_USE_TRAIN;

    *lm = (struct sru_lm){ .config = *c, .dev = dev };

    const sru_status status = sru_params_open(&lm->params, c, err);
    if (status)
        return status;
    lm->w = dev->ops->alloc(dev, lm->params.arena * sizeof *lm->w);
    lm->g = train ? dev->ops->alloc(dev, lm->params.arena * sizeof *lm->g) : NULL;
    if (!lm->w || (train && !lm->g) || !add_matrices(lm, use)) {
        const size_t mb = (lm->params.arena * sizeof *lm->w) >> 20;
        sru_lm_close(lm);
        return sru_fail(err, SRU_ENOMEM, "out of memory for %zu MB of parameters%s", mb, train ? " and as much of gradients" : "");
    }
    return SRU_OK;
}

void sru_lm_close(struct sru_lm *lm)
{
    if (lm->dev) {
        for (size_t i = 0; lm->matrices && i < sru_lm_n_matrices(lm); i++)
            lm->dev->ops->operand_close(lm->dev, lm->matrices[i].operand);
        lm->dev->ops->release(lm->dev, lm->w);
        lm->dev->ops->release(lm->dev, lm->g);
    }
    free(lm->matrices);
    sru_params_close(&lm->params);
    *lm = (struct sru_lm){ .dev = NULL };
}

sru_status sru_lm_init(struct sru_lm *lm, uint64_t seed, struct sru_error *err)
{
    float *host = malloc(lm->params.arena * sizeof *host);

    if (!host)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the parameters");
    sru_params_init(&lm->params, &lm->config, seed, host);
    lm->dev->ops->put(lm->dev, lm->w, host, lm->params.arena * sizeof *host);
    lm->prepared = false;
    free(host);
    return SRU_OK;
}
