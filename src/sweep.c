/* Rung 2 of hardening: looking at the whole heap. knoll_check verifies the guards of every block that is held and the
 * fill of all else, besides the tables; knoll_walk and knoll_get_stats show blocks as callers know them, and what is in
 * quarantine as free.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_HARDEN >= 2

#include "callers.h"
#include "plain.h"
#include "quarantine.h"

/* The invariants after those of the tables. */
enum { GUARDS = 16, FILL = 17, QUARANTINE = 18 };

const char *knoll_invariant(int number)
{
    static const char texts[][80] = {
        "each block that a caller holds has its front part and its canary",
        "free memory, and what is in quarantine, holds the fill",
        "the quarantine has the blocks that say so, and counts them",
    };
    return number >= GUARDS && number <= QUARANTINE ? texts[number - GUARDS] : PLAIN(invariant)(number);
}

/* ---- The sweep ---- */

struct sweep {
    const struct knoll_heap *heap;
    bool passes_runs;    /* by what is inside free runs, a unit from either end */
    unsigned char *next; /* before it all is verified */
    unsigned char *region_end;
    uint32_t waiting; /* blocks in quarantine */
    size_t waiting_bytes;
    uintptr_t waiting_addresses; /* their sum */
};

/* A block of the plain walk: its guards if it is held, else what it was filled with. Returns the invariant that is
 * broken, or 0. */
static int sweep_block(struct sweep *sweep, const struct knoll_item *item)
{
    struct guarded guarded;
    enum knoll_fault fault;
    struct block block = {.size = item->block_size};
    unsigned char *start = (unsigned char *)(uintptr_t)item->start;
    if (knoll_fill_broken(sweep->next, start) != NULL)
        return FILL;
    sweep->next = start + item->size;
    if (!knoll_guarded_at(sweep->heap, &block, start, &guarded))
        return GUARDS;
    if ((guard_front_of(guarded.user)->notes & GUARD_WAITS) == 0)
        return knoll_guarded_broken(sweep->heap, &guarded, &fault) == NULL ? 0 : GUARDS;
    sweep->waiting++;
    sweep->waiting_bytes += item->block_size;
    sweep->waiting_addresses += (uintptr_t)guarded.user;
    return knoll_waiting_broken(sweep->heap, start, sweep->next, guarded.user) == NULL ? 0 : FILL;
}

static int sweep_item(void *context, const struct knoll_item *item)
{
    struct sweep *sweep = context;
    unsigned char *start = (unsigned char *)(uintptr_t)item->start;
    if (item->kind == KNOLL_ITEM_BLOCK)
        return sweep_block(sweep, item);
    if (item->kind == KNOLL_ITEM_FREE && sweep->passes_runs) {
        if (knoll_fill_broken(sweep->next, start + UNIT) != NULL)
            return FILL;
        sweep->next = start + item->size - UNIT;
    }
    if (item->kind == KNOLL_ITEM_REGION) {
        if (knoll_fill_broken(sweep->next, sweep->region_end) != NULL)
            return FILL;
        sweep->region_end = start + item->size;
    }
    if (item->kind == KNOLL_ITEM_TABLES) /* the next after the region */
        sweep->next = start + item->size;
    return 0; /* what is free is verified when the next block or region comes */
}

/* Whether the ring has the blocks that wait: as many, and at places that add up to the same. */
static bool ring_agrees(const struct knoll_heap *heap, const struct sweep *sweep)
{
    uintptr_t addresses = 0;
    /* not covered: the second is for a count that is broken just as many front parts are; the ring has no more */
    if (sweep->waiting != heap->quarantine_count || sweep->waiting > KNOLL_QUARANTINE_BLOCKS ||
        sweep->waiting_bytes != heap->quarantined_bytes || heap->quarantine_first >= KNOLL_QUARANTINE_BLOCKS)
        return false;
    for (uint32_t i = 0; i < heap->quarantine_count; i++) /* at most KNOLL_QUARANTINE_BLOCKS rounds */
        addresses += (uintptr_t)quarantine_at(heap, i)->block;
    return addresses == sweep->waiting_addresses;
}

static int sweep_all(const struct knoll_heap *heap, bool passes_runs)
{
    struct sweep sweep = {.heap = heap, .passes_runs = passes_runs};
    int broken = PLAIN(walk)(heap, sweep_item, &sweep);
    if (broken == 0 && knoll_fill_broken(sweep.next, sweep.region_end) != NULL)
        broken = FILL;
    if (broken == 0 && !ring_agrees(heap, &sweep))
        broken = QUARANTINE;
    return broken;
}

int knoll_check(const struct knoll_heap *heap)
{
    int broken = PLAIN(check)(heap);
    return broken != 0 ? broken : sweep_all(heap, false);
}

int knoll_check_blocks(const struct knoll_heap *heap)
{
    return sweep_all(heap, true);
}

/* ---- The walk ---- */

struct walk_of_callers {
    const struct knoll_heap *heap;
    knoll_visitor visitor;
    void *context;
};

bool knoll_callers_block(const struct knoll_heap *heap, const unsigned char *start, size_t size,
                         struct knoll_item *item)
{
    struct guarded guarded;
    struct block block = {.size = size};
    *item =
        (struct knoll_item){.kind = KNOLL_ITEM_BLOCK, .start = start + GUARD_FRONT, .block_size = size, .blocks = 1};
    if (!knoll_guarded_at(heap, &block, (unsigned char *)(uintptr_t)start, &guarded))
        return true;
    const struct guard_front *front = guard_front_of(guarded.user);
    item->start = guarded.user;
    item->size = front->size;
    item->allocated = (struct knoll_origin){front->caller, front->notes >> GUARD_TAG_SHIFT};
    item->age = guard_age(heap, front);
    return (front->notes & GUARD_WAITS) == 0;
}

/* Shows a block as its caller knows it. */
static int show_item(void *context, const struct knoll_item *item)
{
    const struct walk_of_callers *walk = context;
    if (item->kind != KNOLL_ITEM_BLOCK)
        return walk->visitor(walk->context, item);
    struct knoll_item shown;
    bool is_held = knoll_callers_block(walk->heap, item->start, item->size, &shown);
    return is_held ? walk->visitor(walk->context, &shown) : 0;
}

int knoll_walk(const struct knoll_heap *heap, knoll_visitor visitor, void *context)
{
    struct walk_of_callers walk = {heap, visitor, context};
    return PLAIN(walk)(heap, show_item, &walk);
}

/* ---- Statistics ---- */

void knoll_get_stats(const struct knoll_heap *heap, struct knoll_stats *stats)
{
    size_t guards = GUARD_FRONT + CANARY_LEAST;
    PLAIN(get_stats)(heap, stats);
    for (uint32_t i = 0; i < heap->quarantine_count; i++) { /* at most KNOLL_QUARANTINE_BLOCKS rounds */
        struct block block;
        if (knoll_block_around(heap, quarantine_at(heap, i)->block, &block) == NULL)
            continue; /* the ring or the tables are broken */
        if (block.place.shape != NULL) {
            stats->size_class[block.place.shape->size_class].used_blocks--;
        } else {
            stats->large_blocks--;
            stats->large_bytes -= block.size;
        }
    }
    stats->used_bytes -= heap->quarantined_bytes;
    stats->available_bytes += heap->quarantined_bytes;
    stats->frees += heap->quarantine_count;
    stats->peak_used_bytes = heap->peak_held;
    stats->largest_block = stats->largest_block < guards ? 0 : stats->largest_block - guards;
    stats->quarantined_blocks = heap->quarantine_count;
    stats->quarantined_bytes = heap->quarantined_bytes;
}

#endif
