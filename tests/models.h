/* What check_model and check_decode share: small models and what they are compared by. */
#ifndef SRU_TESTS_MODELS_H
#define SRU_TESTS_MODELS_H

#include "src/model/lm.h"
#include "tests/support.h"

extern const struct sru_config plain_model;
/* Every option that decoding supports, alone; LENGTH positions are what tests read. */
enum { VARIANTS = 12, LENGTH = 60 };
struct sru_config model_variant(int i);

/* A model whose alpha is not 0, so that attention matters. */
void open_model(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev, enum sru_use use);

/* Losses [B,LENGTH] of tokens [B,LENGTH+1], read in segments of T positions. */
void evaluate(struct sru_lm *lm, size_t B, size_t T, const int32_t *ids, float *nll);

#endif
