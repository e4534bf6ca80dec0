/* The CPU's device, and what its operators share. */
#ifndef SRU_CPU_CPU_H
#define SRU_CPU_CPU_H

#include "simd/kernels.h"
#include "src/ops.h"

struct sru_cpu {
    struct sru_dev dev;
    const struct sru_kernels *k;
    float *work;        /* the operators' workspace, one operator at a time */
    size_t work_bytes;
    bool   failed;      /* a matrix product failed since the last sync */
};

static inline struct sru_cpu *sru_cpu_of(struct sru_dev *dev)
{
    return (struct sru_cpu *)dev;
}

static inline float *sru_f32(sru_act *p)
{
    return (float *)p;
}

/* Row t of stream b. */
static inline float *sru_row(struct sru_rows r, size_t b, size_t t, size_t columns)
{
    return sru_f32(r.p) + b * r.stride + t * columns;
}

static inline bool sru_mask_is_on(const struct sru_mask *m)
{
    return m->given || m->rate > 0;
}

/* The factors of a row: in the caller's room, or where they are given.  The mask is on. */
static inline const float *sru_mask_row(const struct sru_cpu *cpu, const struct sru_mask *m, size_t row,
                                        size_t cols, float *room)
{
    if (m->given)
        return m->given + row * cols;
    cpu->k->mask_row(m, row, cols, room);
    return room;
}

/* A tile of attention: this many queries at a time. */
enum { SRU_TILE = 64 };
/* Reductions over rows go by this many groups, whatever the number of threads. */
enum { SRU_GROUPS = 16 };

/* C (+)= A B, row-major with row lengths lda, ldb, ldc; ta, tb: the stored matrix is transposed. */
void sru_gemm(struct sru_cpu *cpu, bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda,
              const float *b, size_t ldb, bool add, float *c, size_t ldc);

/* Floats of workspace for calls up to a shape, operator by operator. */
size_t sru_cpu_embed_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_attend_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_norm_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_recur_work(const struct sru_cpu *, const struct sru_shape *);
size_t sru_cpu_predict_work(const struct sru_cpu *, const struct sru_shape *);

void sru_cpu_embed(struct sru_dev *, const struct sru_embed *);
void sru_cpu_embed_back(struct sru_dev *, const struct sru_embed *);
void sru_cpu_linear(struct sru_dev *, const struct sru_linear *);
void sru_cpu_linear_back(struct sru_dev *, const struct sru_linear *);
size_t sru_cpu_kept_attend(struct sru_dev *, const struct sru_attend *);
void sru_cpu_attend(struct sru_dev *, const struct sru_attend *);
void sru_cpu_attend_back(struct sru_dev *, const struct sru_attend *);
void sru_cpu_norm(struct sru_dev *, const struct sru_norm *);
void sru_cpu_norm_back(struct sru_dev *, const struct sru_norm *);
size_t sru_cpu_kept_recur(struct sru_dev *, const struct sru_recur *);
void sru_cpu_recur(struct sru_dev *, const struct sru_recur *);
void sru_cpu_recur_back(struct sru_dev *, const struct sru_recur *);
void sru_cpu_predict(struct sru_dev *, const struct sru_predict *);
void sru_cpu_predict_back(struct sru_dev *, const struct sru_predict *);

#endif
