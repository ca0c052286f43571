/* Telling whether a heap has changed since it was last looked at, without a counter in the paths of malloc and free.
 *
 * What is there suffices: every block handed out and every refusal is counted, and as long as neither count moves,
 * frees only lower the bytes that are used. A slab that is given back before a request is refused was the spare one.
 * What none of these shows is a large block that is made longer or shorter where it lies: that is counted, in the first
 * region. So is, at rung 2, what is freed into quarantine, where it is used still.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MOMENT_H
#define KNOLL_MOMENT_H

#include "knoll_live.h"
#include "region.h"

/* Of a heap whose regions have been verified. */
static inline struct knoll_moment moment_of(const struct knoll_heap *heap)
{
    return (struct knoll_moment){
        .allocations = heap->allocations,
        .failures = heap->failures,
        .used = heap->peak - heap->headroom,
        .resizes = heap->region_count == 0 ? 0 : heap->region[0]->resizes,
        .spare_slab = heap->spare_slab,
        .regions = heap->region_count,
    };
}

/* Of moments with the same regions. */
static inline bool moments_are_same(const struct knoll_moment *a, const struct knoll_moment *b)
{
    return a->allocations == b->allocations && a->failures == b->failures && a->used == b->used &&
           a->resizes == b->resizes &&
           a->spare_slab == b->spare_slab; /* not covered: alone it changes when a test refuses what would follow */
}

#endif
