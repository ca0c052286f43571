/* What many processors share: from an address to its group's entry, the bits in it, and the queues of slabs with
 * returned blocks.
 *
 * A block of a slab is in one of three states, told by two words of the slab's first entry:
 *
 *     free  returned
 *      0       0      a caller holds it
 *      1       0      it may be handed out by who owns the slab, or holds the lock if nobody does
 *      0       1      given back by another, and not seen by the owner yet
 *
 * `free` is written by one at a time. `returned` is changed by atomic OR and AND only.
 *
 * A group with returned blocks waits in its owner's queue, a chain from the group pushed last to the first. Its entry's
 * next_queued says whether it does, or is in the hand of who took it out: QUEUE_NOT if neither. Whoever returns a block
 * looks after the OR; who finds QUEUE_NOT and changes it to QUEUE_CUT pushes the group: an exchange of the chain's end
 * with it, and then a store that says what came before it. Until that store the chain is cut there, and who takes from
 * the queue goes on at that group next time. Whoever has done with a group that it took writes QUEUE_NOT, then looks at
 * `returned` again, and pushes the group if that is not 0. The OR and the look, that write and that look are
 * sequentially consistent: so no returned block is overlooked. And nobody else takes the group meanwhile: so one at a
 * time moves blocks out of `returned`.
 *
 * Who looks late, when its block was taken already, pushes a group with no returned block. By then its slab may be gone
 * and the group be any, so of one with none nothing else may be believed. One with any is what it says: they keep it.
 * So who takes a group from a queue looks at `returned` before anything else of it.
 *
 * But a block that two free at once may be said to be returned when it is free already, and its slab gone: that bit
 * keeps nothing. So no bit is believed of a block that the slab has not, or that is free; and who has the lock looks
 * whether there is such a slab, or run.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CPU_TABLE_H
#define KNOLL_CPU_TABLE_H

#include "knoll_cpu.h"
#include "large.h"
#include "slab.h"

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error "knoll_cpu.h needs atomic operations of 64 bits"
#endif

#define ENTRY_SHIFT (KNOLL_CPU_ENTRY == 64 ? 6 : 5)
_Static_assert(sizeof(struct knoll_cpu_entry) == 1 << ENTRY_SHIFT, "knoll_cpu.h and knoll_cpus_init say so");

#define GROUP_BYTES_SHIFT (KNOLL_UNIT_SHIFT + GROUP_SHIFT)
#define GROUP_INDEX_BITS  (INDEX_BITS - GROUP_SHIFT)

/* What stands in queues besides groups, which stand there as their number plus 1. */
#define QUEUE_NOT UINT32_C(0)
#define QUEUE_CUT (UINT32_MAX - 1)
#define QUEUE_END UINT32_MAX

#define NOBODY 0u /* owns a slab whose free blocks are in the heap's hand */

#define NO_GROUP   0u         /* of a list: the first group is no slab's, for it has the heap's tables */
#define NOT_LISTED UINT32_MAX /* `previous` of a slab in no list */

/* With the owner's number: a block of the slab was asked for as another size, see knoll_realloc. */
#define OWNER_MASK  0x7FFFu
#define OWNER_LOOSE 0x8000u

/* Where a block lies: in a slab, or as a run of its own, whose shape is NULL and whose index is of the unit that it
 * starts with in its group. */
struct cpu_place {
    struct knoll_cpu_entry *entry;
    const struct knoll_shape *shape;
    uint32_t group; /* its number: the region's, then that of the group in it */
    uint32_t index;
};

static inline uint64_t entry_free(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->free, __ATOMIC_RELAXED);
}

static inline void entry_set_free(struct knoll_cpu_entry *entry, uint64_t word)
{
    __atomic_store_n(&entry->free, word, __ATOMIC_RELAXED);
}

static inline uint64_t entry_returned(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->returned, __ATOMIC_RELAXED);
}

/* Whether any is returned, for who has the group in hand: what is looked at after this is true then. */
static inline bool entry_has_returned(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE) != 0;
}

static inline uint32_t entry_owner(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->owner, __ATOMIC_ACQUIRE) & OWNER_MASK;
}

/* The heap's region from which processors have memory. Where they have spans there is one before it that is all tables,
 * so that no span is in it: for its number is that of the region which a processor's lists end in. */
#define FIRST_REGION (KNOLL_CPU_SPAN_SHIFT == 0 ? 0u : 1u)

static inline bool entry_is_loose(const struct knoll_cpu_entry *entry)
{
    return (__atomic_load_n(&entry->owner, __ATOMIC_RELAXED) & OWNER_LOOSE) != 0;
}

/* Says who owns the slab and whether it is loose, under the lock. Who sees it sees what was said of the group before.
 */
static inline void entry_set_owner(struct knoll_cpu_entry *entry, uint32_t owner, bool is_loose)
{
    __atomic_store_n(&entry->owner, (uint16_t)(owner | (is_loose ? OWNER_LOOSE : 0)), __ATOMIC_RELEASE);
}

static inline unsigned entry_shape(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->shape, __ATOMIC_RELAXED);
}

/* The greatest alignment that one of the slab's blocks was asked for with. */
static inline size_t entry_alignment(const struct knoll_cpu_entry *entry)
{
    return (size_t)BLOCK_ALIGNMENT << __atomic_load_n(&entry->alignment, __ATOMIC_RELAXED);
}

/* Notes that one was asked for with this alignment, for whoever writes `free`. */
static inline void entry_note_alignment(struct knoll_cpu_entry *entry, size_t alignment)
{
    if (entry_alignment(entry) < alignment)
        __atomic_store_n(&entry->alignment, (uint8_t)(bits_highest(alignment) - 4), __ATOMIC_RELAXED);
}

/* Finds the slab that the address is in, in the region of this number; false if it is in none. */
static inline bool cpu_find_slab(const struct knoll_cpus *cpus, uint32_t number, const void *address,
                                 struct cpu_place *place)
{
    const struct knoll_cpu_region *region = &cpus->region[number];
    uintptr_t offset = (uintptr_t)address - region->start;
    if (offset >= region->size)
        return false;
    unsigned shape = entry_shape(&region->entries[offset >> GROUP_BYTES_SHIFT]);
    if (shape == 0)
        return false;
    place->shape = shape_of(shape);
    uint32_t within = (uint32_t)(uintptr_t)address & place->shape->low;
    uintptr_t start = offset - within; /* of whole groups, so that one shift makes of it where the slab's entry is */
    place->group = number << GROUP_INDEX_BITS | (uint32_t)(start >> GROUP_BYTES_SHIFT);
    place->entry =
        (struct knoll_cpu_entry *)((uintptr_t)region->entries + (start >> (GROUP_BYTES_SHIFT - ENTRY_SHIFT)));
    place->index = shape_block_at(place->shape, within);
    return true;
}

/* The blocks of the slab that no caller holds, as far as who asks can know. A block moves from `returned` to `free` by
 * being in both for a moment, so it is not missed in this order. */
static inline uint64_t cpu_slab_not_held(const struct knoll_cpu_entry *entry)
{
    uint64_t returned = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE);
    return returned | entry_free(entry);
}

/* Whether a caller holds the slab's block at this place. */
static inline bool cpu_slab_holds(const struct cpu_place *place)
{
    /* not covered: knoll_cpu_find has seen to the index; this keeps the shift defined by itself */
    return shape_has(place->shape, place->index) && (cpu_slab_not_held(place->entry) >> place->index & 1) == 0;
}

/* Of a run its group says besides how long it is, and whether it was asked for as another size, see knoll_realloc: for
 * its cells are read by who gives back its neighbours, and changed without the lock by the processor that has its span.
 * Each half of a group has members of its own for that, because no two runs start in one; in a span's first group no
 * run starts but the span itself. They are written by who takes the run, and then who holds it. */
static inline bool entry_has_loose_run(const struct knoll_cpu_entry *entry, uint32_t index)
{
    if (index < 2)
        return (__atomic_load_n(&entry->previous, __ATOMIC_RELAXED) & 1) != 0;
    return __atomic_load_n(&entry->alignment, __ATOMIC_RELAXED) != 0;
}

static inline uint32_t entry_run_length(const struct knoll_cpu_entry *entry, uint32_t index)
{
    if (index < 2)
        return __atomic_load_n(&entry->previous, __ATOMIC_RELAXED) >> 1;
    return __atomic_load_n(&entry->next, __ATOMIC_RELAXED);
}

static inline void entry_set_run(struct knoll_cpu_entry *entry, uint32_t index, uint32_t length, bool is_loose)
{
    if (index < 2) {
        __atomic_store_n(&entry->previous, length << 1 | (is_loose ? 1u : 0u), __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&entry->next, length, __ATOMIC_RELAXED);
        __atomic_store_n(&entry->alignment, is_loose, __ATOMIC_RELAXED);
    }
}

/* Whether this run, which is not free, is a span. */
static inline bool is_span(const uint32_t *run)
{
    return (*run & RUN_NESTED) != 0;
}

/* The bits of `returned` that a group's runs have. */
#define RUN_BITS (bit(GROUP_UNITS) - 1)

/* Whether a run that callers may hold starts with this cell, and not a span. */
static inline bool run_is_held(const uint32_t *run)
{
    return cell_kind(*run) == RUN_LARGE && !is_span(run);
}

/* Says of the group after this one, if it was the second of a slab of two that is gone, that it is no slab's: for this
 * one is about to be something else, and what is looked for in the second would be looked for here. */
static inline void entry_forget_second(struct knoll_cpu_entry *entry, uint32_t group)
{
    if (GROUP_SHIFT == 0 || group % 2 != 0)
        return;
    unsigned shape = entry_shape(&entry[1]);
    if (shape != 0 && shape_of(shape)->low >> GROUP_BYTES_SHIFT != 0)
        __atomic_store_n(&entry[1].shape, 0, __ATOMIC_RELAXED);
}

/* Says that no slab is in this group, but a run starts at this unit of it; and who has the span that it is in. */
static inline void entry_begin_run(struct knoll_cpu_entry *entry, uint32_t number, uint32_t owner, uint32_t length)
{
    if (entry_shape(entry) != 0) {
        entry_forget_second(entry, number >> GROUP_SHIFT);
        __atomic_store_n(&entry->shape, 0, __ATOMIC_RELAXED);
    }
    entry_set_run(entry, number % GROUP_UNITS, length, false);
    entry_set_owner(entry, owner, false);
}

static inline bool cpu_run_holds(const struct cpu_place *place)
{
    return (entry_returned(place->entry) >> place->index & 1) == 0;
}

/* The same, whatever another has done since, for who has the lock: `run` is the cell at this place. */
static inline bool cpu_run_stays(const struct cpu_place *place, const uint32_t *run)
{
    return entry_shape(place->entry) == 0 && cpu_run_holds(place) && run_is_held(run);
}

static inline struct knoll_cpu_entry *cpu_entry(const struct knoll_cpus *cpus, uint32_t group)
{
    return &cpus->region[group >> GROUP_INDEX_BITS].entries[group & ((1u << GROUP_INDEX_BITS) - 1)];
}

/* The shape of the slab that starts with this group, which one does. */
static inline const struct knoll_shape *cpu_slab_shape(const struct knoll_cpu_entry *entry)
{
    return shape_of(entry_shape(entry));
}

/* The first unit of a group. */
static inline uint32_t group_unit(uint32_t group)
{
    return group << GROUP_SHIFT;
}

/* Finds what a caller may hold at this address: in a slab the block that starts there, be it held or not; or a run. */
bool knoll_cpu_find(const struct knoll_cpus *cpus, const void *address, struct cpu_place *place);

/* Whether a run that was just taken is returned still, which is reported: two have given it back at one moment, neither
 * after the other. Then it is not to be had: it stays held until it is looked at. */
bool knoll_cpu_run_is_returned(struct knoll_cpus *cpus, uint32_t number);

/* Reports this address, at which no block is held. */
void knoll_cpu_report(struct knoll_cpus *cpus, enum knoll_fault fault, const void *address);
void knoll_cpu_report_address(struct knoll_cpus *cpus, const void *address);

/* How many blocks of a class a processor may have free. */
static inline int32_t cpu_most_free(size_t size_class)
{
    int32_t blocks = (int32_t)(KNOLL_CPU_BYTES / class_size(size_class));
    return 64 + (blocks > 64 ? blocks : 64);
}

/* ---- Queues (cpu_queue.c) ---- */

/* Puts a group into its owner's queue, if it is in none. */
void knoll_cpu_push(struct knoll_cpus *cpus, uint32_t group);

static inline bool entry_is_queued(const struct knoll_cpu_entry *entry)
{
    return __atomic_load_n(&entry->next_queued, __ATOMIC_SEQ_CST) != QUEUE_NOT;
}

/* Says that the slab's block at this place is given back. False if it was already. That is seen before the OR, or by
 * it: afterwards a free bit tells nothing, for it may be this call's own that was moved already. Wait-free: an OR of
 * one bit, of which only that bit is asked back, is one instruction on x86 too. */
static inline bool cpu_return(struct knoll_cpus *cpus, const struct cpu_place *place)
{
    struct knoll_cpu_entry *entry = place->entry;
    uint64_t mask = bit(place->index);
    if ((cpu_slab_not_held(entry) & mask) != 0)
        return false;
    /* not covered: somebody else must return the block between the look and the OR */
    if ((__atomic_fetch_or(&entry->returned, mask, __ATOMIC_SEQ_CST) & mask) != 0)
        return false; /* not covered: as the line before */
    if (!entry_is_queued(entry))
        knoll_cpu_push(cpus, place->group);
    return true;
}

/* The same for any block that knoll_cpu_find found. */
bool knoll_cpu_return(struct knoll_cpus *cpus, const struct cpu_place *place);

/* Begins to take from a queue; false if somebody else does so. */
bool knoll_cpu_queue_open(struct knoll_cpu_queue *queue);
void knoll_cpu_queue_close(struct knoll_cpu_queue *queue);

/* Takes a group from an open queue into the caller's hand; false if there is none that can be looked at now. */
bool knoll_cpu_queue_take(struct knoll_cpus *cpus, struct knoll_cpu_queue *queue, uint32_t *group);

/* Lets a group go that was taken; what is still or again returned to it puts it into its owner's queue. */
void knoll_cpu_queue_let_go(struct knoll_cpus *cpus, uint32_t group);

/* Moves a slab's returned blocks to its free ones, for who writes these and has the group in hand, and lets it go. */
void knoll_cpu_accept(struct knoll_cpus *cpus, uint32_t group);

/* Says that the runs of this group with these bits, which were returned, have been given back, and lets it go. A run's
 * bit goes only after it, so that who looks at the bit first and then for the run sees that it was given back. Reports
 * if some of them are `wrong`: of no run. */
void knoll_cpu_runs_seen(struct knoll_cpus *cpus, uint32_t group, uint64_t bits, uint64_t wrong);

/* ---- When memory is short (cpu_short.c) ---- */

/* Takes a block of this class, or a run for so many bytes, that was returned to a processor, whichever. NULL if none
 * waits. */
void *knoll_cpu_take_waiting(struct knoll_cpus *cpus, unsigned size_class, size_t size);

/* ---- The heap behind (cpu_heap.c). The lock is held, or nothing runs ---- */

/* Looks through what waits in the queue of nobody, or of a processor if it is off: at most KNOLL_CPU_BATCH groups.
 * Returns how many. */
uint32_t knoll_cpu_collect_for(struct knoll_cpus *cpus, uint32_t owner);

/* The same with the queue of nobody, and that of one processor, the next one each time. */
uint32_t knoll_cpu_collect_common(struct knoll_cpus *cpus);

/* Makes slabs of this class with free blocks the processor's, and lists them: none if memory does not suffice. */
void knoll_cpu_take_over(struct knoll_cpu *cpu, size_t size_class);

/* Gives all free blocks of a slab back to the heap, and returns how many. Nobody owns it then. */
uint32_t knoll_cpu_give_back(struct knoll_cpus *cpus, uint32_t group);

/* Serves a request by a run. */
void *knoll_cpu_take_run(struct knoll_cpus *cpus, size_t alignment, size_t size);

/* Gives back a run of no span. */
void knoll_cpu_give_run(struct knoll_cpus *cpus, uint32_t number);

/* Takes a run that is to be a span; NOWHERE if there is none, or not much would be left. */
uint32_t knoll_cpu_take_span(struct knoll_cpus *cpus);

/* Serves a request that nothing else could, by whatever the heap has; counts a failure if that is nothing. */
void *knoll_cpu_take_otherwise(struct knoll_cpus *cpus, size_t alignment, size_t size);

static inline void cpu_lock(struct knoll_cpus *cpus)
{
    if (cpus->lock != NULL)
        cpus->lock(cpus->context);
}

static inline void cpu_unlock(struct knoll_cpus *cpus)
{
    if (cpus->unlock != NULL)
        cpus->unlock(cpus->context);
}

#endif
