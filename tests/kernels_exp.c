/* Cases of check_kernels: accuracy of e^x and of the logistic function, and NaN. */
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

/* ---- NaN in is NaN out --------------------------------------------------------------------------- */

static void scan_nan(const struct sru_kernels *k, size_t n, size_t at)
{
    for (size_t g = 0; g < 3; g++) {
        sru_act *u = acts(k, 3 * n, 1), *h = acts(k, n, 0), *du = acts(k, 3 * n, 1);
        float *c = filled(n, 0);
        const struct sru_scan s = { .T = 1, .n = n, .d = n, .scale = 1, .u = u, .x = acts(k, n, 1), .c0 = floats(n, 1),
                                    .v = floats(2 * n, 1), .bias = floats(2 * n, 1), .c = c, .h = h, .dh = acts(k, n, 1),
                                    .dx = acts(k, n, 1), .du = du, .dv = filled(2 * n, 0), .dbias = filled(2 * n, 0),
                                    .dc = filled(n, 0) };

        act_put(k, u, g * n + at, NAN);
        k->scan(&s);
        expect(isnan(act_get(k, h, at)) && (g == 2 || isnan(c[at])), "scan loses it from U%zu", g);
        k->scan_back(&s);
        expect(isnan(act_get(k, du, g * n + at)) || g == 0, "scan_back loses it from U%zu", g);
        expect(isnan(s.dc[at]) || isnan(act_get(k, du, n + at)), "scan_back's dc loses it from U%zu", g);
        for (size_t i = 0; i < n; i++)
            expect(i == at || !isnan(act_get(k, h, i)), "scan spreads it");
    }
}

void case_nan(const struct sru_kernels *k, size_t n)
{
    const size_t places[] = { 0, n / 2, n - 1 };

    for (size_t i = 0; i < 3; i++) {
        const size_t at = places[i];
        float *s = floats(n, 1), *room = filled(n, 0), *m = filled(n, 0), *v = filled(n, 0), *w = filled(n, 1);
        sru_act *p = acts(k, n, 1), *r = acts(k, n, 1);
        const float *one = filled(n, 1);
        const struct sru_norm_row norm = { .n = n, .r = r, .y = p, .gamma = one, .beta = one, .room = room,
                                           .stats = filled(2, 0) };
        const struct sru_update step = { .n = n, .w = w, .g = s, .m = m, .v = v, .clip = 1, .rate = 1, .beta1 = 0.9f,
                                         .beta2 = 0.9f, .eps = 1e-8f, .correction = 1, .adaptive = true };

        s[at] = NAN;
        k->narrow(n, s, p);
        expect(isnan(act_get(k, p, at)), "narrow loses it");
        k->update(&step, 0, n);
        expect(isnan(w[at]) && isnan(m[at]) && isnan(v[at]), "update loses it");
        expect(isnan(k->sumsq(n, s)), "sumsq loses it");
        expect(isnan(k->nll(n, floats_copy(n, s), 0, 0, NULL)), "nll loses it");
        k->softmax(n, 1, s, p);
        expect(isnan(act_get(k, p, at)), "softmax loses it");
        act_put(k, r, at, NAN);
        k->norm(&norm);
        expect(isnan(act_get(k, p, at)), "norm loses it");
        scan_nan(k, n, at);
    }
}
