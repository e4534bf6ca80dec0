/* attend, recall, norm and recur against their double-precision twins, on every set of kernels. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/size.h"
#include "tests/gradient.h"
#include "tests/reference/reference.h"
#include "tests/support.h"

/* ---- attend --------------------------------------------------------------------------------- */

struct attend_case {
    const struct sru_attend *s;
    const double *mask;
};

static void attend_forward(const void *context, double *const *in, double *out)
{
    const struct attend_case *c = context;

    ref_attend(c->s, in[0], in[1], in[2], c->mask, out);
}

/* p of 2p columns, from one on. */
static float *columns(const float *both, size_t rows, size_t p, size_t from)
{
    float *x = pooled(rows * p * sizeof *x);

    for (size_t i = 0; i < rows; i++)
        memcpy(x + i * p, both + i * 2 * p + from, p * sizeof *x);
    return x;
}

enum { STEP = 3 };   /* of the masks */

static void one_attend(struct sru_dev *dev, struct sru_attend s, float rate)
{
    const size_t B = s.B, T = s.T, keys = s.M + T, p = s.p, nq = B * T * p, nk = B * keys * p;
    double *q = random_array(nq, 2, 1), *k = random_array(nk, 2, 2), *v = random_array(nk, 1, 3), *dout = random_array(nq, 1, 4);
    double *before = random_array(nq, 1, 5), *out = random_array(nq, 1, 6), *mask = NULL;
    const struct attend_case c = { &s, rate > 0 ? (mask = random_array(B * s.H * T * keys, 1, 7)) : NULL };
    const struct function f = { attend_forward, &c, { q, k, v }, { nq, nk, nk }, nq, dout };
    const double most = keys < 1000 ? 2e-6 : 2e-5;   /* of thousands of values little is left */
    const struct sru_shape shape = { .B = B, .T = T, .M = s.M, .d = 1, .p = p, .H = s.H, .V = 1, .train = true };

    s.mask = (struct sru_mask){ .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .layer = 2, .site = SRU_SITE_ATTEND, .seed = 42 };
    if (mask)
        ref_mask(&s.mask, STEP, B * s.H * T, keys, mask);
    s.q = padded(dev, q, B, T, p, 3), s.k = padded(dev, k, B, keys, p, 0), s.v = padded(dev, v, B, keys, p, 1);
    s.out = padded(dev, NULL, B, T, p, 2), s.dout = padded(dev, dout, B, T, p, 0);
    s.dq = padded(dev, before, B, T, p, 4), s.dkv = padded(dev, NULL, B, keys, 2 * p, 5);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    attend_forward(&c, f.in, out);
    dev->ops->attend(dev, &s);   /* nothing kept */
    assert_near("out, nothing kept", nq, unpadded(dev, s.out, B, T, p), out, most);
    s.kept = zeros(dev, dev->ops->kept_attend(dev, &s) / sizeof(float) + 1);
    dev->ops->attend(dev, &s);
    assert_near("out", nq, unpadded(dev, s.out, B, T, p), out, most);
    dev->ops->attend_back(dev, &s);
    assert_gradient("dq", &f, 0, unpadded(dev, s.dq, B, T, p), before);
    assert_gradient("dk", &f, 1, columns(unpadded(dev, s.dkv, B, keys, 2 * p), B * keys, p, 0), NULL);
    assert_gradient("dv", &f, 2, columns(unpadded(dev, s.dkv, B, keys, 2 * p), B * keys, p, p), NULL);
    ck_assert(!dev->ops->sync(dev, NULL));
}

START_TEST(attention)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_attend(dev, (struct sru_attend){ .B = 2, .T = 5, .M = 5, .H = 1, .p = 7, .present = 5 }, 0);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 5, .M = 4, .H = 3, .p = 6, .present = 4 }, 0.3f);
    one_attend(dev, (struct sru_attend){ .B = 2, .T = 3, .M = 6, .H = 1, .p = 4, .present = 2, .window = 3 }, 0);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 3, .M = 6, .H = 2, .p = 4, .present = 6, .window = 6 }, 0);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 4, .M = 3, .H = 1, .p = 3, .present = 0 }, 0);     /* empty memory */
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 1, .M = 0, .H = 1, .p = 1, .present = 0 }, 0);
    /* Keys in eights, which a GPU takes by fours: from a first one in eights or not, and by one, two or four times eight a thread. */
    one_attend(dev, (struct sru_attend){ .B = 2, .T = 12, .M = 12, .H = 2, .p = 6, .present = 12 }, 0.3f);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 8, .M = 24, .H = 1, .p = 3, .present = 12, .window = 13 }, 0.4f);
    one_attend(dev, (struct sru_attend){ .B = 2, .T = 8, .M = 24, .H = 1, .p = 3, .present = 9 }, 0.4f);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 1, .M = 2063, .H = 1, .p = 1, .present = 2063 }, 0.2f);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 1, .M = 4111, .H = 1, .p = 1, .present = 4000 }, 0.2f);
    one_attend(dev, (struct sru_attend){ .B = 1, .T = 67, .M = 2, .H = 1, .p = 2, .present = 1, .window = 9 }, 0);  /* two tiles */
    close_kernels(dev);
}
END_TEST

START_TEST(attention_turned)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    if (dev->ops->turns) {
        one_attend(dev, (struct sru_attend){ .B = 2, .T = 5, .M = 5, .H = 1, .p = 7, .present = 5, .turned = true }, 0);
        one_attend(dev, (struct sru_attend){ .B = 1, .T = 5, .M = 5, .H = 3, .p = 6, .present = 3, .turned = true }, 0.3f);
        one_attend(dev, (struct sru_attend){ .B = 2, .T = 12, .M = 12, .H = 2, .p = 6, .present = 12, .turned = true }, 0.3f);
        one_attend(dev, (struct sru_attend){ .B = 2, .T = 1, .M = 1, .H = 1, .p = 2, .present = 1, .turned = true }, 0);
        one_attend(dev, (struct sru_attend){ .B = 1, .T = 131, .M = 131, .H = 1, .p = 2, .present = 70, .turned = true }, 0.2f);
    }
    close_kernels(dev);
}
END_TEST

START_TEST(attention_hides_no_nan)
{
    struct sru_dev *dev = open_device(_i);
    double x[3] = { 1, NAN, 1 }, y[3] = { 1, 1, 1 };
    const struct sru_shape shape = { .B = 1, .T = 3, .d = 1, .p = 1, .H = 1, .V = 1 };

    if (!dev)
        return;
    struct sru_attend s = { .B = 1, .T = 3, .H = 1, .p = 1, .q = padded(dev, y, 1, 3, 1, 0), .k = padded(dev, x, 1, 3, 1, 0),
                            .v = padded(dev, y, 1, 3, 1, 0), .out = padded(dev, NULL, 1, 3, 1, 0) };
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->attend(dev, &s);
    const float *out = unpadded(dev, s.out, 1, 3, 1);
    ck_assert(out[0] == 1.0f && isnan(out[1]) && isnan(out[2]));
    close_kernels(dev);
}
END_TEST

/* ---- recall ------------------------------------------------------------------------------------- */

/* The ring's rows as the twin takes them, which multiplies those that are not held by 0. */
static double *held_or_zero(const float *x, size_t n)
{
    double *d = pooled(n * sizeof *d);

    for (size_t i = 0; i < n; i++)
        d[i] = isnan(x[i]) ? 0 : (double)x[i];
    return d;
}

/* Position by position, until the ring has gone round; rows that are not held yet are NaN.  A long ring is full of something: most
 * positions are left out. */
static void one_recall(struct sru_dev *dev, size_t B, size_t H, size_t p, size_t rows)
{
    const struct sru_shape shape = { .B = B, .T = 1, .M = rows - 1, .d = 1, .p = p, .H = H, .V = 1 };
    const bool is_long = rows > 100;
    const double *something = is_long ? random_array(B * rows * p, 1, 8) : NULL;
    const struct sru_rows keys = padded(dev, something, B, rows, p, 0), values = padded(dev, something, B, rows, p, 0);
    const struct sru_rows out = padded(dev, NULL, B, 1, p, 0);
    struct sru_place *place = (struct sru_place *)zeros(dev, sizeof *place / sizeof(float));

    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    for (size_t n = 0; n < 2 * rows; n += is_long && n % rows == 2 ? rows - 6 : 1) {
        double *q = random_array(B * p, 2, 3 * n), *k = random_array(B * p, 2, 3 * n + 1), *v = random_array(B * p, 1, 3 * n + 2);
        double *expected = pooled(B * p * sizeof *expected);
        const struct sru_place at = { (int32_t)(rows - 1 - n % rows), (int32_t)sru_min(n + 1, rows) };
        const struct sru_attend all = { .B = B, .T = 1, .M = rows - 1, .H = H, .p = p, .present = (size_t)at.held - 1 };
        const struct sru_recall s = {
            .B = B, .H = H, .p = p, .rows = rows, .place = place, .q = padded(dev, q, B, 1, p, 0).p, .k = padded(dev, k, B, 1, p, 0).p,
            .v = padded(dev, v, B, 1, p, 0).p, .keys = keys.p, .values = values.p, .out = out.p,
        };

        dev->ops->put(dev, place, &at, sizeof at);
        dev->ops->recall(dev, &s);
        const float *K = unpadded(dev, keys, B, rows, p), *V = unpadded(dev, values, B, rows, p);
        for (size_t b = 0; b < B; b++)
            for (size_t i = 0; i < p; i++) {
                ck_assert((double)K[(b * rows + (size_t)at.row) * p + i] == k[b * p + i]);
                ck_assert((double)V[(b * rows + (size_t)at.row) * p + i] == v[b * p + i]);
            }
        ref_attend(&all, q, held_or_zero(K, B * rows * p), held_or_zero(V, B * rows * p), NULL, expected);
        assert_near("recalled", B * p, unpadded(dev, out, B, 1, p), expected, rows < 1000 ? 2e-6 : 2e-5);
    }
    ck_assert(!dev->ops->sync(dev, NULL));
}

START_TEST(recall)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_recall(dev, 1, 1, 1, 1);
    one_recall(dev, 2, 1, 7, 3);
    one_recall(dev, 3, 2, 8, 5);
    one_recall(dev, 1, 3, 36, 33);      /* fours of columns; more than a GPU's block of keys */
    one_recall(dev, 2, 1, 1028, 40);    /* more fours than a block's threads */
    one_recall(dev, 1, 1, 33, 1100);
    close_kernels(dev);
}
END_TEST

/* ---- norm -------------------------------------------------------------------------------------- */

struct norm_case {
    size_t N, cols;
    bool a, gamma;
    const double *mask;
};

static void norm_forward(const void *context, double *const *in, double *out)
{
    const struct norm_case *c = context;

    ref_norm(c->N, c->cols, c->a ? in[0] : NULL, in[1], in[2], c->gamma ? in[3] : NULL, in[4], c->mask, out);
}

/* `pad`: what the pads between streams are multiples of.  Rows do not meet: of many, the gradient of the last is enough. */
static void one_norm(struct sru_dev *dev, size_t B, size_t T, size_t cols, bool a, bool gamma, float rate, bool add, size_t pad)
{
    const size_t N = B * T, n = N * cols, from = N > 100 ? N - 1 : 0, at = from * cols;
    double *in[5] = { random_array(n, 1, 1), random_array(1, 1, 2), random_array(n, 3, 3), random_array(cols, 1, 4),
                      random_array(cols, 1, 5) };
    double *dout = random_array(n, 1, 6), *out = random_array(n, 1, 7), *before = random_array(n, 1, 8);
    double *mask = rate > 0 ? random_array(n, 1, 9) : NULL;
    const struct norm_case c = { N, cols, a, gamma, mask };
    const struct function f = { norm_forward, &c, { in[0], in[1], in[2], in[3], in[4] }, { n, 1, n, cols, cols }, n, dout };
    const struct norm_case last = { N - from, cols, a, gamma, mask ? mask + at : NULL };
    const struct function rows = { norm_forward, &last, { in[0] + at, in[1], in[2] + at, in[3], in[4] },
                                   { n - at, 1, n - at, cols, cols }, n - at, dout + at };
    const struct sru_shape shape = { .B = B, .T = T, .d = cols, .p = cols, .H = 1, .V = 1, .train = true };
    struct sru_norm s = {
        .B = B, .T = T, .cols = cols, .add_dr = add, .stats = zeros(dev, 2 * N),
        .r = padded(dev, in[2], B, T, cols, 2 * pad), .y = padded(dev, NULL, B, T, cols, 0),
        .dy = padded(dev, dout, B, T, cols, pad), .dr = padded(dev, add ? before : NULL, B, T, cols, 3 * pad),
        .mask = { .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .layer = 1, .site = SRU_SITE_PROJECT, .seed = 8 },
    };

    if (a) {
        s.a = padded(dev, in[0], B, T, cols, 0);
        s.da = padded(dev, NULL, B, T, cols, 4 * pad);
        s.alpha = (struct sru_weight){ .w = to_device(dev, in[1], 1), .g = to_device(dev, before, 1) };
    }
    if (gamma) {
        s.gamma = (struct sru_weight){ .w = to_device(dev, in[3], cols), .g = to_device(dev, before, cols) };
        s.beta = (struct sru_weight){ .w = to_device(dev, in[4], cols), .g = to_device(dev, before, cols) };
    }
    if (mask)
        ref_mask(&s.mask, STEP, N, cols, mask);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    norm_forward(&c, f.in, out);
    dev->ops->norm(dev, &s);
    assert_near("y", n, unpadded(dev, s.y, B, T, cols), out, 2e-6);
    dev->ops->norm_back(dev, &s);
    assert_gradient("dr", &rows, 2, unpadded(dev, s.dr, B, T, cols) + at, add ? before + at : NULL);
    if (a) {
        assert_gradient("da", &rows, 0, unpadded(dev, s.da, B, T, cols) + at, NULL);
        assert_gradient("dalpha", &f, 1, from_device(dev, s.alpha.g, 1), NULL);
    }
    if (gamma) {
        assert_gradient("dgamma", &f, 3, from_device(dev, s.gamma.g, cols), NULL);
        assert_gradient("dbeta", &f, 4, from_device(dev, s.beta.g, cols), NULL);
    }
}

START_TEST(normalisation)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_norm(dev, 2, 5, 7, true, true, 0, false, 1);
    one_norm(dev, 3, 7, 19, true, true, 0.2f, true, 1);
    one_norm(dev, 1, 4, 33, false, true, 0, false, 1);
    one_norm(dev, 1, 3, 5, true, false, 0.2f, false, 1);
    one_norm(dev, 1, 2, 5, false, false, 0.5f, true, 1);
    one_norm(dev, 1, 1, 3, true, true, 0, false, 1);
    /* Columns in eights and rows aligned, which a GPU holds in registers: one to four eights a thread, of a warp and of a block. */
    one_norm(dev, 2, 5, 8, true, true, 0.2f, false, 8);
    one_norm(dev, 3, 2, 16, true, false, 0.2f, true, 8);
    one_norm(dev, 2, 1, 264, true, true, 0.2f, true, 8);
    one_norm(dev, 1, 2, 520, false, true, 0, true, 8);
    one_norm(dev, 1, 1, 776, true, true, 0.5f, false, 8);
    one_norm(dev, 1, 1, 1032, true, true, 0.2f, true, 8);
    one_norm(dev, 1, 1, 2056, false, true, 0.2f, false, 8);
    one_norm(dev, 2, 3, 40, false, false, 0.3f, false, 8);
    one_norm(dev, 2, 3, 40, false, false, 0.3f, true, 8);   /* a mask alone */
    one_norm(dev, 1, 2, 4104, true, true, 0.2f, true, 8);
    one_norm(dev, 1, 1, 6152, false, true, 0, false, 8);
    one_norm(dev, 3, 711, 8, true, true, 0.2f, true, 8);    /* more rows than warps */
    close_kernels(dev);
}
END_TEST

/* ---- recur ------------------------------------------------------------------------------------- */

struct recur_case {
    const struct sru_recur *s;
    const double *c0, *mask;
};

static void recur_forward(const void *context, double *const *in, double *out)
{
    const struct recur_case *c = context;
    double *c1 = malloc(c->s->B * c->s->d * sizeof *c1);

    ref_recur(c->s, in[0], in[1], in[2], in[3], in[4], c->c0, c->mask, out, c1);
    free(c1);
}

static void one_recur(struct sru_dev *dev, struct sru_recur s, double size, float rate)
{
    const size_t B = s.B, T = s.T, d = s.d, p = s.p, na = B * T * p, nx = B * T * d, nw = 3 * d * p;
    double *a = random_array(na, size, 1), *w3 = random_array(nw, size, 2), *x = random_array(nx, 1, 3);
    double *v = random_array(2 * d, size, 4), *bias = random_array(2 * d, size, 5), *c0 = random_array(B * d, 1, 6);
    double *dh = random_array(nx, 1, 7), *h = random_array(nx, 1, 8), *c1 = random_array(B * d, 1, 9);
    double *before = random_array(nw + 2 * d, 1, 10), *mask = rate > 0 ? random_array(B * d, 1, 11) : NULL;
    const struct recur_case c = { &s, c0, mask };
    const struct function f = { recur_forward, &c, { a, w3, x, v, bias }, { na, nw, nx, 2 * d, 2 * d }, nx, dh };
    const struct sru_shape shape = { .B = B, .T = T, .d = d, .p = p, .H = 1, .V = 1, .train = true };

    s.mask = (struct sru_mask){ .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .layer = 2, .site = SRU_SITE_HIGHWAY, .seed = 4 };
    if (mask)
        ref_mask(&s.mask, STEP, B, d, mask);
    s.a = padded(dev, a, B, T, p, 0), s.da = padded(dev, NULL, B, T, p, 3), s.x = padded(dev, x, B, T, d, d % 8 ? 2 : 8);
    s.dx = padded(dev, NULL, B, T, d, 0), s.h = padded(dev, NULL, B, T, d, 5), s.dh = padded(dev, dh, B, T, d, d % 8 ? 1 : 16);
    s.w3 = to_matrix(dev, w3, p, 3 * d, true, before);
    s.v = (struct sru_weight){ .w = to_device(dev, v, 2 * d), .g = to_device(dev, before, 2 * d) };
    s.bias = (struct sru_weight){ .w = to_device(dev, bias, 2 * d), .g = to_device(dev, before, 2 * d) };
    s.c0 = to_device(dev, c0, B * d), s.c1 = zeros(dev, B * d);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    ref_recur(&s, a, w3, x, v, bias, c0, mask, h, c1);
    dev->ops->recur(dev, &s);   /* nothing kept */
    assert_near("h, nothing kept", nx, unpadded(dev, s.h, B, T, d), h, 2e-6);
    assert_near("c1, nothing kept", B * d, from_device(dev, s.c1, B * d), c1, 2e-6);
    s.c1 = to_device(dev, c0, B * d), s.c0 = s.c1;   /* in place */
    dev->ops->recur(dev, &s);
    assert_near("c1 in place", B * d, from_device(dev, s.c1, B * d), c1, 2e-6);
    s.c0 = to_device(dev, c0, B * d), s.c1 = zeros(dev, B * d);
    s.kept = zeros(dev, dev->ops->kept_recur(dev, &s) / sizeof(float) + 1);
    dev->ops->recur(dev, &s);
    assert_near("h", nx, unpadded(dev, s.h, B, T, d), h, 2e-6);
    assert_near("c1", B * d, from_device(dev, s.c1, B * d), c1, 2e-6);
    dev->ops->recur_back(dev, &s);
    assert_gradient("da", &f, 0, unpadded(dev, s.da, B, T, p), NULL);
    assert_gradient("dW3", &f, 1, from_device(dev, s.w3.g, nw), NULL);
    assert_gradient("dx", &f, 2, unpadded(dev, s.dx, B, T, d), NULL);
    assert_gradient("dv", &f, 3, from_device(dev, s.v.g, 2 * d), NULL);
    assert_gradient("db", &f, 4, from_device(dev, s.bias.g, 2 * d), NULL);
}

START_TEST(recurrence)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_recur(dev, (struct sru_recur){ .B = 2, .T = 6, .d = 7, .p = 3, .scale = 1 }, 1, 0);
    one_recur(dev, (struct sru_recur){ .B = 1, .T = 5, .d = 37, .p = 4, .scale = 1.3f }, 1, 0.3f);   /* parts of a stream */
    one_recur(dev, (struct sru_recur){ .B = 5, .T = 1, .d = 3, .p = 2, .scale = 1 }, 1, 0);
    one_recur(dev, (struct sru_recur){ .B = 1, .T = 1, .d = 1, .p = 1, .scale = 1 }, 1, 0);
    one_recur(dev, (struct sru_recur){ .B = 3, .T = 1, .d = 8, .p = 260, .scale = 1 }, 1, 0);
    one_recur(dev, (struct sru_recur){ .B = 1, .T = 1, .d = 24, .p = 33, .scale = 1 }, 1, 0);
    /* Units in eights, which a GPU brings ahead: in several stages, and with a part of its block left over. */
    one_recur(dev, (struct sru_recur){ .B = 2, .T = 70, .d = 8, .p = 2, .scale = 1.2f }, 1, 0.3f);
    one_recur(dev, (struct sru_recur){ .B = 2, .T = 3, .d = 72, .p = 2, .scale = 1 }, 1, 0.3f);
    one_recur(dev, (struct sru_recur){ .B = 1, .T = 16, .d = 64, .p = 1, .scale = 1 }, 1, 0);
    one_recur(dev, (struct sru_recur){ .B = 1, .T = 4, .d = 5, .p = 2, .scale = 1 }, 6, 0);          /* wide open and shut gates */
    close_kernels(dev);
}
END_TEST

/* Gates far beyond what a sigmoid resolves, and NaN: neither traps nor hides. */
START_TEST(extreme_gates)
{
    struct sru_dev *dev = open_device(_i);
    double one[3] = { 1, 1, 1 }, w3[9] = { 1, 1, 1, 1e6, -1e6, NAN, 1e6, -1e6, 1 }, zero[6] = { 0 };
    const struct sru_shape shape = { .B = 1, .T = 1, .d = 3, .p = 1, .H = 1, .V = 1 };

    if (!dev)
        return;
    struct sru_recur s = {
        .B = 1, .T = 1, .d = 3, .p = 1, .scale = 1, .a = padded(dev, one, 1, 1, 1, 0), .x = padded(dev, zero, 1, 1, 3, 0),
        .h = padded(dev, NULL, 1, 1, 3, 0), .w3 = to_matrix(dev, w3, 1, 9, true, NULL), .v = { zeros(dev, 6), NULL },
        .bias = { zeros(dev, 6), NULL }, .c0 = to_device(dev, (double[]){ 5, 5, 5 }, 3), .c1 = zeros(dev, 3),
    };
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->recur(dev, &s);
    const float *h = unpadded(dev, s.h, 1, 1, 3), *c1 = from_device(dev, s.c1, 3);
    ck_assert_float_eq(c1[0], 5);               /* f = 1: kept */
    ck_assert_float_eq(h[0], 5);                /* r = 1 */
    ck_assert_float_eq(c1[1], 1);               /* f = 0: replaced */
    ck_assert(fabsf(h[1]) < 1e-30f);            /* r = 0 */
    ck_assert(isnan(c1[2]) && isnan(h[2]));
    close_kernels(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("layer operators");
    TCase *t = tcase_create("layer operators");
    const int n = (int)n_all_devices;

    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, attention, 0, n);
    tcase_add_loop_test(t, attention_turned, 0, n);
    tcase_add_loop_test(t, attention_hides_no_nan, 0, n);
    tcase_add_loop_test(t, recall, 0, n);
    tcase_add_loop_test(t, normalisation, 0, n);
    tcase_add_loop_test(t, recurrence, 0, n);
    tcase_add_loop_test(t, extreme_gates, 0, n);
    suite_add_tcase(s, t);
    return run_suite(s);
}
