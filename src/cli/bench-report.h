/* The figures of `sru-lm bench` as tables (bench-text.c) and as JSON (bench-json.c). */
#ifndef SRU_CLI_BENCH_REPORT_H
#define SRU_CLI_BENCH_REPORT_H

#include <jansson.h>

#include "src/bench/bench.h"

/* What the device computes in, which is what its share of the products' rate refers to. */
static inline int sru_bench_precision(const struct sru_dev *dev)
{
    return dev->act_bytes == 2 ? SRU_BF16 : SRU_F32;
}

void sru_bench_print_host(const struct sru_bench_host *h);
void sru_bench_print_preset(const struct sru_bench_host *h, const struct sru_bench_figures *f);

/* New objects; NULL without memory. */
json_t *sru_bench_host_to_json(const struct sru_bench_host *h);
json_t *sru_bench_preset_to_json(const struct sru_bench_host *h, const struct sru_bench_figures *f);

#endif
