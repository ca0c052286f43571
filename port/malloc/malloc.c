/* The entry points of C, POSIX and glibc. Each says in errno what POSIX has it say; free leaves errno alone.
 *
 * Where the standards leave a choice, glibc's is taken, because programs were tested with it: realloc(p, 0) frees and
 * gives NULL, malloc(0) gives a block.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What C23 adds, and what <stdlib.h> has only by other names. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

/* ---- Start and end ---- */

static void print_stats(int file)
{
    if (!lock_enter())
        return;
    report_stats(file);
    lock_leave();
}

static void on_signal(int number)
{
    (void)number;
    print_stats(2);
}

static void __attribute__((constructor)) start(void)
{
    free(malloc(1)); /* reads the options */
    lock_watch_forks();
    if (options.stats_signal != 0) {
        struct sigaction action = {.sa_flags = SA_RESTART};
        action.sa_handler = on_signal;
        sigaction(options.stats_signal, &action, NULL);
    }
}

static void __attribute__((destructor)) stop(void)
{
    if (options.stats)
        print_stats(2);
}

/* ---- Allocating ---- */

static void *or_no_memory(void *block)
{
    if (UNLIKELY(block == NULL))
        errno = ENOMEM;
    return block;
}

static void *allocate(size_t alignment, size_t size)
{
    if (UNLIKELY(size > PTRDIFF_MAX || !lock_enter()))
        return NULL;
    void *block = heaps_allocate(alignment, size);
    lock_leave();
    return block;
}

EXPORT void *malloc(size_t size)
{
    return or_no_memory(allocate(1, size));
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX || !lock_enter())
        return or_no_memory(NULL);
    void *block = heaps_allocate_zeroed(bytes);
    lock_leave();
    return or_no_memory(block);
}

EXPORT void *realloc(void *block, size_t size)
{
    if (block == NULL)
        return malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (size > PTRDIFF_MAX || !lock_enter())
        return or_no_memory(NULL);
    void *resized = heaps_resize(block, size);
    lock_leave();
    return or_no_memory(resized);
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return or_no_memory(NULL);
    return realloc(block, bytes);
}

static bool is_power_of_two(size_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return or_no_memory(allocate(alignment, size));
}

/* glibc's rounds an alignment that is no power of two up. */
EXPORT void *memalign(size_t alignment, size_t size)
{
    size_t rounded = 1;
    while (rounded < alignment && rounded <= SIZE_MAX / 2)
        rounded *= 2;
    if (rounded < alignment) {
        errno = EINVAL;
        return NULL;
    }
    return or_no_memory(allocate(rounded, size));
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *block = allocate(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *result = block;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return or_no_memory(allocate(PAGE, size));
}

EXPORT void *pvalloc(size_t size)
{
    size_t rounded = (size + PAGE - 1) & ~(PAGE - 1);
    return or_no_memory(rounded < size ? NULL : allocate(PAGE, rounded));
}

/* ---- Freeing ---- */

EXPORT void free(void *block)
{
    if (block == NULL)
        return;
    if (UNLIKELY(!lock_enter())) {
        lock_defer_free(block);
        return;
    }
    heaps_free(block);
    lock_leave();
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    if (block == NULL)
        return;
    if (UNLIKELY(!lock_enter())) {
        lock_defer_free(block);
        return;
    }
    heaps_free_sized(block, alignment, size);
    lock_leave();
}

EXPORT void free_sized(void *block, size_t size)
{
    free_aligned_sized(block, 1, size);
}

/* ---- Asking, and trimming ---- */

EXPORT size_t malloc_usable_size(void *block)
{
    if (block == NULL || !lock_enter())
        return 0;
    size_t size = heaps_usable_size(block);
    lock_leave();
    return size;
}

EXPORT int malloc_trim(size_t keep)
{
    (void)keep; /* of no use: nothing needs to be kept for the next block to be had */
    if (!lock_enter())
        return 0;
    size_t given = heaps_trim();
    lock_leave();
    return given > 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct heaps_totals totals;
    struct mallinfo2 info = {0};
    if (!lock_enter())
        return info;
    heaps_totals(&totals);
    lock_leave();
    info.arena = totals.reserved_bytes;
    info.hblks = totals.mapped_blocks;
    info.hblkhd = totals.mapped_bytes;
    info.uordblks = totals.stats.used_bytes;
    info.fordblks = totals.stats.available_bytes;
    for (size_t i = 0; i < KNOLL_RUN_ORDERS; i++)
        info.ordblks += totals.stats.free_runs[i];
    info.keepcost = totals.stats.largest_block;
    return info;
}

EXPORT void malloc_stats(void)
{
    print_stats(2);
}

/* As XML, of which glibc says that it may change. */
EXPORT int malloc_info(int flags, FILE *stream)
{
    struct heaps_totals totals;
    if (flags != 0) {
        errno = EINVAL;
        return -1;
    }
    if (!lock_enter())
        return -1;
    heaps_totals(&totals);
    lock_leave(); /* because stdio may allocate */
    const struct knoll_stats *stats = &totals.stats;
    fprintf(stream, "<malloc version=\"knoll-" KNOLL_VERSION "\">\n<sizes>\n");
    for (size_t i = 0; i < stats->class_count; i++)
        if (stats->size_class[i].slabs != 0)
            fprintf(stream, "  <class size=\"%zu\" slabs=\"%zu\" blocks=\"%zu\" used=\"%zu\"/>\n",
                    stats->size_class[i].block_size, stats->size_class[i].slabs, stats->size_class[i].total_blocks,
                    stats->size_class[i].used_blocks);
    fprintf(stream, "</sizes>\n<total type=\"large\" count=\"%zu\" size=\"%zu\"/>\n", stats->large_blocks,
            stats->large_bytes);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", totals.mapped_blocks, totals.mapped_bytes);
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n</malloc>\n",
            totals.reserved_bytes + totals.mapped_bytes);
    return 0;
}
