/* Many blocks at once: each as if it were taken or freed alone.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define BLOCKS 600

static struct knoll_heap heap;
static struct knoll_heap twin;
static void *blocks[BLOCKS];
static void *alone[BLOCKS];

static void sort_by_address(void **array, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && (uintptr_t)array[j - 1] > (uintptr_t)array[j]; j--) {
            void *moved = array[j];
            array[j] = array[j - 1];
            array[j - 1] = moved;
        }
}

static void expect_same_stats(void)
{
    struct knoll_stats one, other;
    knoll_get_stats(&heap, &one);
    knoll_get_stats(&twin, &other);
    assert_memory_equal(&one, &other, sizeof one);
    assert_int_equal(knoll_check(&heap), 0);
}

/* The same blocks as a heap beside it gives one by one, whatever has happened before. */
static void taken_as_alone(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 33, 64, 100, 500, 1000, 1024, 1025, 4000, 4096, 4097, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t count = 0; count <= 70 && (count + 9) * sizes[i] <= KIB(120); count += 1 + count / 4) {
            unsigned char *start = arena_at(KIB(512), 0);
            make_heap(&heap, start, KIB(512));
            make_heap(&twin, start + KIB(512), KIB(512));
            for (size_t n = 0; n < 9; n++) { /* so that slabs have gaps, and magazines something */
                blocks[n] = knoll_malloc(&heap, sizes[i]);
                alone[n] = knoll_malloc(&twin, sizes[i]);
            }
            for (size_t n = 0; n < 9; n += 2) {
                knoll_free(&heap, blocks[n]);
                knoll_free(&twin, alone[n]);
            }
            size_t taken = knoll_malloc_batch(&heap, sizes[i], count, blocks + 9);
            for (size_t n = 0; n < count; n++)
                alone[9 + n] = knoll_malloc(&twin, sizes[i]);
            assert_int_equal(taken, count);
            for (size_t n = 9; n < 9 + count; n++) {
                assert_int_equal((unsigned char *)alone[n] - (unsigned char *)blocks[n], KIB(512));
                memset(blocks[n], 1, sizes[i]);
            }
            expect_same_stats();
            survey(&heap);
        }
    }
}

/* Until there is no more: all that there is, and one failure. */
static void fewer_than_wanted(void **state)
{
    (void)state;
    for (size_t size = 64; size <= 9000; size = size * 3 / 2) {
        make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
        make_heap(&twin, arena + KIB(64), KNOLL_MINIMUM_HEAP);
        size_t taken = knoll_malloc_batch(&heap, size, BLOCKS, blocks);
        size_t expected = 0;
        while (expected < BLOCKS && (alone[expected] = knoll_malloc(&twin, size)) != NULL)
            expected++;
        assert_int_equal(taken, expected);
        assert_true(taken < BLOCKS);
        expect_same_stats();
        knoll_free_batch(&heap, blocks, taken);
        assert_int_equal(knoll_used_bytes(&heap), 0);
        survey(&heap);
    }
    assert_int_equal(knoll_malloc_batch(&heap, SIZE_MAX, 3, blocks), 0);
    assert_int_equal(knoll_malloc_batch(&heap, 64, 0, blocks), 0);
}

/* Blocks of all sizes in any order, of two regions, a null pointer among them: nothing is left. */
static void freed_in_any_order(void **state)
{
    struct random random = random_from(41);
    (void)state;
    for (size_t round = 0; round < 60; round++) {
        make_heap(&heap, arena_at(MIB(1), 0), KIB(256));
        if (KNOLL_REGIONS_MAX > 1)
            add_memory(&heap, arena_at(MIB(1), 0) + KIB(300), KIB(256));
        size_t count = 0;
        while (count < 300) {
            size_t size = random_below(&random, count % 8 == 0 ? 9000 : 1200);
            blocks[count] = knoll_malloc(&heap, size);
            count++;
        }
        if (round % 2 == 0)
            sort_by_address(blocks, count);
        for (size_t i = 0; i < count && round % 3 == 0; i++) {
            size_t other = random_below(&random, (uint32_t)count);
            void *moved = blocks[i];
            blocks[i] = blocks[other];
            blocks[other] = moved;
        }
        size_t first = random_below(&random, (uint32_t)count);
        knoll_free_batch(&heap, blocks, first);
        survey(&heap);
        assert_int_equal(knoll_check(&heap), 0);
        knoll_free_batch(&heap, blocks + first, count - first);
        assert_int_equal(knoll_used_bytes(&heap), 0);
        survey(&heap);
        assert_int_equal(knoll_check(&heap), 0);
    }
    knoll_free_batch(&heap, blocks, 0);
}

/* One that is no block is reported, and the others are freed. */
static void faults_in_a_batch(void **state)
{
    static unsigned char outside[64];
    (void)state;
    if (!FINDS_MISUSE)
        return;
    for (size_t place = 0; place < 5; place++) {
        for (size_t kind = 0; kind < 4; kind++) {
            make_heap(&heap, arena, KIB(256));
            knoll_set_fault_handler(&heap, record_fault);
            assert_int_equal(knoll_malloc_batch(&heap, 64, 6, blocks), 6);
            size_t taken = knoll_used_bytes(&heap) / 6; /* by each */
            unsigned char *kept = knoll_malloc(&heap, 64);
            void *wrong = kind == 0 ? outside : kind == 1 ? blocks[5] : kind == 2 ? kept + 16 : blocks[4];
            static const enum knoll_fault expected[] = {KNOLL_FAULT_FOREIGN, KNOLL_FAULT_DOUBLE_FREE,
                                                        KNOLL_FAULT_INTERIOR, KNOLL_FAULT_DOUBLE_FREE};
            if (kind == 1)
                knoll_free(&heap, blocks[5]);
            memmove(&blocks[place + 1], &blocks[place], (5 - place) * sizeof blocks[0]);
            blocks[place] = wrong; /* if it is the fifth block, the later one of both is the fault */
            last_fault.count = 0;
            knoll_free_batch(&heap, blocks, 6);
            assert_int_equal(last_fault.count, 1);
            assert_int_equal(last_fault.fault, expected[kind]);
            assert_ptr_equal(last_fault.address, wrong);
            assert_int_equal(knoll_used_bytes(&heap), taken * (kind == 1 ? 1 : 2));
            assert_int_equal(knoll_check(&heap), 0);
        }
    }
}

/* What lies behind the last block that was taken has never been one. */
static void no_more_than_were_taken_have_been_blocks(void **state)
{
    (void)state;
    if (!FINDS_MISUSE || IS_BYTE_EXACT)
        return;
    for (size_t count = 1; count < 20; count++) {
        make_heap(&heap, arena_at(KIB(64), 0), KIB(64));
        knoll_set_fault_handler(&heap, record_fault);
        assert_int_equal(knoll_malloc_batch(&heap, 64, count, blocks), count);
        unsigned char *last = blocks[0];
        for (size_t i = 1; i < count; i++)
            if ((unsigned char *)blocks[i] > last)
                last = blocks[i];
        last_fault.count = 0;
        knoll_free(&heap, last + 64);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_NOT_HANDED_OUT);
        knoll_free(&heap, last);
        knoll_free(&heap, last);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
    }
}

/* Behind a slab's last block there may be room that makes no whole block: what starts there is none. */
static void no_block_starts_behind_the_last_one(void **state)
{
    (void)state;
    if (!FINDS_MISUSE || IS_BYTE_EXACT)
        return;
    for (size_t size = 32; size <= KNOLL_SLAB_MAXIMUM; size += 16) {
        make_heap(&heap, arena, MIB(1));
        knoll_set_fault_handler(&heap, record_fault);
        size_t count = knoll_malloc_batch(&heap, size, 65, blocks);
        size_t whole = knoll_usable_size(&heap, blocks[0]);
        assert_int_equal(count, 65);
        sort_by_address(blocks, count);
        for (size_t i = 0; i + 1 < count; i++) {
            unsigned char *behind = (unsigned char *)blocks[i] + whole;
            if (behind == blocks[i + 1])
                continue;
            void *both[] = {blocks[i], behind};
            last_fault.count = 0;
            knoll_free_batch(&heap, both, 2);
            assert_int_equal(last_fault.count, 1);
            assert_ptr_equal(last_fault.address, behind);
            assert_int_equal(knoll_check(&heap), 0);
        }
    }
}

/* What a heap has runs out amid one call; what it gave is all there was, and one failure is counted. */
static void memory_runs_out(void **state)
{
    static void *all[4096];
    (void)state;
    for (size_t size = 32; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        make_heap(&heap, arena_at(KIB(64), 0), KIB(64));
        size_t taken = knoll_malloc_batch(&heap, size, 4096, all);
        struct knoll_stats stats;
        knoll_get_stats(&heap, &stats);
        assert_true(taken > 0 && taken < 4096);
        assert_int_equal(stats.failures, 1);
        assert_int_equal(stats.allocations, taken);
        assert_true(may_refuse(&heap, size));
        assert_int_equal(knoll_check(&heap), 0);
        knoll_free_batch(&heap, all, taken);
        assert_int_equal(knoll_used_bytes(&heap), 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(taken_as_alone),
    cmocka_unit_test(fewer_than_wanted),
    cmocka_unit_test(freed_in_any_order),
    cmocka_unit_test(faults_in_a_batch),
    cmocka_unit_test(no_block_starts_behind_the_last_one),
    cmocka_unit_test(no_more_than_were_taken_have_been_blocks),
    cmocka_unit_test(memory_runs_out),
};

CHECK_MAIN(tests)
