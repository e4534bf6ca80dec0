/* Softmax of a row, its backward, and the negative log likelihood of a row of logits. */
#include <math.h>

#include "simd/exp.h"

static float largest(size_t n, const float *s)
{
    const vf least = vf_set1(-INFINITY);
    vf top[4] = { least, least, least, least };

    EACH_OF_4(i, k, j, n, top[j] = vf_max(top[j], vf_fill(vf_load(s + i, k), k, least)));
    return vf_top(vf_max(vf_max(top[0], top[1]), vf_max(top[2], top[3])));
}

/* s = exp((s - top) * factor); their sum, which is NaN where any is. */
static float exponentials(size_t n, float top, float factor, float *s)
{
    const vf zero = vf_set1(0), from = vf_set1(top), by = vf_set1(factor);
    vf sum = zero;

    EACH(i, k, n, {
        const vf e = vf_exp(vf_mul(vf_sub(vf_load(s + i, k), from), by));

        vf_store(s + i, k, e);
        sum = vf_add(sum, vf_fill(e, k, zero));
    });
    return vf_sum(sum);
}

static void softmax(size_t n, float factor, float *s, sru_act *p)
{
    const vf inverse = vf_set1(1.0f / exponentials(n, largest(n, s), factor, s));

    STORE_EACH(p, i, k, n, vf_mul(vf_load(s + i, k), inverse));
}

static void softmax_back(size_t n, float factor, const sru_act *p, const float *m, const float *dp, sru_act *ds)
{
    const vf zero = vf_set1(0), by = vf_set1(factor);
    vf sum[4] = { zero, zero, zero, zero };

    EACH_OF_4(i, k, j, n, {
        sum[j] = vf_fma(act_load(p, i, k), vf_mul(mask_load(m, i, k), vf_load(dp + i, k)), sum[j]);
    });

    const vf mean = vf_set1(sum_of_4(sum));
    STORE_EACH(ds, i, k, n, vf_mul(vf_mul(act_load(p, i, k), by), vf_sub(vf_mul(mask_load(m, i, k), vf_load(dp + i, k)), mean)));
}

static float nll(size_t V, float *logits, int32_t target, float factor, sru_act *d)
{
    const float top = largest(V, logits), hit = logits[target];
    const float sum = exponentials(V, top, 1.0f, logits);

    if (factor != 0) {
        const float by = factor / sum;

        STORE_EACH(d, i, k, V, vf_mul(vf_load(logits + i, k), vf_set1(by)));
        act_store(d, (size_t)target, 1, vf_set1(logits[target] * by - factor));
    }
    return logf(sum) + (top - hit);
}
