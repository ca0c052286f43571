/* Spans: which requests they serve, whose their runs are, and when they go back, with runs in them that callers hold.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_spans.h"

/* The first run takes a span; those after it take no lock until it is full. */
static void runs_of_a_span_need_no_lock(void **state)
{
    (void)state;
    make_counting();
    size_t before = available();
    blocks[0] = knoll_cpu_malloc(&first, LONGEST);
    assert_int_equal(holdings, 2); /* to start the processors came before; one is to take the span, one to ask here */
    holdings = 0;
    for (size_t i = 1; i <= 40; i++) {
        knoll_cpu_free(&first, blocks[(i - 1) % 2]);
        blocks[i % 2] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM + 1 + i * (LONGEST - KNOLL_SLAB_MAXIMUM - 1) / 40);
        assert_int_equal(owner_of(blocks[i % 2]), 1);
    }
    assert_int_equal(holdings, 0);
    assert_int_equal(available(), before - knoll_cpus_usable_size(&cpus, blocks[0]));
    knoll_cpu_free(&first, blocks[0]);
    assert_int_equal(available(), before);
    expect_sound();
}

/* What is longer, or aligned to more, is nobody's. */
static void only_short_runs_are_of_spans(void **state)
{
    (void)state;
    make(MIB(6));
    for (size_t more = 0; more < 2; more++) {
        blocks[more] = knoll_cpu_malloc(&first, LONGEST + more);
        assert_int_equal(owner_of(blocks[more]), more == 0 ? 1 : NOBODY);
        blocks[2 + more] = knoll_cpu_aligned_alloc(&first, LONGEST << more, KNOLL_SLAB_MAXIMUM + 1);
        assert_true(is_aligned(blocks[2 + more], LONGEST << more));
        assert_int_equal(owner_of(blocks[2 + more]), more == 0 ? 1 : NOBODY);
    }
    for (size_t i = 0; i < 4; i++)
        knoll_cpu_free(&first, blocks[i]);
    expect_sound();
}

/* A span is taken only while so many more are free. */
static void the_last_memory_is_for_all(void **state)
{
    (void)state;
    make(MIB(6));
    size_t count = 0;
    while (count < MOST && owner_of(blocks[count] = knoll_cpu_malloc(&first, LONGEST)) == 1)
        count++;
    assert_true(count > 0 && count < MOST);
    assert_true(knoll_available_bytes(&cpus.heap) < (1 + SPANS_LEFT) * SPAN_BYTES);
    assert_true(knoll_available_bytes(&cpus.heap) + LONGEST >= SPANS_LEFT * SPAN_BYTES);
    for (size_t i = 0; i <= count; i++)
        knoll_cpu_free(&first, blocks[i]);
    expect_sound();
}

/* With every other run held the processor goes: what is free is anybody's then, and so are the runs. */
static void runs_outlive_their_spans(void **state)
{
    (void)state;
    make(MIB(6));
    struct knoll_stats new, now;
    knoll_cpus_get_stats(&cpus, &new);
    size_t count = fill_spans(SPAN_BYTES);
    assert_true(first.span_count > 1);
    for (size_t i = 0; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    expect_sound();
    size_t before = available();
    knoll_cpu_drain(&first);
    assert_int_equal(available(), before);
    assert_int_equal(knoll_available_bytes(&cpus.heap), before);
    expect_sound();
    for (size_t i = 1; i < count; i += 2) {
        assert_int_equal(owner_of(blocks[i]), NOBODY);
        assert_true(has_pattern(blocks[i], sizes[i], (unsigned)i));
        blocks[i] = knoll_cpu_realloc(&second, blocks[i], sizes[i] / 2);
        assert_true(has_pattern(blocks[i], sizes[i] / 2, (unsigned)i));
        knoll_cpu_free_sized(&second, blocks[i], sizes[i] / 2);
        expect_sound();
    }
    knoll_cpu_drain(&second);
    knoll_drain(&cpus.heap);
    knoll_cpus_get_stats(&cpus, &now);
    assert_int_equal(now.used_bytes, 0);
    assert_int_equal(now.largest_block, new.largest_block);
}

/* However runs come and go, no more is free in spans than a span and as much as is held. */
static void no_more_is_free_in_spans_than_may_be(void **state)
{
    (void)state;
    make(MIB(6));
    size_t count = fill_spans(SPAN_BYTES + SPAN_BYTES / 4);
    for (size_t step = 1; step <= 7; step += 2) {
        for (size_t i = 0; i < 2 * count; i++) { /* the second time what the steps left out */
            size_t victim = i < count ? i * step % count : i - count;
            if (blocks[victim] != NULL)
                knoll_cpu_free(&first, blocks[victim]);
            blocks[victim] = NULL;
            assert_true(first.span_count * SPAN_UNITS <= 2 * first.held + SPAN_UNITS);
            assert_int_equal(knoll_cpu_check(&first), 0);
        }
        assert_true(first.span_count <= 1);
        assert_int_equal(first.held, 0);
        expect_sound();
        count = fill_spans(SPAN_BYTES);
    }
}

/* An idle processor keeps no span of which nothing is held. */
static void collecting_gives_empty_spans_back(void **state)
{
    (void)state;
    make(MIB(6));
    blocks[0] = knoll_cpu_malloc(&first, LONGEST);
    knoll_cpu_collect(&first);
    assert_int_equal(first.span_count, 1);
    knoll_cpu_free(&first, blocks[0]);
    assert_int_equal(first.span_count, 1);
    knoll_cpu_collect(&first);
    assert_int_equal(first.span_count, 0);
    assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
    expect_sound();
}

/* How often the lock is held while the processor goes, which has nothing free but in spans. */
static size_t holdings_of_drain(void)
{
    holdings = 0;
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    return holdings - 1;
}

/* How many runs there are in the span, free and held. */
static uint32_t runs_of_span(uint32_t number)
{
    uint32_t runs = 0;
    for (uint32_t unit = number + SPAN_HEAD; unit < number + SPAN_UNITS - SPAN_TAIL; runs++) {
        const uint32_t *run = entry_of(&cpus.heap, unit);
        unit += cell_kind(*run) == RUN_LARGE ? large_length(run) : free_run_length(run);
    }
    return runs;
}

/* In one holding of the lock a span gives back no more than a batch of its runs, or its edges, or the groups of 64. */
static void a_span_goes_back_in_parts(void **state)
{
    (void)state;
    for (size_t held = 1; held <= 20; held++) {
        make_counting();
        for (size_t i = 0; i < held; i++) {
            blocks[i] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM + 1);
            if (first.span_count == 2) /* short ones have room for no more */
                return;
        }
        for (size_t i = 0; i < held; i += 2)
            knoll_cpu_free(&first, blocks[i]);
        size_t runs = runs_of_span(group_unit(first.spans));
        size_t groups = SPAN_UNITS / GROUP_UNITS;
        size_t with = holdings_of_drain();
        size_t without = holdings_of_drain();
        assert_int_equal(with - without, (runs + KNOLL_CPU_BATCH - 1) / KNOLL_CPU_BATCH + 1 + (groups + 63) / 64);
        expect_sound();
    }
}

/* Fills so many spans with runs of an eighth, of which each has seven beside its head. */
static void fill_by_eighths(void *runs[5][7], uint32_t spans)
{
    make(MIB(6));
    for (uint32_t i = 0; i < spans; i++)
        for (size_t run = 0; run < 7; run++)
            assert_non_null(runs[i][run] = knoll_cpu_malloc(&first, SPAN_BYTES / 8));
    assert_int_equal(first.span_count, spans);
}

static void give_back_from(void *runs[7], size_t from)
{
    for (size_t run = from; run < 7; run++)
        knoll_cpu_free(&first, runs[run]);
}

/* Of spans in use the one is given up of which least is held, though it is neither the first nor the last. */
static void the_emptiest_span_in_use_goes(void **state)
{
    (void)state;
    void *runs[5][7];
    fill_by_eighths(runs, 3);
    give_back_from(runs[0], 2);
    give_back_from(runs[1], 1);
    give_back_from(runs[2], 5);
    assert_int_equal(first.span_count, 3); /* 8 eighths are held, and 16 free */
    knoll_cpu_free(&first, runs[2][4]);
    assert_int_equal(first.span_count, 2);
    assert_int_equal(owner_of(runs[0][0]), 1);
    assert_int_equal(owner_of(runs[1][0]), NOBODY);
    assert_int_equal(owner_of(runs[2][0]), 1);
    expect_sound();
}

/* But none of which half is held, where another is free. */
static void a_span_that_is_half_full_stays(void **state)
{
    (void)state;
    void *runs[5][7];
    fill_by_eighths(runs, 4);
    give_back_from(runs[3], 0);
    give_back_from(runs[2], 0);
    give_back_from(runs[1], 5);
    assert_int_equal(first.span_count, 4); /* 12 eighths are held, and 20 free */
    knoll_cpu_free(&first, runs[1][4]);
    assert_int_equal(first.span_count, 3);
    assert_int_equal(owner_of(runs[0][0]), 1);
    assert_int_equal(owner_of(runs[1][0]), 1);
    expect_sound();
}

/* One in use goes before one that is free, though that was taken sooner; and if there are but those that are nearly
 * half full, one of them. */
static void a_span_in_use_goes_before_a_free_one(void **state)
{
    (void)state;
    void *runs[5][7];
    fill_by_eighths(runs, 3);
    give_back_from(runs[0], 0);
    give_back_from(runs[2], 1);
    assert_int_equal(first.span_count, 3); /* 8 eighths are held, and 16 free */
    knoll_cpu_free(&first, runs[1][6]);
    assert_int_equal(first.span_count, 2);
    assert_int_equal(owner_of(runs[2][0]), NOBODY);
    expect_sound();

    fill_by_eighths(runs, 5);
    for (size_t i = 0; i < 5; i++)
        give_back_from(runs[i], i == 4 ? 4 : 3);
    assert_int_equal(first.span_count, 5); /* 16 eighths are held, and 24 free */
    knoll_cpu_free(&first, runs[4][3]);
    assert_int_equal(first.span_count, 4);
    expect_sound();
}

/* Also when what is free came from others, and was looked at on the way to something else. */
static void what_others_return_makes_spans_go(void **state)
{
    (void)state;
    void *runs[5][7];
    fill_by_eighths(runs, 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t run = 0; run < 7; run++)
            knoll_cpu_free(&second, runs[i][run]);
    for (unsigned i = 0; i < 4; i++)
        assert_non_null(knoll_cpu_malloc(&first, class_size(i))); /* each of a class that has no block */
    assert_int_equal(first.held, 0);
    assert_int_equal(first.span_count, 1);
    expect_sound();
}

/* What another frees waits for the processor whose span it is in: for its next need, or its look. */
static void others_return_runs(void **state)
{
    (void)state;
    make(MIB(6));
    size_t new = available();
    size_t count = fill_spans(SPAN_BYTES / 2);
    uint32_t held = first.held;
    for (size_t i = 0; i < count; i++)
        i % 2 == 0 ? knoll_cpu_free(&second, blocks[i]) : knoll_cpus_free(&cpus, blocks[i]);
    assert_int_equal(first.held, held);
    assert_int_equal(available(), new);
    expect_sound();
    knoll_cpu_free(&first, blocks[0]); /* twice, by whoever */
    assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
    knoll_cpu_free(&second, blocks[1]);
    knoll_cpus_free(&cpus, blocks[1]);
    assert_int_equal(last_fault.count, 3);
    last_fault.count = 0;
    knoll_cpu_collect(&first);
    assert_int_equal(first.held, 0);
    assert_int_equal(available(), new);
    knoll_cpu_free(&second, blocks[1]);
    assert_int_equal(last_fault.count, 1);
    last_fault.count = 0;
    expect_sound();
}

/* When its spans are full the processor first looks at what was returned to it, and only then takes another. */
static void what_was_returned_serves_before_a_new_span(void **state)
{
    (void)state;
    make(MIB(6));
    size_t count = 0;
    do
        blocks[count++] = knoll_cpu_malloc(&first, LONGEST);
    while (first.span_count == 1);
    knoll_cpu_free(&first, blocks[--count]);
    knoll_cpu_collect(&first);
    assert_int_equal(first.span_count, 1);
    knoll_cpu_free(&second, blocks[0]);
    assert_ptr_equal(knoll_cpu_malloc(&first, LONGEST), blocks[0]);
    assert_int_equal(first.span_count, 1);
    expect_sound();
}

/* Runs that wait for a processor which goes meanwhile, and that were given back on it while they were returned. */
static void what_waits_when_its_span_goes(void **state)
{
    (void)state;
    make(MIB(6));
    struct cpu_place place;
    blocks[0] = knoll_cpu_malloc(&first, LONGEST);
    place = find(blocks[0]);
    assert_true(knoll_cpu_queue_open(&cpus.queue[1])); /* so that its last look sees nothing */
    knoll_cpu_free(&second, blocks[0]);
    knoll_cpu_drain(&first);
    knoll_cpu_queue_close(&cpus.queue[1]);
    assert_int_equal(entry_owner(place.entry), NOBODY);
    assert_null(knoll_cpu_malloc(&second, SIZE_MAX / 2)); /* looks everywhere */
    assert_int_equal(knoll_used_bytes(&cpus.heap), 0);

    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    blocks[0] = knoll_cpu_malloc(&first, LONGEST);
    place = find(blocks[0]);
    knoll_cpu_free(&first, blocks[0]);
    assert_true(knoll_cpu_return(&cpus, &place)); /* as by who found it before */
    assert_int_equal(last_fault.count, 0);
    knoll_cpu_collect(&first);
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
    last_fault.count = 0;
    expect_sound();
}

/* Of two runs of a group that were returned, as there can be in compact, each is taken by itself. */
static void each_of_two_runs_of_a_group_is_taken(void **state)
{
    (void)state;
    make(MIB(6));
    size_t last = 0;
    do
        blocks[++last] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM + 1);
    while (last < 2 || (!CLASSIC && find(blocks[last]).group != find(blocks[last - 1]).group));
    knoll_cpu_free(&second, blocks[last]);
    knoll_cpu_free(&second, blocks[last - 1]);
    void *one = knoll_cpu_take_waiting(&cpus, CLASS_LARGE, KNOLL_SLAB_MAXIMUM + 1);
    assert_true(one == blocks[last] || one == blocks[last - 1]);
    assert_null(knoll_cpu_take_waiting(&cpus, CLASS_LARGE, LONGEST));
    assert_ptr_equal(knoll_cpu_take_waiting(&cpus, CLASS_LARGE, KNOLL_SLAB_MAXIMUM + 1),
                     one == blocks[last] ? blocks[last - 1] : blocks[last]);
    assert_null(knoll_cpu_take_waiting(&cpus, CLASS_LARGE, KNOLL_SLAB_MAXIMUM + 1));
    expect_sound();
}

/* Where there is nothing else, a run of the right length that was returned to any processor serves, though it is at
 * work. */
static void what_waits_for_another_serves_when_short(void **state)
{
    (void)state;
    make(MIB(6));
    size_t count = 0;
    blocks[count++] = knoll_cpu_malloc(&first, LONGEST / 2);
    blocks[count++] = knoll_cpu_malloc(&first, LONGEST);
    blocks[count++] = knoll_cpu_aligned_alloc(&first, KNOLL_PAGE, LONGEST);
    for (size_t size = LONGEST; size > KNOLL_SLAB_MAXIMUM; size -= size / 8)
        while (count < MOST && (blocks[count] = knoll_cpu_malloc(&second, size)) != NULL)
            count++;
    assert_int_equal(owner_of(blocks[1]), 1);
    assert_ptr_equal(knoll_cpu_realloc(&second, blocks[1], KNOLL_SLAB_MAXIMUM + 1), blocks[1]); /* it cannot move */
    for (size_t i = 0; i < 3; i++)
        knoll_cpu_free(&second, blocks[i]);
    assert_null(knoll_cpu_aligned_alloc(&second, KNOLL_PAGE, LONGEST));
    assert_ptr_equal(knoll_cpu_malloc(&second, LONGEST), blocks[1]);
    assert_int_equal(owner_of(blocks[1]), 1);
    assert_null(knoll_cpu_malloc(&second, LONGEST));
    assert_ptr_equal(knoll_cpu_malloc(&second, LONGEST / 2), blocks[0]);
    assert_null(knoll_cpu_malloc(&second, LONGEST / 2));
    knoll_cpu_free_sized(&second, blocks[1], KNOLL_SLAB_MAXIMUM + 1); /* which is not its size any more */
    assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
    last_fault.count = 0;
    knoll_cpu_free(&second, blocks[0]);
    knoll_cpu_free_sized(&second, blocks[1], LONGEST);
    knoll_cpu_collect(&first);
    expect_sound();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(runs_of_a_span_need_no_lock),
    cmocka_unit_test(only_short_runs_are_of_spans),
    cmocka_unit_test(the_last_memory_is_for_all),
    cmocka_unit_test(runs_outlive_their_spans),
    cmocka_unit_test(no_more_is_free_in_spans_than_may_be),
    cmocka_unit_test(collecting_gives_empty_spans_back),
    cmocka_unit_test(a_span_goes_back_in_parts),
    cmocka_unit_test(the_emptiest_span_in_use_goes),
    cmocka_unit_test(a_span_that_is_half_full_stays),
    cmocka_unit_test(a_span_in_use_goes_before_a_free_one),
    cmocka_unit_test(what_others_return_makes_spans_go),
    cmocka_unit_test(others_return_runs),
    cmocka_unit_test(what_was_returned_serves_before_a_new_span),
    cmocka_unit_test(what_waits_when_its_span_goes),
    cmocka_unit_test(each_of_two_runs_of_a_group_is_taken),
    cmocka_unit_test(what_waits_for_another_serves_when_short),
};

CHECK_MAIN(tests)
