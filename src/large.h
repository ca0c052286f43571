/* Large blocks: each is a run of its own.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LARGE_H
#define KNOLL_LARGE_H

#include "pages.h"
#include "slab.h"

/* The length in units of the run that serves this request, 0 if its bytes would not fit a size_t. Alignment is a
 * power of two. */
size_t knoll_large_length(size_t alignment, size_t size);

/* Takes a run for a block with an alignment, which is a power of two. `is_loose` says that the request is one that a
 * slab should have served; then there is no slab in hand any more, or it would have been given back to grow. NULL if
 * memory does not suffice. *usable gets the block's bytes. */
void *knoll_large_take_aligned(struct knoll_heap *heap, size_t alignment, size_t size, bool is_loose, size_t *usable);

/* Makes the block's run `wanted` units long where it lies, if it can. */
bool knoll_large_resize(struct knoll_heap *heap, uint32_t number, uint32_t wanted);

/* Whether a large block starts at this address, which lies in this unit and in no slab, or nowhere and the unit is 0.
 */
static inline bool large_starts_in(const struct knoll_region *region, uint32_t unit, const void *address)
{
    return cell_kind(*region_entry(region, unit)) == RUN_LARGE && (region_offset(region, address) & (UNIT - 1)) == 0;
}

/* Whether a large block starts at this address of the region, which is in no slab. */
static inline bool large_starts(const struct knoll_region *region, const void *address)
{
    return large_starts_in(region, (uint32_t)(region_offset(region, address) >> KNOLL_UNIT_SHIFT), address);
}

static inline uint32_t large_length(const uint32_t *run)
{
    return run[CELL_LARGE_LENGTH];
}

/* The alignment that the block was asked for with: its log2 is in the first cell's low bits. */
static inline size_t large_alignment(const uint32_t *run)
{
    return (size_t)1 << (*run & (8 * sizeof(size_t) - 1));
}

/* How many units hold this size, at least one; the size is less than SIZE_MAX - UNIT. */
/*@ requires size < SIZE_MAX - UNIT;
    assigns \nothing;
    ensures \result >= 1 && \result * UNIT >= size;
    ensures \result > 1 ==> (\result - 1) * UNIT < size; */
static inline size_t large_units(size_t size)
{
    return (size + UNIT - (size != 0)) >> KNOLL_UNIT_SHIFT;
}

/* Takes a run for this many units, aligned to so many; `notes` is what its first cell says besides that it is one. */
static inline void *large_take_units(struct knoll_heap *heap, size_t units, size_t alignment, uint32_t notes,
                                     size_t *usable)
{
    size_t rounded = pages_round(units, alignment);
    uint32_t length = (uint32_t)rounded;
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
    *usable = rounded << KNOLL_UNIT_SHIFT;
    heap->large_blocks++;
    return region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
}

/* Takes a run for a block that has every block's alignment. */
static inline void *large_take(struct knoll_heap *heap, size_t size, size_t *usable)
{
    return size > heap->total ? NULL : large_take_units(heap, large_units(size), 1, 0, usable);
}

/* Gives back the block whose run starts at this unit; returns its bytes. */
static inline size_t large_give(struct knoll_heap *heap, uint32_t number)
{
    uint32_t *run = entry_of(heap, number);
    uint32_t length = large_length(run);
    heap->large_blocks--;
    (void)knoll_pages_give(heap, number, length);
    *run |= RUN_WAS_BLOCK;
    return (size_t)length << KNOLL_UNIT_SHIFT;
}

#endif
