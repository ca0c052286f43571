/* Spans: memory for runs that a processor has for itself, so that requests for them mostly take no lock, as those that
 * a slab serves.
 *
 * To the heap a span is one long run that is held. Inside of it the processor cuts runs and merges them, by the page
 * layer of the heap itself: `runs` is a heap of which only the lists of free runs are used, and its runs have their
 * cells where the heap's have theirs, in the tables of the region. So a block of a span looks like any other, and when
 * the span is given up the blocks in it stay as they are and are the heap's from then on.
 *
 *     a span, aligned to its length
 *     | head | free | block | block | free ... | tail |
 *     |------|----------------------------------------|
 *      LARGE, NESTED: held, as seen from before and from behind; nothing merges over it
 *
 * The head is a run as long as a group, so that no other starts in the first one; the tail, one unit of no kind, is
 * needed where runs merge with those behind them (compact). Where the lists end nothing is read, but something is
 * written: into the first region's first cell, which is why `runs` has a first region of its own, and that of the heap
 * has no unit but its tables'.
 *
 * The first group of a span says how much of it is held. The group in which a run starts says who has the span: others
 * return the run to that processor. Only the processor itself cuts, merges and resizes in its spans.
 *
 * A span is given up in steps, each under the lock, while others take what was given already and return what they held.
 * First its free runs: each has held neighbours, so it merges with nothing, and nobody gives these back meanwhile, for
 * their groups are the processor's. Then the groups are said to be nobody's: what is given back from then on merges
 * with what is the heap's. Last its edges, until when nobody can make a span of it.
 *
 * Invariants:
 *   1. A free run of a span is in the lists of the processor that has it, and in no others.
 *   2. The groups in which runs of a span start say its processor as their owner, and so does the first; others'
 *      groups do not.
 *   3. After a free what is free in all spans is no more than one span, and as much again as callers hold of them; a
 *      span that was taken since comes on top.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_spans.h"
#include "pages.h"

#define ONE_RUN (UINT64_C(1) << 32) /* in the first group's `free` */

/* So many groups are told in one holding of the lock that they are nobody's. */
#define SPAN_GROUPS    (SPAN_UNITS / GROUP_UNITS)
#define GROUPS_AT_ONCE (SPAN_GROUPS < 64 ? SPAN_GROUPS : 64)

_Static_assert(sizeof((struct knoll_cpu){0}.no_region) >= ENTRIES_AT + CELLS_PER_UNIT * sizeof(uint32_t),
               "a region's header and an entry");

void knoll_cpu_spans_begin(struct knoll_cpu *cpu)
{
    cpu->runs.region[0] = (struct knoll_region *)(void *)cpu->no_region;
    cpu->runs.total = SPAN_BYTES; /* more than is asked for */
#if KNOLL_PROFILE == KNOLL_COMPACT
    cpu->runs.list = cpu->lists;
    cpu->runs.last_list = KNOLL_CPU_LISTS - 1;
#endif
}

/* The unit that the span starts with in which this one lies. */
static uint32_t span_of(const struct knoll_cpu *cpu, uint32_t number)
{
    uintptr_t offset = (uintptr_t)unit_address(&cpu->runs, number) & (SPAN_BYTES - 1);
    return number - (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
}

/* The unit at this address, which one of the processor's regions has. */
static uint32_t unit_of(const struct knoll_cpu *cpu, const void *address)
{
    uint32_t i = FIRST_REGION;
    while (cpu->runs.region[i] == NULL || !region_holds(cpu->runs.region[i], address))
        i++; /* at most KNOLL_REGIONS_MAX rounds */
    const struct knoll_region *region = cpu->runs.region[i];
    return region_unit_number(region, (uint32_t)(region_offset(region, address) >> KNOLL_UNIT_SHIFT));
}

static struct knoll_cpu_entry *entry_of_unit(const struct knoll_cpu *cpu, uint32_t number)
{
    return cpu_entry(cpu->cpus, number >> GROUP_SHIFT);
}

/* Counts units that callers hold from now on, in so many runs more; or with negative numbers no longer. */
static void count_held(struct knoll_cpu *cpu, uint32_t number, uint32_t units, uint64_t runs)
{
    struct knoll_cpu_entry *entry = entry_of_unit(cpu, span_of(cpu, number));
    uint64_t held = (uint32_t)(span_held(entry) + units);
    entry_set_free(entry, ((uint64_t)span_runs(entry) << 32) + runs + held);
    cpu->held += units;
}

void *knoll_cpu_spans_take(struct knoll_cpu *cpu, size_t alignment, size_t size)
{
    void *block;
    bool is_returned;
    do { /* a round more for each run that two gave back at once */
        size_t usable;
        block = knoll_large_take_aligned(&cpu->runs, alignment, size, false, &usable);
        if (block == NULL)
            return NULL;
        uint32_t number = unit_of(cpu, block);
        uint32_t length = (uint32_t)(usable >> KNOLL_UNIT_SHIFT);
        entry_begin_run(entry_of_unit(cpu, number), number, cpu->number, length);
        count_held(cpu, number, length, ONE_RUN);
        is_returned = knoll_cpu_run_is_returned(cpu->cpus, number);
    } while (is_returned);
    return block;
}

void knoll_cpu_spans_give(struct knoll_cpu *cpu, uint32_t number)
{
    uint32_t units = (uint32_t)(large_give(&cpu->runs, number) >> KNOLL_UNIT_SHIFT);
    count_held(cpu, number, 0u - units, 0 - ONE_RUN);
}

bool knoll_cpu_spans_resize(struct knoll_cpu *cpu, uint32_t number, uint32_t length)
{
    uint32_t before = large_length(entry_of(&cpu->runs, number));
    if (!knoll_large_resize(&cpu->runs, number, length))
        return false;
    count_held(cpu, number, length - before, 0);
    return true;
}

/* ---- Spans come and go ---- */

void knoll_cpu_spans_add(struct knoll_cpu *cpu, uint32_t number)
{
    struct knoll_cpu_entry *entry = entry_of_unit(cpu, number);
    entry_set_free(entry, 0); /* before its owner tells that it is a span */
    entry_begin_run(entry, number, cpu->number, SPAN_UNITS);
    entry->previous = NO_GROUP;
    entry->next = cpu->spans;
    if (cpu->spans != NO_GROUP)
        cpu_entry(cpu->cpus, cpu->spans)->previous = number >> GROUP_SHIFT;
    cpu->spans = number >> GROUP_SHIFT;
    cpu->span_count++;

    struct knoll_heap *runs = &cpu->runs;
    uint32_t region = number >> INDEX_BITS;
    runs->region[region] = region_of_number(&cpu->cpus->heap, number);
    runs->region_count = (uint8_t)(region < runs->region_count ? runs->region_count : region + 1);
    (void)knoll_pages_resize(runs, number, SPAN_UNITS - SPAN_TAIL, SPAN_HEAD);
}

static void unlist_span(struct knoll_cpu *cpu, const struct knoll_cpu_entry *entry)
{
    if (entry->next != NO_GROUP)
        cpu_entry(cpu->cpus, entry->next)->previous = entry->previous;
    if (entry->previous != NO_GROUP)
        cpu_entry(cpu->cpus, entry->previous)->next = entry->next;
    else
        cpu->spans = entry->next;
    cpu->span_count--;
    cpu->held -= span_held(entry);
}

/* Gives the free runs of the span to the heap, some in each holding of the lock. No two lie side by side that belong
 * together, so nothing merges with one that is in this processor's lists still. What others take of them is held. */
static void give_free_runs(struct knoll_cpu *cpu, uint32_t number, struct knoll_cpu_entry *entry)
{
    struct knoll_cpus *cpus = cpu->cpus;
    uint32_t end = number + SPAN_UNITS - SPAN_TAIL;
    for (uint32_t unit = number + SPAN_HEAD; unit < end;) { /* a round for each KNOLL_CPU_BATCH runs of the span */
        cpu_lock(cpus);
        for (uint32_t i = 0; i < KNOLL_CPU_BATCH && unit < end; i++) {
            const uint32_t *run = entry_of(&cpus->heap, unit);
            uint32_t length;
            if (cell_kind(*run) == RUN_LARGE) {
                length = large_length(run);
            } else {
                length = knoll_pages_take_whole(&cpu->runs, unit);
                (void)knoll_pages_give(&cpus->heap, unit, length);
                cpus->heap.headroom += (size_t)length << KNOLL_UNIT_SHIFT;
                entry_set_free(entry, entry_free(entry) + length);
            }
            unit += length;
        }
        cpu_unlock(cpus);
    }
}

/* Says of the groups whose runs were this processor's that they are nobody's, but for the first. Only now may others
 * give the blocks in them to the heap, for only now are all free runs beside them the heap's; and nobody else can have
 * made the span its own, for its head is held still. Some may be others' slabs. */
static void disown_groups(struct knoll_cpu *cpu, struct knoll_cpu_entry *entry)
{
    for (uint32_t from = 0; from != SPAN_GROUPS; from += GROUPS_AT_ONCE) { /* a round for each 64 groups */
        cpu_lock(cpu->cpus);
        for (uint32_t i = from == 0 ? 1 : from; i < from + GROUPS_AT_ONCE; i++)
            if (entry_owner(&entry[i]) == cpu->number)
                entry_set_owner(&entry[i], NOBODY, false);
        cpu_unlock(cpu->cpus);
    }
}

/* Gives what is left of the span to the heap. */
static void give_edges(struct knoll_cpus *cpus, uint32_t number, struct knoll_cpu_entry *entry)
{
    struct knoll_heap *heap = &cpus->heap;
    cpu_lock(cpus);
    heap->spans--;
    heap->large_blocks += span_runs(entry) - 1;
    heap->allocations += span_runs(entry);
    heap->headroom += SPAN_HEAD * UNIT + SPAN_TAIL * UNIT;
    entry_set_owner(entry, NOBODY, false);
    (void)knoll_pages_give(heap, number, SPAN_HEAD);
    if (SPAN_TAIL != 0)
        (void)knoll_pages_give(heap, number + SPAN_UNITS - SPAN_TAIL, SPAN_TAIL);
    cpu_unlock(cpus);
}

static void give_up(struct knoll_cpu *cpu, uint32_t number)
{
    struct knoll_cpu_entry *entry = entry_of_unit(cpu, number);
    unlist_span(cpu, entry);
    give_free_runs(cpu, number, entry);
    disown_groups(cpu, entry);
    give_edges(cpu->cpus, number, entry);
}

/* The span to give up, of which less than half is held, as there must be one: of those with a run in them the one of
 * which callers hold least, or one without a run if there is no other. So what is left has room for any run. */
static uint32_t span_to_give_up(const struct knoll_cpu *cpu)
{
    uint32_t chosen = NO_GROUP;
    uint32_t least = SPAN_UNITS / 2;
    for (uint32_t group = cpu->spans; group != NO_GROUP;) { /* a round for each span */
        const struct knoll_cpu_entry *entry = cpu_entry(cpu->cpus, group);
        uint32_t held = span_held(entry);
        if (held != 0 && held < least) {
            chosen = group;
            least = held;
        } else if (held == 0 && chosen == NO_GROUP) {
            chosen = group;
        }
        group = entry->next;
    }
    return chosen;
}

void knoll_cpu_spans_settle(struct knoll_cpu *cpu)
{
    /* While it is so, less than half of all is held, and so of one span at least: each round brings both sides
     * together.
     */
    while (cpu->span_count * SPAN_UNITS - cpu->held > cpu->held + SPAN_UNITS)
        give_up(cpu, group_unit(span_to_give_up(cpu)));
}

void knoll_cpu_spans_give_up(struct knoll_cpu *cpu, bool all)
{
    for (uint32_t group = cpu->spans; group != NO_GROUP;) { /* at most a round for each span */
        const struct knoll_cpu_entry *entry = cpu_entry(cpu->cpus, group);
        uint32_t next = entry->next;
        if (all || span_runs(entry) == 0)
            give_up(cpu, group_unit(group));
        group = next;
    }
}

/* ---- What others returned ---- */

/* One that is none any more was given back by this processor while it was returned. */
void knoll_cpu_spans_accept(struct knoll_cpu *cpu, uint32_t group)
{
    struct knoll_cpus *cpus = cpu->cpus;
    uint64_t bits = __atomic_load_n(&cpu_entry(cpus, group)->returned, __ATOMIC_ACQUIRE);
    for (uint64_t left = bits & RUN_BITS; left != 0; left &= left - 1) { /* at most GROUP_UNITS rounds */
        uint32_t number = group_unit(group) + bits_lowest(left);
        if (run_is_held(entry_of(&cpus->heap, number)))
            knoll_cpu_spans_give(cpu, number);
        else
            knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE, unit_address(&cpus->heap, number));
    }
    knoll_cpu_runs_seen(cpus, group, bits, bits & ~RUN_BITS);
    knoll_cpu_spans_settle(cpu);
}
