/* What a heap makes of its memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MEMORY_MEASURE_H
#define MEMORY_MEASURE_H

#include "heap.h"
#include "trace.h"

#define MEASURE_STEP   ((size_t)4096) /* sizes of regions are multiples of this */
#define MEASURE_PROBES 8              /* regions larger than the smallest that serves, tried as well */

/* Where heaps are made, aligned to 2 MiB, and the alignment that blocks are asked for with. */
struct arena {
    void *start;
    size_t size;
    size_t alignment;
};

struct smallest {
    size_t region;                    /* the smallest that serves the trace, 0 if not even the arena does */
    size_t failed;                    /* of the larger ones that were tried, how many do not serve it */
    size_t failed_at[MEASURE_PROBES]; /* which */
    size_t firm;                      /* the smallest from which on the next 32 larger ones serve it too */
};

/* Whether a heap of so many bytes serves the whole trace. Ends the program if a block is misaligned, is outside of the
 * region or was overwritten while it was held. */
bool measure_serves(const struct heap *heap, const struct arena *arena, size_t region, const struct trace *trace);

struct smallest measure_smallest(const struct heap *heap, const struct arena *arena, const struct trace *trace);

/* By how much the region must grow for one more block of this size, on average over many. */
double measure_bytes_per_block(const struct heap *heap, const struct arena *arena, size_t size);

/* The largest block that a heap of so many bytes has when it is new. */
size_t measure_largest_block(const struct heap *heap, const struct arena *arena, size_t region);

#endif
