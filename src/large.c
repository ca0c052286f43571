/* Large blocks: a run each, with the alignment that was asked for in its first cell and its length in the second.
 *
 * Invariant: large_blocks counts the LARGE runs of the heap.
 *
 * SPDX-License-Identifier: MIT */
#include "large.h"

size_t knoll_large_length(size_t alignment, size_t size)
{
    /* The greatest power of two in classic; in compact all but the tables, of four bytes for each unit of 512. */
    if (size > (KNOLL_PROFILE == KNOLL_CLASSIC ? SIZE_MAX / 2 + 1 : SIZE_MAX - SIZE_MAX / 128))
        return 0;
    return pages_round(large_units(size), alignment <= UNIT ? 1 : alignment >> KNOLL_UNIT_SHIFT);
}

void *knoll_large_take_aligned(struct knoll_heap *heap, size_t alignment, size_t size, bool is_loose, size_t *usable)
{
    if (size > heap->total || alignment > heap->total)
        return NULL;
    size_t units = alignment <= UNIT ? 1 : alignment >> KNOLL_UNIT_SHIFT;
    return large_take_units(heap, large_units(size), units, bits_highest(alignment) | (is_loose ? RUN_LOOSE : 0),
                            usable);
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
