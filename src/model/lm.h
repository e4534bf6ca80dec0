/*
 * The language model: weights (struct sru_lm), and the buffers and state to run segments through them (struct sru_net).
 * The mathematics is model.md's; the arrangement of rows is ops.h's.
 */
#ifndef SRU_MODEL_LM_H
#define SRU_MODEL_LM_H

#include "src/model/adaptive.h"
#include "src/model/params.h"
#include "src/ops.h"

/* A weight matrix with operand copies. */
struct sru_matrix {
    size_t offset;             /* in the arena; SRU_NONE: the layer has none */
    void  *operand;
};

/*
 * The matrices of layer i are number SRU_MATRICES * i + one of these; after them comes the output's, or those of the clusters, each
 * its SRU_CLUSTER_MATRICES.  Forwards use the halves of W2, which give dense keys and values; backwards both at once.
 */
enum { SRU_W1, SRU_W2K, SRU_W2V, SRU_W2, SRU_W3, SRU_MATRICES };
enum { SRU_TABLE, SRU_IN_PROJ, SRU_OUT_PROJ, SRU_CLUSTER_MATRICES };

/* What a matrix is, and what its operand is for; offset SRU_NONE: there is none. */
struct sru_matrix_plan {
    size_t offset, in, out;    /* [out,in], or with in_first [in,out] */
    bool   in_first;
    enum sru_use use;
};

/* A model's weights on a device. */
struct sru_lm {
    struct sru_config config;
    struct sru_params params;
    struct sru_dev   *dev;     /* outlives the model */
    float *w;                  /* arena, see params.h */
    float *g;                  /* gradients, or NULL: not to be trained */
    struct sru_matrix *matrices;   /* [SRU_MATRICES * depth + 1] */
    bool   prepared;           /* the operand copies are those of w: whoever writes to w clears it */
};

/* Make a model of a checked configuration; weights are zero until sru_lm_init or a file sets them.  SRU_ENOMEM, SRU_EINVAL. */
sru_status sru_lm_open(struct sru_lm *lm, const struct sru_config *c, struct sru_dev *dev, enum sru_use use,
                       struct sru_error *err);
void sru_lm_close(struct sru_lm *lm);
/* Make the operand copies anew where they are not those of w: before any segment is run. */
void sru_lm_prepare(struct sru_lm *lm);
/* How many matrices a model has, and what matrix i is in one of some use; they need a configuration and parameters only. */
size_t sru_lm_n_matrices(const struct sru_lm *lm);
struct sru_matrix_plan sru_lm_matrix_plan(const struct sru_lm *lm, size_t i, enum sru_use use);
/* Bytes of the operand copies of a model of some use; it needs a configuration, parameters and device only. */
uint64_t sru_lm_operand_bytes(const struct sru_lm *lm, enum sru_use use);
/* Bytes of a model that is open to train or to read: weights, gradients, operand copies. */
uint64_t sru_lm_bytes(const struct sru_lm *lm);
/* The weight at an offset of the arena, and matrix i of the list above. */
struct sru_weight sru_lm_weight(const struct sru_lm *lm, size_t offset);
struct sru_weight sru_lm_matrix(const struct sru_lm *lm, size_t i);
/* Initial values from a seed. */
sru_status sru_lm_init(struct sru_lm *lm, uint64_t seed, struct sru_error *err);
/* All tensors as files have them, in the order of params.tensors, one after another, to be freed; NULL without memory. */
float *sru_lm_values(const struct sru_lm *lm);

/*
 * Round the matrices to what they are in 8 bits (src/int8.h): whatever then reads them gives the numbers of SRU_USE_DECODE_INT8.
 * SRU_ENOMEM.
 */
sru_status sru_lm_quantize(struct sru_lm *lm, struct sru_error *err);

/* Masks that a test passes in instead of drawn ones; any may be NULL. */
struct sru_given {
    const float *embed, *output;
    struct { const float *attend, *project, *highway; } layer[16];
};

/* What a layer's forward leaves for its backward, and its state. */
struct sru_layer_buffers {
    sru_act *in;            /* [B,M+T,d] memory and the segment's input, in the order of sru_net's `turned` */
    sru_act *joined;        /* [B,M+T,d] what W1 reads: `in`, or with layer_norm before the layer a buffer of its own */
    sru_act *z, *k, *v;     /* [B,M+T,p] */
    sru_act *A, *a;         /* [B,T,p] attention; what W3 reads */
    sru_act *h;             /* [B,T,d] with normalize_after: the output before the norm */
    float   *stats, *norm_stats;   /* [N,2] */
    void    *kept_attend, *kept_recur;
    float   *c0, *c1;       /* [B,d] state before and after the segment */
};

/* A buffer of the memory plan. */
struct sru_buffer {
    const char *name;
    size_t layer;           /* SRU_NONE: not a layer's */
    size_t bytes;
    void  *where;           /* the pointer that gets it, of whatever type */
};

/* A model made ready for segments of B streams and up to T positions, with M positions of memory. */
struct sru_net {
    struct sru_lm *lm;
    size_t B, T, M, window; /* window 0: all of the memory is seen (training) */
    bool   train;
    size_t present;         /* positions of the memory that exist */
    size_t last;            /* positions of the last segment, not yet moved into the memory */
    bool   turned;          /* the segment's rows come before the memory's */
    uint64_t seed;          /* of the dropout masks */
    const struct sru_given *given;

    struct sru_layer_buffers *layers;   /* [depth] */
    sru_act *out;                       /* [B,T,d] the last layer's output */
    int32_t *tokens, *targets;          /* [N] */
    float   *nll;                       /* [N] */
    struct sru_adaptive adaptive;       /* with clusters */
    struct sru_step *step;              /* of training; 0 until its trainer puts it there */
    float   *logits;                    /* [N,V], where asked for */
    sru_act *dh, *dj, *da, *dA, *dz, *dkv;   /* the backward's, shared by the layers */

    struct sru_buffer *buffers;         /* the plan */
    size_t n_buffers;
};

/*
 * The memory plan: every buffer of a net, without allocating any.  sru_net_open allocates exactly this list.
 * `lm` needs a configuration, parameters and device only.  Close the net as an opened one.
 */
sru_status sru_net_plan(struct sru_net *net, struct sru_lm *lm, size_t B, size_t T, size_t M, bool train, bool logits,
                        struct sru_error *err);
uint64_t sru_net_bytes(const struct sru_net *net);   /* sum of the plan */
/* The workspace of its operators, and of Muon's: its bytes, and making room for it. */
uint64_t sru_net_work(const struct sru_net *net, bool muon);
sru_status sru_net_reserve(const struct sru_net *net, bool muon, struct sru_error *err);

/* For training (M = T, window 0, whole segments) or evaluation (M = window = W).  SRU_ENOMEM. */
sru_status sru_net_open(struct sru_net *net, struct sru_lm *lm, size_t B, size_t T, size_t M, bool train, bool logits,
                        struct sru_error *err);
void sru_net_close(struct sru_net *net);

/* Forget everything read: no memory, c = 0. */
void sru_net_reset(struct sru_net *net);

/*
 * Read t <= T positions of every stream; state and memory move on.
 * @param tokens   host [B,t]; each in [0,V), which is the caller's to check
 * @param targets  host [B,t], or NULL: no losses
 * @param nll      host [B,t], with targets
 */
sru_status sru_net_read(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets, float *nll,
                        struct sru_error *err);

/* The parts of reading that a recorded step is made of: tokens and targets go to the device; then, with dropout and a backward,
 * lm->g becomes the gradient of factor * sum of nll, which stays on the device.  Errors wait for `sync`. */
void sru_net_feed(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets);
void sru_net_queue(struct sru_net *net, float factor);
/* Whether memory and segment change places from one segment to the next. */
bool sru_net_turns(const struct sru_net *net);
/* Where a layer's memory and its segment begin, among rows of both; M: the layer's. */
size_t sru_net_memory_row(const struct sru_net *net);
size_t sru_net_segment_row(const struct sru_net *net, size_t M);
/* Whether the next segment differs from the last but one in nothing but what stands in device memory. */
bool sru_net_is_steady(const struct sru_net *net);
/* Note that a recorded segment was queued again. */
void sru_net_replayed(struct sru_net *net);

/* Both, and the losses. */
sru_status sru_net_train(struct sru_net *net, const int32_t *tokens, const int32_t *targets, float factor, float *nll,
                         struct sru_error *err);

/*
 * The state that goes from segment to segment, to save it and to put it back where `turned` says.  memory: host [B,M,d] (layers with
 * attention), c: host [B,d].
 */
void sru_net_get_state(struct sru_net *net, size_t layer, float *memory, float *c);
void sru_net_put_state(struct sru_net *net, size_t layer, const float *memory, const float *c);

/* ---- One layer (src/model/layer.c) ------------------------------------------------------ */

struct sru_layer {
    size_t i;
    bool   attends;
    struct sru_weight w1, w2k, w2v, w2, w3, alpha, gamma, beta, v, bias;
    struct sru_weight norm_w, norm_b;   /* with layer_norm */
};

struct sru_layer sru_layer_of(const struct sru_lm *lm, size_t i);

/* A mask of the net: rate and key, or what a test gave.  Nothing is dropped outside of training. */
struct sru_mask sru_net_mask(const struct sru_net *net, size_t layer, enum sru_site site, double rate, const float *given);

/* Layer i over t positions, from its `in` to `out`. */
void sru_layer_forward(struct sru_net *net, size_t i, size_t t, struct sru_rows out);
/* From the gradient of the output in net->dh to that of the input, in place. */
void sru_layer_backward(struct sru_net *net, size_t i);

#endif
