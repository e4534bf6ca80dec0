/* sru-lm eval */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/cli/load.h"
#include "src/cli/progress.h"
#include "src/clock.h"
#include "src/train/evaluate.h"

struct settings {
    const char *data, *quantize;
    size_t window;
    struct sru_device_settings device;
};

static const struct sru_option options[] = {
    { "data", 'd', SRU_OPT_STRING, "FILE", "The text to evaluate on; '-' is standard input.", offsetof(struct settings, data), 0, 0 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions before the current one that attention sees (default: the model's).",
      offsetof(struct settings, window), 0, 1073741824 },
    SRU_QUANTIZE_OPTION(struct settings),
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

static void print(const struct sru_loss *loss, double seconds)
{
    const double nats = loss->nats / (double)loss->count;
    char time[24], speed[24];

    printf("loss        %.4f nats per byte\n", nats);
    printf("            %.4f bits per byte\n", SRU_BITS(nats));
    printf("perplexity  %.4f\n", exp(nats));
    printf("predicted   %llu bytes in %s, %s tokens/s\n", (unsigned long long)loss->count, sru_short_time(seconds, time),
           sru_short_count((double)loss->count / seconds, speed));
}

static sru_status evaluate(struct sru_loaded *x, const struct settings *s, struct sru_error *err)
{
    const size_t window = s->window ? s->window : x->lm.config.window;
    const char *name = strcmp(s->data, "-") == 0 ? "standard input" : s->data;
    struct sru_text text;
    struct sru_net net;
    struct sru_loss loss;
    sru_status status = sru_text_open(&text, s->data, err);

    if (status)
        return status;
    if (!(status = sru_net_open(&net, &x->lm, 1, window, window, false, false, err))) {
        const double from = sru_now();

        status = sru_evaluate(&net, &x->file.vocab, (struct sru_part){ text.data, text.size }, name, NULL, &loss, err);
        if (!status)
            print(&loss, sru_now() - from);
        sru_net_close(&net);
    }
    sru_text_close(&text);
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { 0 };
    struct sru_loaded x;
    struct sru_error err;
    const char *model;
    bool int8;
    int code = sru_parse_model(&sru_cmd_eval, &s, argc, argv, false, &model);

    if (code)
        return code;
    if (!s.data)
        return sru_usage(&sru_cmd_eval, "--data FILE is missing: the text to evaluate on");
    if (sru_quantize_parse(s.quantize, &int8, &err))
        return sru_usage(&sru_cmd_eval, "%s", err.message);
    if ((code = sru_load(&x, &sru_cmd_eval, model, &s.device, SRU_USE_READ)))
        return code;
    if ((int8 && sru_lm_quantize(&x.lm, &err)) || evaluate(&x, &s, &err))
        code = sru_report_error(&err);
    sru_loaded_close(&x);
    return code;
}

const struct sru_cmd sru_cmd_eval = {
    .name = "eval",
    .synopsis = "MODEL --data FILE [OPTION]...",
    .summary = "Measure how well a model predicts a text.",
    .description =
        "Predict every byte of a text from those before it, and print the mean loss. The first\n"
        "byte has nothing before it and does not count.\n\n"
        "  sru-lm eval sru-run/best.safetensors --data my.txt\n"
        "  xzcat my.xz | sru-lm eval sru-run/best.safetensors --data -",
    .table = &table,
    .run = run,
};
