/*
 * Products by blocks that stay in the cache: see product-blocked.h.  b goes into panels as wide as the kernel's tile; a is copied, since
 * rows that stand a power of two apart would share few places of the cache.
 */
#include "config.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "src/cpu/product-blocked.h"
#include "src/size.h"

/* A block of a, and one of b of as many columns as divide into panels of every set of kernels, lie in 256 KB or less. */
enum { ROWS = 144, COLUMNS = 192, DEPTH = 256 };

/* A thread's. */
struct room {
    float a[ROWS * DEPTH], b[DEPTH * COLUMNS], sum[ROWS * COLUMNS], row[COLUMNS];
    uint16_t turned[ROWS * DEPTH];
};

struct sru_blocked {
    const struct sru_kernels *f32, *bf16;
    int threads;
    struct room *of;   /* [threads] */
};

/* What an item works at: rows and columns of c, and how a and b stand. */
struct work {
    const struct sru_product *k;
    const void *a, *b;
    void  *c;
    size_t lda, ldb, ldc;
};

struct span {
    size_t from, n;
};

static size_t pieces(size_t n, size_t size)
{
    return (n + size - 1) / size;
}

static const void *element(const void *x, bool bf16, size_t i)
{
    return (const char *)x + i * (bf16 ? sizeof(uint16_t) : sizeof(float));
}

/* ---- Operands ------------------------------------------------------------------------------------- */

/* x^T in f32: x [rows,cols], rows a stride apart, to out [cols,..], whose rows are `length` apart. */
static void turn(const struct sru_blocked *x, bool bf16, size_t rows, size_t cols, const void *from, size_t stride, uint16_t *turned,
                 float *out, size_t length)
{
    if (!bf16) {
        x->f32->transpose(rows, cols, from, stride, (sru_act *)out, length);
        return;
    }
    x->bf16->transpose(rows, cols, from, stride, (sru_act *)turned, rows);
    for (size_t i = 0; i < cols; i++)
        x->bf16->widen(rows, (const sru_act *)(turned + i * rows), out + i * length);
}

/* Rows `i` of a, elements `depth` of each, to room->a, whose rows are DEPTH apart. */
static void rows_of(const struct sru_blocked *x, const struct work *w, struct span i, struct span depth, struct room *room)
{
    const bool bf16 = w->k->bf16;

    if (w->k->ta) {
        turn(x, bf16, depth.n, i.n, element(w->a, bf16, depth.from * w->lda + i.from), w->lda, room->turned, room->a, DEPTH);
        return;
    }
    for (size_t r = 0; r < i.n; r++) {
        const void *row = element(w->a, bf16, (i.from + r) * w->lda + depth.from);

        if (bf16)
            x->bf16->widen(depth.n, row, room->a + r * DEPTH);
        else
            memcpy(room->a + r * DEPTH, row, depth.n * sizeof(float));
    }
}

/* A panel of columns that stand as rows of b [cols,depth]. */
static void turn_panel(const struct sru_blocked *x, bool bf16, size_t cols, size_t depth, const void *b, size_t stride, uint16_t *turned,
                       float *panel)
{
    const size_t wide = x->f32->tile_cols;

    if (cols < wide)
        memset(panel, 0, depth * wide * sizeof *panel);
    turn(x, bf16, cols, depth, b, stride, turned, panel, wide);
}

/* Columns `j` of b, rows `depth` of each, to panels [depth,tile_cols]. */
static void panels_of(const struct sru_blocked *x, const struct work *w, struct span j, struct span depth, struct room *room)
{
    const size_t wide = x->f32->tile_cols;
    const bool bf16 = w->k->bf16;

    if (w->k->b == SRU_COLUMNS) {
        for (size_t at = 0; at < j.n; at += wide)
            turn_panel(x, bf16, sru_min(wide, j.n - at), depth.n, element(w->b, bf16, (j.from + at) * w->ldb + depth.from), w->ldb,
                       room->turned, room->b + at * depth.n);
        return;
    }
    if (!bf16)
        x->f32->take_columns(depth.n, j.n, (const float *)w->b + depth.from * w->ldb + j.from, w->ldb, room->b);
    for (size_t i = 0; i < depth.n && bf16; i++) {
        x->bf16->widen(j.n, element(w->b, true, (depth.from + i) * w->ldb + j.from), room->row);
        for (size_t at = 0; at < j.n; at += wide)
            x->f32->take_columns(1, sru_min(wide, j.n - at), room->row + at, 0, room->b + at * depth.n + i * wide);
    }
}

/* ---- An item of c ----------------------------------------------------------------------------------- */

/* c [rows,cols] of a's rows, DEPTH apart, and of panels, `apart` floats from each other. */
static void tiles(const struct sru_blocked *x, size_t rows, size_t cols, size_t depth, const float *a, const float *panels,
                  size_t apart, bool add, float *c, size_t ldc)
{
    struct sru_tile t = { .depth = depth, .a_stride = DEPTH, .c_stride = ldc, .add = add };

    for (size_t at = 0; at < cols; at += x->f32->tile_cols, panels += apart)
        for (size_t r = 0; r < rows; r += x->f32->tile_rows) {
            t.rows = sru_min(x->f32->tile_rows, rows - r);
            t.cols = sru_min(x->f32->tile_cols, cols - at);
            t.a = a + r * DEPTH;
            t.b = panels;
            t.c = c + r * ldc + at;
            x->f32->tile(&t);
        }
}

static void to_bf16(const struct sru_blocked *x, const struct work *w, struct span i, struct span j, struct room *room)
{
    for (size_t r = 0; r < i.n; r++) {
        uint16_t *c = (uint16_t *)w->c + (i.from + r) * w->ldc + j.from;
        float *sum = room->sum + r * COLUMNS;

        if (w->k->add) {
            x->bf16->widen(j.n, (const sru_act *)c, room->row);
            x->f32->add(j.n, room->row, sum);
        }
        x->bf16->narrow(j.n, sum, (sru_act *)c);
    }
}

/*
 * Rows i of columns j: no more than COLUMNS where b has to be taken to panels, and no more than ROWS of them where c is bf16, whose sums
 * stand aside until they are whole.
 */
static void block(const struct sru_blocked *x, const struct work *w, struct span i, struct span j, struct room *room)
{
    const struct sru_product *k = w->k;
    const size_t wide = x->f32->tile_cols, each = pieces(k->k, pieces(k->k, DEPTH));
    const bool packed = k->b == SRU_PACKED;

    for (size_t at = 0; at < k->k; at += each) {
        const struct span depth = { at, sru_min(each, k->k - at) };
        const float *panels = room->b;

        if (packed)
            panels = (const float *)w->b + (j.from / wide * k->k + at) * wide;
        else
            panels_of(x, w, j, depth, room);
        for (size_t r = 0; r < i.n; r += ROWS) {
            const struct span rows = { i.from + r, sru_min(ROWS, i.n - r) };

            rows_of(x, w, rows, depth, room);
            tiles(x, rows.n, j.n, depth.n, room->a, panels, (packed ? k->k : depth.n) * wide, at > 0 || (k->add && !k->c_bf16),
                  k->c_bf16 ? room->sum : (float *)w->c + rows.from * w->ldc + j.from, k->c_bf16 ? COLUMNS : w->ldc);
        }
    }
    if (k->c_bf16)
        to_bf16(x, w, i, j, room);
}

/* ---- Products ----------------------------------------------------------------------------------------- */

/* n in so many equal parts, each a multiple of `unit`. */
static size_t part(size_t n, size_t parts, size_t unit)
{
    return pieces(pieces(n, parts), unit) * unit;
}

/*
 * Rows and columns of an item.  Where b has to be taken to panels, all rows share it; where it stands in panels, what is read of a and
 * b is balanced.  There are enough items for the threads, as large as each other.
 */
static void cut(const struct sru_blocked *x, const struct sru_product *k, size_t *rows, size_t *cols)
{
    const bool large = k->b == SRU_PACKED && !k->c_bf16;
    const size_t wanted = k->alone ? 1 : 4 * (size_t)x->threads, most = k->c_bf16 ? ROWS : large ? 2 * ROWS : k->m;
    size_t down = pieces(k->m, most), across = pieces(k->n, large ? 2 * COLUMNS : COLUMNS);

    while (down * across < wanted && across < pieces(k->n, COLUMNS / 4))
        across++;
    while (down * across < wanted && down < pieces(k->m, ROWS / 3))
        down++;
    *rows = part(k->m, down, 24);     /* multiples of every tile's */
    *cols = part(k->n, across, 48);
}

/* Item n of so many rows and columns. */
static void item(const struct sru_blocked *x, const struct work *w, size_t rows, size_t cols, size_t n)
{
    const size_t across = pieces(w->k->n, cols), from = n / across * rows, column = n % across * cols;
    const struct span i = { from, sru_min(rows, w->k->m - from) }, j = { column, sru_min(cols, w->k->n - column) };

    block(x, w, i, j, &x->of[omp_get_thread_num()]);
}

void sru_blocked_product(struct sru_blocked *x, const struct sru_product *k, const void *a, const void *b, void *c)
{
    const struct work w = {
        .k = k, .a = a, .b = b, .c = c, .lda = k->lda ? k->lda : k->ta ? k->m : k->k,
        .ldb = k->ldb ? k->ldb : k->b == SRU_COLUMNS ? k->k : k->n, .ldc = k->ldc ? k->ldc : k->n,
    };
    size_t rows, cols;

    cut(x, k, &rows, &cols);
    const size_t items = pieces(k->m, rows) * pieces(k->n, cols);
    if (k->alone || items == 1) {   /* not by a team of one, in which this thread would have another number */
        for (size_t n = 0; n < items; n++)
            item(x, &w, rows, cols, n);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(sru_team(x->threads))
    for (size_t n = 0; n < items; n++)
        item(x, &w, rows, cols, n);
}

/* ---- Packing ------------------------------------------------------------------------------------------ */

size_t sru_blocked_packed_bytes(const struct sru_blocked *x, size_t k, size_t n)
{
    return pieces(n, x->f32->tile_cols) * x->f32->tile_cols * k * sizeof(float);
}

/* Values as bf16 has them. */
static void rounded(const struct sru_blocked *x, size_t n, float *y)
{
    uint16_t half[COLUMNS];

    for (size_t i = 0; i < n; i += COLUMNS) {
        const size_t some = sru_min(COLUMNS, n - i);

        x->bf16->narrow(some, y + i, (sru_act *)half);
        x->bf16->widen(some, (const sru_act *)half, y + i);
    }
}

void sru_blocked_pack(struct sru_blocked *x, size_t k, size_t n, bool bf16, bool transposed, const float *w, void *packed)
{
    const size_t wide = x->f32->tile_cols;

#pragma omp parallel for schedule(static) num_threads(sru_team(x->threads))
    for (size_t j = 0; j < n; j += COLUMNS) {
        const size_t cols = sru_min(COLUMNS, n - j);
        float *panels = (float *)packed + j * k;

        if (!transposed)
            x->f32->take_columns(k, cols, w + j, n, panels);
        for (size_t at = 0; at < cols && transposed; at += wide)
            turn_panel(x, false, sru_min(wide, cols - at), k, w + (j + at) * k, k, NULL, panels + at * k);
        if (bf16)
            rounded(x, k * pieces(cols, wide) * wide, panels);
    }
}

/* ---- Opening ------------------------------------------------------------------------------------------ */

sru_status sru_blocked_open(struct sru_blocked **out, const struct sru_kernels *kernels, int threads, struct sru_error *err)
{
    const char *set = kernels ? kernels->name : NULL;
    struct sru_blocked *x = calloc(1, sizeof *x);
    sru_status status;

    *out = NULL;
    if (!x)
        return sru_fail(err, SRU_ENOMEM, "out of memory to multiply");
    x->threads = threads;
    if ((status = sru_kernels_find(set, false, &x->f32, err)) || (status = sru_kernels_find(set, true, &x->bf16, err))) {
        free(x);
        return status;
    }
    if (!(x->of = aligned_alloc(64, sru_round_up((size_t)threads * sizeof *x->of, 64)))) {
        free(x);
        return sru_fail(err, SRU_ENOMEM, "out of memory to multiply by %d threads", threads);
    }
    *out = x;
    return SRU_OK;
}

void sru_blocked_close(struct sru_blocked *x)
{
    if (x)
        free(x->of);
    free(x);
}
