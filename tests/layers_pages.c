/* Both page layers, against a map that says of each unit whether it is held.
 *
 * What must be free after any history follows from the map alone: in compact each stretch of free units is one run; in
 * classic, the greatest aligned power of two of free units at each place. After each step the entries, lists, and
 * counts are compared with that, and each call's answer with what the free runs before it allowed.
 *
 * The runs that are held are made large blocks with all accounts kept, so that knoll_check can be asked as well.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "free_lists.h"
#include "large.h"
#include "pages.h"
#include "slab.h"
#include "support.h"

#define REGIONS    3
#define UNITS_MOST 2048 /* of all regions */
#define HELD_MOST  200
#define STEPS      (1 + KNOLL_TEST_STEPS / 40)

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

/* ---- What each call may answer ---- */

/* Whether the first run of this list is looked at: in compact, of lists that may have room at an aligned place only the
 * lowest few are, and of those that must have it all. */
static bool is_looked_at(unsigned list, uint32_t length, uint32_t alignment)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    (void)list, (void)length, (void)alignment;
    return true;
#else
    unsigned before = 0;
    for (uint32_t i = 0; i < expected_count; i++)
        before += is_listed(&expected[i]) && place_in_list[i] == 0 && list_of(&expected[i]) < list &&
                  list_of(&expected[i]) >= list_of_shortest(&heap, length);
    return list == LIST_OF_ENDS || list == heap.last_list || before < ALIGNED_TRIALS ||
           list >= list_sufficing(length + alignment - 1);
#endif
}

/* A refusal is right if no run has room: but in compact one may be missed behind another of the same list, which is not
 * that of the ends, or in a list that is not looked at. */
static void expect_refusal(uint32_t length, uint32_t alignment)
{
    for (uint32_t i = 0; i < expected_count; i++) {
        if (!has_room(&expected[i], length, alignment))
            continue;
        assert_false(CLASSIC);
        assert_true(list_of(&expected[i]) != LIST_OF_ENDS &&
                    (place_in_list[i] > 0 || !is_looked_at(list_of(&expected[i]), length, alignment)));
        assert_true(list_of(&expected[i]) <= list_of_length(length + alignment - 1));
    }
}

/* The list that is asked first has the lowest. */
static unsigned preference_of(const struct run *run)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    return 2 * (list_of(run) % SECOND_LIST) + list_of(run) / SECOND_LIST;
#else
    return list_of(run);
#endif
}

/* The run must have been cut from the first aligned place of one that was the best; in compact, of the first runs of
 * the lists that are looked at but that of the ends, the shortest that has room. */
static void expect_good_fit(uint32_t number, uint32_t length, uint32_t alignment)
{
    const struct run *from = &expected[expected_count]; /* the run it was cut from */
    for (uint32_t i = 0; i < expected_count; i++)
        if (number - number_of(&expected[i]) < expected[i].length)
            from = &expected[i];
    assert_true(from != &expected[expected_count]);
    assert_int_equal(number & INDEX_MASK, aligned_index(from, length, alignment));
    assert_true(has_room(from, length, alignment));
    assert_true(is_looked_at(list_of(from), length, alignment));
    bool from_end = CLASSIC ? is_the_rest(from) : list_of(from) == LIST_OF_ENDS;
    for (uint32_t i = 0; i < expected_count; i++) {
        const struct run *other = &expected[i];
        if (!has_room(other, length, alignment) || (CLASSIC ? is_the_rest(other) : list_of(other) == LIST_OF_ENDS) ||
            place_in_list[i] > 0 || !is_looked_at(list_of(other), length, alignment))
            continue;
        assert_false(from_end);
        assert_true(preference_of(other) >= preference_of(from));
    }
}

static bool take(uint32_t units, uint32_t alignment)
{
    size_t length = knoll_pages_round(units, alignment);
    uint32_t number = knoll_pages_take(&heap, (uint32_t)length, alignment);
    if (number == NOWHERE) {
        expect_refusal((uint32_t)length, alignment);
        return false;
    }
    assert_int_equal(unit_in_space(region_of_number(&heap, number), number & INDEX_MASK) % alignment, 0);
    expect_good_fit(number, (uint32_t)length, alignment);
    hold(number, (uint32_t)length);
    return true;
}

/* From a run that came back after none was found: just if there is room in it. */
static void take_what_came_back(uint32_t which, uint32_t units, uint32_t alignment)
{
    uint32_t length = (uint32_t)knoll_pages_round(units, alignment);
    if (take(units, alignment)) {
        verify();
        return;
    }
    uint32_t number = let_go(which);
    struct run from = held[0];
    for (uint32_t i = 0; i < expected_count; i++)
        if (number_of(&expected[i]) == number)
            from = expected[i];
    assert_int_equal(number_of(&from), number);
    uint32_t taken = knoll_pages_take_from(&heap, number, length, alignment);
    assert_true((taken != NOWHERE) == has_room(&from, length, alignment));
    if (taken != NOWHERE) {
        assert_int_equal(taken & INDEX_MASK, aligned_index(&from, length, alignment));
        hold(taken, length);
    }
    verify();
}

static void resize(uint32_t which, uint32_t units)
{
    struct run *run = &held[which];
    uint32_t wanted = (uint32_t)knoll_pages_round(units, 1);
    bool aligned = !CLASSIC || unit_in_space(run->region, run->index) % wanted == 0;
    uint32_t after = run->index + run->length;
    bool possible = wanted <= run->length || (aligned && all_free(run->region, after, wanted - run->length));
    assert_true(knoll_pages_resize(&heap, number_of(run), run->length, wanted) == possible);
    if (possible) {
        mark(run, false);
        account(wanted, run->length);
        uint32_t *start = &rest[run->region->number];
        *start = run->index + run->length == *start ? run->index + wanted : *start;
        run->length = wanted;
        rest_is_after(run);
        mark(run, true);
        region_entry(run->region, run->index)[CELL_LARGE_LENGTH] = wanted;
    }
    verify();
}

/* What is said to be the longest can be had, and nothing longer. */
static void the_longest(void)
{
    uint32_t longest = knoll_pages_longest(&heap);
    for (uint32_t i = 0; i < expected_count && longest == 0; i++)
        assert_false(is_usable(&expected[i]));
    assert_true(longest == 0 || take(longest, 1));
    if (longest != 0) {
        verify();
        (void)let_go(held_count - 1);
    }
    uint32_t longer = (uint32_t)knoll_pages_round((size_t)longest + 1, 1);
    assert_int_equal(knoll_pages_take(&heap, longer, 1), NOWHERE);
}

/* ---- Heaps and histories ---- */

static void make_regions(void)
{
    static const struct {
        size_t start, pages;
    } places[REGIONS] = {{KIB(300), 61}, {KIB(36), 13}, {KIB(1028), 150}};
    memset(&heap, 0, sizeof heap);
    knoll_slab_begin(&heap); /* or knoll_check would miss it */
    memset(is_held, 0, sizeof is_held);
    held_count = 0;
    held_bytes = 0;
    unsigned char *start = arena_at(KIB(512), 0);
    for (uint32_t i = 0; i < REGIONS && i < KNOLL_REGIONS_MAX; i++) {
        struct knoll_region *region = knoll_region_make(&heap, start + places[i].start, places[i].pages * KNOLL_PAGE);
        mark(&(struct run){region, 0, region->first}, true);
        rest[i] = region->first;
        knoll_pages_add(&heap, region);
    }
    verify();
}

static void step(struct random *random, uint32_t tendency)
{
    uint32_t what = random_below(random, 17);
    uint32_t units = 1 + random_below(random, 1u << random_below(random, 8));
    if (what < tendency && held_count < HELD_MOST) {
        uint32_t alignment = what % 2 == 0 ? 1 : 1u << random_below(random, 7);
        uint32_t length = RUN_SHORTEST << random_below(random, 7); /* a slab is as long as it is aligned */
        if (what == 0 ? take(length, length) : take(units, alignment))
            verify();
    } else if (what == 14 && held_count > 0) {
        resize(random_below(random, held_count), units);
    } else if (what == 15) {
        the_longest();
    } else if (what == 16 && held_count > 0 && held_count < HELD_MOST) {
        take_what_came_back(random_below(random, held_count), units, 1u << random_below(random, 5));
    } else if (held_count > 0) {
        (void)let_go(random_below(random, held_count));
    }
}

/* Holds all that is free, and lets go what does not end its region: in classic no region has a rest then. */
static void list_all(void)
{
    for (uint32_t longest; (longest = knoll_pages_longest(&heap)) != 0;)
        if (take(longest, 1))
            verify();
    for (uint32_t i = held_count; i > 0; i--)
        if (held[i - 1].index + held[i - 1].length != held[i - 1].region->count)
            (void)let_go(i - 1);
}

/* The free runs that the map allows at most: in classic the rest counts as those that can be cut from it. */
static void expect_longest_runs(void)
{
    uint32_t kept[KNOLL_REGIONS_MAX];
    memcpy(kept, rest, sizeof kept);
    for (uint32_t i = 0; i < heap.region_count; i++)
        rest[i] = heap.region[i]->count;
    expect_free_runs();
    memcpy(rest, kept, sizeof kept);
}

static void random_histories(void **state)
{
    struct random random = random_from(KNOLL_TEST_SEED);
    (void)state;
    make_regions();
    struct run fresh[UNITS_MOST];
    expect_longest_runs();
    uint32_t fresh_count = expected_count;
    memcpy(fresh, expected, sizeof expected);
    verify();
    for (uint32_t i = 0; i < STEPS; i++)
        step(&random, i % 400 < 250 ? 12 : 5);
    while (held_count > 0)
        (void)let_go(held_count - 1);
    expect_longest_runs();
    assert_int_equal(expected_count, fresh_count);
    assert_memory_equal(fresh, expected, fresh_count * sizeof fresh[0]);
}

/* Every length of a run that is taken from fresh memory, and given back. */
static void every_length(void **state)
{
    (void)state;
    make_regions();
    for (uint32_t units = 1; units < UNITS_MOST; units += 1 + units / 16) {
        for (uint32_t alignment = 1; alignment <= 64; alignment *= 2) {
            if (take(units, alignment)) {
                verify();
                let_go(0);
            }
        }
    }
}

/* Halves of a free run must be found to be unmerged; halves of two runs side by side, in classic, must not. */
static void unmerged_runs(void **state)
{
    (void)state;
    make_regions();
    list_all();
    for (uint32_t i = 0; i < expected_count; i++) {
        const struct run *run = &expected[i];
        uint32_t quarter = run->length / 4;
        if (quarter == 0)
            continue;
        assert_true(knoll_pages_unmerged(run->region, run->index, quarter, quarter));
        assert_true(knoll_pages_unmerged(run->region, run->index, 2 * quarter, 2 * quarter));
        assert_true(knoll_pages_unmerged(run->region, run->index + quarter, quarter, quarter) == !CLASSIC);
        assert_true(knoll_pages_unmerged(run->region, run->index, quarter, 2 * quarter) == !CLASSIC);
        assert_false(knoll_pages_unmerged(run->region, run->index, 0, quarter));
        if (CLASSIC) {
            assert_false(knoll_pages_placed_well(run->region, run->index + quarter, 2 * quarter));
            assert_false(knoll_pages_placed_well(run->region, run->index, 3 * quarter));
        } else {
            assert_false(knoll_pages_placed_well(run->region, run->index, run->length - 1));
            assert_false(knoll_pages_placed_well(run->region, run->index + 1, run->length - 1));
            assert_true(knoll_pages_unmerged(run->region, run->index, 1, 1));
        }
    }
}

/* A run cannot be made longer than any region is, whatever its start is a multiple of. */
static void longer_than_any_region(void **state)
{
    (void)state;
    make_heap(&heap, arena_at(KIB(64), 0), KIB(64));
    uint32_t length = (uint32_t)knoll_pages_round(1, 1);
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
    void *run = knoll_large_take(&heap, units * UNIT, &usable);
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
    knoll_large_give(&heap, number_at(by_parts));
    knoll_large_give(&heap, number_at(by_whole));
    assert_true(is_second(by_whole, 4) && !is_second(by_parts, 4));
    assert_ptr_equal(take_units(4), by_parts);
    assert_ptr_equal(take_units(4), by_whole);

    (void)take_units(1);
    assert_true(knoll_large_resize(&heap, number_at(longer), 2));
    assert_true(is_second(longer + 2 * UNIT, 2) && !is_second(longer + 4 * UNIT, 4));
    knoll_large_give(&heap, number_at(part));
    assert_true(is_second(part, 2));
#endif
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(unmerged_runs),    cmocka_unit_test(every_length),
    cmocka_unit_test(random_histories), cmocka_unit_test(longer_than_any_region),
    cmocka_unit_test(from_an_odd_unit), cmocka_unit_test(by_a_whole_run_and_by_parts),
};

CHECK_MAIN(tests)
