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

/* ---- Numbers ----------------------------------------------------------------------------------- */

#define SRU_RANDOM_SEED UINT64_C(88172645463325252)

/* A random byte (xorshift64): the same ones in every run. */
static inline uint8_t sru_random_byte(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint8_t)(*state >> 56);
}

/*
 * A random token of V.  Of more than 256 they are words by frequency, by a law of Zipf's whose exponent, 1.15, gives the shares beyond 20,000 and
 * beyond 100,000 words that 12 million words of novels have (eltec-eng, .098 and .033; the law .096 and .039).
 * The share of tokens from one to below another.
 */
int32_t sru_bench_token(size_t V, uint64_t *state);
double sru_bench_share(size_t V, size_t from, size_t to);

/* ---- The machine (machine.c, memory.c) --------------------------------------------------------- */

struct sru_machine {
    char cpu[128];       /* as the system names it */
    long cpus;           /* that the system has online */
    double load;         /* the system's load of the last minute: figures of a busy machine say little */
    char library[32], compiler[64];   /* the matrix products' library */
};

struct sru_machine sru_machine_describe(void);

/* Bytes of each of the triad's three arrays: far more than caches of today. */
#define SRU_TRIAD_BYTES ((size_t)64 << 20)

/*
 * Memory rate in bytes a second: a = b + s c over three arrays of doubles, each read or written once; that a cache
 * reads a line before it writes it is not counted.  The best of the runs.  SRU_ENOMEM.
 */
sru_status sru_triad(double seconds, int threads, double *rate, struct sru_error *err);

/* ---- What a step costs (flops.c) ------------------------------------------------------------------------ */

/* A model and how it is trained. */
struct sru_bench_model {
    const char *name;
    struct sru_config config;
    size_t B, T;
    const char *optimizer;
    uint64_t parameters;
};

/* The operators of ops.h as they are timed: linear by its weight, the optimizer's parts, and moving memory about. */
enum sru_timed { SRU_EMBED, SRU_LINEAR_W1, SRU_LINEAR_W2, SRU_ATTEND, SRU_NORM, SRU_RECUR, SRU_PREDICT, SRU_UPDATE, SRU_MUON_UPDATE, SRU_PREPARE,
                 SRU_MEASURE, SRU_MOVE,
                 SRU_TIMED };
enum { SRU_FORWARD, SRU_BACKWARD, SRU_DIRECTIONS };
extern const char *const sru_timed_names[SRU_TIMED];

struct sru_cost {
    double flops, bytes;
};

/*
 * What an operator must do in a training step, all layers together; on a device.
 * A prediction's forward is part of its backward.
 */
struct sru_cost sru_cost_of(const struct sru_bench_model *m, enum sru_timed op, int direction, const struct sru_dev *);
/* The recurrence without its products, bytes for each unit of a position. */
double sru_bytes_of_scan(int direction, const struct sru_dev *);
/* Of all operators. */
struct sru_cost sru_cost_of_step(const struct sru_bench_model *m, const struct sru_dev *);
/* Of reading one position with a full window: every weight but the embeddings of other tokens, every key and value. */
struct sru_cost sru_cost_of_token(const struct sru_bench_model *m, const struct sru_dev *);

/* How a product's operands stand in memory: [m,k] and [k,n], or the second as [n,k], or the first as [k,m] (a weight's gradient). */
enum sru_operands { SRU_NONE_TURNED, SRU_SECOND_TURNED, SRU_FIRST_TURNED };

/* [m,k] times [k,n], `count` times in a step, in an operator; a gradient or the logits, which are f32, or an activation. */
struct sru_step_product {
    const char *name;
    size_t m, k, n, count;
    bool   f32_out;
    enum sru_operands stand;
    enum sru_timed op;
    int    direction;
};
#define SRU_PRODUCTS 14

/* The products with weights of a training step; attention's own are left out.  @return how many there are */
size_t sru_step_products(const struct sru_bench_model *m, struct sru_step_product out[SRU_PRODUCTS]);
double sru_product_flops(const struct sru_step_product *p);   /* of one */

/* ---- Matrix products (matmul.c) ------------------------------------------------------------------------- */

/* How fast a product is done: flop/s of the best run, NaN where there is none of that precision; and by what. */
struct sru_matmul {
    double rate;
    char   by[32];
};

/* By oneDNN on the processor.  SRU_ENOMEM, SRU_EDEVICE. */
sru_status sru_matmul_measure(const struct sru_step_product *p, bool bf16, double seconds, struct sru_matmul *out, struct sru_error *err);

enum { SRU_F32, SRU_BF16, SRU_PRECISIONS };

/* All products of a step, and the rate at which they would run one after another. */
struct sru_matmuls {
    struct sru_step_product product[SRU_PRODUCTS];
    struct sru_matmul  is[SRU_PRODUCTS][SRU_PRECISIONS];
    size_t n;
    double mean[SRU_PRECISIONS];
};

/* On the processor by oneDNN or our own products, else by the device. */
sru_status sru_matmuls_measure(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_matmuls *out,
                               struct sru_error *err);

/* ---- A device by its operators (device.c) ----------------------------------------------------------------- */

/* Far more than a GPU's cache. */
#define SRU_COPY_BYTES ((size_t)1 << 30)

/* Bytes read and written a second by copies of so many bytes, in the best run.  SRU_ENOMEM, SRU_EDEVICE. */
sru_status sru_device_copy_rate(struct sru_dev *dev, size_t bytes, double seconds, double *rate, struct sru_error *err);

/*
 * A product by the operator `linear` (the logits are activations there, not f32) or, of a weight's gradient, its backward.  NaN
 * where the device's precision is the other one.  SRU_ENOMEM, SRU_EDEVICE.
 */
sru_status sru_device_matmul(struct sru_dev *dev, const struct sru_step_product *p, bool bf16, double seconds, struct sru_matmul *out,
                             struct sru_error *err);

/* ---- The program (ops-timing.c, train.c) ---------------------------------------------------------------- */

struct sru_op_times {
    double seconds[SRU_TIMED][SRU_DIRECTIONS];
};

/*
 * A device's table of operators with a clock around each.  Between begin and end the device's `ops` points to it, which is
 * how a wrapper, given the device alone, finds what it wraps.  A device that queues its work is waited for before each look at
 * the clock.
 */
struct sru_ops_timing {
    struct sru_ops ops;             /* first */
    const struct sru_ops *inner;
    struct sru_op_times *times;     /* added to */
    bool queues;
    sru_status status;              /* of the first wait that failed */
    struct sru_error err;
};

void sru_ops_timing_begin(struct sru_ops_timing *t, struct sru_dev *dev, struct sru_op_times *times);
/* @return SRU_EDEVICE where work failed in between */
sru_status sru_ops_timing_end(const struct sru_ops_timing *t, struct sru_dev *dev, struct sru_error *err);

struct sru_training {
    struct sru_spread step;    /* seconds */
    double mean;               /* of all steps with the clock on, and what it was spent on */
    struct sru_op_times times;
    double bytes;              /* of the device's memory */
};

/* Steps on random bytes: once, with the clock on; where that slows them (sru_ops_timing) twice, first as they are. */
sru_status sru_bench_train(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_training *out,
                           struct sru_error *err);

/* ---- The recurrence alone (scan.c) ------------------------------------------------------------------------ */

struct sru_recurrence {
    double elements;                            /* positions times units of a pass */
    struct sru_spread pass[SRU_DIRECTIONS];     /* seconds */
};

/* The processor's kernels on as many streams of a model's size as no cache holds; products are not in it. */
sru_status sru_bench_scan(const struct sru_bench_model *m, struct sru_dev *dev, double seconds, struct sru_recurrence *out,
                          struct sru_error *err);

/* ---- Generation (generate.c) ------------------------------------------------------------------------------ */

struct sru_generation {
    struct sru_spread token;   /* seconds of one, in one stream */
    int threads;
};

/* The most likely token each time, with a full window. */
sru_status sru_bench_generate(const struct sru_bench_model *m, struct sru_dev *dev, int threads, double seconds,
                              struct sru_generation *out, struct sru_error *err);

/* ---- All figures ------------------------------------------------------------------------------------------- */

struct sru_bench_host {
    struct sru_machine machine;
    const struct sru_dev *dev;
    double memory[2];                        /* bytes a second with one thread, with all */
    size_t array_bytes;                      /* of what it was measured on */
    struct sru_matmul cube[SRU_PRECISIONS];  /* [side,side] times the same */
    size_t side;
};

struct sru_bench_figures {
    struct sru_bench_model model;
    struct sru_matmuls     matmuls;
    struct sru_training    training;
    struct sru_recurrence  recurrence;   /* elements 0: not measured */
    struct sru_generation  generation;
};

#endif
