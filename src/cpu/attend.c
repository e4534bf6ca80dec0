/* Attention: tiles of queries against the keys that any of them sees. */
#include "config.h"

#include <math.h>
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

static size_t to_key(const struct sru_attend *s, size_t t)
{
    return s->M + t + 1;
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

/* ---- Workspace ------------------------------------------------------------------------------ */

/* One thread's. */
struct room {
    float   *scores;            /* [tile,keys] */
    float   *mask;              /* [tile,keys] */
    sru_act *first, *second;    /* [tile,keys] */
    sru_act *Pt, *dSt;          /* [keys,T] a head's probabilities after dropout, and gradients of scores, transposed */
    sru_act *sum;               /* [keys,p/H] a block's dk or dv */
};

static size_t take(size_t *at, size_t n)
{
    const size_t from = *at;

    *at += sru_round_up(n, 16);
    return from;
}

/* A thread's room cut up, and its size (work NULL: that alone); activations may need half of theirs. */
static size_t cut(struct room *r, float *work, size_t M, size_t T, size_t p, bool back)
{
    const size_t keys = M + T;
    size_t at = 0;

    *r = (struct room){ .scores = work };
    const size_t places[] = { take(&at, SRU_TILE * keys), take(&at, SRU_TILE * keys), take(&at, SRU_TILE * keys),
                              take(&at, SRU_TILE * keys), take(&at, back ? keys * T : 0), take(&at, back ? keys * T : 0),
                              take(&at, back ? keys * p : 0) };
    if (work) {
        r->mask = work + places[1];
        r->first = (sru_act *)(work + places[2]);
        r->second = (sru_act *)(work + places[3]);
        r->Pt = (sru_act *)(work + places[4]);
        r->dSt = (sru_act *)(work + places[5]);
        r->sum = (sru_act *)(work + places[6]);
    }
    return at;
}

static struct room room_of(const struct sru_cpu *cpu, const struct sru_attend *s, bool back)
{
    struct room r;
    const size_t size = cut(&r, NULL, s->M, s->T, s->p, back);

    cut(&r, cpu->work + (size_t)omp_get_thread_num() * size, s->M, s->T, s->p, back);
    return r;
}

size_t sru_cpu_attend_work(const struct sru_cpu *cpu, const struct sru_shape *s)
{
    struct room r;

    return sru_max((size_t)cpu->dev.threads * cut(&r, NULL, s->M, s->T, s->p, s->train), sru_cpu_attend_one_work(s));
}

/* Kept: the probabilities before dropout; a tile's rows are dense, and it begins where rows of all keys would. */
size_t sru_cpu_kept_attend(struct sru_dev *dev, const struct sru_attend *s)
{
    return s->B * s->H * s->T * (s->M + s->T) * dev->act_bytes;
}

static sru_act *kept_tile(const struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t)
{
    return sru_at(&cpu->dev, (sru_act *)s->kept, ((t->b * s->H + t->h) * s->T + t->t0) * (s->M + s->T));
}

/* Columns of head h. */
static sru_act *head(const struct sru_cpu *cpu, const struct sru_attend *s, struct sru_rows r, size_t b, size_t t, size_t h)
{
    return sru_at(&cpu->dev, r.p, b * r.stride + t * s->p + h * (s->p / s->H));
}

/* A product inside the parallel region; rows of heads are p apart. */
static struct sru_product product(const struct sru_cpu *cpu, size_t m, size_t n, size_t k)
{
    struct sru_product x = sru_act_product(cpu, m, n, k);

    x.alone = true;
    return x;
}

static size_t row_length(const struct sru_attend *s)
{
    return s->H > 1 ? s->p : 0;   /* 0: dense */
}

/* ---- Forward --------------------------------------------------------------------------------- */

/* m[i] becomes the factors of the tile's row i, from key lo on; NULL where nothing is dropped. */
static void draw(const struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, float *room, const float *m[SRU_TILE])
{
    const size_t keys = s->M + s->T, first = (t->b * s->H + t->h) * s->T + t->t0;

    for (size_t i = 0; i < t->n; i++) {
        const float *row = sru_mask_row(cpu, &s->mask, first + i, keys, room + i * keys);

        m[i] = row ? row + t->lo : NULL;
    }
}

/* The tile's probabilities after dropout: P itself where there is none. */
static const sru_act *masked(const struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, const sru_act *P,
                             const float *const m[SRU_TILE], sru_act *out)
{
    const size_t width = t->hi - t->lo;

    if (!sru_mask_is_on(&s->mask))
        return P;
    for (size_t i = 0; i < t->n; i++)
        cpu->k->mask(width, sru_from(&cpu->dev, P, i * width), m[i], sru_at(&cpu->dev, out, i * width));
    return out;
}

static void probabilities(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, float *scores, sru_act *P)
{
    const size_t width = t->hi - t->lo, bytes = cpu->dev.act_bytes;
    struct sru_product x = product(cpu, t->n, width, s->p / s->H);

    x.b = SRU_COLUMNS;
    x.c_bf16 = false;
    x.lda = x.ldb = row_length(s);
    sru_product(cpu->products, &x, head(cpu, s, s->q, t->b, t->t0, t->h), head(cpu, s, s->k, t->b, t->lo, t->h), scores);
    for (size_t i = 0; i < t->n; i++) {
        const size_t from = from_key(s, t->t0 + i) - t->lo, to = to_key(s, t->t0 + i) - t->lo;
        sru_act *row = sru_at(&cpu->dev, P, i * width);

        memset(row, 0, from * bytes);
        cpu->k->softmax(to - from, scale_of(s), scores + i * width + from, sru_at(&cpu->dev, row, from));
        memset(sru_at(&cpu->dev, row, to), 0, (width - to) * bytes);
    }
}

static void attend_tile(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t)
{
    const struct room r = room_of(cpu, s, false);
    sru_act *P = s->kept ? kept_tile(cpu, s, t) : r.first;
    const float *m[SRU_TILE];
    struct sru_product x = product(cpu, t->n, s->p / s->H, t->hi - t->lo);

    probabilities(cpu, s, t, r.scores, P);
    draw(cpu, s, t, r.mask, m);
    x.ldb = x.ldc = row_length(s);
    sru_product(cpu->products, &x, masked(cpu, s, t, P, m, r.second), head(cpu, s, s->v, t->b, t->lo, t->h),
                head(cpu, s, s->out, t->b, t->t0, t->h));
}

void sru_cpu_attend(struct sru_dev *dev, const struct sru_attend *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t tiles = tiles_of(s), items = s->B * s->H * tiles;

    if (s->T == 1 && !s->kept && !sru_mask_is_on(&s->mask)) {
        sru_cpu_attend_one(cpu, s);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(sru_threads(cpu)) if (items > 1)
    for (size_t i = 0; i < items; i++) {
        const struct tile t = tile_at(s, i / tiles / s->H, i / tiles % s->H, i % tiles);
        attend_tile(cpu, s, &t);
    }
}

/* ---- Backward -------------------------------------------------------------------------------- */

/*
 * A block of keys [from,to), which queries see from t0 on: the memory and the first tile of the segment, or a later tile.  Its
 * part of a head's transposed probabilities is dense, [to - from, T - t0], and begins where rows of T would.
 */
struct key_block {
    size_t from, to, t0;
};

static struct key_block key_block(const struct sru_attend *s, size_t j)
{
    return (struct key_block){ .from = j > 0 ? s->M + j * SRU_TILE : 0, .to = s->M + sru_min((j + 1) * SRU_TILE, s->T), .t0 = j * SRU_TILE };
}

/* A tile's rows to columns of the blocks that it sees; keys that its queries do not reach back to are 0. */
static void turn(const struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, const sru_act *x, sru_act *whole)
{
    const struct sru_dev *dev = &cpu->dev;

    for (size_t j = 0; j * SRU_TILE <= t->t0; j++) {
        const struct key_block k = key_block(s, j);
        const size_t stride = s->T - k.t0, first = sru_max(k.from, sru_min(t->lo, k.to));
        sru_act *out = sru_at(dev, whole, k.from * s->T + t->t0 - k.t0);

        for (size_t i = k.from; i < first; i++)
            memset(sru_at(dev, out, (i - k.from) * stride), 0, t->n * dev->act_bytes);
        if (first < k.to)
            cpu->k->transpose(t->n, k.to - first, sru_from(dev, x, first - t->lo), t->hi - t->lo,
                              sru_at(dev, out, (first - k.from) * stride), stride);
    }
}

/* dq of a tile, and its parts of Pt and dSt. */
static void attend_back_tile(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, const struct room *r)
{
    const size_t width = t->hi - t->lo, c = s->p / s->H;
    sru_act *P = kept_tile(cpu, s, t), *dS = r->first;
    const float *m[SRU_TILE];
    const sru_act *dout = head(cpu, s, s->dout, t->b, t->t0, t->h);
    struct sru_product x = product(cpu, t->n, width, c);

    draw(cpu, s, t, r->mask, m);
    turn(cpu, s, t, masked(cpu, s, t, P, m, r->first), r->Pt);
    x.b = SRU_COLUMNS;
    x.c_bf16 = false;
    x.lda = x.ldb = row_length(s);
    sru_product(cpu->products, &x, dout, head(cpu, s, s->v, t->b, t->lo, t->h), r->scores);
    for (size_t i = 0; i < t->n; i++)   /* where P is 0, dS is 0: rows need no bounds here */
        cpu->k->softmax_back(width, scale_of(s), sru_at(&cpu->dev, P, i * width), m[i], r->scores + i * width,
                             sru_at(&cpu->dev, dS, i * width));
    x = product(cpu, t->n, c, width);
    x.ldb = x.ldc = row_length(s);
    x.add = true;
    sru_product(cpu->products, &x, dS, head(cpu, s, s->k, t->b, t->lo, t->h), head(cpu, s, s->dq, t->b, t->t0, t->h));
    turn(cpu, s, t, dS, r->dSt);
}

/*
 * dk = dS^T q or dv = P^T dout of a head, to its columns of dkv from `column` on.  A block's product takes all its queries at
 * once: tile by tile they would add to f32 sums larger than the cache near the core.
 */
static void gather(struct sru_cpu *cpu, const struct sru_attend *s, const struct tile *t, const sru_act *turned, struct sru_rows rows,
                   sru_act *sum, size_t column)
{
    const struct sru_dev *dev = &cpu->dev;
    const size_t c = s->p / s->H;

    for (size_t j = 0; j < tiles_of(s); j++) {
        const struct key_block k = key_block(s, j);
        struct sru_product x = product(cpu, k.to - k.from, c, s->T - k.t0);

        x.ldb = row_length(s);
        sru_product(cpu->products, &x, sru_from(dev, turned, k.from * s->T), head(cpu, s, rows, t->b, k.t0, t->h), sum);
        for (size_t i = k.from; i < k.to; i++)
            memcpy(sru_at(dev, s->dkv.p, t->b * s->dkv.stride + i * 2 * s->p + column + t->h * c), sru_at(dev, sum, (i - k.from) * c),
                   c * dev->act_bytes);
    }
}

void sru_cpu_attend_back(struct sru_dev *dev, const struct sru_attend *s)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);

#pragma omp parallel for schedule(dynamic) num_threads(sru_threads(cpu)) if (s->B * s->H > 1)
    for (size_t i = 0; i < s->B * s->H; i++) {
        const struct room r = room_of(cpu, s, true);
        struct tile t;

        for (size_t j = 0; j < tiles_of(s); j++) {
            t = tile_at(s, i / s->H, i % s->H, j);
            attend_back_tile(cpu, s, &t, &r);
        }
        gather(cpu, s, &t, r.Pt, s->dout, r.sum, s->p);
        gather(cpu, s, &t, r.dSt, s->q, r.sum, 0);
    }
}
