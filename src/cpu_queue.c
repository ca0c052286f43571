/* Giving a block back from anywhere, and the queues in which slabs with such blocks wait.
 *
 * Wait-free on the side of who gives back: an OR, and for the first block that a slab's owner has not seen yet a
 * compare-and-exchange that is not repeated, an exchange and a store. What is looked at before is the caller's own: a
 * block that is held keeps its slab's shape, and its run's first cell.
 *
 * Invariants:
 *   1. A group of which `returned` is not 0 is in a queue, or in the hand of who took it from one or is about to push
 * it.
 *   2. A group is in one queue or hand at most: who changed its next_queued from QUEUE_NOT pushes it, and only who took
 *      it and has done with it changes that back. Only who has it in hand clears bits of `returned`.
 *   3. Only who has a queue open writes `rest`.
 *   4. A block that is freed twice, the second time after the first, is reported by the second call, which looks at
 *      `returned` and then at `free`, or for the run, before it changes anything. If neither call is after the other,
 *      the OR or knoll_cpu_accept finds it at last.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "cpu_table.h"
#include "report.h"

bool knoll_cpu_find(const struct knoll_cpus *cpus, const void *address, struct cpu_place *place)
{
    uint32_t count = __atomic_load_n(&cpus->region_count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        const struct knoll_cpu_region *seen = &cpus->region[i];
        uintptr_t offset = (uintptr_t)address - seen->start;
        if (offset >= seen->size)
            continue;
        if (cpu_find_slab(cpus, i, address, place))
            return shape_has(place->shape, place->index);
        const struct knoll_region *region = cpus->heap.region[i];
        uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
        uint32_t group = unit >> GROUP_SHIFT;
        *place = (struct cpu_place){&seen->entries[group], NULL, group | i << GROUP_INDEX_BITS, unit % GROUP_UNITS};
        uint64_t returned = __atomic_load_n(&place->entry->returned, __ATOMIC_ACQUIRE); /* before the run's cell */
        return (returned & bit(place->index)) == 0 && unit >= region->first && large_starts(region, address) &&
               !is_span(region_entry(region, unit));
    }
    return false;
}

void knoll_cpu_report(struct knoll_cpus *cpus, enum knoll_fault fault, const void *address)
{
    knoll_report(&cpus->heap, fault, address);
}

/* The heap's tables say of a slab that somebody owns that all of its blocks are held. So what they say of one that is
 * not is that it is, and then it must have been freed twice. */
void knoll_cpu_report_address(struct knoll_cpus *cpus, const void *address)
{
    struct cpu_place place;
    struct block block;
    enum knoll_fault fault = knoll_address_fault(&cpus->heap, address);
    if (knoll_cpu_find(cpus, address, &place))
        fault = KNOLL_FAULT_DOUBLE_FREE;
    else if (knoll_block_find(&cpus->heap, address, &block)) /* a run, for slabs are found above */
        fault = is_span(block.place.slab) ? KNOLL_FAULT_NOT_HANDED_OUT : KNOLL_FAULT_DOUBLE_FREE;
    knoll_cpu_report(cpus, fault, address);
}

bool knoll_cpu_run_is_returned(struct knoll_cpus *cpus, uint32_t number)
{
    bool is_returned = (entry_returned(cpu_entry(cpus, number >> GROUP_SHIFT)) >> (number % GROUP_UNITS) & 1) != 0;
    if (is_returned)
        knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE, unit_address(&cpus->heap, number));
    return is_returned;
}

/* ---- Queues ---- */

__attribute__((noinline)) void knoll_cpu_push(struct knoll_cpus *cpus, uint32_t group)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    uint32_t expected = QUEUE_NOT;
    if (!__atomic_compare_exchange_n(&entry->next_queued, &expected, QUEUE_CUT, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return;
    struct knoll_cpu_queue *queue = &cpus->queue[entry_owner(entry)];
    uint32_t before = __atomic_exchange_n(&queue->last, group + 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&entry->next_queued, before, __ATOMIC_RELEASE);
}

bool knoll_cpu_queue_open(struct knoll_cpu_queue *queue)
{
    return __atomic_exchange_n(&queue->busy, 1, __ATOMIC_ACQUIRE) == 0;
}

void knoll_cpu_queue_close(struct knoll_cpu_queue *queue)
{
    __atomic_store_n(&queue->busy, 0, __ATOMIC_RELEASE);
}

bool knoll_cpu_queue_take(struct knoll_cpus *cpus, struct knoll_cpu_queue *queue, uint32_t *group)
{
    uint32_t first = queue->rest;
    if (first == QUEUE_END) {
        if (__atomic_load_n(&queue->last, __ATOMIC_RELAXED) == QUEUE_END)
            return false;
        first = __atomic_exchange_n(&queue->last, QUEUE_END, __ATOMIC_ACQ_REL);
    }
    struct knoll_cpu_entry *entry = cpu_entry(cpus, first - 1);
    uint32_t next = __atomic_load_n(&entry->next_queued, __ATOMIC_ACQUIRE);
    if (next == QUEUE_CUT) { /* whoever pushed it has not said yet what came before */
        queue->rest = first;
        return false;
    }
    queue->rest = next;
    *group = first - 1;
    return true;
}

void knoll_cpu_queue_let_go(struct knoll_cpus *cpus, uint32_t group)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    __atomic_store_n(&entry->next_queued, QUEUE_NOT, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&entry->returned, __ATOMIC_SEQ_CST) != 0)
        knoll_cpu_push(cpus, group);
}

/* ---- Blocks ---- */

bool knoll_cpu_return(struct knoll_cpus *cpus, const struct cpu_place *place)
{
    if (place->shape != NULL)
        return cpu_return(cpus, place);
    uint64_t mask = bit(place->index);
    if ((__atomic_fetch_or(&place->entry->returned, mask, __ATOMIC_SEQ_CST) & mask) != 0)
        return false;
    knoll_cpu_push(cpus, place->group);
    return true;
}

void knoll_cpu_accept(struct knoll_cpus *cpus, uint32_t group)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    uint64_t bits = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE);
    uint64_t blocks = cpu_slab_shape(entry)->blocks;
    uint64_t twice = bits & (entry_free(entry) | ~blocks);
    entry_set_free(entry, entry_free(entry) | (bits & blocks));
    __atomic_fetch_and(&entry->returned, ~bits, __ATOMIC_RELEASE);
    knoll_cpu_queue_let_go(cpus, group);
    if (twice != 0)
        knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE,
                         unit_address(&cpus->heap, group_unit(group)) +
                             block_offset(cpu_slab_shape(entry)->size, bits_lowest(twice)));
}

void knoll_cpu_runs_seen(struct knoll_cpus *cpus, uint32_t group, uint64_t bits, uint64_t wrong)
{
    __atomic_fetch_and(&cpu_entry(cpus, group)->returned, ~bits, __ATOMIC_RELEASE);
    knoll_cpu_queue_let_go(cpus, group);
    if (wrong != 0)
        knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE, unit_address(&cpus->heap, group_unit(group)));
}

static __attribute__((noinline)) void free_slowly(struct knoll_cpus *cpus, void *block)
{
    struct cpu_place place;
    if (block != NULL && (!knoll_cpu_find(cpus, block, &place) || !knoll_cpu_return(cpus, &place)))
        knoll_cpu_report_address(cpus, block);
}

void knoll_cpus_free(struct knoll_cpus *cpus, void *block)
{
    struct cpu_place place;
    if (!cpu_find_slab(cpus, FIRST_REGION, block, &place) || !shape_has(place.shape, place.index))
        free_slowly(cpus, block);
    else if (!cpu_return(cpus, &place))
        knoll_cpu_report_address(cpus, block);
}
