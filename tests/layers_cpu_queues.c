/* The layer of many processors, played call by call: what calls that meet would leave.
 *
 * What only comes of two calls at the same time is written into the tables between two calls: a chain that is cut, a
 * queue that somebody else has open, a group that changed hands while it waited, a block that two gave back at once.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define SIZE 100

static void expect(int broken)
{
    assert_int_equal(knoll_cpus_check(&cpus), broken);
}

static void expect_of_first(int broken)
{
    assert_int_equal(knoll_cpu_check(&first), broken);
}

static void expect_fault(enum knoll_fault fault, const void *address)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, fault);
    assert_ptr_equal(last_fault.address, address);
    last_fault.count = 0;
}

static void a_chain_that_is_cut_is_gone_on_with_later(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    knoll_cpu_free(&second, block);
    uint32_t next = place.entry->next_queued;
    place.entry->next_queued = QUEUE_CUT;
    for (unsigned i = 0; i < 2; i++) {
        knoll_cpu_collect(&first);
        assert_int_equal(place.entry->returned, bit(place.index));
        assert_int_equal(cpus.queue[1].rest, place.group + 1);
    }
    place.entry->next_queued = next;
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, 0);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(cpus.queue[1].rest, QUEUE_END);
    expect(0);
}

static void a_queue_that_is_open_elsewhere_is_left(void **state)
{
    (void)state;
    make(KIB(64));
    static void *blocks[1024];
    unsigned count = 0;
    while ((blocks[count] = knoll_cpu_malloc(&first, SIZE)) != NULL)
        assert_true(++count < 1024);
    knoll_cpu_free(&second, blocks[0]);
    struct cpu_place place = find(blocks[0]);
    assert_true(knoll_cpu_queue_open(&cpus.queue[1]));
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, bit(place.index));
    assert_null(knoll_cpu_malloc(&second, SIZE));
    knoll_cpu_queue_close(&cpus.queue[1]);
    assert_ptr_equal(knoll_cpu_malloc(&second, SIZE), blocks[0]);
    knoll_cpu_free(&first, blocks[2]);
    knoll_cpu_drain(&first);
    place = find(blocks[1]);
    assert_int_equal(entry_owner(place.entry), NOBODY); /* now, for it had a free block */
    knoll_cpus_free(&cpus, blocks[1]);
    assert_true(knoll_cpu_queue_open(&cpus.queue[NOBODY]));
    assert_int_equal(knoll_cpu_collect_common(&cpus), 0);
    assert_int_equal(place.entry->returned, bit(place.index));
    knoll_cpu_queue_close(&cpus.queue[NOBODY]);
    assert_true(knoll_cpu_collect_common(&cpus) > 0);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
}

static void a_group_that_changed_hands_moves_on(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    knoll_cpu_free(&second, block);
    entry_set_owner(place.entry, 2, false);
    knoll_cpu_collect(&first);
    assert_int_equal(cpus.queue[2].last, place.group + 1);
    assert_int_equal(place.entry->returned, bit(place.index));
    entry_set_owner(place.entry, NOBODY, false);
    knoll_cpu_collect(&second);
    assert_int_equal(cpus.queue[NOBODY].last, place.group + 1);
    entry_set_owner(place.entry, 1, false);
    assert_int_equal(knoll_cpu_collect_common(&cpus), 1);
    assert_int_equal(cpus.queue[1].last, place.group + 1);
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
    expect_of_first(0);
}

/* Who looks late pushes a group with nothing returned, be it somebody's or nobody's. */
static void a_group_with_nothing_returned_is_let_go(void **state)
{
    (void)state;
    make(MIB(1));
    struct cpu_place place = find(knoll_cpu_malloc(&first, SIZE));
    uint64_t free = place.entry->free;
    knoll_cpu_push(&cpus, place.group);
    knoll_cpu_push(&cpus, place.group); /* which is there already, so this does nothing */
    assert_int_equal(place.entry->next_queued, QUEUE_END);
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(place.entry->free, free);
    knoll_cpu_drain(&first);
    size_t used = knoll_used_bytes(&cpus.heap);
    knoll_cpu_push(&cpus, place.group);
    assert_int_equal(knoll_cpu_collect_common(&cpus), 1);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(knoll_cpu_give_back(&cpus, place.group), 0); /* which has nothing that the heap has not */
    assert_int_equal(knoll_used_bytes(&cpus.heap), used);
    expect(0);
}

/* The queue of a processor can have what is no block of the class that is sought, and what was freed twice. */
static void only_what_is_right_is_taken_from_a_queue(void **state)
{
    (void)state;
    make(KIB(64));
    void *run = knoll_cpu_malloc(&second, 6000);
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place of_run = find(run), of_block = find(block);
    while (knoll_cpu_malloc(&second, SIZE) != NULL) {
    }
    while (of_block.entry->free != 0)
        assert_non_null(knoll_cpu_malloc(&first, SIZE));
    knoll_cpu_push(&cpus, of_block.group); /* late */
    assert_null(knoll_cpu_malloc(&second, SIZE));
    assert_int_equal(of_block.entry->next_queued, QUEUE_NOT);
    assert_true(knoll_cpu_queue_open(&cpus.queue[NOBODY])); /* else what the run gives way for is found at once */
    entry_set_owner(of_run.entry, 1, false);                /* whose slab the group was when it was pushed */
    knoll_cpus_free(&cpus, run);
    entry_set_owner(of_run.entry, NOBODY, false);
    assert_int_equal(cpus.queue[1].last, of_run.group + 1);
    assert_null(knoll_cpu_malloc(&second, SIZE));
    assert_int_equal(cpus.queue[NOBODY].last, of_run.group + 1);
    knoll_cpu_queue_close(&cpus.queue[NOBODY]);
    assert_non_null(knoll_cpu_malloc(&second, SIZE));
    expect(0);
}

static void a_double_free_that_neither_call_saw_is_found_at_last(void **state)
{
    (void)state;
    make(MIB(1));
    void *kept = knoll_cpu_malloc(&first, SIZE), *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    assert_non_null(kept);
    knoll_cpu_free(&first, block);
    uint64_t free = place.entry->free;
    place.entry->returned = bit(place.index);
    knoll_cpu_push(&cpus, place.group);
    knoll_cpu_collect(&first);
    expect_fault(KNOLL_FAULT_DOUBLE_FREE, block);
    assert_int_equal(place.entry->free, free);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
    void *run = knoll_cpu_malloc(&first, 50000);
    place = find(run);
    assert_true(knoll_cpu_return(&cpus, &place)); /* both found it held */
    assert_false(knoll_cpu_return(&cpus, &place));
}

static void what_cannot_be_resized_or_freed_so(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_realloc(&first, NULL, SIZE);
    assert_int_equal(knoll_cpus_usable_size(&cpus, block), knoll_good_size(&cpus.heap, 1, SIZE));
    void *run = knoll_cpu_malloc(&first, 50000);
    size_t usable = knoll_cpus_usable_size(&cpus, run);
    assert_null(knoll_cpu_realloc(&first, run, SIZE_MAX / 2));
    assert_null(knoll_cpu_realloc(&first, run, SIZE_MAX));
    assert_int_equal(knoll_cpus_usable_size(&cpus, run), usable);
    knoll_cpu_free_sized(&first, NULL, SIZE);
    assert_int_equal(last_fault.count, 0);
    struct cpu_place place = find(block);
    entry_set_owner(place.entry, entry_owner(place.entry), true);
    knoll_cpu_free_sized(&first, block, 3 * SIZE); /* which even a loose block cannot be */
    expect_fault(KNOLL_FAULT_SIZE, block);
    knoll_cpu_free_sized(&first, block, 1);
    assert_int_equal(last_fault.count, 0);
    expect(0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_chain_that_is_cut_is_gone_on_with_later),
    cmocka_unit_test(a_queue_that_is_open_elsewhere_is_left),
    cmocka_unit_test(a_group_that_changed_hands_moves_on),
    cmocka_unit_test(a_group_with_nothing_returned_is_let_go),
    cmocka_unit_test(only_what_is_right_is_taken_from_a_queue),
    cmocka_unit_test(a_double_free_that_neither_call_saw_is_found_at_last),
    cmocka_unit_test(what_cannot_be_resized_or_freed_so),
};

CHECK_MAIN(tests)
