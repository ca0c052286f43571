/* Faults: what an address is at which no block is held, and whether a size that a caller names can be the block's.
 *
 * A slab's block is either held or has its bit set; then `touched` tells whether it was ever handed out. Elsewhere the
 * nearest entry before the address that is not NONE tells in what it lies, because every run's first entry says its
 * kind. A run that was given back leaves RUN_WAS_BLOCK in its first unit's word, until that unit becomes the first or
 * last of another run: so a block freed twice is told from memory never handed out in most cases, and no fault is
 * missed in any.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"

static enum knoll_fault fault_in_slab(const struct slab_place *place, uint32_t offset)
{
    const struct knoll_class *properties = slab_class(place->slab);
    uint32_t index = offset / properties->size;
    if (index >= place->slab[1].slab.capacity)
        return KNOLL_FAULT_NOT_HANDED_OUT; /* in what is left over at the end */
    if (index * properties->size != offset)
        return (place->slab->word >> index & 1) != 0 ? KNOLL_FAULT_NOT_HANDED_OUT : KNOLL_FAULT_INTERIOR;
    return index < place->slab[1].slab.touched ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT;
}

bool knoll_block_find_large(struct knoll_region *region, const void *address, struct block *block)
{
    uintptr_t offset = region_offset(region, address);
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    const struct knoll_entry *entry = region_entry(region, unit);
    if (entry_kind(entry) != RUN_LARGE || (offset & (UNIT - 1)) != 0)
        return false;
    block->place.slab = NULL;
    block->place.number = region_unit_number(region, unit);
    block->size = (size_t)entry_length(entry) << KNOLL_UNIT_SHIFT;
    return true;
}

enum knoll_fault knoll_address_fault(const struct knoll_heap *heap, const void *address)
{
    struct knoll_region *region = region_of_address(heap, address);
    if (region == NULL)
        return knoll_region_tables_hold(heap, address) ? KNOLL_FAULT_TABLES : KNOLL_FAULT_FOREIGN;
    uintptr_t offset = region_offset(region, address);
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    if (unit == 0)
        return KNOLL_FAULT_TABLES;

    struct slab_place place;
    uint32_t start = region_slab_before(region, unit);
    place.slab = region_entry(region, start);
    if (start != NOWHERE && unit - start < slab_length(place.slab))
        return fault_in_slab(&place, (uint32_t)(offset - ((uintptr_t)start << KNOLL_UNIT_SHIFT)));

    uint32_t before = unit;
    while (before > 1 && entry_kind(region_entry(region, before)) == RUN_NONE) /* at most count rounds */
        before--;
    if (entry_kind(region_entry(region, before)) == RUN_LARGE)
        return KNOLL_FAULT_INTERIOR;
    bool was_block = (region_entry(region, unit)->word & RUN_WAS_BLOCK) != 0 && (offset & (UNIT - 1)) == 0;
    return was_block ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT;
}

/* As which class, or run of which length, a request is served. */
static bool serves(const struct block *block, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (block->place.slab != NULL)
        return size_class == block->place.slab[1].slab.size_class;
    return size_class == CLASS_LARGE && knoll_large_length(alignment, size) == block->size >> KNOLL_UNIT_SHIFT;
}

bool knoll_block_fits(const struct knoll_heap *heap, const void *address, const struct block *block, size_t alignment,
                      size_t size)
{
    bool loose = block->place.slab == NULL ? (entry_of(heap, block->place.number)->word & RUN_LOOSE) != 0
                                           : (block->place.slab[1].slab.alignment & SLAB_LOOSE) != 0;
    if (!is_power_of_two(alignment) || ((uintptr_t)address & (alignment - 1)) != 0)
        return false;
    size_t kept = block_alignment(heap, block);
    return serves(block, alignment, size) || (kept > alignment && serves(block, kept, size)) ||
           (loose && size <= block->size);
}
