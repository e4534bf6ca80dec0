/* Checked arithmetic for every size that comes from a file, an option or a product of dimensions. */
#ifndef SRU_SIZE_H
#define SRU_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true and *out = a * b, or false on overflow. */
static inline bool sru_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* true and *out = a + b, or false on overflow. */
static inline bool sru_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n rounded up to a multiple of `to`, a power of two; n must be far below SIZE_MAX. */
static inline size_t sru_round_up(size_t n, size_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static inline size_t sru_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t sru_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
