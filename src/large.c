/* Large blocks: a run each, with the alignment that was asked for in its first cell and its length in the second.
 *
 * Invariant: large_blocks counts the LARGE runs of the heap.
 *
 * SPDX-License-Identifier: MIT */
#include "large.h"
#include "pages.h"
#include "slab.h"

/* How many units hold this size, at least one; the size is less than SIZE_MAX - UNIT. */
/*@ requires size < SIZE_MAX - UNIT;
    assigns \nothing;
    ensures \result >= 1 && \result * UNIT >= size;
    ensures \result > 1 ==> (\result - 1) * UNIT < size; */
static size_t units_for(size_t size)
{
    return (size + UNIT - (size != 0)) >> KNOLL_UNIT_SHIFT;
}

size_t knoll_large_length(size_t alignment, size_t size)
{
    /* The greatest power of two in classic; in compact all but the tables, of four bytes for each unit of 512. */
    if (size > (KNOLL_PROFILE == KNOLL_CLASSIC ? SIZE_MAX / 2 + 1 : SIZE_MAX - SIZE_MAX / 128))
        return 0;
    return knoll_pages_round(units_for(size), alignment <= UNIT ? 1 : alignment >> KNOLL_UNIT_SHIFT);
}

/* Takes a run for this many units, aligned to so many; `notes` is what its first cell says besides that it is one. */
static inline void *take_large(struct knoll_heap *heap, size_t units, size_t alignment, uint32_t notes, size_t *usable)
{
    uint32_t length = (uint32_t)knoll_pages_round(units, alignment);
    uint32_t number = knoll_pages_take(heap, length, (uint32_t)alignment);
    if (number == NOWHERE && (notes & RUN_LOOSE) == 0)
        number = knoll_slab_take_back(heap, length, (uint32_t)alignment);
    if (number == NOWHERE)
        return NULL;
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *run = region_entry(region, index);
    *run = cell_of(RUN_LARGE, 0) | notes;
    run[CELL_LARGE_LENGTH] = length;
    *usable = (size_t)length << KNOLL_UNIT_SHIFT;
    heap->large_blocks++;
    return region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
}

void *knoll_large_take(struct knoll_heap *heap, size_t size, size_t *usable)
{
    return size > heap->total ? NULL : take_large(heap, units_for(size), 1, 0, usable);
}

void *knoll_large_take_aligned(struct knoll_heap *heap, size_t alignment, size_t size, bool is_loose, size_t *usable)
{
    if (size > heap->total || alignment > heap->total)
        return NULL;
    size_t units = alignment <= UNIT ? 1 : alignment >> KNOLL_UNIT_SHIFT;
    return take_large(heap, units_for(size), units, bits_highest(alignment) | (is_loose ? RUN_LOOSE : 0), usable);
}

size_t knoll_large_give(struct knoll_heap *heap, uint32_t number)
{
    uint32_t *run = entry_of(heap, number);
    uint32_t length = large_length(run);
    heap->large_blocks--;
    (void)knoll_pages_give(heap, number, length);
    *run |= RUN_WAS_BLOCK;
    return (size_t)length << KNOLL_UNIT_SHIFT;
}

bool knoll_large_resize(struct knoll_heap *heap, uint32_t number, uint32_t wanted)
{
    uint32_t *run = entry_of(heap, number);
    uint32_t length = large_length(run);
    if (!knoll_pages_resize(heap, number, length, wanted))
        return false;
    run[CELL_LARGE_LENGTH] = wanted;
    heap->region[0]->resizes++;
    return true;
}
