/* The CPU as a device: memory, workspace, threads, and the table of its operators. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/cpu/cpu.h"
#include "src/size.h"

/* ---- Memory ----------------------------------------------------------------------------- */

static void *cpu_alloc(struct sru_dev *dev, size_t bytes)
{
    (void)dev;
    if (bytes > SIZE_MAX - 64)
        return NULL;
    bytes = sru_round_up(sru_max(bytes, 1), 64);
    void *p = aligned_alloc(64, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

static void cpu_release(struct sru_dev *dev, void *p)
{
    (void)dev;
    free(p);
}

enum { PIECE = 1 << 16 };   /* bytes: less is not worth a second thread */

static void cpu_copy(struct sru_dev *dev, void *dst, const void *src, size_t bytes)
{
    char *to = dst;
    const char *from = src;

    (void)dev;
    if (bytes <= PIECE || (to < from + bytes && from < to + bytes)) {
        memmove(to, from, bytes);
        return;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < bytes; i += PIECE)
        memcpy(to + i, from + i, sru_min(PIECE, bytes - i));
}

static void cpu_copies(struct sru_dev *dev, void *dst, const void *src, size_t bytes, size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        cpu_copy(dev, (char *)dst + i * stride, (const char *)src + i * stride, bytes);
}

static void cpu_put_act(struct sru_dev *dev, sru_act *dst, const float *host, size_t n)
{
    sru_cpu_of(dev)->k->narrow(n, host, dst);
}

static void cpu_get_act(struct sru_dev *dev, float *host, const sru_act *src, size_t n)
{
    sru_cpu_of(dev)->k->widen(n, src, host);
}

static void cpu_zero(struct sru_dev *dev, void *p, size_t bytes)
{
    (void)dev;
#pragma omp parallel for schedule(static) if (bytes > PIECE)
    for (size_t i = 0; i < bytes; i += PIECE)
        memset((char *)p + i, 0, sru_min(PIECE, bytes - i));
}

static uint64_t cpu_left(struct sru_dev *dev)
{
    (void)dev;
    return 0;
}

/* ---- Workspace -------------------------------------------------------------------------- */

static size_t cpu_work(struct sru_dev *dev, const struct sru_shape *s)
{
    const struct sru_cpu *cpu = sru_cpu_of(dev);
    size_t most = sru_cpu_attend_work(cpu, s);

    most = sru_max(most, sru_cpu_embed_work(cpu, s));
    most = sru_max(most, sru_cpu_linear_work(cpu, s));
    most = sru_max(most, sru_cpu_norm_work(cpu, s));
    most = sru_max(most, sru_cpu_recur_work(cpu, s));
    most = sru_max(most, sru_cpu_predict_work(cpu, s));
    most = sru_max(most, sru_cpu_muon_work(cpu, s));
    return most * sizeof(float);
}

static sru_status cpu_reserve(struct sru_dev *dev, const struct sru_shape *s, struct sru_error *err)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    const size_t bytes = cpu_work(dev, s);

    if (bytes <= cpu->work_bytes)
        return SRU_OK;
    float *larger = cpu_alloc(dev, bytes);
    if (!larger)
        return sru_fail(err, SRU_ENOMEM, "out of memory for a workspace of %zu MB", bytes >> 20);
    free(cpu->work);
    cpu->work = larger;
    cpu->work_bytes = bytes;
    return SRU_OK;
}

/* ---- Optimizer -------------------------------------------------------------------------- */

#define CHUNK ((size_t)1 << 15)   /* scalars a thread takes at a time */

static void cpu_update(struct sru_dev *dev, const struct sru_update *s)
{
    const struct sru_kernels *k = sru_cpu_of(dev)->k;

    if (s->gauge->clip == 0)
        return;
#pragma omp parallel for schedule(static)
    for (size_t from = 0; from < s->n; from += CHUNK)
        k->update(s, from, sru_min(from + CHUNK, s->n));
}

/* Parts are added in order, and there are as many for every number of threads. */
static double sumsq(const struct sru_kernels *k, const float *x, size_t n)
{
    double part[64] = { 0 };
    const size_t parts = sizeof part / sizeof *part, each = (n + parts - 1) / parts;
    double sum = 0;

#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < parts; i++)
        if (i * each < n)
            part[i] = k->sumsq(sru_min(each, n - i * each), x + i * each);
    for (size_t i = 0; i < parts; i++)
        sum += part[i];
    return sum;
}

static void cpu_measure(struct sru_dev *dev, const struct sru_measure *s)
{
    struct sru_gauge *g = s->gauge;
    double sum = 0;

    for (size_t i = 0; i < s->N; i++)
        sum += (double)s->nll[i];
    g->loss = sum / (double)s->N;
    g->norm = sqrt(sumsq(sru_cpu_of(dev)->k, s->g, s->n));
    if (g->clip == 0 || !isfinite(g->loss) || !isfinite(g->norm))
        g->clip = 0;
    else
        g->clip = s->largest > 0 && g->norm > s->largest ? (float)(s->largest / g->norm) : 1;
}

/* Nothing is queued. */
static void cpu_send(struct sru_dev *dev, int box, const struct sru_gauge *gauge)
{
    sru_cpu_of(dev)->sent[box] = *gauge;
}

static sru_status cpu_receive(struct sru_dev *dev, int box, struct sru_gauge *host, struct sru_error *err)
{
    (void)err;
    *host = sru_cpu_of(dev)->sent[box];
    return SRU_OK;
}

/* ---- Operand copies ---------------------------------------------------------------------- */

static void cpu_operand_close(struct sru_dev *dev, void *operand)
{
    struct sru_cpu_operand *o = operand;

    (void)dev;
    if (!o)
        return;
    free(o->forward);
    free(o->back);
    free(o->panels);
    free(o->scale);
    free(o);
}

static size_t cpu_operand_bytes(struct sru_dev *dev, size_t in, size_t out, enum sru_use use)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);

    if (use == SRU_USE_DECODE || use == SRU_USE_DECODE_INT8)
        return sru_cpu_panels_bytes(cpu, in, out, use == SRU_USE_DECODE_INT8);
    return sru_packed_bytes(cpu->products, in, out, cpu->bf16)
        + (use == SRU_USE_TRAIN ? sru_packed_bytes(cpu->products, out, in, cpu->bf16) : 0);
}

static bool packed_open(struct sru_cpu *cpu, struct sru_cpu_operand *o, bool train)
{
    const size_t forward = sru_packed_bytes(cpu->products, o->in, o->out, cpu->bf16);
    const size_t back = sru_packed_bytes(cpu->products, o->out, o->in, cpu->bf16);

    o->forward = cpu_alloc(&cpu->dev, forward);
    o->back = train ? cpu_alloc(&cpu->dev, back) : NULL;
    return forward > 0 && back > 0 && o->forward && (o->back || !train);
}

static void *cpu_operand_open(struct sru_dev *dev, size_t in, size_t out, bool in_first, enum sru_use use)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);
    struct sru_cpu_operand *o = malloc(sizeof *o);

    if (!o)
        return NULL;
    *o = (struct sru_cpu_operand){ .in = in, .out = out, .in_first = in_first };
    if (use == SRU_USE_READ || use == SRU_USE_TRAIN ? packed_open(cpu, o, use == SRU_USE_TRAIN)
                                                    : sru_cpu_panels_open(cpu, o, use == SRU_USE_DECODE_INT8))
        return o;
    cpu_operand_close(dev, o);
    return NULL;
}

static void prepare_one(struct sru_cpu *cpu, const struct sru_weight *w)
{
    const struct sru_cpu_operand *o = w->operand;

    if (o->panels)
        sru_cpu_panels_pack(cpu, o, w->w);
    if (o->forward)
        sru_pack(cpu->products, o->in, o->out, cpu->bf16, !o->in_first, w->w, o->forward);
    if (o->back)
        sru_pack(cpu->products, o->out, o->in, cpu->bf16, o->in_first, w->w, o->back);
}

static void cpu_prepare(struct sru_dev *dev, const struct sru_weight *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        prepare_one(sru_cpu_of(dev), &w[i]);
}

/* ---- The device ------------------------------------------------------------------------- */

static sru_status cpu_sync(struct sru_dev *dev, struct sru_error *err)
{
    struct sru_cpu *cpu = sru_cpu_of(dev);

    if (!sru_products_failed(cpu->products))
        return SRU_OK;
    return sru_fail(err, SRU_EDEVICE, "a matrix product failed: out of memory?");
}

static void cpu_close(struct sru_dev *dev)
{
    sru_products_close(sru_cpu_of(dev)->products);
    free(sru_cpu_of(dev)->work);
    free(sru_cpu_of(dev)->room);
    free(dev);
}

static const struct sru_ops cpu_ops = {
    .alloc = cpu_alloc,
    .release = cpu_release,
    .put = cpu_copy,
    .get = cpu_copy,
    .put_act = cpu_put_act,
    .get_act = cpu_get_act,
    .copy = cpu_copies,
    .zero = cpu_zero,
    .left = cpu_left,
    .kept_attend = sru_cpu_kept_attend,
    .kept_recur = sru_cpu_kept_recur,
    .work = cpu_work,
    .reserve = cpu_reserve,
    .operand_open = cpu_operand_open,
    .operand_bytes = cpu_operand_bytes,
    .operand_close = cpu_operand_close,
    .prepare = cpu_prepare,
    .embed = sru_cpu_embed,
    .embed_back = sru_cpu_embed_back,
    .gather = sru_cpu_gather,
    .scatter = sru_cpu_scatter,
    .add_at = sru_cpu_add_at,
    .linear = sru_cpu_linear,
    .linear_back = sru_cpu_linear_back,
    .attend = sru_cpu_attend,
    .attend_back = sru_cpu_attend_back,
    .recall = sru_cpu_recall,
    .norm = sru_cpu_norm,
    .norm_back = sru_cpu_norm_back,
    .recur = sru_cpu_recur,
    .recur_back = sru_cpu_recur_back,
    .predict = sru_cpu_predict,
    .predict_back = sru_cpu_predict_back,
    .update = cpu_update,
    .muon = sru_cpu_muon,
    .measure = cpu_measure,
    .send = cpu_send,
    .receive = cpu_receive,
    .sync = cpu_sync,
    .close = cpu_close,
};

/* Whether bf16 is multiplied as such, and not widened first, as our own products do. */
static bool multiplies_bf16(void)
{
#if defined SRU_HAVE_ONEDNN && defined __x86_64__ && (defined __clang__ || __GNUC__ >= 11)
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

sru_status sru_cpu_open(const char *kernels, enum sru_precision precision, struct sru_dev **out, struct sru_error *err)
{
    const bool bf16 = precision == SRU_PRECISION_BF16 || (precision == SRU_PRECISION_AUTO && multiplies_bf16());
    const struct sru_kernels *k;
    const char *forced = getenv("SRU_CPU");
    sru_status status = sru_kernels_find(kernels ? kernels : forced && *forced ? forced : NULL, bf16, &k, err);
    struct sru_cpu *cpu;

    *out = NULL;
    if (status)
        return status;
    if (!(cpu = calloc(1, sizeof *cpu)))
        return sru_fail(err, SRU_ENOMEM, "out of memory to open the processor");
    cpu->k = k;
    cpu->bf16 = bf16;
    cpu->dev = (struct sru_dev){
        .ops = &cpu_ops,
        .name = "cpu",
        .kernels = k->name,
        .act_bytes = k->act_bytes,
        .threads = omp_get_max_threads(),
    };
    if ((status = sru_products_open(&cpu->products, k, cpu->dev.threads, err))) {
        free(cpu);
        return status;
    }
    *out = &cpu->dev;
    return SRU_OK;
}
