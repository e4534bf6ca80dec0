/* A tile of a product that stays in registers while its sums are made (kernels.h). */

/* As many sums as leave registers for a row of b and an element of a: of 32 registers, or 16. */
#if defined SRU_AVX512 || defined SRU_NEON
enum { TILE_ROWS = 8, TILE_VECTORS = 3 };
#else
enum { TILE_ROWS = 6, TILE_VECTORS = 2 };
#endif
enum { TILE_COLS = TILE_VECTORS * W };

/* Each element by itself, in the order of k: what a tile has beside it changes nothing. */
static void tile(const struct sru_tile *s)
{
    const float *a[TILE_ROWS], *b = s->b;
    vf sum[TILE_ROWS][TILE_VECTORS];

    SRU_UNROLL
    for (size_t i = 0; i < TILE_ROWS; i++) {   /* rows that are not there repeat the last */
        a[i] = s->a + (i < s->rows ? i : s->rows - 1) * s->a_stride;
        SRU_UNROLL
        for (size_t j = 0; j < TILE_VECTORS; j++)
            sum[i][j] = vf_set1(0.0f);
    }
    for (size_t k = 0; k < s->depth; k++, b += TILE_COLS) {
        vf y[TILE_VECTORS];

        SRU_UNROLL
        for (size_t j = 0; j < TILE_VECTORS; j++)
            y[j] = vf_load(b + j * W, W);
        SRU_UNROLL
        for (size_t i = 0; i < TILE_ROWS; i++) {
            const vf x = vf_set1(a[i][k]);
            SRU_UNROLL
            for (size_t j = 0; j < TILE_VECTORS; j++)
                sum[i][j] = vf_fma(x, y[j], sum[i][j]);
        }
    }
    SRU_UNROLL
    for (size_t i = 0; i < TILE_ROWS; i++) {
        SRU_UNROLL
        for (size_t j = 0; j < TILE_VECTORS; j++) {
            if (i >= s->rows || j * W >= s->cols)
                continue;
            const size_t n = s->cols - j * W < W ? s->cols - j * W : W;
            float *c = s->c + i * s->c_stride + j * W;

            if (n == W)
                vf_store(c, W, s->add ? vf_add(vf_load(c, W), sum[i][j]) : sum[i][j]);
            else
                vf_store(c, n, s->add ? vf_add(vf_load(c, n), sum[i][j]) : sum[i][j]);
        }
    }
}

/* A panel's columns of one row. */
SRU_INLINE void take_row(size_t cols, const float *b, float *out)
{
    SRU_UNROLL
    for (size_t j = 0; j < TILE_VECTORS; j++) {
        const size_t n = cols < j * W ? 0 : cols - j * W;

        if (n >= W)
            vf_store(out + j * W, W, vf_load(b + j * W, W));
        else
            vf_store(out + j * W, W, n > 0 ? vf_load(b + j * W, n) : vf_set1(0.0f));
    }
}

/* Row by row, since the rows of a matrix larger than the caches are pages apart. */
static void take_columns(size_t depth, size_t cols, const float *b, size_t stride, float *out)
{
    enum { AHEAD = 4, LINE = 64 / sizeof(float) };

    for (size_t k = 0; k < depth; k++, b += stride, out += TILE_COLS) {
        for (size_t j = 0; j < cols && k + AHEAD < depth; j += LINE)
            __builtin_prefetch(b + AHEAD * stride + j);
        for (size_t j = 0; j < cols; j += TILE_COLS)
            take_row(cols - j, b + j, out + j * depth);
    }
}
