/* What processors have, seen from outside: statistics, and whether what is said of slabs agrees with the heap's tables.
 *
 * The statistics read words that others may change meanwhile, so they are exact only when nothing runs.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "cpu_table.h"

/* ---- Statistics ---- */

/* Takes the blocks that callers do not hold, though the heap counts them as used, out of the statistics. */
static void discount(struct knoll_stats *stats, size_t size_class, uint32_t blocks, size_t size)
{
    size_t bytes = blocks * size;
    if (size_class != CLASS_LARGE) {
        stats->size_class[size_class].used_blocks -= blocks;
    } else {
        stats->large_blocks -= blocks;
        stats->large_bytes -= bytes;
    }
    stats->used_bytes -= bytes;
    stats->available_bytes += bytes;
}

static void discount_slab(struct knoll_stats *stats, const struct knoll_cpu_entry *entry)
{
    const struct knoll_shape *shape = cpu_slab_shape(entry);
    uint64_t bits = entry_returned(entry);
    if (entry_owner(entry) != NOBODY)
        bits |= entry_free(entry);
    discount(stats, shape->size_class, bits_count(bits), shape->size);
}

static void discount_runs(const struct knoll_cpus *cpus, struct knoll_stats *stats, uint32_t group)
{
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    for (uint32_t i = 0; i < GROUP_UNITS; i++) {
        const uint32_t *run = entry_of(&cpus->heap, group_unit(group) + i);
        if ((entry_returned(entry) >> i & 1) != 0 || entry_keeps(entry, i))
            discount(stats, CLASS_LARGE, 1, (size_t)large_length(run) << KNOLL_UNIT_SHIFT);
    }
}

void knoll_cpus_get_stats(struct knoll_cpus *cpus, struct knoll_stats *stats)
{
    cpu_lock(cpus);
    knoll_get_stats(&cpus->heap, stats);
    for (uint32_t i = 0; i < cpus->region_count; i++) {
        uint32_t groups = (uint32_t)(cpus->region[i].size >> GROUP_BYTES_SHIFT);
        for (uint32_t index = cpus->heap.region[i]->first >> GROUP_SHIFT; index < groups; index++) {
            uint32_t group = index | i << GROUP_INDEX_BITS;
            const struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
            if (entry_shape(entry) != 0)
                discount_slab(stats, entry);
            else if ((entry_returned(entry) | entry_free(entry)) != 0)
                discount_runs(cpus, stats, group);
        }
    }
    cpu_unlock(cpus);
}

/* ---- Checks ---- */

static bool slab_agrees(const struct knoll_cpus *cpus, const struct knoll_region *region, uint32_t index)
{
    uint32_t group = region_unit_number(region, index) >> GROUP_SHIFT;
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    size_t shape = region_shape(region, index);
    uint32_t groups = (shape_of(shape)->low >> GROUP_BYTES_SHIFT) + 1;
    for (uint32_t i = 0; i < groups; i++) /* at most 2 rounds */
        if (entry_shape(&entry[i]) != shape)
            return false;
    uint64_t word = slab_free(region_entry(region, index), shape_of(shape));
    bool is_owned = entry_owner(entry) != NOBODY;
    return word == (is_owned ? 0 : entry_free(entry)) && entry_owner(entry) <= KNOLL_CPUS &&
           ((entry_free(entry) | entry_returned(entry)) & ~shape_of(shape)->blocks) == 0 &&
           (entry_free(entry) & entry_returned(entry)) == 0;
}

static bool region_agrees(const struct knoll_cpus *cpus, const struct knoll_region *region)
{
    for (uint32_t index = region->first; index < region->count; index += run_length(region, index)) {
        enum run_kind kind = cell_kind(*region_entry(region, index));
        const struct knoll_cpu_entry *entry = cpu_entry(cpus, region_unit_number(region, index) >> GROUP_SHIFT);
        if (kind == RUN_SLAB ? !slab_agrees(cpus, region, index) : kind == RUN_LARGE && entry_shape(entry) != 0)
            return false;
    }
    return true;
}

int knoll_cpus_check(const struct knoll_cpus *cpus)
{
    int broken = knoll_check(&cpus->heap);
    for (uint32_t i = 0; i < cpus->region_count && broken == 0; i++)
        if (!region_agrees(cpus, cpus->heap.region[i]))
            broken = -1;
    return broken;
}

int knoll_cpu_check(const struct knoll_cpu *cpu)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_cpu_class *state = &cpu->size_class[i];
        uint32_t left = state->listed;
        uint32_t previous = NO_GROUP;
        int32_t most = state->room + (int32_t)bits_count(entry_free(state->current));
        if (state->current != &cpu->none && entry_owner(state->current) != cpu->number)
            return -1;
        for (uint32_t group = state->list; group != NO_GROUP; left--) { /* at most listed rounds */
            const struct knoll_cpu_entry *entry = cpu_entry(cpu->cpus, group);
            if (left == 0 || entry_owner(entry) != cpu->number || entry->previous != previous ||
                entry_free(entry) == 0 || entry == state->current || cpu_slab_shape(entry)->size_class != i)
                return -1;
            most += (int32_t)bits_count(entry_free(entry));
            previous = group;
            group = entry->next;
        }
        if (left != 0 || (state->listed != 0 && state->oldest != previous) || most != cpu_most_free(i))
            return -1;
    }
    return knoll_cpu_runs_agree(cpu) ? 0 : -1;
}
