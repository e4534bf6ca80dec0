/* metrics.jsonl: one JSON object a line, the curve of a run. */
#ifndef SRU_TRAIN_METRICS_H
#define SRU_TRAIN_METRICS_H

#include <jansson.h>
#include <stdint.h>

#include "src/error.h"

struct sru_metrics {
    int   fd;       /* -1: not logging */
    char *path;
};

/*
 * Open for appending.  Records after step `keep`, and a torn last line, are cut off,
 * so that the curve of a resumed run is continuous.  Nothing to close on failure.
 */
sru_status sru_metrics_open(struct sru_metrics *m, const char *path, uint64_t keep, struct sru_error *err);
void sru_metrics_close(struct sru_metrics *m);

/*
 * Append one record and free it.  The first failure is returned and ends the logging: later calls
 * do nothing and succeed.  A record cut short by a full disk is taken back.
 */
sru_status sru_metrics_write(struct sru_metrics *m, json_t *record, struct sru_error *err);

/* A JSON number, or null where x is not finite. */
json_t *sru_metrics_number(double x);

#endif
