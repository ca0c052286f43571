/* The page layer of the compact profile: free runs of any length, found by good fit.
 *
 * Free runs are kept in 64 lists by length: one list for each of 1 to 4 units, then four for each doubling, the last
 * for all that is longer; lists_filled has a bit for each, so the lowest list all of whose runs suffice is found in one
 * count of zeros (Masmano, Ripoll, Crespo, Real: TLSF, 2004, but with the tables outside of the memory). Only
 * when there is none are the first PROBES runs of the list in which a run of just this length would be looked at, so
 * that a request for the longest run is served. A run is cut from the low end. Neighbours merge at once: the unit after
 * a run says by its entry whether a free run starts there, the one before whether one ends there and how long it is.
 *
 * Invariants:
 *   1. The first and the last entry of a free run are FREE and have its length in their words; only the first has
 * links.
 *   2. No two free runs lie side by side. Hence with nothing held each region is one run.
 *   3. A free run is in the list that its length belongs to.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll_config.h"

#if KNOLL_PROFILE == KNOLL_COMPACT

#include "free_lists.h"
#include "pages.h"

/* Lists of which all runs suffice are preferred, so these look-ups are the exception. With nothing held there are as
 * many runs as regions, and that many probes find the longest. */
#define PROBES (KNOLL_REGIONS_MAX > 8 ? KNOLL_REGIONS_MAX : 8)

#define LAST_LIST (KNOLL_LIST_COUNT - 1u)

unsigned knoll_pages_list(uint32_t length)
{
    if (length < 4)
        return length - 1;
    unsigned doubling = bits_highest32(length) - 2;
    unsigned list = 4 * doubling + (length >> doubling & 3) + 3;
    return list < LAST_LIST ? list : LAST_LIST;
}

/* The lowest list of which every run is as long as this or longer; may be past the last. */
static unsigned list_of_fitting(uint32_t length)
{
    if (length < 4)
        return length - 1;
    unsigned doubling = bits_highest32(length) - 2;
    uint32_t rounded = length + (1u << doubling) - 1;
    doubling = bits_highest32(rounded) - 2;
    return 4 * doubling + (rounded >> doubling & 3) + 3;
}

/* Makes [index, index + length) a free run. */
static void push(struct knoll_heap *heap, struct knoll_region *region, uint32_t index, uint32_t length)
{
    struct knoll_entry *last = region_entry(region, index + length - 1);
    last->word = length;
    entry_set(last, RUN_FREE, NOWHERE);
    free_list_push(heap, knoll_pages_list(length), region_entry(region, index), region_unit_number(region, index),
                   length);
}

/* Takes the free run that starts at `index` out of its list and makes its first and last entry NONE. */
static uint32_t pull(struct knoll_heap *heap, struct knoll_region *region, uint32_t index)
{
    struct knoll_entry *entry = region_entry(region, index);
    uint32_t length = entry_length(entry);
    free_list_remove(heap, knoll_pages_list(length), entry);
    entry_set(entry, RUN_NONE, NOWHERE);
    entry_set(region_entry(region, index + length - 1), RUN_NONE, NOWHERE);
    return length;
}

size_t knoll_pages_round(size_t units, size_t alignment)
{
    (void)alignment;
    return units;
}

void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region)
{
    push(heap, region, 1, region->own.count - 1);
}

/* The first free run in this list that is as long as `length`, among the first PROBES. */
static uint32_t probe(const struct knoll_heap *heap, unsigned list, uint32_t length)
{
    uint32_t number = heap->list[list];
    for (unsigned i = 0; i < PROBES && number != NOWHERE; i++) {
        const struct knoll_entry *entry = entry_of(heap, number);
        if (entry_length(entry) >= length)
            return number;
        number = entry->next;
    }
    return NOWHERE;
}

static uint32_t find(const struct knoll_heap *heap, uint32_t length)
{
    unsigned list = list_of_fitting(length);
    uint64_t fitting = list > LAST_LIST ? 0 : heap->lists_filled & ~bits_low(list);
    if (fitting != 0)
        return heap->list[bits_lowest(fitting)];
    return probe(heap, knoll_pages_list(length), length);
}

/* Takes `length` units out of this free run, `before` units from its low end; what is left on both sides stays free. */
static uint32_t cut(struct knoll_heap *heap, uint32_t number, uint32_t before, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = pull(heap, region, index) - before - length;
    if (before != 0)
        push(heap, region, index, before);
    if (after != 0)
        push(heap, region, index + before + length, after);
    return number + before;
}

/* How many units after this one the first aligned unit is; alignment in units. */
static uint32_t units_to_aligned(const struct knoll_heap *heap, uint32_t number, uint32_t alignment)
{
    return (uint32_t)(-((uintptr_t)unit_address(heap, number) >> KNOLL_UNIT_SHIFT) & (alignment - 1));
}

/* A free run that has an aligned place for `length` units, among the first PROBES of each list that may have one. */
static uint32_t find_aligned(const struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    uint32_t number = find(heap, length + alignment - 1); /* one that has such a place wherever it lies */
    if (number != NOWHERE)
        return number;
    for (unsigned list = knoll_pages_list(length); list <= LAST_LIST; list++) {
        number = heap->list[list];
        for (unsigned i = 0; i < PROBES && number != NOWHERE; i++) {
            const struct knoll_entry *entry = entry_of(heap, number);
            if (entry_length(entry) >= units_to_aligned(heap, number, alignment) + length)
                return number;
            number = entry->next;
        }
    }
    return NOWHERE;
}

uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    uint32_t number = alignment == 1 ? find(heap, length) : find_aligned(heap, length, alignment);
    return number == NOWHERE ? NOWHERE : cut(heap, number, units_to_aligned(heap, number, alignment), length);
}

uint32_t knoll_pages_take_most(struct knoll_heap *heap, uint32_t least, uint32_t *length)
{
    uint32_t number = find(heap, *length);
    if (number == NOWHERE) {
        if (heap->lists_filled == 0)
            return NOWHERE;
        number = heap->list[bits_highest(heap->lists_filled)];
        uint32_t longest = entry_length(entry_of(heap, number));
        if (longest < least)
            return NOWHERE;
        if (longest < *length)
            *length = longest;
    }
    return cut(heap, number, 0, *length);
}

void knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = index + length;
    entry_set(region_entry(region, index), RUN_NONE, NOWHERE);
    if (after < region->own.count && entry_kind(region_entry(region, after)) == RUN_FREE)
        length += pull(heap, region, after);
    const struct knoll_entry *before = region_entry(region, index - 1); /* entry 0 at worst, and that is NONE */
    if (entry_kind(before) == RUN_FREE) {
        index -= entry_length(before);
        length += pull(heap, region, index);
    }
    push(heap, region, index, length);
}

bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t after = (number & INDEX_MASK) + length;
    if (wanted < length)
        knoll_pages_give(heap, number + wanted, length - wanted);
    if (wanted <= length)
        return true;

    uint32_t more = wanted - length;
    if (after >= region->own.count || entry_kind(region_entry(region, after)) != RUN_FREE ||
        entry_length(region_entry(region, after)) < more)
        return false;
    cut(heap, number + length, 0, more);
    return true;
}

uint32_t knoll_pages_longest(const struct knoll_heap *heap)
{
    uint32_t longest = 0;
    uint32_t number = heap->lists_filled == 0 ? NOWHERE : heap->list[bits_highest(heap->lists_filled)];
    for (unsigned i = 0; i < PROBES && number != NOWHERE; i++) {
        const struct knoll_entry *entry = entry_of(heap, number);
        if (entry_length(entry) > longest)
            longest = entry_length(entry);
        number = entry->next;
    }
    return longest;
}

uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = index + length;
    const struct knoll_entry *before = region_entry(region, index - 1);
    if (after < region->own.count && entry_kind(region_entry(region, after)) == RUN_FREE)
        length += entry_length(region_entry(region, after));
    return entry_kind(before) == RUN_FREE ? length + entry_length(before) : length;
}

bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length)
{
    (void)region;
    (void)index;
    return length != 0 && next_length != 0;
}

bool knoll_pages_placed_well(struct knoll_region *region, uint32_t index, uint32_t length)
{
    const struct knoll_entry *last = region_entry(region, index + length - 1);
    return entry_kind(last) == RUN_FREE && entry_length(last) == length;
}

#endif
