/* sru-lm generate */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/load.h"
#include "src/model/decode.h"
#include "src/text/sample.h"

struct settings {
    const char *prompt;
    size_t tokens, window;
    struct sru_sampler sampler;
    struct sru_device_settings device;
};

#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "prompt", 'p', SRU_OPT_STRING, "TEXT", "The text to go on from (default: an empty line).", AT(prompt), 0, 0 },
    { "tokens", 'n', SRU_OPT_SIZE, "N", "Bytes to write after the prompt (default: 500).", AT(tokens), 0, 0 },
    { "temperature", 't', SRU_OPT_DOUBLE, "X", "Above 1 bolder, below 1 safer; 0: always the most likely (default: 0.8).",
      AT(sampler.temperature), 0, HUGE_VAL },
    { "top-k", 0, SRU_OPT_SIZE, "N", "Choose among the N most likely alone; 0: all (default: 0).", AT(sampler.top_k), 0, 0 },
    { "top-p", 0, SRU_OPT_DOUBLE, "P", "Choose among the most likely that have the share P of the probability alone (default: 1).",
      AT(sampler.top_p), 0, 1 },
    { "seed", 's', SRU_OPT_UINT64, "N", "Seed: the same one gives the same text (default: from the clock).", AT(sampler.seed), 0, 0 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions before the current one that attention sees (default: the model's).", AT(window), 0,
      1073741824 },
    SRU_DEVICE_OPTIONS(struct settings, device),
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

static uint64_t clock_seed(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000003 + (uint64_t)t.tv_nsec;
}

/* What generation needs beside the model. */
struct work {
    struct sru_decoder decoder;
    float *logits;
    struct sru_candidate *candidates;
    int32_t *prompt;
    size_t n_prompt;
};

static void work_close(struct work *w)
{
    if (w->decoder.lm)
        sru_decoder_close(&w->decoder);
    free(w->logits);
    free(w->candidates);
    free(w->prompt);
}

/* Without a prompt a text begins as after the end of a line, or as after the model's first byte where it knows no line. */
static sru_status encode_prompt(struct work *w, const struct sru_vocab *v, const char *prompt, struct sru_error *err)
{
    w->n_prompt = *prompt ? strlen(prompt) : 1;
    w->prompt = malloc(w->n_prompt * sizeof *w->prompt);
    if (!w->prompt)
        return sru_fail(err, SRU_ENOMEM, "out of memory for the prompt");
    if (*prompt)
        return sru_vocab_encode(v, prompt, 0, w->n_prompt, w->prompt, "the prompt", err);
    w->prompt[0] = v->ids['\n'] >= 0 ? v->ids['\n'] : 0;
    return SRU_OK;
}

static sru_status work_open(struct work *w, struct sru_loaded *x, const struct settings *s, struct sru_error *err)
{
    const size_t V = x->lm.config.vocab;
    sru_status status;

    *w = (struct work){ .logits = malloc(V * sizeof *w->logits), .candidates = malloc(V * sizeof *w->candidates) };
    if (!w->logits || !w->candidates)
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    if ((status = encode_prompt(w, &x->file.vocab, s->prompt, err)))
        return status;
    return sru_decoder_open(&w->decoder, &x->lm, 1, s->window ? s->window : x->lm.config.window, err);
}

static sru_status generate(struct work *w, const struct sru_vocab *v, const struct settings *s, struct sru_error *err)
{
    const bool now = isatty(STDOUT_FILENO);
    sru_status status = SRU_OK;

    sru_decoder_reset(&w->decoder);
    for (size_t i = 0; i < w->n_prompt && !status; i++)
        status = sru_decoder_read(&w->decoder, &w->prompt[i], i + 1 == w->n_prompt ? w->logits : NULL, err);
    fputs(s->prompt, stdout);
    for (size_t n = 0; n < s->tokens && !status; n++) {
        const int32_t id = sru_sample(&s->sampler, w->logits, v->size, n, w->candidates);

        if (id < 0)
            return sru_fail(err, SRU_EDIVERGED, "the model's scores are not finite: it is broken, or its training diverged");
        putchar(v->symbols[id]);
        if (now)
            fflush(stdout);
        if (ferror(stdout))   /* main reports it */
            break;
        if (n + 1 < s->tokens)
            status = sru_decoder_read(&w->decoder, &id, w->logits, err);
    }
    if (now)
        putchar('\n');
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { .prompt = "", .tokens = 500, .sampler = { .temperature = 0.8, .top_p = 1, .seed = clock_seed() } };
    struct sru_loaded x;
    struct work w;
    struct sru_error err;
    const char *model;
    int code = sru_parse_model(&sru_cmd_generate, &s, argc, argv, false, &model);

    if (code || (code = sru_load(&x, &sru_cmd_generate, model, &s.device, SRU_USE_DECODE)))
        return code;
    if (sru_device_prefers_alone(&s.device, x.lm.params.count))
        sru_device_alone();
    sru_status status = work_open(&w, &x, &s, &err);
    if (!status)
        status = generate(&w, &x.file.vocab, &s, &err);
    if (status)
        code = sru_report_error(&err);
    work_close(&w);
    sru_loaded_close(&x);
    return code;
}

const struct sru_cmd sru_cmd_generate = {
    .name = "generate",
    .synopsis = "MODEL [OPTION]...",
    .summary = "Write text with a model.",
    .description =
        "Continue a prompt, byte by byte, as the model expects.\n\n"
        "  sru-lm generate sru-run/best.safetensors\n"
        "  sru-lm generate sru-run/best.safetensors --prompt 'Once upon a time' --seed 7",
    .table = &table,
    .run = run,
};
