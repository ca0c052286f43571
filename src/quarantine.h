/* Rung 2: freed blocks that wait before they may be used again.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_QUARANTINE_H
#define KNOLL_QUARANTINE_H

#include "evidence.h"

/* Puts a block that its caller has freed into quarantine, after filling it; blocks that have waited longest leave it to
 * make room. */
void knoll_quarantine_put(struct knoll_heap *heap, const struct guarded *guarded, struct knoll_origin freed);

/* Lets the block that has waited longest leave, or where there is chance one of the oldest; false if none waits. */
bool knoll_quarantine_let_go(struct knoll_heap *heap, uintptr_t caller);

/* The block in the `place`th place, from the one that has waited longest on. */
static inline const struct knoll_quarantined *quarantine_at(const struct knoll_heap *heap, uint32_t place)
{
    return &heap->quarantine[(heap->quarantine_first + place) % KNOLL_QUARANTINE_BLOCKS];
}

#endif
