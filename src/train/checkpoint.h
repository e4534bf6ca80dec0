/*
 * A run in one file: weights, moments, state and position together, replaced as a whole, so that what is read back
 * is always one moment of the run.  The file is a model file (src/model/file.h) with more tensors.
 */
#ifndef SRU_TRAIN_CHECKPOINT_H
#define SRU_TRAIN_CHECKPOINT_H

#include "src/model/file.h"
#include "src/train/trainer.h"

/* Beside the trainer: what a run counts. */
struct sru_counts {
    double   seconds;      /* of training so far, all sessions */
    double   loss_sum;     /* of the steps since the last record of the metrics */
    uint64_t loss_steps;
    double   best;         /* smallest mean nats of the valid part so far; 0: none yet */
    uint64_t evaluations;  /* done so far */
};

/* @param settings  the run's, stored as they are. */
sru_status sru_checkpoint_save(const char *path, struct sru_trainer *t, const struct sru_counts *counts, const struct sru_vocab *v,
                               json_t *settings, struct sru_error *err);

/* Put everything back into a trainer made with the same settings.  SRU_EFORMAT where the file is no checkpoint or of another shape. */
sru_status sru_checkpoint_load(const struct sru_model_file *f, struct sru_trainer *t, struct sru_counts *counts,
                               struct sru_error *err);

/* The settings in a checkpoint (borrowed), or NULL: a model file that is none. */
json_t *sru_checkpoint_settings(const struct sru_model_file *f);

#endif
