/* sru-lm eval */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/cli/eval-lines.h"
#include "src/cli/load.h"
#include "src/cli/progress.h"
#include "src/clock.h"
#include "src/text/prepared.h"
#include "src/train/evaluate.h"

struct settings {
    const char *data, *part, *quantize;
    size_t window;
    bool per_line;
    struct sru_device_settings device;
};

static const struct sru_option options[] = {
    { "data", 'd', SRU_OPT_STRING, "FILE", "The text to evaluate on; '-' is standard input. Or a corpus from 'sru-lm prepare'.",
      offsetof(struct settings, data), 0, 0 },
    { "part", 0, SRU_OPT_STRING, "NAME", "Of a prepared corpus: train, valid or test (default: valid).", offsetof(struct settings, part), 0, 0 },
    { "per-line", 'l', SRU_OPT_FLAG, NULL, "Score every line of a text by itself, after the end of another: the logarithm of its probability to base "
      "10 and its unknown words, as KenLM's query prints them (default: no).", offsetof(struct settings, per_line), 0, 0 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions before the current one that attention sees (default: the model's).",
      offsetof(struct settings, window), 0, 1073741824 },
    SRU_QUANTIZE_OPTION(struct settings),
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* What is evaluated on. */
struct data {
    const char *name;
    struct sru_text text;
    struct sru_corpus corpus;
    struct sru_part part;    /* the text's */
};

/* SRU_PARTS: there is none of that name. */
static size_t part_of(const char *name)
{
    size_t i = 0;

    while (i < SRU_PARTS && strcmp(sru_part_names[i], name) != 0)
        i++;
    return i;
}

static sru_status open_corpus(struct data *d, const struct sru_vocab *v, const struct settings *s, struct sru_error *err)
{
    const struct sru_sources from = { .path = { s->data } };
    const sru_status status = sru_corpus_open(&d->corpus, &from, NULL, err);

    return status || sru_vocab_same(v, &d->corpus.vocab) ? status
        : sru_fail(err, SRU_EFORMAT, "%s has another vocabulary than the model: prepare it with the model's", s->data);
}

static sru_status open_data(struct data *d, const struct sru_vocab *v, const struct settings *s, const struct sru_part **part,
                            struct sru_error *err)
{
    *d = (struct data){ .name = strcmp(s->data, "-") == 0 ? "standard input" : s->data, .corpus.file.fd = -1 };
    if (!sru_is_prepared(s->data)) {
        const sru_status status = sru_text_open(&d->text, s->data, err);

        *part = &d->part;
        return status || s->per_line ? status : sru_part_of(&d->part, v, d->text.data, d->text.size, d->name, err);
    }
    *part = &d->corpus.part[part_of(s->part)];
    return open_corpus(d, v, s, err);
}

static void close_data(struct data *d)
{
    sru_part_close(&d->part);
    sru_text_close(&d->text);
    sru_corpus_close(&d->corpus);
}

/* Bits per byte are those of the text that the tokens stand for, the first, which is not predicted, among them. */
static void print(const struct sru_loss *loss, const struct sru_part *part, enum sru_unit unit, double seconds)
{
    const double nats = loss->nats / (double)loss->count;
    const uint64_t bytes = unit == SRU_BYTES ? loss->count : part->bytes;
    char time[24], speed[24];

    printf("loss        %.4f nats per %s\n", nats, sru_unit_name(unit));
    printf("            %.4f bits per byte\n", SRU_BITS(loss->nats) / (double)bytes);
    printf("perplexity  %.4f\n", exp(nats));
    printf("predicted   %llu %ss in %s, %s tokens/s\n", (unsigned long long)loss->count, sru_unit_name(unit), sru_short_time(seconds, time),
           sru_short_count((double)loss->count / seconds, speed));
}

static sru_status evaluate(struct sru_loaded *x, const struct settings *s, struct sru_error *err)
{
    const size_t window = s->window ? s->window : x->lm.config.window;
    const struct sru_vocab *v = &x->file.vocab;
    const struct sru_part *part = NULL;
    struct data d;
    struct sru_net net;
    struct sru_loss loss;
    sru_status status = open_data(&d, v, s, &part, err);

    if (!status && !(status = sru_net_open(&net, &x->lm, 1, window, window, false, false, err))) {
        const double from = sru_now();

        status = s->per_line ? sru_eval_lines(&net, v, &d.text, d.name, err) : sru_evaluate(&net, v, part, d.name, NULL, &loss, err);
        if (!status && !s->per_line)
            print(&loss, part, v->unit, sru_now() - from);
        sru_net_close(&net);
    }
    close_data(&d);
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { .part = "valid" };
    struct sru_loaded x;
    struct sru_error err;
    const char *model;
    bool int8;
    int code = sru_parse_model(&sru_cmd_eval, &s, argc, argv, false, &model);

    if (code)
        return code;
    if (!s.data)
        return sru_usage(&sru_cmd_eval, "--data FILE is missing: the text to evaluate on");
    if (s.per_line && sru_is_prepared(s.data))
        return sru_usage(&sru_cmd_eval, "--per-line takes a text: a prepared corpus has no lines");
    if (part_of(s.part) == SRU_PARTS)
        return sru_usage(&sru_cmd_eval, "option '--part': '%.40s' is none: give train, valid or test", s.part);
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
        "Predict every byte of a text from those before it, or every word where the model is one\n"
        "of words, and print the mean loss. The first has nothing before it and does not count.\n\n"
        "  sru-lm eval sru-run/best.safetensors --data my.txt\n"
        "  sru-lm eval words.safetensors --data sentences.txt --per-line\n"
        "  xzcat my.xz | sru-lm eval sru-run/best.safetensors --data -",
    .table = &table,
    .run = run,
};
