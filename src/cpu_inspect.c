/* What processors have, seen from outside: statistics, and whether what is said of slabs agrees with the heap's tables.
 *
 * The statistics read words that others may change meanwhile, so they are exact only when nothing runs.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "cpu_spans.h"
#include "invariants.h"

/* ---- Statistics ---- */

/* Takes the blocks that callers do not hold, though the heap counts them as used, out of the statistics. */
static void discount(struct knoll_stats *stats, size_t size_class, size_t blocks, size_t bytes)
{
    if (size_class != CLASS_LARGE) {
        stats->size_class[size_class].used_blocks -= blocks;
    } else {
        stats->large_blocks -= blocks;
        stats->large_bytes -= bytes;
    }
    stats->used_bytes -= bytes;
    stats->available_bytes += bytes;
}

/* Of a slab of which the group says this shape. It may have said so for long, and just now have become a run's of a
 * processor's span: that is its owner then, and says so last. */
static void discount_slab(struct knoll_stats *stats, const struct knoll_cpu_entry *entry, unsigned said)
{
    const struct knoll_shape *shape = shape_of(said);
    uint64_t bits = entry_returned(entry);
    if (entry_owner(entry) != NOBODY)
        bits |= entry_free(entry);
    /* not covered: it must become so between two looks */
    if (entry_shape(entry) != said)
        return; /* not covered: the same */
    discount(stats, shape->size_class, bits_count(bits), (size_t)bits_count(bits) * shape->size);
}

static void discount_runs(struct knoll_stats *stats, const struct knoll_cpu_entry *entry)
{
    uint64_t bits = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE) & RUN_BITS;
    for (; bits != 0; bits &= bits - 1) /* at most GROUP_UNITS rounds */
        discount(stats, CLASS_LARGE, 1, (size_t)entry_run_length(entry, bits_lowest(bits)) << KNOLL_UNIT_SHIFT);
}

/* If a span starts with this group, which is no slab's: to the heap it is one large block. */
static void discount_span(const struct knoll_cpus *cpus, struct knoll_stats *stats, uint32_t group)
{
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    bool is_aligned = ((uintptr_t)unit_address(&cpus->heap, group_unit(group)) & (SPAN_BYTES - 1)) == 0;
    if (is_aligned && entry_owner(entry) != NOBODY)
        discount(stats, CLASS_LARGE, (size_t)1 - span_runs(entry),
                 (size_t)(SPAN_UNITS - span_held(entry)) << KNOLL_UNIT_SHIFT);
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
            unsigned said = entry_shape(entry);
            if (said != 0) {
                discount_slab(stats, entry, said);
            } else {
                discount_span(cpus, stats, group);
                discount_runs(stats, entry);
            }
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
        if (entry_shape(&entry[i]) != shape || (i != 0 && entry_owner(&entry[i]) != NOBODY))
            return false;
    uint64_t word = slab_free(region_entry(region, index), shape_of(shape));
    bool is_owned = entry_owner(entry) != NOBODY;
    return word == (is_owned ? 0 : entry_free(entry)) && entry_owner(entry) <= KNOLL_CPUS &&
           ((entry_free(entry) | entry_returned(entry)) & ~shape_of(shape)->blocks) == 0 &&
           (entry_free(entry) & entry_returned(entry)) == 0;
}

/* Whether the group in which this run starts says that it is no slab's, and whose. */
static bool run_is_of(const struct knoll_cpus *cpus, uint32_t number, uint32_t owner)
{
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, number >> GROUP_SHIFT);
    return entry_shape(entry) == 0 && entry_owner(entry) == owner;
}

/* Whether it says besides how long this block's run is. */
static bool block_is_of(const struct knoll_cpus *cpus, uint32_t number, uint32_t owner)
{
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, number >> GROUP_SHIFT);
    return run_is_of(cpus, number, owner) &&
           entry_run_length(entry, number % GROUP_UNITS) == large_length(entry_of(&cpus->heap, number));
}

/* Whether the runs of the span that starts with this unit follow one another, and it says what is held of them. */
static bool span_agrees(const struct knoll_cpus *cpus, uint32_t number)
{
    const struct knoll_cpu_entry *entry = cpu_entry(cpus, number >> GROUP_SHIFT);
    uint32_t owner = entry_owner(entry);
    uint32_t held = 0;
    uint32_t runs = 0;
    uint32_t unit = number + SPAN_HEAD;
    uint32_t end = number + SPAN_UNITS - SPAN_TAIL;
    while (unit < end) { /* at most SPAN_UNITS rounds */
        const uint32_t *run = entry_of(&cpus->heap, unit);
        bool is_held = cell_kind(*run) == RUN_LARGE;
        if (is_held ? !block_is_of(cpus, unit, owner) : cell_kind(*run) != RUN_FREE)
            return false;
        uint32_t length = is_held ? large_length(run) : free_run_length(run);
        if (length == 0)
            return false;
        held += is_held ? length : 0;
        runs += is_held ? 1 : 0;
        unit += length;
    }
    return run_is_of(cpus, number, owner) && owner != NOBODY && owner <= KNOLL_CPUS && held == span_held(entry) &&
           runs == span_runs(entry) && unit - number == SPAN_UNITS - SPAN_TAIL;
}

static bool region_agrees(const struct knoll_cpus *cpus, const struct knoll_region *region)
{
    for (uint32_t index = region->first; index < region->count; index += run_length(region, index)) {
        const uint32_t *run = region_entry(region, index);
        uint32_t number = region_unit_number(region, index);
        bool agrees = cell_kind(*run) == RUN_SLAB    ? slab_agrees(cpus, region, index)
                      : cell_kind(*run) != RUN_LARGE ? true
                      : is_span(run)                 ? span_agrees(cpus, number)
                                                     : block_is_of(cpus, number, NOBODY);
        if (!agrees)
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

/* How many free runs of the processor's spans belong into a list. */
static uint32_t runs_to_list(const struct knoll_cpu *cpu, uint32_t number)
{
    uint32_t count = 0;
    uint32_t end = number + SPAN_UNITS - SPAN_TAIL;
    for (uint32_t unit = number + SPAN_HEAD; unit < end;) { /* at most SPAN_UNITS rounds */
        const uint32_t *run = entry_of(&cpu->runs, unit);
        bool is_free = cell_kind(*run) == RUN_FREE;
        count += is_free && run_is_listed(run) ? 1 : 0;
        unit += is_free ? free_run_length(run) : large_length(run);
    }
    return count;
}

/* Whether just so many runs are in the processor's lists, each in the right one, and linked both ways. */
static bool free_lists_agree(const struct knoll_cpu *cpu, uint32_t count)
{
    for (unsigned id = 0; id < list_count(&cpu->runs); id++) {
        struct run_list list = {&cpu->runs.list[id], RUN_FREE, id};
        uint32_t previous = NOWHERE;
        if (list_is_filled(&cpu->runs, id) != (*list.head != NOWHERE))
            return false;
        for (uint32_t number = *list.head; number != NOWHERE; count--) { /* at most count rounds in all */
            const uint32_t *run = knoll_check_member(&cpu->runs, &list, number);
            if (count == 0 || run == NULL || link_before(run, RUN_FREE) != previous)
                return false;
            previous = number;
            number = link_after(run, RUN_FREE);
        }
    }
    return count == 0;
}

/* Whether the processor's spans are what it says of them, and their free runs in its lists. */
static bool spans_agree(const struct knoll_cpu *cpu)
{
    uint32_t left = cpu->span_count;
    uint32_t held = 0;
    uint32_t to_list = 0;
    uint32_t previous = NO_GROUP;
    for (uint32_t group = cpu->spans; group != NO_GROUP; left--) { /* at most span_count rounds */
        const struct knoll_cpu_entry *entry = cpu_entry(cpu->cpus, group);
        if (left == 0 || entry->previous != previous || entry_owner(entry) != cpu->number ||
            !span_agrees(cpu->cpus, group_unit(group)))
            return false;
        held += span_held(entry);
        to_list += runs_to_list(cpu, group_unit(group));
        previous = group;
        group = entry->next;
    }
    return left == 0 && held == cpu->held && free_lists_agree(cpu, to_list);
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
    return spans_agree(cpu) ? 0 : -1;
}
