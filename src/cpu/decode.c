/*
 * Products for decoding.  A token's time is that of reading all weights once: they stand in panels (simd/kernels.h), in the
 * fewest bits that the device or the caller allows, and all streams share what is read.
 */
#include "config.h"

#include <stdlib.h>

#include "src/cpu/cpu.h"
#include "src/int8.h"
#include "src/size.h"

enum { ROWS = 16 };     /* of x in f32 at a time */
enum { PIECE = 64 };    /* inputs that are packed at a time */

static size_t panels_of(const struct sru_cpu_operand *o)
{
    return (o->out + SRU_PANEL - 1) / SRU_PANEL;
}

static size_t bytes_of(enum sru_form form)
{
    return form == SRU_AS_F32 ? sizeof(float) : form == SRU_AS_BF16 ? sizeof(uint16_t) : sizeof(int8_t);
}

/* ---- Operands -------------------------------------------------------------------------------- */

/* Room for rows of x in f32, as long as the longest. */
static bool make_room(struct sru_cpu *cpu, size_t in)
{
    if (!cpu->bf16 || in <= cpu->room_cols)
        return true;
    float *larger = cpu->dev.ops->alloc(&cpu->dev, ROWS * in * sizeof *larger);
    if (!larger)
        return false;
    free(cpu->room);
    cpu->room = larger;
    cpu->room_cols = in;
    return true;
}

/* An operand's form and, with it, the bytes of its panels and of its scales. */
static struct sru_cpu_operand planned(const struct sru_cpu *cpu, size_t in, size_t out, bool int8, size_t *panels, size_t *scales)
{
    const struct sru_cpu_operand o = { .in = in, .out = out, .form = int8 ? SRU_AS_INT8 : cpu->bf16 ? SRU_AS_BF16 : SRU_AS_F32 };
    const size_t outputs = panels_of(&o) * SRU_PANEL;

    *panels = outputs * in * bytes_of(o.form);
    *scales = int8 ? outputs * sizeof *o.scale : 0;
    return o;
}

size_t sru_cpu_panels_bytes(const struct sru_cpu *cpu, size_t in, size_t out, bool int8)
{
    size_t panels, scales;

    planned(cpu, in, out, int8, &panels, &scales);
    return panels + scales;
}

bool sru_cpu_panels_open(struct sru_cpu *cpu, struct sru_cpu_operand *o, bool int8)
{
    size_t panels, scales;

    o->form = planned(cpu, o->in, o->out, int8, &panels, &scales).form;
    o->panels = cpu->dev.ops->alloc(&cpu->dev, panels);
    o->scale = int8 ? cpu->dev.ops->alloc(&cpu->dev, scales) : NULL;
    return o->panels && (o->scale || !int8) && make_room(cpu, o->in);
}

/* Inputs [i, i+n) of panel p, [n][16], from w. */
static void gather(const struct sru_cpu_operand *o, const float *w, size_t p, size_t i, size_t n, float *out)
{
    const size_t across = o->in_first ? 1 : o->in, down = o->in_first ? o->out : 1, outputs = sru_min(SRU_PANEL, o->out - p * SRU_PANEL);

    for (size_t l = 0; l < SRU_PANEL; l++)
        for (size_t j = 0; j < n; j++)
            out[j * SRU_PANEL + l] = l < outputs ? w[(p * SRU_PANEL + l) * across + (i + j) * down] : 0;
}

static void pack_panel(const struct sru_cpu *cpu, const struct sru_cpu_operand *o, const float *w, size_t p)
{
    float piece[PIECE * SRU_PANEL];

    for (size_t o1 = p * SRU_PANEL; o->scale && o1 < sru_min((p + 1) * SRU_PANEL, o->out); o1++)
        o->scale[o1] = sru_int8_scale(o->in, w + o1 * (o->in_first ? 1 : o->in), o->in_first ? o->out : 1);
    for (size_t i = 0; i < o->in; i += PIECE) {
        const size_t n = sru_min(PIECE, o->in - i), at = (p * o->in + i) * SRU_PANEL;

        gather(o, w, p, i, n, piece);
        if (o->form != SRU_AS_INT8)
            cpu->k->narrow(n * SRU_PANEL, piece, sru_at(&cpu->dev, o->panels, at));
        for (size_t j = 0; o->form == SRU_AS_INT8 && j < n * SRU_PANEL; j++)
            ((int8_t *)o->panels)[at + j] = (int8_t)sru_int8_of(piece[j], o->scale[p * SRU_PANEL + j % SRU_PANEL]);
    }
}

void sru_cpu_panels_pack(const struct sru_cpu *cpu, const struct sru_cpu_operand *o, const float *w)
{
#pragma omp parallel for schedule(static) num_threads(sru_threads(cpu))
    for (size_t p = 0; p < panels_of(o); p++)
        pack_panel(cpu, o, w, p);
}

/* ---- Products ---------------------------------------------------------------------------------- */

/* Part i of so many.  A panel is one thread's: the same bits for every number of threads. */
static void run_part(const struct sru_cpu *cpu, const struct sru_cpu_operand *o, const struct sru_panels *s, size_t i, size_t parts)
{
    const size_t n = panels_of(o);

    cpu->k->panels[o->form](s, n * i / parts, n * (i + 1) / parts);
}

void sru_cpu_decode(struct sru_cpu *cpu, const struct sru_cpu_operand *o, size_t rows, const sru_act *x, size_t x_stride, sru_act *y,
                    float *sum, size_t y_stride)
{
    const struct sru_dev *dev = &cpu->dev;
    const bool many = sru_is_work(cpu, panels_of(o) * SRU_PANEL * o->in * bytes_of(o->form) / sizeof(float));
    const size_t parts = many ? (size_t)dev->threads : 1;

    for (size_t b = 0; b < rows; b += ROWS) {
        struct sru_panels s = {
            .rows = sru_min(ROWS, rows - b), .in = o->in, .out = o->out, .x_stride = x_stride, .y_stride = y_stride,
            .w = o->panels, .scale = o->scale, .x = (const float *)x + (cpu->bf16 ? 0 : b * x_stride),
            .y = y ? sru_at(dev, y, b * y_stride) : NULL, .sum = sum ? sum + b * y_stride : NULL,
        };

        if (cpu->bf16) {
            for (size_t i = 0; i < s.rows; i++)
                cpu->k->widen(o->in, sru_from(dev, x, (b + i) * x_stride), cpu->room + i * o->in);
            s.x = cpu->room;
            s.x_stride = o->in;
        }
        SRU_EACH(cpu, many, i, parts, run_part(cpu, o, &s, i, parts));
    }
}
