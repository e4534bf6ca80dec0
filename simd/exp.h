/* e^x and the logistic function of a vector, within 4 ulp. */
#ifndef SRU_SIMD_EXP_H
#define SRU_SIMD_EXP_H

#include "simd/vec.h"

#define SRU_EXP_LEAST -87.33654f   /* below it e^x is no normal number */

/* e^x, and e^SRU_EXP_LEAST below that.  x = n ln2 + r with |r| <= ln2/2; the polynomial is Cephes' expf. */
SRU_INLINE vf exp_held(vf x)
{
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(SRU_EXP_LEAST), x));

    const vf n = vf_round(vf_mul(x, vf_set1(1.44269504088896341f)));
    const vf r = vf_fma(n, vf_set1(2.12194440e-4f), vf_fma(n, vf_set1(-0.693359375f), x));
    vf y = vf_set1(1.9875691500e-4f);

    y = vf_fma(y, r, vf_set1(1.3981999507e-3f));
    y = vf_fma(y, r, vf_set1(8.3334519073e-3f));
    y = vf_fma(y, r, vf_set1(4.1665795894e-2f));
    y = vf_fma(y, r, vf_set1(1.6666665459e-1f));
    y = vf_fma(y, r, vf_set1(5.0000001201e-1f));
    y = vf_fma(y, vf_mul(r, r), vf_add(r, vf_set1(1.0f)));
    return vf_scale(y, n);
}

/* 0 where the result would be denormal, since denormals are slow. */
SRU_INLINE vf vf_exp(vf x)
{
    return vf_zero_below(x, vf_set1(SRU_EXP_LEAST), exp_held(x));
}

SRU_INLINE vf vf_sigmoid(vf x)
{
    const vf one = vf_set1(1.0f);

    return vf_div(one, vf_add(one, exp_held(vf_sub(vf_set1(0.0f), x))));
}

#endif
