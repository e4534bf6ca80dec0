/* Cases of check_kernels: accuracy of e^x and of the logistic function. */
#include "config.h"

#include "tests/kernels.h"

static void within_4_ulp(const char *what, double x, float got, double right)
{
    expect(fabs(got - right) <= 4 * ldexp(1, ilogb(right) - 23), "%s of %.9g is %.9g, not %.9g", what, x, (double)got, right);
}

/* Softmax of 0 and x: e^x is its second element over its first, whose division may add 1 ulp. */
void case_exp(const struct sru_kernels *k, size_t n)
{
    sru_act *p = acts(k, n, 0);
    float *s = filled(n, 0), *x = filled(n, 0);

    for (float to = 0; n > 1 && k->act_bytes == 4 && to > -87.2f; to -= 0.0137f * (float)n) {
        for (size_t i = 1; i < n; i++)
            s[i] = x[i] = fmaxf(to - 0.0137f * (float)i, -87.33f);
        s[0] = 0;
        k->softmax(n, 1, s, p);
        for (size_t i = 1; i < n && act_get(k, p, i) > 1e-37; i++)
            within_4_ulp("exp", x[i], (float)(act_get(k, p, i) / act_get(k, p, 0)), exp(x[i]));
    }
    for (size_t i = 0; i < n; i++)
        s[i] = i == 0 ? 0 : i % 2 ? -87.4f : -1e30f;
    k->softmax(n, 1, s, p);
    for (size_t i = 0; i < n; i++)
        expect(act_get(k, p, i) == (i == 0), "e^-87.4 is %g", act_get(k, p, i));
}

/* With U0 0, v and bias 0 and c0 1, a scan's state is its forget gate. */
void case_sigmoid(const struct sru_kernels *k, size_t n)
{
    static const float edges[] = { -100, 0, -1000, 0, 100, 1, 1000, 1, -INFINITY, 0, INFINITY, 1, 0, 0.5f };
    sru_act *u = acts(k, 3 * n, 1), *x = acts(k, n, 1), *h = acts(k, n, 0);
    float *c = filled(n, 0), *zero = filled(2 * n, 0), *one = filled(n, 1);
    const struct sru_scan s = { .T = 1, .n = n, .d = n, .scale = 1, .u = u, .x = x, .c0 = one, .v = zero, .bias = zero,
                                .c = c, .h = h };

    for (size_t i = 0; i < n; i++)
        act_put(k, u, i, 0);
    for (float from = -87; from < 20; from += 0.0173f * (float)n) {
        for (size_t i = 0; i < n; i++)
            act_put(k, u, n + i, from + 0.0173f * (float)i);
        k->scan(&s);
        for (size_t i = 0; i < n; i++)
            within_4_ulp("sigmoid", act_get(k, u, n + i), c[i], 1 / (1 + exp(-act_get(k, u, n + i))));
    }
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e += 2) {
        for (size_t i = 0; i < n; i++)
            act_put(k, u, n + i, edges[e]);
        k->scan(&s);
        expect(c[n - 1] == edges[e + 1], "sigmoid(%g) is %g", (double)edges[e], (double)c[n - 1]);
    }
}
