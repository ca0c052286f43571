/* The lists of free runs, which both page layers keep in the heap: lists_filled has bit i set just if list[i] is not
 * empty, and free_runs counts the runs by the power of two at or below their length.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_FREE_LISTS_H
#define KNOLL_FREE_LISTS_H

#include "region.h"

static inline void free_list_push(struct knoll_heap *heap, unsigned list, struct knoll_entry *entry, uint32_t number,
                                  uint32_t length)
{
    entry->word = length;
    list_push(heap, &heap->list[list], entry, number, RUN_FREE);
    heap->lists_filled |= bit(list);
    heap->free_runs[bits_highest32(length)]++;
}

/* The entry stays of kind FREE: the caller knows what it becomes. */
static inline void free_list_remove(struct knoll_heap *heap, unsigned list, struct knoll_entry *entry)
{
    heap->free_runs[bits_highest32(entry_length(entry))]--;
    list_remove(heap, &heap->list[list], entry, RUN_FREE);
    if (heap->list[list] == NOWHERE)
        heap->lists_filled &= ~bit(list);
}

#endif
