/* A model file on a device, for the commands that use one. */
#ifndef SRU_CLI_LOAD_H
#define SRU_CLI_LOAD_H

#include "src/cli/cli.h"
#include "src/model/file.h"

struct sru_loaded {
    struct sru_dev *dev;
    struct sru_model_file file;
    struct sru_lm lm;
};

/* @return the exit code: 0, or another after a message; nothing to close then. */
int sru_load(struct sru_loaded *x, const struct sru_cmd *cmd, const char *path, const struct sru_device_settings *s,
             enum sru_use use);
void sru_loaded_close(struct sru_loaded *x);

/*
 * Parse a command's options; exactly one operand, MODEL, unless `optional`.
 * @return the exit code; *model is NULL where there is no operand.
 */
int sru_parse_model(const struct sru_cmd *cmd, void *settings, int argc, char **argv, bool optional, const char **model);

#endif
