/* Runs of spans that are resized; misuse of them; and what the checks find of spans.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_spans.h"

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

/* The last processor that there can be has slabs and spans like others. */
static void the_last_processor_has_its_own(void **state)
{
    (void)state;
    static struct knoll_cpu last;
    make(MIB(6));
    assert_int_equal(knoll_cpu_start(&last, &cpus, KNOLL_CPUS), 1);
    void *run = knoll_cpu_malloc(&last, LONGEST);
    void *block = knoll_cpu_malloc(&last, 100);
    assert_int_equal(owner_of(run), KNOLL_CPUS);
    assert_int_equal(owner_of(block), KNOLL_CPUS);
    expect(0, 0);
    assert_int_equal(knoll_cpu_check(&last), 0);
    knoll_cpu_free(&last, run);
    knoll_cpu_free(&last, block);
    knoll_cpu_drain(&last);
    assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
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
    EXPECT_WITH(last[CELL_LENGTH], 0, -1, -1);
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
    cmocka_unit_test(who_resizes_where_it_lies),
    cmocka_unit_test(a_run_grows_no_further_than_its_span),
    cmocka_unit_test(spans_lie_in_any_region),
    cmocka_unit_test(a_span_is_no_block),
    cmocka_unit_test(what_the_checks_find),
    cmocka_unit_test(the_last_processor_has_its_own),
    cmocka_unit_test(what_the_checks_find_of_empty_spans),
};

CHECK_MAIN(tests)
