/* Orders of many things that take no memory. */
#ifndef SRU_TEXT_SHUFFLE_H
#define SRU_TEXT_SHUFFLE_H

#include <stdint.h>

/* Where i, below n, comes in an order of n things: another permutation for each (seed, epoch). */
uint64_t sru_shuffled(uint64_t i, uint64_t n, uint64_t seed, uint64_t epoch);

#endif
