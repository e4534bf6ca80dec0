/* What a model is: sizes and switches of model.md, and their text forms. */
#ifndef SRU_MODEL_CONFIG_H
#define SRU_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "src/error.h"

enum { SRU_MOST_CUTOFFS = 7 };

/* Legend and meaning as in model.md; the JSON and preset keys are the field names. */
struct sru_config {
    size_t vocab;              /* V; 0 until the data is known */
    size_t n_d;                /* d, hidden size */
    size_t n_proj;             /* p, attention size */
    size_t depth;              /* layers */
    size_t heads;              /* divides n_proj */
    size_t attn_every_n_layers;
    size_t attn_last_n_layers; /* 0: unused, attn_every_n_layers decides */
    bool   layer_norm;
    bool   normalize_after;
    bool   attn_layer_norm;
    bool   rescale;
    double highway_bias;
    double dropout, attn_dropout;
    size_t window;             /* attention window of evaluation and generation, positions */

    /* Adaptive embedding and softmax, or n_e 0: every token has a row of n_d. */
    size_t n_e;                /* size of the first cluster's embeddings; cluster i's is n_e / div_val^i, rounded down */
    size_t div_val;
    size_t n_cutoffs;
    size_t cutoffs[SRU_MOST_CUTOFFS];   /* rising, below vocab: cluster i has the tokens from the cutoff before it to below its own */
    bool   tie_projs;          /* the output's projections are the embedding's */
    double emb_dropout;
};

/* The defaults: one head, attention everywhere, attn_layer_norm, highway_bias -2; sizes are 0. */
struct sru_config sru_config_default(void);

/* @return SRU_OK, or SRU_EINVAL naming the first field that is out of range (vocab included). */
sru_status sru_config_check(const struct sru_config *c, struct sru_error *err);

/* The tokens and embedding size of cluster i of n_cutoffs + 1. */
struct sru_cluster_sizes { size_t from, n, e; };
struct sru_cluster_sizes sru_config_cluster(const struct sru_config *c, size_t i);

/*
 * Cutoffs for a vocabulary of so many words: 2,000, 20,000 and 100,000, as far as there are more; n_e 0 where there are none.  A small head, which
 * every position asks, pays where time is short: 90 s of tiny on eltec-eng's 400,000 words gave a perplexity of 671 with these, 670 with 1,000,
 * 10,000 and 100,000, 761 with 4,000, 20,000 and 100,000 and 1,030 with 20,000, 40,000 and 200,000.
 */
void sru_config_divide(struct sru_config *c, size_t words);

/* true when layer i has attention. */
bool sru_config_attends(const struct sru_config *c, size_t layer);

/* The highway scale: 1, or sqrt(1 + 2 exp(highway_bias)). */
float sru_config_scale(const struct sru_config *c);

/* A new JSON object with every field; NULL without memory. */
json_t *sru_config_to_json(const struct sru_config *c);

/* Read every field from a JSON object; unknown, missing and mistyped fields are SRU_EFORMAT. */
sru_status sru_config_from_json(struct sru_config *c, json_t *object, struct sru_error *err);

#endif
