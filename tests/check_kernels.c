/*
 * The vector kernels by themselves, every set that runs here and both storages, against plain sums in double precision.
 * A case says what is wrong by `expect`; main is libcheck's, or with SRU_NO_CHECK one that needs no library.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/philox.h"
#include "tests/kernels.h"

/* ---- What is wrong, and memory ------------------------------------------------------------ */

static char wrong[256];     /* of the case that runs: the first thing */

void expect(bool ok, const char *fmt, ...)
{
    va_list args;

    if (ok || wrong[0])
        return;
    va_start(args, fmt);
    vsnprintf(wrong, sizeof wrong, fmt, args);
    va_end(args);
}

enum { GUARD = 128, BLOCKS = 1024 };
static struct { unsigned char *p; size_t bytes; } blocks[BLOCKS];
static size_t n_blocks;

/* Memory of the case's; what stands before and after it must stay as it is. */
static void *block(size_t bytes)
{
    unsigned char *p = malloc(bytes + 2 * GUARD);

    if (!p || n_blocks == BLOCKS)
        abort();
    memset(p, 0x5A, bytes + 2 * GUARD);
    memset(p + GUARD, 0xFF, bytes);   /* NaN in either storage */
    blocks[n_blocks].p = p;
    blocks[n_blocks++].bytes = bytes;
    return p + GUARD;
}

static void release(void)
{
    while (n_blocks > 0) {
        const unsigned char *p = blocks[--n_blocks].p, *end = p + GUARD + blocks[n_blocks].bytes;

        for (size_t i = 0; i < GUARD; i++) {
            expect(p[i] == 0x5A, "array %zu: written before its beginning", n_blocks);
            expect(end[i] == 0x5A, "array %zu: written beyond its end", n_blocks);
        }
        free(blocks[n_blocks].p);
    }
}

static uint64_t seed;

static double uniform(double scale)
{
    uint32_t c[4] = { (uint32_t)seed++ };

    sru_philox(c, 7);
    return (float)(scale * ((double)c[0] / 2147483648.0 - 1));
}

float *floats(size_t n, double scale)
{
    float *p = block(n * sizeof *p);

    for (size_t i = 0; i < n; i++)
        p[i] = (float)uniform(scale);
    return p;
}

float *filled(size_t n, float x)
{
    float *p = block(n * sizeof *p);

    for (size_t i = 0; i < n; i++)
        p[i] = x;
    return p;
}

double act_get(const struct sru_kernels *k, const sru_act *p, size_t i)
{
    float x;
    const uint32_t u = (uint32_t)((const uint16_t *)p)[k->act_bytes == 2 ? i : 0] << 16;

    if (k->act_bytes == 4)
        return ((const float *)p)[i];
    memcpy(&x, &u, sizeof x);
    return x;
}

void act_put(const struct sru_kernels *k, sru_act *p, size_t i, double value)
{
    const float x = (float)value;
    uint32_t u;

    if (k->act_bytes == 4) {
        ((float *)p)[i] = x;
        return;
    }
    memcpy(&u, &x, sizeof u);
    ((uint16_t *)p)[i] = (uint16_t)(u >> 16);   /* cut off: whatever is stored is what the expectation reads */
}

sru_act *acts(const struct sru_kernels *k, size_t n, double scale)
{
    sru_act *p = block(n * k->act_bytes);

    for (size_t i = 0; i < n && scale > 0; i++)
        act_put(k, p, i, uniform(scale));
    return p;
}

sru_act *acts_copy(const struct sru_kernels *k, size_t n, const sru_act *x)
{
    return memcpy(block(n * k->act_bytes), x, n * k->act_bytes);
}

float *floats_copy(size_t n, const float *x)
{
    return memcpy(block(n * sizeof *x), x, n * sizeof *x);
}

/* ---- Comparison -------------------------------------------------------------------------------- */

static double largest(size_t n, const double *x)
{
    double top = 0;

    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs(x[i]));
    return top;
}

static void near(const char *what, size_t i, double got, double right, double most)
{
    expect(fabs(got - right) <= most, "%s[%zu] is %.9g, not %.9g", what, i, got, right);
}

void floats_near(const char *what, size_t n, const float *got, const double *right, double least)
{
    const double most = 2e-6 * fmax(largest(n, right), least);

    for (size_t i = 0; i < n; i++)
        near(what, i, got[i], right[i], most);
}

void acts_near(const char *what, const struct sru_kernels *k, size_t n, const sru_act *got, const double *right,
               double least)
{
    const double most = 2e-6 * fmax(largest(n, right), least), rounding = k->act_bytes == 2 ? 1.0 / 256 : 0;

    for (size_t i = 0; i < n; i++)
        near(what, i, act_get(k, got, i), right[i], most + rounding * fabs(right[i]));
}

double *doubles(size_t n)
{
    double *p = block(n * sizeof *p);

    for (size_t i = 0; i < n; i++)
        p[i] = 0;
    return p;
}

/* ---- All of them ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    kernel_case *run;
} cases[] = {
    { "conversion", case_conversion }, { "random masks", case_random_masks }, { "elementwise", case_elementwise },
    { "transpose", case_transpose }, { "pack", case_pack }, { "optimizer", case_optimizer }, { "muon", case_muon },
    { "softmax", case_softmax }, { "nll", case_nll }, { "norm", case_norm }, { "scan", case_scan }, { "gates", case_gates },
    { "exp", case_exp }, { "sigmoid", case_sigmoid }, { "NaN", case_nan }, { "NaN, backward", case_nan_back },
    { "NaN in scans", case_nan_scan }, { "wide gates", case_wide_gates },
    { "panels", case_panels }, { "rows alone", case_rows_alone }, { "one query", case_one_query }, { "tile", case_tile },
};
enum { N_CASES = sizeof cases / sizeof *cases };

static const size_t sizes[] = { 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257 };

/* Case `which` on all tables; what is wrong, or NULL. */
static const char *run_case(int which)
{
    static char message[512];
    const struct sru_kernels *k;

    for (size_t table = 0; (k = sru_kernels_at(table)); table++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            wrong[0] = 0;
            seed = 0;
            cases[which].run(k, sizes[i]);
            release();
            if (!wrong[0])
                continue;
            snprintf(message, sizeof message, "%s, table %zu (%s, %s), n %zu: %s", cases[which].name, table, k->name,
                     k->act_bytes == 2 ? "bf16" : "f32", sizes[i], wrong);
            return message;
        }
    return NULL;
}

static void print_sets(void)
{
    const struct sru_kernels *k;

    printf("kernels:");
    for (size_t table = 0; (k = sru_kernels_at(table)); table++)
        printf(" %s (%s)", k->name, k->act_bytes == 2 ? "bf16" : "f32");
    printf("\n");
}

#ifdef SRU_NO_CHECK
int main(void)
{
    int failed = 0;

    print_sets();
    for (int i = 0; i < N_CASES; i++) {
        const char *message = run_case(i);

        if (message)
            printf("%s\n", message);
        failed += message != NULL;
    }
    printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n", 100 * (N_CASES - failed) / N_CASES, N_CASES, failed);
    return failed > 0;
}
#else
#include <check.h>

START_TEST(one_case)
{
    const char *message = run_case(_i);

    ck_assert_msg(!message, "%s", message);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("kernels");
    TCase *all = tcase_create("kernels");
    SRunner *runner = srunner_create(s);

    print_sets();
    fflush(stdout);   /* the cases are run by children */
    suite_add_tcase(s, all);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, one_case, 0, N_CASES);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
#endif
