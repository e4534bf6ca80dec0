/* Attention: tiles of queries against the keys that any of them sees. */
#include "config.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* What one tile works on: queries [t0,t0+n) of one head of one stream, and the keys [lo,hi). */
struct tile {
    size_t b, h, t0, n, lo, hi;
};

static size_t tiles_of(const struct sru_attend *s)
{
    return (s->T + SRU_TILE - 1) / SRU_TILE;
}

/* The keys [from, to) that query t sees. */
static size_t from_key(const struct sru_attend *s, size_t t)
{
    const size_t first = s->M - s->present, at = s->M + t;

    return s->window > 0 && at > s->window ? sru_max(first, at - s->window) : first;
}

static struct tile tile_at(const struct sru_attend *s, size_t b, size_t h, size_t i)
{
    struct tile t = { .b = b, .h = h, .t0 = i * SRU_TILE };

    t.n = sru_min(SRU_TILE, s->T - t.t0);
    t.lo = from_key(s, t.t0);
    t.hi = s->M + t.t0 + t.n;
    return t;
}

static float scale_of(const struct sru_attend *s)
{
    return 1.0f / sqrtf((float)(s->p / s->H));
}

/* Thread's workspace: two tiles of scores and a row of mask. */
static size_t work_of_thread(size_t M, size_t T)
{
    return (2 * SRU_TILE + 1) * (M + T);
}

size_t sru_cpu_attend_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    return (size_t)cpu->dev.threads * work_of_thread(s->M, s->T);
}

/* Kept: the probabilities before dropout, [B,H,T,M+T]. */
size_t sru_cpu_kept_attend(struct sru_dev *dev, const struct sru_attend *s)
{
    (void)dev;
    return s->B * s->H * s->T * (s->M + s->T) * sizeof(float);
}

/* Columns of head h. */
static float *head(const struct sru_attend *s, struct sru_rows r, size_t b, size_t t, size_t h)
{
    return sru_row(r, b, t, s->p) + h * (s->p / s->H);
}

/* out = in * mask, rows of tile t; all rows are M+T long, columns [lo,hi) matter. */
static void mask_tile(const struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, const float *in,
                      float *out, float *room)
{
    const size_t keys = s->M + s->T;

    for (size_t i = 0; i < t->n; i++) {
        const size_t row = (t->b * s->H + t->h) * s->T + t->t0 + i;
        const float *m = sru_mask_row(cpu, &s->mask, row, keys, room);

        cpu->k->mul(t->hi - t->lo, in + i * keys + t->lo, m + t->lo, out + i * keys + t->lo);
    }
}

static void probabilities(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, float *P)
{
    const size_t keys = s->M + s->T, width = t->hi - t->lo;

    sru_gemm(cpu, false, true, t->n, width, s->p / s->H, head(s, s->q, t->b, t->t0, t->h), s->p,
             head(s, s->k, t->b, t->lo, t->h), s->p, false, P + t->lo, keys);
    for (size_t i = 0; i < t->n; i++) {
        const size_t from = from_key(s, t->t0 + i), to = s->M + t->t0 + i + 1;
        float *row = P + i * keys;

        memset(row + t->lo, 0, (from - t->lo) * sizeof *row);
        cpu->k->softmax(to - from, scale_of(s), row + from);
        memset(row + to, 0, (t->hi - to) * sizeof *row);
    }
}

static void attend_tile(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, float *room)
{
    const size_t keys = s->M + s->T;
    float *masked = room, *mask = room + 2 * SRU_TILE * keys;
    float *P = s->kept ? (float *)s->kept + ((t->b * s->H + t->h) * s->T + t->t0) * keys : room;

    probabilities(cpu, s, t, P);
    if (sru_mask_is_on(&s->mask)) {
        mask_tile(cpu, s, t, P, masked, mask);
        P = masked;
    }
    sru_gemm(cpu, false, false, t->n, s->p / s->H, t->hi - t->lo, P + t->lo, keys,
             head(s, s->v, t->b, t->lo, t->h), s->p, false, head(s, s->out, t->b, t->t0, t->h), s->p);
}

void sru_cpu_attend(struct sru_dev *dev, const struct sru_attend *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t tiles = tiles_of(s), items = s->B * s->H * tiles, each = work_of_thread(s->M, s->T);

#pragma omp parallel for schedule(dynamic) if (items > 1)
    for (size_t i = 0; i < items; i++) {
        const struct tile t = tile_at(s, i / tiles / s->H, i / tiles % s->H, i % tiles);
        attend_tile(cpu, s, &t, cpu->work + (size_t)omp_get_thread_num() * each);
    }
}

/* dk and dv gather from a head's tiles in their order. */
static void attend_back_tile(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, float *room)
{
    const size_t keys = s->M + s->T, width = t->hi - t->lo, c = s->p / s->H;
    const float *P = (const float *)s->kept + ((t->b * s->H + t->h) * s->T + t->t0) * keys, *masked = P;
    float *dP = room, *spare = room + SRU_TILE * keys, *mask = room + 2 * SRU_TILE * keys;
    const float *dout = head(s, s->dout, t->b, t->t0, t->h);

    if (sru_mask_is_on(&s->mask)) {
        mask_tile(cpu, s, t, P, spare, mask);
        masked = spare;
    }
    sru_gemm(cpu, true, false, width, c, t->n, masked + t->lo, keys, dout, s->p, true,
             head(s, s->dv, t->b, t->lo, t->h), s->p);
    sru_gemm(cpu, false, true, t->n, width, c, dout, s->p, head(s, s->v, t->b, t->lo, t->h), s->p, false,
             dP + t->lo, keys);
    if (sru_mask_is_on(&s->mask))
        mask_tile(cpu, s, t, dP, dP, mask);
    for (size_t i = 0; i < t->n; i++)   /* where P is 0, dS is 0: rows need no bounds here */
        cpu->k->softmax_back(width, scale_of(s), P + i * keys + t->lo, dP + i * keys + t->lo);
    sru_gemm(cpu, false, false, t->n, c, width, dP + t->lo, keys, head(s, s->k, t->b, t->lo, t->h), s->p, true,
             head(s, s->dq, t->b, t->t0, t->h), s->p);
    sru_gemm(cpu, true, false, width, c, t->n, dP + t->lo, keys, head(s, s->q, t->b, t->t0, t->h), s->p, true,
             head(s, s->dk, t->b, t->lo, t->h), s->p);
}

static void zero_head(const struct sru_attend *s, struct sru_rows r, size_t b, size_t h)
{
    for (size_t t = 0; t < s->M + s->T; t++)
        memset(head(s, r, b, t, h), 0, s->p / s->H * sizeof(float));
}

void sru_cpu_attend_back(struct sru_dev *dev, const struct sru_attend *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t each = work_of_thread(s->M, s->T);

#pragma omp parallel for schedule(dynamic) if (s->B * s->H > 1)
    for (size_t i = 0; i < s->B * s->H; i++) {
        zero_head(s, s->dk, i / s->H, i % s->H);
        zero_head(s, s->dv, i / s->H, i % s->H);
        for (size_t j = 0; j < tiles_of(s); j++) {
            const struct tile t = tile_at(s, i / s->H, i % s->H, j);
            attend_back_tile(cpu, s, &t, cpu->work + (size_t)omp_get_thread_num() * each);
        }
    }
}
