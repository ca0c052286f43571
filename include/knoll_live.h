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
    size_t used[KNOLL_CLASS_COUNT];
    uint32_t hints[KNOLL_CLASS_COUNT];
    const uint32_t *current[KNOLL_CLASS_COUNT];
    uint32_t spare_is_slab;
    uint32_t large_blocks;
    uint32_t spans;
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

/* ---- Leaks: blocks that nothing refers to ---- */

/* A span of memory in which references to blocks may be: globals, a stack, saved registers. */
struct knoll_range {
    const void *start;
    size_t size;
};

enum { KNOLL_LEAKS_STACK = 32 };

enum knoll_leaks_state {
    KNOLL_LEAKS_DONE = 0,    /* every leak was visited, or the visitor stopped */
    KNOLL_LEAKS_GOING_ON,    /* there is more to do */
    KNOLL_LEAKS_CHANGED = -1 /* the heap has changed: what was found so far means nothing, the next slice begins anew;
                              * where memory was added, knoll_leaks_begin must */
};

/* A search for leaks. Private. */
struct knoll_leaks {
    const struct knoll_heap *heap;
    const struct knoll_range *roots;
    size_t root_count;
    knoll_visitor visitor;
    void *context;
    struct knoll_moment moment;
    uint32_t *marks[KNOLL_REGIONS_MAX];
    const unsigned char *stack[KNOLL_LEAKS_STACK]; /* blocks to look through */
    const unsigned char *next;                     /* word to look at */
    const unsigned char *end;
    size_t stacked;
    size_t pending; /* blocks to look through for which the stack had no room */
    size_t left;
    size_t root;
    uint32_t stage;
    uint32_t region; /* by address */
    uint32_t unit;
    uint32_t run; /* the unit at which the large run starts that is being marked, or 0 */
    uint32_t run_end;
};

/* The bytes of memory that a search in this heap needs for its marks: 16 for each unit of 4096 bytes in classic, 4 for
 * each of 512 in compact, so 0.4 % or 0.8 % of the regions. */
size_t knoll_leaks_bytes(const struct knoll_heap *heap);

/* Prepares a search for the blocks that cannot be reached: neither from a word in a root, nor from a word in a block
 * that can. Any aligned word that is an address in a block counts as a reference to it, be it to the start or inside
 * (Boehm, Weiser 1988). `marks`, aligned to 4 bytes, has knoll_leaks_bytes; it, the roots and the heap must stay until
 * the search is over, and marks must not lie in a block or in a root. O(regions). */
void knoll_leaks_begin(struct knoll_leaks *leaks, const struct knoll_heap *heap, void *marks,
                       const struct knoll_range *roots, size_t root_count, knoll_visitor visitor, void *context);

/* Goes on with the search, by `budget` steps at most, at least one; returns an enum knoll_leaks_state. A step looks at
 * one word of a root or a block, at one unit, or at one slab with its 64 blocks. At the end the visitor gets each leak
 * as a KNOLL_ITEM_BLOCK; if it does not return 0 the search is over. At rung 2 (KNOLL_HARDEN) the item is as knoll_walk
 * shows it, and a block's guards neither refer to anything nor are referred to.
 *
 * A change of the heap between two slices is noticed. A reference that is moved by the program between them, from where
 * it has yet to be seen to where it has not, is not: so nothing that may move references should run between the slices;
 * else a leak is what two searches found. A word that looks like an address hides a leak. Does not write into blocks.
 * In all O(units + bytes in roots and blocks); more only where blocks refer to more than KNOLL_LEAKS_STACK others at
 * once. */
int knoll_leaks_slice(struct knoll_leaks *leaks, size_t budget);

#ifdef __cplusplus
}
#endif

#endif
