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

void sru_device_alone(void)
{
    omp_set_num_threads(1);
}
