/* The device that a command computes on. */
#include "config.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#ifdef SRU_HAVE_CUDA
#include "gpu/cuda.h"
#endif

#include "src/cli/cli.h"
#include "src/ops.h"

/* The first GPU where there is any, else -1. */
static int first_gpu(void)
{
#ifdef SRU_HAVE_CUDA
    return sru_cuda_count() > 0 ? 0 : -1;
#else
    return -1;
#endif
}

/* The GPU that a name means, from 0 on; -1: the processor. */
static sru_status parse_device(const char *name, const char *cpu, int *gpu, struct sru_error *err)
{
    char *end;

    *gpu = -1;
    if (!name || strcmp(name, "auto") == 0) {
        *gpu = cpu ? -1 : first_gpu();
        return SRU_OK;
    }
    if (strcmp(name, "cpu") == 0)
        return SRU_OK;
    const bool numbered = strncmp(name, "cuda:", 5) == 0 && name[5] >= '0' && name[5] <= '9';
    const long n = numbered ? strtol(name + 5, &end, 10) : 0;
    if (numbered ? *end || n > 1000 : strcmp(name, "cuda") != 0)
        return sru_fail(err, SRU_EINVAL, "option '--device': '%.40s' is none: give auto, cpu, cuda or cuda:N", name);
    *gpu = (int)n;
    return SRU_OK;
}

static sru_status open_gpu(int index, enum sru_precision precision, struct sru_dev **dev, struct sru_error *err)
{
#ifdef SRU_HAVE_CUDA
    return sru_cuda_open(index, precision, dev, err);
#else
    (void)precision;
    *dev = NULL;
    return sru_fail(err, SRU_EDEVICE, "cannot use GPU %d: this program was built without CUDA (configure --with-cuda)", index);
#endif
}

static bool parse_precision(const char *name, enum sru_precision *p)
{
    *p = strcmp(name, "bf16") == 0 ? SRU_PRECISION_BF16 : strcmp(name, "f32") == 0 ? SRU_PRECISION_F32 : SRU_PRECISION_AUTO;
    return *p != SRU_PRECISION_AUTO || strcmp(name, "auto") == 0;
}

sru_status sru_device_open(const struct sru_device_settings *s, struct sru_dev **dev, struct sru_error *err)
{
    enum sru_precision precision;
    int gpu;
    const sru_status status = parse_device(s->device, s->cpu, &gpu, err);

    if (status)
        return status;
    if (!parse_precision(s->precision ? s->precision : "auto", &precision))
        return sru_fail(err, SRU_EINVAL, "option '--precision': '%.40s' is none: give auto, f32 or bf16", s->precision);
    if (s->threads)
        omp_set_num_threads((int)s->threads);
    return gpu >= 0 ? open_gpu(gpu, precision, dev, err) : sru_cpu_open(s->cpu, precision, dev, err);
}

/*
 * Parameters, once for each stream, from which on a position is work enough for several threads: with fewer, two gain a tenth
 * where nothing else runs and lose much where something does.
 */
#define FOR_THREADS ((uint64_t)1 << 23)

bool sru_device_prefers_alone(const struct sru_device_settings *s, uint64_t parameters)
{
    return s->threads == 0 && parameters < FOR_THREADS;
}

void sru_device_alone(struct sru_dev *dev)
{
    dev->threads = 1;
    omp_set_num_threads(1);
}

sru_status sru_quantize_parse(const char *name, bool *int8, struct sru_error *err)
{
    *int8 = name && strcmp(name, "int8") == 0;
    if (!name || *int8 || strcmp(name, "none") == 0)
        return SRU_OK;
    return sru_fail(err, SRU_EINVAL, "option '--quantize': '%.40s' is none: give int8 or none", name);
}
