/* The smallest region is looked for by halving, and then below what that finds, step by step, because no heap promises
 * that what serves is never smaller than what does not. Whether a larger region fails where a smaller one served is
 * told by trying some: a heap that an engineer gives more memory must not be worse for it. Where it is, the firm size
 * is the one to plan with.
 *
 * SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW       24 /* steps below the result of halving that are tried one by one */
#define FIRM         32
#define SMALL_REGION ((size_t)4 << 20)

struct held {
    unsigned char *start;
    uint32_t size;
};

static _Noreturn void wrong(const struct heap *heap, const char *what)
{
    fprintf(stderr, "knoll-memory: %s: %s\n", heap->name(), what);
    exit(1);
}

/* Marks both ends of a block with its number. */
static void mark(const struct held *held, uint32_t number)
{
    unsigned char low = (unsigned char)number;
    held->start[held->size - 1] = low;
    held->start[0] = low;
}

static void verify(const struct heap *heap, const struct held *held, uint32_t number)
{
    if (held->start[0] != (unsigned char)number || held->start[held->size - 1] != (unsigned char)number)
        wrong(heap, "a block was written to while it was held");
}

static bool take(const struct heap *heap, const struct arena *arena, size_t region, struct held *held, uint32_t size)
{
    held->size = size;
    held->start = heap->aligned_alloc(arena->alignment, size);
    if (held->start == NULL)
        return false;
    uintptr_t offset = (uintptr_t)held->start - (uintptr_t)arena->start;
    if ((uintptr_t)held->start % arena->alignment != 0)
        wrong(heap, "a block is not aligned");
    if (offset >= region || region - offset < size)
        wrong(heap, "a block is outside of the region");
    return true;
}

bool measure_serves(const struct heap *heap, const struct arena *arena, size_t region, const struct trace *trace)
{
    if (region > arena->size || heap->init(arena->start, region) != NULL)
        return false;
    struct held *held = calloc(trace->blocks, sizeof *held);
    if (held == NULL)
        wrong(heap, "no memory to replay the trace");
    uint32_t next = 0;
    bool served = true;
    for (size_t i = 0; served && i < trace->events; i++) {
        int32_t event = trace->event[i];
        if (event > 0) {
            served = take(heap, arena, region, &held[next], (uint32_t)event);
            if (served)
                mark(&held[next], next);
            next++;
        } else {
            const struct held *block = &held[~event];
            verify(heap, block, (uint32_t)~event);
            heap->free(block->start, block->size);
        }
    }
    free(held);
    return served;
}

/* Some larger regions, from the next one to a seventh larger or so. */
static void probe_above(const struct heap *heap, const struct arena *arena, const struct trace *trace,
                        struct smallest *smallest)
{
    static const size_t steps[MEASURE_PROBES] = {1, 2, 3, 5, 8, 13, 21, 34};
    for (int i = 0; i < MEASURE_PROBES; i++) {
        size_t region = smallest->region + steps[i] * MEASURE_STEP;
        if (!measure_serves(heap, arena, region, trace))
            smallest->failed_at[smallest->failed++] = region;
    }
}

/* The first region, from this one on, after which FIRM steps more all serve. */
static size_t firm_from(const struct heap *heap, const struct arena *arena, const struct trace *trace, size_t region)
{
    size_t firm = region;
    for (size_t tried = region; tried <= firm + FIRM * MEASURE_STEP && tried <= arena->size; tried += MEASURE_STEP) {
        if (!measure_serves(heap, arena, tried, trace))
            firm = tried + MEASURE_STEP;
    }
    return firm;
}

struct smallest measure_smallest(const struct heap *heap, const struct arena *arena, const struct trace *trace)
{
    struct smallest smallest = {0};
    size_t fails = trace->peak / MEASURE_STEP; /* in steps, as are the others */
    size_t serves = fails + 1;
    while (!measure_serves(heap, arena, serves * MEASURE_STEP, trace)) {
        fails = serves;
        serves += serves / 4 + 1;
        if (serves * MEASURE_STEP > arena->size)
            return smallest;
    }
    while (serves - fails > 1) {
        size_t middle = (serves + fails) / 2;
        if (measure_serves(heap, arena, middle * MEASURE_STEP, trace))
            serves = middle;
        else
            fails = middle;
    }
    size_t lowest = trace->peak / MEASURE_STEP;
    for (size_t tried = serves - 1; tried > lowest && tried + WINDOW >= serves; tried--) {
        if (measure_serves(heap, arena, tried * MEASURE_STEP, trace))
            serves = tried;
    }
    smallest.region = serves * MEASURE_STEP;
    probe_above(heap, arena, trace, &smallest);
    smallest.firm = firm_from(heap, arena, trace, smallest.region);
    return smallest;
}

/* How many blocks of this size a new heap hands out. */
static size_t fill(const struct heap *heap, const struct arena *arena, size_t region, size_t size)
{
    size_t blocks = 0;
    if (heap->init(arena->start, region) != NULL)
        return 0;
    while (heap->aligned_alloc(arena->alignment, size) != NULL)
        blocks++;
    return blocks;
}

double measure_bytes_per_block(const struct heap *heap, const struct arena *arena, size_t size)
{
    size_t few = fill(heap, arena, SMALL_REGION, size);
    size_t many = fill(heap, arena, 4 * SMALL_REGION, size);
    return many > few ? 3.0 * (double)SMALL_REGION / (double)(many - few) : 0;
}

size_t measure_largest_block(const struct heap *heap, const struct arena *arena, size_t region)
{
    size_t most = 0;
    for (size_t step = region / 2; step > 0; step /= 2) {
        if (heap->init(arena->start, region) == NULL && heap->aligned_alloc(arena->alignment, most + step) != NULL)
            most += step;
    }
    return most;
}
