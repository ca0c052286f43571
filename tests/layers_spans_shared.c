/* Spans under several processors: what two do at one moment, pointers to what is gone, and whatever three do.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_spans_others.h"

/* ---- At one moment ---- */

/* One looks that a run is held; before it says that it is free, another has given it back, and it is wanted again. */
static void a_run_that_two_free_at_once_is_handed_out_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {LONGEST, 2 * LONGEST}; /* of a span, and of none */
    for (size_t i = 0; i < 2; i++) {
        make_three(MIB(6));
        void *run = knoll_cpu_malloc(&first, sizes[i]);
        struct cpu_place place = find(run);
        knoll_cpu_free(&first, run);
        assert_true(knoll_cpu_return(&cpus, &place));
        assert_int_equal(last_fault.count, 0);
        cpus.queue[NOBODY].busy = (uint32_t)i; /* or it would be looked at before the run is taken */
        void *again = knoll_cpu_malloc(&first, sizes[i]);
        cpus.queue[NOBODY].busy = 0;
        assert_true(again != run);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
        assert_ptr_equal(last_fault.address, run);
        last_fault.count = 0;
        knoll_cpu_collect(&first);
        void *other = knoll_cpu_malloc(&first, sizes[i]); /* looks through nobody's queue, if need be */
        assert_true(other != again);
        knoll_cpu_free(&second, again);
        knoll_cpu_free(&second, other);
        knoll_cpu_collect(&first);
        expect_sound();
    }
}

/* The same of a run where a span begins meanwhile: its head is no run. */
static void a_span_begins_where_a_run_is_freed_twice(void **state)
{
    (void)state;
    for (unsigned owned = 0; owned < 2; owned++) {
        make_three(MIB(6));
        void *run = knoll_cpu_aligned_alloc(&second, SPAN_BYTES, SPAN_BYTES);
        struct cpu_place place = find(run);
        knoll_cpu_free(&second, run);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
        uint32_t span = NOWHERE;
        if (owned == 1) {
            (void)knoll_cpu_malloc(&first, LONGEST);
            assert_int_equal(first.spans, place.group);
        } else {
            span = knoll_cpu_take_span(&cpus); /* the processor has not come to say that it is its */
            assert_int_equal(span, group_unit(place.group));
        }
        assert_true(knoll_cpu_return(&cpus, &place));
        if (owned == 1)
            knoll_cpu_collect(&first);
        else
            (void)knoll_cpu_collect_common(&cpus);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
        last_fault.count = 0;
        if (owned == 0)
            knoll_cpu_spans_add(&first, span);
        expect_sound();
    }
}

/* ---- Pointers to what is gone ---- */

static bool is_held(const void *address, void *const *now, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (now[i] == address)
            return true;
    return false;
}

/* Slabs of two groups are gone, and where they were others come to be, or runs, or a span: no old block is one. */
static void blocks_of_slabs_that_are_gone(void **state)
{
    (void)state;
    static void *now[MOST];
    const size_t sizes[] = {32, SHORTEST, LONGEST};
    unsigned of_two = KNOLL_CLASS_COUNT - 1;
    while (of_two > 0 && (knoll_shapes[of_two].low >> GROUP_BYTES_SHIFT == 0 || knoll_shapes[of_two].capacity < 30))
        of_two--; /* in classic, where slabs have one group, the first class */
    for (unsigned i = 0; i < 3; i++) {
        make_three(SPAN_BYTES < KIB(256) ? MIB(1) : 4 * SPAN_BYTES);
        size_t count = 0;
        while (count < MOST && (blocks[count] = knoll_cpu_malloc(&second, class_size(of_two))) != NULL)
            count++;
        for (size_t b = 0; b < count; b++)
            knoll_cpu_free(&second, blocks[b]);
        knoll_cpu_drain(&second);
        knoll_drain(&cpus.heap);
        assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
        assert_int_equal(knoll_cpu_start(&second, &cpus, 2), 1);
        size_t faults = 0;
        for (size_t held = 0; held < 80; held++) {
            struct knoll_stats before, after;
            assert_non_null(now[held] = knoll_cpu_malloc(&first, sizes[i]));
            knoll_cpus_get_stats(&cpus, &before);
            for (size_t b = held % 8; b < count; b += 8)
                if (!is_held(blocks[b], now, held + 1)) {
                    knoll_cpu_free(b % 3 == 0 ? &first : &second, blocks[b]);
                    assert_int_equal(last_fault.count, ++faults);
                }
            knoll_cpus_get_stats(&cpus, &after);
            assert_int_equal(before.used_bytes, after.used_bytes);
            if (sizes[i] == LONGEST)
                held += 8;
        }
        last_fault.count = 0;
        expect_sound();
    }
}

/* ---- Whatever others do ---- */

#define HELD 160

static struct random random;
static struct knoll_cpu *const processors[] = {&first, &second, &third};
static bool is_busy[3];

static struct {
    unsigned char *block;
    size_t size;
    unsigned seed;
    bool is_in_hand;
} held[HELD];

static void replace(struct knoll_cpu *cpu, unsigned place)
{
    size_t size = random_below(&random, 8) == 0 ? 1 + random_below(&random, KNOLL_SLAB_MAXIMUM)
                                                : SHORTEST + random_below(&random, (uint32_t)LONGEST + 2000);
    uint32_t kind = random_below(&random, 8);
    unsigned char *block = held[place].block;
    if (block == NULL) {
        block = kind == 0 ? knoll_cpu_aligned_alloc(cpu, (size_t)16 << random_below(&random, 10), size)
                          : knoll_cpu_malloc(cpu, size);
    } else {
        assert_true(has_pattern(block, held[place].size, held[place].seed));
        if (kind < 2) {
            unsigned char *moved = knoll_cpu_realloc(cpu, block, size);
            if (moved == NULL)
                return;
            assert_true(has_pattern(moved, size < held[place].size ? size : held[place].size, held[place].seed));
            block = moved;
        } else {
            held[place].block = NULL;
            if (kind == 2)
                knoll_cpus_free(&cpus, block);
            else
                knoll_cpu_free(cpu, block);
            block = NULL;
        }
    }
    held[place].block = block;
    held[place].size = size;
    held[place].seed = random_next(&random);
    if (block != NULL)
        write_pattern(block, size, held[place].seed);
}

/* What one of them does; none does two things at once, nor do two work on one block. */
static void act(unsigned number)
{
    unsigned place = random_below(&random, HELD);
    if (is_busy[number] || held[place].is_in_hand)
        return;
    struct knoll_cpu *cpu = processors[number];
    is_busy[number] = held[place].is_in_hand = true;
    uint32_t kind = random_below(&random, 150);
    if (kind == 0) {
        knoll_cpu_drain(cpu);
        assert_int_equal(knoll_cpu_start(cpu, &cpus, number + 1), 1);
    } else if (kind < 4) {
        knoll_cpu_collect(cpu);
    } else {
        replace(cpu, place);
    }
    is_busy[number] = held[place].is_in_hand = false;
}

static unsigned acts_left; /* so that who looks until nothing waits comes to an end */

static void others_act(void)
{
    if (random_below(&random, 32) == 0)
        expect_no_more_used_than_there_are();
    hook_runs = false; /* they may come upon each other too */
    for (uint32_t acts = random_below(&random, 5); acts > 0 && acts_left > 0; acts--) {
        acts_left--;
        act(random_below(&random, 3));
    }
}

static void expect_what_is_held(void)
{
    struct knoll_stats stats;
    size_t used = 0;
    expect_sound();
    for (unsigned i = 0; i < HELD; i++)
        used += held[i].block == NULL ? 0 : knoll_cpus_usable_size(&cpus, held[i].block);
    knoll_cpus_get_stats(&cpus, &stats);
    assert_int_equal(stats.used_bytes, used);
    assert_true(stats.frees <= stats.allocations);
}

static void whatever_others_do_meanwhile(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 1 + KNOLL_TEST_STEPS / 10000; round++) {
        check_seed = KNOLL_TEST_SEED + round;
        random = random_from(KNOLL_TEST_SEED + round);
        memset(held, 0, sizeof held);
        make_three((4 * SPAN_BYTES + random_below(&random, 4) * SPAN_BYTES / 2) & ~(size_t)(KNOLL_PAGE - 1));
        for (unsigned step = 0; step < 2000; step++) {
            hook = others_act;
            acts_left = 20;
            act(random_below(&random, 3));
            hook = NULL;
            if (step % 128 == 0)
                expect_what_is_held();
        }
        for (unsigned i = 0; i < HELD; i++)
            if (held[i].block != NULL)
                knoll_cpus_free(&cpus, held[i].block);
        for (unsigned i = 0; i < 3; i++)
            knoll_cpu_drain(processors[i]);
        assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
        assert_null(knoll_cpu_malloc(&first, SIZE_MAX / 2)); /* looks everywhere */
        assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
    }
    check_seed = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_run_that_two_free_at_once_is_handed_out_once),
    cmocka_unit_test(a_span_begins_where_a_run_is_freed_twice),
    cmocka_unit_test(blocks_of_slabs_that_are_gone),
    cmocka_unit_test(whatever_others_do_meanwhile),
};

CHECK_MAIN(tests)
