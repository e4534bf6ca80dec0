/* Training, a step at a time: see trainer.h. */
#include "config.h"

#include <stdlib.h>

#include "src/train/trainer.h"

static sru_status open_muon(struct sru_trainer *t, struct sru_error *err)
{
    const sru_status status = sru_muon_matrices(&t->lm->params, &t->lm->config, &t->matrices, &t->n_matrices, err);

    return status ? status : sru_net_reserve(&t->net, true, err);
}

uint64_t sru_trainer_bytes(struct sru_lm *lm, size_t B, size_t T, const struct sru_optimizer *optimizer)
{
    struct sru_net net;

    if (sru_net_plan(&net, lm, B, T, T, true, false, NULL))
        return 0;
    const uint64_t bytes = sru_net_bytes(&net) + sru_net_work(&net, optimizer->kind == SRU_MUON) + 2 * (uint64_t)lm->params.arena * sizeof(float);
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

sru_status sru_trainer_open(struct sru_trainer *t, struct sru_lm *lm, struct sru_streams *streams,
                            const struct sru_optimizer *optimizer, double clip, uint64_t seed, struct sru_error *err)
{
    struct sru_dev *dev = lm->dev;
    const size_t B = streams->B, T = streams->T, bytes = lm->params.arena * sizeof(float);
    const struct sru_gauge fresh = { .clip = 1 };
    sru_status status;

    *t = (struct sru_trainer){ .lm = lm, .streams = streams, .optimizer = *optimizer, .clip = clip };
    if ((status = check_memory(lm, B, T, optimizer, err)) || (status = sru_net_open(&t->net, lm, B, T, T, true, false, err)))
        return status;
    t->net.seed = seed;
    if (optimizer->kind == SRU_MUON && (status = open_muon(t, err))) {
        sru_trainer_close(t);
        return status;
    }
    t->m = dev->ops->alloc(dev, bytes);
    t->v = dev->ops->alloc(dev, bytes);
    t->gauge = dev->ops->alloc(dev, sizeof *t->gauge);
    t->tokens = malloc(B * T * sizeof *t->tokens);
    t->targets = malloc(B * T * sizeof *t->targets);
    if (!t->m || !t->v || !t->gauge || !t->tokens || !t->targets) {
        sru_trainer_close(t);
        return sru_fail(err, SRU_ENOMEM, "out of memory for the optimizer's moments, %zu MB", bytes >> 19);
    }
    dev->ops->put(dev, t->gauge, &fresh, sizeof fresh);
    sru_net_reset(&t->net);
    return SRU_OK;
}

void sru_trainer_close(struct sru_trainer *t)
{
    if (!t->lm)
        return;
    struct sru_dev *dev = t->lm->dev;
    if (dev->ops->forget)
        for (int i = 0; i < 2; i++)
            dev->ops->forget(dev, t->records[i]);
    dev->ops->release(dev, t->m);
    dev->ops->release(dev, t->v);
    dev->ops->release(dev, t->gauge);
    free(t->matrices);
    free(t->tokens);
    free(t->targets);
    if (t->net.lm)
        sru_net_close(&t->net);
    *t = (struct sru_trainer){ .lm = NULL };
}

/* Scalars [from, to) of the arenas. */
static void update(struct sru_trainer *t, struct sru_now now, size_t from, size_t to)
{
    struct sru_lm *lm = t->lm;

    if (from < to)
        sru_optimizer_update(&t->optimizer, lm->dev, now, to - from, lm->w + from, lm->g + from, t->m + from, t->v + from);
}

/* What lies between Muon's matrices is the other optimizer's: without any, all. */
static void update_all(struct sru_trainer *t)
{
    const struct sru_now now = { t->net.step, t->gauge };
    struct sru_lm *lm = t->lm;
    size_t at = 0;

    for (size_t i = 0; i < t->n_matrices; i++) {
        const size_t end = sru_muon_end(&t->matrices[i]);

        update(t, now, at, t->matrices[i].offset);
        at = end > at ? end : at;
    }
    update(t, now, at, lm->params.arena);
    if (t->n_matrices > 0)
        sru_optimizer_muon(lm->dev, now, t->matrices, t->n_matrices, lm->w, lm->g, t->m);
}

/* A step, of what stands in device memory. */
static void queue(struct sru_trainer *t)
{
    struct sru_dev *dev = t->lm->dev;
    const size_t N = t->streams->B * t->streams->T;
    const struct sru_measure measure = {
        .N = N, .n = t->lm->params.arena, .nll = t->net.nll, .g = t->lm->g, .largest = t->clip, .gauge = t->gauge,
    };

    sru_net_queue(&t->net, 1.0f / (float)N);
    dev->ops->measure(dev, &measure);
    update_all(t);
}

/* The same, and where steps no longer differ from the last but one, from a record. */
static void queue_or_replay(struct sru_trainer *t)
{
    struct sru_dev *dev = t->lm->dev;
    void **record = &t->records[t->net.turned];

    if (!dev->ops->record || !sru_net_is_steady(&t->net)) {
        queue(t);
    } else if (dev->ops->replay(dev, *record)) {
        sru_net_replayed(&t->net);
    } else {
        t->lm->prepared = false;   /* to be done in every step, though an evaluation may have done it before this one */
        dev->ops->record(dev);
        queue(t);
        dev->ops->recorded(dev, record);
    }
    t->lm->prepared = false;
}

sru_status sru_trainer_step(struct sru_trainer *t, double rate, double muon_rate, struct sru_error *err)
{
    struct sru_dev *dev = t->lm->dev;
    const struct sru_step step = sru_optimizer_at(&t->optimizer, t->step + 1, rate, muon_rate);

    bool anew;
    const sru_status status = sru_streams_next(t->streams, t->tokens, t->targets, &anew, err);

    if (status)
        return status;
    if (anew)
        sru_net_reset(&t->net);
    sru_net_feed(&t->net, t->streams->T, t->tokens, t->targets);
    dev->ops->put(dev, t->net.step, &step, sizeof step);
    queue_or_replay(t);
    dev->ops->send(dev, t->step % 2, t->gauge);
    t->step++;
    t->unread++;
    return SRU_OK;
}

size_t sru_trainer_ahead(const struct sru_trainer *t)
{
    return t->lm->dev->ops->record ? 1 : 0;
}

sru_status sru_trainer_loss(struct sru_trainer *t, double *loss, struct sru_error *err)
{
    struct sru_dev *dev = t->lm->dev;
    const uint64_t step = t->step - t->unread;
    struct sru_gauge gauge;
    const sru_status status = dev->ops->receive(dev, step % 2, &gauge, err);

    if (status)
        return status;
    *loss = gauge.loss;
    if (gauge.clip == 0)
        return sru_fail(err, SRU_EDIVERGED, "training diverged at step %llu: the loss is %g and the gradient's norm %g; try a "
                        "smaller --lr or a longer --warmup", (unsigned long long)step, gauge.loss, gauge.norm);
    t->unread--;
    return SRU_OK;
}
