/* Training, a step at a time: batch, forward and backward, clipping, optimizer.  Knows no file and no clock. */
#ifndef SRU_TRAIN_TRAINER_H
#define SRU_TRAIN_TRAINER_H

#include "src/model/lm.h"
#include "src/text/part.h"
#include "src/train/muon.h"
#include "src/train/optimizer.h"

struct sru_trainer {
    struct sru_lm       *lm;
    struct sru_net       net;
    struct sru_streams  *streams;   /* borrowed */
    struct sru_optimizer optimizer;
    double   clip;        /* largest norm of the gradient; 0: any */
    float   *m, *v;       /* moments, arenas as the parameters' */
    struct sru_muon_matrix *matrices;   /* [n_matrices] that Muon takes */
    size_t   n_matrices;
    uint64_t step;        /* steps done, or queued */
    size_t   unread;      /* of them, whose loss was not asked for */
    int32_t *tokens, *targets;
    struct sru_gauge *gauge;
    void    *records[2];  /* of steps, where the device makes them: by net.turned before the step */
};

/*
 * Bytes of the device's memory that a trainer takes of B streams of T positions, besides the model's own; `lm` needs a
 * configuration, parameters and device only.  0: more than can be.
 */
uint64_t sru_trainer_bytes(struct sru_lm *lm, size_t B, size_t T, const struct sru_optimizer *);
/*
 * @param seed  of the dropout masks.
 * @return SRU_ENOMEM: the message says how many streams would fit; SRU_EFORMAT (text too short)
 */
sru_status sru_trainer_open(struct sru_trainer *t, struct sru_lm *lm, struct sru_streams *streams,
                            const struct sru_optimizer *optimizer, double clip, uint64_t seed, struct sru_error *err);
void sru_trainer_close(struct sru_trainer *t);

/*
 * One step at a learning rate, and one for Muon's matrices.  Devices that queue their work have then begun it: no more than
 * sru_trainer_ahead steps, 0 or 1, may be unread before the next.
 * @return SRU_EFORMAT: a token is not in the vocabulary, and nothing was begun
 */
sru_status sru_trainer_step(struct sru_trainer *t, double rate, double muon_rate, struct sru_error *err);
size_t sru_trainer_ahead(const struct sru_trainer *t);
/*
 * Wait for the first step that is unread.
 * @param loss  mean nats a token of the segment, before the step
 * @return SRU_EDIVERGED where the loss or the gradient was not finite: the weights are as they were, and no step changes them; SRU_EDEVICE.
 */
sru_status sru_trainer_loss(struct sru_trainer *t, double *loss, struct sru_error *err);

#endif
