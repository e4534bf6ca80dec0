/* A run in one file: see checkpoint.h. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/train/checkpoint.h"

#define NAME_M SRU_OPTIMIZER_PREFIX "m"
#define NAME_V SRU_OPTIMIZER_PREFIX "v"
#define NAME_C SRU_STATE_PREFIX "c"

enum { MAX_NAME = 48 };

static void memory_name(char name[MAX_NAME], size_t layer)
{
    snprintf(name, MAX_NAME, SRU_STATE_PREFIX "memory.%zu", layer);
}

/* ---- Tensors that are not the model's --------------------------------------------------------- */

/* The host's copies: moments as [arena], c as [L,B,d], memories of layers with attention as [B,M,d]. */
struct extra {
    size_t arena, L, B, M, d;
    float *moments[2], *c, **memory;
    char (*names)[MAX_NAME];
    struct sru_st_tensor *tensors;
    size_t n;
};

static void add(struct extra *x, const char *name, float *data, size_t rank, size_t a, size_t b, size_t c)
{
    x->tensors[x->n++] = (struct sru_st_tensor){ .name = name, .dtype = "F32", .rank = rank, .shape = { a, b, c }, .data = data };
}

static void extra_close(struct extra *x)
{
    for (size_t i = 0; i < x->L && x->memory; i++)
        free(x->memory[i]);
    free(x->memory);
    free(x->names);
    free(x->moments[0]);
    free(x->moments[1]);
    free(x->c);
    free(x->tensors);
}

static sru_status extra_open(struct extra *x, const struct sru_trainer *t, struct sru_error *err)
{
    const struct sru_config *c = &t->lm->config;

    *x = (struct extra){ .arena = t->lm->params.arena, .L = c->depth, .B = t->net.B, .M = t->net.M, .d = c->n_d };
    x->tensors = calloc(3 + x->L, sizeof *x->tensors);
    x->names = calloc(x->L, sizeof *x->names);
    x->memory = calloc(x->L, sizeof *x->memory);
    x->moments[0] = malloc(x->arena * sizeof(float));
    x->moments[1] = malloc(x->arena * sizeof(float));
    x->c = malloc(x->L * x->B * x->d * sizeof *x->c);
    bool ok = x->tensors && x->names && x->memory && x->moments[0] && x->moments[1] && x->c;

    for (size_t i = 0; i < x->L && ok; i++)
        if (t->lm->params.layers[i].attends)
            ok = (x->memory[i] = malloc(x->B * x->M * x->d * sizeof(float))) != NULL;
    if (!ok) {
        extra_close(x);
        return sru_fail(err, SRU_ENOMEM, "out of memory for a checkpoint");
    }
    add(x, NAME_M, x->moments[0], 1, x->arena, 0, 0);
    add(x, NAME_V, x->moments[1], 1, x->arena, 0, 0);
    add(x, NAME_C, x->c, 3, x->L, x->B, x->d);
    for (size_t i = 0; i < x->L; i++)
        if (x->memory[i]) {
            memory_name(x->names[i], i);
            add(x, x->names[i], x->memory[i], 3, x->B, x->M, x->d);
        }
    return SRU_OK;
}

/* Between the host's copies and the trainer. */
static void extra_get(struct extra *x, struct sru_trainer *t)
{
    struct sru_dev *dev = t->lm->dev;

    dev->ops->get(dev, x->moments[0], t->m, x->arena * sizeof(float));
    dev->ops->get(dev, x->moments[1], t->v, x->arena * sizeof(float));
    for (size_t i = 0; i < x->L; i++)
        sru_net_get_state(&t->net, i, x->memory[i], x->c + i * x->B * x->d);
}

static void extra_put(const struct extra *x, bool turned, struct sru_trainer *t)
{
    struct sru_dev *dev = t->lm->dev;

    dev->ops->put(dev, t->m, x->moments[0], x->arena * sizeof(float));
    dev->ops->put(dev, t->v, x->moments[1], x->arena * sizeof(float));
    sru_net_reset(&t->net);
    t->net.turned = turned && sru_net_turns(&t->net);
    for (size_t i = 0; i < x->L; i++)
        sru_net_put_state(&t->net, i, x->memory[i], x->c + i * x->B * x->d);
}

/* ---- Position ------------------------------------------------------------------------------------ */

static json_t *position(const struct sru_trainer *t, const struct sru_counts *c)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:I, s:f, s:I}", "step", (json_int_t)t->step,
                     "epoch", (json_int_t)t->streams->epoch, "segment", (json_int_t)t->streams->segment,
                     "present", (json_int_t)t->net.present, "turned", t->net.turned, "seconds", c->seconds,
                     "loss_sum", c->loss_sum, "loss_steps", (json_int_t)c->loss_steps, "best", c->best, "evaluations", (json_int_t)c->evaluations);
}

static sru_status set_position(const struct sru_model_file *f, struct sru_trainer *t, struct sru_counts *c, struct sru_error *err)
{
    json_int_t step, epoch, segment, present, loss_steps, evaluations;

    if (json_unpack(json_object_get(f->training, "position"), "{s:I, s:I, s:I, s:I, s:F, s:F, s:I, s:F, s:I}", "step", &step,
                    "epoch", &epoch, "segment", &segment, "present", &present, "seconds", &c->seconds, "loss_sum", &c->loss_sum, "loss_steps",
                    &loss_steps, "best", &c->best, "evaluations", &evaluations)
        || step < 0 || epoch < 0 || segment < 0 || sru_streams_seek(t->streams, (uint64_t)epoch, (uint64_t)segment, NULL)
        || present < 0 || (size_t)present > t->net.M || loss_steps < 0 || evaluations < 0)
        return sru_fail(err, SRU_EFORMAT, "%s is not a checkpoint of this run: its position is missing or out of range",
                        f->file.path);
    t->step = (uint64_t)step;
    t->net.present = (size_t)present;
    c->loss_steps = (uint64_t)loss_steps;
    c->evaluations = (uint64_t)evaluations;
    return SRU_OK;
}

/* ---- Interface ------------------------------------------------------------------------------------ */

sru_status sru_checkpoint_save(const char *path, struct sru_trainer *t, const struct sru_counts *counts, const struct sru_vocab *v,
                               json_t *settings, struct sru_error *err)
{
    struct extra x;
    sru_status status = extra_open(&x, t, err);

    if (status)
        return status;
    extra_get(&x, t);
    json_t *training = json_pack("{s:O, s:o}", "settings", settings, "position", position(t, counts));
    if (training)
        status = sru_model_save(path, t->lm, v, training, x.tensors, x.n, err);
    else
        status = sru_fail(err, SRU_ENOMEM, "out of memory for a checkpoint");
    json_decref(training);
    extra_close(&x);
    return status;
}

/* What is read goes into the host's copies, whose pointers the tensors hold as const. */
static sru_status read_tensors(const struct sru_model_file *f, struct extra *x, struct sru_error *err)
{
    sru_status status = SRU_OK;

    for (size_t i = 0, layer = 0; i < x->n && !status; i++) {
        const struct sru_st_tensor *t = &x->tensors[i];
        float *into = i < 2 ? x->moments[i] : x->c;

        if (i > 2) {
            while (!x->memory[layer])
                layer++;
            into = x->memory[layer++];
        }
        status = sru_st_read_as(&f->file, t->name, t->dtype, t->rank, t->shape, into, err);
    }
    return status;
}

sru_status sru_checkpoint_load(const struct sru_model_file *f, struct sru_trainer *t, struct sru_counts *counts,
                               struct sru_error *err)
{
    struct extra x;
    sru_status status = extra_open(&x, t, err);

    if (status)
        return status;
    if (!(status = read_tensors(f, &x, err)) && !(status = sru_model_file_weights(f, t->lm, err))) {
        const json_t *turned = json_object_get(json_object_get(f->training, "position"), "turned");   /* older ones lack it */

        extra_put(&x, json_is_true(turned), t);   /* empties the state first, so the position comes after it */
        status = set_position(f, t, counts, err);
    }
    extra_close(&x);
    return status;
}

json_t *sru_checkpoint_settings(const struct sru_model_file *f)
{
    return json_object_get(f->training, "settings");
}
