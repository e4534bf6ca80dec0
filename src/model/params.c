/* The parameters of a model: names, places and initial values. */
#include "config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/philox.h"
#include "src/model/params.h"
#include "src/size.h"

#define MAX_PER_LAYER 10
#define MAX_OUTSIDE (4 * (SRU_MOST_CUTOFFS + 1))

/* Rows of scalars between two tensors are padded to whole cache lines. */
#define ALIGN 16

/* ---- Layout ------------------------------------------------------------------------- */

struct builder {
    struct sru_params *p;
    bool overflow;
};

/* Append a tensor of shape [rows] or, with cols > 0, [rows,cols]; the offset in the arena. */
static size_t place(struct builder *b, enum sru_layout layout, size_t rows, size_t cols, const char *fmt, ...)
    SRU_PRINTF(5, 6);
static size_t place(struct builder *b, enum sru_layout layout, size_t rows, size_t cols, const char *fmt, ...)
{
    struct sru_params *p = b->p;
    struct sru_tensor *t = &p->tensors[p->n_tensors++];
    va_list ap;
    size_t end;

    *t = (struct sru_tensor){ .rank = cols ? 2 : 1, .shape = { rows, cols }, .layout = layout,
                              .offset = p->arena };
    va_start(ap, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, ap);
    va_end(ap);
    /* A quarter of the address space: bytes and paddings of what comes later cannot overflow either. */
    if (!sru_mul(rows, cols ? cols : 1, &t->count) || !sru_add(p->arena, t->count, &end) || end > SIZE_MAX / 64) {
        b->overflow = true;
        return t->offset;
    }
    p->count += t->count;
    p->arena = sru_round_up(end, ALIGN);
    return t->offset;
}

static void place_layer(struct builder *b, const struct sru_config *c, size_t i)
{
    struct sru_layer_params *l = &b->p->layers[i];
    const size_t d = c->n_d, p = c->n_proj;
    char at[40];

    *l = (struct sru_layer_params){ .attends = sru_config_attends(c, i), .w2 = SRU_NONE, .alpha = SRU_NONE,
                                    .ln_w = SRU_NONE, .ln_b = SRU_NONE, .norm_w = SRU_NONE,
                                    .norm_b = SRU_NONE };
    snprintf(at, sizeof at, "rnn.rnn_lst.%zu", i);
    l->v = place(b, SRU_PLAIN, 2 * d, 0, "%s.weight_c", at);
    l->bias = place(b, SRU_PLAIN, 2 * d, 0, "%s.bias", at);
    l->w1 = place(b, SRU_PLAIN, p, d, "%s.transform_module.linear1.weight", at);
    if (l->attends) {
        l->w2 = place(b, SRU_PLAIN, 2 * p, p, "%s.transform_module.linear2.weight", at);
        l->w3 = place(b, SRU_GATES, 3 * d, p, "%s.transform_module.linear3.weight", at);
        l->alpha = place(b, SRU_PLAIN, 1, 0, "%s.transform_module.alpha", at);
    } else {
        l->w3 = place(b, SRU_GATES, 3 * d, p, "%s.transform_module.linear2.weight", at);
    }
    if (c->attn_layer_norm) {
        l->ln_w = place(b, SRU_PLAIN, p, 0, "%s.transform_module.layer_norm.weight", at);
        l->ln_b = place(b, SRU_PLAIN, p, 0, "%s.transform_module.layer_norm.bias", at);
    }
    if (c->layer_norm) {
        l->norm_w = place(b, SRU_PLAIN, d, 0, "%s.layer_norm.weight", at);
        l->norm_b = place(b, SRU_PLAIN, d, 0, "%s.layer_norm.bias", at);
    }
}

/* Before the layers the projections of the embedding that are its own. */
static void place_embedding(struct builder *b, const struct sru_config *c)
{
    struct sru_params *p = b->p;

    p->embedding = SRU_NONE;
    if (c->n_e == 0)
        p->embedding = place(b, SRU_PLAIN, c->vocab, c->n_d, "embedding_layer.weight");
    else
        p->n_clusters = c->n_cutoffs + 1;
    for (size_t i = 0; i < p->n_clusters; i++) {
        struct sru_cluster_params *k = &p->clusters[i];

        k->sizes = sru_config_cluster(c, i);
        k->rows = k->sizes.n + (i == 0 ? c->n_cutoffs : 0);
        if (!c->tie_projs)
            k->in_proj = place(b, SRU_PLAIN, c->n_d, k->sizes.e, "embedding_layer.emb_projs.%zu", i);
    }
}

static void place_output(struct builder *b, const struct sru_config *c)
{
    struct sru_params *p = b->p;

    p->out_w = p->out_b = SRU_NONE;
    if (c->n_e == 0) {
        p->out_w = place(b, SRU_PLAIN, c->vocab, c->n_d, "output_layer.weight");
        p->out_b = place(b, SRU_PLAIN, c->vocab, 0, "output_layer.bias");
    }
    for (size_t i = 0; i < p->n_clusters; i++) {
        struct sru_cluster_params *k = &p->clusters[i];

        k->table = place(b, SRU_PLAIN, k->rows, k->sizes.e, "output_layer.out_layers.%zu.weight", i);
        k->bias = place(b, SRU_PLAIN, k->rows, 0, "output_layer.out_layers.%zu.bias", i);
        k->out_proj = place(b, SRU_PLAIN, c->n_d, k->sizes.e, "output_layer.out_projs.%zu", i);
        if (c->tie_projs)
            k->in_proj = k->out_proj;
    }
}

sru_status sru_params_open(struct sru_params *p, const struct sru_config *c, struct sru_error *err)
{
    struct builder b = { .p = p };
    size_t room;

    *p = (struct sru_params){ 0 };
    if (!sru_mul(c->depth, MAX_PER_LAYER, &room) || !sru_add(room, MAX_OUTSIDE, &room))
        return sru_fail(err, SRU_EINVAL, "the model is too large: %zu layers", c->depth);
    p->tensors = calloc(room, sizeof *p->tensors);
    p->layers = calloc(c->depth, sizeof *p->layers);
    if (!p->tensors || !p->layers) {
        sru_params_close(p);
        return sru_fail(err, SRU_ENOMEM, "out of memory for the names of %zu layers", c->depth);
    }
    place_embedding(&b, c);
    for (size_t i = 0; i < c->depth && !b.overflow; i++)
        place_layer(&b, c, i);
    if (!b.overflow)
        place_output(&b, c);
    if (b.overflow) {
        sru_params_close(p);
        return sru_fail(err, SRU_EINVAL, "the model is too large: its size overflows");
    }
    return SRU_OK;
}

const struct sru_tensor *sru_params_find(const struct sru_params *p, const char *name)
{
    for (size_t i = 0; i < p->n_tensors; i++)
        if (strcmp(p->tensors[i].name, name) == 0)
            return &p->tensors[i];
    return NULL;
}

void sru_scale_name(char name[SRU_MAX_SCALE_NAME], size_t layer)
{
    snprintf(name, SRU_MAX_SCALE_NAME, "rnn.rnn_lst.%zu.scale_x", layer);
}

void sru_params_close(struct sru_params *p)
{
    free(p->tensors);
    free(p->layers);
    *p = (struct sru_params){ 0 };
}

/* ---- Initial values ----------------------------------------------------------------- */

/* Initial values use Philox like the dropout masks, with a site that no mask has. */
#define SITE_INIT 0xFFFFFFFFu

/* n values uniform in (-bound, bound): value i of tensor `which` depends on (seed, which, i) alone. */
static void uniform(float *w, size_t n, double bound, uint64_t seed, size_t which)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t r[4] = { (uint32_t)(i / 4), (uint32_t)((uint64_t)i / 4 >> 32), (uint32_t)which, SITE_INIT };

        sru_philox(r, seed);
        for (size_t k = 0; k < 4 && i + k < n; k++)
            w[i + k] = (float)(bound * (((double)r[k] + 0.5) * 0x1p-31 - 1));
    }
}

static void fill(float *w, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        w[i] = value;
}

static double xavier(size_t in, size_t out)
{
    return sqrt(6.0 / (double)(in + out));
}

/* Tensors are numbered by their place, so that equal configurations begin with equal weights. */
struct init {
    const struct sru_params *p;
    float   *arena;
    uint64_t seed;
};

static void draw(const struct init *in, size_t offset, size_t n, double bound)
{
    uniform(in->arena + offset, n, bound, in->seed, offset / ALIGN);
}

static void init_layer(const struct init *in, const struct sru_config *c, const struct sru_layer_params *l)
{
    const size_t d = c->n_d, p = c->n_proj;

    draw(in, l->w1, p * d, xavier(d, p));
    if (l->attends)
        draw(in, l->w2, 2 * p * p, xavier(p, 2 * p));
    draw(in, l->w3, 3 * d * p, xavier(p, 3 * d) * sqrt(1 - c->dropout));
    draw(in, l->v, 2 * d, 1);
    fill(in->arena + l->bias + d, d, (float)c->highway_bias);
    if (l->ln_w != SRU_NONE)
        fill(in->arena + l->ln_w, p, 1);
    if (l->norm_w != SRU_NONE)
        fill(in->arena + l->norm_w, d, 1);
}

void sru_params_init(const struct sru_params *p, const struct sru_config *c, uint64_t seed, float *arena)
{
    const struct init in = { p, arena, seed };
    const double bound = sqrt(3.0 / (double)c->n_d);

    memset(arena, 0, p->arena * sizeof *arena);
    if (p->embedding != SRU_NONE)
        draw(&in, p->embedding, c->vocab * c->n_d, bound);
    for (size_t i = 0; i < c->depth; i++)
        init_layer(&in, c, &p->layers[i]);
    if (p->out_w != SRU_NONE)
        draw(&in, p->out_w, c->vocab * c->n_d, bound);
    for (size_t i = 0; i < p->n_clusters; i++) {
        const struct sru_cluster_params *k = &p->clusters[i];

        draw(&in, k->table, k->rows * k->sizes.e, bound);
        draw(&in, k->in_proj, c->n_d * k->sizes.e, xavier(k->sizes.e, c->n_d));
        if (k->out_proj != k->in_proj)
            draw(&in, k->out_proj, c->n_d * k->sizes.e, xavier(k->sizes.e, c->n_d));
    }
}

/* ---- To and from files -------------------------------------------------------------- */

/* Column of W3's transpose that holds row r of the file, for d units. */
static size_t gate_column(size_t d, size_t r)
{
    return r % 3 * d + r / 3;
}

/* Copy a tensor one way or the other. */
static void move(const struct sru_tensor *t, float *arena, float *file, bool to_file)
{
    const size_t rows = t->shape[0], cols = t->count / rows;
    float *mine = arena + t->offset;

    if (t->layout == SRU_PLAIN) {
        memcpy(to_file ? file : mine, to_file ? mine : file, t->count * sizeof *file);
        return;
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < cols; i++) {
            float *here = &mine[i * rows + gate_column(rows / 3, r)], *there = &file[r * cols + i];

            *(to_file ? there : here) = *(to_file ? here : there);
        }
}

void sru_tensor_to_file(const struct sru_tensor *t, const float *arena, float *file)
{
    move(t, (float *)(uintptr_t)arena, file, true);
}

void sru_tensor_from_file(const struct sru_tensor *t, float *arena, const float *file)
{
    move(t, arena, (float *)(uintptr_t)file, false);
}
