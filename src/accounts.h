/* What callers hold is kept as headroom, how much less it is than its peak, so that one subtraction tells both.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_ACCOUNTS_H
#define KNOLL_ACCOUNTS_H

#include "bits.h"
#include "knoll.h"

/*@ predicate may_be_told_by_sign(integer bytes) = SIZE_MAX > UINT32_MAX ==> bytes <= SIZE_MAX / 2; */

/* Counts that callers hold so much more. True if that is more than they ever did: then raise_peak has to follow. On 64
 * bits the headroom's highest bit tells, in the instruction that subtracts; where a heap may be larger than half of all
 * addresses, the headroom before has to be compared. */
/*@ requires \valid(heap) && may_be_told_by_sign(heap->headroom) && may_be_told_by_sign(more);
    assigns heap->headroom;
    ensures \result <==> \old(heap->headroom) < more;
    ensures heap->headroom == \old(heap->headroom) - more + (\result ? SIZE_MAX + 1 : 0); */
static inline bool account_exceeds(struct knoll_heap *heap, size_t more)
{
    size_t before = heap->headroom;
    heap->headroom = before - more;
    return SIZE_MAX > UINT32_MAX ? heap->headroom > SIZE_MAX / 2 : before < more;
}

/* Raises the peak by what callers hold more than it, and leaves no headroom. Returns the block, so that a call can end
 * with this. */
/*@ requires \valid(heap) && heap->headroom != 0 && heap->peak + (SIZE_MAX + 1 - heap->headroom) <= SIZE_MAX;
    assigns heap->peak, heap->headroom;
    ensures heap->peak == \old(heap->peak) + (SIZE_MAX + 1 - \old(heap->headroom)) && heap->headroom == 0;
    ensures \result == block; */
static __attribute__((noinline, unused)) void *raise_peak(struct knoll_heap *heap, void *block)
{
    heap->peak -= heap->headroom;
    heap->headroom = 0;
    return block;
}

/*@ requires \valid(heap) && heap->headroom <= heap->peak;
    requires may_be_told_by_sign(heap->headroom) && may_be_told_by_sign(more);
    requires heap->peak - heap->headroom + more <= SIZE_MAX;
    assigns heap->peak, heap->headroom;
    ensures used: heap->peak - heap->headroom == \old(heap->peak) - \old(heap->headroom) + more;
    ensures peak: heap->peak == \max(\old(heap->peak), \old(heap->peak) - \old(heap->headroom) + more); */
static inline void account_used(struct knoll_heap *heap, size_t more)
{
    if (account_exceeds(heap, more))
        (void)raise_peak(heap, NULL);
}

#endif
