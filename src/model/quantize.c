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

/* By way of the host's `room`. */
static void round_matrix(struct sru_lm *lm, const struct sru_matrix_plan *m, float *room)
{
    struct sru_dev *dev = lm->dev;

    dev->ops->get(dev, room, lm->w + m->offset, m->in * m->out * sizeof *room);
    for (size_t o = 0; o < m->out; o++)
        round_row(room + o * (m->in_first ? 1 : m->in), m->in, m->in_first ? m->out : 1);
    dev->ops->put(dev, lm->w + m->offset, room, m->in * m->out * sizeof *room);
}

sru_status sru_lm_quantize(struct sru_lm *lm, struct sru_error *err)
{
    size_t most = 0;

    for (size_t i = 0; i < sru_lm_n_matrices(lm); i++) {
        const struct sru_matrix_plan m = sru_lm_matrix_plan(lm, i, SRU_USE_READ);
        most = sru_max(most, m.in * m.out);
    }
    float *room = malloc(most * sizeof *room);
    if (!room)
        return sru_fail(err, SRU_ENOMEM, "out of memory to round the weights");
    for (size_t i = 0; i < sru_lm_n_matrices(lm); i++) {
        const struct sru_matrix_plan m = sru_lm_matrix_plan(lm, i, SRU_USE_DECODE_INT8);
        if (m.offset != SRU_NONE && m.use == SRU_USE_DECODE_INT8)
            round_matrix(lm, &m, room);
    }
    lm->prepared = false;
    free(room);
    return SRU_OK;
}
