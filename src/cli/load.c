/* A model file on a device: see load.h. */
#include "config.h"

#include "src/cli/load.h"

int sru_load(struct sru_loaded *x, const struct sru_cmd *cmd, const char *path, const struct sru_device_settings *s,
             enum sru_use use)
{
    struct sru_error err;
    sru_status status = sru_device_open(s, &x->dev, &err);

    if (status == SRU_EINVAL)
        return sru_usage(cmd, "%s", err.message);
    if (status)
        return sru_report_error(&err);
    if ((status = sru_model_file_open(&x->file, path, &err))) {
        sru_dev_close(x->dev);
        return sru_report_error(&err);
    }
    if (!(status = sru_lm_open(&x->lm, &x->file.config, x->dev, use, &err)))
        status = sru_model_file_weights(&x->file, &x->lm, &err);
    /* Only the processor reads 8 bits, and not where it looks up embeddings in a table that scores too: the same values do instead. */
    if (!status && use == SRU_USE_DECODE_INT8 && (!sru_is_cpu(x->dev) || x->lm.params.n_clusters > 0))
        status = sru_lm_quantize(&x->lm, &err);
    if (!status)
        return SRU_EXIT_OK;
    sru_loaded_close(x);
    return sru_report_error(&err);
}

void sru_loaded_close(struct sru_loaded *x)
{
    sru_lm_close(&x->lm);
    sru_model_file_close(&x->file);
    sru_dev_close(x->dev);
}

int sru_parse_model(const struct sru_cmd *cmd, void *settings, int argc, char **argv, bool optional, const char **model)
{
    struct sru_error err;
    int first;

    if (sru_options_parse(*cmd->table, settings, NULL, argc, argv, &first, &err))
        return sru_usage(cmd, "%s", err.message);
    *model = first < argc ? argv[first] : NULL;
    if (!*model && !optional)
        return sru_usage(cmd, "MODEL is missing: a model file, such as sru-run/best.safetensors");
    if (first + 1 < argc)
        return sru_usage(cmd, "one MODEL is enough: '%.80s' is one too many", argv[first + 1]);
    return SRU_EXIT_OK;
}
