/*
 * Philox4x32-10: the counter-based random numbers of Salmon, Moraes, Dror and Shaw,
 * "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).  The same on every machine.
 */
#ifndef SRU_SIMD_PHILOX_H
#define SRU_SIMD_PHILOX_H

#include <stdint.h>

/* Four random words from a counter and a key, in place of the counter. */
static inline void sru_philox(uint32_t c[4], uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);

    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];

        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t)b;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/*
 * Masks: a row of factors takes ceil(columns/8) blocks of its own, the low halves of whose words decide about the first
 * half of the row (columns rounded up to eights), in order, and the high halves about the second.  A half below the limit
 * drops its element; the comparison is with the half as a word's high bits.
 */
static inline uint32_t sru_philox_limit(float rate)
{
    const float halves = rate * 65536.0f + 0.5f;

    return (uint32_t)(halves < 65535.0f ? halves : 65535.0f) << 16;
}

#endif
