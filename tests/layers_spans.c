/* Spans: which requests they serve, whose their runs are, and how they go back with runs in them that callers hold.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define LONGEST (SPAN_BYTES / 4)
#define MOST    4096u

static void *blocks[MOST];
static size_t sizes[MOST];

static void expect_sound(void)
{
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpu_check(&first), 0);
    assert_int_equal(knoll_cpu_check(&second), 0);
    assert_int_equal(last_fault.count, 0);
}

static uint32_t owner_of(const void *run)
{
    return entry_owner(find(run).entry);
}

static uint32_t number_of(const void *run)
{
    struct cpu_place place = find(run);
    return group_unit(place.group) + place.index;
}

static size_t available(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    assert_int_equal(stats.used_bytes + stats.available_bytes, stats.total_bytes);
    return stats.available_bytes;
}

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

/* Fills some spans with runs of the first, of many lengths. */
static size_t fill_spans(size_t most)
{
    size_t count = 0;
    size_t held = 0;
    while (count < MOST && held < most) {
        sizes[count] = KNOLL_SLAB_MAXIMUM + 1 + count * 7919 % (LONGEST - KNOLL_SLAB_MAXIMUM);
        blocks[count] = knoll_cpu_malloc(&first, sizes[count]);
        write_pattern(blocks[count], sizes[count], (unsigned)count);
        held += sizes[count++];
    }
    return count;
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

/* In one holding of the lock a span gives back no more than a batch of its runs. */
static void a_span_goes_back_in_parts(void **state)
{
    (void)state;
    make_counting();
    size_t count = 0;
    while (count < MOST && first.span_count < 3)
        blocks[count++] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM + 1);
    knoll_cpu_free(&first, blocks[--count]);
    knoll_cpu_collect(&first);
    for (size_t i = 0; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    assert_int_equal(first.span_count, 2);
    holdings = 0;
    knoll_cpu_drain(&first);
    assert_true(holdings >= count / KNOLL_CPU_BATCH);
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
    for (size_t i = 0; i < 3; i++)
        knoll_cpu_free(&second, blocks[i]);
    assert_null(knoll_cpu_aligned_alloc(&second, KNOLL_PAGE, LONGEST));
    assert_ptr_equal(knoll_cpu_malloc(&second, LONGEST), blocks[1]);
    assert_int_equal(owner_of(blocks[1]), 1);
    assert_null(knoll_cpu_malloc(&second, LONGEST));
    assert_ptr_equal(knoll_cpu_malloc(&second, LONGEST / 2), blocks[0]);
    assert_null(knoll_cpu_malloc(&second, LONGEST / 2));
    knoll_cpu_free(&second, blocks[0]);
    knoll_cpu_free(&second, blocks[1]);
    knoll_cpu_collect(&first);
    expect_sound();
}

/* ---- Resizing ---- */

/* A run of its own the processor makes longer and shorter where it lies, without the lock; another moves it. */
static void who_resizes_where_it_lies(void **state)
{
    (void)state;
    make_counting();
    unsigned char *run = knoll_cpu_malloc(&first, LONGEST);
    write_pattern(run, LONGEST / 2, 7);
    size_t longer = available();
    holdings = 0;
    assert_ptr_equal(knoll_cpu_realloc(&first, run, LONGEST / 2), run);
    assert_int_equal(holdings, 0);
    assert_int_equal(available(), longer + LONGEST / 2);
    assert_ptr_equal(knoll_cpu_realloc(&first, run, LONGEST), run);
    assert_int_equal(available(), longer);
    assert_ptr_equal(knoll_cpu_realloc(&second, run, LONGEST), run); /* as long as it is */
    assert_true(has_pattern(run, LONGEST / 2, 7));
    unsigned char *moved = knoll_cpu_realloc(&second, run, LONGEST / 2);
    assert_true(moved != run);
    assert_int_equal(owner_of(moved), 2);
    assert_true(has_pattern(moved, LONGEST / 2, 7));
    knoll_cpu_collect(&first);
    assert_int_equal(first.held, 0);
    knoll_cpu_free_sized(&first, moved, LONGEST / 2);
    knoll_cpu_collect(&second);
    assert_int_equal(second.held, 0);
    expect_sound();
}

/* The last run of a span cannot grow into what is behind it. */
static void a_run_grows_no_further_than_its_span(void **state)
{
    (void)state;
    make(MIB(6));
    unsigned char *run = knoll_cpu_malloc(&first, LONGEST);
    for (size_t size = LONGEST; size <= 4 * SPAN_BYTES; size += LONGEST) {
        unsigned char *moved = knoll_cpu_realloc(&first, run, size);
        assert_non_null(moved);
        uint32_t number = number_of(moved);
        if (owner_of(moved) == 1) {
            uintptr_t offset = (uintptr_t)moved & (SPAN_BYTES - 1);
            assert_true(offset + knoll_cpus_usable_size(&cpus, moved) <= SPAN_BYTES);
            assert_true(offset >= (size_t)SPAN_HEAD << KNOLL_UNIT_SHIFT);
        }
        assert_true(number != 0);
        run = moved;
        expect_sound();
    }
    knoll_cpu_free(&second, run);
}

/* ---- Faults, and what the checks find ---- */

/* Spans in two regions that were added, and none in the first, which is too short for one. */
static void spans_lie_in_any_region(void **state)
{
    (void)state;
    make(KIB(64));
    unsigned char *start = arena_at(MIB(1), 0);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(64), MIB(2)), KNOLL_OK);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(64) + MIB(2), MIB(4) - KIB(64)), KNOLL_OK);
    size_t count = 0;
    size_t in_region[KNOLL_REGIONS_MAX] = {0};
    while (count < MOST && (in_region[2] == 0 || in_region[3] == 0)) {
        assert_non_null(blocks[count] = knoll_cpu_malloc(&first, LONGEST));
        in_region[number_of(blocks[count]) >> INDEX_BITS] += owner_of(blocks[count]) == 1;
        count++;
    }
    assert_int_equal(in_region[1], 0);
    expect_sound();
    for (size_t i = 0; i < count; i++) {
        knoll_cpu_free(&first, blocks[i]);
        blocks[i] = knoll_cpu_malloc(&first, LONGEST / 2);
    }
    for (size_t i = 0; i < count; i++)
        knoll_cpu_free(&first, blocks[i]);
    expect_sound();
}

static void a_span_is_no_block(void **state)
{
    (void)state;
    make(MIB(6));
    unsigned char *run = knoll_cpu_malloc(&first, LONGEST);
    unsigned char *span = run - ((uintptr_t)run & (SPAN_BYTES - 1));
    knoll_cpu_free(&first, span);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_NOT_HANDED_OUT);
    knoll_cpu_free(&second, span);
    knoll_cpus_free(&cpus, span);
    assert_null(knoll_cpu_realloc(&first, span, 5000));
    assert_int_equal(last_fault.count, 4);
    knoll_cpu_free(&first, run + KNOLL_PAGE);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_INTERIOR);
    last_fault.count = 0;
    knoll_cpu_free(&first, run);
    expect_sound();
    knoll_cpu_free(&first, run);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
    last_fault.count = 0;
}

static void expect(int of_heap, int of_first)
{
    assert_int_equal(knoll_cpus_check(&cpus), of_heap);
    assert_int_equal(knoll_cpu_check(&first), of_first);
}

#define EXPECT_WITH(cell, value, of_heap, of_first)                                                                    \
    do {                                                                                                               \
        uint64_t sound_ = (cell);                                                                                      \
        (cell) = (value);                                                                                              \
        expect(of_heap, of_first);                                                                                     \
        (cell) = (typeof_cell)sound_;                                                                                  \
        expect(0, 0);                                                                                                  \
    } while (0)

static void what_the_checks_find(void **state)
{
    (void)state;
    make(MIB(6));
    size_t count = fill_spans(SPAN_BYTES + SPAN_BYTES / 2);
    for (size_t i = 0; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    assert_true(first.span_count >= 2);
    expect(0, 0);
    struct knoll_cpu_entry *span = cpu_entry(&cpus, first.spans);
    struct knoll_cpu_entry *entry = find(blocks[1]).entry;
    uint32_t *run = entry_of(&cpus.heap, number_of(blocks[1]));

#define typeof_cell uint64_t
    EXPECT_WITH(span->free, sound_ + 1, -1, -1);
    EXPECT_WITH(span->free, sound_ + (UINT64_C(1) << 32), -1, -1);
#undef typeof_cell
#define typeof_cell uint16_t
    EXPECT_WITH(entry->owner, 2, -1, -1);
    EXPECT_WITH(entry->owner, NOBODY, -1, -1);
    EXPECT_WITH(span->owner, 2, -1, -1);
    EXPECT_WITH(span->owner, NOBODY, -1, -1);
#undef typeof_cell
#define typeof_cell uint8_t
    EXPECT_WITH(entry->shape, 1, -1, -1);
#undef typeof_cell
#define typeof_cell uint32_t
    EXPECT_WITH(run[CELL_LARGE_LENGTH], 0, -1, -1);
    EXPECT_WITH(run[CELL_LARGE_LENGTH], (uint32_t)sound_ + SPAN_UNITS, -1, -1);
    EXPECT_WITH(*run, cell_of(RUN_NONE, 0), -1, -1);
    EXPECT_WITH(span->previous, first.spans, 0, -1);
    EXPECT_WITH(first.span_count, (uint32_t)sound_ - 1, 0, -1);
    EXPECT_WITH(first.span_count, (uint32_t)sound_ + 1, 0, -1);
    EXPECT_WITH(first.held, (uint32_t)sound_ + 1, 0, -1);
    EXPECT_WITH(first.spans, span->next, 0, -1);
    unsigned filled = 0;
    while (!list_is_filled(&first.runs, filled) || filled == LIST_OF_ENDS)
        filled++;
    uint32_t *listed = entry_of(&first.runs, first.runs.list[filled]);
    EXPECT_WITH(first.runs.list[filled], NOWHERE, 0, -1);
    EXPECT_WITH(first.runs.list[filled + 1], first.runs.list[filled], 0, -1);
    EXPECT_WITH(listed[CELL_PREV], (uint32_t)sound_ | 1, 0, -1);
#undef typeof_cell
}

/* A span without runs; and one that is left out of the processor's chain, but not its runs out of the lists. */
static void what_the_checks_find_of_empty_spans(void **state)
{
    (void)state;
    make(MIB(6));
    knoll_cpu_free(&first, knoll_cpu_malloc(&first, LONGEST));
    assert_int_equal(first.span_count, 1);
    expect(0, 0);
    struct knoll_cpu_entry *span = cpu_entry(&cpus, first.spans);
    uint32_t last_run = group_unit(first.spans) + (CLASSIC ? SPAN_UNITS / 2 : SPAN_HEAD);
    uint32_t *last = entry_of(&first.runs, last_run);
#define typeof_cell uint32_t
    EXPECT_WITH(last[CELL_LENGTH], 2 * (uint32_t)sound_, -1, -1);
#undef typeof_cell
#define typeof_cell uint16_t
    EXPECT_WITH(span->owner, KNOLL_CPUS + 1, -1, -1);
    EXPECT_WITH(span->owner, NOBODY, -1, -1);
#undef typeof_cell
#define typeof_cell uint8_t
    EXPECT_WITH(span->shape, 1, -1, -1);
#undef typeof_cell
    assert_int_equal(first.held, 0);
    first.spans = NO_GROUP;
    first.span_count = 0;
    expect(0, -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(runs_of_a_span_need_no_lock),
    cmocka_unit_test(only_short_runs_are_of_spans),
    cmocka_unit_test(the_last_memory_is_for_all),
    cmocka_unit_test(runs_outlive_their_spans),
    cmocka_unit_test(no_more_is_free_in_spans_than_may_be),
    cmocka_unit_test(collecting_gives_empty_spans_back),
    cmocka_unit_test(a_span_goes_back_in_parts),
    cmocka_unit_test(others_return_runs),
    cmocka_unit_test(what_was_returned_serves_before_a_new_span),
    cmocka_unit_test(what_waits_when_its_span_goes),
    cmocka_unit_test(what_waits_for_another_serves_when_short),
    cmocka_unit_test(who_resizes_where_it_lies),
    cmocka_unit_test(a_run_grows_no_further_than_its_span),
    cmocka_unit_test(spans_lie_in_any_region),
    cmocka_unit_test(a_span_is_no_block),
    cmocka_unit_test(what_the_checks_find),
    cmocka_unit_test(what_the_checks_find_of_empty_spans),
};

CHECK_MAIN(tests)
