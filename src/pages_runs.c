/* The page layer of the compact profile: free runs of any length, found by good fit.
 *
 * Free runs are kept in lists by length (lengths.h), and bits say which lists are not empty, so the lowest list that
 * may have a run for a request is found in two counts of zeros. Its first run is looked at: only if the list is the one
 * of the request's own length, and covers several lengths, can it be too short; then the next list that is not empty
 * has one that suffices. Nothing is searched further, so what a list's other runs might have saved is lost: at most a
 * sixteenth of the request, and what that costs a load of mixed sizes is less than could be measured. For an aligned
 * request, slabs' among them, the first run of ALIGNED_TRIALS lists is looked at, and if none has room at an aligned
 * place then those that are so long that any has: no search grows with the number of lists.
 *
 * The last list is for all runs that are longer than half of the longest region. Each region has one of those at most,
 * so there, and only there, all are looked through.
 *
 * The runs that touch the end of their region have a list for themselves, and are cut only if no other suffices. So
 * what lies beyond the last unit that a history of calls needs never changes where blocks go: a larger region serves
 * whatever a smaller one did.
 *
 * A run is cut from the low end. Neighbours merge at once: the first cell after a run says whether a free run starts
 * there, the one before whether one ends there and how long it is. A single free unit has no room for links: it is in
 * no list, and waits to be merged.
 *
 * Invariants:
 *   1. A free run's first cell is FREE and its last is END, or the only one FREE. Both say the length if it is less
 * than four; otherwise the last cell and the third have it. Only the first two cells have links.
 *   2. No two free runs lie side by side. Hence with nothing held each region is one run.
 *   3. A free run of two units or more is in the list that its place and length belong to.
 *   4. The lists are in the tables of the region with the most units, or in the heap if those have no room for them.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_PROFILE == KNOLL_COMPACT

#include "chance.h"
#include "failure.h"
#include "free_lists.h"
#include "pages.h"

#define RANDOM_PLACES 16u /* where there is chance, so many places in a free run are possible */

#define NO_LIST 0u /* which has the ends: they are looked at by themselves */

/* Counts the free run whose edges are marked, and puts it into its list. */
static void enlist(struct knoll_heap *heap, const struct knoll_region *region, uint32_t index, uint32_t length)
{
    count_free_run(heap, length, 1);
    if (length >= RUN_SHORTEST)
        free_list_link(heap, list_of_run(heap, region, index, length), region_entry(region, index),
                       region_unit_number(region, index));
}

/* The reverse; its cells still say what it was. */
static void delist(struct knoll_heap *heap, const struct knoll_region *region, uint32_t index, uint32_t length)
{
    count_free_run(heap, length, (uint32_t)-1);
    if (length >= RUN_SHORTEST)
        free_list_unlink(heap, list_of_run(heap, region, index, length), region_entry(region, index));
}

/* The region with the most units of the first `count`, and of those the first; NULL if there is none. */
static struct knoll_region *longest_region(const struct knoll_heap *heap, uint32_t count)
{
    struct knoll_region *longest = NULL;
    for (uint32_t i = 0; i < count; i++) /* at most KNOLL_REGIONS_MAX rounds */
        if (longest == NULL || heap->region[i]->count > longest->count)
            longest = heap->region[i];
    return longest;
}

/* Where the lists are in a region that has room for them. */
static uint32_t *lists_in(const struct knoll_region *region)
{
    return (uint32_t *)((uintptr_t)region + knoll_region_lists_at(region->count));
}

/* Moves the lists to where there is room for more. What was in the last one may belong in others now. */
static void move_lists(struct knoll_heap *heap, uint32_t *to, size_t count)
{
    unsigned last = heap->last_list;
    uint32_t number = heap->list[last];
    __builtin_memcpy(to, heap->list, last * sizeof *to);
    heap->list = to;
    heap->last_list = (uint16_t)(count - 1);
    list_set_empty_if(heap, last, true);
    while (number != NOWHERE) { /* at most KNOLL_REGIONS_MAX rounds: of each region only one run is so long */
        const struct knoll_region *region = region_of_number(heap, number);
        uint32_t *entry = entry_of(heap, number);
        uint32_t next = link_of(entry[CELL_FREE_NEXT], 0);
        set_link(&entry[CELL_PREV], NOWHERE, 0);
        free_list_link(heap, list_of_run(heap, region, number & INDEX_MASK, free_run_length(entry)), entry, number);
        number = next;
    }
}

void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region)
{
    if (heap->list == NULL) {
        heap->list = heap->few_lists;
        heap->last_list = KNOLL_FEW_LISTS - 1;
    }
    size_t lists = lists_in_region(region->count);
    if (lists != 0 && longest_region(heap, region->number + 1) == region)
        move_lists(heap, lists_in(region), lists);
    uint32_t length = region->count - region->first;
    if (length == 0)
        return;
    mark_free(region_entry(region, region->first), length);
    enlist(heap, region, region->first, length);
}

/* The lowest list from this one on that is not empty, or NO_LIST. */
static unsigned lowest_filled(const struct knoll_heap *heap, unsigned list)
{
    unsigned group = list >> 5;
    uint32_t filled = heap->filled[group] >> (list & 31);
    if (filled != 0)
        return list + bits_lowest32(filled);
    uint32_t groups = heap->groups_filled & ~1u << group;
    if (groups == 0)
        return NO_LIST;
    group = bits_lowest32(groups);
    return group * 32 + bits_lowest32(heap->filled[group]);
}

/* How many units before the first unit of this run that is aligned to so many. */
static uint32_t units_to_aligned(const struct knoll_heap *heap, uint32_t number, uint32_t alignment)
{
    return (uint32_t)(-((uintptr_t)unit_address(heap, number) >> KNOLL_UNIT_SHIFT) & (alignment - 1));
}

/* Takes `length` units out of this free run, which is in no list any more, `before` units from its low end; what is
 * left on both sides stays free. */
static uint32_t cut_out(struct knoll_heap *heap, uint32_t number, uint32_t before, uint32_t length)
{
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *entry = region_entry(region, index);
    uint32_t after = free_run_length(entry) - before - length;
    split_free(entry, before, length, after);
    if (before != 0)
        enlist(heap, region, index, before);
    if (after != 0)
        enlist(heap, region, index + before + length, after);
    return number + before;
}

/* The same of a run that is in whatever list it belongs to. */
static uint32_t cut(struct knoll_heap *heap, uint32_t number, uint32_t before, uint32_t length)
{
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    delist(heap, region, index, free_run_length(region_entry(region, index)));
    return cut_out(heap, number, before, length);
}

/* Where to cut an aligned run out of this free one, which has a place `before` units from its low end: there, or where
 * there is chance after as many alignments more as that says. */
static uint32_t place_in(const struct knoll_heap *heap, uint32_t number, uint32_t before, uint32_t length,
                         uint32_t alignment)
{
    uint32_t places = (free_run_length(entry_of(heap, number)) - before - length) / alignment + 1;
    return before + alignment * chance_below(places < RANDOM_PLACES ? places : RANDOM_PLACES);
}

/* Takes an aligned run out of the first run of this list, which has a place there. */
static uint32_t cut_first(struct knoll_heap *heap, unsigned list, uint32_t before, uint32_t length, uint32_t alignment)
{
    uint32_t number = heap->list[list];
    const uint32_t *entry = entry_of(heap, number);
    uint32_t place = place_in(heap, number, before, length, alignment);
    count_free_run(heap, free_run_length(entry), (uint32_t)-1);
    free_list_pop(heap, list, entry);
    return cut_out(heap, number, place, length);
}

/* The same without an alignment or chance, and so from its low end: the list's first run suffices. */
static inline uint32_t cut_low(struct knoll_heap *heap, unsigned list, uint32_t length)
{
    uint32_t number = heap->list[list];
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *entry = region_entry(region, index);
    uint32_t whole = free_run_length(entry);
    count_free_run(heap, whole, (uint32_t)-1);
    free_list_pop(heap, list, entry);
    split_free(entry, 0, length, whole - length);
    if (whole != length)
        enlist(heap, region, index + length, whole - length);
    return number;
}

/* The first run of this list, or NOWHERE: also in a heap without memory, which has no lists. */
static uint32_t first_of(const struct knoll_heap *heap, unsigned list)
{
    return list_is_filled(heap, list) ? heap->list[list] : NOWHERE;
}

/* Takes a run from this list, all of which is looked through. */
static uint32_t take_of_list(struct knoll_heap *heap, unsigned list, uint32_t length, uint32_t alignment)
{
    uint32_t number = first_of(heap, list);
    while (number != NOWHERE) { /* at most KNOLL_REGIONS_MAX rounds */
        const uint32_t *entry = entry_of(heap, number);
        uint32_t before = units_to_aligned(heap, number, alignment);
        uint32_t whole = free_run_length(entry);
        if (whole >= before + length) {
            count_free_run(heap, whole, (uint32_t)-1);
            free_list_unlink(heap, list, entry);
            return cut_out(heap, number, place_in(heap, number, before, length, alignment), length);
        }
        number = link_of(entry[CELL_FREE_NEXT], 0);
    }
    return NOWHERE;
}

/* Takes a run from the two lists that have at most one of each region: the last one and that of the ends. */
static uint32_t take_rare(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    uint32_t number = take_of_list(heap, heap->last_list, length, alignment);
    return number != NOWHERE ? number : take_of_list(heap, LIST_OF_ENDS, length, alignment);
}

/* The first run of each of ALIGNED_TRIALS lists may have an aligned place; those of the lists that suffice have. */
static __attribute__((noinline)) uint32_t take_aligned(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    unsigned list = list_of_shortest(heap, length);
    unsigned sufficing = list_sufficing(length + alignment - 1);
    sufficing = sufficing < heap->last_list ? sufficing : heap->last_list;
    for (unsigned i = 0; i < ALIGNED_TRIALS && list < sufficing; i++) {
        list = lowest_filled(heap, list); /* at most ALIGNED_TRIALS rounds */
        if (list == NO_LIST)
            return take_rare(heap, length, alignment);
        uint32_t number = heap->list[list];
        uint32_t before = units_to_aligned(heap, number, alignment);
        if (free_run_length(entry_of(heap, number)) >= before + length)
            return cut_first(heap, list, before, length, alignment);
        list++;
    }
    list = list < sufficing ? sufficing : list;
    list = list < heap->last_list ? lowest_filled(heap, list) : NO_LIST;
    if (list == NO_LIST)
        return take_rare(heap, length, alignment);
    return cut_first(heap, list, units_to_aligned(heap, heap->list[list], alignment), length, alignment);
}

uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    if (must_fail(heap))
        return NOWHERE; /* not covered: tests/failing.c refuses, in a core of its own */
    if (alignment > 1)
        return take_aligned(heap, length, alignment);
    unsigned list = lowest_filled(heap, list_of_shortest(heap, length));
    if (list != NO_LIST && free_run_length(entry_of(heap, heap->list[list])) < length)
        list = list < heap->last_list ? lowest_filled(heap, list + 1) : NO_LIST;
    if (list == NO_LIST)
        return take_rare(heap, length, 1);
    return HAS_CHANCE ? cut_first(heap, list, 0, length, 1) : cut_low(heap, list, length);
}

/* The length of the free run that ends before this unit, or 0. The tables' last unit is of no kind. */
static uint32_t ending_length(const struct knoll_region *region, uint32_t index)
{
    return length_before(*region_entry(region, index - 1));
}

/* The length of the free run that starts at this unit, or 0. */
static uint32_t starting_length(const struct knoll_region *region, uint32_t index)
{
    if (index >= region->count || cell_kind(*region_entry(region, index)) != RUN_FREE)
        return 0;
    return free_run_length(region_entry(region, index));
}

uint32_t knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = starting_length(region, index + length);
    uint32_t before = ending_length(region, index);
    if (after != 0)
        delist(heap, region, index + length, after);
    if (before != 0)
        delist(heap, region, index - before, before);
    join_free(region_entry(region, index - before), before, length, after);
    enlist(heap, region, index - before, before + length + after);
    return number - before;
}

uint32_t knoll_pages_take_from(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t alignment)
{
    uint32_t before = units_to_aligned(heap, number, alignment);
    if (must_fail(heap) || free_run_length(entry_of(heap, number)) < before + length)
        return NOWHERE;
    return cut(heap, number, place_in(heap, number, before, length, alignment), length);
}

uint32_t knoll_pages_take_whole(struct knoll_heap *heap, uint32_t number)
{
    uint32_t length = free_run_length(entry_of(heap, number));
    (void)cut(heap, number, 0, length);
    return length;
}

bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted)
{
    if (wanted < length)
        (void)knoll_pages_give(heap, number + wanted, length - wanted);
    if (wanted <= length)
        return true;
    struct knoll_region *region = region_of_number(heap, number);
    if (must_fail(heap) || starting_length(region, (number & INDEX_MASK) + length) < wanted - length)
        return false;
    (void)cut(heap, number + length, 0, wanted - length);
    return true;
}

uint32_t knoll_pages_free_behind(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    return starting_length(region_of_number(heap, number), (number & INDEX_MASK) + length);
}

static uint32_t longest_of(const struct knoll_heap *heap, unsigned list)
{
    uint32_t longest = 0;
    for (uint32_t number = first_of(heap, list); number != NOWHERE;) { /* at most KNOLL_REGIONS_MAX rounds */
        const uint32_t *entry = entry_of(heap, number);
        longest = free_run_length(entry) > longest ? free_run_length(entry) : longest;
        number = link_of(entry[CELL_FREE_NEXT], 0);
    }
    return longest;
}

/* not covered: no region has a rest that is in no list */
uint32_t knoll_pages_part(const struct knoll_region *region, uint32_t index)
{
    return region->count - index;
}

uint32_t knoll_pages_longest(const struct knoll_heap *heap)
{
    uint32_t ends = longest_of(heap, LIST_OF_ENDS);
    uint32_t longest = longest_of(heap, heap->last_list);
    if (longest == 0 && ((heap->groups_filled & ~1u) != 0 || (heap->filled[0] & ~1u) != 0)) {
        unsigned group = bits_highest32(heap->groups_filled);
        unsigned list = group * 32 + bits_highest32(heap->filled[group]);
        longest = free_run_length(entry_of(heap, heap->list[list]));
    }
    return longest > ends ? longest : ends;
}

uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    return ending_length(region, index) + length + starting_length(region, index + length);
}

bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length)
{
    (void)region;
    (void)index;
    (void)next_length;
    return length != 0;
}

bool knoll_pages_lists_placed_well(const struct knoll_heap *heap)
{
    const struct knoll_region *region = longest_region(heap, heap->region_count);
    if (region == NULL)
        return heap->list == NULL;
    size_t lists = lists_in_region(region->count);
    return lists == 0 ? heap->list == heap->few_lists && heap->last_list == KNOLL_FEW_LISTS - 1
                      : heap->list == lists_in(region) && heap->last_list == lists - 1;
}

bool knoll_pages_placed_well(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    uint32_t last = *region_entry(region, index + length - 1);
    if (length == 1)
        return (last & ~RUN_WAS_BLOCK) == (cell_of(RUN_FREE, 0) | 1u << SHORT_SHIFT);
    if (length == 2)
        return (last & ~NUMBER_MASK) == (cell_of(RUN_END, 0) | 2u << SHORT_SHIFT);
    if (length == 3)
        return last == (cell_of(RUN_END, 0) | 3u << SHORT_SHIFT);
    return last == cell_of(RUN_END, length);
}

#endif
