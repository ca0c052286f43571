/* The page layer of the classic profile: a buddy allocator (Knowlton 1965; Knuth, The Art of Computer
 * Programming, 2.5).
 *
 * A run of order k is 2^k units long and starts at an address that is a multiple of its length, so every run is aligned
 * to its own size, wherever its region begins. Its buddy is the other half of the run of order k + 1 that both lie in:
 * the address with bit k of the unit number flipped. Free runs are kept in lists by order; taking one finds the
 * lowest order that suffices in one count of zeros, and splits; giving one back merges with the buddy for as long as
 * that is free and whole. Whether it is takes one look at its entry, so nothing is searched.
 *
 * What a region has beyond all that was needed is its rest: one free run of any length, in no list.
 *
 *     | tables | held | 2 | held | 1 | held |            rest            |
 *
 * A run is taken from there only if no list has one, and as low as it can be: what it passes over becomes free runs. A
 * run that ends where the rest starts becomes part of it, and so does what is then its buddy. So where blocks lie does
 * not depend on where the region ends: a larger region, whose tables take as many units, does what a smaller one does,
 * call by call, until that has no run for a request: so it is never the first to have none.
 *
 * Each order has two lists. A run whose buddy is held whole, by one caller, is in the second one, which is taken from
 * when the first is empty: one call can make it twice as long, where a buddy that is in parts needs several. That is as
 * it was when the run came free; it is a preference and no more. In a processor's spans (cpu_spans.c), which have no
 * rest, what came free last is taken first instead, because it is in the cache.
 *
 * Invariants:
 *   1. A free run of order k starts at a multiple of its size, counted from address 0; but for the rest, which
 *      ends with its region.
 *   2. No two buddies are free at once, where the rest counts as the runs that could be cut from it. Hence what is free
 *      when nothing is held depends on the region alone.
 *   3. Just the first cell of a free run is FREE; the length is in the third.
 *   4. All units from rest[i] on are free in region i, and the unit before is not, or in a run that is no buddy.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

#include "buddies.h"
#include "failure.h"
#include "free_lists.h"
#include "pages.h"

/* The entry of the unit; where the region has no such unit, of one in the tables, which is of no kind. */
static inline uint32_t *entry_at(const struct knoll_region *region, uint32_t index)
{
    return region_entry(region, index < region->count ? index : 0);
}

/* Whether a free run of this length starts with this entry. */
static inline bool is_free_run(const uint32_t *entry, uint32_t length)
{
    return cell_kind(*entry) == RUN_FREE && entry[CELL_LENGTH] == length;
}

/* Whether a run of this length that is held does: without a branch, because no processor could foretell it. */
static inline bool is_held_run(const uint32_t *entry, uint32_t length)
{
    return ((*entry >> KIND_SHIFT ^ RUN_LARGE) | (entry[CELL_LARGE_LENGTH] ^ length)) == 0;
}

/* Makes a run free, and the first of a list: of its order's second one, if its buddy is held whole. That the list is
 * filled is to be noted besides. */
static inline void link(struct knoll_heap *heap, uint32_t *entry, uint32_t number, unsigned order, unsigned which)
{
    unsigned list = order + which * SECOND_LIST;
    uint32_t after = heap->list[list];
    mark_free(entry, 1u << order);
    entry[CELL_FREE_NEXT] = which << SECOND_SHIFT | after;
    set_link(&entry_of(heap, after)[CELL_PREV], number, 0);
    heap->list[list] = number;
    heap->free_runs[order]++;
}

static inline void push(struct knoll_heap *heap, uint32_t *entry, uint32_t number, unsigned order, unsigned which)
{
    link(heap, entry, number, order, which);
    heap->filled[which] |= 1u << order;
}

static void push_at(struct knoll_heap *heap, struct knoll_region *region, uint32_t index, unsigned order,
                    unsigned which)
{
    push(heap, region_entry(region, index), region_unit_number(region, index), order, which);
}

/* Takes a free run out of its list. */
static inline void pull(struct knoll_heap *heap, uint32_t *entry, unsigned order)
{
    uint32_t before = link_of(*entry, 0);
    uint32_t after = link_of(entry[CELL_FREE_NEXT], 0);
    set_link(&entry_of(heap, after)[CELL_PREV], before, 0);
    if (before != NOWHERE) {
        set_link(&entry_of(heap, before)[CELL_FREE_NEXT], after, 0);
    } else {
        uint32_t which = entry[CELL_FREE_NEXT] >> SECOND_SHIFT;
        heap->list[order + which * SECOND_LIST] = after;
        heap->filled[which] &= ~((after == NOWHERE ? 1u : 0u) << order);
    }
    heap->free_runs[order]--;
    *entry &= RUN_WAS_BLOCK;
}

/* Makes the rest of the region start here, of no kind yet. */
static void begin_rest(struct knoll_heap *heap, struct knoll_region *region, uint32_t index)
{
    heap->rest[region->number] = index;
    if (index != region->count)
        mark_free(region_entry(region, index), (region->count - index) | LENGTH_OF_REST);
}

/* Makes it start elsewhere. */
static void move_rest(struct knoll_heap *heap, struct knoll_region *region, uint32_t from, uint32_t to)
{
    if (from != region->count)
        *region_entry(region, from) &= RUN_WAS_BLOCK;
    begin_rest(heap, region, to);
}

void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region)
{
    begin_rest(heap, region, region->first);
}

/* Takes a run of this order from the rest of this region, which has room for it after so many units. Those are free
 * runs from now on. */
static uint32_t take_from_rest(struct knoll_heap *heap, struct knoll_region *region, unsigned order, uint32_t skipped)
{
    uint32_t from = heap->rest[region->number];
    uint32_t *entry = region_entry(region, from);
    uint32_t number = region_unit_number(region, from);
    move_rest(heap, region, from, from + skipped + (1u << order));
    heap->filled[1] |= skipped;
    for (uint32_t length; skipped != 0; skipped -= length) { /* at most ORDER_MAX rounds */
        unsigned part = bits_lowest32(skipped);
        length = 1u << part;
        link(heap, entry, number, part, 1);
        entry = &entry[(size_t)length * CELLS_PER_UNIT];
        number += length;
    }
    return number;
}

/* Takes a run of this order from the rest of the first region that has room for it. */
static uint32_t take_rest(struct knoll_heap *heap, unsigned order)
{
    for (uint32_t i = 0; i < heap->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        struct knoll_region *region = heap->region[i];
        uint32_t rest = heap->rest[i];
        if (rest == 0) /* the heap is a processor's spans */
            continue;
        uint32_t skipped = units_to_multiple(region, rest, order);
        if (skipped + (1u << order) <= region->count - rest)
            return take_from_rest(heap, region, order, skipped);
    }
    return NOWHERE;
}

/* Takes the first run of order `from`, of its first list or, if `which` is 1, the second one, and cuts it down to
 * `order`; the halves cut off go to lists that were empty. */
static uint32_t take_first(struct knoll_heap *heap, unsigned from, unsigned which, unsigned order)
{
    uint32_t *head = &heap->list[from + which * SECOND_LIST];
    uint32_t number = *head;
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *entry = region_entry(region, index);
    uint32_t after = link_of(entry[CELL_FREE_NEXT], 0);
    *head = after;
    set_link(&entry_of(heap, after)[CELL_PREV], NOWHERE, 0);
    heap->filled[which] &= ~((after == NOWHERE ? 1u : 0u) << from);
    heap->filled[0] |= (1u << from) - (1u << order);
    heap->free_runs[from]--;
    *entry = cell_of(RUN_NONE, NOWHERE);
    for (uint32_t length = 1u << order; order < from; order++, length *= 2) { /* at most ORDER_MAX rounds */
        mark_free(region_entry(region, index + length), length);
        heap->list[order] = number + length;
        heap->free_runs[order]++;
    }
    return number;
}

uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    (void)alignment; /* a run is aligned to its length, and pages_round made that suffice */
    unsigned order = bits_highest32(length);
    if (must_fail(heap))
        return NOWHERE; /* not covered: tests/failing.c refuses, in a core of its own */
    uint32_t fitting = (heap->filled[0] | heap->filled[1]) >> order << order;
    if (fitting == 0)
        return take_rest(heap, order);
    unsigned from = bits_lowest32(fitting);
    return take_first(heap, from, ~heap->filled[0] >> from & 1, order);
}

uint32_t knoll_pages_take_from(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t alignment)
{
    (void)number; /* it is the first of its list, and to look at all lists costs no more */
    return knoll_pages_take(heap, length, alignment);
}

/* Makes a free run that ends where the rest starts part of it, and what comes to be its buddy with it. */
static __attribute__((noinline)) uint32_t join_rest(struct knoll_heap *heap, uint32_t number)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    unsigned order = order_with_rest(region, index);
    uint32_t *other = entry_at(region, buddy_of(region, index, order));
    while (is_free_run(other, 1u << order)) { /* at most ORDER_MAX + 1 rounds, those of knoll_pages_give included */
        pull(heap, other, order);
        index -= 1u << order;
        order = order_with_rest(region, index);
        other = entry_at(region, buddy_of(region, index, order));
    }
    move_rest(heap, region, heap->rest[region->number], index);
    return (number & ~INDEX_MASK) | index;
}

uint32_t knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *run = region_entry(region, index);
    *run = cell_of(RUN_NONE, NOWHERE);
    unsigned order = bits_highest32(length);
    uint32_t buddy = buddy_of(region, index, order);
    uint32_t *other = entry_at(region, buddy);
    while (is_free_run(other, 1u << order)) { /* at most ORDER_MAX + 1 rounds: one an order */
        pull(heap, other, order);
        if (buddy < index) {
            index = buddy;
            run = other;
        }
        order++;
        buddy = buddy_of(region, index, order);
        other = entry_at(region, buddy);
    }
    number = (number & ~INDEX_MASK) | index;
    uint32_t rest = heap->rest[number >> INDEX_BITS];
    if (index + (1u << order) == rest)
        return join_rest(heap, number);
    push(heap, run, number, order, rest != 0 && is_held_run(other, 1u << order) ? 1 : 0);
    return number;
}

uint32_t knoll_pages_take_whole(struct knoll_heap *heap, uint32_t number)
{
    uint32_t *entry = entry_of(heap, number);
    uint32_t length = free_run_length(entry);
    pull(heap, entry, bits_highest32(length));
    return length;
}

/* Makes a run that is held shorter, or leaves it as it is. What is left of it is held, so nothing merges with what is
 * cut off. */
static void shorten(struct knoll_heap *heap, struct knoll_region *region, uint32_t index, unsigned order,
                    unsigned wanted)
{
    uint32_t rest = heap->rest[region->number];
    if (index + (1u << order) == rest) {
        move_rest(heap, region, rest, index + (1u << wanted));
        return;
    }
    while (order-- > wanted) /* at most ORDER_MAX rounds */
        push_at(heap, region, index + (1u << order), order, order == wanted ? 1 : 0);
}

/* Whether what follows a run that is held is free as far as it has to be to make the run longer. */
static bool may_lengthen(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                         unsigned order, unsigned wanted)
{
    for (; order < wanted; order++) { /* at most ORDER_MAX rounds */
        uint32_t half = index + (1u << order);
        if (half == heap->rest[region->number])
            return 1u << wanted <= region->count - index;
        if (!is_free_run(entry_at(region, half), 1u << order))
            return false;
    }
    return true;
}

static void lengthen(struct knoll_heap *heap, struct knoll_region *region, uint32_t index, unsigned order,
                     unsigned wanted)
{
    for (; order < wanted; order++) { /* at most ORDER_MAX rounds */
        uint32_t half = index + (1u << order);
        if (half == heap->rest[region->number]) {
            move_rest(heap, region, half, index + (1u << wanted));
            return;
        }
        pull(heap, region_entry(region, half), order);
    }
}

bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    unsigned order = bits_highest32(length);
    unsigned wanted_order = bits_highest32(wanted);
    if (wanted_order <= order) {
        shorten(heap, region, index, order, wanted_order);
        return true;
    }
    if (must_fail(heap))
        return false; /* not covered: tests/failing.c refuses, in a core of its own */
    if (wanted_order > ORDER_MAX || (place_of(region, index) & (wanted - 1)) != 0)
        return false; /* it would be longer: the half that is left of one starts where the run did */
    bool may = may_lengthen(heap, region, index, order, wanted_order);
    if (may)
        lengthen(heap, region, index, order, wanted_order);
    return may;
}

uint32_t knoll_pages_free_behind(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    (void)heap, (void)number, (void)length;
    return 0;
}

uint32_t knoll_pages_part(const struct knoll_region *region, uint32_t index)
{
    unsigned order = bits_highest32(region->count - index);
    unsigned aligned = bits_lowest(place_of(region, index) | bit(ORDER_MAX));
    return 1u << (order < aligned ? order : aligned);
}

uint32_t knoll_pages_longest(const struct knoll_heap *heap)
{
    uint32_t filled = heap->filled[0] | heap->filled[1];
    uint32_t longest = filled == 0 ? 0 : 1u << bits_highest32(filled);
    for (uint32_t i = 0; i < heap->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        uint32_t in_rest = longest_from(heap->region[i], heap->rest[i]);
        longest = longest > in_rest ? longest : in_rest;
    }
    return longest;
}

uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    unsigned order = bits_highest32(length);
    uint32_t buddy = buddy_of(region, index, order);
    while (is_free_run(entry_at(region, buddy), 1u << order)) { /* at most ORDER_MAX + 1 rounds */
        index = index < buddy ? index : buddy;
        order++;
        buddy = buddy_of(region, index, order);
    }
    if (index + (1u << order) != heap->rest[region->number])
        return 1u << order;
    order = order_with_rest(region, index);
    while (is_free_run(entry_at(region, index - (1u << order)), 1u << order)) { /* at most ORDER_MAX + 1 rounds */
        index -= 1u << order;
        order = order_with_rest(region, index);
    }
    return longest_from(region, index);
}

bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length)
{
    if (length == 0)
        return false;
    uint32_t next = index + length;
    unsigned order = bits_highest32(length);
    if (is_rest(region_entry(region, next)))
        return order_with_rest(region, next) == order;
    return length == next_length && buddy_of(region, index, order) == next;
}

bool knoll_pages_lists_placed_well(const struct knoll_heap *heap)
{
    for (uint32_t i = 0; i < heap->region_count; i++) /* at most KNOLL_REGIONS_MAX rounds */
        if (heap->rest[i] < heap->region[i]->first || heap->rest[i] > heap->region[i]->count)
            return false;
    return true;
}

bool knoll_pages_placed_well(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    if (is_rest(region_entry(region, index)))
        return index + length == region->count;
    return is_power_of_two(length) && (place_of(region, index) & (length - 1)) == 0;
}

#endif
