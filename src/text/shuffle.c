/* Shuffling: see shuffle.h. */
#include "config.h"

#include "simd/philox.h"
#include "src/text/shuffle.h"

#define PLACE 0xFFFFFFFDu   /* one that neither masks nor samples have */
enum { ROUNDS = 6 };

/* A Feistel network on twice `half` bits: a permutation whatever its rounds draw. */
static uint64_t permute(uint64_t x, unsigned half, uint64_t seed, uint64_t epoch)
{
    const uint64_t low = ((uint64_t)1 << half) - 1;
    uint64_t left = x >> half, right = x & low;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t c[4] = { (uint32_t)right, (uint32_t)epoch, round, PLACE };
        const uint64_t before = left;

        sru_philox(c, seed);
        left = right;
        right = before ^ (c[0] & low);
    }
    return left << half | right;
}

/* Whatever falls outside of n is permuted again, until it does not: at most four times as many are permuted as there are. */
uint64_t sru_shuffled(uint64_t i, uint64_t n, uint64_t seed, uint64_t epoch)
{
    unsigned half = 1;

    while (half < 32 && (uint64_t)1 << 2 * half < n)
        half++;
    do
        i = permute(i, half, seed, epoch);
    while (i >= n);
    return i;
}
