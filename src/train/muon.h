/* Which of a model's parameters Muon takes (model.md, "Training"): W1, each half of W2, each plane of W3. */
#ifndef SRU_TRAIN_MUON_H
#define SRU_TRAIN_MUON_H

#include "src/model/params.h"
#include "src/ops.h"

/* The matrices in the arena's order.  @param out  to be freed.  SRU_ENOMEM. */
sru_status sru_muon_matrices(const struct sru_params *p, const struct sru_config *c, struct sru_muon_matrix **out, size_t *n,
                             struct sru_error *err);

/* Where a matrix's last element stands in the arena, and one beyond. */
static inline size_t sru_muon_end(const struct sru_muon_matrix *m)
{
    return m->offset + (m->rows - 1) * m->length + m->cols;
}

#endif
