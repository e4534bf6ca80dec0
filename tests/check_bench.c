/* What `sru-lm bench` counts, and that its clocks leave the device as it was. */
#include "config.h"

#include <math.h>

#include "src/bench/bench.h"
#include "tests/support.h"

static struct sru_bench_model model(size_t every)
{
    struct sru_bench_model m = { .name = "test", .config = sru_config_default(), .B = 2, .T = 16, .optimizer = "muon" };
    struct sru_params params;

    m.config.vocab = 256;
    m.config.n_d = 64;
    m.config.n_proj = 16;
    m.config.depth = 4;
    m.config.attn_every_n_layers = every;
    m.config.window = 32;
    ck_assert_int_eq(sru_params_open(&params, &m.config, NULL), SRU_OK);
    m.parameters = params.count;
    sru_params_close(&params);
    return m;
}

/* The products that are measured are those that are counted: operator by operator, but for attention, which has none with weights. */
START_TEST(products)
{
    for (size_t every = 1; every <= 2; every++) {
        const struct sru_bench_model m = model(every);
        struct sru_step_product p[SRU_PRODUCTS];
        const size_t n = sru_step_products(&m, p);

        for (int op = 0; op < SRU_TIMED; op++)
            for (int k = 0; k < SRU_DIRECTIONS; k++) {
                double sum = 0;

                for (size_t i = 0; i < n; i++)
                    if (p[i].op == (enum sru_timed)op && p[i].direction == k)
                        sum += (double)p[i].count * sru_product_flops(&p[i]);
                if (op != SRU_ATTEND)
                    ck_assert_double_eq(sru_cost_of(&m, op, k, 4).flops, sum);
            }
    }
}
END_TEST

/* By hand: a query of position t sees M + t + 1 keys. */
START_TEST(attention)
{
    const struct sru_bench_model m = model(1);
    double forward = 0;

    for (size_t t = 0; t < m.T; t++)
        forward += (double)m.B * 4 * 2 * 2 * (double)(m.config.n_proj * (m.T + t + 1));
    ck_assert_double_eq(sru_cost_of(&m, SRU_ATTEND, SRU_FORWARD, 4).flops, forward);
    ck_assert_double_eq(sru_cost_of(&m, SRU_ATTEND, SRU_BACKWARD, 4).flops, 2 * forward);
}
END_TEST

/* A token reads every parameter but the other embeddings, and the cache. */
START_TEST(one_token)
{
    const struct sru_bench_model m = model(1);
    const double weights = (double)m.parameters - 255 * 64, cache = 4 * 2 * 33 * 16;

    ck_assert_double_eq(sru_cost_of_token(&m, 4).bytes, 4 * (weights + cache));
}
END_TEST

START_TEST(rate_of_a_product)
{
    const struct sru_step_product p = { .name = "p", .m = 32, .k = 48, .n = 64, .count = 1 };
    struct sru_matmul is;

    ck_assert_int_eq(sru_matmul_measure(&p, false, 1e-3, &is, NULL), SRU_OK);
    ck_assert(is.rate > 0 && is.by[0]);
    ck_assert_int_eq(sru_matmul_measure(&p, true, 1e-3, &is, NULL), SRU_OK);
    ck_assert(is.rate > 0 || isnan(is.rate));
}
END_TEST

START_TEST(training)
{
    const struct sru_bench_model m = model(2);
    struct sru_training t;
    struct sru_dev *dev;
    double sum = 0;

    ck_assert_int_eq(sru_cpu_open(NULL, SRU_PRECISION_AUTO, &dev, NULL), SRU_OK);
    const struct sru_ops *ops = dev->ops;
    ck_assert_int_eq(sru_bench_train(&m, dev, 1e-3, &t, NULL), SRU_OK);
    ck_assert_ptr_eq(dev->ops, ops);
    for (int op = 0; op < SRU_TIMED; op++) {
        ck_assert(t.times.seconds[op][SRU_FORWARD] > 0 || t.times.seconds[op][SRU_BACKWARD] > 0);
        sum += t.times.seconds[op][SRU_FORWARD] + t.times.seconds[op][SRU_BACKWARD];
    }
    ck_assert(sum < t.mean);
    ck_assert(t.step.least <= t.step.low && t.step.low <= t.step.median && t.step.median <= t.step.high);
    sru_dev_close(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench");
    TCase *t = tcase_create("bench");

    tcase_add_test(t, products);
    tcase_add_test(t, attention);
    tcase_add_test(t, one_token);
    tcase_add_test(t, rate_of_a_product);
    tcase_add_test(t, training);
    suite_add_tcase(s, t);
    return run_suite(s);
}
