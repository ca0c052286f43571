/* One heap under several processors, all played by this one: what each call says and keeps, wherever a block is from,
 * and that it takes no lock where it should not need it.
 *
 * SPDX-License-Identifier: MIT */
#include "cpus_played.h"

/* ---- One call ---- */

static void test_a_block_is_of_the_right_size_and_goes_back(void **state)
{
    (void)state;
    make(MIB(2));
    struct knoll_stats before = stats_now();
    for (size_t size = 0; size < 20000; size += 1 + size / 3) {
        unsigned char *block = knoll_cpu_malloc(&processor[1], size);
        assert_non_null(block);
        assert_true(is_aligned(block, 16));
        assert_int_equal(knoll_cpus_usable_size(&cpus, block), knoll_good_size(&cpus.heap, 1, size));
        write_pattern(block, size, 7);
        assert_int_equal(stats_now().used_bytes, knoll_good_size(&cpus.heap, 1, size));
        assert_true(has_pattern(block, size, 7));
        knoll_cpu_free_sized(&processor[1], block, size);
        assert_int_equal(stats_now().used_bytes, 0);
        check_all();
    }
    knoll_cpu_free(&processor[1], NULL);
    knoll_cpus_free(&cpus, NULL);
    assert_int_equal(knoll_cpus_usable_size(&cpus, NULL), 0);
    expect_as_new(&before);
}

static void test_the_owner_takes_no_lock(void **state)
{
    (void)state;
    make(MIB(2));
    for (size_t size = SMALLEST; size <= KNOLL_PAGE; size += size / 8) {
        void *warm = knoll_cpu_malloc(&processor[1], size);
        void *block = knoll_cpu_malloc(&processor[1], size);
        knoll_cpu_free(&processor[1], block);
        size_t before = locks;
        for (unsigned i = 0; i < 1000; i++) {
            assert_non_null(block = knoll_cpu_malloc(&processor[1], size));
            knoll_cpu_free(&processor[1], block);
        }
        assert_int_equal(locks, before);
        knoll_cpu_free(&processor[1], warm);
    }
}

static void test_a_free_from_elsewhere_takes_no_lock_and_comes_back_to_its_owner(void **state)
{
    (void)state;
    make(MIB(2));
    for (size_t size = SMALLEST; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        void *first = knoll_cpu_malloc(&processor[1], size);
        void *second = knoll_cpu_malloc(&processor[1], size);
        size_t before = locks;
        knoll_cpu_free(&processor[2], first);
        knoll_cpus_free(&cpus, second);
        assert_int_equal(locks, before);
        check_all();
        knoll_cpu_collect(&processor[1]);
        void *again = knoll_cpu_malloc(&processor[1], size);
        assert_true(again == first || again == second); /* of which either may be a slab's only block */
        assert_true(knoll_cpu_malloc(&processor[1], size) == (again == first ? second : first));
        check_all();
    }
}

static void test_a_run_is_freed_from_anywhere_without_a_lock(void **state)
{
    (void)state;
    make(MIB(2));
    struct knoll_stats before = stats_now();
    void *runs[8];
    for (unsigned i = 0; i < 8; i++)
        runs[i] = knoll_cpu_malloc(&processor[1], KNOLL_SLAB_MAXIMUM + 1 + (i % 4) * 2000);
    size_t taken = locks;
    for (unsigned i = 0; i < 8; i++)
        knoll_cpus_free(&cpus, runs[i]);
    assert_int_equal(locks, taken);
    assert_int_equal(stats_now().used_bytes, 0);
    check_all();
    faults_expected = true;
    knoll_cpus_free(&cpus, runs[3]);
    knoll_cpu_free(&processor[2], runs[3]);
    knoll_cpu_free_sized(&processor[2], runs[3], KNOLL_SLAB_MAXIMUM + 1);
    assert_int_equal(last_fault.count, 3);
    last_fault.count = 0;
    void *kept = knoll_cpu_malloc(&processor[1], KNOLL_SLAB_MAXIMUM + 1);
    knoll_cpu_free(&processor[3], kept); /* which may keep it */
    knoll_cpus_free(&cpus, kept);
    knoll_cpu_free(&processor[2], kept);
    knoll_cpu_free_sized(&processor[3], kept, KNOLL_SLAB_MAXIMUM + 1);
    assert_int_equal(last_fault.count, 3);
    faults_expected = false;
    expect_as_new(&before);
}

static void test_clear_and_aligned_blocks(void **state)
{
    (void)state;
    make(MIB(2));
    struct knoll_stats before = stats_now();
    for (size_t alignment = 1; alignment <= KIB(64); alignment *= 2) {
        for (size_t size = 1; size <= 10000; size = size * 3 + 1) {
            void *block = knoll_cpu_aligned_alloc(&processor[2], alignment, size);
            assert_true(block != NULL && is_aligned(block, alignment));
            void *moved = knoll_cpu_realloc(&processor[1], block, size + 600);
            assert_true(moved != NULL && is_aligned(moved, alignment));
            knoll_cpu_free_aligned_sized(&processor[3], moved, alignment, size + 600);
        }
    }
    size_t failures = stats_now().failures;
    assert_null(knoll_cpu_aligned_alloc(&processor[1], 48, 100));
    assert_null(knoll_cpu_aligned_alloc(&processor[1], 0, 100));
    assert_null(knoll_cpu_calloc(&processor[1], SIZE_MAX / 2, 3));
    assert_null(knoll_cpu_calloc(&processor[1], SIZE_MAX / 16 + 2, 16)); /* modulo 2^64 or 2^32: 16 */
    assert_int_equal(stats_now().failures, failures + 4);
    unsigned char *block = knoll_cpu_malloc(&processor[1], 300);
    memset(block, 0xFF, 300);
    knoll_cpu_free(&processor[1], block);
    unsigned char *clear = knoll_cpu_calloc(&processor[1], 3, 100);
    assert_ptr_equal(clear, block);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(clear[i], 0);
    knoll_cpu_free(&processor[1], clear);
    expect_as_new(&before);
}

/* ---- Limits ---- */

static void test_what_cannot_be_a_heap_is_refused(void **state)
{
    (void)state;
    unsigned char *start = arena_at(MIB(1), 0);
    for (unsigned knob = 0; knob < 64; knob++)
        assert_int_equal(
            knoll_cpus_init_for(&cpus, start, MIB(1), NULL, NULL, NULL, KNOLL_CPU_KNOBS ^ (uint64_t)1 << knob),
            KNOLL_ERROR_KNOBS);
    assert_int_equal(knoll_cpus_init(NULL, start, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_cpus_init(&cpus, NULL, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_cpus_init(&cpus, start + 16, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_ALIGNMENT);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start, MIB(1)), KNOLL_ERROR_NO_HEAP);
    assert_int_equal(knoll_cpus_init(&cpus, start, MIB(1) + 1, NULL, NULL, NULL), KNOLL_ERROR_NOT_PAGES);
    size_t least =
        KNOLL_MINIMUM_HEAP + (CLASSIC ? 2 : 1) * KNOLL_PAGE; /* with entries, and the region before the first */
    assert_int_equal(knoll_cpus_init(&cpus, start, least - KNOLL_PAGE, NULL, NULL, NULL), KNOLL_ERROR_TOO_SMALL);
    assert_int_equal(knoll_cpus_init(&cpus, start, least - 16, NULL, NULL, NULL), KNOLL_ERROR_TOO_SMALL);
    assert_int_equal(knoll_cpus_init(&cpus, start, least, NULL, NULL, NULL), KNOLL_OK);
    assert_false(knoll_cpu_start(&processor[1], &cpus, 0));
    assert_false(knoll_cpu_start(&processor[1], &cpus, KNOLL_CPUS + 1));
    assert_true(knoll_cpu_start(&processor[1], &cpus, KNOLL_CPUS));
    assert_false(knoll_cpu_start(&processor[2], &cpus, KNOLL_CPUS)); /* it runs already */
    void *block = knoll_cpu_malloc(&processor[1], 100);              /* without locks */
    assert_non_null(block);
    knoll_cpu_free(&processor[1], block);
    knoll_cpu_drain(&processor[1]);
    assert_true(knoll_cpu_start(&processor[2], &cpus, KNOLL_CPUS));
}

static void test_memory_is_added(void **state)
{
    (void)state;
    make(KIB(64));
    void *block;
    while ((block = knoll_cpu_malloc(&processor[1], 500)) != NULL) {
    }
    unsigned char *more = arena_at(MIB(1), 0) + KIB(96);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KNOLL_PAGE), KNOLL_ERROR_TOO_SMALL);
    if (CLASSIC) /* a page is left, which would be tables */
        assert_int_equal(knoll_cpus_add_memory(&cpus, more, 2 * KNOLL_PAGE + 16), KNOLL_ERROR_TOO_SMALL);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KIB(128) + 16), KNOLL_ERROR_NOT_PAGES);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KIB(128)), KNOLL_OK);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KIB(128)), KNOLL_ERROR_OVERLAP);
    for (unsigned i = 0; i < 50; i++) {
        block = knoll_cpu_malloc(&processor[1], 500);
        assert_true((unsigned char *)block > more && (unsigned char *)block < more + KIB(128));
        knoll_cpu_free(&processor[i % 2 + 1], block);
    }
    check_all();
    unsigned char *last = more + KIB(128);
    while (knoll_cpus_add_memory(&cpus, last, KIB(12)) == KNOLL_OK)
        last += KIB(12);
    assert_int_equal(knoll_cpus_add_memory(&cpus, last, KIB(12)), KNOLL_ERROR_REGIONS);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more - KIB(8), KIB(12)), KNOLL_ERROR_OVERLAP); /* its table */
}

/* ---- Misuse ---- */

typedef void free_function(void *block);

static void free_as_1(void *block)
{
    knoll_cpu_free(&processor[1], block);
}
static void free_as_2(void *block)
{
    knoll_cpu_free(&processor[2], block);
}
static void free_as_any(void *block)
{
    knoll_cpus_free(&cpus, block);
}
static void free_sized_as_1(void *block)
{
    knoll_cpu_free_sized(&processor[1], block, 100);
}
static void free_sized_as_2(void *block)
{
    knoll_cpu_free_sized(&processor[2], block, 100);
}

static free_function *const ways[] = {free_as_1, free_as_2, free_as_any, free_sized_as_1, free_sized_as_2};
#define WAYS (sizeof ways / sizeof ways[0])

static void expect_fault(enum knoll_fault fault, const void *address)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, fault);
    assert_ptr_equal(last_fault.address, address);
    last_fault.count = 0;
    check_all();
}

static void test_a_double_free_is_found_whoever_frees_and_whenever(void **state)
{
    (void)state;
    for (unsigned first = 0; first < WAYS; first++) {
        for (unsigned second = 0; second < WAYS; second++) {
            for (unsigned moment = 0; moment < 4; moment++) {
                make(MIB(1));
                void *kept = knoll_cpu_malloc(&processor[1], 100);
                void *block = knoll_cpu_malloc(&processor[1], 100);
                ways[first](block);
                if (moment == 1)
                    knoll_cpu_collect(&processor[1]);
                if (moment >= 2)
                    knoll_cpu_drain(&processor[1]);
                if (moment >= 2)
                    assert_true(knoll_cpu_start(&processor[1], &cpus, 1));
                if (moment == 3)
                    assert_null(knoll_cpu_malloc(&processor[2], SIZE_MAX / 2));
                faults_expected = true;
                ways[second](block);
                expect_fault(KNOLL_FAULT_DOUBLE_FREE, block);
                assert_null(knoll_cpu_realloc(&processor[2], block, 5));
                expect_fault(KNOLL_FAULT_DOUBLE_FREE, block);
                assert_int_equal(knoll_cpus_usable_size(&cpus, block), 0);
                expect_fault(KNOLL_FAULT_DOUBLE_FREE, block);
                faults_expected = false;
                ways[second](kept);
                check_all();
            }
        }
    }
}

/* Two look that it is held, then one says that it is free, and one that it is returned. */
static void free_twice_at_one_moment(void *block)
{
    struct knoll_cpu_entry *entry = cpus.region[cpus.region_count - 1].entries;
    knoll_cpus_free(&cpus, block);
    while (entry->returned == 0)
        entry++;
    entry->free |= entry->returned;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) /* its slab is the current one of its class */
        processor[1].size_class[i].room -= processor[1].size_class[i].current == entry;
}

static void test_a_block_that_two_free_at_one_moment_is_handed_out_once(void **state)
{
    (void)state;
    for (size_t size = SMALLEST; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        make(MIB(4));
        void *block = knoll_cpu_malloc(&processor[1], size);
        unsigned times = 0;
        free_twice_at_one_moment(block);
        faults_expected = true;
        for (size_t i = 0; i < KNOLL_CPU_BYTES / size + 200; i++) /* more than come at once */
            times += knoll_cpu_malloc(&processor[1], size) == block;
        faults_expected = false;
        assert_int_equal(times, 1);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
        assert_ptr_equal(last_fault.address, block);
        check_all();
    }
}

static void test_other_misuse_is_found(void **state)
{
    (void)state;
    make(MIB(1));
    unsigned char *block = knoll_cpu_malloc(&processor[1], 100);
    unsigned char *run = knoll_cpu_malloc(&processor[1], 50000);
    void *tables = cpus.heap.region[cpus.region_count - 1];
    void *entries = cpus.region[cpus.region_count - 1].entries;
    faults_expected = true;
    for (unsigned i = 0; i < WAYS; i++) {
        ways[i](block + 1);
        expect_fault(KNOLL_FAULT_INTERIOR, block + 1);
        ways[i](block + 16);
        expect_fault(KNOLL_FAULT_INTERIOR, block + 16);
        ways[i](run + 16);
        expect_fault(KNOLL_FAULT_INTERIOR, run + 16);
        ways[i](run + KNOLL_PAGE);
        expect_fault(KNOLL_FAULT_INTERIOR, run + KNOLL_PAGE);
        ways[i](&cpus);
        expect_fault(KNOLL_FAULT_FOREIGN, &cpus);
        ways[i](entries); /* which lie before the heap's region */
        expect_fault(KNOLL_FAULT_FOREIGN, entries);
        ways[i](tables);
        expect_fault(KNOLL_FAULT_TABLES, tables);
    }
    for (size_t wrong = 1; wrong < 100000; wrong *= 3) {
        size_t good = knoll_good_size(&cpus.heap, 1, wrong);
        if (good == knoll_good_size(&cpus.heap, 1, 100) || good == knoll_good_size(&cpus.heap, 1, 50000))
            continue;
        knoll_cpu_free_sized(&processor[wrong % 2 + 1], block, wrong);
        expect_fault(KNOLL_FAULT_SIZE, block);
        knoll_cpu_free_sized(&processor[wrong % 2 + 1], run, wrong);
        expect_fault(KNOLL_FAULT_SIZE, run);
    }
    knoll_cpu_free_aligned_sized(&processor[1], block, 3, 100);
    expect_fault(KNOLL_FAULT_SIZE, block);
    knoll_cpu_free_aligned_sized(&processor[1], block, KIB(64), 100);
    expect_fault(KNOLL_FAULT_SIZE, block);
    faults_expected = false;
    knoll_cpu_free_aligned_sized(&processor[1], block, 4, 100);
    knoll_cpu_free_sized(&processor[2], run, 50000);
    check_all();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_block_is_of_the_right_size_and_goes_back),
    cmocka_unit_test(test_the_owner_takes_no_lock),
    cmocka_unit_test(test_a_free_from_elsewhere_takes_no_lock_and_comes_back_to_its_owner),
    cmocka_unit_test(test_a_run_is_freed_from_anywhere_without_a_lock),
    cmocka_unit_test(test_clear_and_aligned_blocks),
    cmocka_unit_test(test_what_cannot_be_a_heap_is_refused),
    cmocka_unit_test(test_memory_is_added),
    cmocka_unit_test(test_a_double_free_is_found_whoever_frees_and_whenever),
    cmocka_unit_test(test_a_block_that_two_free_at_one_moment_is_handed_out_once),
    cmocka_unit_test(test_other_misuse_is_found),
};

CHECK_MAIN(tests)
