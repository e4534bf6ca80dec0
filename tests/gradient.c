/* Central differences: see gradient.h. */
#include "config.h"

#include <stdlib.h>

#include "tests/gradient.h"
#include "tests/support.h"

static double loss(const struct function *f, double *out)
{
    double sum = 0;

    f->forward(f->context, f->in, out);
    for (size_t i = 0; i < f->n_out; i++)
        sum += f->dout[i] * out[i];
    return sum;
}

void assert_gradient(const char *what, const struct function *f, int i, const float *grad, const double *before)
{
    const size_t n = f->size[i];
    double *expected = malloc((n + 1) * sizeof *expected), *out = malloc((f->n_out + 1) * sizeof *out);
    const double step = 1e-5;

    for (size_t e = 0; e < n; e++) {
        const double x = f->in[i][e];

        f->in[i][e] = x + step;
        const double above = loss(f, out);
        f->in[i][e] = x - step;
        expected[e] = (above - loss(f, out)) / (2 * step) + (before ? before[e] : 0);
        f->in[i][e] = x;
    }
    assert_near(what, n, grad, expected, 1e-5);
    free(expected);
    free(out);
}
