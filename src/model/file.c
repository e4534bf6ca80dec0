/* Model files: see file.h. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/model/file.h"
#include "src/size.h"

/* ---- Writing ------------------------------------------------------------------------ */

static bool put_json(json_t *metadata, const char *key, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    const bool ok = text && json_object_set_new(metadata, key, json_string(text)) == 0;

    free(text);
    return ok;
}

/* NULL without memory. */
static json_t *describe(const struct sru_config *c, const struct sru_vocab *v, json_t *training)
{
    json_t *metadata = json_pack("{s:s, s:s}", "format", "pt", "sru_lm_version", sru_version());
    json_t *config = sru_config_to_json(c), *vocab = sru_vocab_to_json(v);
    bool ok = metadata && put_json(metadata, "config", config) && put_json(metadata, "vocab", vocab);

    if (ok && training)
        ok = put_json(metadata, "training", training);
    json_decref(config);
    json_decref(vocab);
    if (ok)
        return metadata;
    json_decref(metadata);
    return NULL;
}

/* Tensors as the file has them, in memory of their own. */
struct image {
    float *values;
    struct sru_st_tensor *tensors;
    char (*scale_names)[SRU_MAX_SCALE_NAME];
    float scale;
    size_t n;
};

static void close_image(struct image *im)
{
    free(im->values);
    free(im->tensors);
    free(im->scale_names);
}

static bool open_image(struct image *im, const struct sru_lm *lm, size_t n_extra)
{
    const struct sru_params *p = &lm->params;
    const size_t depth = lm->config.depth;
    const float *at;

    *im = (struct image){ .scale = sru_config_scale(&lm->config) };
    im->values = sru_lm_values(lm);
    im->tensors = calloc(p->n_tensors + depth + n_extra, sizeof *im->tensors);
    im->scale_names = calloc(depth, sizeof *im->scale_names);
    if (!(at = im->values) || !im->tensors || !im->scale_names)
        return false;
    for (size_t i = 0; i < p->n_tensors; at += p->tensors[i++].count) {
        const struct sru_tensor *t = &p->tensors[i];

        im->tensors[im->n++] = (struct sru_st_tensor){ .name = t->name, .dtype = "F32", .rank = t->rank,
                                                       .shape = { t->shape[0], t->shape[1] }, .data = at };
    }
    for (size_t i = 0; i < depth; i++) {
        sru_scale_name(im->scale_names[i], i);
        im->tensors[im->n++] = (struct sru_st_tensor){ .name = im->scale_names[i], .dtype = "F32", .rank = 1,
                                                       .shape = { 1 }, .data = &im->scale };
    }
    return true;
}

sru_status sru_model_save(const char *path, const struct sru_lm *lm, const struct sru_vocab *v, json_t *training,
                          const struct sru_st_tensor *extra, size_t n_extra, struct sru_error *err)
{
    json_t *metadata = describe(&lm->config, v, training);
    struct image im = { 0 };
    sru_status status;

    if (metadata && open_image(&im, lm, n_extra)) {
        for (size_t i = 0; i < n_extra; i++)
            im.tensors[im.n++] = extra[i];
        status = sru_st_write(path, metadata, im.tensors, im.n, err);
    } else {
        status = sru_fail(err, SRU_ENOMEM, "out of memory to write the model %s", path);
    }
    close_image(&im);
    json_decref(metadata);
    return status;
}

/* ---- Reading ------------------------------------------------------------------------ */

/* A metadata string that holds JSON, and has to be there. */
static sru_status need_json(const struct sru_st_file *f, const char *key, json_t **out, struct sru_error *err)
{
    const sru_status status = sru_st_metadata_json(f, key, out, err);

    return status || *out ? status : sru_fail(err, SRU_EFORMAT, "%s is not a model of sru-lm: its metadata have no '%s'", f->path, key);
}

/* Put the file's name before a message about what is in it. */
static sru_status in_file(const struct sru_st_file *f, struct sru_error *inner, struct sru_error *err)
{
    return sru_fail(err, inner->status == SRU_EINVAL ? SRU_EFORMAT : inner->status, "%s: %s", f->path,
                    inner->message);
}

/* ---- Tensors against the configuration ------------------------------------------------ */

static sru_status check_scale(const struct sru_st_file *f, const struct sru_config *c, size_t layer,
                              size_t *known, struct sru_error *err)
{
    static const size_t one[] = { 1 };
    char name[SRU_MAX_SCALE_NAME];
    float value;

    sru_scale_name(name, layer);
    if (!sru_st_find(f, name))
        return SRU_OK;
    const sru_status status = sru_st_read_as(f, name, "F32", 1, one, &value, err);
    if (status)
        return status;
    if (!(fabsf(value - sru_config_scale(c)) <= 1e-6f))
        return sru_fail(err, SRU_EFORMAT, "%s: tensor '%s' is %g, its configuration makes it %g", f->path, name,
                        (double)value, (double)sru_config_scale(c));
    ++*known;
    return SRU_OK;
}

static bool is_known(const char *name, const struct sru_params *p, size_t depth)
{
    char scale[SRU_MAX_SCALE_NAME];

    if (sru_params_find(p, name))
        return true;
    for (size_t i = 0; i < depth; i++) {
        sru_scale_name(scale, i);
        if (strcmp(scale, name) == 0)
            return true;
    }
    return false;
}

static bool is_extra(const char *name)
{
    return strncmp(name, SRU_OPTIMIZER_PREFIX, strlen(SRU_OPTIMIZER_PREFIX)) == 0
        || strncmp(name, SRU_STATE_PREFIX, strlen(SRU_STATE_PREFIX)) == 0;
}

/* Every tensor that the configuration calls for, with its shape, and no other. */
static sru_status check_tensors(const struct sru_st_file *f, const struct sru_config *c,
                                const struct sru_params *p, struct sru_error *err)
{
    const struct sru_st_entry *entry;
    size_t known = p->n_tensors;
    sru_status status = SRU_OK;

    for (size_t i = 0; i < p->n_tensors && !status; i++) {
        const struct sru_tensor *t = &p->tensors[i];

        status = sru_st_require(f, t->name, "F32", t->rank, t->shape, &entry, err);
    }
    for (size_t i = 0; i < c->depth && !status; i++)
        status = check_scale(f, c, i, &known, err);
    for (size_t i = 0; i < f->n_entries && known < f->n_entries && !status; i++)
        if (!is_known(f->entries[i].name, p, c->depth) && !is_extra(f->entries[i].name))
            status = sru_fail(err, SRU_EFORMAT, "%s has a tensor '%.100s' that its configuration does not call "
                              "for", f->path, f->entries[i].name);
    return status;
}

static sru_status check_against(const struct sru_st_file *f, const struct sru_config *c, struct sru_error *err)
{
    struct sru_error inner;
    struct sru_params p;
    sru_status status;

    /* Before anything is sized by it. */
    if (c->depth > f->n_entries)
        return sru_fail(err, SRU_EFORMAT, "%s: its configuration has %zu layers, the file only %zu tensors",
                        f->path, c->depth, f->n_entries);
    if ((status = sru_params_open(&p, c, &inner)))
        return in_file(f, &inner, err);
    status = check_tensors(f, c, &p, err);
    sru_params_close(&p);
    return status;
}

/* ---- Interface -------------------------------------------------------------------------- */

static sru_status read_parts(struct sru_model_file *f, struct sru_error *err)
{
    struct sru_error inner;
    json_t *config = NULL, *vocab = NULL;
    sru_status status = need_json(&f->file, "config", &config, err);

    if (!status)
        status = need_json(&f->file, "vocab", &vocab, err);
    if (!status && (sru_config_from_json(&f->config, config, &inner) || sru_config_check(&f->config, &inner)
                    || sru_vocab_from_json(&f->vocab, vocab, &inner)))
        status = in_file(&f->file, &inner, err);
    if (!status && f->vocab.size != f->config.vocab)
        status = sru_fail(err, SRU_EFORMAT, "%s: its vocabulary has %zu tokens, its configuration says %zu", f->file.path,
                          f->vocab.size, f->config.vocab);
    if (!status)
        status = check_against(&f->file, &f->config, err);
    if (!status)
        status = sru_st_metadata_json(&f->file, "training", &f->training, err);
    json_decref(config);
    json_decref(vocab);
    return status;
}

sru_status sru_model_file_open(struct sru_model_file *f, const char *path, struct sru_error *err)
{
    sru_status status;

    *f = (struct sru_model_file){ .file.fd = -1 };
    if ((status = sru_st_open(path, &f->file, err)))
        return status;
    if ((status = read_parts(f, err)))
        sru_model_file_close(f);
    return status;
}

void sru_model_file_close(struct sru_model_file *f)
{
    json_decref(f->training);
    f->training = NULL;
    sru_vocab_close(&f->vocab);
    sru_st_close(&f->file);
}

sru_status sru_model_file_weights(const struct sru_model_file *f, struct sru_lm *lm, struct sru_error *err)
{
    const struct sru_params *p = &lm->params;
    float *arena = calloc(p->arena, sizeof *arena), *values = malloc((size_t)p->count * sizeof *values);
    sru_status status = SRU_OK;

    if (!arena || !values)
        status = sru_fail(err, SRU_ENOMEM, "out of memory to read the model %s", f->file.path);
    for (size_t i = 0; i < p->n_tensors && !status; i++) {
        const struct sru_tensor *t = &p->tensors[i];

        status = sru_st_read_as(&f->file, t->name, "F32", t->rank, t->shape, values, err);
        if (!status)
            sru_tensor_from_file(t, arena, values);
    }
    if (!status) {
        lm->dev->ops->put(lm->dev, lm->w, arena, p->arena * sizeof *arena);
        lm->prepared = false;
    }
    free(arena);
    free(values);
    return status;
}
