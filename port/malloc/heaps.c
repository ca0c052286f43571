/* The heaps behind malloc: knoll heaps over spans of reserved address space, and blocks that are mapped directly.
 *
 * A span is a large stretch of address space of which the kernel backs what is used. It becomes a region of the last
 * heap, whose tables need no clearing because it reads as zero; when that heap has as many regions as it can, another
 * heap begins. So there is no limit but that of the address space, and a program with one span, nearly every one, has
 * all of its blocks in the first region of the first heap, where they are found with one comparison.
 *
 * At rung 2 and above all memory of the spans is looked at when a fault is reported. So they are short at first, and
 * each is as long as all before it together.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bins.h"
#include "report.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPAN_MOST  ((size_t)8 << 30) /* less a page: as long as a region can be */
#define SPAN_FIRST ((size_t)(KNOLL_HARDEN < 2 ? 4096 : 4) << 20)
#define SPAN_LEAST ((size_t)1 << 20)

/* The heaps, and at rung 3 a page on either side of them that is made inaccessible. */
static struct {
    _Alignas(PAGE) unsigned char before[PAGE];
    struct knoll_heap heap[HEAPS_MOST];
    unsigned char after[2 * PAGE];
} shielded;

static struct knoll_heap *const heap = shielded.heap;
static size_t heaps;
static size_t reserved;

/* The heap that the block is in; the first one, whose fault it will be, if it is in none. */
static struct knoll_heap *heap_of(const void *block)
{
    for (size_t i = 1; i < heaps; i++)
        if (knoll_owns(&heap[i], block))
            return &heap[i];
    return &heap[0];
}

bool heaps_own(const void *address)
{
    for (size_t i = 0; i < heaps; i++)
        if (knoll_owns(&heap[i], address))
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

static void fault(struct knoll_heap *of, enum knoll_fault kind, const void *address)
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

/* ---- Spans ---- */

/* Reserves a span of so many bytes, or of half as many, as often as need be, but of `least` bytes: a limit may be set
 * on the address space. */
static void *reserve(size_t *size, size_t least)
{
    void *span = pages_map(*size);
    while (span == NULL && *size > least) {
        size_t half = *size / 2 / PAGE * PAGE;
        *size = half > least ? half : least;
        span = pages_map(*size);
    }
    return span;
}

/* Makes what lies between a span's tables and its blocks inaccessible, where KNOLL_TABLE_SLACK leaves room. */
static void guard_tables(unsigned char *span)
{
    const struct knoll_region *region = (const struct knoll_region *)(uintptr_t)span;
    size_t tables = knoll_region_lists_at(region->count) + lists_in_region(region->count) * sizeof(uint32_t);
    pages_forbid(span + tables, span + ((size_t)region->first << KNOLL_UNIT_SHIFT));
}

/* What canaries are made of. */
static void set_secret(struct knoll_heap *of)
{
    uintptr_t secret;
    if (KNOLL_HARDEN >= 2 && syscall(SYS_getrandom, &secret, sizeof secret, 0) == sizeof secret)
        knoll_set_secret(of, secret);
}

/* Makes a span part of the last heap, or of a new one. */
static bool add_span(void *span, size_t size)
{
    if (heaps == 0 || knoll_add_memory(&heap[heaps - 1], span, size) != KNOLL_OK) {
        if (heaps == HEAPS_MOST || knoll_init(&heap[heaps], span, size) != KNOLL_OK)
            return false;
        set_secret(&heap[heaps]);
        knoll_set_fault_handler(&heap[heaps++], fault);
        if (heaps == 1) /* and never again: others read it without the lock */
            bins_begin(heap[0].region[0]);
    }
    guard_tables(span);
    return true;
}

/* How long the next span is to be; of an address space with a limit a quarter, for the program needs some too. */
static size_t next_span(void)
{
    struct rlimit limit;
    size_t size = KNOLL_HARDEN < 2 || reserved > SPAN_MOST - PAGE ? SPAN_MOST - PAGE : reserved;
    if (heaps == 0)
        size = SPAN_FIRST;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 4 < size)
        size = limit.rlim_cur / 4 / PAGE * PAGE;
    return size;
}

/* How long a span must be that has room for this request, and for its tables; more than any may be if none has. */
static size_t span_for(size_t alignment, size_t size)
{
    if (size > SPAN_MOST || alignment > SPAN_MOST)
        return SPAN_MOST;
    if (KNOLL_HARDEN >= 2) /* what the core puts before a block is as long as its alignment, or a front part */
        size += alignment + PAGE;
    size_t bytes = size + alignment + (size + alignment) / 64 + SPAN_LEAST;
    return bytes < SPAN_MOST ? (bytes + PAGE - 1) / PAGE * PAGE : SPAN_MOST;
}

/* Adds a span for a request, and none that has no room for it: that would take address space from the program, and
 * serve nobody. */
static bool grow(size_t alignment, size_t size_wanted)
{
    size_t least = span_for(alignment, size_wanted);
    size_t size = next_span();
    size = size > least ? size : least;
    if (heaps == 0) {
        options_read(environ); /* unless this comes before there is one */
        pages_forbid(shielded.before, shielded.heap);
        pages_forbid(shielded.heap + HEAPS_MOST, &shielded + 1);
    }
    void *span = least < SPAN_MOST ? reserve(&size, least) : NULL;
    if (span == NULL)
        return false;
    if (!options.huge_pages)
        madvise(span, size, MADV_NOHUGEPAGE);
    if (!add_span(span, size)) {
        pages_unmap(span, size);
        return false;
    }
    reserved += size;
    return true;
}

/* ---- Blocks ---- */

/* From the spans that there are. */
static void *from_spans(size_t alignment, size_t size)
{
    void *block = NULL;
    for (size_t i = heaps; i-- > 0 && block == NULL;)
        block = knoll_aligned_alloc(&heap[i], alignment, size);
    return block;
}

static void *from_heaps(size_t alignment, size_t size)
{
    void *block = from_spans(alignment, size);
    while (UNLIKELY(block == NULL) && grow(alignment, size))
        block = from_spans(alignment, size);
    return block;
}

/* The program gets a block that may have been in a cache. */
static void hand_out(void *block, size_t alignment)
{
    if (HAS_CACHES)
        ((uint64_t *)block)[1] = 0; /* which may be the caches' secret still */
    if (alignment <= ALIGNMENT)
        bins_mark(block);
}

void *heaps_allocate(size_t alignment, size_t size)
{
    if (UNLIKELY(heaps == 0) && !grow(0, 0))
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
    if (LIKELY(block != NULL) && size <= BIN_LARGEST)
        hand_out(block, alignment);
    return block;
}

size_t heaps_allocate_batch(size_t size, size_t count, void **blocks)
{
    if (UNLIKELY(heaps == 0) && !grow(0, 0))
        return 0;
    for (;;) {
        for (size_t i = heaps; i-- > 0;) {
            size_t taken = knoll_malloc_batch(&heap[i], size, count, blocks);
            if (LIKELY(taken != 0)) {
                bins_mark_batch(blocks, taken, size);
                return taken;
            }
        }
        if (!grow(0, size))
            return 0;
    }
}

void heaps_free_batch(void *const *blocks, size_t count)
{
    if (LIKELY(heaps == 1)) {
        size_t used = knoll_used_bytes(&heap[0]);
        knoll_free_batch(&heap[0], blocks, count);
        bins_unmark(blocks, count);
        decay_count_freed(used - knoll_used_bytes(&heap[0]));
        return;
    }
    for (size_t i = 0; i < count; i++)
        heaps_free(blocks[i]);
}

void *heaps_allocate_zeroed(size_t size)
{
    if (UNLIKELY(heaps == 0) && !grow(0, 0))
        return NULL;
    bool may_be_mapped = size >= options.map_least;
    void *block = may_be_mapped ? heaps_allocate(1, size) : from_heaps(1, size);
    if (block == NULL || (may_be_mapped && mapping_find(block) != NULL))
        return block; /* what is mapped is zero */
    __builtin_memset(block, 0, size);
    if (!may_be_mapped)
        bins_mark(block);
    return block;
}

void heaps_free(void *block)
{
    if (UNLIKELY(heaps == 0))
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
    if (mapping != NULL || heaps == 0) {
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
    if (HAS_CACHES && resized != block && size <= sizeof(uint64_t))
        ((uint64_t *)resized)[1] = 0; /* which was not copied, and may be the caches' secret still */
    if (is_plain)
        bins_mark(resized);
    return resized;
}

/* ---- The end ---- */

void heaps_verify(void)
{
    for (size_t i = 0; i < heaps; i++) {
        int broken = knoll_check_blocks(&heap[i]);
        if (broken != 0)
            report_broken(broken);
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
    for (size_t i = 0; i < heaps; i++)
        used += knoll_used_bytes(&heap[i]);
    return used;
}

void heaps_walk_free(size_t least, knoll_visitor visitor, void *context)
{
    for (size_t i = 0; i < heaps; i++)
        knoll_walk_free(&heap[i], least, visitor, context);
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
    for (size_t i = 0; i < heaps; i++) {
        struct knoll_stats stats;
        knoll_get_stats(&heap[i], &stats);
        add(&totals->stats, &stats);
    }
    totals->heaps = heaps;
    totals->reserved_bytes = reserved;
    mapping_totals(&totals->mapped_blocks, &totals->mapped_bytes);
}
