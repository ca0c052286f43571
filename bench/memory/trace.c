/* Three traces are a program in balance: each step frees the blocks whose time has come and asks for one more.
 * Lifetimes are counted in steps and follow the Pareto distribution of exponent 1, so most blocks die young and a few
 * live long; none lives longer than a hundred times the shortest. Sizes are log-uniform: each doubling is as likely as
 * any other. After a while as many bytes are freed as are asked for, and what the heap needs beyond them is its own.
 *
 * The fourth is a program that changes its mind: six phases, each fills a mebibyte with blocks of its own sizes and
 * frees all of them, in the order in which they came, before the next. A heap that keeps memory for one size cannot use
 * it for the next.
 *
 * SPDX-License-Identifier: MIT */
#include "trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LONGEST_LIFE 100 /* in shortest lives */
#define PHASE_BYTES  ((size_t)1 << 20)
#define NONE         UINT32_MAX

struct sizes {
    uint32_t least;
    uint32_t most;
};

/* A program in balance. */
struct churn {
    uint32_t blocks;
    struct sizes sizes;
    uint32_t shortest_life;
};

const char *const trace_names[TRACE_COUNT] = {"small", "mixed", "large", "phases"};

static const struct churn churns[TRACE_COUNT - 1] = {
    {200000, {16, 256}, 2000},
    {100000, {8, 16384}, 300},
    {40000, {4096, 131072}, 30},
};

static const struct sizes phases[] = {{16, 32}, {64, 128}, {128, 256}, {600, 1024}, {2000, 4096}, {16384, 65536}};

/* A trace in the making. */
struct maker {
    struct trace trace;
    uint64_t random;
    size_t room; /* events that there is space for */
    size_t held; /* bytes */
    bool uniform;
};

static void *or_end(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "knoll-memory: no memory for the trace\n");
        exit(1);
    }
    return memory;
}

/* Evenly from 0, and less than 1. */
static double random_part(struct maker *maker)
{
    maker->random ^= maker->random >> 12; /* Vigna, An experimental exploration of Marsaglia's xorshift generators */
    maker->random ^= maker->random << 25;
    maker->random ^= maker->random >> 27;
    return (double)((maker->random * 0x2545F4914F6CDD1D) >> 11) / 0x1p53;
}

static uint32_t random_size(struct maker *maker, struct sizes sizes)
{
    double part = random_part(maker);
    if (maker->uniform)
        return sizes.least + (uint32_t)(part * (sizes.most - sizes.least + 1));
    return (uint32_t)(sizes.least * pow((double)sizes.most / sizes.least, part) + 0.5);
}

static void add_event(struct maker *maker, int32_t event)
{
    if (maker->trace.events == maker->room) {
        maker->room = 2 * maker->room + 4096;
        maker->trace.event = or_end(realloc(maker->trace.event, maker->room * sizeof(int32_t)));
    }
    maker->trace.event[maker->trace.events++] = event;
}

static uint32_t ask(struct maker *maker, uint32_t size)
{
    add_event(maker, (int32_t)size);
    maker->held += size;
    if (maker->held > maker->trace.peak)
        maker->trace.peak = maker->held;
    return (uint32_t)maker->trace.blocks++;
}

static void give(struct maker *maker, uint32_t block, uint32_t size)
{
    add_event(maker, ~(int32_t)block);
    maker->held -= size;
}

/* In whole steps, one at least. */
static uint32_t random_life(struct maker *maker, uint32_t shortest)
{
    double life = shortest / (1 - random_part(maker));
    double longest = (double)LONGEST_LIFE * shortest;
    return (uint32_t)(life < longest ? life : longest);
}

static void make_churn(struct maker *maker, const struct churn *churn)
{
    size_t steps = churn->blocks;
    uint32_t *size = or_end(malloc(steps * sizeof *size));
    uint32_t *next = or_end(malloc(steps * sizeof *next)); /* of the blocks that are due at the same step */
    uint32_t *due = or_end(malloc(steps * sizeof *due));   /* the first of them, by step */
    for (size_t i = 0; i < steps; i++)
        due[i] = NONE;
    for (size_t i = 0; i < steps; i++) {
        for (uint32_t block = due[i]; block != NONE; block = next[block])
            give(maker, block, size[block]);
        uint32_t drawn = random_size(maker, churn->sizes);
        uint32_t block = ask(maker, drawn);
        size_t death = i + random_life(maker, churn->shortest_life);
        size[block] = drawn;
        if (death < steps) {
            next[block] = due[death];
            due[death] = block;
        }
    }
    free(size);
    free(next);
    free(due);
}

static void make_phase(struct maker *maker, struct sizes sizes)
{
    size_t first = maker->trace.events;
    uint32_t block = (uint32_t)maker->trace.blocks;
    while (maker->held < PHASE_BYTES)
        ask(maker, random_size(maker, sizes));
    size_t end = maker->trace.events;
    for (size_t i = first; i < end; i++)
        give(maker, block++, (uint32_t)maker->trace.event[i]);
}

struct trace trace_make(unsigned kind, uint64_t seed, bool uniform)
{
    struct maker maker = {.random = (seed * TRACE_COUNT + kind + 1) * 0x9E3779B97F4A7C15, .uniform = uniform};
    for (int i = 0; i < 16; i++) /* seeds that differ little give numbers that do so at first */
        random_part(&maker);
    if (kind < TRACE_COUNT - 1) {
        make_churn(&maker, &churns[kind]);
    } else {
        for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
            make_phase(&maker, phases[i]);
    }
    return maker.trace;
}

void trace_free(struct trace *trace)
{
    free(trace->event);
    trace->event = NULL;
}
