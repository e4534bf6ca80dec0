/* Choosing the vector kernels for the processor that runs. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "simd/kernels.h"

static bool always(void)
{
    return true;
}

#ifdef SRU_HAVE_X86_KERNELS
/* __builtin_cpu_supports asks CPUID, and XGETBV whether the operating system saves the registers. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl");
}

extern const struct sru_kernels sru_kernels_avx512_f32, sru_kernels_avx512_bf16;
extern const struct sru_kernels sru_kernels_avx2_f32, sru_kernels_avx2_bf16;
#endif
#ifdef SRU_HAVE_NEON_KERNELS
extern const struct sru_kernels sru_kernels_neon_f32, sru_kernels_neon_bf16;
#endif
extern const struct sru_kernels sru_kernels_scalar_f32, sru_kernels_scalar_bf16;

static const struct {
    const struct sru_kernels *f32, *bf16;
    bool (*runs)(void);
} sets[] = {   /* the best first */
#ifdef SRU_HAVE_X86_KERNELS
    { &sru_kernels_avx512_f32, &sru_kernels_avx512_bf16, has_avx512 },
    { &sru_kernels_avx2_f32, &sru_kernels_avx2_bf16, has_avx2 },
#endif
#ifdef SRU_HAVE_NEON_KERNELS
    { &sru_kernels_neon_f32, &sru_kernels_neon_bf16, always },   /* no aarch64 is without */
#endif
    { &sru_kernels_scalar_f32, &sru_kernels_scalar_bf16, always },
};
#define N_SETS (sizeof sets / sizeof *sets)

static sru_status unknown(const char *name, struct sru_error *err)
{
    char list[64] = "";

    for (size_t i = N_SETS; i-- > 0;) {
        const size_t used = strlen(list);

        snprintf(list + used, sizeof list - used, "%s%s", i == N_SETS - 1 ? "" : i == 0 ? " and " : ", ", sets[i].f32->name);
    }
    return sru_fail(err, SRU_EINVAL, "unknown instructions '%.80s' (--cpu, SRU_CPU): this build has %s", name, list);
}

sru_status sru_kernels_find(const char *name, bool bf16, const struct sru_kernels **out, struct sru_error *err)
{
    for (size_t i = 0; i < N_SETS; i++) {
        if (name && strcmp(sets[i].f32->name, name) != 0)
            continue;
        if (sets[i].runs()) {
            *out = bf16 ? sets[i].bf16 : sets[i].f32;
            return SRU_OK;
        }
        if (name)
            return sru_fail(err, SRU_EDEVICE, "this processor cannot run the %s kernels", name);
    }
    return unknown(name, err);
}
