/* Optimizers against PyTorch's numbers; runs: learning, resuming to the bit, diverging, and what can go wrong. */
#include "config.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/model/file.h"
#include "src/train/run.h"
#include "src/train/schedule.h"
#include "src/train/trainer.h"
#include "tests/support.h"

/* ---- Optimizers ------------------------------------------------------------------------------------- */

/* Steps of the file's rates and gradients; parameters after each within 1e-6. */
static void check_optimizer(const struct sru_st_file *f, struct sru_dev *dev, const char *name)
{
    enum { STEPS = 24, N = 257 };
    static float p0[N], g[STEPS][N], w[N];
    static double expected[STEPS][N];
    float *dw, *dg, *m = zeros(dev, N), *v = zeros(dev, N);
    const char *rates = sru_st_metadata(f, "lr");
    struct sru_optimizer o;

    ck_assert(sru_optimizer_parse(name, &o));
    ck_assert(!sru_st_read_as(f, "p0", "F32", 1, (size_t[]){ N }, p0, NULL));
    ck_assert(!sru_st_read_as(f, "g", "F32", 2, (size_t[]){ STEPS, N }, g, NULL));
    ck_assert(!sru_st_read_as(f, name, "F64", 2, (size_t[]){ STEPS, N }, expected, NULL));
    dw = zeros(dev, N), dg = zeros(dev, N);
    dev->ops->put(dev, dw, p0, sizeof p0);
    for (int i = 0; i < STEPS; i++) {
        char *end;
        const double rate = strtod(rates, &end);

        rates = *end ? end + 1 : end;
        dev->ops->put(dev, dg, g[i], sizeof g[i]);
        const struct sru_now now = { step_to_device(dev, sru_optimizer_at(&o, (uint64_t)i + 1, rate, 0)), gauge_to_device(dev, 1) };
        sru_optimizer_update(&o, dev, now, N, dw, dg, m, v);
        dev->ops->get(dev, w, dw, sizeof w);
        assert_near(name, N, w, expected[i], 1e-6);
    }
}

START_TEST(optimizers_are_pytorchs)
{
    struct sru_dev *dev = open_kernels(_i);
    struct sru_st_file f;

    if (!dev)
        return;
    if (!open_optimizers(&f))
        return;
    check_optimizer(&f, dev, "radam");
    check_optimizer(&f, dev, "adamw");
    sru_st_close(&f);
    close_kernels(dev);
}
END_TEST

START_TEST(schedule)
{
    ck_assert_double_eq_tol(sru_schedule(0.05, 0.1, 2), 1, 1e-12);
    ck_assert_double_eq_tol(sru_schedule(0.1, 0.1, 2), 2, 1e-12);
    ck_assert_double_eq_tol(sru_schedule(0.55, 0.1, 2), 1, 1e-12);
    ck_assert_double_eq_tol(sru_schedule(1, 0.1, 2), 0, 1e-12);
    ck_assert_double_eq_tol(sru_schedule(0, 0, 2), 2, 1e-12);
    ck_assert_double_eq_tol(sru_schedule(2, 1, 2), 0, 1e-12);
}
END_TEST

/* ---- Runs --------------------------------------------------------------------------------------------- */

enum { SETTINGS = 12 };
static json_t *stored[SETTINGS];   /* of the settings made so far */
static char directory[32];
static char data[64];

static void setup(void)
{
    strcpy(directory, "/tmp/check_train.XXXXXX");   /* anew for each test: they may share a process */
    ck_assert_ptr_nonnull(mkdtemp(directory));
    sprintf(data, "%s/data", directory);
    FILE *f = fopen(data, "w");
    for (int i = 0; i < 400; i++)
        fprintf(f, "%d is followed by %d, and so on. ", i % 10, (i + 1) % 10);
    fclose(f);
}

static void teardown(void)
{
    char command[128];

    for (int i = 0; i < SETTINGS; i++) {
        json_decref(stored[i]);
        stored[i] = NULL;
    }
    sprintf(command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void quiet_begin(void *context, const struct sru_beginning *b)
{
    (void)context;
    ck_assert(b->memory > 4 * b->parameters * sizeof(float));
}

static void quiet_report(void *context, const struct sru_report *r)
{
    (void)context, (void)r;
}

/* Stops when the counter has run down; NULL: never. */
static bool countdown(void *context)
{
    int *left = context;

    return left && (*left)-- == 0;
}

/* A small run in DIR/name. */
static struct sru_run_settings settings(const char *name)
{
    static char out[SETTINGS][64];
    static int n;
    struct sru_run_settings s = {
        .sources = { { data }, { 90, 5, 5 } }, .out = out[n], .seed = 5, .batch = 3, .unroll = 16, .lr = 5e-3, .muon_lr = 0.02, .warmup = 0.1, .clip = 1,
        .steps = 60, .evaluations = 4, .log_every = 7, .save_every = 1e9, .stored = stored[n] = json_object(),
        .config = { .n_d = 40, .n_proj = 12, .depth = 3, .heads = 2, .attn_every_n_layers = 2, .attn_layer_norm = true,
                    .highway_bias = -2, .dropout = 0.1, .attn_dropout = 0.1, .window = 32 },
    };

    sprintf(out[n++], "%s/%s", directory, name);
    ck_assert(sru_optimizer_parse("adamw", &s.optimizer));
    return s;
}

static sru_status go(struct sru_run_settings *s, int *left, struct sru_outcome *outcome, struct sru_error *err)
{
    const struct sru_watcher w = { left, quiet_begin, quiet_report, countdown };
    struct sru_dev *dev = open_best();
    struct sru_outcome mine;

    const sru_status status = sru_run(s, dev, &w, outcome ? outcome : &mine, err);
    sru_dev_close(dev);
    return status;
}

/* Every tensor of two files, bit by bit. */
static void assert_same_tensors(const char *a, const char *b, const char *file)
{
    char path[2][128];
    struct sru_st_file f[2];

    sprintf(path[0], "%s/%s", a, file);
    sprintf(path[1], "%s/%s", b, file);
    ck_assert(!sru_st_open(path[0], &f[0], NULL) && !sru_st_open(path[1], &f[1], NULL));
    ck_assert_uint_eq(f[0].n_entries, f[1].n_entries);
    for (size_t i = 0; i < f[0].n_entries; i++) {
        const struct sru_st_entry *e = &f[0].entries[i];
        const size_t n = (size_t)(e->end - e->begin);
        void *x = malloc(n), *y = malloc(n);

        ck_assert(!sru_st_read(&f[0], e, x, n, NULL));
        ck_assert(!sru_st_read(&f[1], sru_st_find(&f[1], e->name), y, n, NULL));
        ck_assert_msg(memcmp(x, y, n) == 0, "%s: %s differs", file, e->name);
        free(x), free(y);
    }
    sru_st_close(&f[0]), sru_st_close(&f[1]);
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

static uint64_t given;

static uint64_t as_given(struct sru_dev *dev)
{
    (void)dev;
    return given;
}

/* A device that says how little it has left. */
START_TEST(what_does_not_fit_is_said)
{
    const struct sru_config c = { .vocab = 20, .n_d = 32, .n_proj = 8, .depth = 2, .heads = 1, .attn_every_n_layers = 1, .window = 8 };
    struct sru_streams streams = { .B = 40, .T = 8 };
    struct sru_dev *dev = open_best();
    const struct sru_ops *const real = dev->ops;
    struct sru_ops little = *real;
    struct sru_optimizer adamw;
    struct sru_trainer t;
    struct sru_error err;
    struct sru_lm lm;

    little.left = as_given;
    dev->ops = &little;
    ck_assert(sru_optimizer_parse("adamw", &adamw) && !sru_lm_open(&lm, &c, dev, SRU_USE_TRAIN, NULL));
    given = sru_trainer_bytes(&lm, 13, 8, &adamw);
    ck_assert(given > 0 && given < sru_trainer_bytes(&lm, 14, 8, &adamw));
    ck_assert_int_eq(sru_trainer_open(&t, &lm, &streams, &adamw, 1, 1, &err), SRU_ENOMEM);
    ck_assert_msg(strstr(err.message, "--batch 13 instead of 40") != NULL, "%s", err.message);
    given = sru_trainer_bytes(&lm, 1, 8, &adamw) - 1;
    ck_assert_int_eq(sru_trainer_open(&t, &lm, &streams, &adamw, 1, 1, &err), SRU_ENOMEM);
    ck_assert_msg(strstr(err.message, "smaller --unroll than 8") != NULL, "%s", err.message);
    given = sru_trainer_bytes(&lm, 40, 8, &adamw);
    ck_assert_int_eq(sru_trainer_open(&t, &lm, &streams, &adamw, 1, 1, &err), SRU_OK);
    sru_trainer_close(&t);
    sru_lm_close(&lm);
    dev->ops = real;
    close_kernels(dev);
}
END_TEST

START_TEST(it_learns)
{
    struct sru_run_settings s = settings("learns");
    struct sru_outcome o;

    ck_assert(sru_optimizer_parse(_i ? "muon" : "adamw", &s.optimizer));
    s.steps = 300;
    s.config.dropout = s.config.attn_dropout = 0;
    ck_assert(!go(&s, NULL, &o, NULL));
    ck_assert(o.ending == SRU_FINISHED && o.step == 300);
    ck_assert_msg(o.valid < 0.5, "the valid loss is %g nats after 300 steps on a text that repeats itself", o.valid);
    ck_assert(fabs(o.test - o.valid) < 0.3);
}
END_TEST

/* N + M steps are the bits of N, then M: stopped by request, by an option, in mid-epoch, at another place than an evaluation. */
START_TEST(resume_is_exact)
{
    struct sru_run_settings whole = settings("whole"), parts = settings("parts");
    struct sru_outcome o;
    int left = 11;

    ck_assert(sru_optimizer_parse(_i ? "muon" : "adamw", &whole.optimizer));
    parts.optimizer = whole.optimizer;
    ck_assert(!go(&whole, NULL, NULL, NULL));
    ck_assert(!go(&parts, &left, &o, NULL));
    ck_assert(o.ending == SRU_INTERRUPTED && o.step == 11);
    parts.resume = true;
    parts.stop_at = 37;
    ck_assert(!go(&parts, NULL, &o, NULL));
    ck_assert(o.ending == SRU_STOPPED_AT && o.step == 37);
    parts.stop_at = 0;
    ck_assert(!go(&parts, NULL, &o, NULL));
    ck_assert(o.ending == SRU_FINISHED && o.step == 60);
    assert_same_tensors(whole.out, parts.out, "last.safetensors");
    assert_same_tensors(whole.out, parts.out, "best.safetensors");
}
END_TEST

/* The number of threads is not part of a result's definition, but the same number gives the same bits; so do equal runs. */
START_TEST(equal_runs_are_equal)
{
    struct sru_run_settings a = settings("a"), b = settings("b");

    ck_assert(!go(&a, NULL, NULL, NULL) && !go(&b, NULL, NULL, NULL));
    assert_same_tensors(a.out, b.out, "last.safetensors");
}
END_TEST

START_TEST(metrics_are_continuous)
{
    struct sru_run_settings s = settings("metrics");
    char path[128], line[512];
    int left = 10, lines = 0, evaluated = 0;
    json_int_t before = 0;

    ck_assert(!go(&s, &left, NULL, NULL));
    sprintf(path, "%s/metrics.jsonl", s.out);
    FILE *f = fopen(path, "a");
    fputs("{\"step\": 14}\n{\"torn", f);   /* as a crash after the checkpoint leaves it */
    fclose(f);
    s.resume = true;
    ck_assert(!go(&s, NULL, NULL, NULL));
    f = fopen(path, "r");
    while (fgets(line, sizeof line, f)) {
        json_t *r = json_loads(line, 0, NULL);
        const json_int_t step = json_integer_value(json_object_get(r, "step"));

        ck_assert(json_object_size(r) == 6 && step > before);
        ck_assert(json_integer_value(json_object_get(r, "tokens")) == step * 48);
        ck_assert(json_is_real(json_object_get(r, "train_bits")));
        evaluated += json_is_real(json_object_get(r, "valid_bits"));
        before = step;
        lines++;
        json_decref(r);
    }
    fclose(f);
    ck_assert_int_eq(evaluated, 4);
    ck_assert_int_eq(lines, 4 + 60 / 7);
    ck_assert_int_eq(before, 60);
}
END_TEST

START_TEST(divergence_keeps_the_last_checkpoint)
{
    struct sru_run_settings s = settings("diverges");
    struct sru_error err;
    struct sru_outcome o;

    s.stop_at = 20;
    ck_assert(!go(&s, NULL, &o, NULL));
    s.resume = true, s.stop_at = 0, s.lr = 1e30;
    ck_assert_int_eq(go(&s, NULL, &o, &err), SRU_EDIVERGED);
    ck_assert_ptr_nonnull(strstr(err.message, "diverged at step"));
    s.lr = 5e-3;
    ck_assert(!go(&s, NULL, &o, NULL));
    ck_assert_uint_eq(o.step, 60);
}
END_TEST

START_TEST(what_can_go_wrong)
{
    struct sru_run_settings s = settings("wrong");
    struct sru_error err;
    char path[128];

    s.resume = true;
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EIO);      /* nothing to resume */
    s.resume = false;
    s.sources.path[SRU_TRAIN] = "/nowhere";
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EIO);
    ck_assert_int_ne(access(s.out, F_OK), 0);                 /* and no directory made */
    s.sources.path[SRU_TRAIN] = data, s.batch = 100000;
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.message, "too short"));
    s.batch = 3;
    ck_assert(!go(&s, NULL, NULL, &err));
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EIO);      /* holds a run */
    ck_assert_ptr_nonnull(strstr(err.message, "--resume"));
    s.resume = true;
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EINVAL);   /* finished */
    s.steps = 70;
    FILE *f = fopen(data, "a");
    fputs("more", f);
    fclose(f);
    ck_assert_int_eq(go(&s, NULL, NULL, &err), SRU_EFORMAT);  /* another text */
    sprintf(path, "%s/last.safetensors", s.out);
    ck_assert_int_eq(truncate(path, 1000), 0);
    ck_assert_int_ne(go(&s, NULL, NULL, &err), SRU_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("training");
    TCase *t = tcase_create("optimizers"), *r = tcase_create("runs");

    tcase_add_loop_test(t, optimizers_are_pytorchs, 0, (int)n_all_kernels);
    tcase_add_test(t, schedule);
    tcase_add_test(t, what_does_not_fit_is_said);
    tcase_set_timeout(r, 120);
    tcase_add_checked_fixture(r, setup, teardown);
    tcase_add_loop_test(r, it_learns, 0, 2);
    tcase_add_loop_test(r, resume_is_exact, 0, 2);
    tcase_add_test(r, equal_runs_are_equal);
    tcase_add_test(r, metrics_are_continuous);
    tcase_add_test(r, divergence_keeps_the_last_checkpoint);
    tcase_add_test(r, what_can_go_wrong);
    suite_add_tcase(s, t);
    suite_add_tcase(s, r);
    return run_suite(s);
}
