/* One heap under several processors, all played by this one: what each call says and keeps, wherever a block is from.
 *
 * The random histories hold every block to be distinct by its contents, and look at the tables, the lists and the
 * counts as they go; at their end, with all given back and every processor gone, the heap must be as new. The locks are
 * counted: none may be taken twice, nor held when a call returns, nor for what should not need it.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "knoll_cpu.h"
#include "support.h"

#ifndef KNOLL_TEST_STEPS
#define KNOLL_TEST_STEPS 100000
#endif
#ifndef KNOLL_TEST_SEED
#define KNOLL_TEST_SEED 1
#endif

#define PROCESSORS 4
#define HOLDINGS   512
#define SMALLEST   (CLASSIC ? 64u : 32u)

static struct knoll_cpus cpus;
static struct knoll_cpu processor[PROCESSORS + 1]; /* from 1 */
static struct random random;
static int lock_depth;
static size_t locks;

static void lock(void *context)
{
    assert_ptr_equal(context, &locks);
    assert_int_equal(lock_depth++, 0);
    locks++;
}

static void unlock(void *context)
{
    assert_ptr_equal(context, &locks);
    assert_int_equal(--lock_depth, 0);
}

/* A fault ends the test, but where it is expected. */
static bool faults_expected;

static void note_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    assert_true(faults_expected);
    assert_ptr_equal(heap, &cpus.heap);
    last_fault.count++;
    last_fault.fault = fault;
    last_fault.address = address;
}

static void make(size_t size)
{
    faults_expected = false;
    last_fault.count = 0;
    memset(&cpus, 0xA5, sizeof cpus);
    memset(processor, 0xA5, sizeof processor);
    assert_int_equal(knoll_cpus_init(&cpus, arena_at(MIB(1), 0), size, lock, unlock, &locks), KNOLL_OK);
    knoll_set_fault_handler(&cpus.heap, note_fault);
    for (unsigned i = 1; i <= PROCESSORS; i++)
        assert_true(knoll_cpu_start(&processor[i], &cpus, i));
}

static struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    return stats;
}

static void check_all(void)
{
    assert_int_equal(lock_depth, 0);
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    for (unsigned i = 1; i <= PROCESSORS; i++)
        assert_int_equal(knoll_cpu_check(&processor[i]), 0);
}

/* Drains every processor; then nothing may be left of what they had, when no block is held. */
static void expect_as_new(const struct knoll_stats *before)
{
    for (unsigned i = 1; i <= PROCESSORS; i++)
        knoll_cpu_drain(&processor[i]);
    for (unsigned i = 1; i <= PROCESSORS; i++) /* what they returned to each other, and to those who had gone */
        assert_true(knoll_cpu_start(&processor[i], &cpus, i));
    assert_null(knoll_cpu_malloc(&processor[1], SIZE_MAX / 2)); /* looks everywhere */
    for (unsigned i = 1; i <= PROCESSORS; i++)
        knoll_cpu_drain(&processor[i]);
    struct knoll_stats after = stats_now();
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(after.used_bytes, 0);
    assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
    assert_int_equal(after.largest_block, before->largest_block);
}

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
        assert_true(knoll_cpu_malloc(&processor[1], size) == first);
        assert_true(knoll_cpu_malloc(&processor[1], size) == second);
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
    assert_int_equal(stats_now().failures, failures + 3);
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
    assert_int_equal(knoll_cpus_init(NULL, start, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_cpus_init(&cpus, NULL, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_cpus_init(&cpus, start + 16, MIB(1), NULL, NULL, NULL), KNOLL_ERROR_ALIGNMENT);
    assert_int_equal(knoll_cpus_init(&cpus, start, MIB(1) + 1, NULL, NULL, NULL), KNOLL_ERROR_NOT_PAGES);
    assert_int_equal(knoll_cpus_init(&cpus, start, KNOLL_MINIMUM_HEAP, NULL, NULL, NULL), KNOLL_ERROR_TOO_SMALL);
    assert_int_equal(knoll_cpus_init(&cpus, start, KNOLL_MINIMUM_HEAP + KNOLL_PAGE, NULL, NULL, NULL), KNOLL_OK);
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
    if (KNOLL_REGIONS_MAX == 1)
        return;
    void *block;
    while ((block = knoll_cpu_malloc(&processor[1], 500)) != NULL) {
    }
    unsigned char *more = arena_at(MIB(1), 0) + KIB(96);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KNOLL_PAGE), KNOLL_ERROR_TOO_SMALL);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KIB(128)), KNOLL_OK);
    assert_int_equal(knoll_cpus_add_memory(&cpus, more, KIB(128)), KNOLL_ERROR_OVERLAP);
    for (unsigned i = 0; i < 50; i++) {
        block = knoll_cpu_malloc(&processor[1], 500);
        assert_true((unsigned char *)block > more && (unsigned char *)block < more + KIB(128));
        knoll_cpu_free(&processor[i % 2 + 1], block);
    }
    check_all();
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
    struct knoll_cpu_entry *entry = cpus.region[0].entries;
    knoll_cpus_free(&cpus, block);
    while (entry->returned == 0)
        entry++;
    entry->free |= entry->returned;
}

static void test_a_block_that_two_free_at_one_moment_is_handed_out_once(void **state)
{
    (void)state;
    for (size_t size = SMALLEST; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        make(MIB(2));
        void *block = knoll_cpu_malloc(&processor[1], size);
        unsigned times = 0;
        free_twice_at_one_moment(block);
        faults_expected = true;
        for (unsigned i = 0; i < 200; i++)
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
    void *tables = cpus.heap.region[0];
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
        ways[i](arena_at(MIB(1), 0)); /* the processors' tables lie before the heap's first region */
        expect_fault(KNOLL_FAULT_FOREIGN, arena_at(MIB(1), 0));
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

/* ---- Memory never strands ---- */

/* Takes blocks of this size until there are none. */
static size_t take_all(struct knoll_cpu *cpu, size_t size, void **blocks, size_t limit)
{
    size_t count = 0;
    while (count < limit && (blocks[count] = knoll_cpu_malloc(cpu, size)) != NULL)
        count++;
    assert_true(count < limit);
    return count;
}

static void test_what_was_returned_serves_anybody_when_memory_is_short(void **state)
{
    (void)state;
    static void *blocks[4096];
    make(KIB(128));
    size_t count = take_all(&processor[1], 400, blocks, 4096);
    for (size_t i = 0; i < count; i += 3)
        knoll_cpu_free(&processor[3], blocks[i]); /* their owner, 1, never looks at its queue */
    for (size_t i = 0; i < count; i += 3) {
        void *again = knoll_cpu_malloc(&processor[2], 400);
        assert_non_null(again);
        blocks[i] = again;
        check_all();
    }
    assert_null(knoll_cpu_malloc(&processor[2], 400));
    for (size_t i = 0; i < count; i++)
        knoll_cpus_free(&cpus, blocks[i]);
    assert_int_equal(stats_now().used_bytes, 0);
    check_all();
}

static void test_a_shortage_is_answered_by_all(void **state)
{
    (void)state;
    static void *blocks[4096];
    make(KIB(256));
    struct knoll_stats before = stats_now();
    for (unsigned i = 1; i <= PROCESSORS; i++) { /* each keeps some */
        size_t count = 0;
        for (; count < 10; count++)
            blocks[count] = knoll_cpu_malloc(&processor[i], SMALLEST << i);
        while (count-- > 0)
            knoll_cpu_free(&processor[i], blocks[count]);
    }
    assert_true(knoll_used_bytes(&cpus.heap) != 0);
    assert_null(knoll_cpu_malloc(&processor[1], SIZE_MAX / 2));
    for (unsigned i = 1; i <= PROCESSORS; i++) /* whoever needs a slab next gives back all others, and takes one */
        knoll_cpu_free(&processor[i], knoll_cpu_malloc(&processor[i], SMALLEST << (i == 1 ? 3 : 1)));
    check_all();
    assert_true(knoll_used_bytes(&cpus.heap) <= PROCESSORS * 64 * (SMALLEST << 3));
    expect_as_new(&before);
}

static void test_a_processor_keeps_no_more_than_it_may(void **state)
{
    (void)state;
    static void *blocks[20000];
    make(MIB(8));
    for (size_t size = SMALLEST; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        size_t count = MIB(2) / size < 20000 ? MIB(2) / size : 20000;
        for (size_t i = 0; i < count; i++)
            assert_non_null(blocks[i] = knoll_cpu_malloc(&processor[1], size));
        for (size_t from = 0; from < 2; from++) { /* every other, then the rest */
            for (size_t i = from; i < count; i += 2)
                knoll_cpu_free(&processor[1], blocks[i]);
            struct knoll_stats stats = stats_now();
            size_t kept = knoll_used_bytes(&cpus.heap) - stats.used_bytes;
            size_t slab = 64 * size; /* at most */
            size_t allowed = KNOLL_CPU_BYTES > slab ? KNOLL_CPU_BYTES : slab;
            assert_true(kept <= allowed + slab + KNOLL_CPU_BATCH * size);
            check_all();
        }
        knoll_cpu_drain(&processor[1]);
        assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
        assert_true(knoll_cpu_start(&processor[1], &cpus, 1));
    }
}

static void test_blocks_of_a_processor_that_went_away_come_back(void **state)
{
    (void)state;
    static void *blocks[3000];
    make(MIB(2));
    struct knoll_stats before = stats_now();
    for (unsigned i = 0; i < 3000; i++)
        assert_non_null(blocks[i] = knoll_cpu_malloc(&processor[1], 16 + i % 600));
    knoll_cpu_drain(&processor[1]);
    memset(&processor[1], 0xFF, sizeof processor[1]);
    for (unsigned i = 0; i < 3000; i++)
        knoll_cpu_free(&processor[2 + i % 3], blocks[i]);
    assert_int_equal(stats_now().used_bytes, 0);
    assert_true(knoll_cpu_start(&processor[1], &cpus, 1));
    check_all();
    expect_as_new(&before);
}

/* ---- Random histories ---- */

struct holding {
    unsigned char *block;
    size_t size, alignment;
    unsigned seed;
};

static struct holding holdings[HOLDINGS];
static bool is_away[PROCESSORS + 1];

static struct knoll_cpu *anyone(void)
{
    unsigned number;
    do
        number = 1 + random_below(&random, PROCESSORS);
    while (is_away[number]);
    return &processor[number];
}

static void hold(struct holding *held, void *block, size_t alignment, size_t size)
{
    *held = (struct holding){block, size, alignment, random_next(&random)};
    assert_true(is_aligned(block, alignment) && is_aligned(block, 16));
    size_t usable = knoll_cpus_usable_size(&cpus, block);
    assert_true(usable >= size);
    write_pattern(block, size, held->seed);
}

static void let_go(struct holding *held)
{
    assert_true(has_pattern(held->block, held->size, held->seed));
    memset(held->block, 0xDD, held->size);
    switch (random_below(&random, 4)) {
    case 0:
        knoll_cpus_free(&cpus, held->block);
        break;
    case 1:
        knoll_cpu_free_aligned_sized(anyone(), held->block, held->alignment, held->size);
        break;
    default:
        knoll_cpu_free(anyone(), held->block);
        break;
    }
    held->block = NULL;
}

static void resize(struct holding *held, size_t size)
{
    unsigned char *moved = knoll_cpu_realloc(anyone(), held->block, size);
    if (moved == NULL) {
        assert_true(size > held->size);
        return;
    }
    assert_true(has_pattern(moved, size < held->size ? size : held->size, held->seed));
    hold(held, moved, held->alignment, size);
}

static void come_or_go(void)
{
    unsigned number = 2 + random_below(&random, PROCESSORS - 1); /* one stays */
    if (is_away[number])
        assert_true(knoll_cpu_start(&processor[number], &cpus, number));
    else
        knoll_cpu_drain(&processor[number]);
    is_away[number] = !is_away[number];
}

static size_t any_size(size_t largest)
{
    return random_below(&random, 1 + (uint32_t)(largest >> random_below(&random, 14)));
}

static void step(void)
{
    struct holding *held = &holdings[random_below(&random, HOLDINGS)];
    size_t size = any_size(40000);
    uint32_t kind = random_below(&random, 100);
    if (kind == 0) {
        come_or_go();
    } else if (kind < 3) {
        knoll_cpu_collect(anyone());
    } else if (held->block != NULL) {
        if (kind < 20)
            resize(held, size);
        else
            let_go(held);
    } else {
        size_t alignment = kind < 20 ? (size_t)16 << random_below(&random, 8) : 1;
        void *block = kind < 30 ? knoll_cpu_aligned_alloc(anyone(), alignment, size) : knoll_cpu_malloc(anyone(), size);
        if (block != NULL)
            hold(held, block, kind < 30 ? alignment : 1, size);
    }
    assert_int_equal(lock_depth, 0);
}

static size_t held_bytes(void)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < HOLDINGS; i++)
        if (holdings[i].block != NULL)
            bytes += knoll_cpus_usable_size(&cpus, holdings[i].block);
    return bytes;
}

static void history(uint32_t seed, size_t size, size_t steps)
{
    check_seed = seed;
    random = random_from(seed);
    make(size);
    struct knoll_stats before = stats_now();
    for (size_t i = 0; i < steps; i++) {
        step();
        if (i % 128 == 0) {
            for (unsigned number = 1; number <= PROCESSORS; number++)
                assert_int_equal(is_away[number] ? 0 : knoll_cpu_check(&processor[number]), 0);
            assert_int_equal(knoll_cpus_check(&cpus), 0);
            assert_int_equal(stats_now().used_bytes, held_bytes());
        }
    }
    for (unsigned i = 0; i < HOLDINGS; i++)
        if (holdings[i].block != NULL)
            let_go(&holdings[i]);
    for (unsigned number = 1; number <= PROCESSORS; number++)
        if (is_away[number])
            assert_true(knoll_cpu_start(&processor[number], &cpus, number));
    memset(is_away, 0, sizeof is_away);
    expect_as_new(&before);
    check_seed = 0;
}

static void test_random_histories(void **state)
{
    (void)state;
    static const size_t sizes[] = {KIB(64), KIB(256), MIB(1), MIB(6)};
    size_t steps = KNOLL_TEST_STEPS / 16;
    for (uint32_t i = 0; i < 16; i++)
        history(KNOLL_TEST_SEED + i, sizes[i % 4], steps);
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
    cmocka_unit_test(test_what_was_returned_serves_anybody_when_memory_is_short),
    cmocka_unit_test(test_a_shortage_is_answered_by_all),
    cmocka_unit_test(test_a_processor_keeps_no_more_than_it_may),
    cmocka_unit_test(test_blocks_of_a_processor_that_went_away_come_back),
    cmocka_unit_test(test_random_histories),
};

CHECK_MAIN(tests)
