/* Blocks of which the caller names a size: reallocation, and frees that say what was asked for.
 *
 * The rules are those of one owner's heap (heap.c): a block stays where it is just if the new size would be served by
 * a block of the same size, and what could not be so is noted. A block may be of any processor's slab.
 *
 * SPDX-License-Identifier: MIT */
#include "accounts.h"
#include "cpu_spans.h"

static uint32_t *run_cells(const struct knoll_cpus *cpus, const struct cpu_place *place)
{
    return entry_of(&cpus->heap, group_unit(place->group) + place->index);
}

static size_t usable(const struct knoll_cpus *cpus, const struct cpu_place *place)
{
    if (place->shape != NULL)
        return place->shape->size;
    return (size_t)large_length(run_cells(cpus, place)) << KNOLL_UNIT_SHIFT;
}

static size_t kept_alignment(const struct knoll_cpus *cpus, const struct cpu_place *place)
{
    return place->shape != NULL ? entry_alignment(place->entry) : large_alignment(run_cells(cpus, place));
}

/* Finds a block that a caller holds, and reports the fault if there is none. */
static bool find_held(struct knoll_cpus *cpus, const void *block, struct cpu_place *place)
{
    if (knoll_cpu_find(cpus, block, place) && (place->shape != NULL ? cpu_slab_holds(place) : cpu_run_holds(place)))
        return true;
    knoll_cpu_report_address(cpus, block);
    return false;
}

/* ---- Reallocating ---- */

/* Makes a run of no span so many units long, if it can. */
static bool resize_under_lock(struct knoll_cpus *cpus, const struct cpu_place *place, uint32_t length)
{
    struct knoll_heap *heap = &cpus->heap;
    cpu_lock(cpus);
    size_t before = usable(cpus, place);
    bool is_resized = cpu_run_stays(place, run_cells(cpus, place)) &&
                      knoll_large_resize(heap, group_unit(place->group) + place->index, length);
    size_t after = usable(cpus, place);
    if (after > before)
        account_used(heap, after - before);
    else
        heap->headroom += before - after;
    cpu_unlock(cpus);
    return is_resized;
}

/* Makes the block's run as long as this request needs, if it can: not one in another's span. */
static bool resize_run(struct knoll_cpu *cpu, const struct cpu_place *place, size_t alignment, size_t size)
{
    size_t length = knoll_large_length(alignment, size);
    uint32_t owner = entry_owner(place->entry);
    if (length == 0 || length > INDEX_MASK)
        return false;
    if (length << KNOLL_UNIT_SHIFT == usable(cpu->cpus, place))
        return true;
    if (owner == NOBODY)
        return resize_under_lock(cpu->cpus, place, (uint32_t)length);
    if (owner != cpu->number || !knoll_cpu_spans_resize(cpu, group_unit(place->group) + place->index, (uint32_t)length))
        return false;
    knoll_cpu_spans_settle(cpu);
    return true;
}

/* Whether the block can serve this request where it is, having been made shorter or longer if it is a run. */
static bool stays(struct knoll_cpu *cpu, const struct cpu_place *place, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (place->shape != NULL)
        return size_class == place->shape->size_class;
    if (size_class != CLASS_LARGE || !resize_run(cpu, place, alignment, size))
        return false;
    entry_set_run(place->entry, place->index, large_length(run_cells(cpu->cpus, place)), false);
    return true;
}

/* Keeps a block that could not move where it is, as short as it can be made there. That is no failure. */
static void loosen(struct knoll_cpu *cpu, const struct cpu_place *place, size_t alignment, size_t size)
{
    struct knoll_cpus *cpus = cpu->cpus;
    if (place->shape == NULL) {
        (void)resize_run(cpu, place, alignment, size);
        entry_set_run(place->entry, place->index, large_length(run_cells(cpus, place)), true);
    }
    cpu_lock(cpus);
    cpus->heap.failures--;
    if (place->shape != NULL)
        entry_set_owner(place->entry, entry_owner(place->entry), true);
    cpu_unlock(cpus);
}

void *knoll_cpu_realloc(struct knoll_cpu *cpu, void *block, size_t size)
{
    struct knoll_cpus *cpus = cpu->cpus;
    struct cpu_place place;
    if (block == NULL)
        return knoll_cpu_malloc(cpu, size);
    if (!find_held(cpus, block, &place))
        return NULL;
    size_t before = usable(cpus, &place);
    size_t alignment = kept_alignment(cpus, &place);
    if (stays(cpu, &place, alignment, size))
        return block;
    void *moved = knoll_cpu_aligned_alloc(cpu, alignment, size);
    if (moved != NULL) {
        __builtin_memcpy(moved, block, size < before ? size : before);
        knoll_cpu_free(cpu, block);
        return moved;
    }
    if (size > before)
        return NULL;
    loosen(cpu, &place, alignment, size);
    return block;
}

/* ---- Freeing with a size ---- */

static bool serves(const struct knoll_cpus *cpus, const struct cpu_place *place, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (place->shape != NULL)
        return size_class == place->shape->size_class;
    return size_class == CLASS_LARGE && knoll_large_length(alignment, size) == large_length(run_cells(cpus, place));
}

/* Whether the block may be one that was asked for with this alignment and size. */
static bool fits(const struct knoll_cpus *cpus, const struct cpu_place *place, const void *block, size_t alignment,
                 size_t size)
{
    if (!is_power_of_two(alignment) || ((uintptr_t)block & (alignment - 1)) != 0)
        return false;
    size_t kept = kept_alignment(cpus, place);
    bool loose = place->shape != NULL ? entry_is_loose(place->entry) : entry_has_loose_run(place->entry, place->index);
    return serves(cpus, place, alignment, size) || (kept > alignment && serves(cpus, place, kept, size)) ||
           (loose && size <= usable(cpus, place));
}

void knoll_cpu_free_aligned_sized(struct knoll_cpu *cpu, void *block, size_t alignment, size_t size)
{
    struct cpu_place place;
    if (block == NULL || !find_held(cpu->cpus, block, &place))
        return;
    if (fits(cpu->cpus, &place, block, alignment, size))
        knoll_cpu_free(cpu, block);
    else
        knoll_cpu_report(cpu->cpus, KNOLL_FAULT_SIZE, block);
}

void knoll_cpu_free_sized(struct knoll_cpu *cpu, void *block, size_t size)
{
    knoll_cpu_free_aligned_sized(cpu, block, 1, size);
}

size_t knoll_cpus_usable_size(const struct knoll_cpus *cpus, const void *block)
{
    struct cpu_place place;
    if (block == NULL || !find_held((struct knoll_cpus *)(uintptr_t)cpus, block, &place))
        return 0;
    return usable(cpus, &place);
}
