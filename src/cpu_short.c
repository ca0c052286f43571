/* When memory is short: blocks that were returned to any processor and that it has not looked at yet serve anybody.
 *
 * Such a block is held as far as its owner can tell, so to hand it out again takes nothing but its bit out of
 * `returned`: what the owner has of the slab, or of the span, stays as it is. Who has a queue open, and a group of it
 * in hand, is the only one that may do so.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_table.h"

/* Takes a block of this class that was returned to the slab of this group, which is in hand; NULL if there is none. */
static void *take_returned_block(struct knoll_cpus *cpus, uint32_t group, unsigned size_class)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    /* Without what was freed twice at once, which its owner reports. */
    const struct knoll_shape *shape = cpu_slab_shape(entry);
    uint64_t right = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE) & shape->blocks & ~entry_free(entry);
    if (right == 0 || shape->size_class != size_class)
        return NULL;
    unsigned index = bits_lowest(right);
    __atomic_fetch_and(&entry->returned, ~bit(index), __ATOMIC_RELEASE);
    return unit_address(&cpus->heap, group_unit(group)) + block_offset((uint32_t)class_size(size_class), index);
}

/* The same for a run of this length that was returned to its span. It stays held by the processor that has the span. */
static void *take_returned_run(struct knoll_cpus *cpus, uint32_t group, size_t length)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    uint64_t bits = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE) & RUN_BITS;
    for (; bits != 0; bits &= bits - 1) { /* at most GROUP_UNITS rounds */
        uint32_t number = group_unit(group) + bits_lowest(bits);
        const uint32_t *run = entry_of(&cpus->heap, number);
        if (*run == cell_of(RUN_LARGE, 0) && large_length(run) == length) {
            entry_set_run(entry, bits_lowest(bits), (uint32_t)length, false);
            __atomic_fetch_and(&entry->returned, ~(bits & -bits), __ATOMIC_RELEASE);
            return unit_address(&cpus->heap, number);
        }
    }
    return NULL;
}

/* Takes a block of this class, or a run for so many bytes, that is in this queue, whoever owns it. What else is there
 * stays. */
static void *take_from_queue(struct knoll_cpus *cpus, struct knoll_cpu_queue *queue, unsigned size_class, size_t size)
{
    uint32_t group;
    void *block = NULL;
    if (!knoll_cpu_queue_open(queue))
        return NULL;
    while (knoll_cpu_queue_take(cpus, queue, &group)) { /* one round for each group that was there at first */
        const struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
        if (block == NULL && entry_has_returned(entry) && (entry_shape(entry) == 0) == (size_class == CLASS_LARGE))
            block = size_class == CLASS_LARGE ? take_returned_run(cpus, group, knoll_large_length(1, size))
                                              : take_returned_block(cpus, group, size_class);
        knoll_cpu_queue_let_go(cpus, group);
        if (queue->rest == QUEUE_END)
            break;
    }
    knoll_cpu_queue_close(queue);
    return block;
}

void *knoll_cpu_take_waiting(struct knoll_cpus *cpus, unsigned size_class, size_t size)
{
    void *block = NULL;
    for (uint32_t i = 1; i <= KNOLL_CPUS && block == NULL; i++)
        block = take_from_queue(cpus, &cpus->queue[i], size_class, size);
    return block;
}
