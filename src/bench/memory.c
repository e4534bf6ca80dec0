/* The memory rate, by the triad of the STREAM benchmark. */
#include "config.h"

#include <stdlib.h>

#include "src/bench/bench.h"

struct triad {
    double *a, *b, *c, s;
    int threads;
};

/* Every thread touches first what it will read: memory is where it was touched. */
static void fill(struct triad *t, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(t->threads)
    for (size_t i = 0; i < n; i++) {
        t->a[i] = 0;
        t->b[i] = 1;
        t->c[i] = 2;
    }
}

static sru_status triad(void *of, struct sru_error *err)
{
    const struct triad *t = of;
    double *restrict a = t->a;
    const double *restrict b = t->b, *restrict c = t->c, s = t->s;

    (void)err;
#pragma omp parallel for simd schedule(static) num_threads(t->threads)
    for (size_t i = 0; i < SRU_TRIAD_BYTES / sizeof *a; i++)
        a[i] = b[i] + s * c[i];
    return SRU_OK;
}

sru_status sru_triad(double seconds, int threads, double *rate, struct sru_error *err)
{
    struct triad t = { .s = 3, .threads = threads };
    struct sru_spread spread;
    sru_status status;

    t.a = aligned_alloc(64, SRU_TRIAD_BYTES);
    t.b = aligned_alloc(64, SRU_TRIAD_BYTES);
    t.c = aligned_alloc(64, SRU_TRIAD_BYTES);
    if (!t.a || !t.b || !t.c) {
        status = sru_fail(err, SRU_ENOMEM, "out of memory for three arrays of %zu MB", SRU_TRIAD_BYTES >> 20);
    } else {
        fill(&t, SRU_TRIAD_BYTES / sizeof *t.a);
        status = sru_measure(seconds, triad, &t, &spread, err);
        *rate = status ? 0 : 3.0 * (double)SRU_TRIAD_BYTES / spread.least;
    }
    free(t.a);
    free(t.b);
    free(t.c);
    return status;
}
