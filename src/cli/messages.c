/* What the program says about itself and its errors: help of subcommands, reports, usage errors. */
#include "config.h"

#include <stdarg.h>
#include <string.h>

#include "src/cli/cli.h"

#define WIDTH 79
#define INDENT 26   /* column of the options' help */

/* Words of text from column `at` on, wrapped at WIDTH, later lines indented; ends the line. */
static void print_wrapped(FILE *out, const char *text, size_t at, size_t indent)
{
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (at + n > WIDTH && at > indent) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        fprintf(out, "%.*s", (int)n, text);
        at += n;
        text += n;
        if (*text == ' ') {
            text++;
            if (at < WIDTH)
                fputc(' ', out);
            at++;
        }
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const char *name, char letter, const char *metavar, const char *help)
{
    int n = letter ? fprintf(out, "  -%c, ", letter) : fprintf(out, "      ");

    n += fprintf(out, "--%s%s%s", name, metavar ? "=" : "", metavar ? metavar : "");
    if (n + 2 > INDENT)
        fprintf(out, "\n%*s", INDENT, "");
    else
        fprintf(out, "%*s", INDENT - n, "");
    print_wrapped(out, help, INDENT, INDENT);
}

void sru_cmd_help(const struct sru_cmd *cmd, FILE *out)
{
    fprintf(out, "Usage: sru-lm %s %s\n\n%s\n\nOptions:\n", cmd->name, cmd->synopsis, cmd->description);
    for (size_t i = 0; i < cmd->table->n; i++) {
        const struct sru_option *o = &cmd->table->options[i];
        print_option(out, o->name, o->letter, o->metavar, o->help);
    }
    print_option(out, "help", 'h', NULL, "Print this help and exit.");
    fputs("\nFull documentation: man sru-lm\n", out);
}

int sru_report_error(const struct sru_error *err)
{
    fprintf(stderr, "sru-lm: %s\n", err->message);
    return SRU_EXIT_FAILURE;
}

int sru_usage(const struct sru_cmd *cmd, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "sru-lm %s: ", cmd->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, " (see 'sru-lm %s --help')\n", cmd->name);
    return SRU_EXIT_USAGE;
}
