/* Cases of check_kernels: products with weights in panels, and attention of one query. */
#include "config.h"

#include <string.h>

#include "tests/kernels.h"

/* ---- Panels ------------------------------------------------------------------------------------- */

/* Weight (i,o) as it stands, and the same as the kernel should see it. */
static double put(enum sru_form form, void *w, size_t at, float value)
{
    uint32_t bits;

    switch (form) {
    case SRU_AS_INT8:
        return ((int8_t *)w)[at] = (int8_t)(value * 127);
    case SRU_AS_BF16:
        memcpy(&bits, &value, sizeof bits);
        ((uint16_t *)w)[at] = (uint16_t)(bits >> 16);
        bits &= 0xFFFF0000u;
        memcpy(&value, &bits, sizeof value);
        return value;
    default:
        return ((float *)w)[at] = value;
    }
}

/* Sums of `rows` rows with weights [out,in] in a form; rows of x and y are further apart than they are long. */
static void one_product(const struct sru_kernels *k, enum sru_form form, size_t rows, size_t in, size_t out)
{
    const size_t panels = (out + SRU_PANEL - 1) / SRU_PANEL, x_stride = in + 3, y_stride = out + 5;
    const float *value = floats(panels * SRU_PANEL * in, 1), *x = floats(rows * x_stride, 1), *scale = floats(panels * SRU_PANEL, 1);
    float *w = floats(panels * SRU_PANEL * in, 0), *sum = filled(rows * y_stride, 0.5f);
    sru_act *y = acts(k, rows * y_stride, 0);
    const sru_act *before = acts_copy(k, rows * y_stride, y);
    double *right = doubles(out), *right_sum = doubles(out), *weights = doubles(panels * SRU_PANEL * in);
    struct sru_panels s = { .rows = rows, .in = in, .out = out, .x_stride = x_stride, .y_stride = y_stride, .w = w, .x = x,
                            .scale = form == SRU_AS_INT8 ? scale : NULL, .y = y };

    for (size_t i = 0; i < panels * SRU_PANEL * in; i++)
        weights[i] = put(form, w, i, value[i]);
    k->panels[form](&s, 0, panels);
    s.sum = sum;
    k->panels[form](&s, 0, panels / 2);
    k->panels[form](&s, panels / 2, panels);
    for (size_t b = 0; b < rows; b++) {
        for (size_t o = 0; o < out; o++) {
            right[o] = 0;
            for (size_t i = 0; i < in; i++)
                right[o] += weights[(o / SRU_PANEL * in + i) * SRU_PANEL + o % SRU_PANEL] * (double)x[b * x_stride + i];
            right[o] *= form == SRU_AS_INT8 ? (double)scale[o] : 1;
            right_sum[o] = right[o] + 0.5;
        }
        acts_near("y", k, out, (const sru_act *)((const char *)y + b * y_stride * k->act_bytes), right, 1);
        floats_near("sum", out, sum + b * y_stride, right_sum, form == SRU_AS_INT8 ? 127 : 1);
        const size_t end = (b * y_stride + out) * k->act_bytes;
        expect(memcmp((const char *)y + end, (const char *)before + end, (y_stride - out) * k->act_bytes) == 0, "written between rows");
    }
}

void case_panels(const struct sru_kernels *k, size_t n)
{
    for (int form = 0; form < SRU_FORMS; form++) {
        one_product(k, (enum sru_form)form, 1, n, 19);
        one_product(k, (enum sru_form)form, 5, 13, n);
        one_product(k, (enum sru_form)form, 6, n, 16);
    }
}

/* A row's sums are the same bits alone and beside others: generation of several texts gives what each would be by itself. */
void case_rows_alone(const struct sru_kernels *k, size_t n)
{
    enum { ROWS = 7, OUT = 33, PANELS = 3 };
    const float *w = floats(PANELS * SRU_PANEL * n, 1), *x = floats(ROWS * n, 1);
    float *together = filled(ROWS * OUT, 0), *alone = filled(ROWS * OUT, 0);
    struct sru_panels s = { .rows = ROWS, .in = n, .out = OUT, .x_stride = n, .y_stride = OUT, .w = w, .x = x, .sum = together };

    k->panels[SRU_AS_F32](&s, 0, PANELS);
    s.rows = 1;
    for (size_t b = 0; b < ROWS; b++) {
        s.x = x + b * n;
        s.sum = alone + b * OUT;
        k->panels[SRU_AS_F32](&s, 0, PANELS);
    }
    expect(memcmp(together, alone, ROWS * OUT * sizeof *alone) == 0, "a row differs from the same one alone");
}

/* ---- Attention ------------------------------------------------------------------------------------- */

/* n keys of `cols` columns in rows that are longer. */
static void one_query(const struct sru_kernels *k, size_t n, size_t cols)
{
    const size_t stride = cols + 7;
    const sru_act *q = acts(k, cols, 1), *keys = acts(k, n * stride, 1), *v = acts(k, n * stride, 1);
    sru_act *out = acts(k, cols, 0);
    float *s = filled(n, 0), *sum = filled(cols, NAN);
    double *scores = doubles(n), *right = doubles(cols), all = 0;

    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < cols; i++)
            scores[j] += act_get(k, q, i) * act_get(k, keys, j * stride + i);
    k->keys(n, cols, stride, q, keys, s);
    floats_near("s", n, s, scores, 1);
    for (size_t j = 0; j < n; j++)
        all += scores[j] = exp(0.25 * scores[j]);
    for (size_t j = 0; j < n; j++)
        scores[j] /= all;
    k->probabilities(n, 0.25f, s);
    floats_near("p", n, s, scores, 0);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < cols; i++)
            right[i] += (double)s[j] * act_get(k, v, j * stride + i);
    k->values(n, cols, stride, s, v, sum, out);
    acts_near("out", k, cols, out, right, 1);
}

void case_one_query(const struct sru_kernels *k, size_t n)
{
    one_query(k, n, 9);
    one_query(k, 3, n);
}
