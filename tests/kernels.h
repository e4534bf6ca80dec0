/* What the cases of check_kernels share.  A case says what is wrong by `expect`. */
#ifndef SRU_TESTS_KERNELS_H
#define SRU_TESTS_KERNELS_H

#include <math.h>

#include "simd/kernels.h"

/* The first that is not ok is reported. */
void expect(bool ok, const char *fmt, ...) SRU_PRINTF(2, 3);

/*
 * Arrays of the case's, freed after it; what stands before and after them must stay as it is.
 * Random ones are uniform in [-scale, scale); acts of scale 0 hold NaN.
 */
float *floats(size_t n, double scale);
float *filled(size_t n, float x);
double *doubles(size_t n);      /* zeros */
sru_act *acts(const struct sru_kernels *k, size_t n, double scale);
sru_act *acts_copy(const struct sru_kernels *k, size_t n, const sru_act *x);
float *floats_copy(size_t n, const float *x);

double act_get(const struct sru_kernels *k, const sru_act *p, size_t i);
void   act_put(const struct sru_kernels *k, sru_act *p, size_t i, double value);    /* bf16: cut off */

/* Within 2e-6 of the largest, or of `least` where terms that large may cancel; activations within bf16's rounding besides. */
void floats_near(const char *what, size_t n, const float *got, const double *right, double least);
void acts_near(const char *what, const struct sru_kernels *k, size_t n, const sru_act *got, const double *right,
               double least);

static inline double factor_of(const float *m, size_t i)
{
    return m ? (double)m[i] : 1;
}

typedef void kernel_case(const struct sru_kernels *k, size_t n);
/* tests/kernels_elementwise.c */
kernel_case case_conversion, case_random_masks, case_elementwise, case_transpose, case_pack, case_optimizer, case_muon;
/* tests/kernels_rows.c */
kernel_case case_softmax, case_nll, case_norm, case_scan, case_gates;
/* tests/kernels_exp.c */
kernel_case case_exp, case_sigmoid;
/* tests/kernels_edges.c */
kernel_case case_nan, case_nan_back, case_nan_scan, case_wide_gates;
/* tests/kernels_product.c */
kernel_case case_tile;
/* tests/kernels_decode.c */
kernel_case case_panels, case_rows_alone, case_one_query;

#endif
