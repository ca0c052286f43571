/* Faults: what an address is at which no block is held, and whether a size that a caller names can be the block's.
 *
 * A slab's block is either held or has its bit set; then its class tells whether it was ever handed out. Elsewhere the
 * nearest cell before the address that is not NONE tells in what it lies, because every run's first cell says its
 * kind. A run that was given back leaves RUN_WAS_BLOCK in its first unit's cell, until that becomes the first one of
 * another run: so a block freed twice is told from memory never handed out in most cases, and no fault is missed in
 * any.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"

/* The place of the block that is this run. */
static struct slab_place place_of_run(const struct knoll_region *region, uint32_t *run, uint32_t unit)
{
    return (struct slab_place){run, NULL, region_unit_number(region, unit), 0};
}

bool knoll_block_find(const struct knoll_heap *heap, const void *address, struct block *block)
{
    struct knoll_region *region = region_of_address(heap, address);
    if (region == NULL)
        return false;
    if (slab_find(region, address, &block->place)) {
        block->size = block->place.shape->size;
        return slab_may_give(&block->place);
    }
    if (!large_starts(region, address))
        return false;
    uint32_t index = (uint32_t)(region_offset(region, address) >> KNOLL_UNIT_SHIFT);
    uint32_t *run = region_entry(region, index);
    block->place = place_of_run(region, run, index);
    block->size = (size_t)large_length(run) << KNOLL_UNIT_SHIFT;
    return true;
}

static enum knoll_fault fault_in_slab(const struct knoll_heap *heap, struct slab_place *place, const void *address)
{
    uint32_t offset = (uint32_t)(uintptr_t)address & place->shape->low;
    place->index = shape_block_around(place->shape, offset);
    if (!shape_has(place->shape, place->index))
        return KNOLL_FAULT_NOT_HANDED_OUT; /* in what is left over at the end */
    if (offset % place->shape->size != 0)
        return slab_holds(place) ? KNOLL_FAULT_INTERIOR : KNOLL_FAULT_NOT_HANDED_OUT;
    return slab_has_touched(heap, place) ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT;
}

/* The kind of the run that this unit, of which no slab has a part, lies in: LARGE or FREE. The nearest cell before it
 * that has a kind tells, be it the run's first or, of a free run, its last. */
static enum run_kind kind_around(const struct knoll_region *region, uint32_t unit)
{
    while (unit > region->first && cell_kind(*region_entry(region, unit)) == RUN_NONE) /* at most count rounds */
        unit--;
    return cell_kind(*region_entry(region, unit)) == RUN_LARGE ? RUN_LARGE : RUN_FREE;
}

unsigned char *knoll_block_around(const struct knoll_heap *heap, const void *address, struct block *block)
{
    struct knoll_region *region = knoll_region_search(heap, address); /* the heap may be one without memory */
    if (region == NULL)
        return NULL;
    uintptr_t offset = region_offset(region, address);
    if (slab_find(region, address, &block->place)) {
        uint32_t within = (uint32_t)(uintptr_t)address & block->place.shape->low;
        block->size = block->place.shape->size;
        block->place.index = shape_block_around(block->place.shape, within);
        if (!shape_has(block->place.shape, block->place.index))
            return NULL;
        return region_base(region) + offset - within % (uint32_t)block->size;
    }
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    while (unit > region->first && cell_kind(*region_entry(region, unit)) == RUN_NONE) /* at most count rounds */
        unit--;
    uint32_t *run = region_entry(region, unit);
    if (cell_kind(*run) != RUN_LARGE)
        return NULL;
    block->place = place_of_run(region, run, unit);
    block->size = (size_t)large_length(run) << KNOLL_UNIT_SHIFT;
    return region_base(region) + ((size_t)unit << KNOLL_UNIT_SHIFT);
}

enum knoll_fault knoll_address_fault(const struct knoll_heap *heap, const void *address)
{
    const struct knoll_region *region = region_of_address(heap, address);
    if (region == NULL)
        return KNOLL_FAULT_FOREIGN;
    uintptr_t offset = region_offset(region, address);
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    if (unit < region->first)
        return KNOLL_FAULT_TABLES;
    struct slab_place place;
    if (slab_find(region, address, &place))
        return fault_in_slab(heap, &place, address);

    if (kind_around(region, unit) == RUN_LARGE)
        return KNOLL_FAULT_INTERIOR;
    bool was_block = (*region_entry(region, unit) & RUN_WAS_BLOCK) != 0 && (offset & (UNIT - 1)) == 0;
    return was_block ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT;
}

/* As which class, or run of which length, a request is served. */
static bool serves(const struct block *block, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (block->place.shape != NULL)
        return size_class == block->place.shape->size_class;
    return size_class == CLASS_LARGE && knoll_large_length(alignment, size) == block->size >> KNOLL_UNIT_SHIFT;
}

bool knoll_block_fits(const void *address, const struct block *block, size_t alignment, size_t size)
{
    bool loose = block->place.shape == NULL ? (*block->place.slab & RUN_LOOSE) != 0
                                            : (block->place.slab[CELL_NOTES] & SLAB_LOOSE) != 0;
    if (!is_power_of_two(alignment) || ((uintptr_t)address & (alignment - 1)) != 0)
        return false;
    size_t kept = block_alignment(block);
    return serves(block, alignment, size) || (kept > alignment && serves(block, kept, size)) ||
           (loose && size <= block->size);
}
