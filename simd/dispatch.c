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
#ifdef SRU_HAVE_AVX512BF16_KERNELS
static bool has_avx512bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

extern const struct sru_kernels sru_kernels_avx512_native_bf16;
#endif
#ifdef SRU_HAVE_NEON_KERNELS
extern const struct sru_kernels sru_kernels_neon_f32, sru_kernels_neon_bf16;
#endif
extern const struct sru_kernels sru_kernels_scalar_f32, sru_kernels_scalar_bf16;

static const struct {
    const struct sru_kernels *k;
    bool (*runs)(void);
} tables[] = {   /* the best first, of each set and storage too */
#ifdef SRU_HAVE_X86_KERNELS
    { &sru_kernels_avx512_f32, has_avx512 },
# ifdef SRU_HAVE_AVX512BF16_KERNELS
    { &sru_kernels_avx512_native_bf16, has_avx512bf16 },
# endif
    { &sru_kernels_avx512_bf16, has_avx512 },
    { &sru_kernels_avx2_f32, has_avx2 },
    { &sru_kernels_avx2_bf16, has_avx2 },
#endif
#ifdef SRU_HAVE_NEON_KERNELS
    { &sru_kernels_neon_f32, always },   /* no aarch64 is without */
    { &sru_kernels_neon_bf16, always },
#endif
    { &sru_kernels_scalar_f32, always },
    { &sru_kernels_scalar_bf16, always },
};
#define N_TABLES (sizeof tables / sizeof *tables)

static sru_status unknown(const char *name, struct sru_error *err)
{
    char list[64] = "";

    for (size_t i = N_TABLES; i-- > 0;) {
        const size_t used = strlen(list);

        if (tables[i].k->act_bytes == sizeof(float))   /* every set has one */
            snprintf(list + used, sizeof list - used, "%s%s", used == 0 ? "" : i == 0 ? " and " : ", ", tables[i].k->name);
    }
    return sru_fail(err, SRU_EINVAL, "unknown instructions '%.80s' (--cpu, SRU_CPU): this build has %s", name, list);
}

sru_status sru_kernels_find(const char *name, bool bf16, const struct sru_kernels **out, struct sru_error *err)
{
    bool known = false;

    for (size_t i = 0; i < N_TABLES; i++) {
        const struct sru_kernels *k = tables[i].k;

        if ((name && strcmp(k->name, name) != 0) || (k->act_bytes != sizeof(float)) != bf16)
            continue;
        known = true;
        if (tables[i].runs()) {
            *out = k;
            return SRU_OK;
        }
    }
    return known ? sru_fail(err, SRU_EDEVICE, "this processor cannot run the %s kernels", name) : unknown(name, err);
}

const struct sru_kernels *sru_kernels_at(size_t n)
{
    for (size_t i = 0; i < N_TABLES; i++)
        if (tables[i].runs() && n-- == 0)
            return tables[i].k;
    return NULL;
}
