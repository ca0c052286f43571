/* Rung 2 of hardening: looking at the whole heap. knoll_check verifies the guards of every block that is held and the
 * fill of all else, besides the tables; knoll_walk and knoll_get_stats show blocks as callers know them, and what is in
 * quarantine as free.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll_config.h"

#if KNOLL_HARDEN >= 2

#include "plain.h"
#include "quarantine.h"

/* The invariants after those of the tables. */
enum { GUARDS = 16, FILL = 17, QUARANTINE = 18 };

const char *knoll_invariant(int number)
{
    static const char texts[][80] = {
        "each block that a caller holds has its front part and its canary",
        "free memory, and what is in quarantine, holds the fill",
        "the blocks in quarantine are counted",
    };
    return number >= GUARDS && number <= QUARANTINE ? texts[number - GUARDS] : PLAIN(invariant)(number);
}

/* ---- The sweep ---- */

struct sweep {
    const struct knoll_heap *heap;
    unsigned char *next; /* before it all is verified */
    unsigned char *region_end;
    uint32_t waiting;
    size_t waiting_bytes;
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
    return knoll_waiting_broken(sweep->heap, start, sweep->next, guarded.user) == NULL ? 0 : FILL;
}

static int sweep_item(void *context, const struct knoll_item *item)
{
    struct sweep *sweep = context;
    unsigned char *start = (unsigned char *)(uintptr_t)item->start;
    if (item->kind == KNOLL_ITEM_BLOCK)
        return sweep_block(sweep, item);
    if (item->kind == KNOLL_ITEM_REGION) {
        if (knoll_fill_broken(sweep->next, sweep->region_end) != NULL)
            return FILL;
        sweep->next = start;
        sweep->region_end = start + item->size;
    }
    if (item->kind == KNOLL_ITEM_TABLES)
        sweep->next = start + item->size;
    return 0; /* what is free is verified when the next block or region comes */
}

int knoll_check(const struct knoll_heap *heap)
{
    struct sweep sweep = {heap, NULL, NULL, 0, 0};
    int broken = PLAIN(check)(heap);
    if (broken == 0)
        broken = PLAIN(walk)(heap, sweep_item, &sweep);
    if (broken == 0 && knoll_fill_broken(sweep.next, sweep.region_end) != NULL)
        broken = FILL;
    if (broken == 0 && (sweep.waiting != heap->quarantine_count || sweep.waiting_bytes != heap->quarantined_bytes))
        broken = QUARANTINE;
    return broken;
}

/* ---- The walk ---- */

struct walk_of_callers {
    const struct knoll_heap *heap;
    knoll_visitor visitor;
    void *context;
};

/* Shows a block as its caller knows it. One whose front part is broken is shown where it most likely is, without
 * bytes. */
static int show_item(void *context, const struct knoll_item *item)
{
    const struct walk_of_callers *walk = context;
    if (item->kind != KNOLL_ITEM_BLOCK)
        return walk->visitor(walk->context, item);
    struct guarded guarded;
    struct block block = {.size = item->block_size};
    unsigned char *start = (unsigned char *)(uintptr_t)item->start;
    struct knoll_item shown = {KNOLL_ITEM_BLOCK, start + GUARD_FRONT, 0, item->block_size, 1};
    if (knoll_guarded_at(walk->heap, &block, start, &guarded)) {
        const struct guard_front *front = guard_front_of(guarded.user);
        if ((front->notes & GUARD_WAITS) != 0)
            return 0;
        shown.start = guarded.user;
        shown.size = front->size;
    }
    return walk->visitor(walk->context, &shown);
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
        knoll_block_around(heap, quarantine_at(heap, i)->block, &block);
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
