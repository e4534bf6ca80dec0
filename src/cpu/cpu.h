/* The CPU's device, and what its operators share. */
#ifndef SRU_CPU_CPU_H
#define SRU_CPU_CPU_H

#include <omp.h>

#include "simd/kernels.h"
#include "src/cpu/product.h"
#include "src/ops.h"

struct sru_cpu {
    struct sru_dev dev;
    const struct sru_kernels *k;
    struct sru_products *products;
    bool   bf16;        /* activations and operands */
    float *work;        /* the operators' workspace, one operator at a time */
    size_t work_bytes;
    struct sru_gauge sent[2];
    float *room;        /* rows of `room_cols` for decode.c */
    size_t room_cols;
};

/* Copies of a matrix for y = x W^T and dx = dy W. */
struct sru_cpu_operand {
    size_t in, out;
    bool   in_first;
    void  *forward, *back;  /* packed; back NULL where nothing trains */
    enum sru_form form;     /* of panels, which are instead of both where it's for decoding */
    void  *panels;
    float *scale;           /* [out] and what fills the last panel; int8 */
};

static inline struct sru_cpu *sru_cpu_of(struct sru_dev *dev)
{
    return (struct sru_cpu *)dev;
}

/* Bytes that one thread reads sooner than a second one wakes. */
enum { SRU_ALONE = 1 << 18 };

/* Whether `n` floats are worth more than one thread. */
static inline bool sru_is_work(const struct sru_cpu *cpu, size_t n)
{
    return cpu->dev.threads > 1 && n >= SRU_ALONE / sizeof(float);
}

/* Threads to ask for: no more than the device was opened with and has rooms for, whatever a program has set since. */
static inline int sru_threads(const struct sru_cpu *cpu)
{
    return sru_team(cpu->dev.threads);
}

/*
 * Do something for i from 0 to n-1: by the device's threads, or by this one alone.  A region that an if clause leaves to one
 * thread would still allocate a team.
 */
#define SRU_EACH(cpu, many, i, n, ...)                                              \
    do {                                                                            \
        if (many) {                                                                 \
            const int team = sru_threads(cpu);                                      \
            _Pragma("omp parallel for schedule(static) num_threads(team)")          \
            for (size_t i = 0; i < (n); i++)                                        \
                __VA_ARGS__;                                                        \
        } else {                                                                    \
            for (size_t i = 0; i < (n); i++)                                        \
                __VA_ARGS__;                                                        \
        }                                                                           \
    } while (0)

/* The factors of a row: in the caller's room, or where they are given; NULL where nothing is dropped. */
static inline const float *sru_mask_row(const struct sru_cpu *cpu, const struct sru_mask *m, size_t row,
                                        size_t cols, float *room)
{
    if (m->given)
        return m->given + row * cols;
    if (!(m->rate > 0))
        return NULL;
    cpu->k->mask_row(m, row, cols, room);
    return room;
}

/* A tile of attention: this many queries at a time. */
enum { SRU_TILE = 64 };
/* Reductions over rows go by this many groups, whatever the number of threads. */
enum { SRU_GROUPS = 16 };

/* A product of this device: operands are activations. */
static inline struct sru_product sru_act_product(const struct sru_cpu *cpu, size_t m, size_t n, size_t k)
{
    return (struct sru_product){ .m = m, .n = n, .k = k, .bf16 = cpu->bf16, .c_bf16 = cpu->bf16 };
}

/* y [rows,out] = x W^T; dx [rows,in] (+)= dy W; dW (+)= dy^T x.  All rows are dense. */
void sru_cpu_forward(struct sru_cpu *, const struct sru_weight *, size_t rows, const sru_act *x, sru_act *y);
void sru_cpu_back(struct sru_cpu *, const struct sru_weight *, size_t rows, const sru_act *dy, bool add, sru_act *dx);
/* `room` is for a transposed copy of dy or, where the weight's in_first, of x: of `small` columns, the gradient's rows. */
void sru_cpu_gradient(struct sru_cpu *, const struct sru_weight *, size_t rows, const sru_act *x, const sru_act *dy, bool add,
                      sru_act *room);
size_t sru_cpu_gradient_work(size_t rows, size_t small);

/* Operands for decoding: false without memory.  What was made is the operand's to free. */
size_t sru_cpu_panels_bytes(const struct sru_cpu *, size_t in, size_t out, bool int8);
bool sru_cpu_panels_open(struct sru_cpu *, struct sru_cpu_operand *, bool int8);
void sru_cpu_panels_pack(const struct sru_cpu *, const struct sru_cpu_operand *, const float *w);
/* Their forward: y (=), or where it is NULL sum (+=).  Rows of x, and of y or sum, are strides apart. */
void sru_cpu_decode(struct sru_cpu *, const struct sru_cpu_operand *, size_t rows, const sru_act *x, size_t x_stride, sru_act *y,
                    float *sum, size_t y_stride);

/* Floats of workspace for calls up to a shape, operator by operator. */
size_t sru_cpu_embed_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_linear_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_attend_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_attend_one_work(const struct sru_shape *);
size_t sru_cpu_norm_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_recur_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_predict_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_muon_work(const struct sru_cpu *, const struct sru_shape *);

void sru_cpu_gather(struct sru_dev *, const struct sru_pick *);
void sru_cpu_scatter(struct sru_dev *, const struct sru_pick *);
void sru_cpu_add_at(struct sru_dev *, size_t n, const int32_t *at, const float *x, float *y);
void sru_cpu_embed(struct sru_dev *, const struct sru_embed *);
void sru_cpu_embed_back(struct sru_dev *, const struct sru_embed *);
void sru_cpu_linear(struct sru_dev *, const struct sru_linear *);
void sru_cpu_linear_back(struct sru_dev *, const struct sru_linear *);
size_t sru_cpu_kept_attend(struct sru_dev *, const struct sru_attend *);
void sru_cpu_attend(struct sru_dev *, const struct sru_attend *);
/* One query a stream, without dropout or a backward (src/cpu/attend-one.c). */
void sru_cpu_attend_one(struct sru_cpu *, const struct sru_attend *);
void sru_cpu_recall(struct sru_dev *, const struct sru_recall *);
void sru_cpu_attend_back(struct sru_dev *, const struct sru_attend *);
void sru_cpu_norm(struct sru_dev *, const struct sru_norm *);
void sru_cpu_norm_back(struct sru_dev *, const struct sru_norm *);
size_t sru_cpu_kept_recur(struct sru_dev *, const struct sru_recur *);
void sru_cpu_recur(struct sru_dev *, const struct sru_recur *);
void sru_cpu_recur_back(struct sru_dev *, const struct sru_recur *);
void sru_cpu_predict(struct sru_dev *, const struct sru_predict *);
void sru_cpu_predict_back(struct sru_dev *, const struct sru_predict *);
void sru_cpu_muon(struct sru_dev *, const struct sru_muon *);

#endif
