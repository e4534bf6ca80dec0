/* The program: finds the subcommand and runs it. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/cli/words.h"

static const struct sru_cmd *const commands[] = {
    &sru_cmd_train, &sru_cmd_prepare, &sru_cmd_eval, &sru_cmd_generate, &sru_cmd_info, &sru_cmd_import, &sru_cmd_export, &sru_cmd_bench
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fputs("Usage: sru-lm [--help | --version] COMMAND [OPTION]... [ARGUMENT]...\n\n"
          "Train, evaluate and sample SRU++ language models.\n\nCommands:\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help       Print the help of a command.\n\n"
          "'sru-lm COMMAND --help' lists a command's options; 'man sru-lm' is the manual.\n", out);
}

static const struct sru_cmd *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    struct sru_nearest near = sru_nearest_begin(name);

    for (size_t i = 0; i < N_COMMANDS; i++)
        sru_nearest_try(&near, commands[i]->name);
    fprintf(stderr, "sru-lm: unknown %s '%.80s'", name[0] == '-' ? "option" : "command", name);
    if (near.best)
        fprintf(stderr, ": did you mean '%s'?", near.best);
    fputs(" (see 'sru-lm --help')\n", stderr);
    return SRU_EXIT_USAGE;
}

static int help_command(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return SRU_EXIT_OK;
    }
    const struct sru_cmd *cmd = find_command(argv[1]);
    if (!cmd)
        return unknown_command(argv[1]);
    sru_cmd_help(cmd, stdout);
    return SRU_EXIT_OK;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return SRU_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help_command(name[0] == '-' ? 1 : argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("sru-lm %s\n", sru_version());
        return SRU_EXIT_OK;
    }
    const struct sru_cmd *cmd = find_command(name);
    if (!cmd)
        return unknown_command(name);
    if (sru_options_want_help(*cmd->table, argc - 1, argv + 1)) {
        sru_cmd_help(cmd, stdout);
        return SRU_EXIT_OK;
    }
    return cmd->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);   /* a closed pipe is a write error like any other, see below */

    const int code = dispatch(argc, argv);
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && code == SRU_EXIT_OK) {
        fprintf(stderr, "sru-lm: standard output: %s\n", errno ? strerror(errno) : "write error");
        return SRU_EXIT_FAILURE;
    }
    return code;
}
