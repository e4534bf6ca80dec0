/* What a user sees of a run: see progress.h. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "src/cli/progress.h"
#include "src/train/evaluate.h"

#define EVERY_IN_PLACE 0.2   /* seconds between lines */
#define EVERY_PLAIN 30.0

const char *sru_short_count(double n, char out[24])
{
    const char *unit = n >= 999.5e6 ? "G" : n >= 999.5e3 ? "M" : n >= 9999.5 ? "k" : "";
    const double scaled = n >= 999.5e6 ? n / 1e9 : n >= 999.5e3 ? n / 1e6 : n >= 9999.5 ? n / 1e3 : n;

    snprintf(out, 24, *unit && scaled < 99.95 ? "%.1f%s" : "%.0f%s", scaled, unit);
    return out;
}

const char *sru_short_time(double seconds, char out[24])
{
    const long s = lround(fmin(fmax(seconds, 0), 1e9));

    if (s >= 3600)
        snprintf(out, 24, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 24, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(out, 24, "%lds", s);
    return out;
}

struct sru_progress sru_progress_begin(void)
{
    return (struct sru_progress){ .in_place = isatty(STDOUT_FILENO) };
}

double sru_told_loss(enum sru_unit unit, double nats)
{
    return unit == SRU_WORDS ? exp(nats) : SRU_BITS(nats);
}

const char *sru_told_name(enum sru_unit unit)
{
    return unit == SRU_WORDS ? "perplexity" : "bits/byte";
}

void sru_progress_describe(struct sru_progress *p, const struct sru_beginning *k)
{
    const struct sru_config *c = k->config;
    const char *unit = sru_unit_name(k->unit);
    char n[24], m[24], a[24], b[24], t[24];

    p->unit = k->unit;
    printf("model: %s parameters, %zu layers, hidden size %zu, attention size %zu, %zu different %ss; %s bytes of memory\n",
           sru_short_count((double)k->parameters, n), c->depth, c->n_d, c->n_proj, c->vocab, unit, sru_short_count((double)k->memory, m));
    printf("text: %s %ss to train on, %s to evaluate on, %s to test with\n", sru_short_count((double)k->train, a), unit,
           sru_short_count((double)k->valid, b), sru_short_count((double)k->test, t));
    fflush(stdout);
}

static void clear(struct sru_progress *p)
{
    if (p->open)
        fputs("\r\033[K", stdout);
    p->open = false;
}

static void print(struct sru_progress *p, const struct sru_report *r)
{
    const char *name = sru_told_name(p->unit);
    char tokens[24], seconds[24], left[24], speed[24];

    printf("%3.0f%%  step %" PRIu64, 100 * r->progress, r->step);
    if (r->steps)
        printf("/%" PRIu64, r->steps);
    printf("  %s tokens  train %.3f", sru_short_count((double)r->tokens, tokens), sru_told_loss(p->unit, p->train));
    if (!isnan(r->valid))
        printf("  valid %.3f %s%s  %s/s  %s\n", sru_told_loss(p->unit, r->valid), name, r->best ? ", the best so far" : "",
               sru_short_count(r->speed, speed), sru_short_time(r->seconds, seconds));
    else
        printf(" %s  %s/s  lr %.1e  %s left%s", name, sru_short_count(r->speed, speed), r->lr, sru_short_time(r->left, left),
               p->in_place ? "" : "\n");
    p->open = p->in_place && isnan(r->valid);
    fflush(stdout);
}

void sru_progress_report(struct sru_progress *p, const struct sru_report *r)
{
    const double wait = p->in_place ? EVERY_IN_PLACE : EVERY_PLAIN;

    if (isnan(r->valid)) {   /* a mean over some fifty steps; at first over all of them */
        p->weight = 0.98 * p->weight + 1;
        p->train += (r->train - p->train) / p->weight;
        if (r->seconds - p->shown < wait)
            return;
    }
    clear(p);
    print(p, r);
    p->shown = r->seconds;
}

void sru_progress_end(struct sru_progress *p)
{
    if (p->open)
        putchar('\n');
    p->open = false;
    fflush(stdout);
}
