/* From an address that a caller names to the block it holds, or to the fault that the address is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BLOCKS_H
#define KNOLL_BLOCKS_H

#include "free_lists.h"
#include "large.h"
#include "slab.h"

/* A block that a caller holds: of a slab, or a run of its own. */
struct block {
    struct slab_place place; /* of a run, shape is NULL, index 0, and slab and number are its first entry and unit */
    size_t size;             /* usable bytes */
};

/* Finds the block that is held at this address; false if none is. O(1), but for the search for the region. */
bool knoll_block_find(const struct knoll_heap *heap, const void *address, struct block *block);

/* The length of the run that starts at this unit, whose kind is not NONE; of a slab, its shape must be one. */
static inline uint32_t run_length(const struct knoll_region *region, uint32_t index)
{
    const uint32_t *entry = region_entry(region, index);
    if (cell_kind(*entry) == RUN_SLAB)
        return shape_length(shape_of(region_shape(region, index)));
    return cell_kind(*entry) == RUN_LARGE ? large_length(entry) : free_run_length(entry);
}

/* The block, held or not, of a slab or of a run that is one, that the address lies in; its first byte, or NULL if it
 * lies in none. Slow, O(units) where it is far inside a run. */
unsigned char *knoll_block_around(const struct knoll_heap *heap, const void *address, struct block *block);

/* Which fault an address is at which no block is held: slow, O(units) where it is far inside a run. */
enum knoll_fault knoll_address_fault(const struct knoll_heap *heap, const void *address);

/* The alignment that the block must keep when it is moved: for a run what it was asked for with; for a slab's block the
 * most that any block of its slab was asked for with, which all of them have, because the tables hold no more. */
static inline size_t block_alignment(const struct block *block)
{
    return block->place.shape == NULL ? large_alignment(block->place.slab) : slab_alignment(block->place.slab);
}

/* Whether the block may be one that was asked for with this alignment and size. */
bool knoll_block_fits(const void *address, const struct block *block, size_t alignment, size_t size);

#endif
