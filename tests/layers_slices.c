/* The check in slices, on a heap that changes between them and on one that does not. (tests/damage.c has what slices
 * find in a heap that is damaged and does not change.)
 *
 * A sound heap must never be called broken, whatever is done to it between slices of whatever size; a slice must not
 * take more steps than it may; and what is wrong with a run or a link must be found while the heap changes, too.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "free_lists.h"
#include "knoll_live.h"
#include "moment.h"
#include "support.h"

#define SLOTS 256

static struct knoll_heap heap;
static void *blocks[SLOTS];
static struct knoll_check_cursor cursor;

static void make_and_forget(size_t size)
{
    make_heap(&heap, arena_at(KIB(64), 0), size);
    memset(blocks, 0, sizeof blocks);
    memset(&cursor, 0, sizeof cursor);
}

/* ---- Change ---- */

static uint32_t some_size(struct random *random)
{
    static const uint32_t limits[] = {64, 300, 2000, 12000, 40000, 200000};
    return random_below(random, limits[random_below(random, 6)]);
}

/* One call that may change the heap, of each kind that there is. */
static void change(struct random *random)
{
    void **slot = &blocks[random_below(random, SLOTS)];
    void *moved;
    switch (random_below(random, 8)) {
    case 0:
    case 1:
        knoll_free(&heap, *slot);
        *slot = NULL;
        break;
    case 2:
    case 3: /* runs often stay where they are, and are the only thing that changes */
    case 4:
        moved = knoll_realloc(&heap, *slot,
                              *slot == NULL ? some_size(random)
                                            : knoll_usable_size(&heap, *slot) / 2 + random_below(random, 3000));
        *slot = moved != NULL ? moved : *slot;
        break;
    case 5:
        knoll_free(&heap, *slot);
        *slot = knoll_aligned_alloc(&heap, (size_t)1 << random_below(random, 15), some_size(random));
        break;
    case 6:
        knoll_free_batch(&heap, blocks, 8);
        memset(blocks, 0, 8 * sizeof blocks[0]);
        (void)knoll_malloc_batch(&heap, random_below(random, 500), 8, blocks);
        break;
    default:
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, some_size(random));
    }
}

/* Nothing but runs made longer and shorter where they lie: no block comes or goes, and the bytes used are often the
 * same after some of them. */
static void change_lengths(struct random *random)
{
    for (size_t i = 0; i < 4; i++) {
        void **slot = &blocks[random_below(random, SLOTS)];
        size_t size = *slot == NULL ? 0 : knoll_usable_size(&heap, *slot);
        if (size <= KIB(8))
            continue;
        void *moved = knoll_realloc(&heap, *slot, random_below(random, 2) != 0 ? size + KNOLL_PAGE : size - KNOLL_PAGE);
        *slot = moved != NULL ? moved : *slot;
    }
}

static size_t some_budget(struct random *random)
{
    static const uint32_t limits[] = {2, 8, 64, 5000};
    return random_below(random, limits[random_below(random, 4)]);
}

static void never_a_false_alarm(void **state)
{
    struct random random = random_from(KNOLL_TEST_SEED);
    size_t slices = 0, passes = 0, whole = 0;
    (void)state;
    check_seed = KNOLL_TEST_SEED;
    for (size_t step = 0; step < KNOLL_TEST_STEPS; step++) {
        if (step % 20000 == 0) {
            passes += cursor.passes;
            whole += cursor.whole;
            make_and_forget(step % 40000 == 0 ? KIB(256) : MIB(2));
        }
        if (step % 20000 == 10000 && KNOLL_REGIONS_MAX > 1)
            add_memory(&heap, arena_at(KIB(64), 0) + MIB(3), KIB(128)); /* in the midst of a pass */
        if (step % 1000 < 700)
            change(&random);
        else if (step % 1000 < 950)
            change_lengths(&random);
        for (uint32_t more = random_below(&random, 3); more > 0; more--, slices++) {
            assert_int_equal(knoll_check_slice(&heap, &cursor, some_budget(&random)), 0);
            assert_null(cursor.where);
        }
    }
    assert_int_equal(knoll_check(&heap), 0);
    passes += cursor.passes;
    whole += cursor.whole;
    check_say("", slices, " slices");
    check_say(" in ", passes, " passes");
    check_say(", of which ", whole, " whole\n");
    assert_true(whole > 0 && passes > whole + whole / 2);
}

/* What moment.h claims: no call that changes the struct or the tables leaves the moment as it was. */
static void every_change_is_seen(void **state)
{
    struct random random = random_from(3);
    unsigned char *start = arena_at(KIB(64), 0);
    size_t changes = 0;
    (void)state;
    make_and_forget(KIB(256));
    size_t tables = KIB(256) - knoll_total_bytes(&heap);
    for (size_t step = 0; step < KNOLL_TEST_STEPS / 10; step++) {
        struct knoll_moment before = moment_of(&heap);
        snapshot_take(&heap, start, tables);
        if (step % 3 == 0)
            change(&random);
        else
            change_lengths(&random);
        struct knoll_moment after = moment_of(&heap);
        bool changed = !snapshot_holds(&heap);
        changes += changed;
        assert_true(!changed || !moments_are_same(&before, &after));
    }
    assert_true(changes > KNOLL_TEST_STEPS / 40);
}

/* ---- Bounds ---- */

static uint32_t steps_before[32769]; /* how many steps the units before this one take */

static void count_steps(const struct knoll_region *region)
{
    uint32_t steps = 0;
    assert_true(region->count < sizeof steps_before / sizeof steps_before[0]);
    for (uint32_t index = 0; index < region->count; index++) {
        steps_before[index] = steps;
        struct slab_place place;
        const unsigned char *address = region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
        bool starts = !slab_find(region, address, &place) || place.number == region_unit_number(region, index);
        steps += starts;
    }
    steps_before[region->count] = steps;
}

static void a_slice_takes_its_steps_and_no_more(void **state)
{
    static const size_t budgets[] = {1, 7, 64, 1000};
    struct random random = random_from(4);
    (void)state;
    make_and_forget(MIB(2));
    for (size_t step = 0; step < 3000; step++)
        change(&random);
    const struct knoll_region *region = heap.region[0];
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    count_steps(region);
    size_t most = steps_before[region->count] + list_count(&heap) + KNOLL_CLASS_COUNT + 2;
    for (size_t i = 0; i < KNOLL_RUN_ORDERS; i++)
        most += stats.free_runs[i];
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++)
        most += stats.size_class[i].slabs;
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        size_t slices = 0;
        uint32_t unit = 0;
        memset(&cursor, 0, sizeof cursor);
        while (cursor.passes == 0) {
            assert_int_equal(knoll_check_slice(&heap, &cursor, budgets[i]), 0);
            slices++;
            if (cursor.region == 0 && cursor.passes == 0) {
                assert_true(cursor.unit > unit || cursor.unit == region->count);
                assert_true(steps_before[cursor.unit] - steps_before[unit] <= budgets[i]);
                unit = cursor.unit;
            }
        }
        assert_int_equal(cursor.whole, 1);
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), 0);
        assert_int_equal(cursor.whole, 1); /* the next pass goes on counting */
        while (cursor.passes < 2)
            assert_int_equal(knoll_check_slice(&heap, &cursor, budgets[i]), 0);
        assert_int_equal(cursor.whole, 2);
        assert_true(slices <= most / budgets[i] + 1);
        assert_true(slices >= steps_before[region->count] / budgets[i]);
    }
    memset(&cursor, 0, sizeof cursor); /* no budget is the least one */
    for (size_t slices = 0; cursor.passes == 0; slices++) {
        assert_int_equal(knoll_check_slice(&heap, &cursor, 0), 0);
        assert_true(slices < most);
    }
}

/* ---- What is found while the heap changes ---- */

/* Takes slices, with a change before each, until something is found; its number. */
static int check_while_it_changes(size_t budget)
{
    int number = 0;
    memset(&cursor, 0, sizeof cursor);
    while (number == 0 && cursor.passes < 8) {
        knoll_free(&heap, knoll_malloc(&heap, 40));
        number = knoll_check_slice(&heap, &cursor, budget);
    }
    assert_int_equal(cursor.whole, 0);
    return number;
}

static void expect_found_while_it_changes(uint32_t *cell, uint32_t damage, int number, uint32_t unit)
{
    uint32_t sound = *cell;
    *cell = damage;
    for (size_t budget = 1; budget <= 1000; budget *= 10) {
        assert_int_equal(check_while_it_changes(budget), number);
        assert_ptr_equal(cursor.where, unit_address(&heap, unit));
    }
    *cell = sound;
    assert_int_equal(check_while_it_changes(3), 0);
}

static void runs_are_checked_while_it_changes(void **state)
{
    struct block found = {{&heap.list[0], NULL, NOWHERE, 0}, 0};
    (void)state;
    make_and_forget(KIB(256));
    (void)knoll_malloc(&heap, 40);
    blocks[0] = knoll_malloc(&heap, KIB(8));
    for (size_t i = 1; i < 4; i++)
        blocks[i] = knoll_malloc(&heap, KIB(32));
    knoll_free(&heap, blocks[2]);
    assert_true(knoll_block_find(&heap, blocks[1], &found));
    uint32_t *run = found.place.slab;
    uint32_t number = found.place.number;
    expect_found_while_it_changes(run, *run | 1u << 20, 5, number);
    uint32_t *inside = region_entry(heap.region[0], (number & INDEX_MASK) + 5);
    expect_found_while_it_changes(inside, (uint32_t)RUN_LARGE << KIND_SHIFT, 2, number + 5);

    uint32_t length = large_length(run);
    uint32_t *free_run = entry_of(&heap, number + length); /* behind it, of a length of its own in compact */
    if (cell_kind(*free_run) == RUN_FREE && free_run_length(free_run) == length)
        expect_found_while_it_changes(&free_run[CELL_FREE_NEXT], number, 9, number + length);
    else
        assert_true(CLASSIC); /* where it may have merged with its buddy */
}

/* Takes steps until the run that starts with this block was the last one to be looked at. */
static void check_up_to(const void *block)
{
    uint32_t index = (uint32_t)(region_offset(heap.region[0], block) >> KNOLL_UNIT_SHIFT);
    memset(&cursor, 0, sizeof cursor);
    do
        assert_int_equal(knoll_check_slice(&heap, &cursor, 1), 0);
    while (cursor.run != index);
}

/* The slice stopped behind a free run; that is taken, and the run behind it comes free. They are no two free runs. */
static void two_runs_change_places(void **state)
{
    (void)state;
    make_and_forget(KIB(256));
    for (size_t i = 0; i < 20; i++)
        blocks[i] = knoll_malloc(&heap, KIB(8));
    for (size_t i = 2; i + 1 < 20; i++) {
        knoll_free(&heap, blocks[i]);
        check_up_to(blocks[i]);
        while (cursor.unit != cursor.run_end)
            assert_int_equal(knoll_check_slice(&heap, &cursor, 1), 0);
        assert_ptr_equal(knoll_malloc(&heap, KIB(8)), blocks[i]);
        knoll_free(&heap, blocks[i + 1]);
        assert_int_equal(knoll_check_slice(&heap, &cursor, SIZE_MAX), 0);
        assert_ptr_equal(knoll_malloc(&heap, KIB(8)), blocks[i + 1]);
    }
}

/* A slab behind the run in which the slice stopped is looked at in the same pass, though that run has been freed and
 * taken again by then. */
static void a_slab_is_found_after_a_change(void **state)
{
    struct block slab;
    unsigned found = 0;
    (void)state;
    for (size_t size = 32; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        make_and_forget(KIB(256));
        (void)knoll_malloc(&heap, 1024); /* so that the run is not the first */
        unsigned char *run = knoll_malloc(&heap, KIB(16));
        unsigned char *block = knoll_malloc(&heap, size);
        for (unsigned i = 0; CLASSIC && i < 8 && block != run + KIB(16); i++) /* what is left before the run */
            block = knoll_malloc(&heap, size);
        (void)knoll_malloc(&heap, size);
        assert_true(knoll_block_find(&heap, block, &slab));
        if (block != run + KIB(16))
            continue;
        found++;
        knoll_free(&heap, run);
        check_up_to(run);
        assert_ptr_equal(knoll_malloc(&heap, KIB(16)), run);
        slab.place.slab[CELL_NOTES] ^= SLAB_KNOWN;
        assert_true(knoll_check_slice(&heap, &cursor, SIZE_MAX) != 0);
        assert_ptr_equal(cursor.where, block);
        slab.place.slab[CELL_NOTES] ^= SLAB_KNOWN;
        assert_int_equal(knoll_check(&heap), 0);
    }
    assert_true(found > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(two_runs_change_places),
    cmocka_unit_test(a_slab_is_found_after_a_change),
    cmocka_unit_test(never_a_false_alarm),
    cmocka_unit_test(every_change_is_seen),
    cmocka_unit_test(a_slice_takes_its_steps_and_no_more),
    cmocka_unit_test(runs_are_checked_while_it_changes),
};

CHECK_MAIN(tests)
