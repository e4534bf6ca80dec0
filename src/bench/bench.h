/* What `sru-lm bench` measures: the machine's rates, and the program against them. */
#ifndef SRU_BENCH_BENCH_H
#define SRU_BENCH_BENCH_H

#include "src/model/lm.h"

/* ---- Time (measure.c) ----------------------------------------------------------------------- */

/* Seconds that one thing took, done again and again: the least, the quartiles, and of how many. */
struct sru_spread {
    double least, low, median, high;
    size_t n;
};

/*
 * Run `work` for about so many seconds, at least four times; a first run is not counted.  Short work is timed in bundles.
 * @return what `work` returned where it failed
 */
sru_status sru_measure(double seconds, sru_status (*work)(void *of, struct sru_error *), void *of, struct sru_spread *out,
                       struct sru_error *err);

/* ---- The machine (machine.c, memory.c) --------------------------------------------------------- */

struct sru_machine {
    char cpu[128];       /* as the system names it */
    long cpus;           /* that the system has online */
    char onednn[32], compiler[64];
};

struct sru_machine sru_machine_describe(void);

/* Bytes of each of the triad's three arrays: far more than caches of today. */
#define SRU_TRIAD_BYTES ((size_t)64 << 20)

/*
 * Memory rate in bytes a second: a = b + s c over three arrays of doubles, each read or written once; that a cache
 * reads a line before it writes it is not counted.  The best of the runs.  SRU_ENOMEM.
 */
sru_status sru_triad(double seconds, int threads, double *rate, struct sru_error *err);

/* ---- Matrix products (flops.c, matmul.c) --------------------------------------------------------- */

/* A model and how it is trained. */
struct sru_bench_model {
    const char *name;
    struct sru_config config;
    size_t B, T;
};

/* [m,k] times [k,n], `count` times in a step; a gradient or the logits, which are f32, or an activation. */
struct sru_product {
    const char *name;
    size_t m, k, n, count;
    bool   f32_out;
};
#define SRU_PRODUCTS 12

/* The products with weights of a training step; attention's own are left out.  @return how many there are */
size_t sru_step_products(const struct sru_bench_model *m, struct sru_product out[SRU_PRODUCTS]);
double sru_product_flops(const struct sru_product *p);   /* of one */

/* How fast oneDNN does a product: flop/s, NaN where it has none of that precision here; and by what. */
struct sru_matmul {
    double rate;
    char   by[32];
};

/* SRU_ENOMEM, SRU_EDEVICE. */
sru_status sru_matmul_measure(const struct sru_product *p, bool bf16, double seconds, struct sru_matmul *out, struct sru_error *err);

enum { SRU_F32, SRU_BF16, SRU_PRECISIONS };

/* All products of a step, and the rate at which they would run one after another. */
struct sru_matmuls {
    struct sru_product product[SRU_PRODUCTS];
    struct sru_matmul  is[SRU_PRODUCTS][SRU_PRECISIONS];
    size_t n;
    double mean[SRU_PRECISIONS];
};

sru_status sru_matmuls_measure(const struct sru_bench_model *m, double seconds, struct sru_matmuls *out, struct sru_error *err);

/* ---- The program (train.c) ------------------------------------------------------------------------ */

struct sru_training {
    struct sru_spread step;    /* seconds */
};

/* Steps on random bytes. */
sru_status sru_bench_train(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_training *out,
                           struct sru_error *err);

#endif
