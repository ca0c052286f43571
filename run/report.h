/* What a heap did, as tables and maps for a reader. Freestanding.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include "knoll.h"
#include "map.h"
#include "text.h"

/* A heap at one moment. */
struct snapshot {
    struct knoll_stats stats;
    struct map map;
};

void snapshot_take(struct snapshot *snapshot, const struct knoll_heap *heap);

/* To be called after each allocation, on a snapshot taken before the first: takes it anew whenever the heap holds 1/64
 * more than then. So in the end it shows the heap within 1/64 of its peak, for a few hundred walks at most. */
static inline void snapshot_follow_peak(struct snapshot *snapshot, const struct knoll_heap *heap)
{
    size_t seen = snapshot->stats.used_bytes;
    if (knoll_used_bytes(heap) > seen + seen / 64) {
        snapshot_take(snapshot, heap);
    }
}

/* Prints what the heap did, the peak beside the present. Returns whether the heap is whole and empty, as it must be
 * when its client has gone, and says so in words. */
bool report_heap(struct text *text, const struct knoll_heap *heap, const struct snapshot *peak);

/* Prints the line for a fault handler. */
void report_fault(struct text *text, enum knoll_fault fault, const void *address);

#endif
