/* One heap under several processors, all played by this one: memory comes back, whoever has it, and there is a bound on
 * what one keeps.
 *
 * The random histories hold every block to be distinct by its contents, and look at the tables, the lists and the
 * counts as they go; at their end, with all given back and every processor gone, the heap must be as new.
 *
 * SPDX-License-Identifier: MIT */
#include "cpus_played.h"

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

static void test_what_is_freed_and_allocated_again_needs_no_lock(void **state)
{
    (void)state;
    static void *blocks[20000];
    make(MIB(8));
    for (size_t size = SMALLEST; size <= KNOLL_SLAB_MAXIMUM; size *= 2) {
        size_t half = (64 + (KNOLL_CPU_BYTES / size > 64 ? KNOLL_CPU_BYTES / size : 64)) / 2; /* of what may be free */
        size_t count = half - 64 < half ? half - 64 : 0; /* a slab may have free blocks besides */
        size_t taken = 0;
        for (unsigned round = 0; round < 3; round++) {
            for (size_t i = 0; i < count; i++)
                assert_non_null(blocks[i] = knoll_cpu_malloc(&processor[1], size));
            taken = round == 0 ? locks : taken;
            for (size_t i = 0; i < count; i++)
                knoll_cpu_free(&processor[1], blocks[i]);
        }
        assert_int_equal(locks, taken);
        check_all();
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

/* ---- Runs that stay where they are ---- */

static void test_what_is_resized_is_counted(void **state)
{
    (void)state;
    make(MIB(1));
    void *run = knoll_cpu_malloc(&processor[1], 40000);
    size_t size = knoll_cpus_usable_size(&cpus, run);
    size_t used = knoll_used_bytes(&cpus.heap);
    size_t peak = stats_now().peak_used_bytes;
    assert_ptr_equal(knoll_cpu_realloc(&processor[2], run, 20000), run);
    size_t shorter = knoll_cpus_usable_size(&cpus, run);
    assert_true(shorter < size);
    assert_int_equal(knoll_used_bytes(&cpus.heap), used - (size - shorter));
    assert_int_equal(stats_now().peak_used_bytes, peak);
    assert_ptr_equal(knoll_cpu_realloc(&processor[2], run, 40000), run);
    assert_int_equal(knoll_used_bytes(&cpus.heap), used);
    assert_int_equal(stats_now().peak_used_bytes, peak);
    check_all();
    if (CLASSIC) /* where it might have to move */
        return;
    assert_ptr_equal(knoll_cpu_realloc(&processor[1], run, 70000), run);
    assert_true(knoll_used_bytes(&cpus.heap) > used);
    assert_int_equal(stats_now().peak_used_bytes, knoll_used_bytes(&cpus.heap));
    check_all();
}

/* Where there is no memory for the copy the block stays, and what it does not need of its run comes free. */
static void test_what_cannot_move_is_made_short(void **state)
{
    (void)state;
    static void *blocks[4096];
    make(KIB(128));
    unsigned char *run = knoll_cpu_malloc(&processor[1], 40000);
    memset(run, 0x5A, 40000);
    take_all(&processor[1], SMALLEST, blocks, 4096);
    size_t failures = stats_now().failures;
    assert_ptr_equal(knoll_cpu_realloc(&processor[1], run, SMALLEST), run);
    assert_int_equal(stats_now().failures, failures);
    assert_true(knoll_cpus_usable_size(&cpus, run) <= KNOLL_PAGE);
    assert_non_null(knoll_cpu_malloc(&processor[2], 30000));
    knoll_cpu_free_sized(&processor[1], run, SMALLEST);
    check_all();
}

/* ---- Random histories ---- */

#define HOLDINGS 512

static struct random random;

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

/* The statistics have just the blocks that are held, in their classes or as runs. */
static void expect_what_is_held(void)
{
    struct knoll_stats stats = stats_now();
    size_t blocks = 0, bytes = 0, counted_blocks = stats.large_blocks, counted_bytes = stats.large_bytes;
    for (unsigned i = 0; i < HOLDINGS; i++) {
        blocks += holdings[i].block != NULL;
        bytes += holdings[i].block != NULL ? knoll_cpus_usable_size(&cpus, holdings[i].block) : 0;
    }
    for (size_t i = 0; i < stats.class_count; i++) {
        counted_blocks += stats.size_class[i].used_blocks;
        counted_bytes += stats.size_class[i].used_blocks * stats.size_class[i].block_size;
    }
    assert_int_equal(stats.used_bytes, bytes);
    assert_int_equal(counted_blocks, blocks);
    assert_int_equal(counted_bytes, bytes);
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
            expect_what_is_held();
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
    cmocka_unit_test(test_what_was_returned_serves_anybody_when_memory_is_short),
    cmocka_unit_test(test_a_shortage_is_answered_by_all),
    cmocka_unit_test(test_a_processor_keeps_no_more_than_it_may),
    cmocka_unit_test(test_what_is_freed_and_allocated_again_needs_no_lock),
    cmocka_unit_test(test_blocks_of_a_processor_that_went_away_come_back),
    cmocka_unit_test(test_what_is_resized_is_counted),
    cmocka_unit_test(test_what_cannot_move_is_made_short),
    cmocka_unit_test(test_random_histories),
};

CHECK_MAIN(tests)
