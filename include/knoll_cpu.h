/* knoll for many processors: one heap, and in front of it for each processor slabs of its own.
 *
 * A processor takes blocks of up to KNOLL_SLAB_MAXIMUM bytes from slabs that it owns, and gives back its own, without a
 * lock and without an atomic read-modify-write. A block of another's slab goes back by one atomic OR, and if it is the
 * first that its owner has not seen yet by a compare-and-exchange, an exchange and a store: wait-free, from any
 * context. Runs of up to a quarter of a span it cuts out of spans that it has for itself, and gives back likewise.
 * Longer runs, and the moving of slabs and spans, take the heap's lock, for a bounded time.
 *
 * A "processor" is whatever runs one call at a time on its struct knoll_cpu: a processor with preemption off, a thread,
 * or an interrupt level that has a struct of its own. Each function says from where it may be called:
 *
 * "owner": where the struct knoll_cpu is used by nobody else meanwhile: a thread that cannot be preempted by, or moved
 * to, another user of it; and an interrupt handler only if its struct is not that of what it interrupts. May take the
 * lock, so never from a non-maskable interrupt, nor while the caller holds the lock.
 *
 * "any": threads, interrupts, and non-maskable interrupts, on any processor, at any time.
 *
 * "quiet": while no other function runs on the same struct knoll_cpus.
 *
 * The fault handler is called from where the faulty call came. But that two processors freed one block at the same
 * moment is found later, by whoever comes upon it, in a call that may be innocent, and which may have the lock: so a
 * handler may call nothing that takes it. It may read knoll_last_fault, and call knoll_fault_line; knoll_fault_examine
 * only once the others stand still.
 *
 * Not in knoll.h, and in files of its own: who has one owner pays nothing for this. Needs atomic operations of 64 bits,
 * and has rungs 0 and 1 of KNOLL_HARDEN alone.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CPU_H
#define KNOLL_CPU_H

#include "knoll.h"

#if KNOLL_ANNOTATE != 0
#error "knoll_cpu.h tells no tool of its blocks: KNOLL_ANNOTATE must be 0"
#endif

#if KNOLL_HARDEN > 1
#error "knoll_cpu.h has rungs 0 and 1 of hardening: its blocks have no guards"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of a group of units beside the heap's own tables; of a slab, in its first group's. KNOLL_CPU_ENTRY
 * bytes a group, of 4096 bytes in classic and 2048 in compact. */
struct knoll_cpu_entry {
    uint64_t returned; /* blocks that others gave back since; atomic. Of runs: one bit for each unit that starts one */
    uint64_t free;     /* one bit a block: who owns the slab, or holds the lock where nobody does, may hand it out. Of a
                          span: how many units of it callers hold, and from bit 32 in how many runs */
    uint32_t next_queued; /* in its owner's queue of slabs with returned blocks */
    uint32_t next;     /* in its owner's list of slabs with free blocks, or of spans. Of runs: how long the one is that
                          starts in the group's second half */
    uint32_t previous; /* or that it is in no list. Of runs: whether the one that starts in the first half was asked for
                          as another size, and from bit 1 how long it is */
    uint16_t owner;    /* the number of a processor, or 0: none; and a flag. Of runs: of the span that they are in */
    uint8_t shape;     /* of the slab that the group is in, as the heap's tables say it; or 0 */
    uint8_t alignment; /* log2 of the greatest that one of its blocks was asked for with, less 4. Of runs: whether
                          the one that starts in the second half was asked for as another size */
#if KNOLL_CPU_ENTRY == 64
    uint32_t apart[8]; /* so that no two are in a cache line */
#endif
};

/* The slabs of one size class that a processor has. */
struct knoll_cpu_class {
    struct knoll_cpu_entry *current; /* where blocks are taken from */
    unsigned char *start;            /* the current slab's first block */
    uint32_t group;                  /* the current slab's */
    uint32_t list;                   /* the first of the other slabs with free blocks: that was listed last */
    uint32_t oldest;                 /* the last of them */
    uint32_t listed;                 /* how many they are */
    int32_t room;                    /* how many blocks more may be free in all of them, before some go back */
};

/* How many lists of free runs a processor has in compact, by length; the last is for those of whole spans. In classic
 * they are in struct knoll_heap. */
#if KNOLL_PROFILE == KNOLL_COMPACT && KNOLL_CPU_SPAN_SHIFT != 0
#define KNOLL_CPU_LISTS ((KNOLL_CPU_SPAN_SHIFT - KNOLL_UNIT_SHIFT - 3) * 16)
#else
#define KNOLL_CPU_LISTS 1
#endif

/* One for each processor, in memory that stays. Private. */
struct knoll_cpu {
    struct knoll_cpus *cpus;
    uint32_t number;             /* from 1 */
    uint32_t shortages;          /* how many it has answered */
    uint32_t unseen;             /* blocks that it gave back to nobody's slabs since it last looked through these */
    struct knoll_cpu_entry none; /* stands for the current slab where there is none */
    struct knoll_cpu_class size_class[KNOLL_CLASS_COUNT];
    uint32_t spans;                      /* the first of its spans, the group */
    uint32_t span_count;                 /* how many they are */
    uint32_t held;                       /* units of them that callers hold */
    struct knoll_heap runs;              /* whose free runs are those in the spans */
    uint32_t no_region[10];              /* its first region, of no unit: where lists end (src/region.h) */
    uint32_t lists[KNOLL_CPU_LISTS];     /* its lists, in compact */
    uint32_t apart[KNOLL_CPU_ENTRY / 4]; /* so that no two in an array share a cache line */
};

/* Slabs that have returned blocks and wait for who may take these: a queue that any context may push to. */
struct knoll_cpu_queue {
    uint32_t last;          /* pushed; atomic */
    uint32_t rest;          /* what was taken from the queue and could not be looked at yet */
    uint32_t busy;          /* somebody takes from it; atomic */
    uint32_t is_off;        /* its processor is: whoever holds the lock takes in its place */
    uint32_t apart[16 - 4]; /* a cache line each */
};

/* A region as the processors see it. */
struct knoll_cpu_region {
    uintptr_t start;
    uintptr_t size;
    struct knoll_cpu_entry *entries; /* by group, from the region's start */
};

/* Locks, or unlocks, what the heap's processors share. In a kernel a spin lock that also turns interrupts off here, if
 * interrupt handlers are owners; in a program a mutex. */
typedef void (*knoll_cpu_lock)(void *context);

/* A heap for many processors. Private, and must not be moved. */
struct knoll_cpus {
    struct knoll_heap heap;
    uint32_t turn;                       /* the processor whose queue is looked at next, if it is off */
    uint32_t apart[KNOLL_CPU_ENTRY / 4]; /* from here on all processors read, before here who has the lock writes */
    knoll_cpu_lock lock;
    knoll_cpu_lock unlock;
    void *context;
    uint32_t region_count; /* atomic: regions are only added */
    uint32_t shortages;    /* atomic: how often memory did not suffice, which every processor answers by giving back */
    struct knoll_cpu_region region[KNOLL_REGIONS_MAX];
    struct knoll_cpu_queue queue[KNOLL_CPUS + 1]; /* the first is of slabs that nobody owns, and runs */
};

/* ---- Making ---- */

/* Makes a heap of one region for processors 1 to KNOLL_CPUS. As knoll_init, but that there is a table for
 * processors besides, of 1.6 % of the region in classic and 3.1 % in compact (with KNOLL_CPU_ENTRY=32 half of that),
 * which is in neither total_bytes nor table_bytes, and that KNOLL_MINIMUM_HEAP is what must be left. No region may meet
 * *cpus. A fault handler is set by knoll_set_fault_handler(&cpus->heap, ...), and gets &cpus->heap; of knoll.h's other
 * functions those that change nothing may be called with it, when quiet. `lock` and `unlock` are called with
 * `context`; both NULL where nothing is shared. But for KNOLL_ERROR_KNOBS and _NULL an error too leaves *cpus empty.
 * Call: quiet.
 *
 * The library's part is told the caller's knobs, as knoll_init_for. */
int knoll_cpus_init_for(struct knoll_cpus *cpus, void *start, size_t size, knoll_cpu_lock lock, knoll_cpu_lock unlock,
                        void *context, uint64_t knobs);

static inline int knoll_cpus_init(struct knoll_cpus *cpus, void *start, size_t size, knoll_cpu_lock lock,
                                  knoll_cpu_lock unlock, void *context)
{
    return knoll_cpus_init_for(cpus, start, size, lock, unlock, context, KNOLL_CPU_KNOBS);
}

/* Adds a region, as knoll_add_memory; with spans there can be one less. Call: where the lock may be taken; others may
 * run meanwhile. */
int knoll_cpus_add_memory(struct knoll_cpus *cpus, void *start, size_t size);

/* Makes *cpu the state of processor `number`, 1 to KNOLL_CPUS, which has none in use. False for any other number. A
 * processor that comes back goes on with the slabs that it had. Call: where the lock may be taken. */
int knoll_cpu_start(struct knoll_cpu *cpu, struct knoll_cpus *cpus, unsigned number);

/* Gives back all that the processor has free, before it goes away. Blocks that it handed out stay valid and can be
 * given back by others. *cpu may then be used for nothing but knoll_cpu_start. O(slabs that it has, and runs in its
 * spans). Call: owner. */
void knoll_cpu_drain(struct knoll_cpu *cpu);

/* ---- Allocating and freeing: as the functions of knoll.h, whose names these have ---- */

/* NULL when memory does not suffice: even after this processor has given back all that it has free, and has looked
 * through what others have returned. Each other processor gives back its own at its next call that needs a slab or a
 * run, so it can be worth asking again. Up to a quarter of a span (KNOLL_CPU_SPAN_SHIFT): O(1), and mostly without the
 * lock. Call: owner. */
void *knoll_cpu_malloc(struct knoll_cpu *cpu, size_t size);
void *knoll_cpu_calloc(struct knoll_cpu *cpu, size_t count, size_t size);
void *knoll_cpu_aligned_alloc(struct knoll_cpu *cpu, size_t alignment, size_t size);
void *knoll_cpu_realloc(struct knoll_cpu *cpu, void *block, size_t size);

/* `block` may be of any processor. Without the lock, unless it is a run of no span, or more is free in this processor's
 * slabs or spans afterwards than may be. Call: owner. */
void knoll_cpu_free(struct knoll_cpu *cpu, void *block);
void knoll_cpu_free_sized(struct knoll_cpu *cpu, void *block, size_t size);
void knoll_cpu_free_aligned_sized(struct knoll_cpu *cpu, void *block, size_t alignment, size_t size);

/* Frees a block of any kind: one atomic OR, and for the first that its owner has not seen a compare-and-exchange, an
 * exchange and a store; no lock, no loop. The memory comes back to use when the block's owner, or whoever takes the
 * lock, next looks. A block that was freed before this call is a fault at once. Of two calls that free one block at the
 * same moment, neither after the other, the fault may be reported when the block is next looked at; it is handed out
 * once all the same. Call: any. */
void knoll_cpus_free(struct knoll_cpus *cpus, void *block);

/* Takes back what others have returned to this processor, and gives back what has come free, spans without a block
 * among it: for a processor that has little to do. O(returned slabs and runs, spans). Call: owner. */
void knoll_cpu_collect(struct knoll_cpu *cpu);

/* As knoll_usable_size. Call: any, if the block is the caller's. */
size_t knoll_cpus_usable_size(const struct knoll_cpus *cpus, const void *block);

/* ---- Inspecting ---- */

/* As knoll_get_stats, but that one region more is counted, which has tables alone. What processors have free, and what
 * is returned to them, counts as available; the peak and the counts of calls are of what processors took from the heap
 * and gave back to it. Exact when quiet, else near. O(groups). Call: where the lock may be taken. */
void knoll_cpus_get_stats(struct knoll_cpus *cpus, struct knoll_stats *stats);

/* As knoll_check; besides, verifies that what is said of slabs here agrees with the heap's tables, and gives -1 if not.
 * Call: quiet. */
int knoll_cpus_check(const struct knoll_cpus *cpus);

/* -1 if this processor's lists are broken, else 0. O(slabs that it has). Call: owner. */
int knoll_cpu_check(const struct knoll_cpu *cpu);

/* With KNOLL_THIS_CPU defined as an expression that gives the caller's struct knoll_cpu, such as this_cpu(): the same
 * functions without the argument. */
#ifdef KNOLL_THIS_CPU
static inline void *knoll_here_malloc(size_t size)
{
    return knoll_cpu_malloc(KNOLL_THIS_CPU, size);
}

static inline void *knoll_here_calloc(size_t count, size_t size)
{
    return knoll_cpu_calloc(KNOLL_THIS_CPU, count, size);
}

static inline void *knoll_here_aligned_alloc(size_t alignment, size_t size)
{
    return knoll_cpu_aligned_alloc(KNOLL_THIS_CPU, alignment, size);
}

static inline void *knoll_here_realloc(void *block, size_t size)
{
    return knoll_cpu_realloc(KNOLL_THIS_CPU, block, size);
}

static inline void knoll_here_free(void *block)
{
    knoll_cpu_free(KNOLL_THIS_CPU, block);
}

static inline void knoll_here_free_sized(void *block, size_t size)
{
    knoll_cpu_free_sized(KNOLL_THIS_CPU, block, size);
}

static inline void knoll_here_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    knoll_cpu_free_aligned_sized(KNOLL_THIS_CPU, block, alignment, size);
}
#endif

#ifdef __cplusplus
}
#endif

#endif
