/* The reference implementation's checkpoints: a model from one, and one from a model. */
#ifndef SRU_MODEL_IMPORT_H
#define SRU_MODEL_IMPORT_H

#include "src/io/torch.h"
#include "src/model/file.h"

/* What a state_dict does not say. */
struct sru_import_settings {
    size_t heads, window;
    double dropout, attn_dropout, emb_dropout;
    double highway_bias;
    bool   normalize_after;      /* with norms of layers: after them */
};

/*
 * The configuration of the model whose state_dict a file has, by its tensors' names and shapes.
 * @return SRU_EFORMAT: it is not one of an SRU++ language model, or not one that this program knows
 */
sru_status sru_import_config(const struct sru_torch_file *f, const struct sru_import_settings *s, struct sru_config *c, struct sru_error *err);

/* Its weights into a model of that configuration.  Tensors that share one here have to be equal there.  SRU_EFORMAT, SRU_ENOMEM. */
sru_status sru_import_weights(const struct sru_torch_file *f, struct sru_lm *lm, struct sru_error *err);

/* Write a model as a state_dict that the reference's load_state_dict takes.  As sru_torch_write. */
sru_status sru_export(const struct sru_lm *lm, const char *path, struct sru_error *err);

#endif
