/* The loads, and their scripts: everything random is drawn before the clock starts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BENCH_WORKLOAD_H
#define KNOLL_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contender.h"

enum { ALIGNMENT = 8, WORKLOADS = 6 };

enum pattern {
    PATTERN_REPLACE,     /* `live` blocks are held; a random one is freed and another allocated */
    PATTERN_LAST_FIRST,  /* `live` blocks are allocated, and freed in the opposite order */
    PATTERN_FIRST_FIRST, /* the same, but freed in the order in which they were allocated */
};

struct workload {
    const char *name;
    enum pattern pattern;
    uint32_t live;
    uint32_t smallest; /* bytes, both inclusive */
    uint32_t largest;
};

extern const struct workload workloads[WORKLOADS];

/* How sizes are drawn. */
enum distribution {
    LOG_UNIFORM, /* each doubling as often as any other */
    UNIFORM,
};

/* The region's size: when sizes are drawn uniformly, mixed alone holds 131 MB. */
static inline size_t region_size(enum distribution distribution)
{
    return (size_t)(distribution == UNIFORM ? 256 : 64) << 20;
}

/* One block. In PATTERN_REPLACE it takes the place of another; in the bursts only `size` is used. */
struct step {
    uint32_t slot;
    uint32_t freed; /* the size of the block that it replaces */
    uint32_t size;
};

/* What a workload does, block by block; the same for every contender and round. */
struct script {
    const struct workload *workload;
    size_t region_size;
    struct step *steps;
    size_t warm_up; /* the first steps, which are not timed; the timed ones follow */
    size_t timed;
    uint32_t *first_size; /* of each slot, before the first step and after the last */
    uint32_t *last_size;
    void **blocks; /* the slots */
};

/* Draws a script of at least this many timed pairs. False if there is no memory for it. */
bool script_draw(struct script *script, const struct workload *workload, size_t pairs, enum distribution distribution,
                 uint64_t seed);
void script_discard(struct script *script);

/* Plays it on a fresh heap. Returns nanoseconds for each pair of an allocation and a free, or a negative number if the
 * heap had no memory left. */
double script_play(const struct script *script, const struct contender *contender, void *region);

#endif
