/* The figures of `sru-lm bench` as JSON: seconds, bytes, flop/s and bytes a second; null for what is not here. */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "src/cli/bench-report.h"

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *whole(size_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *spread(const struct sru_spread *s)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "least", s->least, "low", s->low, "median", s->median, "high", s->high, "runs",
                     whole(s->n));
}

static json_t *matmul(const struct sru_matmul *m)
{
    return json_pack("{s:o, s:s}", "rate", number(m->rate), "by", m->by);
}

static json_t *in_precisions(const struct sru_matmul is[SRU_PRECISIONS])
{
    return json_pack("{s:o, s:o}", "f32", matmul(&is[SRU_F32]), "bf16", matmul(&is[SRU_BF16]));
}

json_t *sru_bench_host_to_json(const struct sru_bench_host *h)
{
    const struct sru_machine *m = &h->machine;
    const struct sru_dev *dev = h->dev;
    char cube[32];

    snprintf(cube, sizeof cube, "matmul_%zu", h->side);
    return json_pack("{s:{s:s, s:I, s:o}, s:{s:s, s:s, s:s}, s:{s:s, s:i, s:s, s:s}, s:{s:o, s:f, s:f}, s:o}",
                     "machine", "cpu", m->cpu, "cpus", (json_int_t)m->cpus, "load", number(m->load),
                     "program", "version", sru_version(), "compiler", m->compiler, "products", m->library,
                     "device", "name", dev->name, "threads", dev->threads, "kernels", dev->kernels,
                     "precision", sru_bench_precision(dev) == SRU_BF16 ? "bf16" : "f32",
                     "memory", "array_bytes", whole(h->array_bytes), "rate", h->memory[1], "rate_one_thread", h->memory[0],
                     cube, in_precisions(h->cube));
}

static json_t *products(const struct sru_matmuls *x)
{
    json_t *list = json_array();

    for (size_t i = 0; i < x->n; i++) {
        const struct sru_step_product *p = &x->product[i];

        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", p->name, "m", whole(p->m), "k", whole(p->k), "n",
                                              whole(p->n), "count", whole(p->count), "is", in_precisions(x->is[i])));
    }
    return list;
}

static json_t *operation(double seconds, struct sru_cost cost)
{
    return json_pack("{s:o, s:f, s:f}", "seconds", number(seconds), "flops", cost.flops, "bytes", cost.bytes);
}

/* Per step. */
static json_t *operators(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    json_t *object = json_object();

    for (int op = 0; op < SRU_TIMED; op++) {
        const double *seconds = f->training.times.seconds[op];
        const struct sru_cost a = sru_cost_of(&f->model, op, SRU_FORWARD, h->dev);
        const struct sru_cost b = sru_cost_of(&f->model, op, SRU_BACKWARD, h->dev);

        json_object_set_new(object, sru_timed_names[op], json_pack("{s:o, s:o}", "forward", operation(seconds[SRU_FORWARD], a),
                                                                   "backward", operation(seconds[SRU_BACKWARD], b)));
    }
    return object;
}

static json_t *pass(const struct sru_bench_host *h, const struct sru_bench_figures *f, int direction)
{
    const struct sru_cost cost = { 0, f->recurrence.elements * sru_bytes_of_scan(direction, h->dev) };

    return operation(f->recurrence.pass[direction].median, cost);
}

/* NULL where it was not measured. */
static json_t *recurrence(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    if (f->recurrence.elements <= 0)
        return NULL;
    return json_pack("{s:o, s:o}", "forward", pass(h, f, SRU_FORWARD), "backward", pass(h, f, SRU_BACKWARD));
}

static json_t *training(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const double step = f->training.step.median, flops = sru_cost_of_step(&f->model, h->dev).flops;

    return json_pack("{s:f, s:o, s:f, s:f, s:o, s:f, s:f, s:o, s:o*}",
                     "tokens_per_second", (double)(f->model.B * f->model.T) / step, "step_seconds", spread(&f->training.step),
                     "flops", flops, "rate", flops / step,
                     "share", number(flops / step / f->matmuls.mean[sru_bench_precision(h->dev)]),
                     "memory", f->training.bytes, "mean_step_seconds", f->training.mean, "operators", operators(h, f),
                     "recurrence", recurrence(h, f));
}

static json_t *generation(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_generation *g = &f->generation;
    const struct sru_cost cost = sru_cost_of_token(&f->model, h->dev);

    return json_pack("{s:f, s:o, s:i, s:o, s:f, s:f}", "tokens_per_second", 1 / g->token.median, "token_seconds", spread(&g->token),
                     "threads", g->threads, "window", whole(f->model.config.window), "bytes", cost.bytes,
                     "share", cost.bytes / g->token.median / h->memory[g->threads > 1]);
}

json_t *sru_bench_preset_to_json(const struct sru_bench_host *h, const struct sru_bench_figures *f)
{
    const struct sru_bench_model *m = &f->model;
    const struct sru_config *c = &m->config;

    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o}", "name", m->name,
                     "parameters", whole(m->parameters), "hidden", whole(c->n_d), "projection", whole(c->n_proj),
                     "layers", whole(c->depth), "vocabulary", whole(c->vocab), "batch", whole(m->B), "unroll", whole(m->T),
                     "matmul", "f32", number(f->matmuls.mean[SRU_F32]), "bf16", number(f->matmuls.mean[SRU_BF16]),
                     "products", products(&f->matmuls), "training", training(h, f), "generation", generation(h, f));
}
