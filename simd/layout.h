/* Kernels that only move elements: transposition. */
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
