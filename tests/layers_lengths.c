/* The page layers' arithmetic: in which list a length belongs, and to what length a request is rounded, against the
 * rule counted out from one unit upwards.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "pages.h"
#include "support.h"

#define OPEN_LIST                                                                                                      \
    (CLASSIC ? KNOLL_LIST_COUNT - 1 : KNOLL_LIST_COUNT - 2) /* of all longer runs, but for compact's ends */

/* Lists by doubling in classic; in compact one list a length up to four, then four a doubling, and the last but one is
 * open; the last is for runs at the region's end. */
static void lengths_and_lists(void **state)
{
    uint32_t list = 0, next = 2, width = 1;
    (void)state;
    for (uint32_t length = 1; length <= 1u << 20; length++) {
        struct knoll_region region = {.count = length + 2};
        if (length == next && list < OPEN_LIST) {
            list++;
            width = CLASSIC ? next : width;
            while (!CLASSIC && next >= 8 * width)
                width *= 2;
            next += width;
        }
        if (knoll_pages_list(&region, 1, length) != list ||
            knoll_pages_list(&region, 2, length) != (CLASSIC ? list : KNOLL_LIST_COUNT - 1))
            assert_int_equal(length, 0);
    }
    struct knoll_region region = {.count = 1};
    assert_int_equal(knoll_pages_list(&region, 1, INDEX_MASK), CLASSIC ? INDEX_BITS - 1 : OPEN_LIST);
}

static void lengths_are_rounded(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 1024; alignment *= 2) {
        size_t power = alignment;
        for (size_t units = 1; units <= 3000; units++) {
            while (power < units)
                power *= 2;
            assert_int_equal(knoll_pages_round(units, alignment), CLASSIC ? power : units == 1 ? 2 : units);
        }
    }
}

/* Takes a run of just this length. */
static uint32_t take(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    uint32_t given = length;
    uint32_t number = knoll_pages_take(heap, &given, alignment);
    assert_true(number == NOWHERE || given == length);
    return number;
}

/* A region of 300 MiB, of which only the tables are there: the page layer touches nothing else. In compact its longest
 * runs are all in the last list. */
static void the_last_list(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    memset(&heap, 0, sizeof heap);
    if ((uintptr_t)arena > UINTPTR_MAX - MIB(300) || arena_size < MIB(6))
        return;
    unsigned char *start = arena_at(KIB(64), 0);
    knoll_pages_add(&heap, knoll_region_make(&heap, start, MIB(300)));
    assert_int_equal(knoll_check(&heap), 0);
    uint32_t part = CLASSIC ? 1u << 14 : 7u << 14; /* the shortest that the last list of compact has */
    uint32_t first = take(&heap, part, 1);
    uint32_t longest = knoll_pages_longest(&heap);
    assert_true(first != NOWHERE && longest >= part);
    uint32_t second = take(&heap, part, 64);
    assert_true(second != NOWHERE && second != first);
    knoll_pages_give(&heap, first, part);
    assert_int_equal(knoll_pages_list(heap.region[0], first & INDEX_MASK, part), CLASSIC ? 14 : OPEN_LIST);
    uint32_t aligned = take(&heap, part / 2, 1u << 13); /* one that may be in no other list */
    assert_true(aligned != NOWHERE);
    knoll_pages_give(&heap, aligned, part / 2);
    assert_true(take(&heap, part, 1) == first);
    assert_int_equal(take(&heap, CLASSIC ? 1u << 17 : 400000, 1), NOWHERE);
    while ((longest = knoll_pages_longest(&heap)) != 0)
        assert_true(take(&heap, longest, 1) != NOWHERE);
    knoll_pages_give(&heap, second, part);
    assert_true(take(&heap, part, 64) == second); /* the only one, and not a unit to spare */
}

/* The last run of a region ends where its entries do: what lies there must not be taken for a free run. Of an odd
 * number of pages, so that in classic it is where the last one's buddy would be. */
static void what_follows_the_entries_is_no_run(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    memset(&heap, 0, sizeof heap);
    struct knoll_region *region = knoll_region_make(&heap, arena_at(MIB(1), 0), MIB(1) - KNOLL_PAGE);
    knoll_pages_add(&heap, region);
    uint32_t shortest = RUN_SHORTEST;
    if (!CLASSIC)
        assert_true(take(&heap, region->count - region->first - shortest, 1) != NOWHERE);
    while (take(&heap, shortest, 1) != NOWHERE)
        continue;
    uint32_t *behind = region_entry(region, region->count);
    uint32_t last = region_unit_number(region, region->count - shortest);
    behind[CELL_NEXT] = cell_of(RUN_FREE, NOWHERE);
    behind[CELL_FREE_PREV] = CLASSIC ? NOWHERE : RUN_PAIR;
    behind[CELL_LENGTH] = shortest;
    assert_false(knoll_pages_resize(&heap, last, shortest, 2 * shortest));
    assert_int_equal(knoll_pages_merged_length(&heap, last, shortest), shortest);
    knoll_pages_give(&heap, last, shortest);
    assert_int_equal(knoll_pages_longest(&heap), shortest);
    assert_int_equal(cell_kind(*behind), RUN_FREE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lengths_and_lists),
    cmocka_unit_test(lengths_are_rounded),
    cmocka_unit_test(the_last_list),
    cmocka_unit_test(what_follows_the_entries_is_no_run),
};

CHECK_MAIN(tests)
