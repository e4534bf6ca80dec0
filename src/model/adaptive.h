/*
 * The adaptive embedding and softmax (model.md): tokens are grouped by cluster, so that each costs what its cluster does.  The first
 * cluster, the head, also scores the others, one row each.
 */
#ifndef SRU_MODEL_ADAPTIVE_H
#define SRU_MODEL_ADAPTIVE_H

#include "src/model/config.h"
#include "src/ops.h"

struct sru_net;

/* Which of a segment's positions are of a cluster: n from `from` on of those in the cluster's order. */
struct sru_members {
    size_t from, n;
};

struct sru_adaptive {
    struct sru_members in[SRU_MOST_CUTOFFS + 1], out[SRU_MOST_CUTOFFS + 1];   /* by token, by target */
    int32_t *host;              /* [3,N] and [V], the host's room */
    int32_t *in_at, *in_ids;    /* [N] positions in the order of their tokens, and these, counted from the cluster's first */
    int32_t *out_at, *out_ids;  /* the same of targets */
    sru_act *hidden;            /* [N,d] masked h, where it is masked */
    sru_act *picked, *dpicked;  /* [N,d] of a cluster's positions */
    sru_act *small, *dsmall;    /* [N,e] */
    float   *nll;               /* [N] of a cluster's targets */
};

/* Group t positions of every stream and send them to the device; targets NULL: none.  net->targets becomes the head's. */
void sru_adaptive_feed(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets);
/* From tokens to the first layer's input, and the gradients back. */
void sru_adaptive_embed(struct sru_net *net, size_t t, struct sru_rows x);
void sru_adaptive_embed_back(struct sru_net *net);
/* From the last layer's output to net->nll; with `back` gradients of factor times their sum, into net->dh. */
void sru_adaptive_predict(struct sru_net *net, size_t t, bool back, float factor);

#endif
