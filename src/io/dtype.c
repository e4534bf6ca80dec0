/* The element types of the safetensors format. */
#include "config.h"

#include <string.h>

#include "src/io/dtype.h"

/* In the order of alignment that writers use, backwards. */
static const struct {
    const char *name;
    unsigned    bits;
} dtypes[] = {
    { "U64", 64 }, { "I64", 64 }, { "F64", 64 }, { "C64", 64 }, { "F32", 32 }, { "U32", 32 }, { "I32", 32 },
    { "BF16", 16 }, { "F16", 16 }, { "U16", 16 }, { "I16", 16 }, { "F8_E5M2FNUZ", 8 }, { "F8_E4M3FNUZ", 8 },
    { "F8_E8M0", 8 }, { "F8_E4M3", 8 }, { "F8_E5M2", 8 }, { "I8", 8 }, { "U8", 8 }, { "F6_E3M2", 6 },
    { "F6_E2M3", 6 }, { "F4", 4 }, { "BOOL", 8 }
};
#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

unsigned sru_dtype_rank(const char *name)
{
    unsigned i = 0;

    while (i < N_DTYPES && strcmp(dtypes[i].name, name) != 0)
        i++;
    return i;
}

unsigned sru_dtype_bits(const char *name)
{
    const unsigned i = sru_dtype_rank(name);

    return i < N_DTYPES ? dtypes[i].bits : 0;
}
