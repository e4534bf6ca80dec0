/* sru-lm generate */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/load.h"
#include "src/model/decode.h"
#include "src/text/part.h"
#include "src/text/sample.h"

struct settings {
    const char *prompt, *quantize;
    size_t tokens, window, batch;
    struct sru_sampler sampler;
    struct sru_device_settings device;
};

#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "prompt", 'p', SRU_OPT_STRING, "TEXT", "The text to go on from (default: an empty line).", AT(prompt), 0, 0 },
    { "tokens", 'n', SRU_OPT_SIZE, "N", "Bytes, or words, to write after the prompt (default: 500).", AT(tokens), 0, 0 },
    { "temperature", 't', SRU_OPT_DOUBLE, "X", "Above 1 bolder, below 1 safer; 0: always the most likely (default: 0.8).",
      AT(sampler.temperature), 0, HUGE_VAL },
    { "top-k", 0, SRU_OPT_SIZE, "N", "Choose among the N most likely alone; 0: all (default: 0).", AT(sampler.top_k), 0, 0 },
    { "top-p", 0, SRU_OPT_DOUBLE, "P", "Choose among the most likely that have the share P of the probability alone (default: 1).",
      AT(sampler.top_p), 0, 1 },
    { "seed", 's', SRU_OPT_UINT64, "N", "Seed: the same one gives the same text (default: from the clock).", AT(sampler.seed), 0, 0 },
    { "batch", 'b', SRU_OPT_SIZE, "N", "Texts to write at once, each after a line '==> seed S <=='; the first has --seed, the next "
      "one more (default: 1).", AT(batch), 1, 4096 },
    { "window", 0, SRU_OPT_SIZE, "N", "Positions before the current one that attention sees (default: the model's).", AT(window), 0,
      1073741824 },
    SRU_QUANTIZE_OPTION(struct settings),
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
    float *logits;                      /* [batch,V] */
    struct sru_candidate *candidates;   /* [V] */
    int32_t *next;                      /* [batch] the tokens to read */
    int32_t *texts;                     /* [batch,tokens] */
    int32_t *prompt;
    size_t n_prompt;
};

static void work_close(struct work *w)
{
    if (w->decoder.lm)
        sru_decoder_close(&w->decoder);
    free(w->logits);
    free(w->candidates);
    free(w->next);
    free(w->texts);
    free(w->prompt);
}

/* Without a prompt a text begins as after the end of a line, or as with the model's first token where it knows no line. */
static int32_t beginning(const struct sru_vocab *v)
{
    const int32_t id = v->unit == SRU_WORDS ? v->end : v->ids['\n'];

    return id >= 0 ? id : 0;
}

static sru_status encode_prompt(struct work *w, const struct sru_vocab *v, const char *prompt, struct sru_error *err)
{
    const size_t size = strlen(prompt);
    struct sru_part part;
    sru_status status = sru_part_of(&part, v, prompt, size, "the prompt", err);

    if (status)
        return status;
    /* A prompt of words does not end with its line, unless it says so. */
    w->n_prompt = v->unit == SRU_WORDS && part.size > 0 && prompt[size - 1] != '\n' ? part.size - 1 : part.size;
    w->prompt = malloc((w->n_prompt + 1) * sizeof *w->prompt);
    if (!w->prompt)
        status = sru_fail(err, SRU_ENOMEM, "out of memory for the prompt");
    else if (w->n_prompt > 0)
        status = sru_part_get(&part, v, 0, w->n_prompt, w->prompt, "the prompt", err);
    else
        w->prompt[w->n_prompt++] = beginning(v);
    sru_part_close(&part);
    return status;
}

static sru_status work_open(struct work *w, struct sru_loaded *x, const struct settings *s, struct sru_error *err)
{
    const size_t V = x->lm.config.vocab;
    sru_status status;

    *w = (struct work){ .logits = calloc(s->batch, V * sizeof *w->logits), .candidates = malloc(V * sizeof *w->candidates),
                        .next = calloc(s->batch, sizeof *w->next), .texts = calloc(s->batch, (s->tokens + 1) * sizeof *w->texts) };
    if (!w->logits || !w->candidates || !w->next || !w->texts)
        return sru_fail(err, SRU_ENOMEM, "out of memory for %zu texts of %zu tokens", s->batch, s->tokens);
    if ((status = encode_prompt(w, &x->file.vocab, s->prompt, err)))
        return status;
    return sru_decoder_open(&w->decoder, &x->lm, s->batch, s->window ? s->window : x->lm.config.window, err);
}

static sru_status read_prompt(struct work *w, const struct settings *s, struct sru_error *err)
{
    sru_status status = SRU_OK;

    sru_decoder_reset(&w->decoder);
    for (size_t i = 0; i < w->n_prompt && !status; i++) {
        for (size_t b = 0; b < s->batch; b++)
            w->next[b] = w->prompt[i];
        status = sru_decoder_read(&w->decoder, w->next, i + 1 == w->n_prompt ? w->logits : NULL, err);
    }
    return status;
}

/* Token n of every text. */
static sru_status choose(struct work *w, const struct sru_vocab *v, const struct settings *s, size_t n, struct sru_error *err)
{
    for (size_t b = 0; b < s->batch; b++) {
        struct sru_sampler sampler = s->sampler;

        sampler.seed += b;
        w->next[b] = sru_sample(&sampler, w->logits + b * v->size, v->size, n, w->candidates);
        if (w->next[b] < 0)
            return sru_fail(err, SRU_EDIVERGED, "the model's scores are not finite: it is broken, or its training diverged");
        w->texts[b * s->tokens + n] = w->next[b];
    }
    return SRU_OK;
}

/* The next token of a text; words have a blank between them.  *begins: a line begins with it, or with the one after it. */
static void print_token(const struct sru_vocab *v, int32_t token, bool *begins)
{
    size_t n;
    const char *text = sru_vocab_text(v, token, &n);

    if (v->unit == SRU_WORDS && !*begins && *text != '\n')
        putchar(' ');
    fwrite(text, 1, n, stdout);
    *begins = *text == '\n';
}

/* Does what follows a prompt begin a line, or a word? */
static bool begins_after(const char *prompt)
{
    return *prompt == '\0' || strchr(" \t\n", prompt[strlen(prompt) - 1]);
}

static void print_texts(const struct work *w, const struct sru_vocab *v, const struct settings *s)
{
    for (size_t b = 0; b < s->batch; b++) {
        bool begins = begins_after(s->prompt);

        printf("%s==> seed %llu <==\n%s", b > 0 ? "\n" : "", (unsigned long long)(s->sampler.seed + b), s->prompt);
        for (size_t n = 0; n < s->tokens; n++)
            print_token(v, w->texts[b * s->tokens + n], &begins);
        putchar('\n');
    }
}

/* One text is printed as it grows, several when they are whole. */
static sru_status generate(struct work *w, const struct sru_vocab *v, const struct settings *s, struct sru_error *err)
{
    const bool single = s->batch == 1, now = single && isatty(STDOUT_FILENO);
    bool begins = begins_after(s->prompt);
    sru_status status = read_prompt(w, s, err);

    if (single)
        fputs(s->prompt, stdout);
    for (size_t n = 0; n < s->tokens && !status && !ferror(stdout); n++) {   /* main reports an error of stdout */
        if ((status = choose(w, v, s, n, err)))
            break;
        if (single)
            print_token(v, w->texts[n], &begins);
        if (now)
            fflush(stdout);
        if (n + 1 < s->tokens)
            status = sru_decoder_read(&w->decoder, w->next, w->logits, err);
    }
    if (!single && !status)
        print_texts(w, v, s);
    if (now)
        putchar('\n');
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { .prompt = "", .tokens = 500, .batch = 1, .sampler = { .temperature = 0.8, .top_p = 1, .seed = clock_seed() } };
    struct sru_loaded x;
    struct work w;
    struct sru_error err;
    const char *model;
    bool int8;
    int code = sru_parse_model(&sru_cmd_generate, &s, argc, argv, false, &model);

    if (code)
        return code;
    if (sru_quantize_parse(s.quantize, &int8, &err))
        return sru_usage(&sru_cmd_generate, "%s", err.message);
    if ((code = sru_load(&x, &sru_cmd_generate, model, &s.device, int8 ? SRU_USE_DECODE_INT8 : SRU_USE_DECODE)))
        return code;
    if (sru_device_prefers_alone(&s.device, x.lm.params.count * s.batch))
        sru_device_alone(x.dev);
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
        "Continue a prompt, byte by byte or word by word, as the model expects.\n\n"
        "  sru-lm generate sru-run/best.safetensors\n"
        "  sru-lm generate sru-run/best.safetensors --prompt 'Once upon a time' --seed 7\n"
        "  sru-lm generate sru-run/best.safetensors --batch 8 --quantize int8",
    .table = &table,
    .run = run,
};
