/* Muon: the operator against its double-precision twin on every device, and against PyTorch's numbers. */
#include "config.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "src/train/optimizer.h"
#include "tests/reference/reference.h"
#include "tests/support.h"

/* A matrix alone, and planes that stand in one another; what lies between them stays. */
START_TEST(steps_are_the_twins)
{
    static const struct sru_muon_matrix matrices[] = {
        { 3, 16, 48, 48, 1 }, { 800, 48, 16, 16, 1.7f }, { 1600, 24, 24, 24, 1 }, { 2300, 8, 33, 99, 2 }, { 2333, 8, 33, 99, 2 },
        { 3100, 9, 2, 2, 1 }, { 3120, 1, 5, 5, 1 }, { 3126, 1, 1, 1, 1 },
        { 3200, 200, 330, 330, 1 }, { 70000, 330, 200, 200, 1.3f },
    };
    struct sru_dev *dev = open_device(_i);
    const size_t n = 136100;
    double *w = random_array(n, 1, 1), *g = random_array(n, 1, 2), *m = random_array(n, 0.1, 3);
    const struct sru_shape shape = { .B = 1, .T = 1, .d = 330, .p = 200, .H = 1, .V = 1, .train = true, .muon = true };

    struct sru_step step = { .muon_rate = 0.5f, .muon_decay = 0.25f };

    if (!dev)
        return;
    struct sru_muon s = {
        .n = sizeof matrices / sizeof *matrices, .matrices = matrices, .w = to_device(dev, w, n), .g = to_device(dev, g, n),
        .m = to_device(dev, m, n), .momentum = 0.95f, .step = step_to_device(dev, step), .gauge = gauge_to_device(dev, 0.5f),
    };
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->muon(dev, &s);
    ref_muon(&s, &step, 0.5, w, g, m);
    assert_near("w", n, from_device(dev, s.w, n), w, 1e-5);
    assert_near("m", n, from_device(dev, s.m, n), m, 1e-6);
    ck_assert(!dev->ops->sync(dev, NULL));
    dev->ops->zero(dev, s.g, n * sizeof *s.g);
    dev->ops->zero(dev, s.m, n * sizeof *s.m);
    step.muon_decay = 0;
    s.step = step_to_device(dev, step);
    dev->ops->muon(dev, &s);   /* nothing to go by: no step, and no NaN */
    assert_near("w", n, from_device(dev, s.w, n), w, 1e-5);
    s.gauge = gauge_to_device(dev, 0);   /* diverged */
    step.muon_decay = 0.5f;
    s.step = step_to_device(dev, step);
    dev->ops->muon(dev, &s);
    assert_near("w", n, from_device(dev, s.w, n), w, 1e-5);
    close_kernels(dev);
}
END_TEST

enum { ROWS = 40, COLS = 100, N = 7 };

/* The weights of some matrices after a step, done by so many threads. */
static void step_by(int threads, float out[N * ROWS * COLS])
{
    const size_t n = N * ROWS * COLS;
    const struct sru_shape shape = { .B = 1, .T = 1, .d = COLS, .p = ROWS, .H = 1, .V = 1, .train = true, .muon = true };
    struct sru_muon_matrix x[N];
    struct sru_dev *dev;
    const int before = omp_get_max_threads();

    for (size_t i = 0; i < N; i++)
        x[i] = (struct sru_muon_matrix){ i * ROWS * COLS, ROWS, COLS, COLS, 1 };
    omp_set_num_threads(threads);
    ck_assert(!sru_cpu_open(NULL, SRU_PRECISION_AUTO, &dev, NULL));
    float *w = zeros(dev, n), *g = to_device(dev, random_array(n, 1, 2), n), *m = zeros(dev, n);
    const struct sru_muon s = { .n = N, .matrices = x, .w = w, .g = g, .m = m, .momentum = 0.95f, .gauge = gauge_to_device(dev, 1),
                                .step = step_to_device(dev, (struct sru_step){ .muon_rate = 1 }) };
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->muon(dev, &s);
    dev->ops->get(dev, out, w, n * sizeof *out);
    omp_set_num_threads(before);
    close_kernels(dev);
}

START_TEST(threads_change_nothing)
{
    static float one[N * ROWS * COLS], three[N * ROWS * COLS];

    step_by(1, one);
    step_by(3, three);
    ck_assert_mem_eq(one, three, sizeof one);
    ck_assert_float_ne(one[0], 0);
}
END_TEST

/* Muon's steps at a rate of .02: PyTorch's parameters are in double precision, and orthogonal matrices of f32 within 1e-5. */
static void check_muon(const struct sru_st_file *f, struct sru_dev *dev, size_t rows, size_t cols)
{
    enum { STEPS = 6, MOST = 1024 };
    static float p0[MOST], g[STEPS][MOST], w[MOST];
    static double expected[STEPS * MOST];
    const size_t n = rows * cols;
    const struct sru_muon_matrix x = { 0, rows, cols, cols, rows > cols ? sqrtf((float)rows / (float)cols) : 1 };
    const struct sru_shape shape = { .B = 1, .T = 1, .d = 48, .p = 48, .H = 1, .V = 1, .train = true, .muon = true };
    float *dw = zeros(dev, n), *dg = zeros(dev, n), *m = zeros(dev, n);
    struct sru_optimizer o;
    char name[32];

    ck_assert(sru_optimizer_parse("muon", &o));
    sprintf(name, "muon.%zux%zu", rows, cols);
    ck_assert(!sru_st_read_as(f, name, "F64", 3, (size_t[]){ STEPS, rows, cols }, expected, NULL));
    sprintf(name, "muon.%zux%zu.g", rows, cols);
    ck_assert(!sru_st_read_as(f, name, "F32", 3, (size_t[]){ STEPS, rows, cols }, g, NULL));
    sprintf(name, "muon.%zux%zu.p0", rows, cols);
    ck_assert(!sru_st_read_as(f, name, "F32", 2, (size_t[]){ rows, cols }, p0, NULL));
    ck_assert(!dev->ops->reserve(dev, &shape, NULL));
    dev->ops->put(dev, dw, p0, n * sizeof *p0);
    const struct sru_now now = { step_to_device(dev, sru_optimizer_at(&o, 1, 0, 0.02)), gauge_to_device(dev, 1) };
    for (int i = 0; i < STEPS; i++) {
        dev->ops->put(dev, dg, (float *)g + (size_t)i * n, n * sizeof *p0);
        sru_optimizer_muon(dev, now, &x, 1, dw, dg, m);
        dev->ops->get(dev, w, dw, n * sizeof *w);
        assert_near(name, n, w, expected + (size_t)i * n, 1e-5);
    }
}

START_TEST(steps_are_pytorchs)
{
    struct sru_dev *dev = open_kernels(_i);
    struct sru_st_file f;

    if (!dev)
        return;
    if (!open_optimizers(&f))
        return;
    check_muon(&f, dev, 16, 48);
    check_muon(&f, dev, 32, 32);
    check_muon(&f, dev, 48, 16);
    sru_st_close(&f);
    close_kernels(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("muon");
    TCase *t = tcase_create("muon");

    tcase_add_loop_test(t, steps_are_the_twins, 0, (int)n_all_devices);
    tcase_add_test(t, threads_change_nothing);
    tcase_add_loop_test(t, steps_are_pytorchs, 0, (int)n_all_kernels);
    suite_add_tcase(s, t);
    return run_suite(s);
}
