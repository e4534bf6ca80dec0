/* A training run: texts, model, schedule, evaluations, checkpoints and metrics in a directory. */
#ifndef SRU_TRAIN_RUN_H
#define SRU_TRAIN_RUN_H

#include <jansson.h>

#include "src/model/config.h"
#include "src/ops.h"
#include "src/text/corpus.h"
#include "src/train/optimizer.h"

struct sru_run_settings {
    struct sru_sources sources;
    struct sru_tokenizing tokenizing;
    const char *out;                   /* directory */
    bool     resume;
    uint64_t seed;
    struct sru_config config;          /* its vocab comes from the data; n_e is without effect where there are no cutoffs */
    bool     own_cutoffs;              /* by the number of words (sru_config_divide); otherwise config has them */
    size_t   batch, unroll;            /* B, T */
    struct sru_optimizer optimizer;
    double   lr, muon_lr;              /* peaks */
    double   warmup, clip;             /* share of the run, largest norm of the gradient (0: any) */
    uint64_t steps;                    /* length of the run, or 0: ... */
    double   seconds;                  /* ... by time, all sessions together */
    uint64_t stop_at;                  /* end this session after so many steps of the run; 0: at the end */
    size_t   evaluations, log_every;   /* over the run; steps between records of the metrics */
    double   save_every;               /* seconds */
    json_t  *stored;                   /* what a checkpoint remembers of all this; gains the data's fingerprint */
};

/* What happened last: after every step, and (valid not NaN) after every evaluation. */
struct sru_report {
    uint64_t step, steps, tokens;      /* steps 0: by time */
    double   progress;                 /* 0 to 1 */
    double   seconds, left;            /* of training; an estimate of what remains */
    double   speed;                    /* tokens a second, lately */
    double   lr, train, valid;         /* mean nats a token */
    bool     best;
};

/* What is known before the first step. */
struct sru_beginning {
    const struct sru_config *config;
    uint64_t parameters, memory;       /* memory: bytes on the device */
    enum sru_unit unit;
    size_t   train, valid, test;       /* tokens */
};

struct sru_watcher {
    void *context;
    void (*begin)(void *context, const struct sru_beginning *);
    void (*report)(void *context, const struct sru_report *);
    bool (*stop)(void *context);       /* asked between steps: save and end the session? */
};

enum sru_ending { SRU_FINISHED, SRU_STOPPED_AT, SRU_INTERRUPTED };

struct sru_outcome {
    enum sru_ending ending;
    uint64_t step;
    double   valid, test;              /* best mean nats on the valid part, that model's on the test part; NaN: none */
};

/*
 * Train until the run or the session ends.  The directory then holds last.safetensors (the run, to resume) and
 * best.safetensors (the model that did best on the valid part).
 * @return SRU_EDIVERGED, SRU_EIO, SRU_EFORMAT, SRU_ENOMEM, SRU_EINVAL, SRU_EDEVICE; the files then are those of the last save.
 */
sru_status sru_run(const struct sru_run_settings *s, struct sru_dev *dev, const struct sru_watcher *watcher,
                   struct sru_outcome *outcome, struct sru_error *err);

#endif
