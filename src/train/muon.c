/* The matrices of Muon: see muon.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/train/muon.h"

enum { MOST = 6 };   /* of a layer */

/* A matrix of the model, [out,in]. */
static float scale_of(size_t out, size_t in)
{
    return out > in ? (float)sqrt((double)out / (double)in) : 1;
}

sru_status sru_muon_matrices(const struct sru_params *params, const struct sru_config *c, struct sru_muon_matrix **out, size_t *n,
                             struct sru_error *err)
{
    const size_t d = c->n_d, p = c->n_proj;
    struct sru_muon_matrix *m = calloc(c->depth, MOST * sizeof *m);

    *out = m;
    *n = 0;
    if (!m)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the names of %zu layers", c->depth);
    for (size_t i = 0; i < c->depth; i++) {
        const struct sru_layer_params *l = &params->layers[i];

        m[(*n)++] = (struct sru_muon_matrix){ l->w1, p, d, d, scale_of(p, d) };
        for (size_t half = 0; half < 2 && l->attends; half++)
            m[(*n)++] = (struct sru_muon_matrix){ l->w2 + half * p * p, p, p, p, 1 };
        for (size_t plane = 0; plane < 3; plane++)   /* transposed in the arena */
            m[(*n)++] = (struct sru_muon_matrix){ l->w3 + plane * d, p, d, 3 * d, scale_of(d, p) };
    }
    return SRU_OK;
}
