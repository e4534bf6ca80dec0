/*
 * Reading one position at a time on cached keys and values: what generation needs.
 * Gives what evaluation gives, for every option but layer_norm before the layer, whose memory evaluation
 * does not normalise and a cache does.
 */
#ifndef SRU_MODEL_DECODE_H
#define SRU_MODEL_DECODE_H

#include "src/model/lm.h"

struct sru_decoder {
    struct sru_lm *lm;
    size_t B, window;     /* streams; positions before the current one that attention sees */
    size_t position;      /* positions read since the last reset */
    struct sru_decoder_layer *layers;   /* [depth]: caches and states */
    sru_act *x, *h, *z, *k, *v, *A, *a; /* [B,d] twice, [B,p] */
    int32_t *tokens;                    /* [B] */
    struct sru_place *place;            /* of the position that is read */
    float   *logits;                    /* [B,V]; of clusters [B,rows] for each, one after another */
    /* Of models with clusters. */
    sru_act *small;                     /* [B,e] */
    int32_t *ids;                       /* [B] host: tokens counted from their cluster's first */
    float   *scores;                    /* host: logits */
    /* Of devices that queue their work: by whether scores are asked for. */
    void *records[2];
    bool  queued[2];
};

/* SRU_ENOMEM, SRU_EINVAL (too large). */
sru_status sru_decoder_open(struct sru_decoder *d, struct sru_lm *lm, size_t B, size_t window, struct sru_error *err);
void sru_decoder_close(struct sru_decoder *d);
/* Bytes of caches and states for these sizes. */
uint64_t sru_decoder_bytes(const struct sru_lm *lm, size_t B, size_t window);

/* Forget everything read. */
void sru_decoder_reset(struct sru_decoder *d);

/*
 * Read one position of every stream.
 * @param tokens  host [B], each in [0,V)     @param logits  host [B,V], of the position that follows; or NULL
 */
sru_status sru_decoder_read(struct sru_decoder *d, const int32_t *tokens, float *logits, struct sru_error *err);

#endif
