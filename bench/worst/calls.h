/* Counting one call of a heap's functions, of whichever type its heaps are: contender_heap names it before this is
 * included, and `heap` is one. An empty function stands in for each, whatever its type: it neither reads arguments nor
 * leaves a result, and nobody looks for one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_CALLS_H
#define WORST_CALLS_H

#include "contender.h"

typedef void *malloc_function(contender_heap *, size_t);
typedef void *aligned_function(contender_heap *, size_t, size_t);
typedef void free_function(contender_heap *, void *);

static contender_heap heap;

static void empty(void)
{
}

static uint32_t call_malloc(const volatile uint64_t *count, malloc_function *function, struct request *request)
{
    uint64_t before = *count;
    request->block = function(&heap, request->size);
    return (uint32_t)(*count - before);
}

static uint32_t call_aligned_alloc(const volatile uint64_t *count, aligned_function *function, struct request *request)
{
    uint64_t before = *count;
    request->block = function(&heap, request->alignment, request->size);
    return (uint32_t)(*count - before);
}

static uint32_t call_free(const volatile uint64_t *count, free_function *function, const struct request *request)
{
    uint64_t before = *count;
    function(&heap, request->block);
    return (uint32_t)(*count - before);
}

#endif
