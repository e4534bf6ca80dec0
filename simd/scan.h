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

static void scan(const struct sru_scan *s)
{
    for (size_t t = 0; t < s->T; t++) {
        const struct scan_row row = scan_row(s, t);
        sru_act *h = (sru_act *)((act *)s->h + t * s->d);

        EACH(i, k, s->n, {
            const vf before = vf_load(row.before + i, k), u = act_load(row.u, i, k);
            const vf skip = vf_mul(act_load(row.x, i, k), vf_set1(s->scale));
            const vf f = scan_gate(s, row.u, 0, i, k, before), r = scan_gate(s, row.u, 1, i, k, before);
            const vf c = vf_fma(f, vf_sub(before, u), u), open = vf_mul(mask_load(s->m, i, k), r);

            vf_store(row.c + i, k, c);
            act_store(h, i, k, vf_fma(open, vf_sub(c, skip), skip));
        });
    }
}

SRU_INLINE void add_to(float *p, size_t k, vf x)
{
    vf_store(p, k, vf_add(vf_load(p, k), x));
}

/* Towards cache: rows that are read downwards, which the processor does not foresee. */
SRU_INLINE void fetch_units(const struct sru_scan *s, size_t t, size_t i)
{
    const size_t d = s->d;
    const act *u = (const act *)s->u + t * 3 * d + i;

    __builtin_prefetch(u);
    __builtin_prefetch(u + d);
    __builtin_prefetch(u + 2 * d);
    __builtin_prefetch((const act *)s->x + t * d + i);
    __builtin_prefetch((const act *)s->dh + t * d + i);
    __builtin_prefetch(t > 0 ? s->c + (t - 1) * d + i : s->c0 + i);
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

/* Position t of the backward: see model.md. */
SRU_INLINE void scan_back_units(const struct sru_scan *s, size_t t, size_t i, size_t k)
{
    const size_t d = s->d;
    const struct scan_row row = scan_row(s, t);
    const vf one = vf_set1(1.0f), scale = vf_set1(s->scale);
    const vf before = vf_load(row.before + i, k), c = vf_load(row.c + i, k);
    const vf f = scan_gate(s, row.u, 0, i, k, before), r = scan_gate(s, row.u, 1, i, k, before);
    const vf dh = act_load(s->dh, t * d + i, k), g = vf_mul(mask_load(s->m, i, k), dh), gr = vf_mul(g, r);
    const vf dc = vf_add(vf_load(s->dc + i, k), gr), dcf = vf_mul(dc, f);
    const vf above = vf_sub(c, vf_mul(act_load(row.x, i, k), scale));
    const vf dr = vf_mul(vf_mul(gr, above), vf_sub(one, r)), df = vf_mul(dcf, scan_change(&row, i, k, before, c, f));

    if (t > 0)
        fetch_units(s, t - 1, i);
    act_store(s->dx, t * d + i, k, vf_mul(vf_sub(dh, gr), scale));
    act_store(s->du, t * 3 * d + i, k, vf_sub(dc, dcf));
    act_store(s->du, t * 3 * d + d + i, k, df);
    act_store(s->du, t * 3 * d + 2 * d + i, k, dr);
    add_to(s->dv + i, k, vf_mul(df, before));
    add_to(s->dv + d + i, k, vf_mul(dr, before));
    add_to(s->dbias + i, k, df);
    add_to(s->dbias + d + i, k, dr);
    vf_store(s->dc + i, k, vf_fma(df, vf_load(s->v + i, k), vf_fma(dr, vf_load(s->v + d + i, k), dcf)));
}

static void scan_back(const struct sru_scan *s)
{
    for (size_t t = s->T; t-- > 0;)
        EACH(i, k, s->n, scan_back_units(s, t, i, k));
}
