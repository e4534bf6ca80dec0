/* Model files: a language model with its vocabulary in one safetensors file, as PyTorch opens it. */
#ifndef SRU_MODEL_FILE_H
#define SRU_MODEL_FILE_H

#include "src/io/safetensors.h"
#include "src/model/lm.h"
#include "src/text/vocab.h"

/* A file of weights may also hold what a run needs to go on: tensors with these prefixes are not the model's. */
#define SRU_OPTIMIZER_PREFIX "optimizer."
#define SRU_STATE_PREFIX "state."

/*
 * Write weights, `extra` tensors and __metadata__ {format, config, vocab, training, sru_lm_version}, atomically.
 * @param training  what to remember of the run (a JSON object), or NULL
 */
sru_status sru_model_save(const char *path, const struct sru_lm *lm, const struct sru_vocab *v, json_t *training,
                          const struct sru_st_tensor *extra, size_t n_extra, struct sru_error *err);

/* What a file says, checked: its tensors are those of its configuration (missing, further or misshapen ones: SRU_EFORMAT). */
struct sru_model_file {
    struct sru_st_file file;
    struct sru_config  config;
    struct sru_vocab   vocab;
    json_t            *training;   /* NULL where the file has none */
};

sru_status sru_model_file_open(struct sru_model_file *f, const char *path, struct sru_error *err);
void sru_model_file_close(struct sru_model_file *f);

/* The file's weights into a model of its configuration. */
sru_status sru_model_file_weights(const struct sru_model_file *f, struct sru_lm *lm, struct sru_error *err);

#endif
