/* The loss of a model over a text: see evaluate.h. */
#include "config.h"

#include <stdlib.h>

#include "src/size.h"
#include "src/train/evaluate.h"

static sru_status run(struct sru_net *net, const struct sru_vocab *v, const struct sru_part *part, const char *name, int32_t *ids,
                      float *nll, const struct sru_stop *stop, struct sru_loss *loss, struct sru_error *err)
{
    sru_status status = SRU_OK;

    for (size_t at = 0; at + 1 < part->size && !status && !(stop && stop->asked(stop->context));) {
        const size_t t = sru_min(net->T, part->size - 1 - at);

        if (!(status = sru_part_get(part, v, at, t + 1, ids, name, err)))
            status = sru_net_read(net, t, ids, ids + 1, nll, err);
        for (size_t i = 0; i < t && !status; i++)
            loss->nats += (double)nll[i];
        loss->count += t;
        at += t;
    }
    return status;
}

sru_status sru_evaluate(struct sru_net *net, const struct sru_vocab *v, const struct sru_part *part, const char *name,
                        const struct sru_stop *stop, struct sru_loss *loss, struct sru_error *err)
{
    int32_t *ids = malloc((net->T + 1) * sizeof *ids);
    float *nll = malloc(net->T * sizeof *nll);
    sru_status status;

    *loss = (struct sru_loss){ 0 };
    sru_net_reset(net);
    if (part->size < 2)
        status = sru_fail(err, SRU_EFORMAT, "%s is too short to evaluate: it has %zu %ss, and 2 are needed", name, part->size,
                          sru_unit_name(v->unit));
    else if (!ids || !nll)
        status = sru_fail(err, SRU_ENOMEM, "out of memory to evaluate");
    else
        status = run(net, v, part, name, ids, nll, stop, loss, err);
    free(ids);
    free(nll);
    return status;
}
