/* The lists of free runs, which both page layers keep in the heap: lists_filled has bit i set just if list[i] is not
 * empty, and free_runs counts the runs by the power of two at or below their length.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_FREE_LISTS_H
#define KNOLL_FREE_LISTS_H

#include "pages.h"

/* The length of the free run that starts with this entry. */
static inline uint32_t free_run_length(const uint32_t *entry)
{
    if (RUN_SHORTEST > 1 && cell_kind(entry[CELL_FREE_PREV]) == RUN_END)
        return RUN_SHORTEST;
    return entry[CELL_LENGTH] & NUMBER_MASK; /* of three units, it is the last cell as well */
}

/* Adds the run, whose cells say its kind and length. */
static inline void free_list_push(struct knoll_heap *heap, unsigned list, uint32_t *entry, uint32_t number,
                                  uint32_t length)
{
    list_push(heap, &heap->list[list], entry, number, CELL_FREE_PREV, 0);
    heap->lists_filled |= bit(list);
    heap->free_runs[bits_highest32(length)]++;
}

/* Takes out the run at unit `index`, whose entry this is. The cells keep their kinds: the caller knows what they
 * become. Only for the first run of a list is it worked out which list that is. */
static inline void free_list_remove(struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                    const uint32_t *entry, uint32_t length)
{
    uint32_t next = link_of(entry[CELL_NEXT], 0);
    uint32_t before = link_of(entry[CELL_FREE_PREV], 0);
    heap->free_runs[bits_highest32(length)]--;
    if (next != NOWHERE)
        set_link(&entry_of(heap, next)[CELL_FREE_PREV], before, 0);
    if (before != NOWHERE) {
        set_link(&entry_of(heap, before)[CELL_NEXT], next, 0);
        return;
    }
    unsigned list = knoll_pages_list(region, index, length);
    heap->list[list] = next;
    if (next == NOWHERE)
        heap->lists_filled &= ~bit(list);
}

#endif
