/* Muon's passes over a row, and its polynomial of a square matrix.  See src/cpu/muon.c. */
#include "simd/vec.h"

/* (1-b) g' + b m, Nesterov's look ahead from a momentum that has taken g' in already. */
SRU_INLINE vf ahead(float b, float clip, vf g, vf m)
{
    return vf_fma(vf_set1((1 - b) * clip), g, vf_mul(vf_set1(b), m));
}

static double momentum(size_t n, float b, float clip, const float *g, float *m)
{
    vd sum = vd_zero();

    EACH(i, k, n, {
        const vf gradient = vf_load(g + i, k), now = flushed(ahead(b, clip, gradient, vf_load(m + i, k)));

        vf_store(m + i, k, now);
        sum = vd_squares(sum, ahead(b, clip, gradient, now));
    });
    return vd_sum(sum);
}

static void direction(size_t n, float b, float clip, float scale, const float *g, const float *m, sru_act *x)
{
    EACH(i, k, n, act_store(x, i, k, vf_mul(vf_set1(scale), ahead(b, clip, vf_load(g + i, k), vf_load(m + i, k)))));
}

SRU_INLINE vf quadratic(const float c[3], vf a, vf aa)
{
    return vf_fma(vf_set1(c[1]), a, vf_mul(vf_set1(c[2]), aa));
}

/* The diagonal is rounded once, as all else. */
static void polynomial(size_t n, const float c[3], const sru_act *a, sru_act *aa)
{
    for (size_t r = 0; r < n; r++) {
        const size_t row = r * n, at = row + r;
        const vf on = vf_add(vf_set1(c[0]), quadratic(c, act_load(a, at, 1), act_load(aa, at, 1)));

        EACH(i, k, n, act_store(aa, row + i, k, quadratic(c, act_load(a, row + i, k), act_load(aa, row + i, k))));
        act_store(aa, at, 1, on);
    }
}

static void descend(size_t n, float decay, float rate, const sru_act *x, float *w)
{
    EACH(i, k, n, {
        const vf old = vf_load(w + i, k), kept = vf_sub(old, vf_mul(vf_set1(decay), old));

        vf_store(w + i, k, vf_sub(kept, vf_mul(vf_set1(rate), act_load(x, i, k))));
    });
}
