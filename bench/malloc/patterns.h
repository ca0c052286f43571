/* How programs use malloc: patterns, each of which stands for a kind of program.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_MALLOC_PATTERNS_H
#define BENCH_MALLOC_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

/* A pattern, run by so many threads; a round takes some milliseconds. */
typedef void run_pattern(unsigned threads, unsigned rounds);

/* small.c: these use one thread. */
run_pattern run_numbers, run_sets, run_trees, run_lifetimes, run_texts, run_bursts, run_large, run_phases;

/* threaded.c */
run_pattern run_server, run_hand_over, run_shared, run_short_threads, run_one_word, run_apart;

/* ---- What patterns share ---- */

struct random {
    uint64_t state;
};

static inline uint32_t draw(struct random *random)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 32);
}

static inline uint32_t draw_below(struct random *random, uint32_t bound)
{
    return (uint32_t)((uint64_t)draw(random) * bound >> 32);
}

/* Small more often than large: each power of two as often as any other, up to 2^most. */
static inline size_t draw_size(struct random *random, unsigned least, unsigned most)
{
    unsigned power = least + draw_below(random, most - least);
    return ((size_t)1 << power) + draw_below(random, 1u << power);
}

/* A block whose first and last byte are written; ends the program if there is none. */
void *take(size_t size);

/* Runs the function in so many threads, each with its number. */
void in_threads(unsigned threads, void (*function)(unsigned thread, void *context), void *context);

#endif
