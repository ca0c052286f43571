/* Large blocks: each is a run of its own.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LARGE_H
#define KNOLL_LARGE_H

#include "region.h"

/* The length in units of the run that serves this request, 0 if its bytes would not fit a size_t. Alignment is a
 * power of two. */
size_t knoll_large_length(size_t alignment, size_t size);

/* Takes a run for a block; NULL if memory does not suffice. */
void *knoll_large_take(struct knoll_heap *heap, size_t alignment, size_t size);

/* Gives back the block whose run starts at this unit. */
void knoll_large_give(struct knoll_heap *heap, uint32_t number);

/* Makes the block's run `wanted` units long where it lies, if it can. A shorter one always can. */
bool knoll_large_resize(struct knoll_heap *heap, uint32_t number, uint32_t wanted);

static inline size_t large_alignment(const struct knoll_entry *run)
{
    return (size_t)1 << (run->word >> RUN_ALIGNMENT_SHIFT & (8 * sizeof(size_t) - 1));
}

#endif
