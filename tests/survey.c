/* The survey: an independent account of a heap, taken from knoll_walk.
 *
 * A cursor goes through the items. Each region must be tiled by its tables, free runs, slabs and large runs, in this
 * order of address and without gaps; the blocks that callers hold must lie where the slab or run before them says.
 * What was seen is added up, and the statistics, which the heap keeps by other means, must say the same.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

struct cursor {
    struct survey found;
    const unsigned char *region_end;
    const unsigned char *next;  /* where the next tile must start */
    struct knoll_item tile;     /* the last slab or large run */
    const unsigned char *block; /* where its next block may start */
    size_t blocks_to_come;
    bool tables_to_come;
};

uint64_t block_fingerprint(const void *block, size_t usable_size)
{
    uint64_t mixed = (uint64_t)(uintptr_t)block * 0x9FB21C651E98DF25u + usable_size;
    mixed ^= mixed >> 29;
    return mixed * 0xD6E8FEB86659FD93u;
}

/* A large run is followed by its block; a slab may be followed by fewer blocks than it has. */
static void leave_tile(struct cursor *cursor)
{
    if (cursor->tile.kind == KNOLL_ITEM_LARGE && !IS_BYTE_EXACT) /* or it may be in quarantine */
        assert_int_equal(cursor->blocks_to_come, 0);
    if (cursor->tile.kind == KNOLL_ITEM_SLAB && cursor->blocks_to_come == cursor->tile.blocks)
        if (cursor->tile.size > cursor->found.largest_empty)
            cursor->found.largest_empty = cursor->tile.size;
    assert_true(cursor->next <= cursor->region_end);
}

static void see_region(struct cursor *cursor, const struct knoll_item *item)
{
    const unsigned char *start = item->start;
    leave_tile(cursor);
    assert_false(cursor->tables_to_come);
    assert_ptr_equal(cursor->next, cursor->region_end);
    assert_true(start >= cursor->region_end);
    assert_true(is_aligned(start, KNOLL_PAGE));
    assert_true(item->size > 0 && item->size % KNOLL_PAGE == 0);
    assert_int_equal(item->block_size, item->size);
    assert_int_equal(item->blocks, 0);
    cursor->found.regions++;
    cursor->found.region_bytes += item->size;
    cursor->next = start;
    cursor->region_end = start + item->size;
    cursor->tables_to_come = true;
    cursor->tile = *item;
}

static void see_tables(struct cursor *cursor, const struct knoll_item *item)
{
    assert_true(cursor->tables_to_come);
    assert_int_equal(item->block_size, item->size);
    assert_int_equal(item->blocks, 0);
    assert_true(item->size > 0);
    cursor->found.stats.table_bytes += item->size;
    cursor->tables_to_come = false;
}

static void see_free_run(struct cursor *cursor, const struct knoll_item *item)
{
    size_t order = 0;
    assert_int_equal(item->block_size, item->size);
    assert_int_equal(item->blocks, 0);
    for (size_t units = item->size / cursor->found.stats.unit_bytes; units > 1; units /= 2)
        order++;
    assert_true(order < KNOLL_RUN_ORDERS);
    cursor->found.stats.free_runs[order]++;
    cursor->found.free_bytes += item->size;
    size_t size = CLASSIC || order > 0 ? item->size : 0; /* in compact a single unit must wait for its neighbours, */
    if (!CLASSIC && order > 4) /* and the sixteenth of a run that is longer than others in its list may be missed */
        size -= size % ((cursor->found.stats.unit_bytes << order) / 16);
    if (size > cursor->found.largest_run)
        cursor->found.largest_run = size;
}

static struct knoll_class_stats *class_of(struct cursor *cursor, size_t block_size)
{
    size_t i = 0;
    while (i < KNOLL_CLASS_COUNT && cursor->found.stats.size_class[i].block_size != block_size)
        i++;
    assert_true(i < KNOLL_CLASS_COUNT);
    return &cursor->found.stats.size_class[i];
}

static void see_slab(struct cursor *cursor, const struct knoll_item *item)
{
    struct knoll_class_stats *size_class = class_of(cursor, item->block_size);
    assert_true(item->blocks >= 1 && item->blocks <= 64);
    assert_true(item->blocks * item->block_size <= item->size);
    size_class->slabs++;
    size_class->total_blocks += item->blocks;
    cursor->blocks_to_come = item->blocks;
}

static void see_large_run(struct cursor *cursor, const struct knoll_item *item)
{
    assert_int_equal(item->block_size, item->size);
    assert_int_equal(item->blocks, 1);
    cursor->blocks_to_come = 1;
}

static void see_block(struct cursor *cursor, const struct knoll_item *item)
{
    const unsigned char *tile = cursor->tile.start;
    const unsigned char *block = item->start;
    size_t block_size = cursor->tile.block_size;
    assert_true(cursor->tile.kind == KNOLL_ITEM_SLAB || cursor->tile.kind == KNOLL_ITEM_LARGE);
    assert_true(cursor->blocks_to_come > 0);
    assert_true(block >= cursor->block);
    assert_true(block < tile + cursor->tile.blocks * block_size);
    size_t distance = (size_t)(block - tile) % block_size; /* to where the caller's bytes begin */
    assert_true(IS_BYTE_EXACT ? distance >= OVERHEAD - 8 : distance == 0);
    assert_true(distance + item->size <= block_size);
    if (!IS_BYTE_EXACT)
        assert_int_equal(item->size, block_size);
    assert_int_equal(item->block_size, block_size);
    assert_int_equal(item->blocks, 1);
    cursor->block = block - distance + block_size;
    cursor->blocks_to_come--;
    cursor->found.blocks++;
    cursor->found.block_bytes += item->block_size;
    cursor->found.fingerprint += block_fingerprint(block, item->size);
    if (cursor->tile.kind == KNOLL_ITEM_SLAB) {
        class_of(cursor, block_size)->used_blocks++;
    } else {
        cursor->found.stats.large_blocks++;
        cursor->found.stats.large_bytes += item->block_size;
    }
}

/* What all tiles have in common. */
static void see_tile(struct cursor *cursor, const struct knoll_item *item)
{
    leave_tile(cursor);
    assert_ptr_equal(item->start, cursor->next);
    assert_true(item->size > 0 && item->size % cursor->found.stats.unit_bytes == 0);
    assert_true(item->size <= (size_t)(cursor->region_end - cursor->next));
    if (item->kind != KNOLL_ITEM_TABLES)
        assert_false(cursor->tables_to_come);
    cursor->next += item->size;
    cursor->tile = *item;
    cursor->block = item->start;
    cursor->blocks_to_come = 0;
}

static int see(void *context, const struct knoll_item *item)
{
    struct cursor *cursor = context;
    if (item->kind == KNOLL_ITEM_REGION) {
        see_region(cursor, item);
        return 0;
    }
    if (item->kind == KNOLL_ITEM_BLOCK) {
        see_block(cursor, item);
        return 0;
    }
    see_tile(cursor, item);
    if (item->kind == KNOLL_ITEM_TABLES)
        see_tables(cursor, item);
    else if (item->kind == KNOLL_ITEM_FREE)
        see_free_run(cursor, item);
    else if (item->kind == KNOLL_ITEM_SLAB)
        see_slab(cursor, item);
    else if (item->kind == KNOLL_ITEM_LARGE)
        see_large_run(cursor, item);
    else
        assert_true(item->kind <= KNOLL_ITEM_BLOCK);
    return 0;
}

static void compare(const struct survey *found, const struct knoll_stats *stats)
{
    const struct knoll_stats *seen = &found->stats;
    assert_int_equal(stats->regions, found->regions);
    assert_int_equal(stats->table_bytes, seen->table_bytes);
    assert_int_equal(stats->total_bytes, found->region_bytes - seen->table_bytes);
    assert_int_equal(stats->used_bytes, found->block_bytes);
    assert_int_equal(stats->available_bytes, stats->total_bytes - stats->used_bytes);
    assert_int_equal(stats->allocations - stats->frees, found->blocks);
    assert_int_equal(stats->large_blocks, seen->large_blocks);
    assert_int_equal(stats->large_bytes, seen->large_bytes);
    assert_int_equal(stats->class_count, KNOLL_CLASS_COUNT);
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        assert_int_equal(stats->size_class[i].slabs, seen->size_class[i].slabs);
        assert_int_equal(stats->size_class[i].total_blocks, seen->size_class[i].total_blocks);
        assert_int_equal(stats->size_class[i].used_blocks, seen->size_class[i].used_blocks);
    }
    for (size_t i = 0; i < KNOLL_RUN_ORDERS; i++)
        assert_int_equal(stats->free_runs[i], seen->free_runs[i]);
    assert_true(stats->peak_used_bytes >= stats->used_bytes);
    assert_true(stats->largest_block <= stats->available_bytes);
    assert_true(stats->largest_block + OVERHEAD >= found->largest_run);
}

struct survey survey(const struct knoll_heap *heap)
{
    struct cursor cursor = {.next = NULL, .region_end = NULL, .tile.kind = KNOLL_ITEM_REGION};
    struct knoll_stats stats;
    knoll_get_stats(heap, &stats);
    cursor.found.stats.unit_bytes = stats.unit_bytes;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++)
        cursor.found.stats.size_class[i].block_size = stats.size_class[i].block_size;
    assert_int_equal(knoll_walk(heap, see, &cursor), 0);
    leave_tile(&cursor);
    assert_ptr_equal(cursor.next, cursor.region_end);
    assert_false(cursor.tables_to_come);
    assert_int_equal(knoll_total_bytes(heap), stats.total_bytes);
    assert_int_equal(knoll_used_bytes(heap), stats.used_bytes);
    assert_int_equal(knoll_available_bytes(heap), stats.available_bytes);
    compare(&cursor.found, &stats);
    return cursor.found;
}

bool may_refuse(const struct knoll_heap *heap, size_t size)
{
    struct survey found = survey(heap);
    if (size > SIZE_MAX - OVERHEAD)
        return true;
    size = OVERHEAD + (size == 0 ? 1 : size);
    if (size <= found.largest_run || size <= found.largest_empty)
        return false;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class_stats *size_class = &found.stats.size_class[i];
        if (size <= size_class->block_size && size_class->used_blocks < size_class->total_blocks)
            return false;
    }
    return true;
}
