/* The page layer of the compact profile: free runs of any length from two units on, found by good fit.
 *
 * Free runs are kept in lists by length: one list for each of 1 to 4 units, then four for each doubling, the last but
 * one for all that is longer; lists_filled has a bit for each, so the lowest list all of whose runs suffice is found in
 * one count of zeros (Masmano, Ripoll, Crespo, Real: TLSF, 2004, but with the tables outside of the memory). The first
 * PROBES runs of the list in which a run of just this length would be are looked at before that, because they fit
 * better, and so that a request for the longest run is served.
 *
 * The runs that touch the end of their region have the last list for themselves, and are cut only if no other
 * suffices. So what lies beyond the last unit that a history of calls needs never changes where blocks go: a larger
 * region serves whatever a smaller one did.
 *
 * A run is cut from the low end. No run is one unit long, because its links take two cells: a run that is one unit
 * longer than a request does not fit it. Neighbours merge at once: the first cell after a run says whether a free run
 * starts there, the one before whether one ends there and how long it is.
 *
 * Invariants:
 *   1. A free run's first cell is FREE. If it is two units long, its last cell is PAIR, and otherwise its last cell is
 *      END and has its length, as the third has. Only the first two cells have links.
 *   2. No two free runs lie side by side. Hence with nothing held each region is one run.
 *   3. A free run is in the list that its place and length belong to.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll_config.h"

#if KNOLL_PROFILE == KNOLL_COMPACT

#include "free_lists.h"
#include "pages.h"

/* Each probe costs time and saves memory: a load of 8 bytes to 16 KiB needs a region 1.22 times its bytes with
 * one, 1.18 with two, 1.16 with four, 1.15 with eight, and no less with more. */
#define PROBES 8

#define END_LIST  (KNOLL_LIST_COUNT - 1u) /* at most one run a region */
#define LAST_LIST (KNOLL_LIST_COUNT - 2u)

static unsigned list_of_length(uint32_t length)
{
    if (length < 4)
        return length - 1;
    unsigned doubling = bits_highest32(length) - 2;
    unsigned list = 4 * doubling + (length >> doubling & 3) + 3;
    return list < LAST_LIST ? list : LAST_LIST;
}

unsigned knoll_pages_list(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    return index + length == region->count ? END_LIST : list_of_length(length);
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
    uint32_t *entry = region_entry(region, index);
    entry[CELL_NEXT] = cell_of(RUN_FREE, NOWHERE);
    entry[CELL_FREE_PREV] = length == RUN_SHORTEST ? RUN_PAIR : NOWHERE;
    if (length != RUN_SHORTEST) {
        entry[CELL_LENGTH] = length;
        entry[length - 1] = cell_of(RUN_END, length);
    }
    free_list_push(heap, knoll_pages_list(region, index, length), entry, region_unit_number(region, index), length);
}

/* Takes the free run that starts at `index` out of its list and makes its cells NONE. */
static uint32_t pull(struct knoll_heap *heap, struct knoll_region *region, uint32_t index)
{
    uint32_t *entry = region_entry(region, index);
    uint32_t length = free_run_length(entry);
    free_list_remove(heap, region, index, entry, length);
    entry[CELL_NEXT] &= RUN_WAS_BLOCK;
    entry[length - 1] = cell_of(RUN_NONE, NOWHERE);
    return length;
}

size_t knoll_pages_round(size_t units, size_t alignment)
{
    (void)alignment;
    return units < RUN_SHORTEST ? RUN_SHORTEST : units;
}

void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region)
{
    push(heap, region, region->first, region->count - region->first);
}

/* What a search has found: a run that can be cut to the length asked for; or, to be taken if there is none, one that is
 * a unit longer. */
struct search {
    uint32_t length, alignment; /* asked for, in units */
    uint32_t longer;            /* a run of length + 1 units, for an alignment of 1 */
};

/* The first unit of the run at `number` that is aligned to so many units, such that what is before it is no single
 * unit: how many units into the run that is. */
static uint32_t units_to_aligned(const struct knoll_heap *heap, uint32_t number, uint32_t alignment)
{
    uint32_t before = (uint32_t)(-((uintptr_t)unit_address(heap, number) >> KNOLL_UNIT_SHIFT) & (alignment - 1));
    return before == 0 || before >= RUN_SHORTEST ? before : before + alignment;
}

/* The first free run in this list that can be cut to what is searched, among the first `probes`. */
static uint32_t probe(const struct knoll_heap *heap, unsigned list, unsigned probes, struct search *search)
{
    uint32_t number = heap->list[list];
    for (; probes > 0 && number != NOWHERE; probes--) {
        const uint32_t *entry = entry_of(heap, number);
        uint32_t needed = search->length;
        if (search->alignment > 1)
            needed += units_to_aligned(heap, number, search->alignment);
        uint32_t from = free_run_length(entry);
        if (from == needed || (from > needed && from - needed >= RUN_SHORTEST))
            return number;
        if (from > needed)
            search->longer = number;
        number = link_of(entry[CELL_NEXT], 0);
    }
    return NOWHERE;
}

/* A free run for this search, or a longer one. From the list of `enough` units on, every run will do. */
static uint32_t find(const struct knoll_heap *heap, struct search *search, uint32_t enough)
{
    unsigned list = list_of_length(search->length);
    uint32_t number = probe(heap, list, PROBES, search);
    if (number != NOWHERE)
        return number;
    unsigned all_fit = list_of_fitting(enough);
    uint64_t fitting = all_fit > LAST_LIST ? 0 : heap->lists_filled & bits_low(END_LIST) & ~bits_low(all_fit);
    if (fitting != 0)
        return heap->list[bits_lowest(fitting)];
    for (list++; list < all_fit && list <= LAST_LIST; list++) { /* at most 2 rounds, and for an alignment all lists */
        number = probe(heap, list, PROBES, search);
        if (number != NOWHERE)
            return number;
    }
    return probe(heap, END_LIST, KNOLL_REGIONS_MAX, search);
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

uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t *length, uint32_t alignment)
{
    struct search search = {*length, alignment, NOWHERE};
    if (alignment > 1) {
        uint32_t number = find(heap, &search, *length + alignment + RUN_SHORTEST + 1);
        return number == NOWHERE ? NOWHERE : cut(heap, number, units_to_aligned(heap, number, alignment), *length);
    }
    uint32_t number = find(heap, &search, *length + RUN_SHORTEST);
    if (number == NOWHERE && search.longer != NOWHERE) {
        number = search.longer;
        ++*length;
    }
    return number == NOWHERE ? NOWHERE : cut(heap, number, 0, *length);
}

/* The longest free run of the regions' ends, or NOWHERE. */
static uint32_t longest_end(const struct knoll_heap *heap, uint32_t *longest)
{
    uint32_t found = NOWHERE;
    *longest = 0;
    for (uint32_t number = heap->list[END_LIST]; number != NOWHERE;) { /* at most KNOLL_REGIONS_MAX rounds */
        const uint32_t *entry = entry_of(heap, number);
        if (free_run_length(entry) > *longest) {
            *longest = free_run_length(entry);
            found = number;
        }
        number = link_of(entry[CELL_NEXT], 0);
    }
    return found;
}

uint32_t knoll_pages_take_most(struct knoll_heap *heap, uint32_t *length)
{
    return knoll_pages_take(heap, length, *length);
}

/* The length of the free run that ends before this unit, or 0. The tables' last unit is of no kind. */
static uint32_t ending_length(const struct knoll_region *region, uint32_t index)
{
    uint32_t cell = *region_entry(region, index - 1);
    if (cell_kind(cell) != RUN_END)
        return 0;
    return (cell & CELL_FLAG) != 0 ? RUN_SHORTEST : cell & NUMBER_MASK;
}

void knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = index + length;
    *region_entry(region, index) = cell_of(RUN_NONE, NOWHERE);
    if (after < region->count && cell_kind(*region_entry(region, after)) == RUN_FREE)
        length += pull(heap, region, after);
    uint32_t before = ending_length(region, index);
    if (before != 0) {
        index -= before;
        length += pull(heap, region, index);
    }
    push(heap, region, index, length);
}

bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t after = (number & INDEX_MASK) + length;
    bool is_free = after < region->count && cell_kind(*region_entry(region, after)) == RUN_FREE;
    if (wanted < length) {
        if (length - wanted < RUN_SHORTEST && !is_free)
            return false;
        knoll_pages_give(heap, number + wanted, length - wanted);
    }
    if (wanted <= length)
        return true;

    uint32_t more = wanted - length;
    uint32_t from = is_free ? free_run_length(region_entry(region, after)) : 0;
    if (from < more || from - more == 1)
        return false;
    cut(heap, number + length, 0, more);
    return true;
}

uint32_t knoll_pages_longest(const struct knoll_heap *heap)
{
    uint32_t longest;
    longest_end(heap, &longest);
    uint64_t lists = heap->lists_filled & bits_low(END_LIST);
    uint32_t number = lists == 0 ? NOWHERE : heap->list[bits_highest(lists)];
    for (unsigned i = 0; i < PROBES && number != NOWHERE; i++) {
        const uint32_t *entry = entry_of(heap, number);
        uint32_t length = free_run_length(entry);
        longest = length > longest ? length : longest;
        number = link_of(entry[CELL_NEXT], 0);
    }
    return longest;
}

uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length)
{
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t after = index + length;
    uint32_t before = ending_length(region, index);
    if (after < region->count && cell_kind(*region_entry(region, after)) == RUN_FREE)
        length += free_run_length(region_entry(region, after));
    return length + before;
}

bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length)
{
    (void)region;
    (void)index;
    return length != 0 && next_length != 0;
}

bool knoll_pages_placed_well(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    const uint32_t *entry = region_entry(region, index);
    return length >= RUN_SHORTEST &&
           (length == RUN_SHORTEST ? cell_kind(entry[1]) == RUN_END : entry[length - 1] == cell_of(RUN_END, length));
}

#endif
