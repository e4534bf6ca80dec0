/* The figures of `sru-lm bench`: see bench-report.h. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "src/cli/bench-report.h"
#include "src/sru.h"

struct sru_bench_report sru_bench_report_begin(bool json)
{
    return (struct sru_bench_report){ .object = json ? json_object() : NULL, .progress = isatty(STDERR_FILENO) };
}

void sru_bench_report_doing(const struct sru_bench_report *r, const char *what, const char *of)
{
    if (r->progress) {
        fprintf(stderr, "\r\033[K%s%s%s", what, *of ? ": " : "", of);
        fflush(stderr);
    }
}

/* The table takes the line of what was being done. */
static void begin_table(const struct sru_bench_report *r)
{
    sru_bench_report_doing(r, "", "");
}

static const char *precision_of(const struct sru_dev *dev)
{
    return dev->act_bytes == 2 ? "bf16" : "f32";
}

void sru_bench_report_machine(struct sru_bench_report *r, const struct sru_machine *m, const struct sru_dev *dev)
{
    if (r->object) {
        json_object_set_new(r->object, "machine",
                            json_pack("{s:s, s:I, s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "cpu", m->cpu, "cpus", (json_int_t)m->cpus,
                                      "threads", dev->threads, "device", dev->name, "kernels", dev->kernels, "precision",
                                      precision_of(dev), "onednn", m->onednn, "compiler", m->compiler, "version", sru_version()));
        return;
    }
    begin_table(r);
    printf("processor  %s, %ld processors\n", m->cpu, m->cpus);
    printf("in use     %d threads, %s kernels, %s\n", dev->threads, dev->kernels, precision_of(dev));
    printf("program    sru-lm %s, %s, oneDNN %s\n", sru_version(), m->compiler, m->onednn);
    fflush(stdout);
}

void sru_bench_report_memory(struct sru_bench_report *r, const double rate[2], int threads)
{
    if (r->object) {
        json_object_set_new(r->object, "memory",
                            json_pack("{s:I, s:f, s:f}", "array_bytes", (json_int_t)SRU_TRIAD_BYTES, "bytes_per_second", rate[1],
                                      "bytes_per_second_one_thread", rate[0]));
        return;
    }
    begin_table(r);
    printf("memory     %.1f GB/s with %d threads, %.1f with one: a = b + s c over arrays of %zu MB\n", rate[1] / 1e9, threads,
           rate[0] / 1e9, SRU_TRIAD_BYTES >> 20);
    fflush(stdout);
}

/* ---- Matrix products ------------------------------------------------------------------------------- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* GFLOP/s in a column of 8. */
static void print_rate(double rate)
{
    if (isnan(rate))
        printf("%8s", "none");
    else
        printf("%8.0f", rate / 1e9);
}

static json_t *rates(const struct sru_matmul is[SRU_PRECISIONS])
{
    return json_pack("{s:o, s:o, s:s, s:s}", "f32", number(is[SRU_F32].rate), "bf16", number(is[SRU_BF16].rate), "f32_by",
                     is[SRU_F32].by, "bf16_by", is[SRU_BF16].by);
}

void sru_bench_report_cube(struct sru_bench_report *r, const struct sru_matmul is[SRU_PRECISIONS])
{
    if (r->object) {
        json_object_set_new(r->object, "matmul_2048", rates(is));
        return;
    }
    begin_table(r);
    fputs("products  ", stdout);
    print_rate(is[SRU_F32].rate);
    fputs(" GFLOP/s in f32,", stdout);
    print_rate(is[SRU_BF16].rate);
    puts(" in bf16: [2048,2048] times the same");
    fflush(stdout);
}

void sru_bench_report_preset(struct sru_bench_report *r, const struct sru_bench_model *m, uint64_t parameters)
{
    const struct sru_config *c = &m->config;

    if (r->object) {
        json_t *list = json_object_get(r->object, "presets");

        if (!list)
            json_object_set_new(r->object, "presets", list = json_array());
        r->preset = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", m->name, "parameters", (json_int_t)parameters,
                              "hidden", (json_int_t)c->n_d, "projection", (json_int_t)c->n_proj, "layers", (json_int_t)c->depth,
                              "vocabulary", (json_int_t)c->vocab, "batch", (json_int_t)m->B, "unroll", (json_int_t)m->T, "window",
                              (json_int_t)c->window);
        json_array_append_new(list, r->preset);
        return;
    }
    begin_table(r);
    printf("\n%s: %.2f million parameters; d %zu, p %zu, %zu layers, V %zu, B %zu, T %zu\n", m->name, (double)parameters / 1e6, c->n_d,
           c->n_proj, c->depth, c->vocab, m->B, m->T);
}

static json_t *products_to_json(const struct sru_matmuls *x)
{
    json_t *list = json_array();

    for (size_t i = 0; i < x->n; i++) {
        const struct sru_product *p = &x->product[i];

        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "product", p->name, "m", (json_int_t)p->m, "k",
                                              (json_int_t)p->k, "n", (json_int_t)p->n, "count", (json_int_t)p->count, "rate",
                                              rates(x->is[i])));
    }
    return list;
}

void sru_bench_report_matmuls(struct sru_bench_report *r, const struct sru_matmuls *x)
{
    if (r->object) {
        json_object_set_new(r->preset, "matmul", json_pack("{s:o, s:o, s:o}", "products", products_to_json(x), "mean_f32",
                                                           number(x->mean[SRU_F32]), "mean_bf16", number(x->mean[SRU_BF16])));
        return;
    }
    begin_table(r);
    printf("  %-20s %20s %8s %7s %7s\n", "product, GFLOP/s", "size", "a step", "f32", "bf16");
    for (size_t i = 0; i < x->n; i++) {
        const struct sru_product *p = &x->product[i];

        printf("  %-20s %6zu x%5zu x%5zu %8zu", p->name, p->m, p->k, p->n, p->count);
        print_rate(x->is[i][SRU_F32].rate);
        print_rate(x->is[i][SRU_BF16].rate);
        putchar('\n');
    }
    printf("  %-50s", "all of a step");
    print_rate(x->mean[SRU_F32]);
    print_rate(x->mean[SRU_BF16]);
    putchar('\n');
    fflush(stdout);
}

void sru_bench_report_end(struct sru_bench_report *r)
{
    begin_table(r);
    if (r->object) {
        json_dumpf(r->object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
        putchar('\n');
    }
    json_decref(r->object);
    r->object = NULL;
}
