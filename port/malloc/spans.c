/* Spans: where the heaps' memory comes from.
 *
 * A span is a large stretch of address space of which the kernel backs what is used. It becomes a region of the last
 * heap, whose tables need no clearing because it reads as zero; when that heap has as many regions as it can, another
 * heap begins. So there is no limit but that of the address space, and a program with one span, nearly every one, has
 * all of its blocks in the first region of the first heap, where they are found with one comparison.
 *
 * At rung 2 and above all memory of the spans is looked at when a fault is reported. So they are short at first, and
 * each is as long as all before it together; and so they are where KNOLL_SPAN_BYTES says how long the first is.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "spans.h"

#include "bins.h"

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

struct knoll_heap *const spans_heap = shielded.heap;
size_t spans_heaps;
size_t spans_reserved;

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
    if (spans_heaps == 0 || knoll_add_memory(&spans_heap[spans_heaps - 1], span, size) != KNOLL_OK) {
        if (spans_heaps == HEAPS_MOST || knoll_init(&spans_heap[spans_heaps], span, size) != KNOLL_OK)
            return false;
        set_secret(&spans_heap[spans_heaps]);
        knoll_set_fault_handler(&spans_heap[spans_heaps++], heaps_on_fault);
        if (spans_heaps == 1) /* and never again: others read it without the lock */
            bins_begin(spans_heap[0].region[0]);
    }
    guard_tables(span);
    return true;
}

/* How long the next span is to be; of an address space with a limit a quarter, for the program needs some too. */
static size_t next_span(void)
{
    struct rlimit limit;
    bool doubles = KNOLL_HARDEN >= 2 || options.span_first != 0;
    size_t size = doubles && spans_reserved < SPAN_MOST - PAGE ? spans_reserved : SPAN_MOST - PAGE;
    if (spans_heaps == 0)
        size = options.span_first != 0 ? options.span_first : SPAN_FIRST;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 4 < size)
        size = limit.rlim_cur / 4 / PAGE * PAGE;
    if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur / 4 < size) /* Linux counts private memory too */
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

bool spans_grow(size_t alignment, size_t size_wanted)
{
    if (spans_heaps == 0) {
        options_read(environ); /* unless this comes before there is one */
        pages_forbid(shielded.before, shielded.heap);
        pages_forbid(shielded.heap + HEAPS_MOST, &shielded + 1);
    }
    size_t least = span_for(alignment, size_wanted);
    size_t size = next_span();
    size = size > least ? size : least;
    void *span = least < SPAN_MOST ? reserve(&size, least) : NULL;
    if (span == NULL)
        return false;
    madvise(span, size, options.huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (!add_span(span, size)) {
        pages_unmap(span, size);
        return false;
    }
    spans_reserved += size;
    return true;
}
