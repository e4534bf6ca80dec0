/*
 * Muon (Jordan et al. 2024).  A thread takes a matrix at a time, which stays in its cache, and which gets the same bits for
 * every number of threads.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

enum { SQUARES = 4, BAND = 64 };   /* rows of a symmetric product computed at once */

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

/* ---- Products, by the thread that asks ---------------------------------------------------------------------- */

static void product(struct sru_cpu *cpu, struct sru_product k, const sru_act *a, const sru_act *b, sru_act *c)
{
    k.alone = true;
    sru_product(cpu->products, &k, a, b, c);
}

/* Rows [from, to) of a symmetric matrix up to the diagonal, as x [to-from, to]: into c [n,n], and mirrored. */
static void place(struct sru_cpu *cpu, size_t n, size_t from, size_t to, const sru_act *x, sru_act *c)
{
    const size_t bytes = cpu->dev.act_bytes;

    for (size_t i = from; i < to; i++)
        memcpy(sru_at(&cpu->dev, c, i * n), sru_from(&cpu->dev, x, (i - from) * to), to * bytes);
    cpu->k->transpose(to - from, from, x, to, sru_at(&cpu->dev, c, from), n);
}

/* c = a b^T, of a and b [n,k], which is known to be symmetric: of a large one half is computed.  room [BAND,n]. */
static void symmetric(struct sru_cpu *cpu, size_t n, size_t k, const sru_act *a, const sru_act *b, sru_act *c, sru_act *room)
{
    const size_t each = n < 3 * BAND ? n : BAND;

    for (size_t from = 0; from < n; from += each) {
        const size_t to = sru_min(from + each, n);
        struct sru_product p = sru_act_product(cpu, to - from, to, k);

        p.b = SRU_COLUMNS;
        product(cpu, p, sru_from(&cpu->dev, a, from * k), b, each < n ? room : c);
        if (each < n)
            place(cpu, n, from, to, room, c);
    }
}

/* a = x x^T, or x^T x where that is smaller. */
static void gram(struct sru_cpu *cpu, const struct sru_muon_matrix *s, const struct room *r)
{
    struct sru_product k = sru_act_product(cpu, s->cols, s->cols, s->rows);

    k.ta = true;
    if (s->rows > s->cols)
        product(cpu, k, r->x, r->x, r->a);
    else
        symmetric(cpu, s->rows, s->cols, r->x, r->x, r->a, r->next);
}

/* ---- Newton-Schulz ------------------------------------------------------------------------------------------ */

/* x = q x, or x q. */
static void apply(struct sru_cpu *cpu, const struct sru_muon_matrix *s, struct room *r)
{
    const bool tall = s->rows > s->cols;
    struct sru_product k = sru_act_product(cpu, s->rows, s->cols, sru_min(s->rows, s->cols));

    product(cpu, k, tall ? r->x : r->q, tall ? r->q : r->x, r->next);
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
        symmetric(cpu, n, n, r->a, r->a, r->p, r->next);
        cpu->k->polynomial(n, coefficients, r->a, r->p);
        if (i + 1 < times) {
            symmetric(cpu, n, n, r->p, r->a, r->z, r->next);
            symmetric(cpu, n, n, r->p, r->z, r->a, r->next);
        }
        if (i == 0) {
            swap(&r->p, &r->q);
        } else {
            symmetric(cpu, n, n, r->p, r->q, r->z, r->next);
            swap(&r->z, &r->q);
        }
    }
    apply(cpu, s, r);
}

/*
 * Three iterations at once and then two cost less than five by themselves where one side is above 1.5 times the other.
 * More at once would not do in bf16: an error of A, which is in proportion to its norm, grows twelvefold by each iteration.
 * Three come first because A is smallest then.
 */
static void orthogonalise(struct sru_cpu *cpu, const struct sru_muon_matrix *s, struct room *r)
{
    if (2 * sru_max(s->rows, s->cols) > 3 * sru_min(s->rows, s->cols)) {
        iterate(cpu, s, 3, r);
        iterate(cpu, s, 2, r);
    } else {
        for (int i = 0; i < 5; i++)
            iterate(cpu, s, 1, r);
    }
}

/* ---- The operator ------------------------------------------------------------------------------------------- */

static void step(struct sru_cpu *cpu, const struct sru_muon *s, const struct sru_muon_matrix *x, struct room r)
{
    const float clip = s->gauge->clip;
    double sum = 0;

    for (size_t i = 0; i < x->rows; i++) {
        const size_t at = x->offset + i * x->length;

        sum += cpu->k->momentum(x->cols, s->momentum, clip, s->g + at, s->m + at);
    }
    const float scale = (float)(1 / (sqrt(sum) + 1e-7));
    for (size_t i = 0; i < x->rows; i++) {
        const size_t at = x->offset + i * x->length;

        cpu->k->direction(x->cols, s->momentum, clip, scale, s->g + at, s->m + at, sru_at(&cpu->dev, r.x, i * x->cols));
    }
    orthogonalise(cpu, x, &r);
    for (size_t i = 0; i < x->rows; i++)
        cpu->k->descend(x->cols, s->step->muon_decay, s->step->muon_rate * x->scale, sru_at(&cpu->dev, r.x, i * x->cols),
                        s->w + x->offset + i * x->length);
}

size_t sru_cpu_muon_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return s->muon ? (size_t)cpu->dev.threads * room_floats(s->p * sru_max(s->p, s->d), s->p * s->p) : 0;
}

void sru_cpu_muon(struct sru_dev *dev, const struct sru_muon *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    if (s->gauge->clip == 0)
        return;
    const size_t each = cpu->work_bytes / sizeof(float) / (size_t)dev->threads / 16 * 16;

#pragma omp parallel for schedule(dynamic) num_threads(sru_threads(cpu))
    for (size_t i = 0; i < s->n; i++)
        step(cpu, s, &s->matrices[i], room_of(cpu, &s->matrices[i], cpu->work + (size_t)omp_get_thread_num() * each));
}
