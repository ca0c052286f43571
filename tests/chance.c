/* A heap with chance in it (KNOLL_RANDOM_HOOK), and with room after its tables (KNOLL_TABLE_SLACK), with which this
 * program's core is built: blocks are handed out in no order, runs lie apart, and every invariant holds all the same.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define SLOTS     400
#define HEAP_SIZE MIB(2)

static struct knoll_heap heap;
static void *blocks[SLOTS];
static struct random numbers;
static bool is_lowest; /* the hook gives 0, which chooses the first of all */

uint32_t draw(void);

uint32_t draw(void)
{
    return is_lowest ? 0 : random_next(&numbers);
}

static void new_heap(uint32_t seed)
{
    numbers = random_from(seed);
    make_heap(&heap, arena_at(KIB(64), 0), HEAP_SIZE);
}

/* How many of these blocks lie below the one that was handed out before them. */
static size_t descents(size_t size, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = knoll_malloc(&heap, size);
        assert_non_null(blocks[i]);
        found += i > 0 && (uintptr_t)blocks[i] < (uintptr_t)blocks[i - 1];
    }
    free_all(&heap, blocks, count);
    return found;
}

static void blocks_come_in_no_order(void **state)
{
    (void)state;
    is_lowest = true;
    new_heap(1);
    assert_int_equal(descents(100, 12), 0);
    is_lowest = false;
    new_heap(2);
    assert_true(descents(100, 12) > 0);
    assert_true(descents(24, SLOTS) > SLOTS / 4);
}

/* Compact's runs: the gaps between those that are taken one after the other are not all alike. */
static void runs_lie_apart(void **state)
{
    size_t gaps = 0;
    (void)state;
    new_heap(3);
    for (size_t i = 0; i < 32; i++)
        blocks[i] = knoll_malloc(&heap, 6000);
    for (size_t i = 1; i < 32; i++)
        gaps += (uintptr_t)blocks[i] - (uintptr_t)blocks[i - 1] != (uintptr_t)blocks[1] - (uintptr_t)blocks[0];
    assert_true(CLASSIC || gaps > 16);
    free_all(&heap, blocks, 32);
}

/* Nor do they always start where the hole does that they are cut from. */
static void holes_are_cut_anywhere(void **state)
{
    size_t starts = 0;
    (void)state;
    new_heap(6);
    void *hole = knoll_malloc(&heap, 20000);
    blocks[0] = knoll_malloc(&heap, 6000);
    knoll_free(&heap, hole);
    void *first = knoll_malloc(&heap, 6000);
    knoll_free(&heap, first);
    for (size_t i = 0; i < 32; i++) {
        void *block = knoll_malloc(&heap, 6000);
        starts += block != first;
        knoll_free(&heap, block);
    }
    assert_true(CLASSIC || starts > 16);
    knoll_free(&heap, blocks[0]);
}

static int note_tables(void *context, const struct knoll_item *item)
{
    if (item->kind == KNOLL_ITEM_TABLES)
        *(size_t *)context = item->size;
    return 0;
}

static void tables_leave_room(void **state)
{
    size_t size = 0;
    (void)state;
    new_heap(4);
    knoll_walk(&heap, note_tables, &size);
    assert_true(size >= KNOLL_TABLE_SLACK + HEAP_SIZE / 256);
}

static void step(size_t slot)
{
    size_t size = random_below(&numbers, random_below(&numbers, 8) == 0 ? 30000 : 700);
    if (blocks[slot] != NULL && random_below(&numbers, 4) == 0) {
        void *moved = knoll_realloc(&heap, blocks[slot], size);
        blocks[slot] = moved != NULL ? moved : blocks[slot];
        return;
    }
    knoll_free(&heap, blocks[slot]);
    blocks[slot] = knoll_aligned_alloc(&heap, (size_t)1 << random_below(&numbers, 10), size);
}

static void every_invariant_holds(void **state)
{
    (void)state;
    for (uint32_t seed = 10; seed < 20; seed++) {
        new_heap(seed);
        size_t largest = largest_block(&heap);
        for (size_t i = 0; i < SLOTS; i++)
            blocks[i] = NULL;
        for (size_t i = 0; i < 4000; i++) {
            step(random_below(&numbers, SLOTS));
            if (i % 50 == 0)
                assert_int_equal(knoll_check(&heap), 0);
        }
        free_all(&heap, blocks, SLOTS);
        knoll_drain(&heap);
        assert_int_equal(knoll_check(&heap), 0);
        assert_int_equal(knoll_used_bytes(&heap), 0);
        void *all = knoll_malloc(&heap, largest); /* the slab in hand goes for it */
        assert_non_null(all);
        knoll_free(&heap, all);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(blocks_come_in_no_order), cmocka_unit_test(runs_lie_apart),
    cmocka_unit_test(holes_are_cut_anywhere),  cmocka_unit_test(tables_leave_room),
    cmocka_unit_test(every_invariant_holds),
};

CHECK_MAIN(tests)
