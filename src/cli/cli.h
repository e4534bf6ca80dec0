/* The command line: subcommands, their option tables, exit codes and messages. */
#ifndef SRU_CLI_CLI_H
#define SRU_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/error.h"

/* Exit codes.  A training run stopped by SIGINT or SIGTERM exits 128 + the signal, after it has saved. */
enum {
    SRU_EXIT_OK = 0,
    SRU_EXIT_FAILURE = 1,   /* files, data, memory, numbers */
    SRU_EXIT_USAGE = 2      /* the command line */
};

enum sru_option_type {
    SRU_OPT_FLAG,      /* bool; --no-NAME clears it */
    SRU_OPT_STRING,    /* const char *; lives as long as argv */
    SRU_OPT_SIZE,      /* size_t, with suffix k, m, g (1000) or Ki, Mi, Gi */
    SRU_OPT_UINT64,    /* uint64_t, likewise */
    SRU_OPT_DOUBLE,    /* double */
    SRU_OPT_DURATION   /* double, seconds: 90, 90s, 10m, 1.5h, 2d */
};

struct sru_option {
    const char *name;             /* long name, with dashes */
    char        letter;           /* short form, or 0 */
    enum sru_option_type type;
    const char *metavar;          /* "FILE", "N", ...; NULL for flags */
    const char *help;             /* one sentence; the default is written in it */
    size_t      offset;           /* of the member in the settings struct */
    double      min, max;         /* numbers: allowed range; both 0: any that the type holds */
};

struct sru_option_table {
    const struct sru_option *options;
    size_t n;
};

/*
 * Parse argv[1..] with getopt_long; *first becomes the index of the first operand.
 * @param set  [table.n] bool or NULL: set[i] becomes true, to tell given options from defaults
 * @return SRU_OK; SRU_EINVAL with a message that names the option and what it accepts.
 * --help is not in tables: main handles it before, by sru_options_want_help.
 */
sru_status sru_options_parse(struct sru_option_table table, void *settings, bool *set, int argc, char **argv,
                             int *first, struct sru_error *err);

/* true when --help or -h stands among the options (not as an option's argument, nor after "--"). */
bool sru_options_want_help(struct sru_option_table table, int argc, char **argv);

/* All options as a JSON object by name (NULL without memory), and back: strings stay the object's. */
json_t *sru_options_to_json(struct sru_option_table table, const void *settings);
sru_status sru_options_from_json(struct sru_option_table table, void *settings, json_t *object, struct sru_error *err);

struct sru_cmd {
    const char *name;
    const char *synopsis;      /* "[OPTION]... MODEL" */
    const char *summary;       /* one line of `sru-lm --help` */
    const char *description;   /* a paragraph or more of `sru-lm NAME --help`, with examples */
    const struct sru_option_table *table;
    int (*run)(int argc, char **argv);   /* argv[0] is the subcommand; returns the exit code */
};

extern const struct sru_cmd sru_cmd_train, sru_cmd_prepare, sru_cmd_import, sru_cmd_export, sru_cmd_eval, sru_cmd_generate, sru_cmd_info, sru_cmd_bench;

/* Print help of a subcommand: synopsis, description, options with their help. */
void sru_cmd_help(const struct sru_cmd *cmd, FILE *out);

/* "sru-lm: message" on standard error; returns SRU_EXIT_FAILURE. */
int sru_report_error(const struct sru_error *err);
/* "sru-lm NAME: message (see --help)", one line on standard error; returns SRU_EXIT_USAGE. */
int sru_usage(const struct sru_cmd *cmd, const char *fmt, ...) SRU_PRINTF(2, 3);

/* What every command that computes lets one choose. */
struct sru_device_settings {
    const char *device, *cpu, *precision;
    size_t threads;     /* 0: OpenMP's own choice */
};
#define SRU_DEVICE_OPTIONS(type, member)                                                                                      \
    { "device", 0, SRU_OPT_STRING, "NAME", "Where to compute: cpu, cuda or cuda:N, an NVIDIA GPU, or auto: a GPU where "      \
      "there is one and --cpu is not given (default: auto).", offsetof(type, member.device), 0, 0 },                          \
    { "cpu", 0, SRU_OPT_STRING, "NAME", "Instructions to use: scalar, avx2, avx512 or neon (default: $SRU_CPU, else the "     \
      "best that runs here).", offsetof(type, member.cpu), 0, 0 },                                                            \
    { "precision", 0, SRU_OPT_STRING, "NAME", "f32, bf16 or auto: bf16 where the device multiplies it (default: auto).",      \
      offsetof(type, member.precision), 0, 0 },                                                                               \
    { "threads", 0, SRU_OPT_SIZE, "N", "Threads (default: $OMP_NUM_THREADS, else one per core).",                             \
      offsetof(type, member.threads), 1, 4096 }

/* Options of the commands that make a vocabulary of words: the member is a struct sru_tokenizing. */
#define SRU_WORDS_OPTIONS(type, member)                                                                                       \
    { "lower", 0, SRU_OPT_FLAG, NULL, "Words: A to Z are taken as a to z (default: no).", offsetof(type, member.lower), 0, 0 }, \
    { "min-count", 0, SRU_OPT_UINT64, "N", "Words: those that the text to learn has less often are <unk> (default: 1).",      \
      offsetof(type, member.min_count), 1, 1e15 },                                                                            \
    { "vocabulary", 0, SRU_OPT_SIZE, "N", "Words: how many there may be, the most frequent, with <unk> and <eos>; 0: any "    \
      "number (default: 0).", offsetof(type, member.most), 0, 1073741823 }

/* An option of the commands that read a model: its member is `quantize`, parsed by sru_quantize_parse. */
#define SRU_QUANTIZE_OPTION(type)                                                                                             \
    { "quantize", 0, SRU_OPT_STRING, "NAME", "int8: round weights to 8 bits, with a scale for each row; or none (default).",  \
      offsetof(type, quantize), 0, 0 }
/* @param name  NULL: none */
sru_status sru_quantize_parse(const char *name, bool *int8, struct sru_error *err);

struct sru_dev;
/* Set the number of threads and open the device. */
sru_status sru_device_open(const struct sru_device_settings *s, struct sru_dev **dev, struct sru_error *err);
/* Whether generation, unless told otherwise, does best with one thread: a position of a small model is so little work that
   waking a second thread costs more than it saves. */
bool sru_device_prefers_alone(const struct sru_device_settings *s, uint64_t parameters);
/* From here on compute with one thread. */
void sru_device_alone(struct sru_dev *dev);

#endif
