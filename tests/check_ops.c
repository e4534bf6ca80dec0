/* embed, gather, linear, predict, update, measure and masks against their double-precision twins, on every set of kernels. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "simd/kernels.h"
#include "simd/philox.h"
#include "tests/gradient.h"
#include "tests/reference/reference.h"
#include "tests/support.h"

/* ---- Masks ------------------------------------------------------------------------------- */

/* Known answers from the authors' distribution, Random123 (kat_vectors, philox4x32 10). */
START_TEST(philox_known_answers)
{
    uint32_t zero[4] = { 0 }, ones[4] = { ~0u, ~0u, ~0u, ~0u };
    const uint32_t zero_out[4] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    const uint32_t ones_out[4] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };

    sru_philox(zero, 0);
    ck_assert_mem_eq(zero, zero_out, sizeof zero);
    sru_philox(ones, ~(uint64_t)0);
    ck_assert_mem_eq(ones, ones_out, sizeof ones);
}
END_TEST

START_TEST(masks_are_the_twins)
{
    const struct sru_kernels *k;
    const size_t rows = 37, cols = 1001;
    struct sru_step step = { .count = 7 };
    const struct sru_mask m = { .rate = 0.3f, .step = &step, .layer = 3, .site = SRU_SITE_PROJECT, .seed = 1234567890123u };
    double *expected = pooled(rows * cols * sizeof *expected), kept = 0;
    float *row = pooled(cols * sizeof *row);

    if (sru_kernels_find(all_kernels[_i], false, &k, NULL))
        return;
    ref_mask(&m, step.count, rows, cols, expected);
    for (size_t r = 0; r < rows; r++) {
        k->mask_row(&m, r, cols, row);
        assert_near("mask", cols, row, expected + r * cols, 1e-7);
        for (size_t j = 0; j < cols; j++)
            kept += row[j] > 0;
    }
    ck_assert(fabs(kept / (double)(rows * cols) - 0.7) < 0.01);
    step.count++;
    k->mask_row(&m, 0, cols, row);
    ck_assert(difference(cols, row, expected) > 0.5);
    free_all();
}
END_TEST

enum { STEP = 5 };   /* of the operators' masks */

/* ---- embed --------------------------------------------------------------------------------- */

struct embed_case {
    size_t N, d;
    const int32_t *tokens;
    const double *mask;
};

static void embed_forward(const void *context, double *const *in, double *out)
{
    const struct embed_case *c = context;

    ref_embed(c->N, c->d, c->tokens, in[0], c->mask, out);
}

static int rising(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void one_embed(struct sru_dev *dev, size_t B, size_t T, size_t d, size_t V, float rate, size_t pad)
{
    const size_t N = B * T;
    double *table = random_array(V * d, 1, 1), *dx = random_array(N * d, 1, 2), *out = random_array(N * d, 1, 3);
    double *mask = rate > 0 ? random_array(N * d, 1, 4) : NULL, *before = random_array(V * d, 1, 5);
    int32_t *tokens = random_tokens(N, V, 6);
    struct sru_embed s = {
        .B = B, .T = T, .d = d, .V = V, .tokens = tokens_to_device(dev, tokens, N),
        .table = { to_device(dev, table, V * d), to_device(dev, before, V * d) },
        .x = padded(dev, NULL, B, T, d, pad), .dx = padded(dev, dx, B, T, d, pad),
        .mask = { .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .layer = 1, .site = SRU_SITE_EMBED, .seed = 99 },
    };
    const struct embed_case c = { N, d, tokens, mask };
    const struct function f = { embed_forward, &c, { table }, { V * d }, N * d, dx };
    const struct sru_shape shape = { .B = B, .T = T, .d = d, .p = 1, .H = 1, .V = V, .train = true };

    if (mask)
        ref_mask(&s.mask, STEP, N, d, mask);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->embed(dev, &s);
    embed_forward(&c, f.in, out);
    assert_near("x", N * d, unpadded(dev, s.x, B, T, d), out, 1e-6);
    dev->ops->embed_back(dev, &s);
    assert_gradient("dE", &f, 0, from_device(dev, s.table.g, V * d), NULL);
    qsort(tokens, N, sizeof *tokens, rising);
    s.tokens = tokens_to_device(dev, tokens, N);
    s.dx = padded(dev, dx, B, T, d, pad);
    s.table.g = to_device(dev, before, V * d);
    s.add = true;
    dev->ops->embed_back(dev, &s);
    assert_gradient("dE added", &f, 0, from_device(dev, s.table.g, V * d), before);
    ck_assert(!dev->ops->sync(dev, NULL));
}

START_TEST(embedding)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_embed(dev, 3, 7, 19, 11, 0, 5);
    one_embed(dev, 2, 5, 33, 4, 0.4f, 3);
    one_embed(dev, 1, 1, 1, 1, 0, 0);
    /* Columns in eights, which a GPU takes by fours where the rows are aligned to them. */
    one_embed(dev, 2, 100, 136, 2, 0.4f, 4);
    one_embed(dev, 2, 9, 8, 300, 0, 8);
    one_embed(dev, 2, 9, 16, 5, 0.4f, 1);
    close_kernels(dev);
}
END_TEST

/* ---- gather, scatter, add_at ------------------------------------------------------------------- */

/* Every third row, from the last to the first. */
static void one_pick(struct sru_dev *dev, size_t B, size_t T, size_t cols, float rate, size_t pad)
{
    const size_t N = B * T, n = (N + 2) / 3;
    double *x = random_array(N * cols, 1, 1), *y = random_array(n * cols, 1, 2), *mask = random_array(N * cols, 1, 3);
    double *right = pooled(N * cols * sizeof *right), *picked = pooled(n * cols * sizeof *picked);
    int32_t *at = pooled(n * sizeof *at);
    const struct sru_mask m = { .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .seed = 5 };
    const struct sru_shape shape = { .B = B, .T = T, .d = cols, .p = 1, .H = 1, .V = 1, .train = true };

    for (size_t i = 0; i < n; i++)
        at[i] = (int32_t)(3 * (n - 1 - i));
    ref_mask(&m, STEP, N, cols, mask);
    struct sru_pick s = { .n = n, .T = T, .cols = cols, .at = tokens_to_device(dev, at, n), .x = padded(dev, x, B, T, cols, pad),
                          .y = padded(dev, NULL, 1, n, cols, 0).p, .mask = m };
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->gather(dev, &s);
    for (size_t i = 0; i < n * cols; i++) {
        const size_t from = (size_t)at[i / cols] * cols + i % cols;
        picked[i] = x[from] * mask[from];
    }
    assert_near("gathered", n * cols, unpadded(dev, (struct sru_rows){ s.y, n * cols }, 1, n, cols), picked, 1e-6);
    s.y = padded(dev, y, 1, n, cols, 0).p;
    memcpy(right, x, N * cols * sizeof *right);
    for (int add = 0; add < 2; add++) {
        for (size_t i = 0; i < n * cols; i++) {
            const size_t to = (size_t)at[i / cols] * cols + i % cols;
            right[to] = (add ? right[to] : 0) + y[i] * mask[to];
        }
        s.add = add;
        dev->ops->scatter(dev, &s);
        assert_near("scattered", N * cols, unpadded(dev, s.x, B, T, cols), right, 1e-6);
    }
    float *sum = to_device(dev, x, N);
    memcpy(right, x, N * sizeof *right);
    for (size_t i = 0; i < n; i++)
        right[at[i]] += y[i];
    dev->ops->add_at(dev, n, s.at, to_device(dev, y, n), sum);
    assert_near("added", N, from_device(dev, sum, N), right, 1e-6);
    s.n = 0;
    dev->ops->gather(dev, &s), dev->ops->scatter(dev, &s), dev->ops->add_at(dev, 0, s.at, sum, sum);
    assert_near("nothing added", N, from_device(dev, sum, N), right, 1e-6);
}

START_TEST(picks)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_pick(dev, 2, 7, 19, 0, 5);
    one_pick(dev, 3, 5, 33, 0.4f, 3);
    one_pick(dev, 1, 1, 1, 0, 0);
    one_pick(dev, 2, 50, 136, 0.4f, 4);   /* in eights */
    one_pick(dev, 2, 9, 16, 0.4f, 1);
    close_kernels(dev);
}
END_TEST

/* ---- linear ---------------------------------------------------------------------------------- */

struct linear_case {
    size_t rows, in, out;
};

static void linear_forward(const void *context, double *const *in, double *out)
{
    const struct linear_case *c = context;

    ref_linear(c->rows, c->in, c->out, in[0], in[1], out);
}

static void one_linear(struct sru_dev *dev, size_t B, size_t rows, size_t in, size_t out, size_t from, size_t kept, size_t pad, bool add)
{
    const size_t N = B * rows;
    double *x = random_array(N * in, 1, 1), *w = random_array(in * out, 1, 2), *dy = random_array(N * out, 1, 3);
    double *y = random_array(N * out, 1, 4), *before = random_array(in * out, 1, 5), *dx0 = random_array(N * in, 1, 6);
    double *cut = pooled(B * kept * in * sizeof *cut);   /* dx0 of the rows that get one */
    float *whole = pooled(N * in * sizeof *whole), *part;
    struct sru_linear s = {
        .B = B, .rows = rows, .in = in, .out = out, .dx_from = from, .dx_rows = kept, .add_dx = add,
        .w = to_matrix(dev, w, in, out, false, before),
        .x = padded(dev, x, B, rows, in, pad), .y = padded(dev, NULL, B, rows, out, pad), .dy = padded(dev, dy, B, rows, out, pad),
    };
    const struct linear_case c = { N, in, out };
    const struct function f = { linear_forward, &c, { x, w }, { N * in, in * out }, N * out, dy };

    for (size_t b = 0; b < B; b++)
        memcpy(cut + b * kept * in, dx0 + (b * rows + from) * in, kept * in * sizeof *cut);
    const struct sru_shape shape = { .B = B, .T = rows, .d = in, .p = out, .H = 1, .V = 1, .train = true };
    s.dx = padded(dev, add ? cut : NULL, B, kept, in, pad);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->linear(dev, &s);
    linear_forward(&c, f.in, y);
    assert_near("y", N * out, unpadded(dev, s.y, B, rows, out), y, 1e-6);
    dev->ops->linear_back(dev, &s);
    assert_gradient("dW", &f, 1, from_device(dev, s.w.g, in * out), NULL);
    struct sru_linear again = s;
    again.add_dw = true;
    again.dx.p = NULL;
    again.w.g = to_device(dev, before, in * out);
    dev->ops->linear_back(dev, &again);
    assert_gradient("dW added", &f, 1, from_device(dev, again.w.g, in * out), before);
    /* Where there is no dx, the numeric one is put: the rest must agree. */
    part = unpadded(dev, s.dx, B, kept, in);
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < in; i++) {
            double sum = 0;
            for (size_t o = 0; o < out; o++)
                sum += dy[n * out + o] * w[o * in + i];
            const size_t b = n / rows, t = n % rows;
            whole[n * in + i] = t < from || t >= from + kept ? (float)sum
                : part[(b * kept + t - from) * in + i] - (add ? (float)cut[(b * kept + t - from) * in + i] : 0);
        }
    assert_gradient("dx", &f, 0, whole, NULL);
    ck_assert(!dev->ops->sync(dev, NULL));
}

START_TEST(linear_products)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_linear(dev, 2, 5, 7, 3, 0, 5, 0, false);
    one_linear(dev, 3, 6, 9, 5, 2, 4, 0, true);
    one_linear(dev, 3, 6, 9, 5, 0, 3, 0, true);
    one_linear(dev, 2, 4, 17, 8, 1, 3, 3, false);
    one_linear(dev, 1, 1, 1, 1, 0, 1, 0, false);
    /* Few rows, which a GPU takes by eights of inputs, and backwards of outputs. */
    one_linear(dev, 1, 1, 24, 5, 0, 1, 0, false);
    one_linear(dev, 3, 1, 8, 72, 0, 1, 0, false);
    one_linear(dev, 1, 4, 16, 40, 1, 2, 0, true);
    one_linear(dev, 1, 2, 2056, 2, 0, 2, 0, false);
    one_linear(dev, 1, 3, 1024, 2, 0, 3, 0, false);   /* rows of 4 KB, for which oneDNN's gemm wants another layout */
    close_kernels(dev);
}
END_TEST

/* ---- predict --------------------------------------------------------------------------------- */

struct predict_case {
    size_t N, d, V;
    const double *mask;
    const int32_t *targets;
    double *logits;
};

static void predict_forward(const void *context, double *const *in, double *out)
{
    const struct predict_case *c = context;

    ref_predict(c->N, c->d, c->V, in[0], c->mask, in[1], in[2], c->targets, out, c->logits);
}

static void one_predict(struct sru_dev *dev, size_t B, size_t T, size_t d, size_t V, float rate, size_t pad)
{
    const size_t N = B * T;
    double *h = random_array(N * d, 1, 1), *w = random_array(V * d, 1, 2), *bias = random_array(V, 1, 3);
    double *nll = random_array(N, 1, 4), *logits = random_array(N * V, 1, 5), *before = random_array(V * d, 1, 6);
    double *dout = pooled(N * sizeof *dout), *mask = rate > 0 ? random_array(N * d, 1, 7) : NULL;
    int32_t *targets = random_tokens(N, V, 8);

    for (size_t n = 4; n < N; n += 5)
        targets[n] = -1;
    struct sru_predict s = {
        .B = B, .T = T, .d = d, .V = V, .targets = tokens_to_device(dev, targets, N), .factor = 0.25f,
        .h = padded(dev, h, B, T, d, pad), .dh = padded(dev, NULL, B, T, d, pad),
        .w = to_matrix(dev, w, d, V, false, before), .bias = { to_device(dev, bias, V), to_device(dev, before, V) },
        .nll = zeros(dev, N), .logits = zeros(dev, N * V),
        .mask = { .rate = rate, .step = step_to_device(dev, (struct sru_step){ .count = STEP }), .site = SRU_SITE_OUTPUT, .seed = 3 },
    };
    const struct predict_case c = { N, d, V, mask, targets, logits };
    const struct function f = { predict_forward, &c, { h, w, bias }, { N * d, V * d, V }, N, dout };
    const struct sru_shape shape = { .B = B, .T = T, .d = d, .p = 1, .H = 1, .V = V, .train = true };

    for (size_t n = 0; n < N; n++)
        dout[n] = 0.25;
    if (mask)
        ref_mask(&s.mask, STEP, N, d, mask);
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    predict_forward(&c, f.in, nll);
    dev->ops->predict(dev, &s);
    assert_near("logits", N * V, from_device(dev, s.logits, N * V), logits, 1e-6);
    assert_near("nll", N, from_device(dev, s.nll, N), nll, 1e-6);
    dev->ops->zero(dev, s.nll, N * sizeof *s.nll);
    dev->ops->predict_back(dev, &s);
    assert_near("nll of the backward", N, from_device(dev, s.nll, N), nll, 1e-6);
    assert_gradient("dh", &f, 0, unpadded(dev, s.dh, B, T, d), NULL);
    assert_gradient("dW", &f, 1, from_device(dev, s.w.g, V * d), NULL);
    assert_gradient("db", &f, 2, from_device(dev, s.bias.g, V), NULL);
}

/* The gradients of N targets' losses of scores h W^T + b, times factor, in closed form. */
static void large_predict(struct sru_dev *dev, size_t N, size_t d, size_t V)
{
    double *h = random_array(N * d, 1, 1), *w = random_array(V * d, 1, 2), *bias = random_array(V, 1, 3), *before = random_array(V * d, 1, 6);
    double *nll = pooled(N * sizeof *nll), *dh = pooled(N * d * sizeof *dh), *dw = pooled(V * d * sizeof *dw), *db = pooled(V * sizeof *db);
    double *scores = pooled(N * V * sizeof *scores);
    const int32_t *targets = random_tokens(N, V, 8);
    struct sru_predict s = {
        .B = 1, .T = N, .d = d, .V = V, .targets = tokens_to_device(dev, targets, N), .factor = 0.25f, .h = padded(dev, h, 1, N, d, 0),
        .dh = padded(dev, NULL, 1, N, d, 0), .w = to_matrix(dev, w, d, V, false, before),
        .bias = { to_device(dev, bias, V), to_device(dev, before, V) }, .nll = zeros(dev, N),
    };
    const struct sru_shape shape = { .B = 1, .T = N, .d = d, .p = 1, .H = 1, .V = V, .train = true };
    const double tolerance = dev->act_bytes == 2 ? 0.02 : 1e-5;

    ref_predict(N, d, V, h, NULL, w, bias, targets, nll, scores);
    for (size_t n = 0; n < N; n++)
        for (size_t v = 0; v < V; v++) {
            const double hit = scores[n * V + (size_t)targets[n]], p = exp(scores[n * V + v] - hit - nll[n]);
            const double g = 0.25 * (p - (v == (size_t)targets[n]));

            db[v] = (n > 0 ? db[v] : 0) + g;
            for (size_t i = 0; i < d; i++) {
                dh[n * d + i] = (v > 0 ? dh[n * d + i] : 0) + g * w[v * d + i];
                dw[v * d + i] = (n > 0 ? dw[v * d + i] : 0) + g * h[n * d + i];
            }
        }
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->predict_back(dev, &s);
    assert_near("nll", N, from_device(dev, s.nll, N), nll, 1e-6);
    assert_near("dh", N * d, unpadded(dev, s.dh, 1, N, d), dh, tolerance);
    assert_near("dW", V * d, from_device(dev, s.w.g, V * d), dw, tolerance);
    assert_near("db", V, from_device(dev, s.bias.g, V), db, tolerance);
}

START_TEST(large_predictions)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    large_predict(dev, 3, 2, 20011);    /* a row takes several passes of a GPU's block of threads */
    large_predict(dev, 70, 2, 1101);    /* several strips of rows */
    large_predict(dev, 8200, 2, 3);     /* and rows several blocks */
    close_kernels(dev);
}
END_TEST

START_TEST(prediction)
{
    struct sru_dev *dev = open_device(_i);

    if (!dev)
        return;
    one_predict(dev, 2, 3, 5, 7, 0, 2);
    one_predict(dev, 3, 33, 6, 5, 0.3f, 7);   /* more rows than a block of 64 at a large V is tested by tests/check_model */
    one_predict(dev, 1, 1, 3, 2, 0, 0);
    /* Columns in eights, which a GPU takes by fours; rows that it takes as they stand; each number of logits a thread. */
    one_predict(dev, 2, 5, 24, 40, 0.3f, 4);
    one_predict(dev, 2, 4, 16, 205, 0, 0);
    one_predict(dev, 2, 2, 8, 300, 0.3f, 8);
    one_predict(dev, 1, 2, 8, 600, 0, 0);
    one_predict(dev, 1, 2, 3, 1030, 0.3f, 0);
    one_predict(dev, 1, 2, 3, 1032, 0, 0);
    close_kernels(dev);
}
END_TEST

/* Logits as large as a wrecked model's: the loss stays right, and NaN is not hidden. */
START_TEST(prediction_of_extreme_scores)
{
    const struct sru_kernels *k;
    float far[3] = { 3e4f, -3e4f, 0 }, broken[3] = { 0, NAN, 1 };

    if (sru_kernels_find(all_kernels[_i], false, &k, NULL))
        return;
    ck_assert_float_eq(k->nll(3, far, 0, 0, NULL), 0);
    far[0] = 3e4f, far[1] = -3e4f, far[2] = 0;
    ck_assert_float_eq(k->nll(3, far, 1, 0, NULL), 6e4f);
    ck_assert(isnan(k->nll(3, broken, 0, 0, NULL)));
}
END_TEST

/* ---- update, measure ---------------------------------------------------------------------------- */

START_TEST(updates)
{
    struct sru_dev *dev = open_device(_i);
    const size_t n = 100003;
    double *w = random_array(n, 1, 1), *g = random_array(n, 1, 2), *m = random_array(n, 1, 3), *v = random_array(n, 1, 4);

    if (!dev)
        return;
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        struct sru_update s = {
            .n = n, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .gauge = gauge_to_device(dev, 0.5f),
            .step = step_to_device(dev, (struct sru_step){ .decay = 1e-3f, .rate = 1e-2f, .correction = 0.7f, .adaptive = adaptive }),
        };

        for (size_t i = 0; i < n; i++)
            v[i] = fabs(v[i]);
        s.w = to_device(dev, w, n), s.g = to_device(dev, g, n), s.m = to_device(dev, m, n), s.v = to_device(dev, v, n);
        dev->ops->update(dev, &s);
        for (size_t i = 0; i < n; i++) {
            m[i] = 0.9 * m[i] + 0.1 * 0.5 * g[i];
            v[i] = 0.99 * v[i] + 0.01 * 0.25 * g[i] * g[i];
            w[i] -= 1e-3 * w[i] + 1e-2 * (adaptive ? m[i] / (sqrt(v[i]) / 0.7 + 1e-8) : m[i]);
        }
        assert_near("w", n, from_device(dev, s.w, n), w, 1e-6);
        assert_near("m", n, from_device(dev, s.m, n), m, 1e-6);
        assert_near("v", n, from_device(dev, s.v, n), v, 1e-6);
        s.gauge = gauge_to_device(dev, 0);   /* diverged */
        dev->ops->update(dev, &s);
        assert_near("w", n, from_device(dev, s.w, n), w, 1e-6);
        assert_near("m", n, from_device(dev, s.m, n), m, 1e-6);
    }
    close_kernels(dev);
}
END_TEST

static struct sru_gauge measured(struct sru_dev *dev, const struct sru_measure *s)
{
    struct sru_gauge gauge;

    dev->ops->measure(dev, s);
    dev->ops->send(dev, 1, s->gauge);
    ck_assert(!dev->ops->receive(dev, 1, &gauge, NULL));
    return gauge;
}

START_TEST(measures)
{
    struct sru_dev *dev = open_device(_i);
    const size_t N = 3001, n = 100003;
    double *nll = random_array(N, 1, 1), *g = random_array(n, 1, 2), sum = 0, squares = 0;

    if (!dev)
        return;
    for (size_t i = 0; i < N; i++)
        sum += nll[i];
    for (size_t i = 0; i < n; i++)
        squares += g[i] * g[i];
    struct sru_measure s = { .N = N, .n = n, .nll = to_device(dev, nll, N), .g = to_device(dev, g, n), .gauge = gauge_to_device(dev, 1) };
    struct sru_gauge gauge = measured(dev, &s);
    ck_assert_double_eq_tol(gauge.loss, sum / (double)N, 1e-12);
    ck_assert_double_eq_tol(gauge.norm, sqrt(squares), 1e-9 * sqrt(squares));
    ck_assert(gauge.clip == 1);
    s.largest = 0.5;
    ck_assert_double_eq_tol((double)measured(dev, &s).clip, 0.5 / sqrt(squares), 1e-7 / sqrt(squares));
    s.largest = 2 * sqrt(squares);
    ck_assert(measured(dev, &s).clip == 1);
    g[n - 1] = NAN;
    s.g = to_device(dev, g, n);
    gauge = measured(dev, &s);
    ck_assert(gauge.clip == 0 && isnan(gauge.norm));
    s.n = 0;
    ck_assert(measured(dev, &s).clip == 0);   /* and so it stays */
    s.gauge = gauge_to_device(dev, 1);
    gauge = measured(dev, &s);
    ck_assert(gauge.clip == 1 && gauge.norm == 0);
    nll[7] = INFINITY;
    s.nll = to_device(dev, nll, N);
    ck_assert(measured(dev, &s).clip == 0);
    close_kernels(dev);
}
END_TEST

START_TEST(unknown_kernels)
{
    struct sru_error err;
    struct sru_dev *dev;

    ck_assert_int_eq(sru_cpu_open("mmx", SRU_PRECISION_AUTO, &dev, &err), SRU_EINVAL);
    ck_assert_ptr_null(dev);
    ck_assert_ptr_nonnull(strstr(err.message, "mmx"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("operators");
    TCase *t = tcase_create("operators");
    const int n = (int)n_all_devices;

    tcase_add_test(t, philox_known_answers);
    tcase_add_loop_test(t, masks_are_the_twins, 0, (int)n_cpu_kernels);
    tcase_add_loop_test(t, embedding, 0, n);
    tcase_add_loop_test(t, linear_products, 0, n);
    tcase_add_loop_test(t, prediction, 0, n);
    tcase_add_loop_test(t, large_predictions, 0, n);
    tcase_add_loop_test(t, prediction_of_extreme_scores, 0, (int)n_cpu_kernels);
    tcase_add_loop_test(t, picks, 0, n);
    tcase_add_loop_test(t, updates, 0, n);
    tcase_add_loop_test(t, measures, 0, n);
    tcase_add_test(t, unknown_kernels);
    suite_add_tcase(s, t);
    return run_suite(s);
}
