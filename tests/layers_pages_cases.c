/* Single cases of the page layers: runs that cannot be made longer, and in classic which free run is taken first.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "free_lists.h"
#include "large.h"
#include "pages.h"
#include "support.h"

static struct knoll_heap heap;

/* A run cannot be made longer than any region is, whatever its start is a multiple of. */
static void longer_than_any_region(void **state)
{
    (void)state;
    make_heap(&heap, arena_at(KIB(64), 0), KIB(64));
    uint32_t length = (uint32_t)pages_round(1, 1);
    uint32_t number = knoll_pages_take(&heap, length, 1);
    struct knoll_heap before = heap;
    assert_false(knoll_pages_resize(&heap, number, length, 1u << 29));
    assert_memory_equal(&heap, &before, sizeof heap);
}

/* In classic a run grows only where the longer one may start: never from an odd unit. */
static void from_an_odd_unit(void **state)
{
    (void)state;
    if (!CLASSIC)
        return;
    make_heap(&heap, arena_at(KIB(64), 0), KIB(64));
    uint32_t numbers[4];
    do
        numbers[0] = knoll_pages_take(&heap, 1, 1);
    while (numbers[0] % 4 != 0);
    for (unsigned i = 1; i < 4; i++) {
        numbers[i] = knoll_pages_take(&heap, 1, 1);
        assert_int_equal(numbers[i], numbers[0] + i);
    }
    knoll_pages_give(&heap, numbers[2], 1);
    assert_false(knoll_pages_resize(&heap, numbers[1], 1, 2));
}

#if KNOLL_PROFILE == KNOLL_CLASSIC

static void *take_units(size_t units)
{
    size_t usable;
    void *run = large_take(&heap, units * UNIT, &usable);
    assert_non_null(run);
    return run;
}

static uint32_t number_at(const void *address)
{
    return (uint32_t)(region_offset(heap.region[0], address) >> KNOLL_UNIT_SHIFT);
}

static bool is_second(const void *run, uint32_t length)
{
    return list_of_run(&heap, heap.region[0], number_at(run), length) == list_of_length(length) + SECOND_LIST;
}

#endif

/* In classic a free run whose buddy is held whole is in the second list of its order, which is taken from last; one
 * whose buddy is in parts is in the first. */
static void by_a_whole_run_and_by_parts(void **state)
{
    (void)state;
#if KNOLL_PROFILE == KNOLL_CLASSIC
    make_heap(&heap, arena_at(KIB(512), KIB(512) - KNOLL_PAGE), KIB(256)); /* the first unit has the place of all */
    (void)take_units(4);
    unsigned char *by_whole = take_units(4), *part = take_units(2);
    (void)take_units(2);
    unsigned char *by_parts = take_units(4), *longer = take_units(8);
    assert_ptr_equal(longer, by_whole + 12 * UNIT); /* all as they should lie for this test */
    large_give(&heap, number_at(by_parts));
    large_give(&heap, number_at(by_whole));
    assert_true(is_second(by_whole, 4) && !is_second(by_parts, 4));
    assert_ptr_equal(take_units(4), by_parts);
    assert_ptr_equal(take_units(4), by_whole);

    (void)take_units(1);
    assert_true(knoll_large_resize(&heap, number_at(longer), 2));
    assert_true(is_second(longer + 2 * UNIT, 2) && !is_second(longer + 4 * UNIT, 4));
    large_give(&heap, number_at(part));
    assert_true(is_second(part, 2));
#endif
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(longer_than_any_region),
    cmocka_unit_test(from_an_odd_unit),
    cmocka_unit_test(by_a_whole_run_and_by_parts),
};

CHECK_MAIN(tests)
