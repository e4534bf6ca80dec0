/* The recurrence over positions and its backward: time outside, units inside, so that memory is read in order. */
#include "simd/exp.h"

/* One position of some streams' units. */
struct scan_row {
    const sru_act *u, *x;
    const float   *before;   /* c[t-1] */
    float         *c;
};

SRU_INLINE struct scan_row scan_row(const struct sru_scan *s, size_t t)
{
    const size_t d = s->d;
    float *c = s->last ? s->c : s->c + t * d;

    return (struct scan_row){
        .u = (const sru_act *)((const act *)s->u + t * 3 * d), .x = (const sru_act *)((const act *)s->x + t * d),
        .c = c, .before = t == 0 ? s->c0 : s->last ? c : c - d,
    };
}

/* The gate f (g 0) or r (g 1) of units i to i+k, whose c[t-1] is given. */
SRU_INLINE vf scan_gate(const struct sru_scan *s, const sru_act *u, size_t g, size_t i, size_t k, vf before)
{
    const size_t j = g * s->d + i;

    return vf_sigmoid(vf_fma(vf_load(s->v + j, k), before, vf_add(act_load(u, s->d + j, k), vf_load(s->bias + j, k))));
}

/* Towards cache: a position's units, which the processor does not foresee at the end of a page or downwards. */
SRU_INLINE void fetch_units(const struct sru_scan *s, size_t t, size_t i)
{
    const size_t d = s->d;
    const act *u = (const act *)s->u + t * 3 * d + i;

    __builtin_prefetch(u);
    __builtin_prefetch(u + d);
    __builtin_prefetch(u + 2 * d);
    __builtin_prefetch((const act *)s->x + t * d + i);
}

static void scan(const struct sru_scan *s)
{
    for (size_t t = 0; t < s->T; t++) {
        const struct scan_row row = scan_row(s, t);
        sru_act *h = (sru_act *)((act *)s->h + t * s->d);
        const size_t next = t + 1 < s->T ? t + 1 : t;

        EACH(i, k, s->n, {
            fetch_units(s, next, i);
            const vf before = vf_load(row.before + i, k), u = act_load(row.u, i, k);
            const vf skip = vf_mul(act_load(row.x, i, k), vf_set1(s->scale));
            const vf f = scan_gate(s, row.u, 0, i, k, before), r = scan_gate(s, row.u, 1, i, k, before);
            const vf c = vf_fma(f, vf_sub(before, u), u), open = vf_mul(mask_load(s->m, i, k), r);

            vf_store(row.c + i, k, c);
            act_store(h, i, k, vf_fma(open, vf_sub(c, skip), skip));
        });
    }
}

/* What the backward reads besides. */
SRU_INLINE void fetch_units_back(const struct sru_scan *s, size_t t, size_t i)
{
    fetch_units(s, t, i);
    __builtin_prefetch((const act *)s->dh + t * s->d + i);
    __builtin_prefetch(t > 0 ? s->c + (t - 1) * s->d + i : s->c0 + i);
}

/*
 * (1 - f) (c[t-1] - U0).  It is c[t-1] - c[t], exact to 1 ulp of bf16, and U0 need not be read; in f32 a gate that is nearly
 * open would leave less of the difference than f32 is good for.
 */
SRU_INLINE vf scan_change(const struct scan_row *row, size_t i, size_t k, vf before, vf c, vf f)
{
#if SRU_BF16
    (void)row, (void)i, (void)k, (void)f;
    return vf_sub(before, c);
#else
    (void)c;
    return vf_mul(vf_sub(vf_set1(1.0f), f), vf_sub(before, act_load(row->u, i, k)));
#endif
}

/* What units gather over positions, going back. */
struct scan_sums {
    vf dc, dvf, dvr, dbf, dbr;
};

/* Position t of the backward: see model.md. */
SRU_INLINE void scan_back_units(const struct sru_scan *s, size_t t, size_t i, size_t k, struct scan_sums *sum)
{
    const size_t d = s->d;
    const struct scan_row row = scan_row(s, t);
    const vf one = vf_set1(1.0f), scale = vf_set1(s->scale);
    const vf before = vf_load(row.before + i, k), c = vf_load(row.c + i, k);
    const vf f = scan_gate(s, row.u, 0, i, k, before), r = scan_gate(s, row.u, 1, i, k, before);
    const vf dh = act_load(s->dh, t * d + i, k), g = vf_mul(mask_load(s->m, i, k), dh), gr = vf_mul(g, r);
    const vf dc = vf_add(sum->dc, gr), dcf = vf_mul(dc, f);
    const vf above = vf_sub(c, vf_mul(act_load(row.x, i, k), scale));
    const vf dr = vf_mul(vf_mul(gr, above), vf_sub(one, r)), df = vf_mul(dcf, scan_change(&row, i, k, before, c, f));

    act_store(s->dx, t * d + i, k, vf_mul(vf_sub(dh, gr), scale));
    act_store(s->du, t * 3 * d + i, k, vf_sub(dc, dcf));
    act_store(s->du, t * 3 * d + d + i, k, df);
    act_store(s->du, t * 3 * d + 2 * d + i, k, dr);
    sum->dvf = vf_fma(df, before, sum->dvf);
    sum->dvr = vf_fma(dr, before, sum->dvr);
    sum->dbf = vf_add(sum->dbf, df);
    sum->dbr = vf_add(sum->dbr, dr);
    sum->dc = vf_fma(df, vf_load(s->v + i, k), vf_fma(dr, vf_load(s->v + d + i, k), dcf));
}

/* Positions t-n+1 to t of units, n a constant, so that what they gather is read and written once. */
SRU_INLINE void scan_back_rows(const struct sru_scan *s, size_t t, size_t n, size_t i, size_t k)
{
    const size_t d = s->d;
    struct scan_sums sum = {
        .dc = vf_load(s->dc + i, k), .dvf = vf_load(s->dv + i, k), .dvr = vf_load(s->dv + d + i, k),
        .dbf = vf_load(s->dbias + i, k), .dbr = vf_load(s->dbias + d + i, k),
    };

    SRU_UNROLL for (size_t j = 0; j < n; j++) {
        if (t >= n + j)
            fetch_units_back(s, t - n - j, i);
        scan_back_units(s, t - j, i, k, &sum);
    }
    vf_store(s->dc + i, k, sum.dc);
    vf_store(s->dv + i, k, sum.dvf);
    vf_store(s->dv + d + i, k, sum.dvr);
    vf_store(s->dbias + i, k, sum.dbf);
    vf_store(s->dbias + d + i, k, sum.dbr);
}

enum { SCAN_ROWS = 4 };

static void scan_back(const struct sru_scan *s)
{
    size_t t = s->T;

    for (; t >= SCAN_ROWS; t -= SCAN_ROWS)
        EACH(i, k, s->n, scan_back_rows(s, t - 1, SCAN_ROWS, i, k));
    for (; t > 0; t--)
        EACH(i, k, s->n, scan_back_rows(s, t - 1, 1, i, k));
}
