/* The options of `sru-lm train`, their defaults and presets, and the run's settings made of them. */
#ifndef SRU_CLI_TRAIN_OPTIONS_H
#define SRU_CLI_TRAIN_OPTIONS_H

#include "src/cli/cli.h"
#include "src/train/run.h"

#define SRU_DEFAULT_OUT "sru-run"

struct sru_train_options {
    const char *data, *valid, *test, *split, *tokens, *cutoffs, *out, *preset, *optimizer;
    bool     resume;
    uint64_t seed, steps, stop_at;
    double   time;
    struct sru_tokenizing tokenizing;   /* its unit comes from `tokens` */
    struct sru_config config;
    size_t   usual_vocab;               /* of the corpus that the preset is for; 0: any */
    size_t   batch, unroll, evaluations, log_every;
    double   lr, muon_lr, warmup, clip, weight_decay, beta1, beta2, eps, save_every;
    struct sru_device_settings device;
    json_t  *before, *stored;   /* what the checkpoint said (it holds strings of this struct), and what the next will */
};

extern const struct sru_option_table sru_train_table;

/* The names of the presets, for messages. */
extern const char sru_preset_names[];

/* Defaults with a preset's sizes and rates (presets.c); false for an unknown one. */
bool sru_train_preset(const char *name, struct sru_train_options *o);

/* The optimizer that --optimizer names; SRU_EINVAL. */
sru_status sru_train_optimizer(const char *name, struct sru_optimizer *o, struct sru_error *err);

/*
 * The command line, over the preset's values or, with --resume, over those that the run's checkpoint remembers.
 * @return SRU_EINVAL: the command line is wrong; else a file is.  Close in either case.
 */
sru_status sru_train_options_read(struct sru_train_options *o, int argc, char **argv, struct sru_error *err);
void sru_train_options_close(struct sru_train_options *o);

/* The configuration of a model of so many tokens.  SRU_EINVAL. */
sru_status sru_train_config(const struct sru_train_options *o, size_t vocab, struct sru_config *c, struct sru_error *err);

/* SRU_EINVAL where options do not go together. */
sru_status sru_train_settings(const struct sru_train_options *o, struct sru_run_settings *s, struct sru_error *err);

#endif
