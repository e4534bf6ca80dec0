/* Weights packed by the kernels are those that oneDNN packs, to the bit; and it computes products by its best kernels. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/philox.h"
#include "src/cpu/product-blocked.h"
#include "tests/support.h"

static const size_t sizes[][2] = { { 1, 1 }, { 2, 300 }, { 31, 77 }, { 33, 64 }, { 64, 129 }, { 205, 130 }, { 515, 65 }, { 600, 16 } };

/* No number is denormal, nor becomes so. */
static float *weights(size_t n)
{
    float *w = malloc(n * sizeof *w);

    for (size_t i = 0; i < n; i++) {
        uint32_t c[4] = { (uint32_t)i };

        sru_philox(c, 3);
        w[i] = ((float)c[0] - 2147483648.0f) / 1073741824.0f;
    }
    return w;
}

static void *packed(const struct sru_kernels *k, size_t which, bool bf16, bool transposed, size_t *bytes)
{
    const size_t depth = sizes[which][0], n = sizes[which][1];
    struct sru_products *x;
    float *w = weights(depth * n);
    void *out;

    ck_assert_int_eq(sru_products_open(&x, k, 2, NULL), SRU_OK);
    *bytes = sru_packed_bytes(x, depth, n, bf16);
    ck_assert_uint_ge(*bytes, depth * n * (bf16 ? 2 : 4));
    out = aligned_alloc(64, (*bytes + 63) / 64 * 64);
    memset(out, k ? 0x5A : 0xA5, *bytes);
    sru_pack(x, depth, n, bf16, transposed, w, out);
    ck_assert(!sru_products_failed(x));
    sru_products_close(x);
    free(w);
    return out;
}

/* Our own products have a layout for each set of kernels (tests/check_blocked.c). */
static bool are_our_own(bool bf16)
{
    const struct sru_product k = { .m = 64, .n = 64, .k = 64, .bf16 = bf16, .c_bf16 = bf16, .b = SRU_PACKED };
    struct sru_products *x;

    ck_assert_int_eq(sru_products_open(&x, NULL, 1, NULL), SRU_OK);
    const char *by = sru_product_by(x, &k);
    ck_assert_ptr_nonnull(by);
    const bool own = strcmp(by, SRU_BLOCKED) == 0;
    sru_products_close(x);
    return own;
}

START_TEST(packing)
{
    const bool bf16 = _i & 1, transposed = _i & 2;
    const struct sru_kernels *k;
    size_t bytes;

    if (are_our_own(bf16)) {
        printf("SKIP: oneDNN has no products of its own in %s here\n", bf16 ? "bf16" : "f32");
        return;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *right = packed(NULL, i, bf16, transposed, &bytes);

        for (size_t table = 0; (k = sru_kernels_at(table)); table++) {
            if ((k->act_bytes == 2) != bf16)
                continue;
            void *ours = packed(k, i, bf16, transposed, &bytes);
            ck_assert_msg(memcmp(ours, right, bytes) == 0, "table %zu, [%zu,%zu]", table, sizes[i][0], sizes[i][1]);
            free(ours);
        }
        free(right);
    }
}
END_TEST

#ifdef SRU_HAVE_ONEDNN
/* Products of a layer of `small`, as operators ask for them.  Where a padded row slipped in, oneDNN would fall back silently. */
static const struct sru_product products[] = {
    { .m = 2048, .n = 256, .k = 1024, .bf16 = true, .c_bf16 = true, .b = SRU_PACKED },
    { .m = 1024, .n = 3072, .k = 256, .bf16 = true, .c_bf16 = true, .b = SRU_PACKED },
    { .m = 128, .n = 1024, .k = 256, .bf16 = true, .c_bf16 = true, .add = true, .b = SRU_PACKED },
    { .m = 256, .n = 3072, .k = 1024, .bf16 = true },
    { .m = 256, .n = 1024, .k = 256, .bf16 = true, .add = true },
    { .m = 64, .n = 192, .k = 256, .bf16 = true, .alone = true, .b = SRU_COLUMNS },
    { .m = 64, .n = 256, .k = 192, .bf16 = true, .c_bf16 = true, .alone = true },
    { .m = 1024, .n = 256, .k = 1024, .bf16 = true, .add = true, .b = SRU_PACKED },
};

START_TEST(best_kernels)
{
    struct sru_products *x;

    if (!onednn_has_avx512(true)) {
        printf("SKIP: oneDNN has no bf16 products of its own here\n");
        return;
    }
    ck_assert_int_eq(sru_products_open(&x, NULL, 2, NULL), SRU_OK);
    const char *by = sru_product_by(x, &products[_i]);
    ck_assert_ptr_nonnull(by);
    ck_assert_msg(strncmp(by, "brg", 3) == 0, "product %d is computed by %s", _i, by);
    sru_products_close(x);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("product");
    TCase *all = tcase_create("packing");

    suite_add_tcase(s, all);
    tcase_add_loop_test(all, packing, 0, 4);
#ifdef SRU_HAVE_ONEDNN
    TCase *kernels = tcase_create("kernels");

    suite_add_tcase(s, kernels);
    tcase_add_loop_test(kernels, best_kernels, 0, sizeof products / sizeof *products);
#endif
    return run_suite(s);
}
