/* The page layer: hands out runs of units and takes them back. One interface, two ways to do it: a buddy allocator
 * (pages_buddy.c, classic) and good fit over runs of any length (pages_runs.c, compact).
 *
 * A run that is handed out has cells of kind NONE throughout; the caller marks the first as LARGE or SLAB. One that
 * is given back has NONE throughout again, but for its first cell, which is overwritten. No run spans regions.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_PAGES_H
#define KNOLL_PAGES_H

#include "region.h"

/* Makes all units after the tables of a new region free: there may be none. */
void knoll_pages_add(struct knoll_heap *heap, struct knoll_region *region);

/* The length of the run that a request for `units` units aligned to `alignment` units is given. `alignment` is a power
 * of two; units >= 1. May be more than any heap has. */
static inline size_t pages_round(size_t units, size_t alignment)
{
    if (KNOLL_PROFILE == KNOLL_COMPACT)
        return units < RUN_SHORTEST ? RUN_SHORTEST : units;
    size_t least = units > alignment ? units : alignment;
    return least == 1 ? 1 : (size_t)2 << bits_highest(least - 1);
}

/* Takes a run of `length` units, which pages_round returned for this alignment. NOWHERE if there is none. */
uint32_t knoll_pages_take(struct knoll_heap *heap, uint32_t length, uint32_t alignment);

/* In compact, the lists that may have room for an aligned run and are looked at: to look at all saves no memory. */
#define ALIGNED_TRIALS 2u

/* Gives back the run of `length` units at unit `number`, and merges it with its free neighbours. Returns where the free
 * run starts that it is in then. */
uint32_t knoll_pages_give(struct knoll_heap *heap, uint32_t number, uint32_t length);

/* Takes a run as knoll_pages_take does, which found none before this free run came about: so from that. NOWHERE if
 * there is no place in it. */
uint32_t knoll_pages_take_from(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t alignment);

/* Takes this free run, all of it. Returns its length. */
uint32_t knoll_pages_take_whole(struct knoll_heap *heap, uint32_t number);

/* Changes the length of a run that is held from `length` to `wanted` units, where it lies; both are lengths that
 * pages_round returns. Shortening always succeeds; lengthening needs free units after it, and in classic
 * that the longer run may start there. False where it cannot be. */
bool knoll_pages_resize(struct knoll_heap *heap, uint32_t number, uint32_t length, uint32_t wanted);

/* By how many units it could be made longer where it lies; 0 in classic, where that is not told. */
uint32_t knoll_pages_free_behind(const struct knoll_heap *heap, uint32_t number, uint32_t length);

/* The longest run that knoll_pages_take would find now for an alignment of 1, or 0. */
uint32_t knoll_pages_longest(const struct knoll_heap *heap);

/* The runs that what is free from here to the end of the region counts as: the length of the first. In compact it is
 * one run always. */
uint32_t knoll_pages_part(const struct knoll_region *region, uint32_t index);

/* How long a free run would come about if the held run at `number` were given back. Takes from nothing. */
uint32_t knoll_pages_merged_length(const struct knoll_heap *heap, uint32_t number, uint32_t length);

/* Whether the last cell of a free run says its length, as well as its first cells. */
#define RUN_END_IS_MARKED (KNOLL_PROFILE == KNOLL_COMPACT)

/* Whether two free runs side by side, the first `length` units long at unit `index` of the region, should have been
 * merged. For knoll_check. */
bool knoll_pages_unmerged(const struct knoll_region *region, uint32_t index, uint32_t length, uint32_t next_length);

/* Whether the lists of free runs are where they should be. For knoll_check. */
bool knoll_pages_lists_placed_well(const struct knoll_heap *heap);

/* Whether a free run of this length may start at this unit. For knoll_check. */
bool knoll_pages_placed_well(const struct knoll_region *region, uint32_t index, uint32_t length);

#endif
