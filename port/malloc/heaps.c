/* The heaps behind malloc: knoll heaps over spans of reserved address space, and blocks that are mapped directly.
 *
 * A block is looked for in the heaps from the last one on, which has most room; what none has is made room for by
 * another span (spans.c). Blocks of options.map_least bytes and more are mapped (mappings.c), and come from the spans
 * only if that cannot be done.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bins.h"
#include "evidence.h"
#include "report.h"
#include "spans.h"

#include <sys/mman.h>

/* To write so many zeroes takes longer than to have the kernel do so for what is used of them. */
#define CLEARED_BY_KERNEL ((size_t)1 << 20)

/* The heap that the block is in; the first one, whose fault it will be, if it is in none. */
static struct knoll_heap *heap_of(const void *block)
{
    for (size_t i = 1; i < spans_heaps; i++)
        if (knoll_owns(&spans_heap[i], block))
            return &spans_heap[i];
    return &spans_heap[0];
}

bool heaps_own(const void *address)
{
    for (size_t i = 0; i < spans_heaps; i++)
        if (knoll_owns(&spans_heap[i], address))
            return true;
    return false;
}

/* The report names the block that is mapped round this address, if there is one. */
static void look_into_mappings(const void *address)
{
    const struct mapping *mapping = mapping_around(address);
    if (mapping == NULL)
        return;
    enum knoll_fault fault = mapping->waits ? KNOLL_FAULT_NOT_HANDED_OUT : KNOLL_FAULT_INTERIOR;
    if (address == mapping->block)
        fault = mapping->waits ? KNOLL_FAULT_DOUBLE_FREE : (enum knoll_fault)knoll_last_fault.fault;
    knoll_last_fault.fault = (uint32_t)fault;
    knoll_last_fault.block = (uintptr_t)mapping->block;
    knoll_last_fault.block_size = mapping->size;
}

void heaps_on_fault(struct knoll_heap *of, enum knoll_fault kind, const void *address)
{
    (void)kind;
    look_into_mappings(address);
    if (KNOLL_HARDEN < 2) /* from which on the core has done so */
        knoll_fault_examine(of, &knoll_last_fault);
    report_fault();
}

void heaps_fault(enum knoll_fault kind, const void *block)
{
    const struct knoll_heap *of = heap_of(block);
    knoll_report_describe(of, kind, block);
    look_into_mappings(block);
    knoll_fault_examine(of, &knoll_last_fault);
    report_fault();
}

/* ---- Blocks ---- */

/* From the spans that there are. */
static void *from_spans(size_t alignment, size_t size)
{
    void *block = NULL;
    for (size_t i = spans_heaps; i-- > 0 && block == NULL;)
        block = knoll_aligned_alloc(&spans_heap[i], alignment, size);
    return block;
}

static void *from_heaps(size_t alignment, size_t size)
{
    void *block = from_spans(alignment, size);
    while (UNLIKELY(block == NULL) && spans_grow(alignment, size))
        block = from_spans(alignment, size);
    return block;
}

/* The program gets a block that may have been in a cache. */
static void hand_out(void *block, size_t alignment)
{
    if (HAS_SECRETS && ((const uint64_t *)block)[1] == bins.secret)
        ((uint64_t *)block)[1] = 0; /* asked first, for a page that nobody has touched stays so */
    if (alignment <= ALIGNMENT)
        bins_mark(block);
}

void *heaps_allocate(size_t alignment, size_t size)
{
    if (UNLIKELY(spans_heaps == 0) && !spans_grow(0, 0))
        return NULL;
    void *block;
    if (LIKELY(size < options.map_least && alignment < options.map_least)) {
        block = from_heaps(alignment, size);
    } else {
        block = mapping_make(alignment, size);
        if (block != NULL)
            return block;
        bool may_grow = KNOLL_MALLOC_RUNG == 3 && (size | alignment) < REPLACED_MOST;
        block = may_grow ? from_heaps(alignment, size) : from_spans(alignment, size);
    }
    if (LIKELY(block != NULL))
        hand_out(block, alignment);
    return block;
}

size_t heaps_allocate_batch(size_t size, size_t count, void **blocks)
{
    if (UNLIKELY(spans_heaps == 0) && !spans_grow(0, 0))
        return 0;
    for (;;) {
        for (size_t i = spans_heaps; i-- > 0;) {
            size_t taken = knoll_malloc_batch(&spans_heap[i], size, count, blocks);
            if (LIKELY(taken != 0)) {
                bins_mark_batch(blocks, taken, size);
                return taken;
            }
        }
        if (!spans_grow(0, size))
            return 0;
    }
}

void heaps_free_batch(void *const *blocks, size_t count)
{
    if (LIKELY(spans_heaps == 1)) {
        size_t used = knoll_used_bytes(&spans_heap[0]);
        knoll_free_batch(&spans_heap[0], blocks, count);
        bins_unmark(blocks, count);
        decay_count_freed(used - knoll_used_bytes(&spans_heap[0]));
        return;
    }
    for (size_t i = 0; i < count; i++)
        heaps_free(blocks[i]);
}

/* Of a long block the whole pages are given back: what backs them when they are touched is zero. */
static void clear(unsigned char *block, size_t size)
{
    size_t before = -(uintptr_t)block & (PAGE - 1);
    size_t pages = size < CLEARED_BY_KERNEL ? 0 : (size - before) & ~(PAGE - 1);
    if (pages == 0 || madvise(block + before, pages, MADV_DONTNEED) != 0) { /* it may be locked */
        __builtin_memset(block, 0, size);
        return;
    }
    __builtin_memset(block, 0, before);
    __builtin_memset(block + before + pages, 0, size - before - pages);
}

void *heaps_allocate_zeroed(size_t size)
{
    if (UNLIKELY(spans_heaps == 0) && !spans_grow(0, 0))
        return NULL;
    bool may_be_mapped = size >= options.map_least;
    void *block = may_be_mapped ? heaps_allocate(1, size) : from_heaps(1, size);
    if (block == NULL || (may_be_mapped && mapping_find(block) != NULL))
        return block; /* what is mapped is zero */
    clear(block, size);
    if (!may_be_mapped)
        bins_mark(block);
    return block;
}

void heaps_free(void *block)
{
    if (UNLIKELY(spans_heaps == 0))
        heaps_fault(KNOLL_FAULT_FOREIGN, block);
    if (UNLIKELY(mapping_may_be(block))) {
        struct mapping *mapping = mapping_find(block);
        if (mapping != NULL) {
            enum knoll_fault broken = mapping_broken(mapping);
            if (broken != KNOLL_FAULT_NONE)
                heaps_fault(broken, block);
            mapping_discard(mapping);
            return;
        }
    }
    struct knoll_heap *from = heap_of(block);
    size_t used = knoll_used_bytes(from);
    knoll_free(from, block);
    bins_unmark(&block, 1);
    decay_count_freed(used - knoll_used_bytes(from));
}

void heaps_free_sized(void *block, size_t alignment, size_t size)
{
    const struct mapping *mapping = mapping_find(block);
    if (mapping != NULL || spans_heaps == 0) {
        if (mapping != NULL && !mapping_fits(mapping, alignment, size))
            heaps_fault(KNOLL_FAULT_SIZE, block);
        heaps_free(block);
        return;
    }
    struct knoll_heap *from = heap_of(block);
    size_t used = knoll_used_bytes(from);
    if (alignment == 0)
        knoll_free_sized(from, block, size);
    else
        knoll_free_aligned_sized(from, block, alignment, size);
    bins_unmark(&block, 1);
    decay_count_freed(used - knoll_used_bytes(from));
}

size_t heaps_usable_size(const void *block)
{
    const struct mapping *mapping = mapping_find(block);
    if (mapping != NULL)
        return mapping->size;
    return knoll_usable_size(heap_of(block), block);
}

/* Moves a block to where it is served as its new size wants. */
static void *move(void *block, size_t old_size, size_t size)
{
    void *moved = heaps_allocate(1, size);
    if (moved == NULL)
        return NULL;
    __builtin_memcpy(moved, block, size < old_size ? size : old_size);
    heaps_free(block);
    return moved;
}

void *heaps_resize(void *block, size_t size)
{
    struct mapping *mapping = mapping_find(block);
    if (mapping != NULL) {
        void *resized = size >= options.map_least / 2 ? mapping_resize(mapping, size) : NULL;
        if (resized == NULL)
            resized = move(block, mapping->size, size);
        mapping = resized == NULL ? mapping_find(block) : NULL; /* which may lie elsewhere now */
        return mapping != NULL && size < mapping->size ? mapping_resize(mapping, size) : resized;
    }
    struct knoll_heap *in = heap_of(block);
    if (size >= options.map_least) {
        void *moved = move(block, knoll_usable_size(in, block), size);
        if (moved != NULL || size > knoll_usable_size(in, block))
            return moved;
    }
    bool is_plain = bins_look_up(block) != 0 || bins_is_plain(block);
    void *resized = knoll_realloc(in, block, size);
    if (resized == NULL)
        return move(block, knoll_usable_size(in, block), size);
    bins_unmark(&block, 1);
    if (HAS_SECRETS && resized != block && size <= sizeof(uint64_t))
        ((uint64_t *)resized)[1] = 0; /* which was not copied, and may be the caches' secret still */
    if (is_plain)
        bins_mark(resized);
    return resized;
}

/* ---- The end ---- */

/* What is broken is reported with all that is known of the block. */
static int verify_block(void *of, const struct knoll_item *item)
{
    struct guarded guarded;
    if (item->kind == KNOLL_ITEM_BLOCK)
        (void)knoll_guarded_verify(of, item->start, 0, &guarded);
    return 0;
}

void heaps_verify(void)
{
    for (size_t i = 0; i < spans_heaps; i++) {
        int broken = knoll_check_blocks(&spans_heap[i]);
        if (broken == 0)
            continue;
        (void)knoll_walk(&spans_heap[i], verify_block, &spans_heap[i]);
        knoll_drain(&spans_heap[i]);
        report_broken(broken); /* it is in no block */
    }
    struct mapping *mapping = NULL;
    while ((mapping = mapping_table_next(mapping)) != NULL)
        if (!mapping->waits && mapping_broken(mapping) != KNOLL_FAULT_NONE)
            heaps_fault(mapping_broken(mapping), mapping->block);
}

/* ---- Totals ---- */

size_t heaps_used_bytes(void)
{
    size_t used = 0;
    for (size_t i = 0; i < spans_heaps; i++)
        used += knoll_used_bytes(&spans_heap[i]);
    return used;
}

void heaps_walk_free(size_t least, knoll_visitor visitor, void *context)
{
    for (size_t i = 0; i < spans_heaps; i++)
        knoll_walk_free(&spans_heap[i], least, visitor, context);
}

static void add(struct knoll_stats *sum, const struct knoll_stats *of)
{
    sum->total_bytes += of->total_bytes;
    sum->used_bytes += of->used_bytes;
    sum->available_bytes += of->available_bytes;
    sum->peak_used_bytes += of->peak_used_bytes;
    sum->table_bytes += of->table_bytes;
    sum->allocations += of->allocations;
    sum->frees += of->frees;
    sum->failures += of->failures;
    sum->regions += of->regions;
    sum->large_blocks += of->large_blocks;
    sum->large_bytes += of->large_bytes;
    sum->unit_bytes = of->unit_bytes;
    sum->class_count = of->class_count;
    if (of->largest_block > sum->largest_block)
        sum->largest_block = of->largest_block;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        sum->size_class[i].block_size = of->size_class[i].block_size;
        sum->size_class[i].slabs += of->size_class[i].slabs;
        sum->size_class[i].total_blocks += of->size_class[i].total_blocks;
        sum->size_class[i].used_blocks += of->size_class[i].used_blocks;
    }
    for (size_t i = 0; i < KNOLL_RUN_ORDERS; i++)
        sum->free_runs[i] += of->free_runs[i];
}

void heaps_totals(struct heaps_totals *totals)
{
    __builtin_memset(totals, 0, sizeof *totals);
    for (size_t i = 0; i < spans_heaps; i++) {
        struct knoll_stats stats;
        knoll_get_stats(&spans_heap[i], &stats);
        add(&totals->stats, &stats);
    }
    totals->heaps = spans_heaps;
    totals->reserved_bytes = spans_reserved;
    mapping_totals(&totals->mapped_blocks, &totals->mapped_bytes);
}
