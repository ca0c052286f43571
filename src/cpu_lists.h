/* A processor's lists of slabs: of each class those that have free blocks, but for the current one. Doubly linked, by
 * the numbers of their groups, so that any slab can leave; the newest and the oldest are known.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CPU_LISTS_H
#define KNOLL_CPU_LISTS_H

#include "cpu_table.h"

static inline void list_slab(struct knoll_cpu *cpu, struct knoll_cpu_entry *entry, uint32_t group)
{
    struct knoll_cpu_class *state = &cpu->size_class[cpu_slab_shape(entry)->size_class];
    entry->next = state->list;
    entry->previous = NO_GROUP;
    if (state->list != NO_GROUP)
        cpu_entry(cpu->cpus, state->list)->previous = group;
    else
        state->oldest = group;
    state->list = group;
    state->listed++;
}

static inline void unlist_slab(struct knoll_cpu *cpu, struct knoll_cpu_entry *entry)
{
    struct knoll_cpu_class *state = &cpu->size_class[cpu_slab_shape(entry)->size_class];
    if (entry->next != NO_GROUP)
        cpu_entry(cpu->cpus, entry->next)->previous = entry->previous;
    else
        state->oldest = entry->previous;
    if (entry->previous != NO_GROUP)
        cpu_entry(cpu->cpus, entry->previous)->next = entry->next;
    else
        state->list = entry->next;
    state->listed--;
    entry->previous = NOT_LISTED;
}

static inline uint32_t unlist_newest(struct knoll_cpu *cpu, struct knoll_cpu_class *state)
{
    uint32_t group = state->list;
    if (group != NO_GROUP)
        unlist_slab(cpu, cpu_entry(cpu->cpus, group));
    return group;
}

#endif
