/* What callers hold is kept as headroom, how much less it is than its peak, so that one subtraction tells both.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_ACCOUNTS_H
#define KNOLL_ACCOUNTS_H

#include "bits.h"
#include "knoll.h"

/*@ requires \valid(heap) && heap->headroom <= heap->peak && heap->headroom <= more;
    requires heap->peak - heap->headroom + more <= SIZE_MAX;
    assigns heap->peak, heap->headroom;
    ensures heap->peak == \old(heap->peak) - \old(heap->headroom) + more && heap->headroom == 0; */
static inline void raise_peak(struct knoll_heap *heap, size_t more)
{
    heap->peak += more - heap->headroom;
    heap->headroom = 0;
}

/*@ requires \valid(heap) && heap->headroom <= heap->peak;
    requires heap->peak - heap->headroom + more <= SIZE_MAX;
    assigns heap->peak, heap->headroom;
    ensures used: heap->peak - heap->headroom == \old(heap->peak) - \old(heap->headroom) + more;
    ensures peak: heap->peak == \max(\old(heap->peak), \old(heap->peak) - \old(heap->headroom) + more); */
static inline void account_used(struct knoll_heap *heap, size_t more)
{
    size_t left;
    if (__builtin_sub_overflow(heap->headroom, more, &left))
        raise_peak(heap, more);
    else
        heap->headroom = left;
}

#endif
