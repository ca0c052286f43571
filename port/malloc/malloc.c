/* The entry points of C, POSIX and glibc. Each says in errno what POSIX has it say; free leaves errno alone.
 *
 * Where the standards leave a choice, glibc's is taken, because programs were tested with it: realloc(p, 0) frees and
 * gives NULL, malloc(0) gives a block.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What C23 adds, and what <stdlib.h> has only by other names. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

/* ---- Start and end ---- */

static void print_stats(int file)
{
    struct heaps_totals totals;
    if (!lock_enter())
        return;
    cache_heaps_totals(&totals);
    lock_leave(); /* who reads what is printed may have to allocate first */
    report_stats(file, &totals);
}

static void on_signal(int number)
{
    (void)number;
    print_stats(2);
}

/* Before the constructors of all other libraries (-z initfirst), for what they register to be done before a fork must
 * be done before this library takes the lock: it may wait for threads that allocate. The C library does not know its
 * environment yet. */
static void __attribute__((constructor)) start(int count, char **arguments, char **environment)
{
    (void)count, (void)arguments;
    static const char variable[] = "KNOLL_STATS_SIGNAL";
    options_read(environment);
    if (options.stats)
        report_keep_error();
    free(malloc(1)); /* a first heap and cache */
    lock_watch_forks();
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = on_signal;
    if (options.stats_signal != 0 && sigaction(options.stats_signal, &action, NULL) != 0)
        options_complain(variable, options_value(environment, variable), "no signal that a program can catch");
}

static void __attribute__((destructor)) stop(void)
{
    if (options.stats)
        print_stats(2);
    called_by(NULL);
    if (KNOLL_MALLOC_RUNG >= 2 && lock_enter()) {
        heaps_verify();
        lock_leave();
    }
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

/* Makes a cache for this thread, if it has none and may have one. */
static void want_cache(void)
{
    if (HAS_CACHES && lock_thread.cache == NULL && !lock_thread.is_over && !lock_thread.inside)
        cache_make();
}

static __attribute__((noinline)) void *malloc_slowly(size_t size)
{
    want_cache();
    if (size > BIN_LARGEST || lock_thread.served == 0)
        return or_no_memory(allocate(1, size));
    if (!lock_enter())
        return or_no_memory(NULL);
    struct cache *cache = cache_borrow();
    size_t bin = bin_for_size(size);
    void *block = cache_take(cache, 2 * bin); /* it may come from a thread that ended */
    if (block == NULL)
        block = cache_refill(cache, bin);
    cache_return();
    lock_leave();
    return or_no_memory(block);
}

/* Serves a run, or anything while this thread's cache is not ready. */
static __attribute__((noinline)) void *malloc_run(size_t size)
{
    if (size > BIN_LARGEST || lock_thread.served == 0)
        return malloc_slowly(size);
    struct cache *cache = cache_borrow();
    void *block = cache_take(cache, 2 * bin_for_size(size));
    cache_return();
    return LIKELY(block != NULL) ? block : malloc_slowly(size);
}

EXPORT void *malloc(size_t size)
{
    called_by(CALLER);
    if (UNLIKELY(size >= lock_thread.served))
        return malloc_run(size);
    struct cache *cache = cache_borrow();
    void *block = cache_take(cache, cache->twice[size]);
    cache_return();
    return LIKELY(block != NULL) ? block : malloc_slowly(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    called_by(CALLER);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return or_no_memory(NULL);
    if (bytes <= BIN_LARGEST) {
        keep_caller(true);
        void *block = malloc(bytes);
        keep_caller(false);
        return block == NULL ? NULL : memset(block, 0, bytes);
    }
    if (!lock_enter())
        return or_no_memory(NULL);
    void *block = heaps_allocate_zeroed(bytes);
    lock_leave();
    return or_no_memory(block);
}

/* Where the heap may be able to change the block's size in place. */
static void *realloc_in_heap(void *block, size_t size)
{
    if (size > PTRDIFF_MAX || !lock_enter())
        return or_no_memory(NULL);
    (void)cache_bin_of_held(block);
    void *resized = heaps_resize(block, size);
    lock_leave();
    return or_no_memory(resized);
}

EXPORT __attribute__((noinline)) void *realloc(void *block, size_t size)
{
    called_by(CALLER);
    if (block == NULL)
        return malloc(size);
    if (size == 0) {
        keep_caller(true);
        free(block);
        keep_caller(false);
        return NULL;
    }
    size_t twice_bin = bins_look_up(block);
    size_t bin = twice_bin / 2;
    if (size > BIN_LARGEST || twice_bin % 2 != 0 || bin == 0 || bin >= BIN_RUNS ||
        (HAS_SECRETS && ((const uint64_t *)block)[1] == bins.secret))
        return realloc_in_heap(block, size);
    if (bin_for_size(size) == bin)
        return block;
    void *moved = malloc(size);
    if (moved == NULL)
        return realloc_in_heap(block, size); /* which can always make it smaller, and notes that it did */
    memcpy(moved, block, size < bin_bytes(bin) ? size : bin_bytes(bin));
    free(block);
    return moved;
}

/* A program with a malloc of its own, as Chromium, may well have no reallocarray: then the block that comes here is its
 * own too. So, as the C library's, this calls whatever realloc the program has. */
EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return or_no_memory(NULL);
    return realloc(block, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    called_by(CALLER);
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return or_no_memory(allocate(alignment, size));
}

/* glibc's rounds an alignment that is no power of two up. */
EXPORT void *memalign(size_t alignment, size_t size)
{
    called_by(CALLER);
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
    called_by(CALLER);
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
    called_by(CALLER);
    return or_no_memory(allocate(PAGE, size));
}

EXPORT void *pvalloc(size_t size)
{
    called_by(CALLER);
    size_t rounded = (size + PAGE - 1) & ~(PAGE - 1);
    return or_no_memory(rounded < size ? NULL : allocate(PAGE, rounded));
}

/* ---- Freeing ---- */

/* A thread that only frees gets a cache with the next one: what the C library frees when a thread has ended, after it
 * was told so, is seldom as much, and nor is what a handler frees in a thread that has no cache yet. */
#define FREES_ALONE 32

/* Gives the block to the bin of which this is twice the number; false if there is no room, or something to be looked
 * at. */
static inline bool give_to_cache(void *block, size_t twice_bin)
{
    struct cache *cache;
    if (UNLIKELY(!cache_borrow_if_ready(&cache)))
        return false;
    bool given = cache_give(cache, twice_bin, block);
    cache_return();
    return given;
}

static __attribute__((noinline)) void free_slowly(void *block)
{
    if (block == NULL)
        return;
    int error = errno;
    if (lock_thread.frees < FREES_ALONE)
        lock_thread.frees++;
    else
        want_cache();
    if (UNLIKELY(!lock_enter())) {
        lock_defer_free(block);
        errno = error;
        return;
    }
    struct cache *cache;
    bool is_ready = cache_borrow_if_ready(&cache);
    size_t bin = cache_bin_of_held(block);
    if (bin != 0 && is_ready) {
        if (bin_is_full(cache, bin))
            cache_make_room(cache, bin);
        if (HAS_SECRETS)
            ((uint64_t *)block)[1] = 0; /* it may be the secret by chance */
        bins_mark(block);               /* it may have been asked for with an alignment */
        cache_give(cache, 2 * bin, block);
    } else {
        heaps_free(block);
    }
    if (is_ready)
        cache_return();
    lock_leave();
    errno = error;
}

EXPORT void free(void *block)
{
    called_by(CALLER);
    size_t place = bins_place(block);
    if (UNLIKELY(place >= bins.places || !give_to_cache(block, bins_at(place))))
        free_slowly(block);
}

/* Frees with the lock what no bin has, or not the bin for this size. */
static void free_sized_slowly(void *block, size_t alignment, size_t size)
{
    int error = errno;
    if (UNLIKELY(!lock_enter())) {
        lock_defer_free(block);
        return;
    }
    (void)cache_bin_of_held(block);
    heaps_free_sized(block, alignment, size);
    lock_leave();
    errno = error;
}

/* With an alignment of 0 if none is named: realloc keeps that of a block which had one. */
static inline void free_known(void *block, size_t alignment, size_t size)
{
    if (block == NULL)
        return;
    if (alignment > ALIGNMENT || size > BIN_LARGEST || bins_look_up(block) != 2 * bin_for_size(size))
        free_sized_slowly(block, alignment, size);
    else if (UNLIKELY(!give_to_cache(block, 2 * bin_for_size(size))))
        free_slowly(block);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    called_by(CALLER);
    free_known(block, alignment != 0 ? alignment : SIZE_MAX, size); /* 0 is no alignment */
}

EXPORT void free_sized(void *block, size_t size)
{
    called_by(CALLER);
    free_known(block, 0, size);
}

/* ---- Asking, and trimming ---- */

EXPORT size_t malloc_usable_size(void *block)
{
    called_by(CALLER);
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
    cache_drain();
    size_t given = decay_trim();
    lock_leave();
    return given > 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct heaps_totals totals;
    struct mallinfo2 info = {0};
    if (!lock_enter())
        return info;
    cache_heaps_totals(&totals);
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

/* The older form, whose numbers may be too narrow. */
EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info = {0};
    info.arena = (int)wide.arena;
    info.ordblks = (int)wide.ordblks;
    info.hblks = (int)wide.hblks;
    info.hblkhd = (int)wide.hblkhd;
    info.uordblks = (int)wide.uordblks;
    info.fordblks = (int)wide.fordblks;
    info.keepcost = (int)wide.keepcost;
    return info;
}

/* None of glibc's parameters means anything here. */
EXPORT int mallopt(int parameter, int value)
{
    (void)parameter, (void)value;
    return 0;
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
    cache_heaps_totals(&totals);
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
