/* knoll lean: a heap in some 800 bytes of code, for the smallest firmware.
 *
 * The same idea as knoll.h's, at its smallest: slabs whose state is one machine word, over a buddy allocator. Nothing
 * is written into free blocks, every address is looked up before it is freed, and with everything freed the heap is as
 * new. What it leaves out is in docs/design.md: magazines, statistics, walks, the search for leaks, processors. It is a
 * heap by itself: a program may have it, knoll.h's, or both.
 *
 * Every block is as long as a power of two, and aligned to its length. So knoll_lean_aligned_alloc costs nothing, and a
 * request for a byte more than a power of two takes twice as much. Sizes are in bytes. With u units in a region,
 * allocating takes at most 2 log2 u steps and KNOLL_LEAN_LISTS to look for a run, freeing log2 u, and both up to three
 * for each region.
 *
 * A heap has one owner: no function locks, and calls on one heap must not overlap, from threads, processors or
 * interrupt handlers; those on different heaps are independent. Nothing recurses. All functions may be called by the
 * owner alone.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LEAN_H
#define KNOLL_LEAN_H

#include "knoll.h" /* enum knoll_error, enum knoll_fault, and the knobs */

#ifdef __cplusplus
extern "C" {
#endif

/* What a region is a multiple of, in address and size: as many of the smallest blocks as a word has bits. A kibibyte on
 * 32 bits, two on 64. */
#define KNOLL_LEAN_UNIT ((sizeof(uintptr_t) * 8) << KNOLL_LEAN_SHIFT)

struct knoll_lean_heap;
struct knoll_lean_unit; /* private */

/* Called once for each misuse, before anything is changed; if it returns, the faulty call does nothing more and gives
 * NULL or 0. With no handler set a fault executes the processor's trap instruction. The tables remember nothing of what
 * is not held: so a fault is KNOLL_FAULT_FOREIGN, outside of every region, or KNOLL_FAULT_NOT_HANDED_OUT, for all
 * else: freed already, inside of a block, in the tables, never handed out. At rung 0 of KNOLL_HARDEN nothing is
 * reported: an address outside of every region is ignored, any other wrong one may break the heap. Rung 2 is as 1. */
typedef void (*knoll_lean_fault_handler)(struct knoll_lean_heap *heap, enum knoll_fault fault, const void *address);

struct knoll_lean_link {
    struct knoll_lean_link *next;
    struct knoll_lean_link *prev;
};

/* Private, and to be made by knoll_lean_init. The lists are rings: of slabs with a free block, by the length of their
 * blocks, then of free runs. */
struct knoll_lean_heap {
    struct knoll_lean_unit *region; /* the one added last; each has the one before */
    struct knoll_lean_unit *spare;  /* a unit that was a slab, kept to be one again, or NULL */
    size_t used;                    /* bytes of blocks that callers hold */
    knoll_lean_fault_handler fault_handler;
    struct knoll_lean_link list[KNOLL_LEAN_LISTS];
};

/* Makes a heap of this memory, whose first part becomes tables: start and size are multiples of KNOLL_LEAN_UNIT, and
 * the size at least two. What the struct held before is lost. O(units). Errors are those of knoll_init, in the same
 * order; ALIGNMENT and NOT_PAGES mean KNOLL_LEAN_UNIT, TOO_SMALL less than two of those. No other function may be
 * called before. */
int knoll_lean_init_for(struct knoll_lean_heap *heap, void *start, size_t size, uint32_t knobs);

static inline int knoll_lean_init(struct knoll_lean_heap *heap, void *start, size_t size)
{
    return knoll_lean_init_for(heap, start, size, KNOLL_LEAN_KNOBS);
}

/* Gives the heap more memory, under the same limits; any number of regions, in any order. O(units + regions). */
int knoll_lean_add_memory(struct knoll_lean_heap *heap, void *start, size_t size);

/* NULL sets none. */
void knoll_lean_set_fault_handler(struct knoll_lean_heap *heap, knoll_lean_fault_handler handler);

/* A block of at least this size, also for 0; NULL if memory does not suffice: there is no free block of the least
 * length that holds it, and no free run. Free blocks of greater lengths in slabs are not handed out. Its contents are
 * undefined. */
void *knoll_lean_malloc(struct knoll_lean_heap *heap, size_t size);

/* The same, aligned to a power of two, of which size need be no multiple; NULL for what is none. */
void *knoll_lean_aligned_alloc(struct knoll_lean_heap *heap, size_t alignment, size_t size);

/* A block for an array, its count * size bytes zero; NULL also if count * size overflows. */
void *knoll_lean_calloc(struct knoll_lean_heap *heap, size_t count, size_t size);

/* A block of this size with what the old one has of it, which is freed if it is another. Stays where it is if it is as
 * long as a new one would be, or if it is to be shorter and there is no memory for that. NULL changes nothing. The
 * alignment is the new length's. A NULL block: knoll_lean_malloc. O(size) to copy. */
void *knoll_lean_realloc(struct knoll_lean_heap *heap, void *block, size_t size);

/* NULL is allowed and does nothing. */
void knoll_lean_free(struct knoll_lean_heap *heap, void *block);

/* All bytes of a block, which may be used; 0 for NULL. */
size_t knoll_lean_usable_size(struct knoll_lean_heap *heap, const void *block);

/* Bytes of all blocks that callers hold, their whole lengths; and of all regions, without their tables. The second is
 * O(regions). */
size_t knoll_lean_used_bytes(const struct knoll_lean_heap *heap);
size_t knoll_lean_total_bytes(const struct knoll_lean_heap *heap);

/* Verifies the invariants that lean/lean_tables.h numbers: 0, or the number of the first that is found to be broken, in
 * the order of the regions, and then of the lists. Whatever the tables say, it ends, and follows no link without
 * verifying it; but for where regions are and how long, which must be believed. O((units + regions) regions). */
int knoll_lean_check(const struct knoll_lean_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
