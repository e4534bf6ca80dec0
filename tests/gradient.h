/* Central differences of an operator's twin. */
#ifndef SRU_TESTS_GRADIENT_H
#define SRU_TESTS_GRADIENT_H

#include <stddef.h>

enum { MOST_INPUTS = 10 };

/* A function of some arrays; its loss is sum(dout * out). */
struct function {
    void (*forward)(const void *context, double *const *in, double *out);
    const void *context;
    double *in[MOST_INPUTS];
    size_t size[MOST_INPUTS], n_out;
    const double *dout;
};

/* Fails the test unless `grad` [size of input i] is the loss's gradient in input i, plus what `before` holds (NULL: 0). */
void assert_gradient(const char *what, const struct function *f, int i, const float *grad, const double *before);

#endif
