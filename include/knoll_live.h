/* Looking at a heap while the system that it serves runs: the check of every invariant and the search for leaks, both
 * in slices of bounded work, so that a watchdog can be fed, or the system served, in between.
 *
 * Nothing here allocates, locks, recurses or changes the heap. A call must not overlap one that changes the heap, as
 * with all functions of knoll.h; between two calls the heap may change at will. Everything is kept in structs that the
 * caller provides, whose members are private unless said otherwise.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LIVE_H
#define KNOLL_LIVE_H

#include "knoll.h"

#ifdef __cplusplus
extern "C" {
#endif

/* By what it is told whether a heap has changed meanwhile: none of its calls that change it leaves all of this as it
 * was. Private. */
struct knoll_moment {
    size_t allocations;
    size_t failures; /* a request may have given a slab back before it failed */
    size_t used;     /* bytes: with no allocation and no resizing, only frees change it, and they only lower it */
    uint32_t resizes;
    uint32_t spare_slab;
    uint32_t regions;
};

/* What the runs of all regions add up to. Private. */
struct knoll_tally {
    uint32_t free_runs[KNOLL_RUN_ORDERS];
    uint32_t listed_runs;
    uint32_t partial[KNOLL_CLASS_COUNT];
    uint32_t slabs[KNOLL_CLASS_COUNT];
    uint32_t blocks[KNOLL_CLASS_COUNT];
    uint32_t used[KNOLL_CLASS_COUNT];
    uint32_t hints[KNOLL_CLASS_COUNT];
    const uint32_t *current[KNOLL_CLASS_COUNT];
    uint32_t spare_is_slab;
    uint32_t large_blocks;
    size_t large_bytes;
};

/* ---- The check, in slices ---- */

/* Where a check is that is done in slices. All zero before its first slice, and again after a knoll_init. */
struct knoll_check_cursor {
    /* To be read after a slice. */
    size_t passes;     /* how often the end was reached */
    size_t whole;      /* in how many of those the heap stayed as it was from the first slice to the last */
    const void *where; /* of what the last slice found broken: see knoll_check_at */
    /* Private. */
    struct knoll_moment moment;
    size_t left;     /* steps that the slice may still take */
    uint8_t stage;   /* what is looked at now: runs, lists, counts */
    uint8_t changed; /* since the pass began, so that its sums mean nothing */
    uint8_t searching;
    uint8_t kind;     /* of the run looked at last */
    uint32_t region;  /* by address */
    uint32_t unit;    /* the next to look at */
    uint32_t run;     /* the unit at which that run started */
    uint32_t run_end; /* and where it ended */
    uint32_t list;
    uint32_t is_in_list;
    uint32_t previous; /* link of that list */
    uint32_t next;
    struct knoll_tally tally;
};

/* Does a slice of knoll_check: goes on where the slice before it stopped, takes up to `budget` steps, at least one, and
 * stops at the end of a pass at the latest. A step looks at one slab, at one unit that is in none, or at one link of a
 * list, and costs O(1); besides, each slice looks at every region's header, and the last one of a pass at the state of
 * every class.
 *
 * Returns 0, or the number of an invariant that is broken, as knoll_check does; cursor->where then says where, and the
 * next slice begins a new pass.
 *
 * What can be verified of a run, or of a link, by looking at it and its neighbours is verified whatever happens between
 * the slices. Sums (runs, blocks and bytes are counted, all listed runs are in the list) hold of one moment only: they
 * are verified by passes during which the heap does not change, and left out by others. A pass of the former kind,
 * which cursor->whole counts, has verified all that knoll_check does. There is never a false alarm. While the heap
 * changes between nearly all slices, a run that is being looked at may be passed over. */
int knoll_check_slice(const struct knoll_heap *heap, struct knoll_check_cursor *cursor, size_t budget);

#ifdef __cplusplus
}
#endif

#endif
