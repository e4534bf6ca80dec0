/* The device that a command computes on. */
#include "config.h"

#include <omp.h>

#include "src/cli/cli.h"
#include "src/ops.h"

sru_status sru_device_open(const struct sru_device_settings *s, struct sru_dev **dev, struct sru_error *err)
{
    if (s->threads)
        omp_set_num_threads((int)s->threads);
    return sru_cpu_open(s->kernels, dev, err);
}

/* Parameters from which on one position is work enough for several threads: below, one was 5 times as fast as two. */
#define FOR_THREADS ((uint64_t)1 << 25)

bool sru_device_prefers_alone(const struct sru_device_settings *s, uint64_t parameters)
{
    return s->threads == 0 && parameters < FOR_THREADS;
}

void sru_device_alone(void)
{
    omp_set_num_threads(1);
}
