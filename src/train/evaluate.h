/* The loss of a model over a text. */
#ifndef SRU_TRAIN_EVALUATE_H
#define SRU_TRAIN_EVALUATE_H

#include "src/model/lm.h"
#include "src/text/part.h"

struct sru_loss {
    double   nats;    /* sum over the predicted tokens */
    uint64_t count;   /* predicted tokens: all but a text's first */
};

/* Asked now and then: true ends an evaluation early, and the loss is that of what was read. */
struct sru_stop {
    bool (*asked)(void *context);
    void *context;
};

/* nats a token to bits. */
#define SRU_BITS(nats) ((nats) / 0.69314718055994530942)

/*
 * Read a text from an empty state, each token predicted from all before it within the net's window.
 * @param net   one stream, for evaluation
 * @param name  of the text, for messages     @param stop  or NULL
 * @return SRU_EFORMAT for a token outside of the vocabulary or fewer than two; SRU_ENOMEM, SRU_EDEVICE.
 */
sru_status sru_evaluate(struct sru_net *net, const struct sru_vocab *v, const struct sru_part *part, const char *name,
                        const struct sru_stop *stop, struct sru_loss *loss, struct sru_error *err);

#endif
