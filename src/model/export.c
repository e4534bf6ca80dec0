/* Models as the reference implementation's state_dict: see import.h. */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/model/import.h"

enum { LONGEST_NAME = 96 };

/* What is to be written, all in memory of its own. */
struct image {
    float *values, scale;
    struct sru_torch_tensor *tensors;   /* first the model's own, in their order */
    char (*names)[LONGEST_NAME];        /* of those that the model has under another name */
    size_t n;
};

static bool open_image(struct image *im, const struct sru_lm *lm)
{
    const size_t more = lm->config.depth + lm->params.n_clusters;

    *im = (struct image){
        .values = sru_lm_values(lm), .scale = sru_config_scale(&lm->config), .tensors = calloc(lm->params.n_tensors + more, sizeof *im->tensors),
        .names = calloc(more + 1, sizeof *im->names),
    };
    return im->values && im->tensors && im->names;
}

static void close_image(struct image *im)
{
    free(im->values);
    free(im->tensors);
    free(im->names);
}

static void add_weights(struct image *im, const struct sru_params *p)
{
    const float *at = im->values;

    for (size_t i = 0; i < p->n_tensors; at += p->tensors[i++].count) {
        const struct sru_tensor *t = &p->tensors[i];

        im->tensors[im->n++] = (struct sru_torch_tensor){ .name = t->name, .rank = t->rank, .shape = { t->shape[0], t->shape[1] }, .data = at };
    }
}

/* The buffers of layers, and the projections that embedding and output share. */
static void add_others(struct image *im, const struct sru_lm *lm)
{
    const struct sru_params *p = &lm->params;
    size_t n = 0;
    char shared[LONGEST_NAME];

    for (size_t i = 0; i < lm->config.depth; i++, n++) {
        sru_scale_name(im->names[n], i);
        im->tensors[im->n++] = (struct sru_torch_tensor){ .name = im->names[n], .rank = 1, .shape = { 1 }, .data = &im->scale };
    }
    for (size_t i = 0; i < p->n_clusters && lm->config.tie_projs; i++, n++) {
        snprintf(shared, sizeof shared, "output_layer.out_projs.%zu", i);
        snprintf(im->names[n], LONGEST_NAME, "embedding_layer.emb_projs.%zu", i);
        im->tensors[im->n] = im->tensors[sru_params_find(p, shared) - p->tensors];
        im->tensors[im->n++].name = im->names[n];
    }
}

sru_status sru_export(const struct sru_lm *lm, const char *path, struct sru_error *err)
{
    struct image im;
    sru_status status;

    if (open_image(&im, lm)) {
        add_weights(&im, &lm->params);
        add_others(&im, lm);
        status = sru_torch_write(path, im.tensors, im.n, err);
    } else {
        status = sru_fail(err, SRU_ENOMEM, "out of memory to write %s", path);
    }
    close_image(&im);
    return status;
}
