/* Weights rounded to what 8 bits hold: see sru_lm_quantize. */
#include "config.h"

#include <stdlib.h>

#include "src/int8.h"
#include "src/model/lm.h"
#include "src/size.h"

/* n weights that are `stride` apart. */
static void round_row(float *w, size_t n, size_t stride)
{
    const float scale = sru_int8_scale(n, w, stride);

    for (size_t i = 0; i < n; i++)
        w[i * stride] = sru_int8_of(w[i * stride], scale) * scale;
}

/* A matrix [out,in], or with in_first [in,out], by way of the host's `room`. */
static void round_matrix(struct sru_lm *lm, size_t offset, size_t in, size_t out, bool in_first, float *room)
{
    struct sru_dev *dev = lm->dev;

    if (offset == SRU_NONE)
        return;
    dev->ops->get(dev, room, lm->w + offset, in * out * sizeof *room);
    for (size_t o = 0; o < out; o++)
        round_row(room + o * (in_first ? 1 : in), in, in_first ? out : 1);
    dev->ops->put(dev, lm->w + offset, room, in * out * sizeof *room);
}

sru_status sru_lm_quantize(struct sru_lm *lm, struct sru_error *err)
{
    const size_t d = lm->config.n_d, p = lm->config.n_proj, V = lm->config.vocab;
    float *room = malloc(sru_max(sru_max(3 * d * p, 2 * p * p), V * d) * sizeof *room);

    if (!room)
        return sru_fail(err, SRU_ENOMEM, "out of memory to round the weights");
    for (size_t i = 0; i < lm->config.depth; i++) {
        const struct sru_layer_params *l = &lm->params.layers[i];

        round_matrix(lm, l->w1, d, p, false, room);
        round_matrix(lm, l->w2, p, 2 * p, false, room);
        round_matrix(lm, l->w3, p, 3 * d, true, room);
    }
    round_matrix(lm, lm->params.out_w, d, V, false, room);
    lm->prepared = false;
    free(room);
    return SRU_OK;
}
