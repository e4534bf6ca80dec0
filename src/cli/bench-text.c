/* The figures of `sru-lm bench` as tables. */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "src/cli/bench-report.h"
#include "src/cli/progress.h"

static const char *const precisions[SRU_PRECISIONS] = { [SRU_F32] = "f32", [SRU_BF16] = "bf16" };

static const char *threads(int n, char words[24])
{
    snprintf(words, 24, n == 1 ? "%d thread" : "%d threads", n);
    return words;
}

/* GFLOP/s in a column of 8. */
static void print_rate(double rate)
{
    if (isfinite(rate))
        printf("%8.0f", rate / 1e9);
    else
        printf("%8s", "none");
}

void sru_bench_print_host(const struct sru_bench_host *h)
{
    const struct sru_machine *m = &h->machine;
    const char *precision = precisions[sru_bench_precision(h->dev)];
    char words[24];

    printf("processor  %s, %ld online, load %.1f\n", m->cpu, m->cpus, m->load);
    printf("program    sru-lm %s, %s, matrix products by %s\n", sru_version(), m->compiler, m->library);
    if (sru_is_cpu(h->dev)) {
        printf("device     %s, %s, %s kernels, %s\n", h->dev->name, threads(h->dev->threads, words), h->dev->kernels, precision);
        printf("memory     %.1f GB/s, with one thread %.1f: a = b + s c, three arrays of %zu MB\n", h->memory[1] / 1e9,
               h->memory[0] / 1e9, h->array_bytes >> 20);
    } else {
        printf("GPU        %s, %s kernels, %s\n", h->dev->name, h->dev->kernels, precision);
        printf("memory     %.1f GB/s read and written: copies of %zu MB\n", h->memory[1] / 1e9, h->array_bytes >> 20);
    }
    printf("products   GFLOP/s of [%zu,%zu] times the same:", h->side, h->side);
    for (int i = 0; i < SRU_PRECISIONS; i++) {
        print_rate(h->cube[i].rate);
        printf(" %s", precisions[i]);
    }
    const char *by = h->cube[sru_bench_precision(h->dev)].by;
    if (*by)
        printf(", by %s", by);
    putchar('\n');
    fflush(stdout);
}

static void print_matmuls(const struct sru_matmuls *x)
{
    printf("\n  %-20s %19s %8s %7s %7s\n", "product, GFLOP/s", "size", "a step", "f32", "bf16");
    for (size_t i = 0; i < x->n; i++) {
        const struct sru_step_product *p = &x->product[i];

        printf("  %-20s %5zu x%5zu x%5zu %8zu", p->name, p->m, p->k, p->n, p->count);
        print_rate(x->is[i][SRU_F32].rate);
        print_rate(x->is[i][SRU_BF16].rate);
        putchar('\n');
    }
    printf("  %-49s", "all of a step");
    print_rate(x->mean[SRU_F32]);
    print_rate(x->mean[SRU_BF16]);
    putchar('\n');
}

static void print_operators(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_training *t = &f->training;
    double rest = t->mean;

    printf("\n  %-20s %12s %12s %10s %8s\n", "operator", "% forward", "% backward", "GFLOP/s", "GB/s");
    for (int op = 0; op < SRU_TIMED; op++) {
        const double *seconds = t->times.seconds[op], both = seconds[SRU_FORWARD] + seconds[SRU_BACKWARD];
        const struct sru_cost a = sru_cost_of(&f->model, op, SRU_FORWARD, h->dev);
        const struct sru_cost b = sru_cost_of(&f->model, op, SRU_BACKWARD, h->dev);

        if (both <= 0)   /* Muon, where AdamW trains */
            continue;
        printf("  %-20s %12.1f %12.1f ", sru_timed_names[op], 100 * seconds[SRU_FORWARD] / t->mean,
               100 * seconds[SRU_BACKWARD] / t->mean);
        if (a.flops + b.flops > 0)
            printf("%10.0f", (a.flops + b.flops) / both / 1e9);
        else
            printf("%10s", "-");
        if (a.bytes + b.bytes > 0)
            printf(" %8.1f\n", (a.bytes + b.bytes) / both / 1e9);
        else
            printf(" %8s\n", "-");
        rest -= both;
    }
    printf("  %-20s %12.1f\n", "the rest", 100 * rest / t->mean);
}

static void print_training(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_spread *step = &f->training.step;
    const double tokens = (double)(f->model.B * f->model.T), flops = sru_cost_of_step(&f->model, h->dev).flops;
    const int precision = sru_bench_precision(h->dev);

    printf("\n  training    %.0f tokens/s (quartiles %.0f to %.0f), %zu steps of %.1f ms\n", tokens / step->median, tokens / step->high,
           tokens / step->low, step->n, 1e3 * step->median);
    printf("              %.0f GFLOP/s, %.0f %% of the rate of its products in %s\n", flops / step->median / 1e9,
           100 * flops / step->median / f->matmuls.mean[precision], precisions[precision]);
    printf("              %.1f MB of memory\n", f->training.bytes / 1e6);
    print_operators(h, f);
}

static void print_recurrence(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    static const char *const names[SRU_DIRECTIONS] = { "forward", "backward" };

    puts("\n  recurrence alone, on more than the caches hold");
    for (int i = 0; i < SRU_DIRECTIONS; i++) {
        const double seconds = f->recurrence.pass[i].median / f->recurrence.elements;
        const double bytes = sru_bytes_of_scan(i, h->dev);

        printf("  %-11s %.2f ns an element, %.0f %% of the memory rate\n", names[i], 1e9 * seconds, 100 * bytes / seconds / h->memory[1]);
    }
}

static void print_generation(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_spread *token = &f->generation.token;
    const double bytes = sru_cost_of_token(&f->model, h->dev).bytes;
    char words[24];

    printf("\n  generation  %.0f tokens/s (quartiles %.0f to %.0f), %s, window %zu\n", 1 / token->median, 1 / token->high,
           1 / token->low, sru_is_cpu(h->dev) ? threads(f->generation.threads, words) : h->dev->name, f->model.config.window);
    printf("              %.1f MB of weights, keys and values a token: %.0f %% of the memory rate\n", bytes / 1e6,
           100 * bytes / token->median / h->memory[f->generation.threads > 1]);
}

void sru_bench_print_preset(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_bench_model *m = &f->model;
    char parameters[24];

    printf("\n%s: %s parameters, %zu layers, d %zu, p %zu, V %zu, B %zu, T %zu\n", m->name,
           sru_short_count((double)m->parameters, parameters), m->config.depth, m->config.n_d, m->config.n_proj, m->config.vocab, m->B,
           m->T);
    print_matmuls(&f->matmuls);
    print_training(h, f);
    if (f->recurrence.elements > 0)
        print_recurrence(h, f);
    print_generation(h, f);
    fflush(stdout);
}
