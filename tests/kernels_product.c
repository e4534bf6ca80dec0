/* Cases of check_kernels: a tile of a product, and its panel. */
#include "config.h"

#include <string.h>

#include "tests/kernels.h"

/* Rows and columns of a tile, `depth` deep, of longer rows. */
static void one_tile(const struct sru_kernels *k, size_t rows, size_t cols, size_t depth, bool add)
{
    const size_t wide = k->tile_cols, a_stride = depth + 3, b_stride = cols + 2, c_stride = cols + 5;
    const float *a = floats(rows * a_stride, 1), *b = floats(depth * b_stride, 1);
    float *panel = filled(depth * wide, 7), *c = floats(rows * c_stride, 1);
    const float *before = floats_copy(rows * c_stride, c);
    double *right = doubles(cols);
    const struct sru_tile s = { .rows = rows, .cols = cols, .depth = depth, .a_stride = a_stride, .c_stride = c_stride, .a = a,
                                .b = panel, .c = c, .add = add };

    k->take_columns(depth, cols, b, b_stride, panel);
    for (size_t i = 0; i < depth * wide; i++)
        expect(panel[i] == (i % wide < cols ? b[i / wide * b_stride + i % wide] : 0.0f), "panel of %zu columns: %zu is %g", cols, i,
               (double)panel[i]);
    k->tile(&s);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            right[j] = add ? (double)before[i * c_stride + j] : 0;
            for (size_t l = 0; l < depth; l++)
                right[j] += (double)a[i * a_stride + l] * (double)b[l * b_stride + j];
        }
        floats_near("c", cols, c + i * c_stride, right, 1);
        expect(memcmp(c + i * c_stride + cols, before + i * c_stride + cols, (c_stride - cols) * sizeof *c) == 0, "written between rows");
    }
}

/* One panel after the other, the last of one column. */
static void two_panels(const struct sru_kernels *k, size_t depth)
{
    const size_t wide = k->tile_cols, cols = wide + 1;
    const float *b = floats(depth * cols, 1);
    float *panels = filled(2 * depth * wide, 7);

    k->take_columns(depth, cols, b, cols, panels);
    for (size_t i = 0; i < 2 * depth * wide; i++) {
        const size_t row = i / wide % depth, col = i / wide / depth * wide + i % wide;

        expect(panels[i] == (col < cols ? b[row * cols + col] : 0.0f), "two panels: %zu is %g", i, (double)panels[i]);
    }
}

void case_tile(const struct sru_kernels *k, size_t n)
{
    two_panels(k, n);
    for (size_t rows = 1; rows <= k->tile_rows; rows++)
        one_tile(k, rows, (n + rows) % k->tile_cols + 1, n, rows % 2);
    one_tile(k, k->tile_rows, k->tile_cols, n, false);
}
