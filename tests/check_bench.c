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
    struct sru_dev *dev = open_kernels(0);
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
                    ck_assert_double_eq(sru_cost_of(&m, op, k, dev).flops, sum);
            }
    }
    close_kernels(dev);
}
END_TEST

/* By hand: a query of position t sees M + t + 1 keys. */
START_TEST(attention)
{
    struct sru_dev *dev = open_kernels(0);
    const struct sru_bench_model m = model(1);
    double forward = 0;

    for (size_t t = 0; t < m.T; t++)
        forward += (double)m.B * 4 * 2 * 2 * (double)(m.config.n_proj * (m.T + t + 1));
    ck_assert_double_eq(sru_cost_of(&m, SRU_ATTEND, SRU_FORWARD, dev).flops, forward);
    ck_assert_double_eq(sru_cost_of(&m, SRU_ATTEND, SRU_BACKWARD, dev).flops, 2 * forward);
    close_kernels(dev);
}
END_TEST

/* A token reads every parameter but the other embeddings, and the cache. */
START_TEST(one_token)
{
    struct sru_dev *dev = open_kernels(0);
    const struct sru_bench_model m = model(1);
    const double weights = (double)m.parameters - 255 * 64, cache = 4 * 2 * 33 * 16;

    ck_assert_double_eq(sru_cost_of_token(&m, dev).bytes, 4 * (weights + cache));
    close_kernels(dev);
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

/* What measures GPUs, on the processor: of every way that operands stand, in the precision that the device has and no other. */
START_TEST(rates_by_operators)
{
    struct sru_matmul is;
    struct sru_dev *dev;
    double rate;

    ck_assert_int_eq(sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL), SRU_OK);
    for (int stand = SRU_NONE_TURNED; stand <= SRU_FIRST_TURNED; stand++) {
        const struct sru_step_product p = { .name = "p", .m = 33, .k = 48, .n = 65, .count = 1, .stand = (enum sru_operands)stand };

        ck_assert_int_eq(sru_device_matmul(dev, &p, false, 1e-3, &is, NULL), SRU_OK);
        ck_assert(is.rate > 0 && is.by[0]);
        ck_assert_int_eq(sru_device_matmul(dev, &p, true, 1e-3, &is, NULL), SRU_OK);
        ck_assert(isnan(is.rate));
    }
    ck_assert_int_eq(sru_device_copy_rate(dev, (5 << 20) + 4, 1e-3, &rate, NULL), SRU_OK);
    ck_assert(rate > 0);
    sru_dev_close(dev);
}
END_TEST

/* A device that queues: the processor under another name, whose syncs are counted, and fail when they are told to. */
static const struct sru_ops *real;
static size_t syncs, failing;

static sru_status sync_counted(struct sru_dev *dev, struct sru_error *err)
{
    return ++syncs == failing ? sru_fail(err, SRU_EDEVICE, "the device is gone") : real->sync(dev, err);
}

START_TEST(waits_before_clocks)
{
    struct sru_op_times times = { 0 };
    struct sru_ops_timing timing;
    struct sru_error err;
    struct sru_dev *dev;

    ck_assert_int_eq(sru_cpu_open(NULL, SRU_PRECISION_F32, &dev, NULL), SRU_OK);
    struct sru_ops ops = *dev->ops;
    const char *name = dev->name;
    real = dev->ops;
    ops.sync = sync_counted;
    dev->ops = &ops;
    float *p = ops.alloc(dev, 64);
    struct sru_gauge gauge = { .clip = 1 };
    const struct sru_measure measure = { .N = 16, .n = 16, .nll = p, .g = p, .gauge = &gauge };
    for (int queues = 0; queues <= 2; queues++) {
        dev->name = queues ? "queue" : name;
        syncs = 0;
        failing = queues == 2;
        sru_ops_timing_begin(&timing, dev, &times);
        dev->ops->zero(dev, p, 64);
        dev->ops->measure(dev, &measure);
        ck_assert_int_eq(sru_ops_timing_end(&timing, dev, &err), queues == 2 ? SRU_EDEVICE : SRU_OK);
        ck_assert_uint_eq(syncs, queues == 0 ? 0 : queues == 1 ? 4 : 1);
        ck_assert_ptr_eq(dev->ops, &ops);
    }
    ck_assert_str_eq(err.message, "the device is gone");
    ops.release(dev, p);
    dev->ops = real;
    dev->name = name;
    sru_dev_close(dev);
}
END_TEST

/* Of such a device the steps are measured as they are, and again with the clock on. */
START_TEST(training_of_a_queue)
{
    const struct sru_bench_model m = model(2);
    struct sru_training t;
    struct sru_dev *dev;

    ck_assert_int_eq(sru_cpu_open(NULL, SRU_PRECISION_AUTO, &dev, NULL), SRU_OK);
    const char *name = dev->name;
    dev->name = "queue";
    ck_assert_int_eq(sru_bench_train(&m, dev, 1e-3, &t, NULL), SRU_OK);
    dev->name = name;
    ck_assert(t.step.n >= 4 && t.step.median > 0 && t.mean > 0);
    ck_assert(t.times.seconds[SRU_RECUR][SRU_FORWARD] > 0 && t.times.seconds[SRU_RECUR][SRU_FORWARD] < t.mean);
    sru_dev_close(dev);
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
    ck_assert(t.bytes > 16.0 * (double)m.parameters);
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
    tcase_add_test(t, rates_by_operators);
    tcase_add_test(t, waits_before_clocks);
    tcase_add_test(t, training);
    tcase_add_test(t, training_of_a_queue);
    suite_add_tcase(s, t);
    return run_suite(s);
}
