/* The table for processors, entry by entry: which blocks and runs it says are held, and how many a processor may have
 * free.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

/* Each block of a slab once, held or not; and what is left over after the last one, which is none. */
static void only_its_blocks_are_held(void **state)
{
    (void)state;
    for (size_t size = 1; size <= KNOLL_SLAB_MAXIMUM; size += 1 + size / 4) {
        make(MIB(1));
        unsigned char *block = knoll_cpu_malloc(&first, size);
        struct cpu_place place = find(block);
        assert_true(cpu_slab_holds(&place));
        unsigned char *slab = block - block_offset(place.shape->size, place.index);
        uint32_t held = place.index;
        for (place.index = 0; place.index <= 64; place.index++)
            assert_int_equal(cpu_slab_holds(&place), place.index == held);
        if (place.shape->size > 64) { /* where in classic a smaller class may have a block */
            knoll_cpu_free(&first, block + 64);
            assert_int_equal(last_fault.count, 1);
            assert_int_equal(last_fault.fault, KNOLL_FAULT_INTERIOR);
            last_fault.count = 0;
        }
        size_t end = (size_t)place.shape->capacity * place.shape->size;
        if (end < (size_t)place.shape->low + 1) {
            knoll_cpu_free(&first, slab + end);
            assert_int_equal(last_fault.count, 1);
            assert_int_equal(last_fault.fault, KNOLL_FAULT_NOT_HANDED_OUT);
            last_fault.count = 0;
        }
        knoll_cpu_free(&first, block);
        assert_int_equal(last_fault.count, 0);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
    }
}

/* A run is held unless it is returned or kept, whatever is said of others in its group. */
static void a_run_is_held_unless_its_bit_is_set(void **state)
{
    (void)state;
    make(MIB(1));
    unsigned char *run = knoll_cpu_malloc(&first, 50000);
    struct cpu_place place = find(run);
    assert_true(cpu_run_holds(&place));
    for (uint32_t index = 0; index < 64; index++) {
        __atomic_store_n(&place.entry->returned, bit(index), __ATOMIC_RELAXED);
        assert_int_equal(cpu_run_holds(&place), index != place.index);
    }
    __atomic_store_n(&place.entry->returned, 0, __ATOMIC_RELAXED);
    knoll_cpu_free(&first, run);
    assert_int_equal(last_fault.count, 0);
}

static void what_the_heap_hands_out_is_counted(void **state)
{
    (void)state;
    make(MIB(1));
    struct cpu_place place =
        find(knoll_cpu_malloc(&first, 64)); /* for the heap, its slabs' blocks are handed out at once */
    size_t before = cpus.heap.size_class[place.shape->size_class].slabs * place.shape->capacity;
    assert_int_equal(cpus.heap.allocations, before);
    for (size_t i = 1; i <= 5; i++) {
        assert_non_null(knoll_cpu_malloc(&first, 50000));
        assert_int_equal(cpus.heap.allocations, before + i);
    }
}

/* At least as many blocks as a slab has, besides those of one; and KNOLL_CPU_BYTES where that is more. */
static void how_many_may_be_free(void **state)
{
    (void)state;
    for (unsigned size_class = 0; size_class < KNOLL_CLASS_COUNT; size_class++) {
        size_t blocks = KNOLL_CPU_BYTES / class_size(size_class);
        assert_int_equal(cpu_most_free(size_class), blocks < 64 ? 128 : 64 + blocks);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(only_its_blocks_are_held),
    cmocka_unit_test(a_run_is_held_unless_its_bit_is_set),
    cmocka_unit_test(what_the_heap_hands_out_is_counted),
    cmocka_unit_test(how_many_may_be_free),
};

CHECK_MAIN(tests)
