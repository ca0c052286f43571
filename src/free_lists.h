/* The lists of free runs, which both page layers keep in the heap: lists_filled has bit i set just if list[i] is not
 * empty, and free_runs counts the runs by the power of two at or below their length.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_FREE_LISTS_H
#define KNOLL_FREE_LISTS_H

#include "region.h"

/* The length of the free run that starts with this entry. */
static inline uint32_t free_run_length(const uint32_t *entry)
{
    if (RUN_SHORTEST > 1 && cell_kind(entry[CELL_FREE_PREV]) == RUN_PAIR)
        return RUN_SHORTEST;
    return entry[CELL_LENGTH] & NUMBER_MASK; /* of three units, it is the last cell as well */
}

/* Adds the run, whose cells say its kind and length. */
static inline void free_list_push(struct knoll_heap *heap, unsigned list, uint32_t *entry, uint32_t number,
                                  uint32_t length)
{
    list_push(heap, &heap->list[list], entry, number, CELL_FREE_PREV);
    heap->lists_filled |= bit(list);
    heap->free_runs[bits_highest32(length)]++;
}

/* The cells keep their kinds: the caller knows what they become. */
static inline void free_list_remove(struct knoll_heap *heap, unsigned list, const uint32_t *entry, uint32_t length)
{
    heap->free_runs[bits_highest32(length)]--;
    list_remove(heap, &heap->list[list], entry, CELL_FREE_PREV);
    if (heap->list[list] == NOWHERE)
        heap->lists_filled &= ~bit(list);
}

#endif
