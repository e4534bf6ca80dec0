/* Option tables: values from text and JSON, and the command line through getopt_long. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/cli/words.h"
#include "src/size.h"

#define LONG_VALUE 256 /* getopt_long value of option i is LONG_VALUE + i, of --no-NAME that + table.n */

/* ---- Values --------------------------------------------------------------- */

static sru_status reject(const struct sru_option *o, const char *value, const char *accepts,
                         struct sru_error *err)
{
    return sru_fail(err, SRU_EINVAL, "option '--%s': '%s' is not %s", o->name, value, accepts);
}

static sru_status check_range(const struct sru_option *o, const char *value, double number,
                              struct sru_error *err)
{
    if ((o->min == 0 && o->max == 0) || (number >= o->min && number <= o->max))
        return SRU_OK;
    if (o->max >= HUGE_VAL)
        return sru_fail(err, SRU_EINVAL, "option '--%s': %s is too small: give at least %.15g", o->name, value, o->min);
    return sru_fail(err, SRU_EINVAL, "option '--%s': %s is out of range: give %.15g to %.15g", o->name, value,
                    o->min, o->max);
}

/* What a suffix multiplies by: k, m, g or Ki, Mi, Gi in either case; 0 for another one. */
static uint64_t suffix_factor(const char *s)
{
    static const char letters[] = "kmg";
    uint64_t factor = 1;

    if (*s == '\0')
        return 1;
    const char *at = strchr(letters, *s | 0x20);
    const bool binary = (s[1] | 0x20) == 'i';
    if (!at || s[1 + binary] != '\0')
        return 0;
    for (const char *p = letters; p <= at; p++)
        factor *= binary ? 1024 : 1000;
    return factor;
}

static sru_status parse_whole(const struct sru_option *o, const char *value, uint64_t limit, uint64_t *out,
                              struct sru_error *err)
{
    static const char accepts[] = "a whole number, with suffix k, m, g, Ki, Mi or Gi if you like";
    char *end;

    if (*value < '0' || *value > '9')
        return reject(o, value, accepts, err);
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    const uint64_t factor = suffix_factor(end);
    if (factor == 0)
        return reject(o, value, accepts, err);
    if (errno || __builtin_mul_overflow(number, factor, out) || *out > limit)
        return sru_fail(err, SRU_EINVAL, "option '--%s': %s is too large", o->name, value);
    return check_range(o, value, (double)*out, err);
}

static sru_status parse_real(const struct sru_option *o, const char *value, double *out,
                             struct sru_error *err)
{
    char *end;

    *out = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(*out) || strchr(" \t\n", *value))
        return reject(o, value, "a number", err);
    return check_range(o, value, *out, err);
}

static sru_status parse_duration(const struct sru_option *o, const char *value, double *out,
                                 struct sru_error *err)
{
    static const char units[] = "smhd";
    static const double seconds[] = { 1, 60, 3600, 86400 };
    char *end;

    *out = strtod(value, &end);
    const char *unit = *end ? strchr(units, *end) : units;
    if (end == value || !unit || (*end && end[1]) || !isfinite(*out) || *out < 0 || strchr(" \t\n", *value))
        return reject(o, value, "a time such as 90, 90s, 10m, 1.5h or 2d", err);
    *out *= seconds[unit - units];
    return check_range(o, value, *out, err);
}

static sru_status assign(const struct sru_option *o, void *settings, const char *value, struct sru_error *err)
{
    void *member = (char *)settings + o->offset;
    uint64_t whole = 0;
    double real = 0;
    sru_status status = SRU_OK;

    switch (o->type) {
    case SRU_OPT_FLAG:
        *(bool *)member = value != NULL;
        break;
    case SRU_OPT_STRING:
        *(const char **)member = value;
        break;
    case SRU_OPT_SIZE:
        if (!(status = parse_whole(o, value, SIZE_MAX, &whole, err)))
            *(size_t *)member = (size_t)whole;
        break;
    case SRU_OPT_UINT64:
        if (!(status = parse_whole(o, value, UINT64_MAX, &whole, err)))
            *(uint64_t *)member = whole;
        break;
    case SRU_OPT_DOUBLE:
        if (!(status = parse_real(o, value, &real, err)))
            *(double *)member = real;
        break;
    case SRU_OPT_DURATION:
        if (!(status = parse_duration(o, value, &real, err)))
            *(double *)member = real;
        break;
    }
    return status;
}

/* ---- To and from JSON ------------------------------------------------------- */

json_t *sru_options_to_json(struct sru_option_table table, const void *settings)
{
    json_t *object = json_object();

    for (size_t i = 0; i < table.n && object; i++) {
        const struct sru_option *o = &table.options[i];
        const char *member = (const char *)settings + o->offset;
        json_t *value = NULL;

        switch (o->type) {
        case SRU_OPT_FLAG:
            value = json_boolean(*(const bool *)member);
            break;
        case SRU_OPT_STRING:
            value = *(const char *const *)member ? json_string(*(const char *const *)member) : NULL;
            if (!value)   /* none given, or a file's name that is not UTF-8 */
                value = json_null();
            break;
        case SRU_OPT_SIZE:
            value = json_integer((json_int_t)*(const size_t *)member);
            break;
        case SRU_OPT_UINT64:
            value = json_integer((json_int_t)*(const uint64_t *)member);
            break;
        case SRU_OPT_DOUBLE:
        case SRU_OPT_DURATION:
            value = json_real(*(const double *)member);
            break;
        }
        if (json_object_set_new(object, o->name, value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* One value; false where it is of another type or out of the option's range. */
static bool member_from_json(const struct sru_option *o, void *member, const json_t *value)
{
    const double number = json_number_value(value);

    if (json_is_number(value) && !(o->min == 0 && o->max == 0) && !(number >= o->min && number <= o->max))
        return false;
    switch (o->type) {
    case SRU_OPT_FLAG:
        *(bool *)member = json_is_true(value);
        return json_is_boolean(value);
    case SRU_OPT_STRING:
        *(const char **)member = json_string_value(value);
        return json_is_string(value) || json_is_null(value);
    case SRU_OPT_SIZE:
        *(size_t *)member = (size_t)json_integer_value(value);
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case SRU_OPT_UINT64:
        *(uint64_t *)member = (uint64_t)json_integer_value(value);
        return json_is_integer(value);
    case SRU_OPT_DOUBLE:
    case SRU_OPT_DURATION:
        *(double *)member = number;
        return json_is_number(value);
    }
    return false;
}

sru_status sru_options_from_json(struct sru_option_table table, void *settings, json_t *object, struct sru_error *err)
{
    for (size_t i = 0; i < table.n; i++) {
        const struct sru_option *o = &table.options[i];
        const json_t *value = json_object_get(object, o->name);

        if (!value || !member_from_json(o, (char *)settings + o->offset, value))
            return sru_fail(err, SRU_EFORMAT, "the stored settings have no '%s', or one out of range", o->name);
    }
    return SRU_OK;
}

/* ---- The command line ------------------------------------------------------ */

/* The tables that getopt_long wants, made from ours; --help comes last. */
struct getopt_tables {
    struct option *longs;   /* options, their --no- forms, help, end */
    char *shorts;
    char *negations;        /* "no-NAME" texts, one after another */
};

static void free_tables(struct getopt_tables *g)
{
    free(g->longs);
    free(g->shorts);
    free(g->negations);
}

static sru_status make_tables(struct sru_option_table table, struct getopt_tables *g, struct sru_error *err)
{
    size_t bytes = 1, n = 0;

    for (size_t i = 0; i < table.n; i++)
        bytes += strlen(table.options[i].name) + sizeof "no-";
    g->longs = calloc(2 * table.n + 2, sizeof *g->longs);
    g->shorts = calloc(2 * table.n + 3, 1);
    g->negations = malloc(bytes);
    if (!g->longs || !g->shorts || !g->negations) {
        free_tables(g);
        return sru_fail(err, SRU_ENOMEM, "out of memory");
    }
    char *s = g->shorts, *no = g->negations;
    *s++ = ':';   /* tell a missing argument from an unknown option */
    *s++ = 'h';
    for (size_t i = 0; i < table.n; i++) {
        const struct sru_option *o = &table.options[i];
        const bool flag = o->type == SRU_OPT_FLAG;
        g->longs[n++] =
            (struct option){ o->name, flag ? no_argument : required_argument, NULL, LONG_VALUE + (int)i };
        if (o->letter)
            *s++ = o->letter;
        if (o->letter && !flag)
            *s++ = ':';
        if (!flag)
            continue;
        const int length = sprintf(no, "no-%s", o->name);
        g->longs[n++] = (struct option){ no, no_argument, NULL, LONG_VALUE + (int)(table.n + i) };
        no += length + 1;
    }
    g->longs[n] = (struct option){ "help", no_argument, NULL, 'h' };
    return SRU_OK;
}

/* Index of the option that getopt_long's value stands for; *negated for --no-NAME. */
static size_t option_index(struct sru_option_table table, int value, bool *negated)
{
    size_t i = 0;

    *negated = false;
    if (value >= LONG_VALUE) {
        i = (size_t)(value - LONG_VALUE);
        *negated = i >= table.n;
        return *negated ? i - table.n : i;
    }
    while (i < table.n && table.options[i].letter != value)
        i++;
    return i;
}

static sru_status bad_option(struct sru_option_table table, char **argv, int value, struct sru_error *err)
{
    const char *given = argv[optind - 1];
    bool negated;

    if (optopt != 0) {
        const size_t i = option_index(table, optopt, &negated);
        if (i == table.n)
            return sru_fail(err, SRU_EINVAL, "unknown option '-%c'", optopt);
        return sru_fail(err, SRU_EINVAL, value == ':' ? "option '--%s%s' needs an argument"
                        : "option '--%s%s' takes no argument", negated ? "no-" : "", table.options[i].name);
    }
    struct sru_nearest near = sru_nearest_begin(given + strspn(given, "-"));
    for (size_t i = 0; i < table.n; i++)
        sru_nearest_try(&near, table.options[i].name);
    if (near.best)
        return sru_fail(err, SRU_EINVAL, "unknown or ambiguous option '%.80s': did you mean '--%s'?", given,
                        near.best);
    return sru_fail(err, SRU_EINVAL, "unknown or ambiguous option '%.80s'", given);
}

sru_status sru_options_parse(struct sru_option_table table, void *settings, bool *set, int argc, char **argv,
                             int *first, struct sru_error *err)
{
    struct getopt_tables g = { 0 };
    sru_status status = make_tables(table, &g, err);
    int value;

    if (status)
        return status;
    opterr = 0;
    optind = 0;   /* begin anew: glibc, musl and the BSDs take 0 for that */
    while (!status && (value = getopt_long(argc, argv, g.shorts, g.longs, NULL)) != -1) {
        bool negated;
        const size_t i = option_index(table, value, &negated);
        if (value == '?' || value == ':')
            status = bad_option(table, argv, value, err);
        else if (i < table.n && table.options[i].type == SRU_OPT_FLAG)
            status = assign(&table.options[i], settings, negated ? NULL : table.options[i].name, err);
        else if (i < table.n)
            status = assign(&table.options[i], settings, optarg, err);
        if (!status && i < table.n && set)
            set[i] = true;
    }
    *first = optind;
    free_tables(&g);
    return status;
}

bool sru_options_want_help(struct sru_option_table table, int argc, char **argv)
{
    struct getopt_tables g = { 0 };
    const size_t n = (size_t)argc + 1;
    char **words = malloc(n * sizeof *words);   /* getopt_long puts the operands last, and this is only a look */
    int value = -1;

    if (words && !make_tables(table, &g, NULL)) {
        memcpy(words, argv, n * sizeof *words);
        opterr = 0;
        optind = 0;
        do
            value = getopt_long(argc, words, g.shorts, g.longs, NULL);
        while (value != -1 && value != 'h');
        free_tables(&g);
    }
    free(words);
    return value == 'h';
}
