/* The lists of free runs, which both page layers keep: a bit says of each list whether it is not empty, in compact
 * another one of each group of 32; and free_runs counts the runs by the power of two at or below their length.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_FREE_LISTS_H
#define KNOLL_FREE_LISTS_H

#include "edges.h"
#include "pages.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

/* How far after the first list of its order the one is that this free run is in. */
static inline unsigned list_offset(const uint32_t *run)
{
    return (run[CELL_FREE_NEXT] >> SECOND_SHIFT) * SECOND_LIST;
}

static inline unsigned list_of_run(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                   uint32_t length)
{
    (void)heap;
    return list_of_length(length) + list_offset(region_entry(region, index));
}

static inline unsigned list_count(const struct knoll_heap *heap)
{
    (void)heap;
    return KNOLL_LIST_COUNT;
}

/* The lowest list that may have a run of this length or more. */
static inline unsigned list_of_shortest(const struct knoll_heap *heap, uint32_t length)
{
    (void)heap;
    return list_of_length(length);
}

/* Whether this list may have a run that is as long as those of the list `shortest`, which list_of_shortest returned. */
static inline bool list_may_have(unsigned list, unsigned shortest)
{
    return list % SECOND_LIST >= shortest;
}

static inline bool list_is_filled(const struct knoll_heap *heap, unsigned list)
{
    return (heap->filled[list / SECOND_LIST] >> list % SECOND_LIST & 1) != 0;
}

/* Where the rest of a region starts, which is in no list: at its end, if there is none. */
static inline uint32_t rest_of(const struct knoll_heap *heap, const struct knoll_region *region)
{
    return heap->rest[region->number];
}

#else

/* The lowest list, but for that of the ends, that may have a run of this length or more. */
static inline unsigned list_of_shortest(const struct knoll_heap *heap, uint32_t length)
{
    unsigned list = list_of_length(length);
    return list < heap->last_list ? list : heap->last_list;
}

/* The list in which the free run of this length at unit `index` belongs. */
static inline unsigned list_of_run(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                   uint32_t length)
{
    if (index + length == region->count)
        return LIST_OF_ENDS;
    return list_of_shortest(heap, length);
}

static inline unsigned list_count(const struct knoll_heap *heap)
{
    return heap->list == NULL ? 0 : heap->last_list + 1u; /* a heap without memory has none */
}

static inline bool list_may_have(unsigned list, unsigned shortest)
{
    return list >= shortest || list == LIST_OF_ENDS;
}

static inline bool list_is_filled(const struct knoll_heap *heap, unsigned list)
{
    return (heap->filled[list >> 5] >> (list & 31) & 1) != 0;
}

static inline void list_set_filled(struct knoll_heap *heap, unsigned list)
{
    heap->filled[list >> 5] |= 1u << (list & 31);
    heap->groups_filled |= 1u << (list >> 5);
}

static inline void list_set_empty_if(struct knoll_heap *heap, unsigned list, bool is_empty)
{
    heap->filled[list >> 5] &= ~((is_empty ? 1u : 0u) << (list & 31));
    heap->groups_filled &= ~((heap->filled[list >> 5] == 0 ? 1u : 0u) << (list >> 5));
}

/* All that is free is in lists. */
static inline uint32_t rest_of(const struct knoll_heap *heap, const struct knoll_region *region)
{
    (void)heap;
    return region->count;
}

/* Makes the run the first of this list; its cells say its kind and length already, and link back to none. */
static inline void free_list_link(struct knoll_heap *heap, unsigned list, uint32_t *entry, uint32_t number)
{
    list_push(heap, &heap->list[list], entry, number, CELL_FREE_NEXT, 0);
    list_set_filled(heap, list);
}

/* Takes the run with this entry out of this list. */
static inline void free_list_unlink(struct knoll_heap *heap, unsigned list, const uint32_t *entry)
{
    if (list_remove(heap, &heap->list[list], entry, CELL_FREE_NEXT, 0))
        list_set_empty_if(heap, list, heap->list[list] == NOWHERE);
}

/* The same for the first run of the list. */
static inline void free_list_pop(struct knoll_heap *heap, unsigned list, const uint32_t *entry)
{
    list_pop(heap, &heap->list[list], entry, CELL_FREE_NEXT, 0);
    list_set_empty_if(heap, list, heap->list[list] == NOWHERE);
}

static inline void count_free_run(struct knoll_heap *heap, uint32_t length, uint32_t runs)
{
    heap->free_runs[bits_highest32(length)] += runs;
}

#endif

/* Whether this free run is in a list. */
static inline bool run_is_listed(const uint32_t *run)
{
    return !is_rest(run) && free_run_length(run) >= RUN_SHORTEST;
}

#endif
