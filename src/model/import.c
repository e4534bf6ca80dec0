/* Models from the reference implementation's checkpoints: see import.h. */
#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/model/import.h"
#include "src/size.h"

#define LAYER "rnn.rnn_lst.%zu."
enum { LONGEST_NAME = 96 };

/* ---- Names and shapes --------------------------------------------------------------------------- */

SRU_PRINTF(2, 3) static const struct sru_pt_tensor *find(const struct sru_torch_file *f, const char *format, ...)
{
    char name[LONGEST_NAME];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return sru_torch_find(f, name);
}

/* A size of a tensor, or 0 where it is missing or has no such. */
static size_t size_of(const struct sru_pt_tensor *t, size_t dimension)
{
    return t && dimension < t->rank && t->shape[dimension] <= INT32_MAX ? (size_t)t->shape[dimension] : 0;
}

static sru_status unlike(const struct sru_torch_file *f, const char *why, struct sru_error *err)
{
    return sru_fail(err, SRU_EFORMAT, "%s is not a state_dict of an SRU++ language model that can be read: %s", f->path, why);
}

/* ---- Values -------------------------------------------------------------------------------------------------- */

static uint64_t count_of(const struct sru_pt_tensor *t)
{
    uint64_t n = 1;

    for (size_t i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(n, t->shape[i], &n))
            return UINT64_MAX;
    return n;
}

/* All values, to be freed. */
static sru_status read_all(const struct sru_torch_file *f, const struct sru_pt_tensor *t, float **out, struct sru_error *err)
{
    const uint64_t n = count_of(t);

    *out = n < SIZE_MAX / sizeof **out ? malloc((size_t)n * sizeof **out + 1) : NULL;
    if (!*out)
        return sru_fail(err, SRU_ENOMEM, "out of memory for tensor '%s' of %s", t->name, f->path);
    return sru_torch_read(f, t, *out, err);
}

static bool same_shape(const struct sru_pt_tensor *a, const struct sru_pt_tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

static sru_status equal(const struct sru_torch_file *f, const struct sru_pt_tensor *a, const struct sru_pt_tensor *b, bool *same, struct sru_error *err)
{
    float *x = NULL, *y = NULL;
    sru_status status = SRU_OK;

    *same = same_shape(a, b);
    if (*same && strcmp(a->storage, b->storage) != 0 && !(status = read_all(f, a, &x, err)) && !(status = read_all(f, b, &y, err)))
        *same = memcmp(x, y, (size_t)count_of(a) * sizeof *x) == 0;
    free(x);
    free(y);
    return status;
}

/* ---- The configuration ------------------------------------------------------------------------------- */

/* Which layers attend: every nth, or the last n. */
static sru_status find_attention(const struct sru_torch_file *f, struct sru_config *c, struct sru_error *err)
{
    size_t first = c->depth, n = 0;

    for (size_t i = 0; i < c->depth; i++)
        if (find(f, LAYER "transform_module.alpha", i)) {
            first = n == 0 ? i : first;
            n++;
        }
    if (n == 0)
        return unlike(f, "no layer has attention", err);
    c->attn_every_n_layers = first + 1;
    c->attn_last_n_layers = 0;
    for (int way = 0; way < 2; way++) {
        bool same = true;

        for (size_t i = 0; i < c->depth; i++)
            same = same && sru_config_attends(c, i) == (find(f, LAYER "transform_module.alpha", i) != NULL);
        if (same)
            return SRU_OK;
        c->attn_every_n_layers = 1;
        c->attn_last_n_layers = n;
    }
    return unlike(f, "its layers with attention are neither every nth nor the last ones", err);
}

static sru_status find_clusters(const struct sru_torch_file *f, struct sru_config *c, struct sru_error *err)
{
    const struct sru_pt_tensor *table = find(f, "output_layer.out_layers.0.weight");
    size_t n = 0, from = 0;

    c->n_e = size_of(table, 1);
    while (find(f, "output_layer.out_layers.%zu.weight", n))
        n++;
    if (c->n_e == 0 || n < 2 || n > SRU_MOST_CUTOFFS + 1 || size_of(table, 0) <= n - 1)
        return unlike(f, "its adaptive softmax has no clusters, or too many", err);
    c->n_cutoffs = n - 1;
    for (size_t i = 0; i < n; i++) {
        from += size_of(find(f, "output_layer.out_layers.%zu.weight", i), 0) - (i == 0 ? n - 1 : 0);
        if (i + 1 < n)
            c->cutoffs[i] = from;
    }
    c->vocab = from;
    const size_t second = size_of(find(f, "output_layer.out_layers.1.weight"), 1);
    /* floor(n_e / div) is the second's: the smallest div that gives it is the one that divides exactly, where one does. */
    c->div_val = second > 0 ? c->n_e / second : 1;
    while (c->div_val > 1 && c->n_e / c->div_val != second)
        c->div_val--;
    c->tie_projs = false;
    return SRU_OK;
}

/* scale_x is 1, or sqrt(1 + 2 exp(bias)). */
static sru_status find_scale(const struct sru_torch_file *f, struct sru_config *c, struct sru_error *err)
{
    const struct sru_pt_tensor *t = find(f, LAYER "scale_x", (size_t)0);
    float scale = 1;

    if (t && (t->rank != 1 || t->shape[0] != 1))
        return unlike(f, "scale_x is not one number", err);
    const sru_status status = t ? sru_torch_read(f, t, &scale, err) : SRU_OK;
    if (status)
        return status;
    c->rescale = fabsf(scale - 1) > 1e-6f;
    if (c->rescale && fabsf(sru_config_scale(c) - scale) > 1e-5f)
        return sru_fail(err, SRU_EFORMAT, "%s: scale_x is %g, and --highway-bias %g makes it %g; give --highway-bias %g", f->path, (double)scale,
                        c->highway_bias, (double)sru_config_scale(c), log(((double)scale * (double)scale - 1) / 2));
    return SRU_OK;
}

/* Are the embedding's projections the output's? */
static sru_status find_ties(const struct sru_torch_file *f, struct sru_config *c, struct sru_error *err)
{
    bool all = true, same;

    for (size_t i = 0; i <= c->n_cutoffs; i++) {
        const struct sru_pt_tensor *in = find(f, "embedding_layer.emb_projs.%zu", i), *out = find(f, "output_layer.out_projs.%zu", i);

        if (!in)   /* one tensor, saved once */
            continue;
        if (!out)
            return unlike(f, "its projections are missing", err);
        const sru_status status = equal(f, in, out, &same, err);
        if (status)
            return status;
        all = all && same;
    }
    c->tie_projs = all;
    return SRU_OK;
}

sru_status sru_import_config(const struct sru_torch_file *f, const struct sru_import_settings *s, struct sru_config *c, struct sru_error *err)
{
    const struct sru_pt_tensor *embedding = find(f, "embedding_layer.weight");
    struct sru_error inner;
    sru_status status;

    *c = (struct sru_config){
        .heads = s->heads, .highway_bias = s->highway_bias, .dropout = s->dropout, .attn_dropout = s->attn_dropout, .emb_dropout = s->emb_dropout,
        .window = s->window, .normalize_after = s->normalize_after, .div_val = 4,
    };
    while (c->depth < f->tensors.n && find(f, LAYER "weight_c", c->depth))
        c->depth++;
    if (c->depth == 0)
        return unlike(f, "it has no rnn.rnn_lst.0.weight_c", err);
    c->n_d = size_of(find(f, LAYER "weight_c", (size_t)0), 0) / 2;
    c->n_proj = size_of(find(f, LAYER "transform_module.linear1.weight", (size_t)0), 0);
    c->attn_layer_norm = find(f, LAYER "transform_module.layer_norm.weight", (size_t)0) != NULL;
    c->layer_norm = find(f, LAYER "layer_norm.weight", (size_t)0) != NULL;
    c->vocab = size_of(embedding, 0);
    if ((status = find_attention(f, c, err)) || (status = find_scale(f, c, err)))
        return status;
    if (!embedding && ((status = find_clusters(f, c, err)) || (status = find_ties(f, c, err))))
        return status;
    return sru_config_check(c, &inner) ? unlike(f, inner.message, err) : SRU_OK;
}

/* ---- Weights ------------------------------------------------------------------------------------------------- */

/* The tensor of a model that another name of the reference's stands for, or NULL: "embedding_layer.emb_weights.3". */
static bool other_name(const char *name, char of[LONGEST_NAME])
{
    size_t i;
    char end;

    if (sscanf(name, "embedding_layer.emb_weights.%zu%c", &i, &end) == 1)
        return snprintf(of, LONGEST_NAME, "output_layer.out_layers.%zu.weight", i) > 0;
    if (sscanf(name, "embedding_layer.emb_projs.%zu%c", &i, &end) == 1)
        return snprintf(of, LONGEST_NAME, "output_layer.out_projs.%zu", i) > 0;
    if (sscanf(name, "rnn.rnn_lst.%zu.scale_x%c", &i, &end) == 1)
        return snprintf(of, LONGEST_NAME, LAYER "scale_x", (size_t)0) > 0;
    return false;
}

/* What a model has one of and the file another name for has to be equal; and no tensor may be passed over. */
static sru_status check_others(const struct sru_torch_file *f, const struct sru_params *p, struct sru_error *err)
{
    char of[LONGEST_NAME];

    for (size_t i = 0; i < f->tensors.n; i++) {
        const struct sru_pt_tensor *t = &f->tensors.items[i], *first;
        bool same = true;

        if (sru_params_find(p, t->name))
            continue;
        if (!other_name(t->name, of) || !(first = sru_torch_find(f, of)))
            return sru_fail(err, SRU_EFORMAT, "%s has a tensor '%.80s' that its model does not call for", f->path, t->name);
        const sru_status status = first == t ? SRU_OK : equal(f, t, first, &same, err);
        if (status)
            return status;
        if (!same)
            return sru_fail(err, SRU_EFORMAT, "%s: tensors '%.80s' and '%.80s' are one in the model, and differ", f->path, t->name, of);
    }
    return SRU_OK;
}

static sru_status read_tensor(const struct sru_torch_file *f, const struct sru_tensor *t, float *arena, struct sru_error *err)
{
    const struct sru_pt_tensor *theirs = sru_torch_find(f, t->name);
    float *values = NULL;

    if (!theirs)
        return sru_fail(err, SRU_EFORMAT, "%s has no tensor '%s'", f->path, t->name);
    if (theirs->rank != t->rank || size_of(theirs, 0) != t->shape[0] || (t->rank > 1 && size_of(theirs, 1) != t->shape[1]))
        return sru_fail(err, SRU_EFORMAT, "%s: tensor '%s' has another shape than [%zu%s%.0zu]", f->path, t->name, t->shape[0],
                        t->rank > 1 ? ", " : "", t->rank > 1 ? t->shape[1] : 0);
    const sru_status status = read_all(f, theirs, &values, err);
    if (!status)
        sru_tensor_from_file(t, arena, values);
    free(values);
    return status;
}

sru_status sru_import_weights(const struct sru_torch_file *f, struct sru_lm *lm, struct sru_error *err)
{
    const struct sru_params *p = &lm->params;
    float *arena = calloc(p->arena, sizeof *arena);
    sru_status status = arena ? check_others(f, p, err) : sru_fail(err, SRU_ENOMEM, "out of memory to read %s", f->path);

    for (size_t i = 0; i < p->n_tensors && !status; i++)
        status = read_tensor(f, &p->tensors[i], arena, err);
    if (!status) {
        lm->dev->ops->put(lm->dev, lm->w, arena, p->arena * sizeof *arena);
        lm->prepared = false;
    }
    free(arena);
    return status;
}
