/* Chance, where the owner of a heap has a source of it: see KNOLL_RANDOM_HOOK.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CHANCE_H
#define KNOLL_CHANCE_H

#include "bits.h"
#include "knoll.h"

#ifdef KNOLL_RANDOM_HOOK

#define HAS_CHANCE true

uint32_t KNOLL_RANDOM_HOOK(void);

/* A number below the bound, which is not 0. */
static inline uint32_t chance_below(uint32_t bound)
{
    return (uint32_t)((uint64_t)KNOLL_RANDOM_HOOK() * bound >> 32);
}

/* One of the word's bits that are set, of which there is one at least: the next one from a random place on. */
static inline unsigned chance_bit(uint64_t word)
{
    unsigned from = chance_below(bits_highest(word) + 1);
    return from + bits_lowest(word >> from);
}

/* The word without this one. */
static inline uint64_t chance_rest(uint64_t word, unsigned index)
{
    return word & ~bit(index);
}

#else

#define HAS_CHANCE          false

/* A macro, so that the compiler knows it where it counts what the tests execute. */
#define chance_below(bound) ((void)(bound), 0u)

static inline unsigned chance_bit(uint64_t word)
{
    return bits_lowest(word);
}

static inline uint64_t chance_rest(uint64_t word, unsigned index)
{
    (void)index;
    return word & (word - 1);
}

#endif

#endif
