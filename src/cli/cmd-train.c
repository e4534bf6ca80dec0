/* sru-lm train */
#include "config.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "src/cli/progress.h"
#include "src/cli/train-options.h"

/*
 * Signals are blocked before the first thread starts and looked for between steps.  No handler: oneDNN 2.6's generated
 * code points the stack into the heap, and does not survive one (oneDNN issue 4845).
 */
static const int stopping[] = { SIGINT, SIGTERM, SIGHUP };

static void block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        sigaddset(&set, stopping[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* A signal that asks to stop, or 0. */
static int pending(void)
{
    sigset_t set;

    sigpending(&set);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        if (sigismember(&set, stopping[i]) == 1)
            return stopping[i];
    return 0;
}

static void begin(void *context, const struct sru_beginning *b)
{
    sru_progress_describe(context, b);
}

static void report(void *context, const struct sru_report *r)
{
    sru_progress_report(context, r);
}

static bool stop(void *context)
{
    (void)context;
    return pending() != 0;
}

/* A word as the shell takes it back. */
static void print_quoted(const char *word)
{
    putchar('\'');
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    putchar('\'');
}

static void print_resume(const char *out)
{
    fputs("to go on: sru-lm train --resume --out ", stdout);
    print_quoted(out);
    putchar('\n');
}

static int conclude(const struct sru_train_options *o, enum sru_unit unit, const struct sru_outcome *x)
{
    const char *name = sru_told_name(unit);

    if (x->ending != SRU_FINISHED) {
        printf("stopped and saved after step %llu\n", (unsigned long long)x->step);
        print_resume(o->out);
        return x->ending == SRU_INTERRUPTED ? 128 + pending() : SRU_EXIT_OK;
    }
    printf("finished after step %llu: best valid loss %.4f nats, %.4f %s\n", (unsigned long long)x->step, x->valid,
           sru_told_loss(unit, x->valid), name);
    if (!isnan(x->test))
        printf("that model on the test part: %.4f nats, %.4f %s\n", x->test, sru_told_loss(unit, x->test), name);
    printf("the model is %s/best.safetensors: try 'sru-lm generate' with it\n", o->out);
    return SRU_EXIT_OK;
}

static int train(const struct sru_train_options *o, const struct sru_run_settings *s)
{
    struct sru_progress progress = sru_progress_begin();
    const struct sru_watcher watcher = { &progress, begin, report, stop };
    struct sru_error err;
    struct sru_outcome outcome;
    struct sru_dev *dev;

    block_signals();
    sru_status status = sru_device_open(&o->device, &dev, &err);
    if (status == SRU_EINVAL)
        return sru_usage(&sru_cmd_train, "%s", err.message);
    if (status)
        return sru_report_error(&err);
    status = sru_run(s, dev, &watcher, &outcome, &err);
    sru_dev_close(dev);
    sru_progress_end(&progress);
    if (!status)
        return conclude(o, progress.unit, &outcome);
    const int code = sru_report_error(&err);
    if (status == SRU_EDIVERGED)
        print_resume(o->out);
    return code;
}

static int run(int argc, char **argv)
{
    struct sru_train_options o;
    struct sru_run_settings s;
    struct sru_error err;
    int code;

    sru_status status = sru_train_options_read(&o, argc, argv, &err);
    if (!status)
        status = sru_train_settings(&o, &s, &err);
    if (status == SRU_EINVAL)
        code = sru_usage(&sru_cmd_train, "%s", err.message);
    else if (status)
        code = sru_report_error(&err);
    else
        code = train(&o, &s);
    sru_train_options_close(&o);
    return code;
}

const struct sru_cmd sru_cmd_train = {
    .name = "train",
    .synopsis = "--data FILE [OPTION]...",
    .summary = "Train a model on a text.",
    .description =
        "Train a language model on the bytes of a text, or on its words. DIR/best.safetensors is the model that\n"
        "did best on the part kept for evaluation, DIR/last.safetensors the run, to resume,\n"
        "DIR/metrics.jsonl its curve. Ctrl-C saves and says how to go on.\n\n"
        "  sru-lm train --data my.txt                          ten minutes, about a million parameters\n"
        "  sru-lm train --data my.txt --preset small --time 2h --out big\n"
        "  sru-lm train --resume --out big                     go on where it stopped",
    .table = &sru_train_table,
    .run = run,
};
