/* Matrix products by oneDNN, and the linear operator. */
#include "config.h"

#include <dnnl.h>

#include "src/cpu/cpu.h"

void sru_gemm(struct sru_cpu *cpu, bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda,
              const float *b, size_t ldb, bool add, float *c, size_t ldc)
{
    const dnnl_status_t status =
        dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f, a,
                   (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, add ? 1.0f : 0.0f, c, (dnnl_dim_t)ldc);

    if (status != dnnl_success) {
#pragma omp atomic write
        cpu->failed = true;
    }
}

/* Rows of all streams are one matrix, or are taken stream by stream. */
struct blocks {
    size_t n, rows;
};

static struct blocks blocks(const struct sru_linear *s, size_t rows, bool dense)
{
    return dense ? (struct blocks){ 1, s->B * rows } : (struct blocks){ s->B, rows };
}

void sru_cpu_linear(struct sru_dev *dev, const struct sru_linear *s)
{
    const bool dense = s->x.stride == s->rows * s->in && s->y.stride == s->rows * s->out;
    const struct blocks k = blocks(s, s->rows, dense);

    for (size_t b = 0; b < k.n; b++)
        sru_gemm(sru_cpu_of(dev), false, true, k.rows, s->out, s->in, sru_row(s->x, b, 0, s->in), s->in, s->w.w,
                 s->in, false, sru_row(s->y, b, 0, s->out), s->out);
}

void sru_cpu_linear_back(struct sru_dev *dev, const struct sru_linear *s)
{
    const size_t rows = s->rows - s->skip;
    const bool dense = s->x.stride == s->rows * s->in && s->dy.stride == s->rows * s->out;
    const struct blocks k = blocks(s, s->rows, dense);

    for (size_t b = 0; b < k.n; b++)
        sru_gemm(sru_cpu_of(dev), true, false, s->out, s->in, k.rows, sru_row(s->dy, b, 0, s->out), s->out,
                 sru_row(s->x, b, 0, s->in), s->in, true, s->w.g, s->in);
    if (!s->dx.p)
        return;
    const bool all = s->skip == 0 && s->dy.stride == rows * s->out && s->dx.stride == rows * s->in;
    const struct blocks kx = blocks(s, rows, all);
    for (size_t b = 0; b < kx.n; b++)
        sru_gemm(sru_cpu_of(dev), false, false, kx.rows, s->in, s->out, sru_row(s->dy, b, s->skip, s->out),
                 s->out, s->w.w, s->in, s->add_dx, sru_row(s->dx, b, 0, s->in), s->in);
}
