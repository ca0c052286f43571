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
    struct slab_place place; /* place.slab is NULL if the block is a run; number is its first unit in both cases */
    size_t size;             /* usable bytes */
};

/* Finds the large block that starts at this address; false if none does. */
bool knoll_block_find_large(const struct knoll_region *region, const void *address, struct block *block);

/* Finds the block that is held at this address; false if none is. O(1). */
static inline bool block_find(const struct knoll_heap *heap, const void *address, struct block *block)
{
    struct knoll_region *region = region_of_address(heap, address);
    if (region == NULL)
        return false;
    if (!slab_find(region, address, &block->place))
        return knoll_block_find_large(region, address, block);
    block->size = knoll_classes[attributes_class(block->place.attributes)].size;
    return !slab_holds_free(&block->place);
}

/* The length of the run that starts with this entry, which is not NONE. */
static inline uint32_t run_length(const uint32_t *entry)
{
    if (cell_kind(*entry) == RUN_SLAB)
        return slab_length(entry);
    return cell_kind(*entry) == RUN_LARGE ? large_length(entry) : free_run_length(entry);
}

/* Which fault an address is at which no block is held: slow, O(units) where it is far inside a run. */
enum knoll_fault knoll_address_fault(const struct knoll_heap *heap, const void *address);

/* The alignment that the block must keep when it is moved: for a run what it was asked for with; for a slab's block the
 * most that any block of its slab was asked for with, which all of them have, because the tables hold no more. */
static inline size_t block_alignment(const struct knoll_heap *heap, const struct block *block)
{
    if (block->place.slab == NULL)
        return large_alignment(entry_of(heap, block->place.number));
    return attributes_alignment(block->place.attributes);
}

/* Whether the block may be one that was asked for with this alignment and size. */
bool knoll_block_fits(const struct knoll_heap *heap, const void *address, const struct block *block, size_t alignment,
                      size_t size);

#endif
