/* Attention of one query a stream, as decoding asks for it: keys and values are read where they lie, once and in order. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* A stream's keys and columns are cut into as many parts as keep the threads busy, at multiples of a cache line. */
static size_t part_size(const struct sru_cpu *cpu, size_t heads, size_t n)
{
    const size_t threads = (size_t)cpu->dev.threads, parts = heads >= threads ? 1 : (threads + heads - 1) / heads;

    return sru_round_up((n + parts - 1) / parts, 32);
}

static size_t parts_of(size_t n, size_t size)
{
    return (n + size - 1) / size;
}

/* A head of a stream: its columns, the keys [from, from + n) that it sees, and its room in the workspace. */
struct one {
    size_t b, column, cols, from, n;
    float *scores;  /* [M+1] */
    float *sum;     /* [cols] */
};

size_t sru_cpu_attend_one_work(const struct sru_shape *s)
{
    return s->B * (s->H * (s->M + 1) + s->p);
}

static struct one one_of(const struct sru_cpu *cpu, const struct sru_attend *s, size_t i)
{
    const size_t n = s->window > 0 ? sru_min(s->present, s->window) : s->present, cols = s->p / s->H;

    return (struct one){ .b = i / s->H, .column = i % s->H * cols, .cols = cols, .from = s->M - n, .n = n + 1,
                         .scores = cpu->work + i * (s->M + 1), .sum = cpu->work + s->B * s->H * (s->M + 1) + i * cols };
}

static sru_act *row_at(const struct sru_cpu *cpu, const struct sru_attend *s, struct sru_rows r, const struct one *k, size_t j)
{
    return sru_at(&cpu->dev, r.p, k->b * r.stride + j * s->p + k->column);
}

/* Part i of the scores, or of the sums, of this size. */
static void score_keys(const struct sru_cpu *cpu, const struct sru_attend *s, size_t size, size_t i)
{
    const size_t parts = parts_of(one_of(cpu, s, 0).n, size), j = i % parts * size;
    const struct one k = one_of(cpu, s, i / parts);

    cpu->k->keys(sru_min(size, k.n - j), k.cols, s->p, row_at(cpu, s, s->q, &k, 0), row_at(cpu, s, s->k, &k, k.from + j), k.scores + j);
}

static void sum_values(const struct sru_cpu *cpu, const struct sru_attend *s, size_t size, size_t i)
{
    const size_t parts = parts_of(s->p / s->H, size), c = i % parts * size;
    const struct one k = one_of(cpu, s, i / parts);

    cpu->k->values(k.n, sru_min(size, k.cols - c), s->p, k.scores, sru_at(&cpu->dev, row_at(cpu, s, s->v, &k, k.from), c), k.sum + c,
                   sru_at(&cpu->dev, row_at(cpu, s, s->out, &k, 0), c));
}

void sru_cpu_attend_one(struct sru_cpu *cpu, const struct sru_attend *s)
{
    const size_t heads = s->B * s->H, n = one_of(cpu, s, 0).n, cols = s->p / s->H;
    const size_t keys = part_size(cpu, heads, n), columns = part_size(cpu, heads, cols);
    const bool many = sru_is_work(cpu, 2 * s->B * n * s->p);

    SRU_EACH(cpu, many, i, heads * parts_of(n, keys), score_keys(cpu, s, keys, i));
    SRU_EACH(cpu, many && heads > 1, i, heads, cpu->k->probabilities(n, 1.0f / sqrtf((float)cols), one_of(cpu, s, i).scores));
    SRU_EACH(cpu, many, i, heads * parts_of(cols, columns), sum_values(cpu, s, columns, i));
}

void sru_cpu_recall(struct sru_dev *dev, const struct sru_recall *s)
{
    const size_t row = s->p * dev->act_bytes, ring = s->rows * s->p, at = (size_t)s->place->row * s->p;
    const struct sru_rows keys = { s->keys, ring }, values = { s->values, ring }, one = { s->q, s->p };
    const struct sru_attend all = {
        .B = s->B, .T = 1, .M = s->rows - 1, .H = s->H, .p = s->p, .present = (size_t)s->place->held - 1, .q = one, .k = keys, .v = values,
        .out = { s->out, s->p },
    };

    for (size_t b = 0; b < s->B; b++) {
        memcpy(sru_at(dev, s->keys, b * ring + at), sru_at(dev, s->k, b * s->p), row);
        memcpy(sru_at(dev, s->values, b * ring + at), sru_at(dev, s->v, b * s->p), row);
    }
    sru_cpu_attend_one(sru_cpu_of(dev), &all);
}
