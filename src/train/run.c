/* A training run: see run.h. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/clock.h"
#include "src/size.h"
#include "src/train/checkpoint.h"
#include "src/train/directory.h"
#include "src/train/evaluate.h"
#include "src/train/metrics.h"
#include "src/train/run.h"
#include "src/train/schedule.h"

struct run {
    const struct sru_run_settings *s;
    const struct sru_watcher *watcher;
    struct sru_dev *dev;
    struct sru_directory directory;
    struct sru_corpus corpus;
    struct sru_lm lm;
    struct sru_net reader;         /* for evaluation */
    struct sru_streams streams;
    struct sru_trainer trainer;
    struct sru_metrics metrics;
    struct sru_counts counts;
    double began, earlier;         /* this session's clock, and the seconds of sessions before */
    double saved;                  /* when, in seconds of training */
    double mark;                   /* the clock when the last step was done */
    double speed;                  /* tokens a second, smoothed */
};

static double seconds_of(const struct run *r)
{
    return r->earlier + sru_now() - r->began;
}

/* ---- The corpus ---------------------------------------------------------------------------------------- */

static sru_status check_fingerprint(const struct run *r, struct sru_error *err)
{
    const char *stored = json_string_value(json_object_get(r->s->stored, "fingerprint"));
    char is[64];

    snprintf(is, sizeof is, "%016" PRIx64, r->corpus.fingerprint);
    if (r->s->resume && (!stored || strcmp(stored, is) != 0))
        return sru_fail(err, SRU_EFORMAT, "%s is not the text that this run began with; a changed text needs a new run", r->s->sources.path[SRU_TRAIN]);
    if (json_object_set_new(r->s->stored, "fingerprint", json_string(is)))
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    return SRU_OK;
}

/* Share of the run that is done. */
static double progress(const struct run *r)
{
    const double p = r->s->steps ? (double)r->trainer.step / (double)r->s->steps : seconds_of(r) / r->s->seconds;

    return p < 1 ? p : 1;
}

/* Evaluations that should have been by now. */
static uint64_t due(const struct run *r)
{
    return (uint64_t)(progress(r) * (double)r->s->evaluations);
}

/* ---- Beginning ---------------------------------------------------------------------------------------- */

static sru_status load(struct run *r, struct sru_error *err)
{
    struct sru_model_file f;
    sru_status status = sru_model_file_open(&f, r->directory.last, err);

    if (status)
        return status;
    status = sru_checkpoint_load(&f, &r->trainer, &r->counts, err);
    sru_model_file_close(&f);
    r->earlier = r->counts.seconds;
    /* In a run that was made longer, fewer are due by now than it has had. */
    if (!status && due(r) < r->counts.evaluations)
        r->counts.evaluations = due(r);
    return status;
}

static sru_status open_model(struct run *r, struct sru_error *err)
{
    const struct sru_run_settings *s = r->s;
    struct sru_config c = s->config;
    sru_status status;

    c.vocab = r->corpus.vocab.size;
    if (s->own_cutoffs)
        sru_config_divide(&c, r->corpus.vocab.unit == SRU_WORDS ? c.vocab : 0);
    if ((status = sru_config_check(&c, err)) || (status = sru_streams_open(&r->streams, &r->corpus.vocab, &r->corpus.part[SRU_TRAIN], s->batch, s->unroll, s->seed, err))
        || (status = sru_lm_open(&r->lm, &c, r->dev, SRU_USE_TRAIN, err))
        || (status = sru_trainer_open(&r->trainer, &r->lm, &r->streams, &s->optimizer, s->clip, s->seed, err))
        || (status = sru_net_open(&r->reader, &r->lm, 1, c.window, c.window, false, false, err)))
        return status;
    return s->resume ? load(r, err) : sru_lm_init(&r->lm, s->seed, err);
}

static sru_status begin(struct run *r, struct sru_error *err)
{
    sru_status status;

    if ((status = check_fingerprint(r, err)) || (status = open_model(r, err)))
        return status;
    if (r->corpus.vocab.unit == SRU_WORDS && (status = sru_vocab_write(&r->corpus.vocab, r->directory.vocabulary, err)))
        return status;
    r->saved = r->earlier;
    const struct sru_beginning beginning = {
        .config = &r->lm.config, .parameters = r->lm.params.count,
        .memory = sru_lm_bytes(&r->lm) + sru_net_bytes(&r->reader) + sru_trainer_bytes(&r->lm, r->s->batch, r->s->unroll, &r->s->optimizer),
        .unit = r->corpus.vocab.unit, .train = r->corpus.part[SRU_TRAIN].size, .valid = r->corpus.part[SRU_VALID].size, .test = r->corpus.part[SRU_TEST].size,
    };
    r->watcher->begin(r->watcher->context, &beginning);
    return sru_metrics_open(&r->metrics, r->directory.metrics, r->trainer.step, err);
}

static void end(struct run *r)
{
    sru_metrics_close(&r->metrics);
    sru_trainer_close(&r->trainer);
    if (r->reader.lm)
        sru_net_close(&r->reader);
    sru_lm_close(&r->lm);
    sru_streams_close(&r->streams);
    sru_corpus_close(&r->corpus);
    sru_directory_close(&r->directory);
}

/* ---- The loop --------------------------------------------------------------------------------------------- */

/* A learning rate now, by its peak. */
static double rate(const struct run *r, double peak)
{
    /* By steps the schedule stands between steps, so that the first rate is not 0 and neither is the last. */
    const double p = r->s->steps ? ((double)r->trainer.step + 1) / ((double)r->s->steps + 1) : progress(r);

    return sru_schedule(p, r->s->warmup, peak);
}

static uint64_t tokens_of(const struct run *r)
{
    return r->trainer.step * r->s->batch * r->s->unroll;
}

static void report(const struct run *r, double lr, double train, double valid, bool best)
{
    const double p = progress(r), seconds = seconds_of(r);
    const double steps_left = (double)r->s->steps - (double)r->trainer.step;
    const double left = r->s->steps ? steps_left * (double)(r->s->batch * r->s->unroll) / r->speed : r->s->seconds - seconds;
    const struct sru_report x = {
        .step = r->trainer.step, .steps = r->s->steps, .tokens = tokens_of(r), .progress = p, .seconds = seconds,
        .left = left > 0 ? left : 0, .speed = r->speed, .lr = lr, .train = train, .valid = valid, .best = best,
    };

    r->watcher->report(r->watcher->context, &x);
}

/* Mean of the training loss since the last record; NaN where there was no step. */
static double train_loss(const struct run *r)
{
    return r->counts.loss_steps ? r->counts.loss_sum / (double)r->counts.loss_steps : NAN;
}

/* Wait for steps until so many are left unread. */
static sru_status catch_up(struct run *r, size_t unread, struct sru_error *err)
{
    const double lr = rate(r, r->s->lr);
    double loss;

    while (r->trainer.unread > unread) {
        const sru_status status = sru_trainer_loss(&r->trainer, &loss, err);

        if (status)
            return status;
        const double now = sru_now(), speed = (double)(r->s->batch * r->s->unroll) / (now - r->mark);
        r->mark = now;
        r->speed = r->speed > 0 ? 0.95 * r->speed + 0.05 * speed : speed;
        r->counts.loss_sum += loss;
        r->counts.loss_steps++;
        report(r, lr, loss, NAN, false);
    }
    return SRU_OK;
}

/* A record of the metrics; the mean of the training loss begins anew. */
static sru_status record(struct run *r, double lr, double valid, struct sru_error *err)
{
    const sru_status status = catch_up(r, 0, err);
    const double train = train_loss(r);

    if (status)
        return status;
    r->counts.loss_sum = 0;
    r->counts.loss_steps = 0;
    return sru_metrics_write(&r->metrics,
                             json_pack("{s:I, s:I, s:f, s:f, s:o, s:o}", "step", (json_int_t)r->trainer.step, "tokens",
                                       (json_int_t)tokens_of(r), "seconds", seconds_of(r), "lr", lr, "train_bits",
                                       sru_metrics_number(SRU_BITS(train)), "valid_bits", sru_metrics_number(SRU_BITS(valid))),
                             err);
}

static sru_status save(struct run *r, struct sru_error *err)
{
    const sru_status status = catch_up(r, 0, err);

    if (status)
        return status;
    r->counts.seconds = seconds_of(r);
    r->saved = r->counts.seconds;
    return sru_checkpoint_save(r->directory.last, &r->trainer, &r->counts, &r->corpus.vocab, r->s->stored, err);
}

/* nats: NaN where the user did not wait for the end. */
static sru_status evaluate_part(struct run *r, size_t i, double *nats, struct sru_error *err)
{
    static const char *const names[SRU_PARTS] = { "the training text", "the valid text", "the test text" };
    const struct sru_stop stop = { r->watcher->stop, r->watcher->context };
    struct sru_loss loss;
    const sru_status status = sru_evaluate(&r->reader, &r->corpus.vocab, &r->corpus.part[i], names[i], &stop, &loss, err);

    *nats = NAN;
    if (status || loss.count + 1 < r->corpus.part[i].size)
        return status;
    *nats = loss.nats / (double)loss.count;
    return isfinite(*nats) ? SRU_OK : sru_fail(err, SRU_EDIVERGED, "training diverged: at step %" PRIu64 " the loss on %s is %g; try "
                                               "a smaller --lr or a longer --warmup", r->trainer.step, names[i], *nats);
}

/* The valid part, the best model so far, and the run: in this order, so that what last.safetensors says is on disk already. */
static sru_status evaluate(struct run *r, struct sru_error *err)
{
    const double lr = rate(r, r->s->lr);
    double valid = NAN;
    sru_status status = catch_up(r, 0, err);

    if (!status)
        status = evaluate_part(r, SRU_VALID, &valid, err);
    if (status || isnan(valid))
        return status;
    r->counts.evaluations = due(r);   /* by the clock, those too that fell due meanwhile */
    const bool best = r->counts.best == 0 || valid < r->counts.best;
    if (best) {
        json_t *training = json_pack("{s:I, s:I, s:f, s:f}", "step", (json_int_t)r->trainer.step, "tokens", (json_int_t)tokens_of(r),
                                     "seconds", seconds_of(r), "valid_bits", SRU_BITS(valid));
        r->counts.best = valid;
        status = training ? sru_model_save(r->directory.best, &r->lm, &r->corpus.vocab, training, NULL, 0, err)
                          : sru_fail(err, SRU_ENOMEM, "out of memory");
        json_decref(training);
    }
    report(r, lr, train_loss(r), valid, best);
    if (!status)
        status = record(r, lr, valid, err);
    return status ? status : save(r, err);
}

/* One step, its record and, now and then, a checkpoint. */
static sru_status step(struct run *r, struct sru_error *err)
{
    const double lr = rate(r, r->s->lr), muon_lr = rate(r, r->s->muon_lr);

    if (r->trainer.unread == 0)
        r->mark = sru_now();
    sru_status status = sru_trainer_step(&r->trainer, lr, muon_lr, err);
    if (!status)
        status = catch_up(r, sru_trainer_ahead(&r->trainer), err);
    if (status || due(r) > r->counts.evaluations)
        return status;   /* an evaluation records and saves */
    if (r->trainer.step % r->s->log_every == 0)
        status = record(r, lr, NAN, err);
    if (!status && seconds_of(r) - r->saved >= r->s->save_every)
        status = save(r, err);
    return status;
}

static sru_status train(struct run *r, enum sru_ending *ending, struct sru_error *err)
{
    sru_status status = SRU_OK;

    *ending = SRU_FINISHED;
    if (progress(r) >= 1 && r->counts.evaluations >= r->s->evaluations)
        return sru_fail(err, SRU_EINVAL, "the run in %s is finished, after %" PRIu64 " steps; give a larger --%s to go on", r->s->out,
                        r->trainer.step, r->s->steps ? "steps" : "time");
    while (!status) {
        if (due(r) > r->counts.evaluations)
            status = evaluate(r, err);
        if (status || (progress(r) >= 1 && r->counts.evaluations >= r->s->evaluations))
            return status;
        if (r->watcher->stop(r->watcher->context))
            *ending = SRU_INTERRUPTED;
        else if (r->s->stop_at && r->trainer.step >= r->s->stop_at)
            *ending = SRU_STOPPED_AT;
        if (*ending != SRU_FINISHED)
            return save(r, err);
        status = step(r, err);
    }
    return status;
}

/* The best model on the test part; the weights at hand are no longer needed. */
static sru_status test(struct run *r, double *nats, struct sru_error *err)
{
    struct sru_model_file f;
    sru_status status = sru_model_file_open(&f, r->directory.best, err);

    if (status)
        return status;
    if (!(status = sru_model_file_weights(&f, &r->lm, err)))
        status = evaluate_part(r, SRU_TEST, nats, err);
    sru_model_file_close(&f);
    return status;
}

sru_status sru_run(const struct sru_run_settings *s, struct sru_dev *dev, const struct sru_watcher *watcher,
                   struct sru_outcome *outcome, struct sru_error *err)
{
    struct run r = { .s = s, .watcher = watcher, .dev = dev, .began = sru_now(), .metrics.fd = -1, .corpus.file.fd = -1, .directory.lock = -1 };
    sru_status status = sru_corpus_open(&r.corpus, &s->sources, &s->tokenizing, err);   /* before the directory, which a wrong file name shall not make */

    *outcome = (struct sru_outcome){ .valid = NAN, .test = NAN };
    if (!status)
        status = sru_directory_open(&r.directory, s->out, s->resume, err);
    if (!status)
        status = begin(&r, err);
    if (!status)
        status = train(&r, &outcome->ending, err);
    outcome->step = r.trainer.step;
    if (!status && r.counts.best > 0)
        outcome->valid = r.counts.best;
    if (!status && outcome->ending == SRU_FINISHED && r.corpus.part[SRU_TEST].size >= 2)
        status = test(&r, &outcome->test, err);
    end(&r);
    return status;
}
