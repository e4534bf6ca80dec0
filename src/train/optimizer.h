/* Optimizers: what one step of RAdam, AdamW or Muon asks of the device's update operator (model.md, "Training"). */
#ifndef SRU_TRAIN_OPTIMIZER_H
#define SRU_TRAIN_OPTIMIZER_H

#include "src/ops.h"

enum sru_optimizer_kind { SRU_RADAM, SRU_ADAMW, SRU_MUON };   /* Muon: AdamW for all but its matrices */

struct sru_optimizer {
    enum sru_optimizer_kind kind;
    double beta1, beta2, eps, weight_decay;
};

/* "radam", "adamw" or "muon" with their usual betas (.9/.999, else .9/.95), eps 1e-8, weight decay .1; false for another name. */
bool sru_optimizer_parse(const char *name, struct sru_optimizer *o);

/*
 * What step n (from 1) has of its own, at a learning rate, and at another for Muon's matrices:
 *
 *   RAdam (Liu et al., ICLR 2020), rectified where rho > 5, else the momentum alone; AdamW (Loshchilov and Hutter, ICLR 2019).
 */
struct sru_step sru_optimizer_at(const struct sru_optimizer *o, uint64_t n, double rate, double muon_rate);

/* That step, and how it went; both in device memory. */
struct sru_now {
    const struct sru_step  *step;
    const struct sru_gauge *gauge;
};

/* Update n scalars of w by gradients g; moments m and v. */
void sru_optimizer_update(const struct sru_optimizer *o, struct sru_dev *dev, struct sru_now now, size_t n, float *w, float *g,
                          float *m, float *v);

/* A step of Muon (Jordan et al. 2024) over n matrices of arenas; m is the momentum. */
void sru_optimizer_muon(struct sru_dev *dev, struct sru_now now, const struct sru_muon_matrix *matrices, size_t n, float *w,
                        float *g, float *m);

#endif
