/* The page layer of the classic profile: a buddy allocator (Knowlton 1965; Knuth, The Art of Computer
 * Programming, 2.5).
 *
 * A run of order k is 2^k units long and starts at an address that is a multiple of its length, so every run is aligned
 * to its own size, wherever its region begins. Its buddy is the other half of the run of order k + 1 that both lie in:
 * the address with bit k of the unit number flipped. Free runs are kept in a list for each order; taking one finds the
 * lowest order that suffices in one count of zeros, and splits; giving one back merges with the buddy for as long as
 * that is free and whole. Whether it is takes one look at its entry, so nothing is searched.
 *
 * Invariants:
 *   1. A free run of order k starts at a multiple of its size, counted from address 0.
 *   2. No two buddies are free at once. Hence what is free when nothing is held depends on the region alone.
 *   3. Just the first cell of a free run is FREE; the length is in the third.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll_config.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

#include "failure.h"
#include "free_lists.h"
#include "pages.h"

#define ORDER_MAX (KNOLL_LIST_COUNT - 1)

_Static_assert(INDEX_BITS <= KNOLL_LIST_COUNT + 2, "the orders must be nearly enough for the largest region");

/* A unit's number in the whole address space, which alignment is counted in. */
static uintptr_t place_of(const struct knoll_region *region, uint32_t index)
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
static uint32_t buddy_of(const struct knoll_region *region, uint32_t index, unsigned order)
{
    uint32_t base = (uint32_t)place_of(region, 0);
    return buddy_place(base + index, order) - base;
}

/* The entry of the free run of this length that starts at the unit; NULL if none does. */
static inline uint32_t *find_free(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    if (index >= region->count) /* the tables' units are NONE */
        return NULL;
    uint32_t *entry = region_entry(region, index);
    return cell_kind(*entry) == RUN_FREE && entry[CELL_LENGTH] == length ? entry : NULL;
}

static inline void push(struct knoll_heap *heap, struct knoll_region *region, uint32_t index, unsigned order)
{
    uint32_t *entry = region_entry(region, index);
    mark_free(entry, 1u << order);
    free_list_link(heap, order, entry, region_unit_number(region, index));
    heap->free_runs[order]++;
}

/* Takes a free run out of its list. */
static inline void pull(struct knoll_heap *heap, uint32_t *entry, unsigned order)
{
    free_list_unlink(heap, order, entry);
    heap->free_runs[order]--;
    *entry &= RUN_WAS_BLOCK;
}

size_t knoll_pages_round(size_t units, size_t alignment)
{
    size_t least = units > alignment ? units : alignment;
    return least == 1 ? 1 : (size_t)2 << bits_highest(least - 1);
}

void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region)
{
    uint32_t index = region->first;
    while (index < region->count) { /* orders rise while alignment allows, then fall: at most 2 rounds an order */
        unsigned order = bits_highest32(region->count - index);
        unsigned alignment = bits_lowest(place_of(region, index) | bit(ORDER_MAX));
        if (order > alignment)
            order = alignment;
        push(heap, region, index, order);
        index += 1u << order;
    }
}

/* Takes the first run of the list `from` and cuts it down to `order`; the halves cut off go to lists that were empty.
 */
static uint32_t take_first(struct knoll_heap *heap, unsigned from, unsigned order)
{
    uint32_t number = heap->list[from];
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *entry = region_entry(region, index);
    free_list_pop(heap, from, entry);
    heap->free_runs[from]--;
    *entry &= RUN_WAS_BLOCK;
    heap->lists_filled |= (1u << from) - (1u << order);
    for (uint32_t length = 1u << order; order < from; order++, length *= 2) { /* at most ORDER_MAX rounds */
        mark_free(region_entry(region, index + length), length);
        heap->list[order] = number + length;
        heap->free_runs[order]++;
    }
    return number;
}

uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    (void)alignment; /* a run is aligned to its length, and knoll_pages_round made that suffice */
    unsigned order = bits_highest32(length);
    uint32_t fitting = must_fail(heap) || order > ORDER_MAX ? 0 : heap->lists_filled >> order << order;
    return fitting == 0 ? NOWHERE : take_first(heap, bits_lowest32(fitting), order);
}

uint32_t knoll_pages_take_from(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t alignment)
{
    (void)number; /* it is the first of its list, and to look at all lists costs no more */
    return knoll_pages_take(heap, length, alignment);
}

uint32_t knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    *region_entry(region, index) = cell_of(RUN_NONE, NOWHERE);
    unsigned order = bits_highest32(length);
    for (;;) {
        uint32_t buddy = buddy_of(region, index, order);
        uint32_t *entry = find_free(region, buddy, 1u << order);
        if (entry == NULL) {
            push(heap, region, index, order);
            return region_unit_number(region, index);
        }
        pull(heap, entry, order);
        index = index < buddy ? index : buddy;
        order++; /* at most ORDER_MAX + 1 rounds: the buddy of the longest run is outside of the region */
    }
}

uint32_t knoll_pages_take_whole(struct knoll_heap *heap, uint32_t number)
{
    uint32_t *entry = entry_of(heap, number);
    uint32_t length = free_run_length(entry);
    pull(heap, entry, bits_highest32(length));
    return length;
}

bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    unsigned order = bits_highest32(length);
    unsigned wanted_order = bits_highest32(wanted);

    while (order > wanted_order) { /* at most ORDER_MAX rounds; the half left is held, so nothing merges */
        order--;
        push(heap, region, index + (1u << order), order);
    }
    if (wanted > length && must_fail(heap)) /* not covered: tests/failing.c refuses, in a core of its own */
        return false;                       /* not covered: the same */
    if (wanted_order > ORDER_MAX || (place_of(region, index) & (wanted - 1)) != 0)
        return false; /* it would be longer: the half that is left of one starts where the run did */
    for (unsigned i = order; i < wanted_order; i++) /* at most ORDER_MAX rounds */
        if (find_free(region, index + (1u << i), 1u << i) == NULL)
            return false;
    for (unsigned i = order; i < wanted_order; i++) /* at most ORDER_MAX rounds */
        pull(heap, region_entry(region, index + (1u << i)), i);
    return true;
}

uint32_t knoll_pages_free_behind(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    (void)heap, (void)number, (void)length;
    return 0;
}

uint32_t knoll_pages_longest(const struct knoll_heap *heap)
{
    return heap->lists_filled == 0 ? 0 : 1u << bits_highest32(heap->lists_filled);
}

uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    unsigned order = bits_highest32(length);
    for (;;) { /* at most ORDER_MAX + 1 rounds */
        uint32_t buddy = buddy_of(region, index, order);
        if (find_free(region, buddy, 1u << order) == NULL)
            return 1u << order;
        index = index < buddy ? index : buddy;
        order++;
    }
}

bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length)
{
    return length == next_length && buddy_of(region, index, bits_highest32(length)) == index + length;
}

bool knoll_pages_lists_placed_well(const struct knoll_heap *heap)
{
    (void)heap;
    return true;
}

bool knoll_pages_placed_well(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    return is_power_of_two(length) && (place_of(region, index) & (length - 1)) == 0;
}

#endif
