/* Choosing the vector kernels for the processor that runs. */
#include "config.h"

#include <string.h>

#include "simd/kernels.h"

static bool always(void)
{
    return true;
}

#ifdef SRU_HAVE_X86_KERNELS
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl");
}
#endif

static const struct {
    const struct sru_kernels *kernels;
    bool (*runs)(void);
} choices[] = {   /* the best first */
#ifdef SRU_HAVE_X86_KERNELS
    { &sru_kernels_avx512, has_avx512 },
    { &sru_kernels_avx2, has_avx2 },
#endif
    { &sru_kernels_baseline, always },
};
#define N_CHOICES (sizeof choices / sizeof *choices)

sru_status sru_kernels_find(const char *name, const struct sru_kernels **out, struct sru_error *err)
{
    for (size_t i = 0; i < N_CHOICES; i++) {
        if (name && strcmp(choices[i].kernels->name, name) != 0)
            continue;
        if (choices[i].runs()) {
            *out = choices[i].kernels;
            return SRU_OK;
        }
        if (name)
            return sru_fail(err, SRU_EDEVICE, "this processor cannot run the %s kernels", name);
    }
    return sru_fail(err, SRU_EINVAL, "unknown kernels '%.80s': this build has baseline%s", name,
                    N_CHOICES > 1 ? ", avx2 and avx512" : "");
}
