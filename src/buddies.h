/* Places of runs whose lengths are powers of two, and which start at multiples of them: arithmetic only, for the page
 * layer of the classic profile.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BUDDIES_H
#define KNOLL_BUDDIES_H

#include "region.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

#define ORDER_MAX (SECOND_LIST - 1)

_Static_assert(INDEX_BITS <= SECOND_LIST && SECOND_LIST <= 32, "the orders must be enough for the largest region");

/* A unit's number in the whole address space, which alignment is counted in. */
static inline uintptr_t place_of(const struct knoll_region *region, uint32_t index)
{
    return ((uintptr_t)region >> KNOLL_UNIT_SHIFT) + index;
}

/* Where the buddy of the run of this order at this place is: the two are the halves of the run of the next order. All
 * modulo 2^32, which their length divides. */
/*@ requires order < 32 && place % (1 << order) == 0;
    assigns \nothing;
    ensures place / (1 << order) % 2 == 0 ==> \result == place + (1 << order);
    ensures place / (1 << order) % 2 == 1 ==> \result == place - (1 << order); */
static inline uint32_t buddy_place(uint32_t place, unsigned order)
{
    return place ^ (uint32_t)1 << order;
}

/* The unit at which the buddy of a run starts. May be outside of the region: then it
 * is no less than count, as an unsigned number, or in the tables. */
static inline uint32_t buddy_of(const struct knoll_region *region, uint32_t index, unsigned order)
{
    uint32_t base = (uint32_t)place_of(region, 0);
    return buddy_place(base + index, order) - base;
}

/* How many units lie between this one and the next multiple of the order's length. */
static inline uint32_t units_to_multiple(const struct knoll_region *region, uint32_t index, unsigned order)
{
    return (uint32_t)(0 - place_of(region, index)) & ((1u << order) - 1);
}

/* The order that a run which ends where the rest starts has together with as much of that as it can: all buddies above
 * it are part of the rest. */
static inline unsigned order_with_rest(const struct knoll_region *region, uint32_t index)
{
    return bits_lowest(place_of(region, index) | bit(ORDER_MAX + 1));
}

/* The longest run that may be taken from here to the end of the region, where all is free: of two orders the greater
 * has room if it is placed well, the lower always. */
static inline uint32_t longest_from(const struct knoll_region *region, uint32_t index)
{
    uint32_t room = region->count - index;
    if (room == 0)
        return 0;
    unsigned order = bits_highest32(room);
    return units_to_multiple(region, index, order) <= room - (1u << order) ? 1u << order : 1u << order >> 1;
}

#endif

#endif
