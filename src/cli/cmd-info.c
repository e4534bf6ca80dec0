/* sru-lm info */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/cli/load.h"
#include "src/cli/progress.h"
#include "src/cli/train-options.h"
#include "src/model/decode.h"
#include "src/train/checkpoint.h"

struct settings {
    const char *preset;
    size_t batch, unroll, vocabulary;
    struct sru_device_settings device;
};

static const struct sru_option options[] = {
    { "preset", 'p', SRU_OPT_STRING, "NAME", "Describe a preset of train instead of a file.",
      offsetof(struct settings, preset), 0, 0 },
    { "batch", 'b', SRU_OPT_SIZE, "N", "Streams B to plan training for (default: the run's, or the preset's).",
      offsetof(struct settings, batch), 0, 1073741824 },
    { "unroll", 'u', SRU_OPT_SIZE, "N", "Positions T to plan training for (default: likewise).", offsetof(struct settings, unroll), 0,
      1073741824 },
    { "vocabulary", 0, SRU_OPT_SIZE, "N", "Tokens of a preset's vocabulary (default: those of the corpus it is for, or 256).",
      offsetof(struct settings, vocabulary), 0, 1073741824 },
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* ---- Parts of the description --------------------------------------------------------------------- */

/* "  key   value", of any JSON value. */
static void print_value(const char *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

    printf("  %-20s %s\n", key, text ? text : "");
    free(text);
}

static void print_config(const struct sru_config *c)
{
    json_t *object = sru_config_to_json(c), *value;
    const char *key;

    puts("configuration");
    json_object_foreach(object, key, value)
        print_value(key, value);
    json_decref(object);
}

static void print_tensors(const struct sru_params *p)
{
    puts("\ntensors");
    for (size_t i = 0; i < p->n_tensors; i++) {
        const struct sru_tensor *t = &p->tensors[i];
        char shape[48];

        snprintf(shape, sizeof shape, t->rank == 2 ? "[%zu, %zu]" : "[%zu]", t->shape[0], t->shape[1]);
        printf("  %-56s %-16s %12zu\n", t->name, shape, t->count);
    }
    printf("  %-56s %-16s %12llu\n", "parameters", "", (unsigned long long)p->count);
}

static void print_bytes(const char *what, double bytes)
{
    printf("  %-32s %10.2f MB\n", what, bytes / 1e6);
}

/* The buffers of a plan, those of one name together. */
static double print_buffers(const struct sru_net *net)
{
    for (size_t i = 0; i < net->n_buffers; i++) {
        double sum = 0;
        bool first = true;

        for (size_t k = 0; k < net->n_buffers; k++)
            if (strcmp(net->buffers[k].name, net->buffers[i].name) == 0) {
                first = first && k >= i;
                sum += (double)net->buffers[k].bytes;
            }
        if (first)
            print_bytes(net->buffers[i].name, sum);
    }
    return (double)sru_net_bytes(net);
}

/* How it is trained: sizes are 0 where nothing says. */
struct recipe {
    size_t B, T;
    bool   muon;
};

static sru_status print_training(struct sru_lm *lm, const struct recipe *r, struct sru_error *err)
{
    const size_t B = r->B, T = r->T;
    const double arena = (double)lm->params.arena * sizeof(float);
    struct sru_net net;
    const sru_status status = sru_net_plan(&net, lm, B, T, T, true, false, err);

    if (status)
        return status;
    const double work = (double)sru_net_work(&net, r->muon);
    printf("\nmemory to train, %zu streams of %zu positions\n", B, T);
    print_bytes("parameters", arena);
    print_bytes("gradients", arena);
    print_bytes("moments of the optimizer", 2 * arena);
    const double copies = (double)sru_lm_operand_bytes(lm, SRU_USE_TRAIN), buffers = print_buffers(&net);
    print_bytes("copies for products", copies);
    print_bytes("workspace of the operators", work);
    print_bytes("together", 4 * arena + copies + buffers + work);
    sru_net_close(&net);
    return SRU_OK;
}

static sru_status print_reading(struct sru_lm *lm, struct sru_error *err)
{
    const size_t W = lm->config.window;
    const double arena = (double)lm->params.arena * sizeof(float);
    struct sru_net net;
    const sru_status status = sru_net_plan(&net, lm, 1, W, W, false, false, err);

    if (status)
        return status;
    printf("\nmemory to use it, window of %zu positions\n", W);
    print_bytes("parameters", arena);
    print_bytes("to evaluate", (double)(sru_lm_operand_bytes(lm, SRU_USE_READ) + sru_net_bytes(&net)));
    print_bytes("to generate", (double)(sru_lm_operand_bytes(lm, SRU_USE_DECODE) + sru_decoder_bytes(lm, 1, W)));
    sru_net_close(&net);
    return SRU_OK;
}

/* What would compute here. */
static void print_device(const struct sru_dev *dev)
{
    puts("\nprocessor");
    printf("  %-20s %s\n  %-20s %s\n  %-20s %d\n", "instructions", dev->kernels, "precision", dev->act_bytes == 2 ? "bf16" : "f32",
           "threads", dev->threads);
}

/* What the file says of its training. */
static void print_past(json_t *training)
{
    json_t *value;
    const char *key;

    if (!training)
        return;
    puts("\ntraining");
    json_object_foreach(training, key, value)
        if (!json_is_object(value))
            print_value(key, value);
    json_object_foreach(json_object_get(training, "position"), key, value)
        if (strcmp(key, "step") == 0 || strcmp(key, "seconds") == 0)
            printf("  %-20s %.0f\n", key, json_number_value(value));
}

/* ---- The command -------------------------------------------------------------------------------------- */

static sru_status describe(const struct sru_config *c, struct sru_dev *dev, const struct recipe *r, json_t *training,
                           struct sru_error *err)
{
    struct sru_lm lm = { .config = *c, .dev = dev };   /* plans need no weights */
    sru_status status = sru_params_open(&lm.params, c, err);

    if (status)
        return status;
    print_config(c);
    print_tensors(&lm.params);
    print_past(training);
    if (r->B && r->T)
        status = print_training(&lm, r, err);
    if (!status)
        status = print_reading(&lm, err);
    print_device(dev);
    sru_params_close(&lm.params);
    return status;
}

/* A number of a stored run, or 0. */
static size_t stored(json_t *settings, const char *key)
{
    const json_int_t n = json_integer_value(json_object_get(settings, key));

    return n > 0 ? (size_t)n : 0;
}

static bool is_muon(const char *optimizer)
{
    struct sru_optimizer o;

    return optimizer && sru_optimizer_parse(optimizer, &o) && o.kind == SRU_MUON;
}

static sru_status describe_file(const char *path, const struct settings *s, struct sru_dev *dev, struct sru_error *err)
{
    struct sru_model_file f;
    sru_status status = sru_model_file_open(&f, path, err);

    if (status)
        return status;
    json_t *settings = sru_checkpoint_settings(&f);
    const struct recipe r = {
        .B = s->batch ? s->batch : stored(settings, "batch"), .T = s->unroll ? s->unroll : stored(settings, "unroll"),
        .muon = is_muon(json_string_value(json_object_get(settings, "optimizer"))),
    };
    status = describe(&f.config, dev, &r, f.training, err);
    sru_model_file_close(&f);
    return status;
}

static int describe_preset(const struct settings *s, struct sru_dev *dev, struct sru_error *err)
{
    struct sru_train_options o;

    if (!sru_train_preset(s->preset, &o))
        return sru_usage(&sru_cmd_info, "no preset is named '%.60s': there are %s", s->preset, sru_preset_names);
    const struct recipe r = { s->batch ? s->batch : o.batch, s->unroll ? s->unroll : o.unroll, is_muon(o.optimizer) };
    struct sru_config c;
    o.unroll = r.T;
    /* It comes from the text: of bytes this is the most there can be. */
    if (sru_train_config(&o, s->vocabulary ? s->vocabulary : o.usual_vocab ? o.usual_vocab : 256, &c, err) || describe(&c, dev, &r, NULL, err))
        return sru_report_error(err);
    return SRU_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct settings s = { 0 };
    struct sru_error err;
    struct sru_dev *dev;
    const char *model;
    int code = sru_parse_model(&sru_cmd_info, &s, argc, argv, true, &model);

    if (code)
        return code;
    if (!model == !s.preset)
        return sru_usage(&sru_cmd_info, "give a MODEL or a --preset: one of them");
    if (sru_device_open(&s.device, &dev, &err))
        return sru_usage(&sru_cmd_info, "%s", err.message);
    if (s.preset)
        code = describe_preset(&s, dev, &err);
    else if (describe_file(model, &s, dev, &err))
        code = sru_report_error(&err);
    sru_dev_close(dev);
    return code;
}

const struct sru_cmd sru_cmd_info = {
    .name = "info",
    .synopsis = "MODEL | --preset NAME [OPTION]...",
    .summary = "Describe a model: configuration, tensors, memory.",
    .description =
        "Print what a model file or a preset is: its configuration, every tensor, the number of\n"
        "parameters, and the memory that training and using it take.\n\n"
        "  sru-lm info sru-run/best.safetensors\n"
        "  sru-lm info --preset medium --batch 16",
    .table = &table,
    .run = run,
};
