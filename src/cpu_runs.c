/* Runs that a processor keeps: short ones, so that requests for them mostly take no lock, as those that a slab serves.
 * In classic those of up to 32 KiB, by the powers of two that all runs are; in compact, where lengths seldom recur, up
 * to 4096 bytes.
 *
 * A run belongs to nobody, so whoever frees one keeps it, KNOLL_CPU_RUNS of each length at most; when these are full
 * half of them go back to the heap in one holding of the lock. To the heap a run that is kept is held. That it is not
 * is said by a byte of its group's entry.
 *
 * Invariant: a run is kept by one processor just if its byte is set.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_table.h"

/* Which of `runs` is for this length in units; KNOLL_CPU_LENGTHS if none is. */
static size_t place_of_length(size_t length)
{
    if (KNOLL_PROFILE == KNOLL_COMPACT)
        return length - 1 < KNOLL_CPU_LENGTHS ? length - 1 : KNOLL_CPU_LENGTHS;
    return length - 1 < (size_t)1 << (KNOLL_CPU_LENGTHS - 1) ? bits_highest(length) : KNOLL_CPU_LENGTHS;
}

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
    size_t place = place_of_length(knoll_large_length(1, size));
    if (place == KNOLL_CPU_LENGTHS || cpu->runs[place].count == 0)
        return NULL;
    struct knoll_cpu_runs *runs = &cpu->runs[place];
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
    bool is_plain = *run == cell_of(RUN_LARGE, 0); /* neither aligned nor loose */
    size_t of_length = place_of_length(large_length(run));
    if (!is_plain || of_length == KNOLL_CPU_LENGTHS)
        return false;
    struct knoll_cpu_runs *runs = &cpu->runs[of_length];
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
    for (size_t of_length = 0; of_length < KNOLL_CPU_LENGTHS; of_length++) {
        const struct knoll_cpu_runs *runs = &cpu->runs[of_length];
        for (uint32_t i = 0; i < runs->count; i++) /* at most KNOLL_CPU_RUNS rounds */
            if (place_of_length(large_length(run_cells(cpu, runs->run[i]))) != of_length ||
                !entry_keeps(cpu_entry(cpu->cpus, runs->run[i] >> GROUP_SHIFT), runs->run[i] % GROUP_UNITS))
                return false;
    }
    return true;
}
