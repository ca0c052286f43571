/* Blocks of which the caller names a size: reallocation, and frees that say what was asked for.
 *
 * The rules are those of one owner's heap (heap.c): a block stays where it is just if the new size would be served by
 * a block of the same size, and what could not be so is noted. A block may be of any processor's slab.
 *
 * SPDX-License-Identifier: MIT */
#include "accounts.h"
#include "cpu_table.h"

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

/* Makes the block's run as long as this request needs, if it can. The lock is held. */
static bool resize_run(struct knoll_cpus *cpus, const struct cpu_place *place, size_t alignment, size_t size)
{
    struct knoll_heap *heap = &cpus->heap;
    size_t before = usable(cpus, place);
    size_t length = knoll_large_length(alignment, size);
    if (size > heap->total || !knoll_large_resize(heap, group_unit(place->group) + place->index, (uint32_t)length))
        return false;
    size_t after = usable(cpus, place);
    if (after > before)
        account_used(heap, after - before);
    else
        heap->headroom += before - after;
    return true;
}

/* Whether the block can serve this request where it is, having been made shorter or longer if it is a run. */
static bool stays(struct knoll_cpus *cpus, const struct cpu_place *place, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (place->shape != NULL)
        return size_class == place->shape->size_class;
    if (size_class != CLASS_LARGE)
        return false;
    cpu_lock(cpus);
    bool stays = resize_run(cpus, place, alignment, size);
    if (stays)
        *run_cells(cpus, place) &= ~RUN_LOOSE;
    cpu_unlock(cpus);
    return stays;
}

/* Keeps a block that could not move where it is, as short as it can be made there. That is no failure. */
static void loosen(struct knoll_cpus *cpus, const struct cpu_place *place, size_t alignment, size_t size)
{
    cpu_lock(cpus);
    cpus->heap.failures--;
    if (place->shape != NULL) {
        entry_set_owner(place->entry, entry_owner(place->entry), true);
    } else {
        (void)resize_run(cpus, place, alignment, size);
        *run_cells(cpus, place) |= RUN_LOOSE;
    }
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
    if (stays(cpus, &place, alignment, size))
        return block;
    void *moved = knoll_cpu_aligned_alloc(cpu, alignment, size);
    if (moved != NULL) {
        __builtin_memcpy(moved, block, size < before ? size : before);
        knoll_cpu_free(cpu, block);
        return moved;
    }
    if (size > before)
        return NULL;
    loosen(cpus, &place, alignment, size);
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
    bool loose = place->shape != NULL ? entry_is_loose(place->entry) : (*run_cells(cpus, place) & RUN_LOOSE) != 0;
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
