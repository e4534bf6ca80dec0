/*
 * The adaptive embedding and softmax (model.md): tokens are grouped by cluster, so that each costs what its cluster does.  The first
 * cluster, the head, also scores the others, one row each.
 */
#ifndef SRU_MODEL_ADAPTIVE_H
#define SRU_MODEL_ADAPTIVE_H

#include "src/model/config.h"
#include "src/ops.h"

struct sru_net;

/*
 * The positions of a segment that are of a cluster: n of them, from `from` on in the clusters' order.  Products take `rows`, which
 * are a little more: few sizes recur, and devices keep what they make for each.
 */
struct sru_members {
    size_t from, n, rows;
};

struct sru_adaptive {
    struct sru_members in[SRU_MOST_CUTOFFS + 1], out[SRU_MOST_CUTOFFS + 1];   /* by token, by target */
    int32_t *host;              /* [2,listed], [N] and [V]: the host's room */
    int32_t *in_at, *in_ids;    /* [listed] positions in the order of their tokens, and these, counted from the cluster's first */
    int32_t *out_at, *out_ids;  /* the same of targets; -1 for rows that are none */
    sru_act *hidden;            /* [N,d] masked h, where it is masked */
    sru_act *picked, *dpicked;  /* [rows of N,d] of a cluster's positions */
    sru_act *small, *dsmall;    /* [rows of N,e] */
    float   *nll;               /* [rows of N] of a cluster's targets */
};

/* The rows that products take for n, and those of all clusters of a segment of N positions at most. */
size_t sru_adaptive_rows(size_t n);
size_t sru_adaptive_listed(const struct sru_config *c, size_t N);

/* Group t positions of every stream and send them to the device; targets NULL: none.  net->targets becomes the head's. */
void sru_adaptive_feed(struct sru_net *net, size_t t, const int32_t *tokens, const int32_t *targets);
/* From tokens to the first layer's input, and the gradients back. */
void sru_adaptive_embed(struct sru_net *net, size_t t, struct sru_rows x);
void sru_adaptive_embed_back(struct sru_net *net);
/* From the last layer's output to net->nll; with `back` gradients of factor times their sum, into net->dh. */
void sru_adaptive_predict(struct sru_net *net, size_t t, bool back, float factor);

#endif
