/* Kernels that only move elements: transposition, and packing for products. */
#include "simd/vec.h"

/* ---- Tiles -------------------------------------------------------------------------------- */

/* y = x^T for a tile of TILE rows and columns; rows of x are `stride` apart, those of y `length`. */
#if SRU_BF16
enum { TILE = 2 * W };

/* Elements that become neighbours are paired first: then there are words to turn, as many as in two tiles of W by W. */
SRU_INLINE void turn_half(const act *x, size_t stride, act *y, size_t length, bool high)
{
    vu word[W];

    SRU_UNROLL for (size_t i = 0; i < W; i++) {
        const vu a = vu_load(x + 2 * i * stride), b = vu_load(x + (2 * i + 1) * stride);

        word[i] = high ? vu_pair_high(a, b) : vu_pair_low(a, b);
    }
    vu_turn(word);
    SRU_UNROLL for (size_t i = 0; i < W; i++)
        vu_store(y + i * length, word[i]);
}

SRU_INLINE void turn(const act *x, size_t stride, act *y, size_t length)
{
    turn_half(x, stride, y, length, false);
    turn_half(x, stride, y + W * length, length, true);
}
#else
enum { TILE = W };

SRU_INLINE void turn(const act *x, size_t stride, act *y, size_t length)
{
    vu word[W];

    SRU_UNROLL for (size_t i = 0; i < W; i++)
        word[i] = vu_load(x + i * stride);
    vu_turn(word);
    SRU_UNROLL for (size_t i = 0; i < W; i++)
        vu_store(y + i * length, word[i]);
}
#endif

/* The same for what is less than a tile. */
static void turn_rest(size_t rows, size_t cols, const act *x, size_t stride, act *y, size_t length)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++)
            y[c * length + r] = x[r * stride + c];
}

/* ---- Transposition ------------------------------------------------------------------------ */

enum { ACROSS = 64 / sizeof(act), DOWN = 256 };   /* a line of cache of x, and some of y */

static void turn_strip(size_t rows, size_t cols, const act *x, size_t stride, act *y, size_t length)
{
    for (size_t r = 0; r < rows; r += TILE)
        for (size_t c = 0; c < cols; c += TILE) {
            const act *from = x + r * stride + c;
            act *to = y + c * length + r;

            if (rows - r >= TILE && cols - c >= TILE)
                turn(from, stride, to, length);
            else
                turn_rest(rows - r < TILE ? rows - r : TILE, cols - c < TILE ? cols - c : TILE, from, stride, to, length);
        }
}

/* A tile's lines of y share so few places in cache that they drive each other out: some lines of a row are gathered first. */
static void turn_crowded(size_t rows, size_t cols, const act *x, size_t stride, act *y, size_t length)
{
    _Alignas(64) act piece[ACROSS * DOWN];

    for (size_t r = 0; r < rows; r += DOWN) {
        turn_strip(DOWN, cols, x + r * stride, stride, piece, DOWN);
        for (size_t c = 0; c < cols; c++)
            SRU_UNROLL for (size_t i = 0; i < DOWN; i += sizeof(vu) / sizeof *x)
                vu_store(y + c * length + r + i, vu_load(piece + c * DOWN + i));
    }
}

static void transpose(size_t rows, size_t cols, const sru_act *from, size_t x_stride, sru_act *to, size_t y_stride)
{
    for (size_t c = 0; c < cols; c += ACROSS) {
        const size_t n = cols - c < ACROSS ? cols - c : ACROSS;
        const act *x = (const act *)from + c;
        act *y = (act *)to + c * y_stride;

        if (rows % DOWN == 0 && y_stride * sizeof *y % 2048 == 0)
            turn_crowded(rows, n, x, x_stride, y, y_stride);
        else
            turn_strip(rows, n, x, x_stride, y, y_stride);
    }
}

/* ---- Packing -------------------------------------------------------------------------------- */

enum { STRIP = 64, PAIR = 4 / sizeof(act) };   /* columns of a strip; elements of a word, which are neighbours in k */

/* Floats i to i+W of n; zeros beyond. */
SRU_INLINE vf load_of(const float *p, size_t i, size_t n)
{
    return i + W <= n ? vf_load(p + i, W) : i < n ? vf_load(p + i, n - i) : vf_set1(0);
}

/* Activations i to i + PAIR W of n. */
SRU_INLINE vu words_of(const float *p, size_t i, size_t n)
{
#if SRU_BF16
    return bf_words(load_of(p, i, n), load_of(p, i + W, n));
#else
    return vu_bits(load_of(p, i, n));
#endif
}

/* Rows of w, `stride` apart: words i of all columns. */
SRU_INLINE void pack_row(size_t k, size_t n, const float *w, size_t stride, size_t i, uint32_t *out)
{
    const float *a = w + PAIR * i * stride;

    for (size_t j = 0; j < STRIP; j += PAIR * W) {
        const vu row = words_of(a, j, PAIR * i < k ? n : 0);
#if SRU_BF16
        const vu next = words_of(a + stride, j, 2 * i + 1 < k ? n : 0);

        vu_store(out + j, vu_pair_low(row, next));
        vu_store(out + j + W, vu_pair_high(row, next));
#else
        vu_store(out + j, row);
#endif
    }
}

/* Columns j to j+W of w, `stride` apart: words i to i+W. */
SRU_INLINE void pack_columns(size_t k, size_t n, const float *w, size_t stride, size_t i, size_t j, uint32_t *out)
{
    vu word[W];

    SRU_UNROLL for (size_t c = 0; c < W; c++)
        word[c] = words_of(w + (j + c) * stride, PAIR * i, j + c < n ? k : 0);
    vu_turn(word);
    SRU_UNROLL for (size_t c = 0; c < W; c++)
        vu_store(out + c * STRIP + j, word[c]);
}

static void pack(size_t k, size_t n, const float *w, size_t k_stride, size_t n_stride, sru_act *out)
{
    const size_t words = (k + 16 * PAIR - 1) / (16 * PAIR) * 16;
    uint32_t *to = (uint32_t *)out;

    if (n_stride == 1)
        for (size_t i = 0; i < words; i++)
            pack_row(k, n, w, k_stride, i, to + i * STRIP);
    else
        for (size_t j = 0; j < STRIP; j += W)
            for (size_t i = 0; i < words; i += W)
                pack_columns(k, n, w, n_stride, i, j, to + i * STRIP);
}
