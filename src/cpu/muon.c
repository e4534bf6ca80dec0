/*
 * Muon (Jordan et al. 2024).  A thread takes a matrix at a time, which stays in its cache, and which gets the same bits for
 * every number of threads.
 */
#include "config.h"

#include <math.h>
#include <omp.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

enum { SQUARES = 4 };

/* A thread's room: x and its next value, and squares of the smaller side n. */
struct room {
    sru_act *x, *next;
    sru_act *a, *p, *q, *z;
};

static size_t room_floats(size_t large, size_t square)
{
    return sru_round_up(2 * large + SQUARES * square, 16);
}

static struct room room_of(const struct sru_cpu *cpu, const struct sru_muon_matrix *s, float *work)
{
    const size_t large = s->rows * s->cols, n = sru_min(s->rows, s->cols), square = n * n;
    sru_act *at = (sru_act *)work, *squares = sru_at(&cpu->dev, at, 2 * large);

    return (struct room){ at, sru_at(&cpu->dev, at, large), squares, sru_at(&cpu->dev, squares, square),
                          sru_at(&cpu->dev, squares, 2 * square), sru_at(&cpu->dev, squares, 3 * square) };
}

static void swap(sru_act **a, sru_act **b)
{
    sru_act *const was = *a;

    *a = *b;
    *b = was;
}

/* ---- Newton-Schulz ------------------------------------------------------------------------------------------ */

/* c = a b, of [n,n]. */
static void square(struct sru_cpu *cpu, size_t n, const sru_act *a, const sru_act *b, sru_act *c)
{
    struct sru_product k = sru_act_product(cpu, n, n, n);

    k.alone = true;
    sru_product(cpu->products, &k, a, b, c);
}

/* a = x x^T, or x^T x where that is smaller. */
static void gram(struct sru_cpu *cpu, const struct sru_muon_matrix *s, const struct room *r)
{
    const size_t n = sru_min(s->rows, s->cols);
    struct sru_product k = sru_act_product(cpu, n, n, sru_max(s->rows, s->cols));

    k.alone = true;
    k.ta = s->rows > s->cols;
    k.b = k.ta ? SRU_ROWS : SRU_COLUMNS;
    sru_product(cpu->products, &k, r->x, r->x, r->a);
}

/* x = q x, or x q. */
static void apply(struct sru_cpu *cpu, const struct sru_muon_matrix *s, struct room *r)
{
    const bool tall = s->rows > s->cols;
    struct sru_product k = sru_act_product(cpu, s->rows, s->cols, sru_min(s->rows, s->cols));

    k.alone = true;
    sru_product(cpu->products, &k, tall ? r->x : r->q, tall ? r->q : r->x, r->next);
    swap(&r->x, &r->next);
}

/*
 * Some iterations at once.  With P = 3.4445 - 4.7750 A + 2.0315 A A they multiply x by P and A = x x^T by P on both sides;
 * all are polynomials of one symmetric matrix, and so commute.  Thus x is needed at the end alone: q is the product of the Ps.
 */
static void iterate(struct sru_cpu *cpu, const struct sru_muon_matrix *s, int times, struct room *r)
{
    static const float coefficients[3] = { 3.4445f, -4.7750f, 2.0315f };
    const size_t n = sru_min(s->rows, s->cols);

    gram(cpu, s, r);
    for (int i = 0; i < times; i++) {
        square(cpu, n, r->a, r->a, r->p);
        cpu->k->polynomial(n, coefficients, r->a, r->p);
        if (i + 1 < times) {
            square(cpu, n, r->p, r->a, r->z);
            square(cpu, n, r->p, r->z, r->a);
        }
        if (i == 0) {
            swap(&r->p, &r->q);
        } else {
            square(cpu, n, r->p, r->q, r->z);
            swap(&r->z, &r->q);
        }
    }
    apply(cpu, s, r);
}

/*
 * Two iterations at once and then three cost less than five by themselves where one side is above 1.5 times the other.
 * All five at once would cost least, but rounding of A to bf16 grows twelvefold by each iteration.
 */
static void orthogonalise(struct sru_cpu *cpu, const struct sru_muon_matrix *s, struct room *r)
{
    if (2 * sru_max(s->rows, s->cols) > 3 * sru_min(s->rows, s->cols)) {
        iterate(cpu, s, 2, r);
        iterate(cpu, s, 3, r);
    } else {
        for (int i = 0; i < 5; i++)
            iterate(cpu, s, 1, r);
    }
}

/* ---- The operator ------------------------------------------------------------------------------------------- */

static void step(struct sru_cpu *cpu, const struct sru_muon *s, const struct sru_muon_matrix *x, struct room r)
{
    const size_t bytes = cpu->dev.act_bytes;
    double sum = 0;

    for (size_t i = 0; i < x->rows; i++) {
        const size_t at = x->offset + i * x->length;

        sum += cpu->k->momentum(x->cols, s->momentum, s->clip, s->g + at, s->m + at);
    }
    const float scale = (float)(1 / (sqrt(sum) + 1e-7));
    for (size_t i = 0; i < x->rows; i++) {
        const size_t at = x->offset + i * x->length;

        cpu->k->direction(x->cols, s->momentum, s->clip, scale, s->g + at, s->m + at, sru_at(&cpu->dev, r.x, i * x->cols));
    }
    orthogonalise(cpu, x, &r);
    for (size_t i = 0; i < x->rows; i++)
        cpu->k->descend(x->cols, s->decay, s->rate * x->scale, (sru_act *)((char *)r.x + i * x->cols * bytes),
                        s->w + x->offset + i * x->length);
}

size_t sru_cpu_muon_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return s->muon ? (size_t)cpu->dev.threads * room_floats(s->p * sru_max(s->p, s->d), s->p * s->p) : 0;
}

void sru_cpu_muon(struct sru_dev *dev, const struct sru_muon *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t each = cpu->work_bytes / sizeof(float) / (size_t)dev->threads / 16 * 16;

#pragma omp parallel for schedule(dynamic) num_threads(dev->threads)
    for (size_t i = 0; i < s->n; i++)
        step(cpu, s, &s->matrices[i], room_of(cpu, &s->matrices[i], cpu->work + (size_t)omp_get_thread_num() * each));
}
