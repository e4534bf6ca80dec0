/* Training, a step at a time: see trainer.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/train/trainer.h"

static sru_status open_muon(struct sru_trainer *t, struct sru_error *err)
{
    struct sru_dev *dev = t->lm->dev;
    struct sru_shape shape = sru_net_shape(&t->net);
    const sru_status status = sru_muon_matrices(&t->lm->params, &t->lm->config, &t->matrices, &t->n_matrices, err);

    shape.muon = true;
    return status ? status : dev->ops->reserve(dev, &shape, err);
}

uint64_t sru_trainer_bytes(struct sru_lm *lm, size_t B, size_t T, const struct sru_optimizer *optimizer)
{
    struct sru_net net;

    if (sru_net_plan(&net, lm, B, T, T, true, false, NULL))
        return 0;
    struct sru_shape shape = sru_net_shape(&net);
    shape.muon = optimizer->kind == SRU_MUON;
    const uint64_t bytes = sru_net_bytes(&net) + lm->dev->ops->work(lm->dev, &shape) + 2 * (uint64_t)lm->params.arena * sizeof(float);
    sru_net_close(&net);
    return bytes;
}

/* Before anything is allocated, where the device says what it has left. */
static sru_status check_memory(struct sru_lm *lm, size_t B, size_t T, const struct sru_optimizer *optimizer, struct sru_error *err)
{
    const uint64_t left = lm->dev->ops->left(lm->dev), need = sru_trainer_bytes(lm, B, T, optimizer);
    size_t fits = 0, not = B;   /* so many streams do, and do not */

    if (left == 0 || (need > 0 && need <= left))
        return SRU_OK;
    while (not - fits > 1) {
        const size_t half = fits + (not - fits) / 2;
        const uint64_t bytes = sru_trainer_bytes(lm, half, T, optimizer);

        if (bytes > 0 && bytes <= left)
            fits = half;
        else
            not = half;
    }
    if (fits > 0)
        return sru_fail(err, SRU_ENOMEM, "out of memory: training needs %llu MB more, and %llu MB are left; --batch %zu instead of %zu "
                        "would fit", (unsigned long long)(need >> 20), (unsigned long long)(left >> 20), fits, B);
    return sru_fail(err, SRU_ENOMEM, "out of memory: even one stream of %zu positions does not fit in the %llu MB that are left; "
                    "give a smaller --unroll than %zu", T, (unsigned long long)(left >> 20), T);
}

sru_status sru_trainer_open(struct sru_trainer *t, struct sru_lm *lm, const struct sru_streams *streams,
                            const struct sru_optimizer *optimizer, double clip, uint64_t seed, struct sru_error *err)
{
    struct sru_dev *dev = lm->dev;
    const size_t B = streams->B, T = streams->T, bytes = lm->params.arena * sizeof(float);
    sru_status status;

    *t = (struct sru_trainer){ .lm = lm, .streams = *streams, .optimizer = *optimizer, .clip = clip };
    if ((status = check_memory(lm, B, T, optimizer, err)) || (status = sru_net_open(&t->net, lm, B, T, T, true, false, err)))
        return status;
    t->net.seed = seed;
    if (optimizer->kind == SRU_MUON && (status = open_muon(t, err))) {
        sru_trainer_close(t);
        return status;
    }
    t->m = dev->ops->alloc(dev, bytes);
    t->v = dev->ops->alloc(dev, bytes);
    t->tokens = malloc(B * T * sizeof *t->tokens);
    t->targets = malloc(B * T * sizeof *t->targets);
    t->nll = malloc(B * T * sizeof *t->nll);
    if (!t->m || !t->v || !t->tokens || !t->targets || !t->nll) {
        sru_trainer_close(t);
        return sru_fail(err, SRU_ENOMEM, "out of memory for the optimizer's moments, %zu MB", bytes >> 19);
    }
    sru_net_reset(&t->net);
    return SRU_OK;
}

void sru_trainer_close(struct sru_trainer *t)
{
    if (!t->lm)
        return;
    t->lm->dev->ops->release(t->lm->dev, t->m);
    t->lm->dev->ops->release(t->lm->dev, t->v);
    free(t->matrices);
    free(t->tokens);
    free(t->targets);
    free(t->nll);
    if (t->net.lm)
        sru_net_close(&t->net);
    *t = (struct sru_trainer){ .lm = NULL };
}

static double mean(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

/* Scalars [from, to) of the arenas. */
static void update(struct sru_trainer *t, double rate, double clip, size_t from, size_t to)
{
    struct sru_lm *lm = t->lm;

    if (from < to)
        sru_optimizer_step(&t->optimizer, lm->dev, t->step, rate, clip, to - from, lm->w + from, lm->g + from, t->m + from,
                           t->v + from);
}

/* What lies between Muon's matrices is the other optimizer's: without any, all. */
static void update_all(struct sru_trainer *t, double rate, double muon_rate, double clip)
{
    struct sru_lm *lm = t->lm;
    size_t at = 0;

    for (size_t i = 0; i < t->n_matrices; i++) {
        const size_t end = sru_muon_end(&t->matrices[i]);

        update(t, rate, clip, at, t->matrices[i].offset);
        at = end > at ? end : at;
    }
    update(t, rate, clip, at, lm->params.arena);
    if (t->n_matrices > 0)
        sru_optimizer_muon(&t->optimizer, lm->dev, muon_rate, clip, t->matrices, t->n_matrices, lm->w, lm->g, t->m);
}

sru_status sru_trainer_step(struct sru_trainer *t, double rate, double muon_rate, double *loss, struct sru_error *err)
{
    struct sru_dev *dev = t->lm->dev;
    const size_t arena = t->lm->params.arena, N = t->streams.B * t->streams.T;
    sru_status status;

    if (t->segment == t->streams.segments) {   /* a new epoch */
        t->segment = 0;
        sru_net_reset(&t->net);
    }
    sru_streams_get(&t->streams, t->segment, t->tokens, t->targets);
    t->net.step = (uint32_t)t->step;
    if ((status = sru_net_train(&t->net, t->tokens, t->targets, 1.0f / (float)N, t->nll, err)))
        return status;
    *loss = mean(t->nll, N);
    const double norm = sqrt(dev->ops->sumsq(dev, t->lm->g, arena));
    if (!isfinite(*loss) || !isfinite(norm))
        return sru_fail(err, SRU_EDIVERGED, "training diverged at step %llu: the loss is %g and the gradient's norm %g; try a "
                        "smaller --lr or a longer --warmup", (unsigned long long)t->step, *loss, norm);
    const double clip = t->clip > 0 && norm > t->clip ? t->clip / norm : 1;
    t->step++;
    update_all(t, rate, muon_rate, clip);
    t->lm->prepared = false;
    t->segment++;
    return dev->ops->sync(dev, err);
}
