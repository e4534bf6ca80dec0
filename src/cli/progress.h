/* What a user sees of a run: one line in place on a terminal, plain lines elsewhere. */
#ifndef SRU_CLI_PROGRESS_H
#define SRU_CLI_PROGRESS_H

#include "src/train/run.h"

struct sru_progress {
    bool   in_place;    /* standard output is a terminal */
    bool   open;        /* the line in place is there */
    double shown;       /* seconds of training when a line was last printed */
    enum sru_unit unit; /* of the text */
    double train, weight;   /* smoothed training loss */
};

struct sru_progress sru_progress_begin(void);
/* The model and the text, before the first step. */
void sru_progress_describe(struct sru_progress *p, const struct sru_beginning *);
void sru_progress_report(struct sru_progress *p, const struct sru_report *r);
/* End the line in place. */
void sru_progress_end(struct sru_progress *p);

/* Losses as they are told: bits a byte, or the perplexity of words; and which they are, "bits/byte" or "perplexity". */
double sru_told_loss(enum sru_unit unit, double nats);
const char *sru_told_name(enum sru_unit unit);

/* "1.25M", "117k", "42"; "2h05m", "3m12s", "8s".  Into `out` of 24 bytes, which is returned. */
const char *sru_short_count(double n, char out[24]);
const char *sru_short_time(double seconds, char out[24]);

#endif
