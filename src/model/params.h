/* The parameters of a model: one flat f32 arena and a list that names its parts. */
#ifndef SRU_MODEL_PARAMS_H
#define SRU_MODEL_PARAMS_H

#include "src/model/config.h"

/* How a tensor lies in the arena. */
enum sru_layout {
    SRU_PLAIN,   /* as in the file */
    SRU_GATES    /* file [3d,p] with row 3j+g; arena its transpose [p,3,d] with column g*d+j */
};

struct sru_tensor {
    char   name[80];         /* the reference implementation's state_dict key */
    size_t rank, shape[2];   /* as in the file */
    size_t count;            /* scalars */
    size_t offset;           /* in the arena, a multiple of 16 scalars */
    enum sru_layout layout;
};

/* Offsets of one layer's tensors in the arena; SRU_NONE where the layer has none. */
#define SRU_NONE ((size_t)-1)
struct sru_layer_params {
    size_t w1, w2, w3, alpha, ln_w, ln_b;  /* transform_module */
    size_t v, bias;                        /* weight_c [2d], bias [2d] */
    size_t norm_w, norm_b;                 /* layer_norm, pre or post */
    bool   attends;
};

/* A cluster of the adaptive embedding and softmax: offsets, and the table's rows. */
struct sru_cluster_params {
    struct sru_cluster_sizes sizes;
    size_t rows;                           /* tokens, and in the first those of the other clusters, the last cluster's first */
    size_t table, bias;                    /* [rows,e], which embeds and scores; [rows] */
    size_t in_proj, out_proj;              /* [d,e]; one tensor with tie_projs */
};

struct sru_params {
    struct sru_tensor *tensors;      /* in arena order */
    size_t n_tensors;
    struct sru_layer_params *layers; /* [depth] */
    size_t embedding, out_w, out_b;  /* offsets; SRU_NONE with clusters */
    struct sru_cluster_params clusters[SRU_MOST_CUTOFFS + 1];
    size_t n_clusters;               /* 0: not adaptive */
    size_t arena;                    /* scalars of the arena, padding (always zero) included */
    uint64_t count;                  /* trainable scalars */
};

/* The tensor of a name, or NULL. */
const struct sru_tensor *sru_params_find(const struct sru_params *p, const char *name);

/* The reference implementation keeps the highway scale of each layer as a buffer of its state_dict: its name, such as rnn.rnn_lst.3.scale_x. */
#define SRU_MAX_SCALE_NAME 48
void sru_scale_name(char name[SRU_MAX_SCALE_NAME], size_t layer);

/* Lay out the parameters of a checked configuration.  @return SRU_OK; SRU_ENOMEM; SRU_EINVAL on overflow. */
sru_status sru_params_open(struct sru_params *p, const struct sru_config *c, struct sru_error *err);
void sru_params_close(struct sru_params *p);

/* Initial values of model.md from a seed, into a host arena [p->arena]. */
void sru_params_init(const struct sru_params *p, const struct sru_config *c, uint64_t seed, float *arena);

/* Copy one tensor between the arena and the file's layout, both host memory; `file` holds t->count scalars. */
void sru_tensor_to_file(const struct sru_tensor *t, const float *arena, float *file);
void sru_tensor_from_file(const struct sru_tensor *t, float *arena, const float *file);

#endif
