/* Runs that a processor keeps: those of up to 4096 bytes, so that such requests mostly take no lock, as those that a
 * slab serves. Only in compact: in classic slabs serve them.
 *
 * A run belongs to nobody, so whoever frees one keeps it, KNOLL_CPU_RUNS of each length at most; when these are full
 * half of them go back to the heap in one holding of the lock. To the heap a run that is kept is held. That it is not
 * is said by a byte of its group's entry.
 *
 * Invariant: a run is kept by one processor just if its byte is set.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_table.h"

#if KNOLL_PROFILE == KNOLL_COMPACT

static const uint32_t *run_cells(const struct knoll_cpu *cpu, uint32_t number)
{
    return entry_of(&cpu->cpus->heap, number);
}

static void let_go(struct knoll_cpu *cpu, uint32_t number)
{
    entry_set_keeps(cpu_entry(cpu->cpus, number >> GROUP_SHIFT), number % GROUP_UNITS, false);
}

void *knoll_cpu_runs_take(struct knoll_cpu *cpu, size_t size)
{
    size_t length = knoll_large_length(1, size);
    if (length - 1 >= KNOLL_CPU_LENGTHS || cpu->runs[length - 1].count == 0)
        return NULL;
    struct knoll_cpu_runs *runs = &cpu->runs[length - 1];
    uint32_t number = runs->run[--runs->count];
    let_go(cpu, number);
    return unit_address(&cpu->cpus->heap, number);
}

/* Gives the first so many of the runs back to the heap. */
static void give_back(struct knoll_cpu *cpu, struct knoll_cpu_runs *runs, uint32_t count)
{
    struct knoll_cpus *cpus = cpu->cpus;
    if (count == 0)
        return;
    cpu_lock(cpus);
    for (uint32_t i = 0; i < count; i++) { /* at most KNOLL_CPU_RUNS rounds */
        let_go(cpu, runs->run[i]);
        knoll_free(&cpus->heap, unit_address(&cpus->heap, runs->run[i]));
    }
    cpu_unlock(cpus);
    runs->count -= count;
    for (uint32_t i = 0; i < runs->count; i++)
        runs->run[i] = runs->run[i + count];
}

bool knoll_cpu_runs_keep(struct knoll_cpu *cpu, const struct cpu_place *place)
{
    uint32_t number = group_unit(place->group) + place->index;
    const uint32_t *run = run_cells(cpu, number);
    bool is_plain = run[CELL_NEXT] == cell_of(RUN_LARGE, 0); /* neither aligned nor loose */
    if (!is_plain || large_length(run) > KNOLL_CPU_LENGTHS)
        return false;
    struct knoll_cpu_runs *runs = &cpu->runs[large_length(run) - 1];
    if (runs->count == KNOLL_CPU_RUNS)
        give_back(cpu, runs, (KNOLL_CPU_RUNS + 1) / 2);
    entry_set_keeps(place->entry, place->index, true);
    runs->run[runs->count++] = number;
    return true;
}

void knoll_cpu_runs_give_back(struct knoll_cpu *cpu)
{
    for (unsigned i = 0; i < KNOLL_CPU_LENGTHS; i++)
        give_back(cpu, &cpu->runs[i], cpu->runs[i].count);
}

bool knoll_cpu_runs_agree(const struct knoll_cpu *cpu)
{
    for (uint32_t length = 1; length <= KNOLL_CPU_LENGTHS; length++) {
        const struct knoll_cpu_runs *runs = &cpu->runs[length - 1];
        for (uint32_t i = 0; i < runs->count; i++) /* at most KNOLL_CPU_RUNS rounds */
            if (large_length(run_cells(cpu, runs->run[i])) != length ||
                !entry_keeps(cpu_entry(cpu->cpus, runs->run[i] >> GROUP_SHIFT), runs->run[i] % GROUP_UNITS))
                return false;
    }
    return true;
}

#endif
