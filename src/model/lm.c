/* A model's weights on a device. */
#include "config.h"

#include <stdlib.h>

#include "src/model/lm.h"
#include "src/size.h"

/* ---- Matrices --------------------------------------------------------------------------------- */

static size_t n_matrices(const struct sru_lm *lm)
{
    return SRU_MATRICES * lm->config.depth + 1;
}

static void add_matrix(struct sru_lm *lm, size_t i, size_t offset, size_t in, size_t out, bool in_first, enum sru_use use,
                       bool *ok)
{
    lm->matrices[i] = (struct sru_matrix){ .offset = offset };
    if (offset == SRU_NONE || !*ok)
        return;
    lm->matrices[i].operand = lm->dev->ops->operand_open(lm->dev, in, out, in_first, use);
    *ok = lm->matrices[i].operand != NULL;
}

static bool add_matrices(struct sru_lm *lm, enum sru_use use)
{
    const size_t d = lm->config.n_d, p = lm->config.n_proj;
    const bool train = use == SRU_USE_TRAIN;
    const enum sru_use halves = train ? SRU_USE_READ : use;
    bool ok = (lm->matrices = calloc(n_matrices(lm), sizeof *lm->matrices)) != NULL;

    for (size_t i = 0; ok && i < lm->config.depth; i++) {
        const struct sru_layer_params *l = &lm->params.layers[i];
        const size_t at = SRU_MATRICES * i;

        add_matrix(lm, at + SRU_W1, l->w1, d, p, false, use, &ok);
        add_matrix(lm, at + SRU_W2K, l->w2, p, p, false, halves, &ok);
        add_matrix(lm, at + SRU_W2V, l->w2 == SRU_NONE ? SRU_NONE : l->w2 + p * p, p, p, false, halves, &ok);
        add_matrix(lm, at + SRU_W2, train ? l->w2 : SRU_NONE, p, 2 * p, false, use, &ok);
        add_matrix(lm, at + SRU_W3, l->w3, p, 3 * d, true, use, &ok);
    }
    if (ok)
        add_matrix(lm, n_matrices(lm) - 1, lm->params.out_w, d, lm->config.vocab, false, use, &ok);
    return ok;
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
    for (size_t i = 0; i < n_matrices(lm) && !lm->prepared; i++)
        if (lm->matrices[i].operand) {
            const struct sru_weight w = sru_lm_matrix(lm, i);
            lm->dev->ops->prepare(lm->dev, &w);
        }
    lm->prepared = true;
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
        for (size_t i = 0; lm->matrices && i < n_matrices(lm); i++)
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
