/* Cases of check_kernels: NaN in is NaN out, and gates far beyond what e^x holds. */
#include "config.h"

#include "tests/kernels.h"

/* First, in the middle, last: whole vectors, and what is left of them. */
enum { PLACES = 3 };
static size_t place(size_t n, size_t i)
{
    return i == 0 ? 0 : i == 1 ? n / 2 : n - 1;
}

static float *spoilt(size_t n, size_t at)
{
    float *x = floats(n, 1);

    x[at] = NAN;
    return x;
}

static sru_act *spoilt_acts(const struct sru_kernels *k, size_t n, size_t at)
{
    sru_act *x = acts(k, n, 1);

    act_put(k, x, at, NAN);
    return x;
}

/* ---- Forward, and what has no direction ------------------------------------------------------ */

/* NaN in element `at` and nowhere else. */
static void only(const char *what, const struct sru_kernels *k, size_t n, const sru_act *y, size_t at)
{
    for (size_t i = 0; i < n; i++)
        expect(!isnan(act_get(k, y, i)) == (i != at), "%s: element %zu is %g", what, i, act_get(k, y, i));
}

static void nan_elements(const struct sru_kernels *k, size_t n, size_t at)
{
    sru_act *y = acts(k, n, 1), *x = spoilt_acts(k, n, at);
    float *wide = floats(n, 1), *total = filled(n, 0);
    const float *e = spoilt(n, at), *m = floats(n, 1);

    k->narrow(n, e, y);
    only("narrow", k, n, y, at);
    k->mask(n, x, NULL, y);
    only("mask", k, n, y, at);
    k->mask(n, x, m, y);
    only("mask", k, n, y, at);
    k->mask(n, acts(k, n, 1), e, y);
    only("mask's factor", k, n, y, at);
    k->embed(n, e, NULL, y);
    only("embed", k, n, y, at);
    k->embed(n, m, e, y);
    only("embed's factor", k, n, y, at);
    k->widen(n, x, wide);
    k->add(n, wide, total);
    expect(isnan(wide[at]) && isnan(total[at]), "widen or add loses it");
    wide[at] = 0;
    k->embed_back(n, x, m, wide);
    expect(isnan(wide[at]), "embed_back loses it");
    for (size_t rows = 1; rows < 6; rows++) {
        sru_act *many = spoilt_acts(k, rows * n, (rows - 1) * n + at);

        total = filled(n, 0);
        k->add_rows(rows, n, many, total);
        for (size_t i = 0; i < n; i++)
            expect(!isnan(total[i]) == (i != at), "add_rows: column %zu of %zu rows is %g", i, rows, (double)total[i]);
    }
}

/* Of the gradient, a moment or the weight. */
static void nan_update(const struct sru_kernels *k, size_t n, size_t at, int which, bool adaptive)
{
    float *part[4] = { floats(n, 1), floats(n, 1), floats(n, 1), filled(n, 1) }, *const w = part[2];   /* g, m, w, v */
    const struct sru_step step = { .decay = 0.01f, .rate = 1, .correction = 1, .adaptive = adaptive };
    const struct sru_gauge gauge = { .clip = 1 };
    const struct sru_update s = { .n = n, .g = part[0], .m = part[1], .w = w, .v = part[3], .beta1 = 0.9f, .beta2 = 0.9f,
                                  .eps = 1e-8f, .step = &step, .gauge = &gauge };

    part[which][at] = NAN;
    k->update(&s, 0, n);
    expect(isnan(w[at]) || (which == 3 && !adaptive), "update's w loses it from part %d", which);
    expect(isnan(part[which][at]) || which == 0, "update's part %d loses it", which);
    expect(which != 0 || (isnan(s.m[at]) && isnan(s.v[at])), "update's moments lose it");
    for (size_t i = 0; i < n; i++)
        expect(i == at || !isnan(w[i] + s.m[i] + s.v[i]), "update spreads it");
}

void case_nan(const struct sru_kernels *k, size_t n)
{
    for (size_t i = 0; i < PLACES; i++) {
        const size_t at = place(n, i);
        sru_act *p = acts(k, n, 1);
        const float *one = filled(n, 1);
        const struct sru_norm_row norm = { .n = n, .r = spoilt_acts(k, n, at), .y = p, .gamma = one, .beta = one,
                                           .room = filled(n, 0), .stats = filled(2, 0) };

        nan_elements(k, n, at);
        for (int which = 0; which < 8; which++)
            nan_update(k, n, at, which / 2, which % 2);
        expect(isnan(k->sumsq(n, spoilt(n, at))), "sumsq loses it");
        expect(isnan(k->nll(n, spoilt(n, at), 0, 0, NULL)), "nll loses it");
        expect(isnan(k->nll(n, spoilt(n, at), 0, 1, p)) && isnan(act_get(k, p, at)), "nll's gradient loses it");
        k->softmax(n, 1, spoilt(n, at), p);
        expect(isnan(act_get(k, p, at)), "softmax loses it");
        k->norm(&norm);
        expect(isnan(act_get(k, p, at)), "norm loses it");
    }
}

/* ---- Backward -------------------------------------------------------------------------------- */

enum { DY, R, A, M, GAMMA, NORM_PARTS };

static void nan_norm_back(const struct sru_kernels *k, size_t n, size_t at, int which, bool with_gamma, bool add_dr)
{
    sru_act *in[3];
    float *m = floats(n, 1), *gamma = floats(n, 1), stats[2] = { 0, 1 };

    for (int part = DY; part <= A; part++)
        in[part] = which == part ? spoilt_acts(k, n, at) : acts(k, n, 1);
    if (which == M || which == GAMMA)
        (which == M ? m : gamma)[at] = NAN;

    struct sru_norm_row s = { .n = n, .alpha = 0.5f, .a = in[A], .r = in[R], .m = m, .gamma = with_gamma ? gamma : NULL,
                              .beta = gamma, .stats = stats, .room = filled(n, 0), .dy = in[DY], .da = acts(k, n, 0),
                              .dr = acts(k, n, 1), .add_dr = add_dr, .dgamma = filled(n, 0), .dbeta = filled(n, 0) };
    const bool dy = which == DY || which == M;

    k->norm_back(&s);
    if (with_gamma || dy)
        expect(isnan(act_get(k, s.dr, at)) && isnan(act_get(k, s.da, at)), "norm_back loses it from part %d", which);
    expect(isnan(s.dalpha) || (!with_gamma && which == R), "norm_back's dalpha loses it from part %d", which);
    for (size_t i = 0; with_gamma && i < n; i++) {
        expect(!isnan(s.dgamma[i]) == (i != at || which == GAMMA), "dgamma[%zu] is %g", i, (double)s.dgamma[i]);
        expect(!isnan(s.dbeta[i]) == (i != at || !dy), "dbeta[%zu] is %g", i, (double)s.dbeta[i]);
    }
}

static void nan_softmax_back(const struct sru_kernels *k, size_t n, size_t at, int which)
{
    const sru_act *p = which == 0 ? spoilt_acts(k, n, at) : acts(k, n, 1);
    const float *m = which == 1 ? spoilt(n, at) : which == 3 ? NULL : floats(n, 1);
    const float *dp = which >= 2 ? spoilt(n, at) : floats(n, 1);
    sru_act *ds = acts(k, n, 1);

    k->softmax_back(n, 0.5f, p, m, dp, ds);
    expect(isnan(act_get(k, ds, at)), "softmax_back loses it from part %d", which);
}

void case_nan_back(const struct sru_kernels *k, size_t n)
{
    for (size_t i = 0; i < PLACES; i++) {
        for (int which = 0; which < 4 * NORM_PARTS; which++)
            if (which / 4 != GAMMA || which & 1)
                nan_norm_back(k, n, place(n, i), which / 4, which & 1, which & 2);
        for (int which = 0; which < 4; which++)
            nan_softmax_back(k, n, place(n, i), which);
    }
}

/* ---- Scans ------------------------------------------------------------------------------------- */

enum { T = 2 };
struct scan_in {
    sru_act *u, *x, *dh;
    float   *m, *c0, *v, *bias;
};

static struct scan_in new_in(const struct sru_kernels *k, size_t n)
{
    return (struct scan_in){ acts(k, 3 * T * n, 1), acts(k, T * n, 1), acts(k, T * n, 1), floats(n, 1), floats(n, 1),
                             floats(2 * n, 1), floats(2 * n, 1) };
}

/* The scan and its backward. */
static struct sru_scan scanned(const struct sru_kernels *k, size_t n, const struct scan_in *in)
{
    const struct sru_scan s = {
        .T = T, .n = n, .d = n, .scale = 1.5f, .u = in->u, .x = in->x, .m = in->m, .c0 = in->c0, .v = in->v,
        .bias = in->bias, .c = filled(T * n, NAN), .h = acts(k, T * n, 0), .dh = in->dh, .dx = acts(k, T * n, 0),
        .du = acts(k, 3 * T * n, 0), .dv = filled(2 * n, 0), .dbias = filled(2 * n, 0), .dc = filled(n, 0),
    };

    k->scan(&s);
    k->scan_back(&s);
    return s;
}

static bool any_nan(size_t n, size_t i, const struct sru_kernels *k, const struct sru_scan *s)
{
    bool any = isnan(s->dc[i]) || isnan(s->dv[i]) || isnan(s->dv[n + i]) || isnan(s->dbias[i]) || isnan(s->dbias[n + i]);

    for (size_t t = 0; t < T; t++) {
        any = any || isnan(s->c[t * n + i]) || isnan(act_get(k, s->h, t * n + i)) || isnan(act_get(k, s->dx, t * n + i));
        for (size_t g = 0; g < 3; g++)
            any = any || isnan(act_get(k, s->du, (3 * t + g) * n + i));
    }
    return any;
}

/* What is not a row of U in the last position: h of that position, and what flows back from it, must be NaN. */
void case_nan_scan(const struct sru_kernels *k, size_t n)
{
    enum { X = 3, DH, STATE, MASK, VF, VR, BF, BR, PARTS };
    const size_t last = (T - 1) * n;

    for (int which = 0; which < PARTS * PLACES; which++) {
        const size_t part = (size_t)which / PLACES, at = place(n, (size_t)which % PLACES);
        const struct scan_in in = new_in(k, n);
        float *const lone[] = { [STATE] = in.c0, [MASK] = in.m, [VF] = in.v, [VR] = in.v + n, [BF] = in.bias,
                                [BR] = in.bias + n };

        if (part >= STATE)
            lone[part][at] = NAN;
        else
            act_put(k, part < X ? in.u : part == X ? in.x : in.dh, part < X ? 3 * last + part * n + at : last + at, NAN);

        const struct sru_scan s = scanned(k, n, &in);
        expect(isnan(act_get(k, s.h, last + at)) || part == DH, "h loses it from part %zu", part);
        expect(isnan(act_get(k, s.du, 3 * last + 2 * n + at)), "dU2 loses it from part %zu", part);
        expect(isnan(s.dv[n + at]) && isnan(s.dbias[n + at]), "dv or dbias loses it from part %zu", part);
        expect(isnan(s.dc[at]), "dc loses it from part %zu", part);
        for (size_t i = 0; i < n; i++)
            expect(i == at || !any_nan(n, i, k, &s), "part %zu: unit %zu is NaN, too", part, i);
    }
}

/* States stay between what they are made of, and gradients finite. */
void case_wide_gates(const struct sru_kernels *k, size_t n)
{
    static const float gates[] = { 100, -100, 88, -88, 89, -89, 1000, -1000, 1e30f, -1e30f, 3.3e38f, -3.3e38f, INFINITY,
                                   -INFINITY, 0 };
    enum { GATES = sizeof gates / sizeof *gates };

    for (size_t shift = 0; shift < GATES; shift++) {
        const struct scan_in in = new_in(k, n);

        for (size_t i = 0; i < n; i++)
            for (size_t t = 0; t < T; t++) {
                act_put(k, in.u, (3 * t + 1) * n + i, gates[(i + shift) % GATES]);
                act_put(k, in.u, (3 * t + 2) * n + i, gates[(i / GATES + 2 * shift + t) % GATES]);
            }

        const struct sru_scan s = scanned(k, n, &in);
        for (size_t i = 0; i < n; i++)
            expect(!any_nan(n, i, k, &s), "unit %zu", i);
        for (size_t i = 0; i < T * n; i++) {
            expect(fabsf(s.c[i]) <= 1, "c[%zu] is %g", i, (double)s.c[i]);
            expect(fabs(act_get(k, s.h, i)) <= 4, "h[%zu] is %g", i, act_get(k, s.h, i));
            expect(fabs(act_get(k, s.dx, i)) <= 3, "dx[%zu] is %g", i, act_get(k, s.dx, i));
        }
        for (size_t i = 0; i < 3 * T * n; i++)
            expect(fabs(act_get(k, s.du, i)) <= 8, "du[%zu] is %g", i, act_get(k, s.du, i));
        for (size_t i = 0; i < 2 * n; i++)
            expect(fabsf(s.dv[i]) <= 8 && fabsf(s.dbias[i]) <= 8, "dv or dbias[%zu]", i);
    }
}
