/* A map that says of each unit whether it is held, and what must be free then.
 *
 * What must be free after any history follows from the map: in compact each stretch of free units is one run; in
 * classic, the greatest aligned power of two of free units at each place, but that what a region has beyond all that
 * was needed is one run, its rest.
 *
 * The runs that are held are made large blocks with all accounts kept, so that knoll_check can be asked as well.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_PAGES_H
#define KNOLL_TESTS_LAYERS_PAGES_H

#include "check.h"
#include "free_lists.h"
#include "large.h"
#include "pages.h"
#include "slab.h"
#include "support.h"

#define REGIONS    3
#define UNITS_MOST 2048 /* of all regions */
#define HELD_MOST  200

static struct knoll_heap heap;

struct run {
    struct knoll_region *region;
    uint32_t index, length;
};

static struct run held[HELD_MOST + 1]; /* one more for a moment, in the_longest */
static uint32_t held_count;
static size_t held_bytes;

/* The map: one byte a unit, by region number and index. The tables hold their units. */
static bool is_held[KNOLL_REGIONS_MAX][UNITS_MOST];

/* In classic the unit from which on all of a region is free and one run, of no length that others have. */
static uint32_t rest[KNOLL_REGIONS_MAX];

static struct run expected[UNITS_MOST]; /* the free runs that follow from the map, by region and address */
static uint32_t expected_count;
static uint32_t place_in_list[UNITS_MOST]; /* of each of them, when last verified */

static uintptr_t unit_in_space(const struct knoll_region *region, uint32_t index)
{
    return ((uintptr_t)region >> KNOLL_UNIT_SHIFT) + index;
}

static bool all_free(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    if (index >= region->count || length > region->count - index)
        return false;
    for (uint32_t i = index; i < index + length; i++)
        if (is_held[region->number][i])
            return false;
    return true;
}

static bool is_the_rest(const struct run *run)
{
    return CLASSIC && run->index == rest[run->region->number];
}

/* The free run that starts at this free unit. */
static uint32_t naive_length(const struct knoll_region *region, uint32_t index)
{
    uint32_t length = 1;
    uint32_t end = rest[region->number];
    if (CLASSIC && index == end) {
        length = region->count - index;
    } else if (CLASSIC) {
        while (unit_in_space(region, index) % (2 * length) == 0 && index + 2 * length <= end &&
               all_free(region, index, 2 * length))
            length *= 2;
    } else {
        while (all_free(region, index, length + 1))
            length++;
    }
    return length;
}

static void expect_free_runs(void)
{
    expected_count = 0;
    for (uint32_t number = 0; number < heap.region_count; number++) {
        struct knoll_region *region = heap.region[number];
        uint32_t length = 1;
        for (uint32_t index = 0; index < region->count; index += length) {
            length = is_held[number][index] ? 1 : naive_length(region, index);
            if (!is_held[number][index])
                expected[expected_count++] = (struct run){region, index, length};
        }
    }
}

static uint32_t number_of(const struct run *run)
{
    return region_unit_number(run->region, run->index);
}

static unsigned list_of(const struct run *run)
{
    return list_of_run(&heap, run->region, run->index, run->length);
}

/* In compact a single free unit is in no list. */
static bool is_listed(const struct run *run)
{
    return CLASSIC ? !is_the_rest(run) : run->length > 1;
}

static bool is_usable(const struct run *run)
{
    return CLASSIC || run->length > 1;
}

static uint32_t find_in_list(const struct run *run)
{
    uint32_t place = 0;
    uint32_t number = heap.list[list_of(run)];
    for (; number != NOWHERE && number != number_of(run); place++)
        number = link_of(entry_of(&heap, number)[CELL_FREE_NEXT], 0);
    assert_true(number != NOWHERE);
    return place;
}

static void verify_free_run(const struct run *run)
{
    const uint32_t *first = region_entry(run->region, run->index);
    const uint32_t *last = region_entry(run->region, run->index + run->length - 1);
    assert_int_equal(cell_kind(*first), RUN_FREE);
    assert_int_equal(free_run_length(first), run->length);
    assert_true(is_rest(first) == is_the_rest(run));
    assert_true(knoll_pages_placed_well(run->region, run->index, run->length));
    if (!CLASSIC) {
        uint32_t short_length = run->length < 4 ? run->length : 0;
        assert_int_equal(*first >> SHORT_SHIFT & SHORT_MASK, short_length);
        assert_int_equal(*last >> SHORT_SHIFT & SHORT_MASK, short_length);
        assert_int_equal(cell_kind(*last), RUN_END);
        assert_true(run->length < 3 || (*last & NUMBER_MASK) == (run->length == 3 ? 0 : run->length));
    }
    for (uint32_t i = run->index + 1; i + (CLASSIC ? 0 : 1) < run->index + run->length; i++)
        assert_int_equal(cell_kind(*region_entry(run->region, i)), RUN_NONE);
    place_in_list[run - expected] = is_listed(run) ? find_in_list(run) : 0;
}

static void verify(void)
{
    uint32_t listed = 0, should_be = 0, in_order[KNOLL_RUN_ORDERS] = {0};
    expect_free_runs();
    for (uint32_t i = 0; i < expected_count; i++) {
        const struct run *run = &expected[i];
        verify_free_run(run);
        should_be += is_listed(run);
        for (uint32_t order = 0; order < KNOLL_RUN_ORDERS; order++)
            in_order[order] += run->length >> order == 1 && !is_the_rest(run);
        if (i > 0 && run[-1].region == run->region && run[-1].index + run[-1].length == run->index)
            assert_false(knoll_pages_unmerged(run->region, run[-1].index, run[-1].length, run->length));
    }
    for (uint32_t i = 0; i < list_count(&heap); i++) {
        assert_true(list_is_filled(&heap, i) == (heap.list[i] != NOWHERE));
        for (uint32_t number = heap.list[i]; number != NOWHERE; listed++)
            number = link_of(entry_of(&heap, number)[CELL_FREE_NEXT], 0);
    }
    assert_int_equal(listed, should_be);
    for (uint32_t i = 0; i < heap.region_count; i++)
        assert_int_equal(rest_of(&heap, heap.region[i]), CLASSIC ? rest[i] : heap.region[i]->count);
    for (uint32_t order = 0; order < KNOLL_RUN_ORDERS; order++)
        assert_int_equal(heap.free_runs[order], in_order[order]);
    assert_int_equal(knoll_check(&heap), 0);
}

/* ---- Where there is room ---- */

/* The first unit of the run where one of this length may start, in units counted from address 0. */
static uint32_t aligned_index(const struct run *run, uint32_t length, uint32_t alignment)
{
    uint32_t index = run->index;
    while (unit_in_space(run->region, index) % (CLASSIC ? length : alignment) != 0)
        index++;
    return index;
}

static bool has_room(const struct run *run, uint32_t length, uint32_t alignment)
{
    uint32_t end = run->index + run->length;
    uint32_t index = aligned_index(run, length, alignment);
    return is_usable(run) && index < end && end - index >= length;
}

/* The longest run that can be cut from this one. */
static uint32_t longest_in(const struct run *run)
{
    if (!is_the_rest(run))
        return run->length;
    uint32_t length = 1;
    while (has_room(run, 2 * length, 1))
        length *= 2;
    return length;
}

/* ---- Holding and letting go, with the accounts that knoll_check knows ---- */

static void mark(const struct run *run, bool as_held)
{
    for (uint32_t i = run->index; i < run->index + run->length; i++) {
        assert_true(is_held[run->region->number][i] != as_held);
        is_held[run->region->number][i] = as_held;
    }
}

static void account(uint32_t length, uint32_t less)
{
    held_bytes += (length - (size_t)less) * UNIT;
    heap.peak = heap.total;
    heap.headroom = heap.total - held_bytes;
}

/* What is held never lies in the rest. */
static void rest_is_after(const struct run *run)
{
    uint32_t *start = &rest[run->region->number];
    *start = *start > run->index + run->length ? *start : run->index + run->length;
}

/* A run that ends where the rest starts is part of it; and then so is what is free before that, if it is as long as
 * what the start is a multiple of. */
static void rest_is_before(const struct run *run)
{
    uint32_t *start = &rest[run->region->number];
    if (run->index + run->length != *start)
        return;
    *start = run->index;
    for (;;) {
        uint32_t length = 1;
        while (unit_in_space(run->region, *start) % (2 * length) == 0)
            length *= 2;
        if (length > *start || !all_free(run->region, *start - length, length))
            return;
        *start -= length;
    }
}

/* The free run that this unit is in. */
static const struct run *expected_around(const struct run *unit)
{
    expect_free_runs();
    for (uint32_t i = 0; i < expected_count; i++)
        if (expected[i].region == unit->region && unit->index - expected[i].index < expected[i].length)
            return &expected[i];
    return unit;
}

static void hold(uint32_t number, uint32_t length)
{
    struct run run = {region_of_number(&heap, number), number & INDEX_MASK, length};
    rest_is_after(&run);
    assert_true(all_free(run.region, run.index, length));
    for (uint32_t i = run.index; i < run.index + length; i++)
        assert_int_equal(cell_kind(*region_entry(run.region, i)), RUN_NONE);
    mark(&run, true);
    uint32_t *entry = region_entry(run.region, run.index);
    *entry = cell_of(RUN_LARGE, 0);
    entry[CELL_LARGE_LENGTH] = length;
    heap.large_blocks++;
    account(length, 0);
    held[held_count++] = run;
}

/* Returns where the free run starts that it is in then. */
static uint32_t let_go(uint32_t which)
{
    struct run run = held[which];
    held[which] = held[--held_count];
    mark(&run, false);
    *region_entry(run.region, run.index) = cell_of(RUN_NONE, NOWHERE);
    heap.large_blocks--;
    account(0, run.length);

    rest_is_before(expected_around(&run));
    struct run merged = *expected_around(&run);
    assert_int_equal(knoll_pages_merged_length(&heap, number_of(&run), run.length), longest_in(&merged));
    assert_int_equal(knoll_pages_free_behind(&heap, number_of(&run), run.length),
                     CLASSIC ? 0 : merged.index + merged.length - run.index - run.length);
    assert_int_equal(knoll_pages_give(&heap, number_of(&run), run.length), number_of(&merged));
    verify();
    return number_of(&merged);
}

#endif
