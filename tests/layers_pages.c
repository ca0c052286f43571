/* Both page layers, against a map that says of each unit whether it is held (layers_pages.h).
 *
 * After each step the entries, lists, and counts are compared with what must be free by the map, and each call's answer
 * with what the free runs before it allowed.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_pages.h"

#define STEPS (1 + KNOLL_TEST_STEPS / 40)

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
    size_t length = pages_round(units, alignment);
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
    uint32_t length = (uint32_t)pages_round(units, alignment);
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
    uint32_t wanted = (uint32_t)pages_round(units, 1);
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
    uint32_t longer = (uint32_t)pages_round((size_t)longest + 1, 1);
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(unmerged_runs),
    cmocka_unit_test(every_length),
    cmocka_unit_test(random_histories),
};

CHECK_MAIN(tests)
