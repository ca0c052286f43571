/* Looking at a heap: statistics, the walk, and texts. Nothing here changes it.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "free_lists.h"
#include "pages.h"
#include "plain.h"

_Static_assert(RUN_SHORTEST << KNOLL_UNIT_SHIFT >= KNOLL_SLAB_MAXIMUM, "a run holds more than a slab's block");

/* The largest request that would succeed: from the longest free run, from the run that would come about if the slab
 * kept in hand were given back first, or from the largest class that has a free block. */
static size_t largest_block(const struct knoll_heap *heap)
{
    uint32_t run = knoll_pages_longest(heap);
    if (knoll_slab_spare_is_empty(heap)) {
        uint32_t merged =
            knoll_pages_merged_length(heap, heap->spare_slab, shape_length(slab_shape(heap, heap->spare_slab)));
        run = merged > run ? merged : run;
    }
    if (run != 0)
        return (size_t)run << KNOLL_UNIT_SHIFT;
    for (unsigned i = KNOLL_CLASS_COUNT; i > 0; i--)
        if (slab_has_free(heap, i - 1))
            return class_size(i - 1);
    return 0;
}

static size_t table_bytes(const struct knoll_heap *heap)
{
    size_t units = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) /* at most KNOLL_REGIONS_MAX rounds */
        units += heap->region[i]->first;
    return units << KNOLL_UNIT_SHIFT;
}

/* Counts the runs that the rest of a region is, from this unit on. */
static void count_rest(struct knoll_stats *stats, const struct knoll_region *region, uint32_t index)
{
    for (uint32_t length; index < region->count; index += length) { /* at most two rounds an order */
        length = knoll_pages_part(region, index);
        stats->free_runs[bits_highest32(length)]++;
    }
}

void PLAIN(get_stats)(const struct knoll_heap *heap, struct knoll_stats *stats)
{
    size_t live = heap->large_blocks;
    size_t in_slabs = 0;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        size_t used = class_blocks(heap, i) - heap->size_class[i].free_blocks;
        stats->size_class[i].block_size = class_size(i);
        stats->size_class[i].slabs = heap->size_class[i].slabs;
        stats->size_class[i].total_blocks = class_blocks(heap, i);
        stats->size_class[i].used_blocks = used;
        live += used;
        in_slabs += used * class_size(i);
    }
    for (unsigned i = 0; i < KNOLL_RUN_ORDERS; i++)
        stats->free_runs[i] = heap->free_runs[i];
    for (uint32_t i = 0; i < heap->region_count; i++) /* at most KNOLL_REGIONS_MAX rounds */
        count_rest(stats, heap->region[i], rest_of(heap, heap->region[i]));
    stats->total_bytes = heap->total;
    stats->used_bytes = PLAIN(used_bytes)(heap);
    stats->available_bytes = PLAIN(available_bytes)(heap);
    stats->peak_used_bytes = heap->peak;
    stats->table_bytes = table_bytes(heap);
    stats->largest_block = largest_block(heap);
    stats->allocations = heap->allocations;
    stats->frees = heap->allocations - live;
    stats->failures = heap->failures;
    stats->regions = heap->region_count;
    stats->unit_bytes = UNIT;
    stats->large_blocks = heap->large_blocks;
    stats->large_bytes = stats->used_bytes - in_slabs;
    stats->class_count = KNOLL_CLASS_COUNT;
}

/* ---- Walk ---- */

struct walk {
    knoll_visitor visitor;
    void *context;
};

static int visit(const struct walk *walk, enum knoll_item_kind kind, const unsigned char *start, size_t size,
                 size_t block_size, size_t blocks)
{
    struct knoll_item item = {.kind = kind, .start = start, .size = size, .block_size = block_size, .blocks = blocks};
    return walk->visitor(walk->context, &item);
}

/* Visits the runs that the rest of a region is, from this unit on, if they have so many bytes. */
static int walk_rest(const struct walk *walk, const struct knoll_region *region, uint32_t index, size_t least)
{
    int stop = 0;
    for (uint32_t length; index < region->count && stop == 0; index += length) { /* at most two rounds an order */
        length = knoll_pages_part(region, index);
        size_t size = (size_t)length << KNOLL_UNIT_SHIFT;
        if (size >= least)
            stop =
                visit(walk, KNOLL_ITEM_FREE, region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT), size, size, 0);
    }
    return stop;
}

static int walk_slab(const struct walk *walk, const struct knoll_shape *shape, uint64_t held,
                     const unsigned char *start, size_t size)
{
    size_t block_size = shape->size;
    int stop = visit(walk, KNOLL_ITEM_SLAB, start, size, block_size, shape->capacity);
    for (; held != 0 && stop == 0; held &= held - 1) /* at most 64 rounds */
        stop = visit(walk, KNOLL_ITEM_BLOCK, start + block_offset(shape->size, bits_lowest(held)), block_size,
                     block_size, 1);
    return stop;
}

static int walk_region(const struct walk *walk, struct knoll_region *region)
{
    const unsigned char *start = (const unsigned char *)region;
    size_t tables = (size_t)region->first << KNOLL_UNIT_SHIFT;
    size_t whole = (size_t)region->count << KNOLL_UNIT_SHIFT;
    int stop = visit(walk, KNOLL_ITEM_REGION, start, whole, whole, 0);
    if (stop == 0)
        stop = visit(walk, KNOLL_ITEM_TABLES, start, tables, tables, 0);

    uint32_t length;
    for (uint32_t index = region->first; index < region->count && stop == 0; index += length) {
        const uint32_t *entry = region_entry(region, index);
        enum run_kind kind = cell_kind(*entry);
        length = run_length(region, index);
        start = region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
        size_t size = (size_t)length << KNOLL_UNIT_SHIFT;
        if (kind == RUN_SLAB)
            stop = walk_slab(walk, shape_of(region_shape(region, index)), slab_held(entry), start, size);
        else if (kind == RUN_FREE && is_rest(entry))
            stop = walk_rest(walk, region, index, 0);
        else if (kind == RUN_FREE)
            stop = visit(walk, KNOLL_ITEM_FREE, start, size, size, 0);
        else {
            stop = visit(walk, KNOLL_ITEM_LARGE, start, size, size, 1);
            if (stop == 0)
                stop = visit(walk, KNOLL_ITEM_BLOCK, start, size, size, 1);
        }
    }
    return stop;
}

int PLAIN(walk)(const struct knoll_heap *heap, knoll_visitor visitor, void *context)
{
    struct walk walk = {visitor, context};
    int stop = 0;
    for (uint32_t i = 0; i < heap->region_count && stop == 0; i++)
        stop = walk_region(&walk, heap->region[heap->by_address[i]]);
    return stop;
}

/* The units of the shortest free run that has so many bytes. */
static uint32_t units_of_least(size_t least)
{
    size_t units = (least >> KNOLL_UNIT_SHIFT) + ((least & (UNIT - 1)) != 0);
    return units == 0 ? 1 : units > INDEX_MASK ? INDEX_MASK : (uint32_t)units;
}

int knoll_walk_free(const struct knoll_heap *heap, size_t least, knoll_visitor visitor, void *context)
{
    struct walk walk = {visitor, context};
    unsigned first = list_of_shortest(heap, units_of_least(least));
    int stop = 0;
    for (uint32_t i = 0; i < heap->region_count && stop == 0; i++) /* at most KNOLL_REGIONS_MAX rounds */
        stop = walk_rest(&walk, heap->region[i], rest_of(heap, heap->region[i]), least);
    for (unsigned list = 0; list < list_count(heap) && stop == 0; list++) {
        if (!list_may_have(list, first) || !list_is_filled(heap, list))
            continue;
        for (uint32_t number = heap->list[list]; number != NOWHERE && stop == 0;) {
            const uint32_t *entry = entry_of(heap, number);
            size_t size = (size_t)free_run_length(entry) << KNOLL_UNIT_SHIFT;
            if (size >= least)
                stop = visit(&walk, KNOLL_ITEM_FREE, unit_address(heap, number), size, size, 0);
            number = link_of(entry[CELL_FREE_NEXT], 0);
        }
    }
    return stop;
}

/* ---- Texts: arrays of characters, not of pointers, which would have to be relocated and so be writable ---- */

const char *knoll_strerror(int error)
{
    static const char texts[][67] = {
        "no error",
        "the heap or the start is a null pointer",
        "the start is not aligned as it must be",
        "the size is too small, or leaves no room beside the tables",
        "the size is not a multiple of what it must be",
        "the region is too large, or runs past the end of the address space",
        "the region overlaps one that the heap has, or the heap itself",
        "the heap has as many regions as it can",
        "the library was compiled with other knobs than its caller",
        "there is no heap yet that memory can be added to",
    };
    return error <= 0 && error >= KNOLL_ERROR_NO_HEAP ? texts[-error] : "unknown error";
}

const char *knoll_fault_name(int fault)
{
    static const char texts[][40] = {
        "no fault",
        "block freed twice",
        "address inside a block",
        "address outside of the heap",
        "address in the heap's tables",
        "address of no block",
        "size or alignment is not the block's",
        "bytes written after a block's end",
        "bytes written before a block's start",
        "bytes written into free memory",
    };
    return fault >= 0 && fault <= KNOLL_FAULT_WRITE_AFTER_FREE ? texts[fault] : "unknown fault";
}

const char *knoll_version(void)
{
    return KNOLL_VERSION;
}

const char *knoll_profile(void)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? "classic" : "compact";
}
