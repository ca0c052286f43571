/* Lists of free runs, changed by hand: a run is put into one or taken out, and a list is said to be filled or not.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_FREE_LISTS_H
#define KNOLL_TESTS_LAYERS_FREE_LISTS_H

#include "free_lists.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC
#define LISTS_IN_A_WORD SECOND_LIST
#else
#define LISTS_IN_A_WORD 32u
#endif

static inline void say_filled(struct knoll_heap *of, unsigned list, bool is_filled)
{
    const unsigned bits = LISTS_IN_A_WORD;
    uint32_t *filled = &of->filled[list / bits];
    uint32_t of_list = 1u << list % bits;
    *filled = is_filled ? *filled | of_list : *filled & ~of_list;
#if KNOLL_PROFILE == KNOLL_COMPACT
    uint32_t of_group = 1u << (list >> 5);
    of->groups_filled = *filled != 0 ? of->groups_filled | of_group : of->groups_filled & ~of_group;
#endif
}

static inline void put_into_list(struct knoll_heap *of, unsigned list, uint32_t *run, uint32_t number)
{
    list_push(of, &of->list[list], run, number, CELL_FREE_NEXT, 0);
    say_filled(of, list, true);
}

static inline void take_out_of_list(struct knoll_heap *of, unsigned list, const uint32_t *run)
{
    (void)list_remove(of, &of->list[list], run, CELL_FREE_NEXT, 0);
    say_filled(of, list, of->list[list] != NOWHERE);
}

#endif
