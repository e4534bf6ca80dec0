/* sru-lm bench */
#include "config.h"

#include <unistd.h>

#include "src/cli/bench-report.h"
#include "src/cli/train-options.h"

struct settings {
    double seconds;
    bool   json;
    size_t batch, unroll;   /* 0: the preset's */
    const char *optimizer;  /* NULL: the same */
    struct sru_device_settings device;
};

#define MANY 1048576   /* of streams and of positions: their product times any size is no overflow */
#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "seconds", 's', SRU_OPT_DURATION, "TIME", "Length of each measurement (default: 2s).", AT(seconds), 1e-3, 86400 },
    { "json", 'j', SRU_OPT_FLAG, NULL, "Print one JSON object at the end, with more figures.", AT(json), 0, 0 },
    { "batch", 'b', SRU_OPT_SIZE, "N", "Streams to train with; 0: the preset's (default: 0).", AT(batch), 0, MANY },
    { "unroll", 'u', SRU_OPT_SIZE, "N", "Positions of a step; 0: the preset's (default: 0).", AT(unroll), 0, MANY },
    { "optimizer", 0, SRU_OPT_STRING, "NAME", "adamw, muon or radam (default: the preset's).", AT(optimizer), 0, 0 },
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* A preset as `train` runs it, on a text of all bytes.  SRU_EINVAL for an unknown one. */
static sru_status find_preset(const char *name, const struct settings *s, struct sru_bench_model *m, struct sru_error *err)
{
    struct sru_train_options o;
    struct sru_optimizer optimizer;
    struct sru_params params;

    if (s->optimizer && sru_train_optimizer(s->optimizer, &optimizer, err))
        return SRU_EINVAL;
    if (!sru_train_preset(name, &o))
        return sru_fail(err, SRU_EINVAL, "no preset is named '%.60s': there are %s", name, sru_preset_names);
    *m = (struct sru_bench_model){ .name = name, .config = o.config, .optimizer = s->optimizer ? s->optimizer : o.optimizer };
    m->B = s->batch ? s->batch : o.batch;
    m->T = s->unroll ? s->unroll : o.unroll;
    o.unroll = m->T;
    sru_status status = sru_train_config(&o, o.usual_vocab ? o.usual_vocab : 256, &m->config, err);
    if (!status)
        status = sru_params_open(&params, &m->config, err);
    if (!status) {
        m->parameters = params.count;
        sru_params_close(&params);
    }
    return status;
}

/* What is being done now, for one who waits; it goes when the next line is printed. */
static void say(const char *what, const char *of)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s%s%s", of, *of ? ": " : "", what);
}

static struct sru_step_product cube(size_t side)
{
    return (struct sru_step_product){ .name = "cube", .m = side, .k = side, .n = side, .count = 1, .f32_out = true };
}

static sru_status measure_processor(struct sru_bench_host *h, double seconds, struct sru_error *err)
{
    sru_status status;

    say("memory", "");
    h->array_bytes = SRU_TRIAD_BYTES;
    if ((status = sru_triad(seconds, 1, &h->memory[0], err)) || (status = sru_triad(seconds, h->dev->threads, &h->memory[1], err)))
        return status;
    say("products", "");
    h->side = 2048;
    const struct sru_step_product p = cube(h->side);
    for (int i = 0; i < SRU_PRECISIONS && !status; i++)
        status = sru_matmul_measure(&p, i == SRU_BF16, seconds, &h->cube[i], err);
    return status;
}

/* The work must fill it. */
static sru_status measure_gpu(struct sru_bench_host *h, struct sru_dev *dev, double seconds, struct sru_error *err)
{
    sru_status status;

    say("memory", "");
    h->array_bytes = SRU_COPY_BYTES;
    snprintf(h->machine.library, sizeof h->machine.library, "%s", dev->kernels);
    if ((status = sru_device_copy_rate(dev, h->array_bytes, seconds, &h->memory[1], err)))
        return status;
    h->memory[0] = h->memory[1];
    say("products", "");
    h->side = 8192;
    const struct sru_step_product p = cube(h->side);
    for (int i = 0; i < SRU_PRECISIONS && !status; i++)
        status = sru_device_matmul(dev, &p, i == SRU_BF16, seconds, &h->cube[i], err);
    return status;
}

static sru_status measure_host(struct sru_bench_host *h, struct sru_dev *dev, double seconds, struct sru_error *err)
{
    *h = (struct sru_bench_host){ .dev = dev, .machine = sru_machine_describe() };
    const sru_status status = sru_is_cpu(dev) ? measure_processor(h, seconds, err) : measure_gpu(h, dev, seconds, err);
    say("", "");
    return status;
}

static sru_status measure_preset(struct sru_bench_figures *f, const struct settings *s, struct sru_dev *dev, struct sru_error *err)
{
    const struct sru_bench_model *m = &f->model;
    const int threads = sru_device_prefers_alone(&s->device, m->parameters) ? 1 : dev->threads;
    sru_status status;

    say("products", m->name);
    if ((status = sru_matmuls_measure(m, dev, s->seconds, &f->matmuls, err)))
        return status;
    say("training", m->name);
    if ((status = sru_bench_train(m, dev, s->seconds, &f->training, err)))
        return status;
    say("recurrence", m->name);
    f->recurrence.elements = 0;
    if (sru_is_cpu(dev) && (status = sru_bench_scan(m, dev, s->seconds, &f->recurrence, err)))
        return status;
    say("generation", m->name);
    status = sru_bench_generate(m, dev, threads, s->seconds, &f->generation, err);
    say("", "");
    return status;
}

/* Figures are printed as they come, or gathered in `object`, whose presets are `list`. */
static sru_status report_host(const struct sru_bench_host *host, json_t *object, struct sru_error *err)
{
    if (!object)
        sru_bench_print_host(host);
    else if (json_object_update_new(object, sru_bench_host_to_json(host)) || json_object_set_new(object, "presets", json_array()))
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    return SRU_OK;
}

static sru_status report_preset(const struct sru_bench_host *host, const struct sru_bench_figures *f, json_t *object,
                                struct sru_error *err)
{
    if (!object)
        sru_bench_print_preset(host, f);
    else if (json_array_append_new(json_object_get(object, "presets"), sru_bench_preset_to_json(host, f)))
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    return SRU_OK;
}

static sru_status bench(const struct settings *s, struct sru_dev *dev, int n, const char *const *names, json_t *object,
                        struct sru_error *err)
{
    struct sru_bench_host host;
    struct sru_bench_figures f;
    sru_status status = measure_host(&host, dev, s->seconds, err);

    if (!status)
        status = report_host(&host, object, err);
    for (int i = 0; i < n && !status; i++)
        if (!(status = find_preset(names[i], s, &f.model, err)) && !(status = measure_preset(&f, s, dev, err)))
            status = report_preset(&host, &f, object, err);
    return status;
}

static int bench_and_print(const struct settings *s, struct sru_dev *dev, int n, const char *const *names)
{
    json_t *object = s->json ? json_object() : NULL;
    struct sru_error err;
    const sru_status status = bench(s, dev, n, names, object, &err);

    if (!status && object) {
        json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(object);
    return status ? sru_report_error(&err) : SRU_EXIT_OK;
}

static int run(int argc, char **argv)
{
    static const char *const all[] = { "tiny", "small", "medium" };
    const char *const *names = (const char *const *)argv;
    struct settings s = { .seconds = 2 };
    struct sru_bench_model m;
    struct sru_dev *dev;
    struct sru_error err;
    int first;

    if (sru_options_parse(table, &s, NULL, argc, argv, &first, &err))
        return sru_usage(&sru_cmd_bench, "%s", err.message);
    for (int i = first; i < argc; i++)
        if (find_preset(argv[i], &s, &m, &err))
            return sru_usage(&sru_cmd_bench, "%s", err.message);
    if (!s.device.device)
        s.device.device = "cpu";
    const sru_status opened = sru_device_open(&s.device, &dev, &err);
    if (opened)
        return opened == SRU_EINVAL ? sru_usage(&sru_cmd_bench, "%s", err.message) : sru_report_error(&err);
    const int code = first < argc ? bench_and_print(&s, dev, argc - first, names + first)
                                  : bench_and_print(&s, dev, sizeof all / sizeof *all, all);
    sru_dev_close(dev);
    return code;
}

const struct sru_cmd sru_cmd_bench = {
    .name = "bench",
    .synopsis = "[OPTION]... [PRESET]...",
    .summary = "Measure how fast this machine trains and generates.",
    .description =
        "Measure the machine's rates of matrix products and of memory, and beside them how fast\n"
        "presets train and generate. Without a PRESET: tiny, small and medium, about a minute;\n"
        "without --device: the processor.\n\n"
        "  sru-lm bench\n"
        "  sru-lm bench --device cuda --batch 16 --unroll 1024 enwik8-base\n"
        "  sru-lm bench --json --threads 1 tiny",
    .table = &table,
    .run = run,
};
