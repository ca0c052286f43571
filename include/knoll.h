/* knoll: a memory heap for places with no operating system to lean on.
 *
 * Blocks of up to KNOLL_SLAB_MAXIMUM bytes come from slabs, larger ones are runs of units; docs/design.md explains
 * both.
 *
 * Sizes and alignments are in bytes. Every block is aligned to 16 bytes at least. A heap has one owner: no function
 * locks, so calls on one heap must not overlap, whether from threads, processors or interrupt handlers; calls on
 * different heaps are independent. Nothing here recurses, and the only code run besides knoll's own is the fault
 * handler and the visitors. Each function says from where it may be called:
 *
 *     owner    one caller at a time for each heap: hold a lock of yours around the call. If interrupt handlers use the
 *              heap too, keep interrupts disabled while the lock is held. Never from a non-maskable interrupt that may
 *              come in the midst of another call. For callers at the same time there is knoll_cpu.h
 *     reader   the same, but readers may overlap one another
 *     any      threads, interrupts and non-maskable interrupts, at any time
 *
 * The heap is found through a struct knoll_heap that the caller provides, and describes itself in tables at the start
 * of each region. Neither may be written, moved or freed by others while the heap is in use.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_H
#define KNOLL_H

#include <stddef.h>
#include <stdint.h>

#include "knoll_config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KNOLL_VERSION_MAJOR 0
#define KNOLL_VERSION_MINOR 1
#define KNOLL_VERSION_PATCH 0
#define KNOLL_VERSION       "0.1.0"

#define KNOLL_PAGE         4096u  /* starts and sizes of regions are multiples of this */
#define KNOLL_MINIMUM_HEAP 32768u /* the smallest first region */

/* Why a region was refused. Limits are tested in this order, and the first that is broken is returned. */
enum knoll_error {
    KNOLL_OK = 0,
    KNOLL_ERROR_NULL = -1,      /* the heap or the start is a null pointer */
    KNOLL_ERROR_ALIGNMENT = -2, /* the start is not aligned to KNOLL_PAGE */
    KNOLL_ERROR_TOO_SMALL = -3, /* first region under KNOLL_MINIMUM_HEAP, or no unit is left beside the tables */
    KNOLL_ERROR_NOT_PAGES = -4, /* the size is not a multiple of KNOLL_PAGE */
    KNOLL_ERROR_TOO_LARGE = -5, /* it runs past the end of the address space, or has more units than can be numbered */
    KNOLL_ERROR_OVERLAP = -6,   /* it overlaps a region that the heap has, or the struct knoll_heap itself */
    KNOLL_ERROR_REGIONS = -7,   /* the heap has KNOLL_REGIONS_MAX regions already */
    KNOLL_ERROR_KNOBS = -8,     /* the caller was compiled with other knobs than the library (KNOLL_KNOBS in
                                 * knoll_config.h), so their structs differ. Tested first */
    KNOLL_ERROR_NO_HEAP = -9    /* memory is added where knoll_init has made no heap; tested when the memory is right */
};

/* What a caller did wrong. */
enum knoll_fault {
    KNOLL_FAULT_NONE = 0,
    KNOLL_FAULT_DOUBLE_FREE = 1,     /* the block was handed out and has been freed since */
    KNOLL_FAULT_INTERIOR = 2,        /* the address is inside a block, not at its start */
    KNOLL_FAULT_FOREIGN = 3,         /* the address is outside every region of the heap */
    KNOLL_FAULT_TABLES = 4,          /* the address is in the heap's own tables */
    KNOLL_FAULT_NOT_HANDED_OUT = 5,  /* no block is or, as far as the tables remember, was at this address */
    KNOLL_FAULT_SIZE = 6,            /* the block is the caller's, but is not of the size or alignment that was named */
    KNOLL_FAULT_OVERFLOW = 7,        /* rung 2: bytes were written after the block's end */
    KNOLL_FAULT_UNDERFLOW = 8,       /* rung 2: bytes were written before the block's start */
    KNOLL_FAULT_WRITE_AFTER_FREE = 9 /* rung 2: bytes were written into free memory */
};

struct knoll_heap;
struct knoll_region; /* private; lies at the start of each region */

/* Called once for each misuse, before anything is changed, with more about it in knoll_last_fault. If it returns, the
 * faulty call does nothing more: it frees nothing and gives NULL or 0, and the heap is as it was. It must not call
 * functions that change this heap. With no handler set, a fault executes the processor's trap instruction. */
typedef void (*knoll_fault_handler)(struct knoll_heap *heap, enum knoll_fault fault, const void *address);

/* ---- The fault report ---- */

/* Where a call came from, and for whom. */
struct knoll_origin {
    uintptr_t caller; /* its return address; 0 if that is not known */
    uintptr_t tag;    /* the caller's tag then */
};

/* What the evidence points at. */
enum knoll_evidence {
    KNOLL_EVIDENCE_NONE = 0,   /* the heap has not been looked at: see knoll_fault_examine */
    KNOLL_EVIDENCE_CALLER = 1, /* the tables are sound, so it was the call, or a write past a block or after its free */
    KNOLL_EVIDENCE_HEAP = 2    /* the tables are broken: the fault may be a consequence */
};

/* All that is known of a fault. Its layout is fixed for a target and version, so that a debugger or a dump of memory
 * can be read by it. What is not known is 0. */
struct knoll_fault_report {
    const struct knoll_heap *heap;
    uintptr_t address; /* that the call named; of an allocation that finds a write after free, the first such byte */
    uintptr_t block;   /* the start of the block that it is in or was in, as callers know it */
    size_t block_size; /* all bytes of that block: of its class, or of its run */
    size_t requested;  /* rung 2: the bytes that it was last asked for with */
    uintptr_t broken;  /* rung 2: the first byte that is not as it was left */
    struct knoll_origin allocated; /* rung 2: who asked for the block */
    struct knoll_origin freed;     /* rung 2: who freed it, while it is in quarantine */
    struct knoll_origin found;     /* rung 2: whose call found the fault */
    size_t count;                  /* faults so far, in all heaps */
    uint32_t fault;                /* enum knoll_fault */
    uint32_t evidence;             /* enum knoll_evidence */
    uint32_t invariant;            /* the first invariant that is broken, as of knoll_check; 0 if none is known to be */
    uint32_t rung;                 /* KNOLL_HARDEN of the library */
};

#if KNOLL_FAULT_REPORT
/* The last fault of any heap: written before the handler is called or the trap executed, and at no other time. Heaps
 * of different owners share it: what two that fault at the same moment leave in it may be mixed. */
extern struct knoll_fault_report knoll_last_fault;
#endif

/* Verifies the heap by knoll_check, and notes in the report what is broken and what that points at. O(units). At rung 2
 * that is done before the handler is called. Call: reader. */
void knoll_fault_examine(const struct knoll_heap *heap, struct knoll_fault_report *report);

/* Writes the report as one line of ASCII, without a newline, ended by a null character and cut off if `size` bytes do
 * not suffice: 640 always do. Returns the length of what was written. Allocates nothing. Call: any. */
size_t knoll_fault_line(const struct knoll_fault_report *report, char *text, size_t size);

#if KNOLL_HARDEN >= 2
/* A block that has been freed and waits to be used again. */
struct knoll_quarantined {
    void *block;
    struct knoll_origin freed;
};
#endif

/* The state of one size class, and beside it what calls need to know of the class: so that one address leads to both.
 * Blocks are taken from its magazine; if that is empty, of the current slab those at hand; then those that came free
 * there since are at hand; if none did, another slab takes its place, one that has free blocks or a new one. */
struct knoll_class_state {
    uint64_t at_hand;     /* of the current slab, the blocks that are to be handed out next; all are free */
    uint64_t blocks;      /* constant: the bits of a slab's word that stand for a block */
    uint32_t *current;    /* the entry of the current slab, or NULL */
    unsigned char *start; /* of that slab */
    uint32_t partial;     /* first slab of the list, as a unit number */
    uint32_t slabs;       /* how many there are */
    uint32_t free_blocks; /* in them */
#if KNOLL_PROFILE == KNOLL_COMPACT
    uint32_t inverse; /* constant, as are `low` and `rotate`: see src/classes.h */
    uint32_t low;
#endif
    uint16_t size;  /* constant: of a block */
    uint8_t is_new; /* whether the blocks at hand have never been handed out */
    int8_t hints;   /* how many the magazine has; so many less than 0 if some may be to slabs that went back */
#if KNOLL_PROFILE == KNOLL_COMPACT
    uint8_t rotate;
#endif
#if KNOLL_MAGAZINE > 0
#if KNOLL_PROFILE == KNOLL_COMPACT
    uint8_t hint_index[KNOLL_MAGAZINE]; /* of the block in its slab; in classic the address tells */
#endif
    void *hint_block[KNOLL_MAGAZINE];    /* a free block */
    uint32_t *hint_slab[KNOLL_MAGAZINE]; /* the entry of its slab */
#endif
};

/* A heap. Complete so that it can be static; its members are private. Needs no initialisation before knoll_init. */
struct knoll_heap {
    struct knoll_region *region[KNOLL_REGIONS_MAX]; /* by region number, which is the order in which they were added */
    size_t total;                                   /* bytes in all other units of the regions */
    size_t peak;                                    /* the most bytes that callers held, at their blocks' usable size */
    size_t headroom;                                /* how much less than that they hold now */
    size_t failures;                                /* requests that got NULL, wraps */
    size_t allocations;                             /* blocks handed out, wraps */
    knoll_fault_handler fault_handler;
#if KNOLL_PROFILE == KNOLL_CLASSIC
    uint32_t filled[2];               /* one bit for each list of free runs that is not empty */
    uint32_t list[KNOLL_LIST_COUNT];  /* the second ones of each order after the first ones */
    uint32_t rest[KNOLL_REGIONS_MAX]; /* of each region, the first unit of its rest, see src/pages_buddy.c */
#else
    uint32_t *list;                      /* by number; where the region with the most units has room for them */
    uint32_t groups_filled;              /* one bit for each 32 lists of which one is not empty */
    uint32_t filled[KNOLL_LIST_GROUPS];  /* one bit for each list that is not empty */
    uint16_t last_list;                  /* has all that are longer, too */
    uint32_t few_lists[KNOLL_FEW_LISTS]; /* room for the lists while no region is long enough to have it */
#endif
    uint32_t free_runs[KNOLL_RUN_ORDERS]; /* how many free runs there are of 2^i to 2^(i+1) - 1 units */
    uint32_t spare_slab;                  /* the slab that was last seen empty, kept in hand */
    uint32_t large_blocks;                /* blocks that are runs */
    uint32_t spans;                       /* of those, spans of processors (knoll_cpu.h) */
    uint8_t region_count;
    uint8_t by_address[KNOLL_REGIONS_MAX]; /* the region numbers, sorted by address */
    struct knoll_class_state size_class[KNOLL_CLASS_COUNT];
#if KNOLL_HARDEN >= 2
    uintptr_t secret;          /* which canaries are made of */
    uintptr_t tag;             /* the caller's, for what is allocated and freed from now on */
    size_t peak_held;          /* the most bytes that callers held, what is in quarantine not counted */
    size_t quarantined_bytes;  /* in the blocks that wait */
    uint32_t quarantine_first; /* the place of the one that has waited longest */
    uint32_t quarantine_count; /* blocks that wait */
    struct knoll_quarantined quarantine[KNOLL_QUARANTINE_BLOCKS]; /* a ring */
#endif
};

/* ---- Making a heap ----
 *
 * A struct of zero bytes is a heap without memory: an allocation returns NULL, and statistics, walks and checks work.
 * But what is given a block (knoll_free and its like, knoll_realloc, knoll_usable_size) may not be called before
 * knoll_init, not even with NULL. The heap itself is never NULL, but where that is an error. */

/* Makes a heap of one region. `start` must be aligned to KNOLL_PAGE, `size` a multiple of it and KNOLL_MINIMUM_HEAP at
 * least. Returns KNOLL_OK, or a negative enum knoll_error and then has written nothing. The tables take at most 1.6 %
 * of the region, or one unit where that is more, and KNOLL_TABLE_SLACK. Cost: clears the tables, so proportional to
 * size, unless KNOLL_MEMORY_IS_ZERO. On 32 bits give 2 GiB or more in two regions: C has no differences of pointers
 * that are further apart in a block. Call: owner.
 *
 * The library's part is told the caller's knobs, and refuses any others than its own. From other languages call that.
 */
int knoll_init_for(struct knoll_heap *heap, void *start, size_t size, uint32_t knobs);

static inline int knoll_init(struct knoll_heap *heap, void *start, size_t size)
{
    return knoll_init_for(heap, start, size, KNOLL_KNOBS);
}

/* Adds a region to a heap that knoll_init has made, at any time and at any address. The same limits, but it may be
 * smaller: what is needed is one unit beside its tables. Blocks never span regions. Returns KNOLL_OK, or a negative
 * enum knoll_error and then has written nothing. Call: owner. */
int knoll_add_memory(struct knoll_heap *heap, void *start, size_t size);

/* Sets the function that faults are reported to; NULL, the value after knoll_init, means trap. Call: owner. */
void knoll_set_fault_handler(struct knoll_heap *heap, knoll_fault_handler handler);

/* ---- Hardening: what rung 2 (KNOLL_HARDEN, docs/hardening.md) adds. At lower rungs these do nothing. ----
 *
 * At rung 2 each block has a front part before it and a canary after it, so that usable and good sizes are just what
 * was asked for; what a block takes of the heap with both is counted in knoll_used_bytes. Freed blocks are filled and
 * wait in a quarantine, which is not counted as used. All memory that is free holds that fill: so knoll_init,
 * knoll_add_memory, allocating and freeing cost O(size), knoll_check O(bytes), and the visitor of knoll_walk_free must
 * not take away what backs a run. A write that is found late, when an allocation comes upon it or a block leaves the
 * quarantine, is reported and made good, and the call goes on. */

#if KNOLL_HARDEN >= 2

/* Makes canaries depend on a number that those who may want to forge them do not know. Only before the first block is
 * handed out; later it does nothing. Without it they depend on where the heap lies. Call: owner. */
void knoll_set_secret(struct knoll_heap *heap, uintptr_t secret);

/* What is noted as the caller's tag for blocks that are allocated and freed from now on: a thread, a module. Of a
 * block's allocation the highest eight bits are not kept. Call: owner. */
void knoll_set_tag(struct knoll_heap *heap, uintptr_t tag);

/* Empties the quarantine, verifying what is in it. Call: owner. */
void knoll_drain(struct knoll_heap *heap);

/* Verifies what lies round all blocks, what is free in slabs, and the quarantine, as knoll_check does, but neither the
 * tables nor free runs further than a unit from their ends. Returns 0, or 16 to 18, the number of the invariant that is
 * broken. O(bytes in slabs and large blocks). Call: reader. */
int knoll_check_blocks(const struct knoll_heap *heap);

#else

static inline void knoll_set_secret(struct knoll_heap *heap, uintptr_t secret)
{
    (void)heap, (void)secret;
}

static inline void knoll_set_tag(struct knoll_heap *heap, uintptr_t tag)
{
    (void)heap, (void)tag;
}

static inline void knoll_drain(struct knoll_heap *heap)
{
    (void)heap;
}

static inline int knoll_check_blocks(const struct knoll_heap *heap)
{
    (void)heap;
    return 0;
}

#endif

/* ---- Allocating (C23 7.24.3, but that size zero always gives a distinct block) ----
 *
 * NULL means that memory does not suffice, and is counted as a failure: no block of the request's class or of a larger
 * one is free, and no free run is long enough for the request, or for a slab of its class. In compact a request can
 * also be refused although a run would do:
 *   - one that is less than a sixteenth longer than the request, if a shorter one was freed after it;
 *   - for more alignment than a unit has, one in which the request fits only because of where that run lies;
 *   - a single unit, until a neighbour of it is free too.
 *
 * Requests of up to KNOLL_SLAB_MAXIMUM bytes cost O(1), larger ones O(log n) in classic, where n is the region's number
 * of units, and O(1) in compact. */

/* Call: owner. */
void *knoll_malloc(struct knoll_heap *heap, size_t size);

/* The block's first count * size bytes are zero. NULL too if the product overflows. Clears the block: O(size). Call:
 * owner. */
void *knoll_calloc(struct knoll_heap *heap, size_t count, size_t size);

/* `alignment` is a power of two, else NULL; `size` need not be a multiple of it. Call: owner. */
void *knoll_aligned_alloc(struct knoll_heap *heap, size_t alignment, size_t size);

/* Changes a block's size, keeping the contents up to the lesser of both sizes and the alignment that it was asked for
 * with. Stays in place where the class is the same or the run's free neighbour suffices, otherwise moves: O(size), and
 * both blocks are in use for a moment. On NULL the block is untouched and still the caller's. Shrinking never fails.
 * realloc(NULL, n) is malloc(n). Call: owner. */
void *knoll_realloc(struct knoll_heap *heap, void *block, size_t size);

/* Hands out up to `count` blocks of this size at once, each as by knoll_malloc, and writes them to blocks[]. Returns
 * how many; fewer only if memory does not suffice, which then counts as one failure. For caches in front of a heap,
 * which hold a lock meanwhile: a block costs half of what a knoll_malloc does. O(count). Call: owner. */
size_t knoll_malloc_batch(struct knoll_heap *heap, size_t size, size_t count, void **blocks);

/* ---- Freeing ----
 *
 * A null pointer is ignored; anything else that is not a block which the caller holds is a fault. Same costs. */

/* Call: owner. */
void knoll_free(struct knoll_heap *heap, void *block);

/* As C23 free_sized and free_aligned_sized: `size` and `alignment` are those that the block was last asked for with. A
 * size that would be served by a longer or shorter block is a fault (KNOLL_FAULT_SIZE); a wrong one that would be
 * served by as long a block is seen at rung 2 alone. Below that two more are not seen: a size that would be right with
 * an alignment which another block of the slab was asked for with, and any that the block's class holds where a block
 * of the slab, for want of memory, serves what its class was not made for. Call: owner. */
void knoll_free_sized(struct knoll_heap *heap, void *block, size_t size);
void knoll_free_aligned_sized(struct knoll_heap *heap, void *block, size_t alignment, size_t size);

/* Frees so many blocks, as by knoll_free. O(count). Call: owner. */
void knoll_free_batch(struct knoll_heap *heap, void *const *blocks, size_t count);

/* ---- Asking ---- */

/* The usable size of the block that such a request is given where there is memory enough; it is never given less. 0 for
 * an alignment that is no power of two, and for a size beyond what runs can be numbered for: in classic that is the
 * greatest power of two below the largest region, in compact the largest region. Call: any. */
size_t knoll_good_size(const struct knoll_heap *heap, size_t alignment, size_t size);

/* The bytes that the caller of this block may use: all that knoll_good_size promised. 0 for NULL. Call: reader. */
size_t knoll_usable_size(const struct knoll_heap *heap, const void *block);

/* Whether the address is in one of the heap's regions, be it of a block or not: 1 or 0. Call: reader. */
int knoll_owns(const struct knoll_heap *heap, const void *address);

/* Call: reader. */
size_t knoll_total_bytes(const struct knoll_heap *heap); /* what the heap can hand out: its regions less its tables */
size_t knoll_used_bytes(const struct knoll_heap *heap);  /* in blocks that callers hold, at their usable size */
size_t knoll_available_bytes(const struct knoll_heap *heap); /* the difference, exactly */

struct knoll_class_stats {
    size_t block_size;
    size_t slabs;
    size_t total_blocks; /* in those slabs */
    size_t used_blocks;  /* that callers hold */
};

struct knoll_stats {
    size_t total_bytes;
    size_t used_bytes;
    size_t available_bytes;
    size_t peak_used_bytes;
    size_t table_bytes;   /* of the regions, taken by the heap itself */
    size_t largest_block; /* the largest size with which knoll_malloc would succeed now; 0 if none. At rung 2 without
                             what is in quarantine, so that a larger one may succeed */
    size_t allocations;   /* blocks handed out so far; a knoll_realloc that moves counts as one, one in place as none */
    size_t frees;         /* blocks taken back so far */
    size_t failures;      /* requests that got NULL */
    size_t regions;
    size_t unit_bytes;   /* the page layer's unit */
    size_t large_blocks; /* blocks that are runs, and their bytes */
    size_t large_bytes;
    size_t class_count; /* KNOLL_CLASS_COUNT */
    struct knoll_class_stats size_class[KNOLL_CLASS_COUNT];
    size_t free_runs[KNOLL_RUN_ORDERS]; /* free runs of 2^i to 2^(i+1) - 1 units */
#if KNOLL_HARDEN >= 2
    size_t quarantined_blocks; /* that wait to be used again, and their bytes */
    size_t quarantined_bytes;
#endif
};

/* Fills in *stats. All of it is kept as the heap works: O(classes + orders). Call: reader. */
void knoll_get_stats(const struct knoll_heap *heap, struct knoll_stats *stats);

/* ---- Inspecting ---- */

/* Verifies the whole heap. Returns 0, or the number of the first invariant that is broken (docs/design.md lists them;
 * knoll_invariant names them). O(units); follows no link without verifying it first. Call: reader. */
int knoll_check(const struct knoll_heap *heap);

/* The same; *where tells where the invariant is broken: the address of the unit of memory that the tables are wrong
 * about, or of the member of *heap, or of a region, that is wrong by itself. NULL if all hold. knoll_live.h has the
 * same check in slices, for systems that cannot wait for the whole. Call: reader. */
int knoll_check_at(const struct knoll_heap *heap, const void **where);

/* One line for each number that knoll_check returns. Call: any. */
const char *knoll_invariant(int number);

enum knoll_item_kind {
    KNOLL_ITEM_REGION, /* one region, whole; the items in it follow */
    KNOLL_ITEM_TABLES, /* the part of it that the heap keeps for itself */
    KNOLL_ITEM_FREE,   /* a free run */
    KNOLL_ITEM_SLAB,   /* a slab; block_size says how it is cut, and the blocks that callers hold follow */
    KNOLL_ITEM_LARGE,  /* a run that is one block, which follows */
    KNOLL_ITEM_BLOCK   /* a block that a caller holds */
};

struct knoll_item {
    enum knoll_item_kind kind;
    const void *start;
    size_t size;       /* bytes from start */
    size_t block_size; /* of a slab's blocks; at rung 2 what a block takes, its guards included; for others, size */
    size_t blocks; /* a slab's blocks, held or not; 0 for free runs, tables and regions; 1 for large runs and blocks */
#if KNOLL_HARDEN >= 2
    struct knoll_origin allocated; /* of a block: who asked for it, or resized it last; 0 if its front part is broken */
    uint32_t age;                  /* of a block: how many were handed out since, modulo 2^32 (KNOLL_BLOCK_AGE) */
#endif
};

/* Gets each item; returns 0 to go on. It must not change the heap. */
typedef int (*knoll_visitor)(void *context, const struct knoll_item *item);

/* Visits every region, run, slab and live block in address order. Returns 0, or what the visitor returned to stop.
 * O(units + blocks). Call: reader. */
int knoll_walk(const struct knoll_heap *heap, knoll_visitor visitor, void *context);

/* Visits the free runs of `least` bytes or more (compact: not single units), in any order, as long as the visitor
 * returns 0. Returns 0, or what the visitor returned to stop. At rungs 0 and 1 the heap keeps nothing in a free run: so
 * the visitor may unmap its pages, or give them to a hypervisor, as long as memory is there again when a block in them
 * is used; at rung 2 only if it then reads as zero, and with KNOLL_MEMORY_IS_ZERO. O(their number, and that of runs at
 * least half as long). Call: reader. */
int knoll_walk_free(const struct knoll_heap *heap, size_t least, knoll_visitor visitor, void *context);

/* Texts for an enum knoll_error and an enum knoll_fault; "unknown ..." for any other number. Call: any. */
const char *knoll_strerror(int error);
const char *knoll_fault_name(int fault);

/* The version of the library that is linked in, as KNOLL_VERSION is that of the header. Call: any. */
const char *knoll_version(void);

/* The name of the profile that the library was built with: "classic" or "compact". Call: any. */
const char *knoll_profile(void);

#ifdef __cplusplus
}
#endif

#endif
