/* Products with weights, and the linear operator. */
#include "config.h"

#include "src/cpu/cpu.h"
#include "src/size.h"

/* ---- Products with weights --------------------------------------------------------------- */

void sru_cpu_forward(struct sru_cpu *cpu, const struct sru_weight *w, size_t rows, const sru_act *x, sru_act *y)
{
    const struct sru_cpu_operand *o = w->operand;
    struct sru_product k = sru_act_product(cpu, rows, o->out, o->in);

    if (o->panels) {
        sru_cpu_decode(cpu, o, rows, x, o->in, y, NULL, o->out);
        return;
    }
    k.b = SRU_PACKED;
    sru_product(cpu->products, &k, x, o->forward, y);
}

void sru_cpu_back(struct sru_cpu *cpu, const struct sru_weight *w, size_t rows, const sru_act *dy, bool add, sru_act *dx)
{
    const struct sru_cpu_operand *o = w->operand;
    struct sru_product k = sru_act_product(cpu, rows, o->in, o->out);

    k.b = SRU_PACKED;
    k.add = add;
    sru_product(cpu->products, &k, dy, o->back, dx);
}

size_t sru_cpu_gradient_work(size_t rows, size_t small)
{
    return sru_round_up(rows * small, 16);
}

/* x [rows,cols] to room [cols,rows]; a thread takes some columns. */
static void transpose(const struct sru_cpu *cpu, size_t rows, size_t cols, const sru_act *x, sru_act *room)
{
    const size_t each = 64, parts = (cols + each - 1) / each;

#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu)) if (parts > 1)
    for (size_t i = 0; i < parts; i++)
        cpu->k->transpose(rows, sru_min(each, cols - i * each), sru_from(&cpu->dev, x, i * each), cols,
                          sru_at(&cpu->dev, room, i * each * rows), rows);
}

/* Products are fastest with a dense first operand: the small one is transposed by a copy (1-2 % of the product). */
void sru_cpu_gradient(struct sru_cpu *cpu, const struct sru_weight *w, size_t rows, const sru_act *x, const sru_act *dy,
                      bool add, sru_act *room)
{
    const struct sru_cpu_operand *o = w->operand;
    const sru_act *first = o->in_first ? x : dy, *second = o->in_first ? dy : x;
    struct sru_product k = sru_act_product(cpu, o->in_first ? o->in : o->out, o->in_first ? o->out : o->in, rows);

    transpose(cpu, rows, k.m, first, room);
    k.c_bf16 = false;
    k.add = add;
    sru_product(cpu->products, &k, room, second, w->g);
}

/* ---- The operator ---------------------------------------------------------------------------- */

/* Of W1, or of W2's two halves at once. */
size_t sru_cpu_linear_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    (void)cpu;
    const size_t rows = s->B * (s->M + s->T);

    return s->train ? sru_cpu_gradient_work(rows, 2 * s->p) : 0;
}

void sru_cpu_linear(struct sru_dev *dev, const struct sru_linear *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const struct sru_cpu_operand *o = s->w.operand;
    const struct sru_blocks k = sru_blocks_of(s->B, s->rows, s->x.stride == s->rows * s->in && s->y.stride == s->rows * s->out);

    if (o->panels && s->rows == 1) {   /* the streams' rows, wherever they are, share what is read */
        sru_cpu_decode(cpu, o, s->B, s->x.p, s->x.stride, s->y.p, NULL, s->y.stride);
        return;
    }
    for (size_t b = 0; b < k.n; b++)
        sru_cpu_forward(cpu, &s->w, k.rows, sru_row(&cpu->dev, s->x, b, 0, s->in), sru_row(&cpu->dev, s->y, b, 0, s->out));
}

void sru_cpu_linear_back(struct sru_dev *dev, const struct sru_linear *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t rows = s->dx_rows;
    const struct sru_blocks k = sru_blocks_of(s->B, s->rows, s->x.stride == s->rows * s->in && s->dy.stride == s->rows * s->out);

    for (size_t b = 0; b < k.n; b++)
        sru_cpu_gradient(cpu, &s->w, k.rows, sru_row(&cpu->dev, s->x, b, 0, s->in), sru_row(&cpu->dev, s->dy, b, 0, s->out),
                         s->add_dw || b > 0, (sru_act *)cpu->work);
    if (!s->dx.p)
        return;
    const struct sru_blocks kx = sru_blocks_of(s->B, rows, rows == s->rows && s->dy.stride == rows * s->out && s->dx.stride == rows * s->in);
    for (size_t b = 0; b < kx.n; b++)
        sru_cpu_back(cpu, &s->w, kx.rows, sru_row(&cpu->dev, s->dy, b, s->dx_from, s->out), s->add_dx, sru_row(&cpu->dev, s->dx, b, 0, s->in));
}
