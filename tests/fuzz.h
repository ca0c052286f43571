/* What tests/fuzz.c, which makes calls of bytes, and its oracle tests/fuzz_oracle.c know of each other; and the entry
 * that libFuzzer and AFL++ know by its name.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_FUZZ_H
#define KNOLL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "knoll.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define HELD_MAX 2048
#define FREED    16 /* addresses of freed blocks, remembered to free them again */
#define SPANS    4

struct held {
    unsigned char *block;
    size_t size, alignment; /* as they were last asked for */
    size_t usable;
    uint64_t seed;
};

struct span {
    unsigned char *start;
    size_t size, tables;
};

extern struct knoll_heap heap;
extern struct held held[HELD_MAX];
extern struct span spans[SPANS]; /* in the order in which they are added */
extern struct state {
    size_t held, used, peak, allocations, frees, failures; /* as they must be; at rung 2 used and peak are bounds */
    size_t spans_planned, spans_added;
    size_t misuses, calls, verified;
    unsigned char *freed[FREED];
} now;
extern size_t operations; /* in all inputs: a block asked for, resized or given back, memory added, a misuse */

/* ---- Memory: each byte of it is free, taken, or in a block's first granule ---- */

enum { FREE, TAKEN, START };

/* Forgets all that was. */
void oracle_open(void);

/* Plans regions of so many pages in the order of address, so many pages apart. */
void plan_span(size_t pages, size_t gap);

/* Makes a heap of the next planned region, or adds that to it. */
void take_span(void);

unsigned char cell_at(const unsigned char *address);

/* ---- Blocks ---- */

/* Notes a request and what it got, and asserts that it is what it must be. */
void count_request(unsigned char *block, size_t alignment, size_t size);

/* Notes a request that failed. */
void count_failure(size_t alignment, size_t size);

/* Notes a held block that is given back now, asserting that it is as it was left, and returns what was known of it. */
struct held count_free(size_t which);

/* Notes what became of a held block that was to be resized. */
void count_resize(size_t which, unsigned char *block, size_t size);

void expect_all_marks(const struct held *of);

/* ---- The heap as a whole ---- */

/* Asserts that the heap is sound, and that all it says of itself is what the oracle knows. */
void verify(void);

/* Asserts, when all is free, that the heap can give as much at once as a new one in the same regions. */
void expect_as_new(void);

#endif
