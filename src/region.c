/* Regions: limits, tables, and the search from an address to its region.
 *
 * Regions are searched by address through a sorted table of their numbers; numbers are given in order of addition and
 * never change, because links in the page map are made of them.
 *
 * SPDX-License-Identifier: MIT */
#include "region.h"

_Static_assert(KNOLL_PAGE % (1 << KNOLL_UNIT_SHIFT) == 0, "a page must be whole units");
_Static_assert(sizeof(struct knoll_region) <= ENTRIES_AT, "the header must have room");

/*@ logic struct knoll_region *region_at{L}(struct knoll_heap *heap, integer i) =
        heap->region[heap->by_address[i]];
    logic integer region_end_at{L}(struct knoll_heap *heap, integer i) =
        (uintptr_t)region_at(heap, i) + region_at(heap, i)->count * UNIT;
    predicate at_holds{L}(struct knoll_heap *heap, integer i, void *address) =
        (uintptr_t)region_at(heap, i) <= (uintptr_t)address < region_end_at(heap, i);
    predicate regions_are_sorted{L}(struct knoll_heap *heap) =
        \valid_read(heap) && heap->region_count <= KNOLL_REGIONS_MAX &&
        (\forall integer i; 0 <= i < heap->region_count ==>
            heap->by_address[i] < KNOLL_REGIONS_MAX && \valid_read(region_at(heap, i)) &&
            is_address((uintptr_t)region_at(heap, i)) && region_end_at(heap, i) <= UINTPTR_MAX + 1) &&
        (\forall integer i, j; 0 <= i < j < heap->region_count ==>
            region_end_at(heap, i) <= (uintptr_t)region_at(heap, j)); */

size_t knoll_region_lists_at(size_t units)
{
    return ENTRIES_AT + units * CELLS_PER_UNIT * sizeof(uint32_t);
}

size_t knoll_region_table_units(size_t units)
{
    size_t bytes = knoll_region_lists_at(units) + lists_in_region(units) * sizeof(uint32_t) + KNOLL_TABLE_SLACK;
    return (bytes + UNIT - 1) >> KNOLL_UNIT_SHIFT;
}

/*@ requires \valid_read(region) && is_address((uintptr_t)region);
    requires (uintptr_t)region + region->count * UNIT <= UINTPTR_MAX;
    assigns \nothing;
    ensures \result == (uintptr_t)region + region->count * UNIT; */
static uintptr_t region_end(const struct knoll_region *region)
{
    return (uintptr_t)region + ((uintptr_t)region->count << KNOLL_UNIT_SHIFT);
}

/*@ requires start + size <= UINTPTR_MAX + 1 && other_start + other_size <= UINTPTR_MAX + 1;
    requires size > 0 && other_size > 0;
    assigns \nothing;
    ensures \result <==> start < other_start + other_size && other_start < start + size; */
static bool overlaps(uintptr_t start, size_t size, uintptr_t other_start, size_t other_size)
{
    return start < other_start ? other_start - start < size : start - other_start < other_size;
}

int knoll_region_limits(const struct knoll_heap *heap, const void *start, size_t size, size_t least)
{
    if (heap == NULL || start == NULL)
        return KNOLL_ERROR_NULL;
    if ((uintptr_t)start % KNOLL_PAGE != 0)
        return KNOLL_ERROR_ALIGNMENT;
    size_t units = size >> KNOLL_UNIT_SHIFT;
    if (size < least || knoll_region_table_units(units) >= units)
        return KNOLL_ERROR_TOO_SMALL;
    if (size % KNOLL_PAGE != 0)
        return KNOLL_ERROR_NOT_PAGES;
    if (size - 1 > UINTPTR_MAX - (uintptr_t)start || units > INDEX_MASK)
        return KNOLL_ERROR_TOO_LARGE;
    return overlaps((uintptr_t)start, size, (uintptr_t)heap, sizeof *heap) ? KNOLL_ERROR_OVERLAP : KNOLL_OK;
}

int knoll_region_room(const struct knoll_heap *heap, const void *start, size_t size)
{
    for (uint32_t i = 0; i < heap->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        const struct knoll_region *region = heap->region[i];
        if (overlaps((uintptr_t)start, size, (uintptr_t)region, region_end(region) - (uintptr_t)region))
            return KNOLL_ERROR_OVERLAP;
    }
    return heap->region_count < KNOLL_REGIONS_MAX ? KNOLL_OK : KNOLL_ERROR_REGIONS;
}

struct knoll_region *knoll_region_make(struct knoll_heap *heap, void *start, size_t size)
{
    uint32_t units = (uint32_t)(size >> KNOLL_UNIT_SHIFT);
    size_t taken = knoll_region_table_units(units);
    uint32_t number = heap->region_count++;
    struct knoll_region *region = start;
    if (!KNOLL_MEMORY_IS_ZERO)
        __builtin_memset(start, 0, taken << KNOLL_UNIT_SHIFT);
    region->count = units;
    region->first = (uint32_t)taken;
    region->number = number;

    uint32_t place = number;
    /* not covered: the second holds always; it tells the compiler the bound, which is KNOLL_REGIONS_MAX - 1 rounds */
    for (; place > 0 && place < KNOLL_REGIONS_MAX; place--) {
        if ((uintptr_t)heap->region[heap->by_address[place - 1]] < (uintptr_t)start)
            break;
        heap->by_address[place] = heap->by_address[place - 1];
    }
    heap->by_address[place] = (uint8_t)number;
    heap->region[number] = region;
    heap->total += (units - taken) << KNOLL_UNIT_SHIFT;
    return region;
}

/*@ requires regions_are_sorted(heap) && is_address((uintptr_t)address);
    assigns \nothing;
    ensures \result != \null ==>
        \exists integer i; 0 <= i < heap->region_count && \result == region_at(heap, i) && at_holds(heap, i, address);
    ensures \result == \null ==> \forall integer i; 0 <= i < heap->region_count ==> !at_holds(heap, i, address); */
struct knoll_region *knoll_region_search(const struct knoll_heap *heap, const void *address)
{
    uint32_t low = 0;
    uint32_t high = heap->region_count;
    /*@ loop invariant 0 <= low <= high <= heap->region_count;
        loop invariant \forall integer i; 0 <= i < low ==> region_end_at(heap, i) <= (uintptr_t)address;
        loop invariant \forall integer i; high <= i < heap->region_count ==>
            (uintptr_t)address < (uintptr_t)region_at(heap, i);
        loop assigns low, high;
        loop variant high - low; */
    while (low < high) { /* the interval halves: at most KNOLL_REGION_BITS + 1 rounds */
        uint32_t middle = (low + high) / 2;
        struct knoll_region *region = heap->region[heap->by_address[middle]];
        if (region_holds(region, address))
            return region;
        if ((uintptr_t)address < (uintptr_t)region)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
