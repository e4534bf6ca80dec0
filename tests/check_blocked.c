/* Our own products against plain sums, on every set of kernels; and the same bits for any number of threads. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/cpu/product-blocked.h"
#include "tests/support.h"

/* Less than a tile, whole tiles, blocks and what is left of them. */
static const size_t sizes[][3] = {   /* m, n, k */
    { 1, 1, 1 }, { 7, 17, 3 }, { 5, 50, 257 }, { 64, 192, 40 }, { 145, 193, 33 }, { 12, 96, 520 }, { 301, 70, 9 }, { 3, 400, 256 },
};
enum { SIZES = sizeof sizes / sizeof *sizes, FORMS = 3 * 16 };

struct operands {
    double *a, *b, *c;      /* [m,k], [k,n], what c held */
    void   *x, *y, *z;      /* as the product takes them */
    float  *w;              /* b to be packed */
    size_t  c_bytes;
};

/* Values that bf16 has. */
static double *some(size_t n, uint32_t seed)
{
    double *x = random_array(n, 1, seed);

    for (size_t i = 0; i < n; i++)
        x[i] = nearbyint(x[i] * 128) / 128;
    return x;
}

static void put(void *to, bool bf16, size_t at, double x)
{
    const float f = (float)x;
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    if (bf16)
        ((uint16_t *)to)[at] = (uint16_t)(bits >> 16);
    else
        ((float *)to)[at] = f;
}

static double get(const void *from, bool bf16, size_t at)
{
    if (!bf16)
        return (double)((const float *)from)[at];
    const uint32_t bits = (uint32_t)((const uint16_t *)from)[at] << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

/* Rows three apart from dense, and past c's columns a number that has to stay. */
static struct operands operands_of(struct sru_product *k)
{
    struct operands o = { .a = some(k->m * k->k, 1), .b = some(k->k * k->n, 2), .c = some(k->m * k->n, 3) };
    const bool across = k->b == SRU_COLUMNS;

    k->lda = (k->ta ? k->m : k->k) + 3;
    k->ldb = (across ? k->k : k->n) + 3;
    k->ldc = k->n + 3;
    o.c_bytes = k->m * k->ldc * sizeof(float);
    o.x = pooled((k->ta ? k->k : k->m) * k->lda * sizeof(float));
    o.y = pooled((across ? k->n : k->k) * k->ldb * sizeof(float));
    o.z = pooled(o.c_bytes);
    o.w = pooled(k->k * k->n * sizeof(float));
    memset(o.z, 0x55, o.c_bytes);
    for (size_t i = 0; i < k->m * k->k; i++)
        put(o.x, k->bf16, k->ta ? i % k->k * k->lda + i / k->k : i / k->k * k->lda + i % k->k, o.a[i]);
    for (size_t i = 0; i < k->k * k->n; i++) {
        put(o.y, k->bf16, across ? i % k->n * k->ldb + i / k->n : i / k->n * k->ldb + i % k->n, o.b[i]);
        o.w[i] = (float)o.b[i];
    }
    for (size_t i = 0; i < k->m * k->n; i++)
        put(o.z, k->c_bf16, i / k->n * k->ldc + i % k->n, o.c[i]);
    return o;
}

static void *computed(const struct sru_kernels *table, int threads, const struct sru_product *k, const struct operands *o)
{
    struct sru_blocked *x;
    void *c = pooled(o->c_bytes), *packed = NULL;

    ck_assert_int_eq(sru_blocked_open(&x, table, threads, NULL), SRU_OK);
    memcpy(c, o->z, o->c_bytes);
    if (k->b == SRU_PACKED) {
        packed = pooled(sru_blocked_packed_bytes(x, k->k, k->n));
        sru_blocked_pack(x, k->k, k->n, k->bf16, false, o->w, packed);
    }
    sru_blocked_product(x, k, o->x, packed ? packed : o->y, c);
    sru_blocked_close(x);
    return c;
}

static void one(const struct sru_kernels *table, struct sru_product k)
{
    const struct operands o = operands_of(&k);
    const void *c = computed(table, 1, &k, &o);

    ck_assert_msg(memcmp(c, computed(table, 5, &k, &o), o.c_bytes) == 0, "%s, [%zu,%zu,%zu]: 5 threads give other bits",
                  table->name, k.m, k.n, k.k);
    for (size_t i = 0; i < k.m; i++)
        for (size_t j = 0; j < k.ldc; j++) {
            const size_t at = i * k.ldc + j;
            const double got = get(c, k.c_bf16, at);
            double sum = j >= k.n ? get(o.z, k.c_bf16, at) : k.add ? o.c[i * k.n + j] : 0;

            for (size_t l = 0; l < k.k && j < k.n; l++)
                sum += o.a[i * k.k + l] * o.b[l * k.n + j];
            ck_assert_msg(fabs(got - sum) <= (k.c_bf16 && j < k.n ? 0x1p-8 * fabs(sum) : 0) + 1e-6 * (double)k.k,
                          "%s, [%zu,%zu,%zu] %d%d%d%d%d: (%zu,%zu) is %g, not %g", table->name, k.m, k.n, k.k, k.b, k.ta, k.bf16,
                          k.c_bf16, k.add, i, j, got, sum);
        }
}

START_TEST(products)
{
    const struct sru_kernels *table;

    for (size_t n = 0; (table = sru_kernels_at(n)); n++) {
        if (table->act_bytes != sizeof(float))
            continue;
        for (int form = 0; form < FORMS; form++) {
            one(table, (struct sru_product){ .m = sizes[_i][0], .n = sizes[_i][1], .k = sizes[_i][2], .b = (enum sru_operand_layout)(form % 3),
                                             .ta = form / 3 & 1, .bf16 = form / 3 & 2, .c_bf16 = form / 3 & 4, .add = form / 3 & 8 });
        }
    }
}
END_TEST

/* Packing what stands transposed is packing. */
START_TEST(packing)
{
    const struct sru_kernels *table;

    for (size_t n = 0; (table = sru_kernels_at(n)); n++)
        for (size_t i = 0; i < SIZES; i++) {
            const size_t rows = sizes[i][2], cols = sizes[i][1];
            const double *b = random_array(rows * cols, 1, 4);
            float *w = pooled(rows * cols * sizeof *w), *turned = pooled(rows * cols * sizeof *w);
            struct sru_blocked *x;

            for (size_t j = 0; j < rows * cols; j++)
                turned[j % cols * rows + j / cols] = w[j] = (float)b[j];
            ck_assert_int_eq(sru_blocked_open(&x, table, 2, NULL), SRU_OK);
            const size_t bytes = sru_blocked_packed_bytes(x, rows, cols);
            void *one = pooled(bytes), *other = pooled(bytes);
            sru_blocked_pack(x, rows, cols, table->act_bytes == 2, false, w, one);
            sru_blocked_pack(x, rows, cols, table->act_bytes == 2, true, turned, other);
            ck_assert(memcmp(one, other, bytes) == 0);
            sru_blocked_close(x);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("blocked");
    TCase *t = tcase_create("products");

    suite_add_tcase(s, t);
    tcase_add_loop_test(t, products, 0, SIZES);
    tcase_add_test(t, packing);
    return run_suite(s);
}
