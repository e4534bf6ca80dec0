/* A model's weights on a device. */
#include "config.h"

#include <stdlib.h>

#include "src/model/lm.h"
#include "src/size.h"

sru_status sru_lm_open(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev, bool train, struct sru_error *err)
{
    *lm = (struct sru_lm){ .config = *c, .dev = dev };

    const sru_status status = sru_params_open(&lm->params, c, err);
    if (status)
        return status;
    lm->w = dev->ops->alloc(dev, lm->params.arena * sizeof *lm->w);
    lm->g = train ? dev->ops->alloc(dev, lm->params.arena * sizeof *lm->g) : NULL;
    if (!lm->w || (train && !lm->g)) {
        const size_t mb = (lm->params.arena * sizeof *lm->w) >> 20;
        sru_lm_close(lm);
        return sru_fail(err, SRU_ENOMEM, "out of memory for %zu MB of parameters%s", mb, train ? " and as much of gradients" : "");
    }
    return SRU_OK;
}

void sru_lm_close(struct sru_lm *lm)
{
    if (lm->dev) {
        lm->dev->ops->release(lm->dev, lm->w);
        lm->dev->ops->release(lm->dev, lm->g);
    }
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
    free(host);
    return SRU_OK;
}
