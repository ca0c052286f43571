/* knoll. Which path a call took is told by the statistics: they count slabs, blocks that are runs, and failures, at
 * every moment. Only how many blocks magazines remember is looked up in the heap itself. That memory was short is told
 * by the block: it is of another size than it should be, or a run where a slab should have served.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

typedef struct knoll_heap contender_heap;

#include "calls.h"

typedef void sized_function(struct knoll_heap *, void *, size_t, size_t);

static struct knoll_stats seen;
static size_t seen_hints;
static bool seen_short, seen_small;

/* Volatile, so that the compiler cannot tell which of the two is called. */
static malloc_function *volatile mallocs[] = {(malloc_function *)empty, knoll_malloc};
static aligned_function *volatile aligned_allocs[] = {(aligned_function *)empty, knoll_aligned_alloc};
static free_function *volatile frees[] = {(free_function *)empty, knoll_free};
static sized_function *volatile sized_frees[] = {(sized_function *)empty, knoll_free_aligned_sized};

const char *const contender_name = KNOLL_PROFILE == KNOLL_CLASSIC ? "knoll-classic" : "knoll-compact";

bool contender_init(void *start, size_t size)
{
    bool made = knoll_init(&heap, start, size) == KNOLL_OK;
    if (made)
        knoll_get_stats(&heap, &seen);
    seen_hints = 0;
    return made;
}

static uint32_t call_free_sized(const volatile uint64_t *count, sized_function *function, const struct request *request)
{
    uint64_t before = *count;
    function(&heap, request->block, request->alignment, request->size);
    return (uint32_t)(*count - before);
}

uint32_t contender_call(const volatile uint64_t *count, bool really, enum entry entry, struct request *request)
{
    seen_short = false;
    if (entry == ENTRY_FREE)
        return call_free(count, frees[really], request);
    if (entry == ENTRY_FREE_SIZED)
        return call_free_sized(count, sized_frees[really], request);
    uint32_t counted = entry == ENTRY_MALLOC ? call_malloc(count, mallocs[really], request)
                                             : call_aligned_alloc(count, aligned_allocs[really], request);
    size_t good = knoll_good_size(&heap, request->alignment, request->size);
    seen_small = good <= KNOLL_SLAB_MAXIMUM;
    seen_short = really && request->block != NULL && knoll_usable_size(&heap, request->block) != good;
    return counted;
}

/* How many blocks magazines remember. */
static size_t count_hints(void)
{
    size_t hints = 0;
#if KNOLL_MAGAZINE > 0
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++)
        hints += (uint8_t)(heap.size_class[i].hints < 0 ? -heap.size_class[i].hints : heap.size_class[i].hints);
#endif
    return hints;
}

enum path contender_path(void)
{
    struct knoll_stats now;
    knoll_get_stats(&heap, &now);
    bool grew = false;
    bool shrank = false;
    for (size_t i = 0; i < now.class_count; i++) {
        grew |= now.size_class[i].slabs > seen.size_class[i].slabs;
        shrank |= now.size_class[i].slabs < seen.size_class[i].slabs;
    }
    bool freed = now.frees != seen.frees;
    bool failed = now.failures != seen.failures;
    bool large = now.large_blocks != seen.large_blocks;
    size_t hints = count_hints();
    bool hinted = hints != seen_hints;
    seen = now;
    seen_hints = hints;
    if (shrank && !freed)
        return PATH_RECLAIM;
    return failed                                          ? PATH_FAILED
           : seen_short || (large && seen_small && !freed) ? PATH_SHORT
           : large                                         ? PATH_LARGE
           : grew || shrank                                ? PATH_RESIZE
           : hinted                                        ? PATH_MAGAZINE
                                                           : PATH_SLAB;
}
