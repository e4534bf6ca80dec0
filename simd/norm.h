/* Layer normalisation of a row, and its backward. */
#include <math.h>

#include "simd/vec.h"

/* alpha a + r */
SRU_INLINE vf norm_sum(const struct sru_norm_row *s, size_t i, size_t k)
{
    const vf r = act_load(s->r, i, k);

    return s->a ? vf_fma(vf_set1(s->alpha), act_load(s->a, i, k), r) : r;
}

static void norm_none(const struct sru_norm_row *s)
{
    STORE_EACH(s->y, i, k, s->n, vf_mul(norm_sum(s, i, k), mask_load(s->m, i, k)));
}

SRU_INLINE vf norm_y(const struct sru_norm_row *s, size_t i, size_t k, vf centre, vf inverse)
{
    const vf x = vf_mul(vf_sub(vf_load(s->room + i, k), centre), inverse);

    return vf_mul(vf_fma(x, vf_load(s->gamma + i, k), vf_load(s->beta + i, k)), mask_load(s->m, i, k));
}

static void norm(const struct sru_norm_row *s)
{
    if (!s->gamma) {
        norm_none(s);
        return;
    }

    const vf zero = vf_set1(0);
    vf sum[4] = { zero, zero, zero, zero }, square[4] = { zero, zero, zero, zero };

    EACH_OF_4(i, k, j, s->n, {
        const vf x = norm_sum(s, i, k);

        vf_store(s->room + i, k, x);
        sum[j] = vf_add(sum[j], x);
    });
    const float mean = sum_of_4(sum) / (float)s->n;
    const vf centre = vf_set1(mean);

    EACH_OF_4(i, k, j, s->n, {
        const vf x = vf_fill(vf_sub(vf_load(s->room + i, k), centre), k, zero);

        square[j] = vf_fma(x, x, square[j]);
    });
    const float inverse = 1.0f / sqrtf(sum_of_4(square) / (float)s->n + 1e-5f);

    STORE_EACH(s->y, i, k, s->n, norm_y(s, i, k, centre, vf_set1(inverse)));
    if (s->stats) {
        s->stats[0] = mean;
        s->stats[1] = inverse;
    }
}

/* ds to where it belongs; *dalpha += ds a. */
SRU_INLINE void norm_out(const struct sru_norm_row *s, size_t i, size_t k, vf ds, vf *dalpha)
{
    if (s->a) {
        *dalpha = vf_fma(ds, act_load(s->a, i, k), *dalpha);   /* a is 0 beyond k */
        act_store(s->da, i, k, vf_mul(vf_set1(s->alpha), ds));
    }
    act_store(s->dr, i, k, s->add_dr ? vf_add(ds, act_load(s->dr, i, k)) : ds);
}

SRU_INLINE vf norm_dy(const struct sru_norm_row *s, size_t i, size_t k)
{
    return vf_mul(act_load(s->dy, i, k), mask_load(s->m, i, k));
}

static void norm_back_none(struct sru_norm_row *s)
{
    vf dalpha = vf_set1(0);

    EACH(i, k, s->n, norm_out(s, i, k, norm_dy(s, i, k), &dalpha));
    s->dalpha = vf_sum(dalpha);
}

/* With e = dy gamma and the normalised x: ds = (e - mean(e) - x mean(e x)) / sigma. */
static void norm_back(struct sru_norm_row *s)
{
    if (!s->gamma) {
        norm_back_none(s);
        return;
    }

    const vf centre = vf_set1(s->stats[0]), inverse = vf_set1(s->stats[1]);
    vf sum = vf_set1(0), product = sum, dalpha = sum;

    EACH(i, k, s->n, {
        const vf x = vf_mul(vf_sub(norm_sum(s, i, k), centre), inverse), dy = norm_dy(s, i, k);
        const vf e = vf_mul(dy, vf_load(s->gamma + i, k));   /* 0 beyond k */

        vf_store(s->room + i, k, x);
        sum = vf_add(sum, e);
        product = vf_fma(e, x, product);
        vf_store(s->dgamma + i, k, vf_fma(dy, x, vf_load(s->dgamma + i, k)));
        vf_store(s->dbeta + i, k, vf_add(dy, vf_load(s->dbeta + i, k)));
    });

    const vf mean = vf_set1(vf_sum(sum) / (float)s->n), slope = vf_set1(vf_sum(product) / (float)s->n);
    EACH(i, k, s->n, {
        const vf e = vf_mul(norm_dy(s, i, k), vf_load(s->gamma + i, k)), x = vf_load(s->room + i, k);

        norm_out(s, i, k, vf_mul(vf_sub(vf_sub(e, mean), vf_mul(x, slope)), inverse), &dalpha);
    });
    s->dalpha = vf_sum(dalpha);
}
