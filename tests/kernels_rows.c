/* Cases of check_kernels: softmax, likelihood, norm and recurrence. */
#include "config.h"

#include <string.h>

#include "tests/kernels.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* ---- Softmax ---------------------------------------------------------------------------------- */

/* e^(factor s) over its sum; the sum's logarithm. */
static double plain_softmax(size_t n, double factor, const float *s, double *p)
{
    double top = -INFINITY, sum = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, (double)s[i]);
    for (size_t i = 0; i < n; i++)
        sum += p[i] = exp((s[i] - top) * factor);
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
    return log(sum) + top * factor;
}

void case_softmax(const struct sru_kernels *k, size_t n)
{
    float *s = floats(n, 20);
    sru_act *p = acts(k, n, 0), *ds = acts(k, n, 0);
    const float *dp = floats(n, 1);
    double *right = doubles(n), *dright = doubles(n);

    for (size_t i = 0; i < n; i++)
        s[i] -= 2000;   /* a lane that is not there is no 0 */
    if (n > 1)
        s[n / 2] = -INFINITY;
    plain_softmax(n, 0.25, s, right);
    k->softmax(n, 0.25f, s, p);
    acts_near("p", k, n, p, right, 0);

    for (int masked = 0; masked < 2; masked++) {
        const float *m = masked ? floats(n, 1) : NULL;
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += act_get(k, p, i) * factor_of(m, i) * dp[i];
        for (size_t i = 0; i < n; i++)
            dright[i] = act_get(k, p, i) * (factor_of(m, i) * dp[i] - sum) * 0.5;
        if (n == 1)
            dright[0] = 0;
        k->softmax_back(n, 0.5f, p, m, dp, ds);
        acts_near("ds", k, n, ds, dright, 0.5);
    }
}

void case_nll(const struct sru_kernels *k, size_t n)
{
    const float *logits = floats(n, 5);
    const size_t target = n / 2;
    sru_act *d = acts(k, n, 0);
    double *right = doubles(n), loss = plain_softmax(n, 1, logits, right) - logits[target];

    expect(fabs(k->nll(n, floats_copy(n, logits), (int32_t)target, 0, NULL) - loss) < 2e-6 * (5 + loss), "nll alone");
    expect(fabs(k->nll(n, floats_copy(n, logits), (int32_t)target, 0.5f, d) - loss) < 2e-6 * (5 + loss), "nll");
    for (size_t i = 0; i < n; i++)
        right[i] = 0.5 * (right[i] - (i == target));
    acts_near("d", k, n, d, right, 0);
}

/* ---- Norm ---------------------------------------------------------------------------------------- */

struct plain_norm { double *y, *ds, *da, *dgamma, *dbeta, dalpha; };

/* Whatever s has of a, gamma and m; stats too. */
static struct plain_norm plain_norm(const struct sru_kernels *k, const struct sru_norm_row *s, double stats[2])
{
    const size_t n = s->n;
    struct plain_norm p = { doubles(n), doubles(n), doubles(n), doubles(n), doubles(n), 0 };
    double *x = doubles(n), mean = 0, var = 0, e_mean = 0, ex_mean = 0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] = act_get(k, s->r, i) + (s->a ? (double)s->alpha * act_get(k, s->a, i) : 0);
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    stats[0] = mean;
    stats[1] = 1 / sqrt(var + 1e-5);
    for (size_t i = 0; i < n; i++) {
        const double normal = (x[i] - mean) * stats[1], dy = act_get(k, s->dy, i) * factor_of(s->m, i);

        p.y[i] = factor_of(s->m, i) * (s->gamma ? normal * s->gamma[i] + s->beta[i] : x[i]);
        p.dgamma[i] = 0.5 + dy * normal;
        p.dbeta[i] = 0.25 + dy;
        p.ds[i] = dy;
        x[i] = normal;
        e_mean += s->gamma ? dy * s->gamma[i] / (double)n : 0;
        ex_mean += s->gamma ? dy * s->gamma[i] * normal / (double)n : 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->gamma)
            p.ds[i] = (p.ds[i] * s->gamma[i] - e_mean - x[i] * ex_mean) * stats[1];
        p.da[i] = (double)s->alpha * p.ds[i];
        p.dalpha += s->a ? p.ds[i] * act_get(k, s->a, i) : 0;
    }
    return p;
}

static void one_norm(const struct sru_kernels *k, size_t n, bool with_a, bool with_gamma, bool with_m, bool add_dr)
{
    float stats[2];
    double right[2];
    struct sru_norm_row s = {
        .n = n, .alpha = 0.75f, .a = with_a ? acts(k, n, 1) : NULL, .r = acts(k, n, 1), .m = with_m ? floats(n, 1) : NULL,
        .gamma = with_gamma ? floats(n, 1) : NULL, .beta = with_gamma ? floats(n, 1) : NULL, .y = acts(k, n, 0),
        .stats = stats, .room = filled(n, 0), .dy = acts(k, n, 1), .da = with_a ? acts(k, n, 0) : NULL, .dr = acts(k, n, 1),
        .add_dr = add_dr, .dgamma = filled(n, 0.5f), .dbeta = filled(n, 0.25f),
    };
    const struct plain_norm p = plain_norm(k, &s, right);
    float *dr = filled(n, 0);

    for (size_t i = 0; i < n; i++) {
        dr[i] = (float)act_get(k, s.dr, i);
        p.ds[i] += add_dr ? dr[i] : 0;
    }
    k->norm(&s);
    acts_near("y", k, n, s.y, p.y, right[1]);
    if (with_gamma)
        expect(fabs(stats[0] - right[0]) < 1e-6 && fabs(stats[1] / right[1] - 1) < 2e-6, "stats %g %g, not %g %g",
               (double)stats[0], (double)stats[1], right[0], right[1]);
    if (!add_dr)
        s.dr = acts_copy(k, n, s.dy), s.dy = s.dr;   /* dy may be dr */
    k->norm_back(&s);
    acts_near("dr", k, n, s.dr, p.ds, right[1]);
    if (with_a)
        acts_near("da", k, n, s.da, p.da, right[1]);
    if (with_a)
        expect(fabs(s.dalpha - p.dalpha) < 1e-5 * (1 + fabs(p.dalpha)), "dalpha %g, not %g", (double)s.dalpha, p.dalpha);
    if (with_gamma) {
        floats_near("dgamma", n, s.dgamma, p.dgamma, right[1]);
        floats_near("dbeta", n, s.dbeta, p.dbeta, 0);
    }
    s.y = acts_copy(k, n, s.r);
    s.r = s.y;
    k->norm(&s);   /* y may be r */
    acts_near("y in place", k, n, s.y, p.y, right[1]);
}

void case_norm(const struct sru_kernels *k, size_t n)
{
    for (int which = 0; which < 16; which++)
        one_norm(k, n, which & 1, which & 2, which & 4, which & 8);
}

/* ---- Recurrence -------------------------------------------------------------------------------- */

/* A scan, backward too, in double precision: only what is written differs from s. */
struct plain_scan { double *c, *h, *dx, *du, *dv, *dbias, *dc; };

static void plain_gates(const struct sru_kernels *k, const struct sru_scan *s, size_t t, size_t j, double before, double g[2])
{
    for (size_t i = 0; i < 2; i++)
        g[i] = sigmoid(act_get(k, s->u, (3 * t + 1 + i) * s->d + j) + (double)s->v[i * s->d + j] * before
                       + (double)s->bias[i * s->d + j]);
}

static struct plain_scan plain_scan(const struct sru_kernels *k, const struct sru_scan *s)
{
    const size_t T = s->T, d = s->d;
    const struct plain_scan p = { doubles(T * d), doubles(T * d), doubles(T * d), doubles(3 * T * d), doubles(2 * d),
                                  doubles(2 * d), doubles(d) };
    double g[2];

    for (size_t j = 0; j < s->n; j++) {
        for (size_t t = 0; t < T; t++) {
            const double before = t ? p.c[(t - 1) * d + j] : (double)s->c0[j], u = act_get(k, s->u, 3 * t * d + j);
            const double skip = act_get(k, s->x, t * d + j) * (double)s->scale;

            plain_gates(k, s, t, j, before, g);
            p.c[t * d + j] = g[0] * before + (1 - g[0]) * u;
            p.h[t * d + j] = skip + factor_of(s->m, j) * g[1] * (p.c[t * d + j] - skip);
        }
        for (size_t t = T; t-- > 0;) {
            const double before = t ? p.c[(t - 1) * d + j] : (double)s->c0[j], u = act_get(k, s->u, 3 * t * d + j);
            const double skip = act_get(k, s->x, t * d + j) * (double)s->scale, dh = act_get(k, s->dh, t * d + j);
            const double m = factor_of(s->m, j) * dh;

            plain_gates(k, s, t, j, before, g);
            const double dc = p.dc[j] + m * g[1], df = dc * (before - u) * g[0] * (1 - g[0]);
            const double dr = m * (p.c[t * d + j] - skip) * g[1] * (1 - g[1]);
            p.dx[t * d + j] = (dh - m * g[1]) * (double)s->scale;
            p.du[3 * t * d + j] = dc * (1 - g[0]);
            p.du[(3 * t + 1) * d + j] = df;
            p.du[(3 * t + 2) * d + j] = dr;
            p.dv[j] += df * before;
            p.dv[d + j] += dr * before;
            p.dbias[j] += df;
            p.dbias[d + j] += dr;
            p.dc[j] = dc * g[0] + df * (double)s->v[j] + dr * (double)s->v[d + j];
        }
    }
    return p;
}

/* The units [first, n) of n, alone; the others must stay as they are. */
static struct sru_scan units_from(const struct sru_kernels *k, struct sru_scan s, size_t first)
{
    const size_t bytes = first * k->act_bytes;

    s.n -= first;
    s.u = (const sru_act *)((const char *)s.u + bytes), s.x = (const sru_act *)((const char *)s.x + bytes);
    s.h = (sru_act *)((char *)s.h + bytes), s.dh = (const sru_act *)((const char *)s.dh + bytes);
    s.dx = (sru_act *)((char *)s.dx + bytes), s.du = (sru_act *)((char *)s.du + bytes);
    s.m = s.m ? s.m + first : NULL, s.c0 += first, s.v += first, s.bias += first, s.c += first;
    s.dv += first, s.dbias += first, s.dc += first;
    return s;
}

static void one_scan(const struct sru_kernels *k, size_t d, size_t T, double gates, bool with_m, bool in_place)
{
    const double products = gates * gates;   /* of a gate and a state, as gradients have them */
    sru_act *u = acts(k, 3 * T * d, gates), *dh = acts(k, T * d, 1);
    struct sru_scan s = {
        .T = T, .n = d, .d = d, .scale = 1.5f, .u = u, .x = acts(k, T * d, 1), .m = with_m ? floats(d, 1) : NULL,
        .c0 = floats(d, 1), .v = floats(2 * d, 1), .bias = floats(2 * d, 1), .c = filled(T * d, NAN), .h = acts(k, T * d, 0),
        .dh = dh, .dx = in_place ? dh : acts(k, T * d, 0), .du = in_place ? u : acts(k, 3 * T * d, 0),
        .dv = filled(2 * d, 0), .dbias = filled(2 * d, 0), .dc = filled(d, 0),
    };
    const struct plain_scan p = plain_scan(k, &s);
    struct sru_scan last = s;

    last.last = true;
    last.c = floats_copy(d, s.c0);
    last.c0 = last.c;
    k->scan(&last);
    floats_near("state", d, last.c, p.c + (T - 1) * d, gates);
    acts_near("h of states in place", k, T * d, s.h, p.h, gates);

    const struct sru_scan tail = units_from(k, s, d / 2);
    s.n = d / 2;
    k->scan(&s);
    k->scan(&tail);
    floats_near("c", T * d, s.c, p.c, gates);
    acts_near("h", k, T * d, s.h, p.h, gates);
    k->scan_back(&tail);
    k->scan_back(&s);
    acts_near("dx", k, T * d, s.dx, p.dx, gates);
    acts_near("du", k, 3 * T * d, s.du, p.du, products);
    floats_near("dv", 2 * d, s.dv, p.dv, products);
    floats_near("dbias", 2 * d, s.dbias, p.dbias, products);
    floats_near("dc", d, s.dc, p.dc, products);
}

void case_scan(const struct sru_kernels *k, size_t n)
{
    one_scan(k, n, 1, 2, false, false);
    one_scan(k, n, 5, 2, true, false);
    one_scan(k, n, 7, 2, true, true);
}

void case_gates(const struct sru_kernels *k, size_t n)
{
    one_scan(k, n, 4, 100, true, false);
}
