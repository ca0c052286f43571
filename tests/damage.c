/* knoll_check against damage: every bit of the struct and of the tables flipped, one at a time.
 *
 * It must never crash, whatever the bit. What it must see is any change of the numbers that the heap works with; what
 * it cannot see are histories (how many blocks were handed out), the handler, and table entries that mean nothing at
 * the moment. The share it does see is printed, and must not fall. (tests/layers_check.c knows which bits of
 * the entries mean something, and expects all of those to be seen.) And in slices of any size it must see just the
 * same.
 *
 * Not flipped are the pointers to regions: a struct that points to nowhere cannot be followed and found wrong.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "knoll_live.h"
#include "support.h"

#define FIRST_SIZE  KIB(128)
#define SECOND_SIZE KIB(32)
#define SPAN        (FIRST_SIZE + SECOND_SIZE)

static struct knoll_heap heap;
static void *blocks[512];
static size_t slices;

/* What a pass in slices of this many steps finds. */
static int check_in_slices(size_t budget, const void **where)
{
    static struct knoll_check_cursor cursor;
    int number;
    memset(&cursor, 0, sizeof cursor);
    do {
        number = knoll_check_slice(&heap, &cursor, budget);
        slices++;
    } while (number == 0 && cursor.passes == 0);
    assert_int_equal(cursor.whole, number == 0);
    *where = cursor.where;
    return number;
}

/* What knoll_check finds, which slices of any size must find too. */
static int check(void)
{
#if KNOLL_TEST_STEPS < 50000
    static const size_t budgets[] = {7, SIZE_MAX}; /* under an emulator, whose time it takes */
#else
    static const size_t budgets[] = {1, 7, 64, SIZE_MAX};
#endif
    const void *where, *where_in_slices;
    int number = knoll_check_at(&heap, &where);
    assert_int_equal(knoll_check(&heap), number);
    assert_true(number == 0 ? where == NULL : where != NULL);
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        assert_int_equal(check_in_slices(budgets[i], &where_in_slices), number);
        assert_ptr_equal(where_in_slices, where);
    }
    return number;
}

/* Everything that a heap can hold: full, partial and spare slabs of several classes, runs, free runs, two regions. */
static void make_rich_heap(void)
{
    struct random random = random_from(17);
    make_heap(&heap, arena, FIRST_SIZE);
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, arena + FIRST_SIZE, SECOND_SIZE);
    memset(blocks, 0, sizeof blocks);
    void *small[140];
    for (size_t i = 0; i < 140; i++)
        small[i] = knoll_malloc(&heap, 64);
    for (size_t step = 0; step < 600; step++) {
        void **slot = &blocks[random_below(&random, 64)];
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, random_below(&random, step % 4 == 0 ? 12000 : 2000));
    }
    for (size_t i = 0; i < 100; i++) /* more than a magazine remembers, so that slabs are listed */
        knoll_free(&heap, small[i]);
    void *last_of_its_slab = knoll_malloc(&heap, 64);
    knoll_free(&heap, last_of_its_slab);
    assert_true(largest_block(&heap) > 0);
    assert_int_equal(knoll_check(&heap), 0);
}

/* How many of the bits, when flipped alone, knoll_check notices. */
static size_t flips_seen(void *start, size_t size)
{
    unsigned char *bytes = start;
    size_t seen = 0;
    for (size_t i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1u << bit);
            int number = check();
            if (number != 0) {
                assert_non_null(knoll_invariant(number));
                seen++;
            }
            bytes[i] ^= (unsigned char)(1u << bit);
        }
    }
    assert_int_equal(check(), 0);
    return seen;
}

static void report(const char *what, size_t seen, size_t bytes, size_t least)
{
    assert_true(seen >= least);
    check_say(what, seen, " of ");
    check_say("", 8 * bytes, " flipped bits seen\n");
}

#define EXPECT_ALL_SEEN(member) assert_int_equal(flips_seen(&heap.member, sizeof heap.member), 8 * sizeof heap.member)

static void every_number_of_the_struct(void **state)
{
    (void)state;
    make_rich_heap();
    EXPECT_ALL_SEEN(total);
    EXPECT_ALL_SEEN(large_blocks);
    EXPECT_ALL_SEEN(spans);
    EXPECT_ALL_SEEN(list);
#if KNOLL_PROFILE == KNOLL_CLASSIC
    EXPECT_ALL_SEEN(filled);
#else
    EXPECT_ALL_SEEN(groups_filled);
    EXPECT_ALL_SEEN(filled);
    EXPECT_ALL_SEEN(last_list);
#endif
    EXPECT_ALL_SEEN(free_runs);
    EXPECT_ALL_SEEN(region_count);
    for (size_t i = 0; i < heap.region_count; i++)
        EXPECT_ALL_SEEN(by_address[i]);
#if KNOLL_PROFILE == KNOLL_CLASSIC
    for (size_t i = 0; i < heap.region_count; i++)
        EXPECT_ALL_SEEN(rest[i]);
#endif
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        EXPECT_ALL_SEEN(size_class[i].partial);
        EXPECT_ALL_SEEN(size_class[i].slabs);
        EXPECT_ALL_SEEN(size_class[i].current);
        EXPECT_ALL_SEEN(size_class[i].free_blocks);
        EXPECT_ALL_SEEN(size_class[i].blocks);
        EXPECT_ALL_SEEN(size_class[i].size);
    }
}

/* A peak below what is used or above what there is; a slab kept in hand that is none. */
static void numbers_that_cannot_be(void **state)
{
    (void)state;
    make_rich_heap();
    struct knoll_heap sound = heap;
    heap.headroom++; /* what is used follows from it */
    assert_true(check() != 0);
    heap = sound;
    heap.headroom = heap.peak + 1;
    assert_true(check() != 0);
    heap = sound;
    heap.headroom += heap.total + 1 - heap.peak; /* with the peak above what there is */
    heap.peak = heap.total + 1;
    assert_true(check() != 0);
    heap = sound;
    for (unsigned bit = 16; bit < 32; bit++) {
        heap.spare_slab = sound.spare_slab ^ (uint32_t)1 << bit;
        assert_true(check() != 0);
    }
    heap = sound;
    assert_int_equal(check(), 0);
}

static void pointers_to_regions(void **state)
{
    (void)state;
    make_rich_heap();
    struct knoll_heap sound = heap;
    heap.region[0] = NULL;
    assert_true(check() != 0);
    if (KNOLL_REGIONS_MAX == 1)
        return;
    heap.region[0] = sound.region[1];
    assert_true(check() != 0);
    heap.region[1] = sound.region[0];
    assert_true(check() != 0);
}

/* One bit, in heaps of several states. */
static void the_tables(void **state)
{
    size_t tables = FIRST_SIZE;
    (void)state;
    make_heap(&heap, arena, FIRST_SIZE);
    tables -= knoll_total_bytes(&heap);
    report("empty heap: ", flips_seen(arena, tables), tables, 600);
    make_rich_heap();
    report("heap in use: ", flips_seen(arena, tables), tables, CLASSIC ? 800 : 3500);
    for (size_t i = 0; i < 64; i++)
        knoll_free(&heap, blocks[i]);
    report("heap freed: ", flips_seen(arena, tables), tables, CLASSIC ? 650 : 850);
}

/* Whole words overwritten with what stray writes tend to leave. No crash; the heap is sound when they are put back. */
static void stray_writes(void **state)
{
    static const uint32_t strays[] = {0, 1, 0xFFFFFFFFu, 0x7FFFFFFFu, 0x80000000u, 0xDEADBEEFu, 0x41414141u, 0x100};
    size_t seen = 0, changed = 0;
    (void)state;
    make_rich_heap();
    for (size_t at = 0; at < KNOLL_PAGE; at += sizeof strays[0]) {
        for (size_t i = 0; i < sizeof strays / sizeof strays[0]; i++) {
            uint32_t sound;
            memcpy(&sound, arena + at, sizeof sound);
            memcpy(arena + at, &strays[i], sizeof sound);
            changed += sound != strays[i];
            seen += check() != 0;
            memcpy(arena + at, &sound, sizeof sound);
        }
    }
    assert_int_equal(check(), 0);
    assert_true(seen >= (CLASSIC ? 330u : 1350u));
    check_say("stray writes: ", seen, " of ");
    check_say("", changed, " seen\n");
    check_say("all found alike in ", slices, " slices\n");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_number_of_the_struct),
    cmocka_unit_test(numbers_that_cannot_be),
    cmocka_unit_test(pointers_to_regions),
    cmocka_unit_test(the_tables),
    cmocka_unit_test(stray_writes),
};

CHECK_MAIN(tests)
