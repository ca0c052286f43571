/* What several tests need: memory to make heaps in, a fault handler that takes notes, snapshots of a heap, random
 * numbers, and the survey, which derives from knoll_walk all that the statistics ought to say.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_SUPPORT_H
#define KNOLL_TESTS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "knoll.h"

/* The platform: tests/platform_hosted.c, or the board's. */
void platform_write(const char *text, size_t length);
_Noreturn void platform_exit(int status);
void platform_memory(void **start, size_t *size);

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

#define CLASSIC (KNOLL_PROFILE == KNOLL_CLASSIC)

/* Rungs of hardening: whether faulty frees are found, and whether blocks have front parts and canaries. */
#define FINDS_MISUSE  (KNOLL_HARDEN >= 1)
#define IS_BYTE_EXACT (KNOLL_HARDEN >= 2)

/* What a block takes besides what was asked for: its front part and the least of its canary. */
#define FRONT    (IS_BYTE_EXACT ? (KNOLL_BLOCK_AGE ? 32 : 4 * sizeof(void *)) : 0)
#define OVERHEAD (IS_BYTE_EXACT ? FRONT + 8 : 0)

/* ---- Memory: what the platform has, from 8 to 64 MiB. ---- */

#define ARENA_MAXIMUM MIB(64)

extern unsigned char *arena;
extern size_t arena_size;

/* Called by check_run. */
void arena_open(void);

/* The lowest address in the arena that lies `offset` past a multiple of `alignment`. */
unsigned char *arena_at(size_t alignment, size_t offset);

/* How many bytes of the arena follow this address. */
size_t arena_left(const unsigned char *address);

/* Makes a heap in which a fault fails the test; neither the struct nor the memory is clean beforehand. */
void make_heap(struct knoll_heap *heap, void *start, size_t size);

/* Leaves of a heap of one region, of which nothing is held, only a block held that lies at its end, so that all that is
 * free is in lists. The block. */
void *hold_the_end(struct knoll_heap *heap);

/* Adds memory that must be accepted. */
void add_memory(struct knoll_heap *heap, void *start, size_t size);

/* ---- Sizes and statistics ---- */

size_t largest_block(const struct knoll_heap *heap);
size_t round_up(size_t size, size_t multiple);

/* Frees every block that is not NULL. */
void free_all(struct knoll_heap *heap, void **blocks, size_t count);

/* Asks for blocks of this size until there are no more. Returns how many there were; at most `limit`. */
size_t fill(struct knoll_heap *heap, size_t size, void **blocks, size_t limit);

bool is_aligned(const void *address, size_t alignment);

/* ---- Contents: bytes that depend on the block and on the place in it ---- */

void write_pattern(void *block, size_t size, unsigned seed);
bool has_pattern(const void *block, size_t size, unsigned seed);

/* ---- Faults ---- */

struct fault_record {
    size_t count;
    enum knoll_fault fault;
    const void *address;
    const struct knoll_heap *heap;
    int broken; /* what knoll_check said when it was called from the handler */
};

extern struct fault_record last_fault;

/* A handler that notes the fault in last_fault and returns. */
void record_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address);

/* ---- Snapshots: one copy of a heap's struct and of a span that holds its regions ---- */

#ifndef KNOLL_TEST_SNAPSHOT
#define KNOLL_TEST_SNAPSHOT KIB(512)
#endif

void snapshot_take(const struct knoll_heap *heap, void *start, size_t size);
bool snapshot_holds(const struct knoll_heap *heap);
void snapshot_restore(struct knoll_heap *heap);

/* ---- Random numbers ---- */

/* How many steps random histories have in all, and the seed of the first: CMake sets both. */
#ifndef KNOLL_TEST_STEPS
#define KNOLL_TEST_STEPS 100000
#endif
#ifndef KNOLL_TEST_SEED
#define KNOLL_TEST_SEED 1
#endif

struct random {
    uint64_t state;
};

struct random random_from(uint32_t seed);
uint32_t random_next(struct random *random);
/* Less than `limit`, which is not 0. */
uint32_t random_below(struct random *random, uint32_t limit);

/* ---- The survey ---- */

struct survey {
    size_t regions;
    size_t region_bytes;
    size_t blocks;        /* that callers hold */
    size_t block_bytes;   /* in those */
    uint64_t fingerprint; /* the sum of block_fingerprint over those */
    size_t free_bytes;    /* in free runs */
    size_t largest_run;   /* of the free ones */
    size_t largest_empty; /* of the slabs of which no block is held */
    struct knoll_stats stats;
};

/* Differs for two blocks at different places or of different sizes, so that a sum of them tells sets of blocks apart.
 */
uint64_t block_fingerprint(const void *block, size_t usable_size);

/* Walks the heap, asserting that the items tile every region and that the statistics say what the walk found. */
struct survey survey(const struct knoll_heap *heap);

/* Whether the heap may refuse a request of this size: neither a free block, nor a free run, nor an empty slab is as
 * large. */
bool may_refuse(const struct knoll_heap *heap, size_t size);

#endif
