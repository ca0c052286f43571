/* While a processor gives up a span: what others do at each point, and what is counted. Between two holdings of the
 * lock such a span is in as many states as it has.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_spans_others.h"

/* ---- While a span is given up ---- */

/* The first processor gives back all that it has, while others do this at each point. */
static void drain_while(void (*others_act)(void))
{
    hook = others_act;
    knoll_cpu_drain(&first);
    hook = NULL;
}

static size_t taken, freed, limit;

/* Takes what has become free last, and gives back the run behind it, with which the way on begins. */
static void take_and_free(void)
{
    unsigned char *run = knoll_cpu_malloc(&second, SHORTEST);
    if (run == NULL || taken == MOST)
        return;
    blocks[taken++] = run;
    for (size_t i = 1; i < limit; i += 2)
        if (blocks[i] == run + knoll_cpus_usable_size(&cpus, run)) {
            knoll_cpu_free(&third, blocks[i]);
            blocks[i] = NULL;
            freed++;
        }
}

static void runs_are_freed_while_their_span_goes(void **state)
{
    (void)state;
    make_three(MIB(6));
    limit = taken = halve_a_span();
    freed = 0;
    take_the_rest();
    expect_sound();
    drain_while(take_and_free);
    assert_true(taken > limit && freed > 0);
    expect_sound();
    assert_true(cpus.heap.peak <= cpus.heap.total);
    for (size_t i = 1; i < taken; i += i < limit ? 2 : 1)
        if (blocks[i] != NULL)
            knoll_cpu_free(&second, blocks[i]);
    knoll_cpu_drain(&second);
    knoll_cpu_drain(&third);
    assert_int_equal(knoll_cpu_start(&second, &cpus, 2), 1);
    assert_null(knoll_cpu_malloc(&second, SIZE_MAX / 2)); /* looks everywhere */
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(last_fault.count, 0);
}

static size_t others;

/* As soon as the span is none any more it is one of the second's, which cuts all of it. */
static void take_the_span(void)
{
    if (cpus.heap.spans != 0)
        return;
    do
        assert_non_null(blocks[others] = knoll_cpu_malloc(&second, SHORTEST));
    while (second.span_count == 1 && ++others < MOST);
}

static void a_span_goes_to_another_at_once(void **state)
{
    (void)state;
    make_three(MIB(2) + 4 * SPAN_BYTES);
    knoll_cpu_free(&first, knoll_cpu_malloc(&first, SHORTEST));
    size_t span = group_unit(first.spans);
    others = 0;
    drain_while(take_the_span);
    assert_true(others > 4);
    bool is_the_same = false;
    for (size_t i = 0; i < others; i++) {
        struct cpu_place place = find(blocks[i]);
        is_the_same |= group_unit(place.group) - span < SPAN_UNITS;
        assert_int_equal(entry_owner(place.entry), 2);
    }
    assert_true(is_the_same);
    expect_sound();
    for (size_t i = 0; i < others; i++)
        knoll_cpu_free(&third, blocks[i]);
    knoll_cpu_collect(&second);
    expect_sound();
}

/* Slabs that others make where a span was are theirs, each group of them. */
static void take_slabs(void)
{
    if (cpus.heap.spans == 0 && others < MOST)
        blocks[others++] = knoll_cpu_malloc(&second, KNOLL_SLAB_MAXIMUM / 2);
}

static void slabs_are_made_where_a_span_was(void **state)
{
    (void)state;
    make_three(MIB(6));
    size_t count = halve_a_span();
    for (size_t i = 1; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    take_the_rest();
    others = 0;
    drain_while(take_slabs);
    assert_true(others > 0);
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    size_t shared = 0; /* what take_the_rest took is the heap's own matter */
    for (size_t i = 0; i < stats.class_count; i++)
        shared += stats.size_class[i].used_blocks * stats.size_class[i].block_size;
    assert_int_equal(stats.used_bytes, shared + stats.large_bytes);
    expect_sound();
}

static void take_a_slab_and_count(void)
{
    if (others < MOST)
        blocks[others++] = knoll_cpu_malloc(&second, 800); /* in compact of a slab of two groups */
    expect_no_more_used_than_there_are();
}

/* Also while its groups are said to be the processor's still, of which each may say what a slab had free there. */
static void slabs_are_made_where_a_span_is_given_up(void **state)
{
    (void)state;
    make_three(MIB(6));
    for (uint32_t i = FIRST_REGION; i < cpus.region_count; i++)
        for (size_t group = 0; group < cpus.region[i].size >> GROUP_BYTES_SHIFT; group++)
            cpus.region[i].entries[group].free = ~(uint64_t)0;
    size_t count = halve_a_span();
    take_the_rest();
    for (size_t i = 1; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    others = 0;
    drain_while(take_a_slab_and_count);
    assert_non_null(blocks[0]);
    expect_sound();
}

/* ---- Counting ---- */

static size_t used_now(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    return stats.used_bytes;
}

static size_t expected;

static void expect_the_same_use(void)
{
    assert_int_equal(used_now(), expected);
}

/* At each point, what is held; and at the end, all that ever was. */
static void what_is_held_and_freed_is_counted(void **state)
{
    (void)state;
    make_three(MIB(6));
    struct knoll_stats stats;
    size_t count = halve_a_span();
    expected = used_now();
    drain_while(expect_the_same_use);
    knoll_cpus_get_stats(&cpus, &stats);
    assert_int_equal(stats.allocations - stats.frees, count / 2);
    assert_int_equal(stats.allocations, 2 + count / 2); /* two spans, of which the other went before, and its runs */
    expect_sound();
}

/* To make runs shorter leaves no more free than to give them back does. */
static void shorter_runs_leave_no_more_free(void **state)
{
    (void)state;
    make_three(MIB(6));
    size_t count = 0;
    while (first.span_count < 4)
        blocks[count++] = knoll_cpu_malloc(&first, LONGEST);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(blocks[i] = knoll_cpu_realloc(&first, blocks[i], SHORTEST));
        assert_true(first.span_count * SPAN_UNITS <= 2 * first.held + SPAN_UNITS);
    }
    expect_sound();
}

/* One span has runs here and there, so that none of the longest has room: another is taken, and stays. */
static void a_broken_span_makes_way(void **state)
{
    (void)state;
    make_three(MIB(6));
    size_t count = 0;
    do
        blocks[count++] = knoll_cpu_malloc(&first, SHORTEST);
    while (first.span_count == 1);
    knoll_cpu_free(&first, blocks[--count]);
    for (size_t i = 0; i < count; i++)
        if (((uintptr_t)blocks[i] & (LONGEST - 1)) >= 2 * (LONGEST / 4) ||
            ((uintptr_t)blocks[i] & (LONGEST - 1)) < LONGEST / 4)
            knoll_cpu_free(&first, blocks[i]);
    for (unsigned round = 0; round < 100; round++) {
        if (round == 1)
            holdings = 0;
        knoll_cpu_free(&first, knoll_cpu_malloc(&first, LONGEST));
    }
    assert_int_equal(holdings, 0);
    expect_sound();
}

/* Runs that others take where a span is given up are the processor's until it says otherwise: where nothing is said of
 * a slab, and as whose the group was before. */
static uint32_t owners[MIB(6) >> GROUP_BYTES_SHIFT];

static void take_runs(void)
{
    for (uint32_t i = FIRST_REGION; i < cpus.region_count; i++)
        for (size_t group = 0; group < cpus.region[i].size >> GROUP_BYTES_SHIFT; group++) {
            const struct knoll_cpu_entry *entry = &cpus.region[i].entries[group];
            owners[group] = entry_shape(entry) == 0 ? entry_owner(entry) : NOBODY;
        }
    void *run = knoll_cpu_malloc(&second, SHORTEST);
    if (run == NULL)
        return;
    struct cpu_place place = find(run);
    assert_int_equal(entry_owner(place.entry), owners[place.entry - cpus.region[FIRST_REGION].entries]);
    others += entry_owner(place.entry) == 1;
}

static void runs_are_made_where_a_span_is_given_up(void **state)
{
    (void)state;
    make_three(MIB(6));
    (void)halve_a_span();
    take_the_rest();
    others = 0;
    drain_while(take_runs);
    assert_true(others > 0);
    expect_sound();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(runs_are_freed_while_their_span_goes),    cmocka_unit_test(runs_are_made_where_a_span_is_given_up),
    cmocka_unit_test(a_span_goes_to_another_at_once),          cmocka_unit_test(slabs_are_made_where_a_span_was),
    cmocka_unit_test(slabs_are_made_where_a_span_is_given_up), cmocka_unit_test(what_is_held_and_freed_is_counted),
    cmocka_unit_test(shorter_runs_leave_no_more_free),         cmocka_unit_test(a_broken_span_makes_way),
};

CHECK_MAIN(tests)
