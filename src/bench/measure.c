/* Timing: see bench.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "src/bench/bench.h"
#include "src/size.h"
#include "src/clock.h"

enum { LEAST = 4, MOST = 64 };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of one run, of `n` in a row. */
static sru_status bundle(size_t n, sru_status (*work)(void *, struct sru_error *), void *of, double *each, struct sru_error *err)
{
    const double from = sru_now();
    sru_status status = SRU_OK;

    for (size_t i = 0; i < n && !status; i++)
        status = work(of, err);
    *each = (sru_now() - from) / (double)n;
    return status;
}

sru_status sru_measure(double seconds, sru_status (*work)(void *of, struct sru_error *), void *of, struct sru_spread *out,
                       struct sru_error *err)
{
    double times[MOST], each;
    size_t n = 0, size = 1;
    sru_status status;

    *out = (struct sru_spread){ 0 };
    while (!(status = bundle(size, work, of, &each, err)) && each * (double)size < seconds / MOST)
        size *= 2;
    for (const double from = sru_now(); !status && n < MOST && (n < LEAST || sru_now() - from < seconds); n++)
        status = bundle(size, work, of, &times[n], err);
    if (status)
        return status;
    qsort(times, n, sizeof *times, by_size);
    *out = (struct sru_spread){ .least = times[0], .low = times[n / 4], .median = times[n / 2], .high = times[n - 1 - n / 4], .n = n * size };
    return SRU_OK;
}

/* ---- Tokens --------------------------------------------------------------------------------------- */

#define EXPONENT 0.15   /* above 1 */

/* Of words beyond i, up to what all words make of it. */
static double beyond(size_t i)
{
    return pow((double)i + 1, -EXPONENT);
}

int32_t sru_bench_token(size_t V, uint64_t *state)
{
    double u = 0;

    if (V <= 256)
        return sru_random_byte(state) % (int32_t)V;
    for (int i = 0; i < 4; i++)
        u = (u + sru_random_byte(state)) / 256;
    return (int32_t)sru_min(V - 1, (size_t)pow(1 - u * (1 - beyond(V)), -1 / EXPONENT) - 1);
}

double sru_bench_share(size_t V, size_t from, size_t to)
{
    return V <= 256 ? (double)(to - from) / (double)V : (beyond(from) - beyond(to)) / (1 - beyond(V));
}
