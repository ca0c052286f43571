/* The page layers' arithmetic: in which list a length belongs, and to what length a request is rounded, against the
 * rule counted out from one unit upwards.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "free_lists.h"
#include "slab.h"
#include "support.h"

/* Lists by doubling in classic; in compact one list a length up to 31, then sixteen a doubling. */
static void lengths_and_lists(void **state)
{
    uint32_t list = CLASSIC ? 0 : 1, next = 2, width = 1;
    (void)state;
    for (uint32_t length = 1; length <= 1u << 20; length++) {
        if (length == next) {
            list++;
            width = CLASSIC ? next : width;
            while (!CLASSIC && next >= 32 * width)
                width *= 2;
            next += width;
        }
        if (list_of_length(length) != list)
            assert_int_equal(length, 0);
#if KNOLL_PROFILE == KNOLL_COMPACT
        if (list_sufficing(length) != list + (length > next - width)) /* the shortest of its list is next - width */
            assert_int_equal(length, 0);
#endif
    }
}

/* Makes a heap without regions, which knows its classes. */
static void make_nothing(struct knoll_heap *heap)
{
    memset(heap, 0, sizeof *heap);
    knoll_slab_begin(heap);
}

#if KNOLL_PROFILE == KNOLL_COMPACT

/* Every length that a run can have in a region has its list there, and the last has what is longer than half of it. */
static void lists_of_a_region(void **state)
{
    (void)state;
    for (uint32_t units = 8; units < 70000; units += 1 + units / 8) {
        static struct knoll_heap heap;
        struct knoll_region region = {.count = units};
        heap.last_list = (uint16_t)(lists_for(units) - 1);
        assert_true(units >= 128 || lists_for(units) <= KNOLL_FEW_LISTS);
        assert_int_equal(lists_in_region(units), units < 128 ? 0 : lists_for(units));
        for (uint32_t length = 2; length < units; length++) {
            unsigned list = list_of_run(&heap, &region, 0, length);
            assert_true(list > 1 && list <= heap.last_list);
            assert_true(list == list_of_length(length) || (list == heap.last_list && length > units / 2));
            assert_int_equal(list_of_run(&heap, &region, units - length, length), LIST_OF_ENDS);
        }
    }
}

/* The lists move to the region with the most units, and a run that was in the last one for want of a better goes to the
 * list of its length: so it is found before the ends are cut. */
static void lists_move(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    if (KNOLL_REGIONS_MAX < 3)
        return;
    make_nothing(&heap);
    unsigned char *start = arena_at(MIB(1), 0);
    knoll_pages_add(&heap, knoll_region_make(&heap, start, KIB(60)));
    uint32_t length = 80;
    uint32_t first = knoll_pages_take(&heap, length, 1);
    while (knoll_pages_longest(&heap) != 0)
        knoll_pages_take(&heap, knoll_pages_longest(&heap), 1);
    knoll_pages_give(&heap, first, length);
    for (size_t size = KIB(128); size <= MIB(1) - KIB(512); size += KIB(384)) {
        knoll_pages_add(&heap, knoll_region_make(&heap, start + size, size));
        assert_true(knoll_pages_lists_placed_well(&heap));
        for (unsigned list = 0; list < list_count(&heap); list++)
            assert_true(list_is_filled(&heap, list) == (heap.list[list] != NOWHERE));
        assert_int_equal(knoll_pages_take(&heap, length, 1), first);
        knoll_pages_give(&heap, first, length);
    }
}

/* Runs that are longer than half of the longest region are all in the last list, one of each region at most: none is
 * missed behind a shorter one, nor when the lists move to a longer region. */
static void the_last_list(void **state)
{
    static struct knoll_heap heap;
    static const uint32_t lengths[] = {90, 80, 70};
    uint32_t runs[3];
    (void)state;
    if (KNOLL_REGIONS_MAX < 4)
        return;
    for (unsigned round = 0; round < 4; round++) {
        uint32_t alignment = round % 2 == 0 ? 1 : 8;
        make_nothing(&heap);
        for (size_t i = 0; i < 3; i++) {
            knoll_pages_add(&heap, knoll_region_make(&heap, arena_at(MIB(1), i * KIB(64)), KIB(60)));
            runs[i] = knoll_pages_take(&heap, lengths[i], 8);
            while (knoll_pages_longest(&heap) != 0)
                knoll_pages_take(&heap, knoll_pages_longest(&heap), 1);
        }
        for (size_t i = 0; i < 3; i++)
            knoll_pages_give(&heap, runs[i], lengths[i]);
        if (round >= 2) {
            knoll_pages_add(&heap, knoll_region_make(&heap, arena_at(MIB(1), KIB(256)), KIB(512)));
            assert_true(knoll_pages_take(&heap, knoll_pages_longest(&heap), 1) != NOWHERE);
        }
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(knoll_pages_longest(&heap), lengths[i]);
            assert_int_equal(knoll_pages_take(&heap, lengths[i], alignment), runs[i]);
        }
        assert_int_equal(knoll_pages_longest(&heap), 0);
    }
}

#endif

static void lengths_are_rounded(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 1024; alignment *= 2) {
        size_t power = alignment;
        for (size_t units = 1; units <= 3000; units++) {
            while (power < units)
                power *= 2;
            assert_int_equal(pages_round(units, alignment), CLASSIC ? power : units == 1 ? 2 : units);
        }
    }
}

/* A region of 300 MiB, of which only the tables are there: the page layer touches nothing else. */
static void long_runs(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    make_nothing(&heap);
    if ((uintptr_t)arena > UINTPTR_MAX - MIB(300) || arena_size < MIB(6))
        return;
    unsigned char *start = arena_at(KIB(64), 0);
    knoll_pages_add(&heap, knoll_region_make(&heap, start, MIB(300)));
    assert_int_equal(knoll_check(&heap), 0);
    uint32_t part = CLASSIC ? 1u << 14 : 7u << 14;
    uint32_t first = knoll_pages_take(&heap, part, 1);
    uint32_t longest = knoll_pages_longest(&heap);
    assert_true(first != NOWHERE && longest >= part);
    uint32_t second = knoll_pages_take(&heap, part, 64);
    assert_true(second != NOWHERE && second != first);
    knoll_pages_give(&heap, first, part);
    assert_int_equal(list_of_run(&heap, heap.region[0], first & INDEX_MASK, part), CLASSIC ? 14 : list_of_length(part));
    uint32_t aligned = knoll_pages_take(&heap, part / 2, 1u << 13);
    assert_true(aligned != NOWHERE);
    knoll_pages_give(&heap, aligned, part / 2);
    assert_true(knoll_pages_take(&heap, part, 1) == first);
    assert_int_equal(knoll_pages_take(&heap, CLASSIC ? 1u << 17 : 400000, 1), NOWHERE);
    assert_int_equal(knoll_pages_take(&heap, 1u << 29, 1), NOWHERE); /* more than a region can have */
    while ((longest = knoll_pages_longest(&heap)) != 0)
        assert_true(knoll_pages_take(&heap, longest, 1) != NOWHERE);
    knoll_pages_give(&heap, second, part);
    assert_true(knoll_pages_take(&heap, part, 64) == second); /* the only one, and not a unit to spare */
}

/* The last run of a region ends where its entries do: what lies there must not be taken for a free run. Of an odd
 * number of pages, so that in classic it is where the last one's buddy would be; and so few that in compact nothing
 * else lies there. */
static void what_follows_the_entries_is_no_run(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    make_nothing(&heap);
    struct knoll_region *region = knoll_region_make(&heap, arena_at(MIB(1), 0), KIB(60));
    knoll_pages_add(&heap, region);
    uint32_t shortest = RUN_SHORTEST;
    if (!CLASSIC)
        assert_true(knoll_pages_take(&heap, region->count - region->first - shortest, 1) != NOWHERE);
    while (knoll_pages_take(&heap, shortest, 1) != NOWHERE)
        continue;
    uint32_t *behind = region_entry(region, region->count);
    uint32_t last = region_unit_number(region, region->count - shortest);
    *behind = cell_of(RUN_FREE, NOWHERE);
    behind[CELL_FREE_NEXT] = NOWHERE;
    behind[CELL_LENGTH] = shortest;
    assert_false(knoll_pages_resize(&heap, last, shortest, 2 * shortest));
    assert_int_equal(knoll_pages_merged_length(&heap, last, shortest), shortest);
    knoll_pages_give(&heap, last, shortest);
    assert_int_equal(knoll_pages_longest(&heap), shortest);
    assert_int_equal(cell_kind(*behind), RUN_FREE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lengths_and_lists), cmocka_unit_test(lengths_are_rounded),
#if KNOLL_PROFILE == KNOLL_COMPACT
    cmocka_unit_test(lists_of_a_region), cmocka_unit_test(lists_move),
    cmocka_unit_test(the_last_list),
#endif
    cmocka_unit_test(long_runs),         cmocka_unit_test(what_follows_the_entries_is_no_run),
};

CHECK_MAIN(tests)
