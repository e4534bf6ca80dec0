/* Small models: see models.h. */
#include "config.h"

#include <string.h>

#include "tests/models.h"

const struct sru_config plain_model = { .vocab = 23, .n_d = 40, .n_proj = 12, .depth = 3, .heads = 1, .attn_every_n_layers = 1,
                                         .attn_layer_norm = true, .highway_bias = -2, .window = 9 };

struct sru_config model_variant(int i)
{
    struct sru_config c = plain_model;

    switch (i) {
    case 1: c.heads = 4; break;
    case 2: c.attn_every_n_layers = 2; break;
    case 3: c.attn_last_n_layers = 1; break;
    case 4: c.layer_norm = c.normalize_after = true; break;
    case 5: c.attn_layer_norm = false; break;
    case 6: c.rescale = true; break;
    case 7: c.window = 200; break;     /* never full */
    case 8: c.window = 1; break;
    case 9: c.n_d = 37, c.n_proj = 13; break;
    case 10: case 11:
        c.n_e = 18, c.div_val = 2, c.n_cutoffs = 2, c.cutoffs[0] = 6, c.cutoffs[1] = 15;
        c.tie_projs = i == 11;
        break;
    default: break;
    }
    return c;
}

void open_model(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev, enum sru_use use)
{
    ck_assert(!sru_lm_open(lm, c, dev, use, NULL));
    ck_assert(!sru_lm_init(lm, 3, NULL));
    const float alpha = 0.7f;
    for (size_t i = 0; i < c->depth; i++)
        if (lm->params.layers[i].attends)
            dev->ops->put(dev, lm->w + lm->params.layers[i].alpha, &alpha, sizeof alpha);   /* in no product: nothing to prepare anew */
}

void evaluate(struct sru_lm *lm, size_t B, size_t T, const int32_t *ids, float *nll)
{
    struct sru_net net;
    int32_t *x = pooled(B * T * sizeof *x), *y = pooled(B * T * sizeof *y);
    float *part = pooled(B * T * sizeof *part);

    ck_assert(!sru_net_open(&net, lm, B, T, lm->config.window, false, false, NULL));
    sru_net_reset(&net);
    for (size_t at = 0; at < LENGTH; at += T) {
        const size_t t = at + T < LENGTH ? T : LENGTH - at;

        for (size_t b = 0; b < B; b++)
            for (size_t i = 0; i < t; i++) {
                x[b * t + i] = ids[b * (LENGTH + 1) + at + i];
                y[b * t + i] = ids[b * (LENGTH + 1) + at + i + 1];
            }
        ck_assert(!sru_net_read(&net, t, x, y, part, NULL));
        for (size_t b = 0; b < B; b++)
            memcpy(nll + b * LENGTH + at, part + b * t, t * sizeof *nll);
    }
    sru_net_close(&net);
}
