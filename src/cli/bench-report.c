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
