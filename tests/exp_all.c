/*
 * Not a test by itself but `make check-exp-all`, which takes minutes: e^x and the logistic function of every float, or of
 * every argv[1]-th, by each set of kernels that runs here, or by set argv[2], against double precision.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/kernels.h"

enum { N = 4096 };
static float zeros[2 * N], ones[N];

struct worst { double ulp, x; };

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static void judge(struct worst *w, double x, double got, double right)
{
    double ulp;

    if (isnan(x))
        ulp = isnan(got) ? 0 : INFINITY;
    else if (right < (double)FLT_MIN)   /* 0 will do: denormals are slow */
        ulp = got >= 0 && got <= (double)FLT_MIN ? 0 : INFINITY;
    else
        ulp = fabs(got - right) / ldexp(1, ilogb(right) - 23);
    if (!(ulp <= w->ulp))
        *w = (struct worst){ ulp, x };
}

/* The kernels take e^x of no x above 0; nll leaves it behind. */
static void exponentials(const struct sru_kernels *k, const float *x, struct worst *w)
{
    float e[N + 1];

    e[0] = 0;
    memcpy(e + 1, x, N * sizeof *x);
    k->nll(N + 1, e, 0, 0, NULL);
    for (size_t i = 0; i < N; i++)
        if (isnan(x[i]) || !isnan(x[N - 1]))   /* a NaN may spoil its whole row */
            judge(w, x[i], e[i + 1], exp(x[i]));
}

/* With U0 0, v and bias 0 and c0 1, a scan's state is its forget gate. */
static void gates(const struct sru_kernels *k, const float *x, struct worst *w)
{
    float u[3 * N] = { 0 }, c[N], h[N];
    const struct sru_scan s = { .T = 1, .n = N, .d = N, .scale = 1, .u = (const sru_act *)u, .x = (const sru_act *)zeros,
                                .c0 = ones, .v = zeros, .bias = zeros, .c = c, .h = (sru_act *)h };

    memcpy(u + N, x, N * sizeof *x);
    k->scan(&s);
    for (size_t i = 0; i < N; i++)
        judge(w, x[i], c[i], 1 / (1 + exp(-x[i])));
}

static bool sweep(const struct sru_kernels *k, uint64_t stride)
{
    struct worst e = { -1, 0 }, sigmoid = { -1, 0 };

#pragma omp parallel
    {
        struct worst mine[2] = { { -1, 0 }, { -1, 0 } };

#pragma omp for schedule(dynamic, 16)
        for (uint64_t from = 0; from < (uint64_t)1 << 32; from += N * stride) {
            float x[N];

            for (size_t i = 0; i < N; i++)
                x[i] = float_of((uint32_t)(from + i * stride < UINT32_MAX ? from + i * stride : UINT32_MAX));
            gates(k, x, &mine[1]);
            if (signbit(x[0]))
                exponentials(k, x, &mine[0]);
        }
#pragma omp critical
        {
            e = mine[0].ulp > e.ulp ? mine[0] : e;
            sigmoid = mine[1].ulp > sigmoid.ulp ? mine[1] : sigmoid;
        }
    }
    printf("%s: e^x within %.3f ulp (%.9g), logistic function within %.3f ulp (%.9g)\n", k->name, e.ulp, e.x, sigmoid.ulp,
           sigmoid.x);
    return e.ulp <= 4 && sigmoid.ulp <= 4;
}

int main(int argc, char **argv)
{
    static const char *const sets[] = { "scalar", "avx2", "avx512", "neon" };
    const uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const struct sru_kernels *k;
    bool good = stride > 0;

    for (size_t i = 0; i < N; i++)
        ones[i] = 1;
    for (size_t i = 0; good && i < sizeof sets / sizeof *sets; i++)
        if ((argc < 3 || strcmp(argv[2], sets[i]) == 0) && !sru_kernels_find(sets[i], false, &k, NULL))
            good = sweep(k, stride) && good;
    return !good;
}
