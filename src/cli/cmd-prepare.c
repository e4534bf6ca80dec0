/* sru-lm prepare */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/cli/progress.h"
#include "src/clock.h"
#include "src/io/path.h"
#include "src/io/replace.h"
#include "src/text/prepared.h"

struct settings {
    const char *data, *valid, *test, *split, *words, *out;
    struct sru_tokenizing tokenizing;
};

#define AT(member) offsetof(struct settings, member)
static const struct sru_option options[] = {
    { "data", 'd', SRU_OPT_STRING, "FILE", "The text to learn; a directory: its files, by name; '-': standard input.", AT(data), 0, 0 },
    { "out", 'o', SRU_OPT_STRING, "DIR", "Directory for the corpus, made where it is missing.", AT(out), 0, 0 },
    { "valid", 0, SRU_OPT_STRING, "FILE", "The text to evaluate on (default: a part of --data).", AT(valid), 0, 0 },
    { "test", 0, SRU_OPT_STRING, "FILE", "A text for a last evaluation; needs --valid.", AT(test), 0, 0 },
    { "split", 0, SRU_OPT_STRING, "A/B/C", "Percent of --data to train on, to evaluate on and to test with; or A/B (default: 90/5/5).",
      AT(split), 0, 0 },
    { "words", 'w', SRU_OPT_STRING, "FILE", "The vocabulary: a word a line, such as a run's vocabulary.txt (default: the words of the text "
      "to learn, the most frequent first).", AT(words), 0, 0 },
    SRU_WORDS_OPTIONS(struct settings, tokenizing),
    { "sentences", 's', SRU_OPT_FLAG, NULL, "Lines are sentences without an order: training shuffles them anew each time it has read them "
      "all (default: no).", AT(tokenizing.sentences), 0, 0 },
};
static const struct sru_option_table table = { options, sizeof options / sizeof *options };

/* ---- Progress -------------------------------------------------------------------------------------- */

struct progress {
    bool   in_place;
    double began, shown;
};

static void progress(void *context, uint64_t bytes, uint64_t of)
{
    struct progress *p = context;
    const double now = sru_now();
    char done[24], all[24], speed[24];

    if (now - p->shown < (p->in_place ? 0.2 : 30))
        return;
    p->shown = now;
    if (p->in_place)
        fputs("\r\033[K", stdout);
    printf("read %s", sru_short_count((double)bytes, done));
    if (of > 0)
        printf(" of %s bytes, %.0f%%", sru_short_count((double)of, all), 100 * (double)bytes / (double)of);
    printf("  %s/s%s", sru_short_count((double)bytes / (now - p->began), speed), p->in_place ? "" : "\n");
    fflush(stdout);
}

static void print(const struct sru_prepared *x, const char *out, double seconds)
{
    uint64_t bytes = 0;
    char tokens[24], time[24], speed[24];

    for (size_t i = 0; i < SRU_PARTS; i++) {
        bytes += x->bytes[i];
        if (x->tokens[i] > 0)
            printf("%-5s  %s words, %.2f%% of them unknown\n", sru_part_names[i], sru_short_count((double)x->tokens[i], tokens),
                   100 * (double)x->unknown[i] / (double)x->tokens[i]);
    }
    printf("%zu different words; %s, %s bytes/s\n", x->words, sru_short_time(seconds, time), sru_short_count((double)bytes / seconds, speed));
    printf("the corpus is in %s: sru-lm train --data %s\n", out, out);
}

/* ---- The command ------------------------------------------------------------------------------------- */

static sru_status prepare(const struct settings *s, const struct sru_sources *from, struct sru_error *err)
{
    struct progress p = { .in_place = isatty(STDOUT_FILENO), .began = sru_now() };
    const struct sru_preparing watch = { progress, &p };
    struct sru_prepared x;
    struct sru_vocab given = { 0 };
    sru_status status = sru_make_directories(s->out, err);

    p.shown = p.began;
    if (!status && sru_is_prepared(s->out))
        status = sru_fail(err, SRU_EIO, "%s already holds a corpus: remove its " SRU_PREPARED_NAME ", or choose another --out", s->out);
    if (!status)
        sru_replace_sweep(s->out);
    if (!status && s->words)
        status = sru_vocab_read(&given, s->words, s->tokenizing.lower, err);
    if (!status)
        status = sru_prepare(s->out, from, &s->tokenizing, s->words ? &given : NULL, &watch, &x, err);
    sru_vocab_close(&given);
    if (p.in_place)
        fputs("\r\033[K", stdout);
    if (!status)
        print(&x, s->out, sru_now() - p.began);
    return status;
}

static int run(int argc, char **argv)
{
    struct settings s = { .split = "90/5/5", .tokenizing.min_count = 1 };
    struct sru_sources from;
    struct sru_error err;
    int first;

    if (sru_options_parse(table, &s, NULL, argc, argv, &first, &err))
        return sru_usage(&sru_cmd_prepare, "%s", err.message);
    if (first < argc)
        return sru_usage(&sru_cmd_prepare, "'%.80s' is not an option; the text is given as --data FILE", argv[first]);
    from = (struct sru_sources){ .path = { s.data, s.valid, s.test } };
    if (!s.data || !s.out)
        return sru_usage(&sru_cmd_prepare, "--%s is missing", s.data ? "out DIR" : "data FILE");
    if (sru_sources_parse(s.split, &from, &err))
        return sru_usage(&sru_cmd_prepare, "%s", err.message);
    if (s.words && (s.tokenizing.min_count > 1 || s.tokenizing.most > 0))
        return sru_usage(&sru_cmd_prepare, "--words gives the vocabulary: --min-count and --vocabulary would change nothing");
    return prepare(&s, &from, &err) ? sru_report_error(&err) : SRU_EXIT_OK;
}

const struct sru_cmd sru_cmd_prepare = {
    .name = "prepare",
    .synopsis = "--data FILE --out DIR [OPTION]...",
    .summary = "Make a corpus of words from texts of any size.",
    .description =
        "Turn texts into numbered words once, for runs that learn words: train and eval then map\n"
        "the result into memory instead of reading the texts. Texts need not fit in memory.\n\n"
        "  sru-lm prepare --data my.txt --out corpus\n"
        "  sru-lm prepare --data wiki.train.tokens --valid wiki.valid.tokens --test wiki.test.tokens --out wt103\n"
        "  sru-lm train --data wt103",
    .table = &table,
    .run = run,
};
