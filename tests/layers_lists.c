/* What knoll_check sees of lists that no look at a run by itself can tell, and of what happens between slices.
 *
 * Each run's links are verified with the run. So a list can be wrong only where all links go both ways and no head, or
 * the wrong one, leads to them; or where it was sound when its runs were looked at and is not when it is followed.
 *
 * SPDX-License-Identifier: MIT */
#include "invariants.h"
#include "knoll_live.h"
#include "layers_free_lists.h"
#include "layers_slab.h"

#define LENGTH ((uint32_t)(KIB(8) >> KNOLL_UNIT_SHIFT))

static struct knoll_check_cursor cursor;
static uint32_t first, second; /* two free runs, of which the first one's link leads to the second */
static unsigned list;          /* theirs */

/* A heap of which a list has just these two runs. */
static void make_two_free_runs(void)
{
    uint32_t numbers[6];
    make_wide();
    for (size_t i = 0; i < 6; i++)
        numbers[i] = hold(LENGTH, 1);
    hold_all();
    release(second = numbers[1]);
    release(first = numbers[4]);
    list = list_of_run(&heap, heap.region[0], first & INDEX_MASK, LENGTH);
    assert_int_equal(heap.list[list], first);
    assert_int_equal(link_after(entry_of(&heap, first), RUN_FREE), second);
    assert_int_equal(link_after(entry_of(&heap, second), RUN_FREE), NOWHERE);
    assert_int_equal(knoll_check(&heap), HOLDS);
}

static void expect(int number, const void *where)
{
    const void *found;
    assert_int_equal(knoll_check_at(&heap, &found), number);
    assert_ptr_equal(found, where);
}

/* ---- Rings: all links go both ways ---- */

static void make_ring(uint32_t *a, uint32_t *b, uint32_t a_number, uint32_t b_number, unsigned next, unsigned shift)
{
    set_link(&a[CELL_PREV], b_number, shift);
    set_link(&a[next], b_number, shift);
    set_link(&b[CELL_PREV], a_number, shift);
    set_link(&b[next], a_number, shift);
}

static void a_ring_of_free_runs(void **state)
{
    (void)state;
    make_two_free_runs();
    make_ring(entry_of(&heap, first), entry_of(&heap, second), first, second, CELL_FREE_NEXT, 0);
    expect(FREE_LISTS, &heap.list[list]); /* that the head leads into */
    heap.list[list] = NOWHERE;
    say_filled(&heap, list, false);
    expect(FREE_LISTS, &heap.list[list_count(&heap) - 1]); /* that no head leads to */
}

static void a_ring_of_slabs(void **state)
{
    (void)state;
    unsigned char *kept[2];
    make_wide();
    for (size_t i = 0; i < 2; i++) {
        take_slab(0);
        kept[i] = blocks[0];
    }
    take_slab(0);
    for (size_t i = 0; i < 2; i++) { /* more than hints remember: each is listed */
        struct slab_place place = find(kept[i]);
        for (unsigned j = 0; j < KNOLL_MAGAZINE + 2 && j < place.shape->capacity - 1u; j++)
            give(kept[i] + (size_t)j * place.shape->size);
        assert_true((find(kept[i]).slab[CELL_NOTES] & SLAB_KNOWN) != 0);
    }
    struct slab_place a = find(kept[0]);
    struct slab_place b = find(kept[1]);
    assert_int_equal(knoll_check(&heap), HOLDS);
    make_ring(a.slab, b.slab, a.number, b.number, CELL_SLAB_NEXT, GROUP_SHIFT);
    expect(PARTIAL_LISTS, &heap.size_class[0].partial);
    heap.size_class[0].partial = NOWHERE;
    expect(PARTIAL_LISTS, &heap.size_class[0].partial);
}

/* ---- What can be in a list ---- */

static void what_can_be_a_member(void **state)
{
    (void)state;
    make_two_free_runs();
    struct run_list runs = {&heap.list[list], RUN_FREE, list};
    struct run_list others = {&heap.list[list + 1], RUN_FREE, list + 1};
    assert_non_null(knoll_check_member(&heap, &runs, first));
    assert_null(knoll_check_member(&heap, &others, first));
    if (!CLASSIC) { /* a run that reaches beyond the region's end: the length of those over three is in the third cell
                     */
        uint32_t left = heap.region[0]->count - (first & INDEX_MASK);
        entry_of(&heap, first)[CELL_LENGTH] = left + 1;
        assert_null(knoll_check_member(&heap, &runs, first));
    }

    make_wide();
    take_slab(0);
    unsigned char *block = blocks[0];
    take_slab(0);
    struct slab_place place = find(block);
    struct run_list slabs = {&heap.size_class[0].partial, RUN_SLAB, 0};
    struct run_list slabs_of_another = {&heap.size_class[1].partial, RUN_SLAB, 1};
    assert_null(knoll_check_member(&heap, &slabs, place.number)); /* which is in no list */
    place.slab[CELL_NOTES] |= SLAB_KNOWN;
    assert_non_null(knoll_check_member(&heap, &slabs, place.number));
    assert_null(knoll_check_member(&heap, &slabs_of_another, place.number));
}

static void a_free_run_without_length(void **state)
{
    (void)state;
    make_two_free_runs();
    entry_of(&heap, second)[CELL_LENGTH] = 0; /* the one that is looked at first */
    expect(RUNS_TILE, unit_address(&heap, second));
}

/* ---- Steps ---- */

/* Takes slices until all runs have been looked at, and no list. */
static void look_at_all_runs(void)
{
    memset(&cursor, 0, sizeof cursor);
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
    while (cursor.unit < heap.region[0]->count);
}

/* Each link takes a step, and so does each list. */
static void a_slice_follows_no_more_links_than_it_may(void **state)
{
    (void)state;
    make_two_free_runs();
    for (size_t budget = 1; budget <= 4; budget++) {
        size_t slices = 0;
        memset(&cursor, 0, sizeof cursor);
        for (; cursor.passes == 0; slices++) {
            uint32_t place = cursor.list;
            assert_int_equal(knoll_check_slice(&heap, &cursor, budget), HOLDS);
            assert_true(cursor.passes != 0 || cursor.list - place <= budget);
            slices -= cursor.list == 0;
        }
        assert_true(slices * budget >= list_count(&heap));
    }
    make_two_free_runs();
    look_at_all_runs();
    size_t slices = 0; /* in the list of the two: to the first, to the second, to the end */
    do {
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
        slices += cursor.list == list && cursor.passes == 0;
    } while (cursor.passes == 0);
    assert_true(slices >= 2);
}

/* ---- Between slices, with no other change ---- */

static void expect_in_this_pass(int number, const void *where)
{
    int broken;
    do
        broken = knoll_check_slice(&heap, &cursor, 1);
    while (broken == HOLDS && cursor.passes == 0);
    assert_int_equal(broken, number);
    assert_ptr_equal(cursor.where, where);
}

static void a_link_back_that_breaks_before_it_is_followed(void **state)
{
    (void)state;
    make_two_free_runs();
    look_at_all_runs();
    set_link(entry_of(&heap, second), NOWHERE, 0);
    expect_in_this_pass(FREE_LISTS, unit_address(&heap, first));
}

static void a_slab_that_comes_into_a_list_unseen(void **state)
{
    (void)state;
    make_wide();
    take_slab(0);
    struct slab_place place = find(blocks[0]);
    (void)take(0); /* so that it is not the current one */
    look_at_all_runs();
    list_push(&heap, &heap.size_class[0].partial, place.slab, place.number, CELL_SLAB_NEXT, GROUP_SHIFT);
    place.slab[CELL_NOTES] |= SLAB_KNOWN;
    expect_in_this_pass(PARTIAL_LISTS, &heap.size_class[0].partial);
}

/* ---- Between slices, while the heap changes ---- */

static void set_shape(uint32_t number, uint8_t shape)
{
    if (CLASSIC)
        entry_of(&heap, number)[CELL_SHAPE] = shape;
    else
        *entry_of(&heap, number) = (uint32_t)shape << SHAPE_SHIFT;
}

/* A shape that is none. */
#define NO_SHAPE 127

static uint32_t run;           /* a large run, behind which lies */
static struct slab_place slab; /* this slab, and neither has a free neighbour */

/* Takes slices until the run that starts at this unit has been looked at, be it not to its end. */
static void look_at(uint32_t number)
{
    memset(&cursor, 0, sizeof cursor);
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
    while (cursor.run != (number & INDEX_MASK));
}

static void make_run_and_slab(void)
{
    uint32_t length = shape_length(usual(0));
    make_wide();
    run = hold(length, length);
    uint32_t next = hold(length, length);
    assert_int_equal(next, run + length);
    hold_all();
    release(next);
    slab = find(take(0));
    assert_int_equal(slab.number, next);
    assert_int_equal(knoll_check(&heap), HOLDS);
}

static void a_shape_that_breaks_before_the_search_comes_to_it(void **state)
{
    (void)state;
    make_run_and_slab();
    look_at(run);
    release(run);
    heap.allocations++; /* as if the memory had been taken and given back */
    set_shape(slab.number, NO_SHAPE);
    expect_in_this_pass(SLAB_SHAPES, unit_address(&heap, slab.number));
}

/* From unit to unit, a step each, and no run is passed by. */
static void the_search_takes_a_step_a_unit(void **state)
{
    enum { LONG = 64 };
    (void)state;
    make_wide();
    uint32_t start = hold(LONG, LONG);
    uint32_t next = hold(LONG, LONG);
    hold_all();
    look_at(start);
    uint32_t unit = cursor.unit;
    release(start);
    heap.allocations++;
    while (cursor.run != (next & INDEX_MASK)) {
        cursor.where = &heap;
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
        assert_null(cursor.where);
        assert_true(cursor.unit - unit <= 1 && cursor.unit <= (next & INDEX_MASK) + 1);
        unit = cursor.unit;
    }
}

/* The place where it begins came to lie in a slab, or before a free run, meanwhile. */
static void the_search_finds_the_next_run(void **state)
{
    (void)state;
    uint32_t length = shape_length(usual(KNOLL_CLASS_COUNT - 1));
    make_wide();
    uint32_t start = hold(length, length);
    uint32_t next = hold(length, length);
    hold_all();
    look_at(start);
    release(start);
    assert_int_equal(find(take(KNOLL_CLASS_COUNT - 1)).number, start);
    heap.allocations++;
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
    while (cursor.run == (start & INDEX_MASK));
    assert_int_equal(cursor.run, next & INDEX_MASK);

    make_two_free_runs();
    uint32_t before = first - LENGTH; /* in classic they are no buddies */
    look_at(before);
    release(before);
    uint32_t merged = free_run_length(entry_of(&heap, before));
    heap.allocations++;
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
    while (cursor.run == (before & INDEX_MASK));
    assert_int_equal(cursor.run, (CLASSIC ? first : before + merged) & INDEX_MASK);
}

static void a_run_that_is_now_inside_a_free_one_is_gone(void **state)
{
    (void)state;
    make_wide();
    uint32_t whole = hold(4 * LENGTH, 4 * LENGTH);
    hold_all();
    release(whole);
    uint32_t start = hold(LENGTH, 1);
    uint32_t middle = hold(LENGTH, 1);
    uint32_t last = hold(2 * LENGTH, 1);
    assert_true(start == whole && middle == start + LENGTH && last == middle + LENGTH);
    look_at(middle);
    struct knoll_check_cursor seen = cursor;
    assert_true(knoll_check_run_stays(heap.region[0], &seen));
    release(middle); /* so that its cells say this length when they mean nothing any more */
    seen.kind = RUN_FREE;
    assert_true(CLASSIC == knoll_check_run_stays(heap.region[0], &seen));
    release(start);
    release(last);
    assert_false(knoll_check_run_stays(heap.region[0], &seen));
    seen.kind = RUN_LARGE;
    assert_false(knoll_check_run_stays(heap.region[0], &seen));
}

/* What a list's link led to is taken away while the list is followed. */
static void a_link_is_forgotten_when_the_heap_changes(void **state)
{
    (void)state;
    make_two_free_runs();
    look_at_all_runs();
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), HOLDS);
    while (cursor.next != second);
    assert_int_equal(hold(LENGTH, 1), first);
    assert_int_equal(hold(LENGTH, 1), second);
    heap.allocations += 2;
    expect_in_this_pass(HOLDS, NULL);
    assert_int_equal(knoll_check(&heap), HOLDS);
}

static void a_shape_that_breaks_behind_the_place(void **state)
{
    (void)state;
    make_run_and_slab();
    look_at(slab.number);
    heap.allocations++;
    set_shape(slab.number, NO_SHAPE);
    expect_in_this_pass(HOLDS, NULL);
    assert_int_equal(cursor.whole, 0);
    expect(SLAB_SHAPES, unit_address(&heap, slab.number));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_ring_of_free_runs),
    cmocka_unit_test(a_ring_of_slabs),
    cmocka_unit_test(what_can_be_a_member),
    cmocka_unit_test(a_free_run_without_length),
    cmocka_unit_test(a_slice_follows_no_more_links_than_it_may),
    cmocka_unit_test(a_link_back_that_breaks_before_it_is_followed),
    cmocka_unit_test(a_slab_that_comes_into_a_list_unseen),
    cmocka_unit_test(a_shape_that_breaks_before_the_search_comes_to_it),
    cmocka_unit_test(a_shape_that_breaks_behind_the_place),
    cmocka_unit_test(the_search_takes_a_step_a_unit),
    cmocka_unit_test(the_search_finds_the_next_run),
    cmocka_unit_test(a_run_that_is_now_inside_a_free_one_is_gone),
    cmocka_unit_test(a_link_is_forgotten_when_the_heap_changes),
};

CHECK_MAIN(tests)
