/* When free memory goes back to the kernel.
 *
 * What is free stays resident, ready for the next block, for options.decay_ms; then the next free that reaches a heap
 * gives all free runs of RUN_LEAST bytes or more back. It does so at once when DROP_MOST bytes less are in use than
 * before. What stays are shorter runs and free blocks of slabs.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bins.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#define RUN_LEAST           ((size_t)64 << 10)
#define BYTES_BETWEEN_LOOKS ((size_t)1 << 20)  /* freed before the clock is looked at */
#define DROP_MOST           ((size_t)64 << 20) /* less in use than before: then the clock does not matter */
#define NOTHING_TO_GIVE     UINT64_MAX

static size_t not_looked_at;                   /* bytes freed since the clock was looked at */
static size_t most_used;                       /* since memory was given back, as seen when the clock was looked at */
static uint64_t first_freed = NOTHING_TO_GIVE; /* when the oldest bytes that may be given back were freed */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int give_back(void *context, const struct knoll_item *run)
{
    size_t *given = context;
    uintptr_t start = ((uintptr_t)run->start + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = ((uintptr_t)run->start + run->size) & ~(uintptr_t)(PAGE - 1);
    if (madvise((void *)start, end - start, MADV_DONTNEED) == 0) /* NOLINT(performance-no-int-to-ptr) */
        *given += end - start;                                   /* what a program has locked stays */
    bins_trim(run->start, (const unsigned char *)run->start + run->size);
    return 0;
}

size_t decay_trim(void)
{
    size_t given = 0;
    int error = errno;
    heaps_walk_free(RUN_LEAST, give_back, &given);
    errno = error;
    first_freed = NOTHING_TO_GIVE;
    return given;
}

/* Every BYTES_BETWEEN_LOOKS that were freed the clock tells whether it is time. */
static __attribute__((noinline)) void look_at_clock(void)
{
    not_looked_at = 0;
    uint64_t now = now_ms();
    size_t used = heaps_used_bytes();
    if (first_freed == NOTHING_TO_GIVE)
        first_freed = now;
    if (used > most_used)
        most_used = used;
    if (now - first_freed >= options.decay_ms || most_used - used >= DROP_MOST) {
        decay_trim();
        most_used = used;
    }
}

void decay_count_freed(size_t bytes)
{
    not_looked_at += bytes;
    if (UNLIKELY(not_looked_at >= BYTES_BETWEEN_LOOKS))
        look_at_clock();
}
