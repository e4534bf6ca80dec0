/* sru-lm bench */
#include "config.h"

#include "src/cli/bench-report.h"
#include "src/cli/train-options.h"

struct settings {
    double seconds;
    bool   json;
    struct sru_device_settings device;
};

#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "seconds", 's', SRU_OPT_DURATION, "TIME", "Length of each measurement (default: 2s).", AT(seconds), 1e-3, 86400 },
    { "json", 'j', SRU_OPT_FLAG, NULL, "Print one JSON object, with more figures, at the end.", AT(json), 0, 0 },
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* A preset as `train` runs it; a text of all bytes. */
static bool find_preset(const char *name, struct sru_bench_model *m)
{
    struct sru_train_options o;

    if (!sru_train_preset(name, &o))
        return false;
    *m = (struct sru_bench_model){ .name = name, .config = o.config, .B = o.batch, .T = o.unroll };
    m->config.vocab = 256;
    m->config.window = 2 * o.unroll;
    return true;
}

static sru_status memory(struct sru_bench_report *r, double seconds, const struct sru_dev *dev, struct sru_error *err)
{
    double rate[2];
    sru_status status;

    sru_bench_report_doing(r, "memory", "");
    if ((status = sru_triad(seconds, 1, &rate[0], err)) || (status = sru_triad(seconds, dev->threads, &rate[1], err)))
        return status;
    sru_bench_report_memory(r, rate, dev->threads);
    return SRU_OK;
}

static sru_status cube(struct sru_bench_report *r, double seconds, struct sru_error *err)
{
    const struct sru_product p = { "cube", 2048, 2048, 2048, 1, true };
    struct sru_matmul is[SRU_PRECISIONS];
    sru_status status;

    sru_bench_report_doing(r, "products", "");
    if ((status = sru_matmul_measure(&p, false, seconds, &is[SRU_F32], err))
        || (status = sru_matmul_measure(&p, true, seconds, &is[SRU_BF16], err)))
        return status;
    sru_bench_report_cube(r, is);
    return SRU_OK;
}

static sru_status preset(struct sru_bench_report *r, double seconds, struct sru_dev *dev, const char *name, struct sru_error *err)
{
    struct sru_bench_model m;
    struct sru_training training;
    struct sru_matmuls matmuls;
    sru_status status;

    find_preset(name, &m);
    sru_bench_report_preset(r, &m, 0);
    sru_bench_report_doing(r, name, "products");
    if ((status = sru_matmuls_measure(&m, seconds, &matmuls, err)))
        return status;
    sru_bench_report_matmuls(r, &matmuls);
    sru_bench_report_doing(r, name, "training");
    if ((status = sru_bench_train(&m, dev, seconds, &training, err)))
        return status;
    printf("%s %.0f tokens/s\n", name, (double)(m.B * m.T) / training.step.median);
    return SRU_OK;
}

static sru_status bench(const struct settings *s, struct sru_dev *dev, int n, char **names, struct sru_error *err)
{
    struct sru_bench_report r = sru_bench_report_begin(s->json);
    const struct sru_machine machine = sru_machine_describe();
    sru_status status;

    sru_bench_report_machine(&r, &machine, dev);
    if (!(status = memory(&r, s->seconds, dev, err)))
        status = cube(&r, s->seconds, err);
    for (int i = 0; i < n && !status; i++)
        status = preset(&r, s->seconds, dev, names[i], err);
    sru_bench_report_end(&r);
    return status;
}

static int run(int argc, char **argv)
{
    static char tiny[] = "tiny", small[] = "small", medium[] = "medium";
    char *all[] = { tiny, small, medium };
    struct settings s = { .seconds = 2 };
    struct sru_bench_model m;
    struct sru_dev *dev;
    struct sru_error err;
    int first;

    if (sru_options_parse(table, &s, NULL, argc, argv, &first, &err))
        return sru_usage(&sru_cmd_bench, "%s", err.message);
    for (int i = first; i < argc; i++)
        if (!find_preset(argv[i], &m))
            return sru_usage(&sru_cmd_bench, "no preset is named '%.60s': there are %s", argv[i], sru_preset_names);
    const sru_status opened = sru_device_open(&s.device, &dev, &err);
    if (opened)
        return opened == SRU_EINVAL ? sru_usage(&sru_cmd_bench, "%s", err.message) : sru_report_error(&err);
    const sru_status status = first < argc ? bench(&s, dev, argc - first, argv + first, &err) : bench(&s, dev, 3, all, &err);
    sru_dev_close(dev);
    return status ? sru_report_error(&err) : SRU_EXIT_OK;
}

const struct sru_cmd sru_cmd_bench = {
    .name = "bench",
    .synopsis = "[OPTION]... [PRESET]...",
    .summary = "Measure how fast this machine trains and generates.",
    .description =
        "Measure the machine's rates of matrix products and of memory, and how fast presets train\n"
        "and generate beside them; about a minute for tiny, small and medium.\n\n"
        "  sru-lm bench\n"
        "  sru-lm bench --json --threads 1 tiny",
    .table = &table,
    .run = run,
};
