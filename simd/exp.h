/* e^x and the logistic function of a vector, within 4 ulp. */
#ifndef SRU_SIMD_EXP_H
#define SRU_SIMD_EXP_H

#include "simd/vec.h"

#define SRU_EXP_LEAST -87.33654f   /* below it e^x is no normal number */

/*
 * e^(sign x), and e^SRU_EXP_LEAST where it is less; sign is 1 or -1, a constant, so that turning x costs nothing.
 * x = sign n ln2 + r with |r| <= ln2/2; the polynomial is the minimax one for the relative error, 3.1e-9.
 */
SRU_INLINE vf exp_held(vf x, float sign)
{
    x = sign > 0 ? vf_min(vf_set1(89.0f), vf_max(vf_set1(SRU_EXP_LEAST), x))
                 : vf_max(vf_set1(-89.0f), vf_min(vf_set1(-SRU_EXP_LEAST), x));

    const vf n = vf_round(vf_mul(x, vf_set1(sign * 1.44269504088896341f)));
    const vf r = vf_fma(n, vf_set1(sign * 2.12194440e-4f), vf_fma(n, vf_set1(sign * -0.693359375f), x));
    vf y = vf_set1(1.3814320555e-3f);

    y = vf_fma(y, r, vf_set1(sign * 8.3688506857e-3f));
    y = vf_fma(y, r, vf_set1(4.1668400168e-2f));
    y = vf_fma(y, r, vf_set1(sign * 1.6666519642e-1f));
    y = vf_fma(y, r, vf_set1(4.9999994040e-1f));
    y = vf_fma(y, r, vf_set1(sign));
    y = vf_fma(y, r, vf_set1(1.0f));
    return vf_scale(y, n);
}

/* 0 where the result would be denormal, since denormals are slow. */
SRU_INLINE vf vf_exp(vf x)
{
    return vf_zero_below(x, vf_set1(SRU_EXP_LEAST), exp_held(x, 1));
}

SRU_INLINE vf vf_sigmoid(vf x)
{
    const vf one = vf_set1(1.0f);

    return vf_div(one, vf_add(one, exp_held(x, -1)));
}

#endif
