/* What the tests of knoll_check share that flip bits one by one: a heap that has some of everything.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_CHECK_H
#define KNOLL_TESTS_LAYERS_CHECK_H

#include "blocks.h"
#include "check.h"
#include "pages.h"
#include "support.h"

#define FIRST_SIZE  KIB(128)
#define SECOND_SIZE KIB(32)
#define SLOTS       64

static struct knoll_heap heap;
static void *blocks[SLOTS];
static size_t flipped;

static inline void make_rich_heap(uint32_t seed)
{
    struct random random = random_from(seed);
    unsigned char *start = arena_at(KIB(64), 0);
    make_heap(&heap, start, FIRST_SIZE);
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, start + FIRST_SIZE, SECOND_SIZE);
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 600; step++) {
        void **slot = &blocks[random_below(&random, SLOTS)];
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, random_below(&random, step % 4 == 0 ? 12000 : 2000));
    }
    for (size_t i = 0; i < SLOTS; i += 2) { /* room for free runs */
        knoll_free(&heap, blocks[i]);
        blocks[i] = NULL;
    }
    assert_int_equal(knoll_check(&heap), 0);
}

/* Each of these bits of a word, when flipped alone, must be seen. */
static inline void expect_seen(void *word, uint32_t bits)
{
    for (unsigned i = 0; i < 32; i++) {
        uint32_t sound, damaged;
        if ((bits >> i & 1) == 0)
            continue;
        memcpy(&sound, word, sizeof sound);
        damaged = sound ^ (uint32_t)1 << i;
        memcpy(word, &damaged, sizeof damaged);
        assert_true(knoll_check(&heap) != 0);
        memcpy(word, &sound, sizeof sound);
        flipped++;
    }
}

static inline void expect_all_seen(void *start, size_t size)
{
    unsigned char *bytes = start;
    for (size_t i = 0; i < 8 * size; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_true(knoll_check(&heap) != 0);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        flipped++;
    }
}

/* ---- Invariants: the numbers are those of docs/design.md ---- */

enum {
    HOLDS,
    REGION_TABLE,
    FREE_RUN_FORM = 3,
    FREE_RUNS_MERGED,
    LARGE_FORM,
    SLAB_FORM,
    SLAB_SHAPES,
    ONE_EMPTY_SLAB,
    FREE_LISTS
};
enum { PARTIAL_LISTS = 11, FREE_BLOCKS, CLASS_COUNTS };

#endif
