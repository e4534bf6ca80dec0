/* The figures of `sru-lm bench`: a table as they come, or one JSON object at the end. */
#ifndef SRU_CLI_BENCH_REPORT_H
#define SRU_CLI_BENCH_REPORT_H

#include <jansson.h>

#include "src/bench/bench.h"

struct sru_bench_report {
    json_t *object;     /* NULL: print tables */
    json_t *preset;     /* the one at work, in the object */
    bool    progress;   /* standard error is a terminal */
};

struct sru_bench_report sru_bench_report_begin(bool json);
/* What is being measured now, for one who waits. */
void sru_bench_report_doing(const struct sru_bench_report *r, const char *what, const char *of);

void sru_bench_report_machine(struct sru_bench_report *r, const struct sru_machine *m, const struct sru_dev *dev);
void sru_bench_report_memory(struct sru_bench_report *r, const double rate[2], int threads);
/* The machine's products: a large cube, [2048,2048] times the same. */
void sru_bench_report_cube(struct sru_bench_report *r, const struct sru_matmul is[SRU_PRECISIONS]);

/* What follows belongs to this preset. */
void sru_bench_report_preset(struct sru_bench_report *r, const struct sru_bench_model *m, uint64_t parameters);
void sru_bench_report_matmuls(struct sru_bench_report *r, const struct sru_matmuls *x);

/* Print the object, if there is one. */
void sru_bench_report_end(struct sru_bench_report *r);

#endif
