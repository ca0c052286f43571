/* Every member of struct knoll_stats against an own count, and the largest block by trying.
 *
 * The survey compares what can be seen in the heap; what remains is history: allocations, frees, failures, the peak.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define SLOTS 200
#define SPAN  KIB(256)

static struct knoll_heap heap;
static void *blocks[SLOTS];

static struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats;
}

static void a_fresh_heap(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* the largest block has guards besides */
        return;
    make_heap(&heap, arena, SPAN);
    struct knoll_stats stats = stats_now();
    survey(&heap);
    assert_int_equal(stats.total_bytes + stats.table_bytes, SPAN);
    assert_int_equal(stats.used_bytes, 0);
    assert_int_equal(stats.available_bytes, stats.total_bytes);
    assert_int_equal(stats.peak_used_bytes, 0);
    assert_int_equal(stats.allocations, 0);
    assert_int_equal(stats.frees, 0);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.regions, 1);
    assert_int_equal(stats.unit_bytes, CLASSIC ? 4096 : 512);
    assert_int_equal(stats.large_blocks, 0);
    assert_int_equal(stats.large_bytes, 0);
    assert_int_equal(stats.class_count, KNOLL_CLASS_COUNT);
    /* All that is free can be had at once, save that a buddy's runs are powers of two. */
    if (CLASSIC)
        assert_true(stats.largest_block * 4 > stats.total_bytes);
    else
        assert_int_equal(stats.largest_block, stats.total_bytes);
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++)
        assert_int_equal(stats.size_class[i].slabs + stats.size_class[i].total_blocks, 0);
}

/* The own count. A change of size that moves holds both blocks for a moment, which the peak may or may not show. */
static struct {
    size_t allocations, frees, failures, used, peak_least, peak_most;
} own;

static void count_peak(size_t for_a_moment)
{
    if (own.used > own.peak_least)
        own.peak_least = own.used;
    if (own.used + for_a_moment > own.peak_most)
        own.peak_most = own.used + for_a_moment;
}

static void count_new(void *block)
{
    if (block == NULL) {
        own.failures++;
        return;
    }
    own.allocations++;
    own.used += knoll_usable_size(&heap, block);
    count_peak(0);
}

static void count_free(void *block)
{
    if (block == NULL)
        return;
    own.frees++;
    own.used -= knoll_usable_size(&heap, block);
}

static void change_size(void **slot, size_t size)
{
    size_t before = knoll_usable_size(&heap, *slot);
    void *after = knoll_realloc(&heap, *slot, size);
    if (after == NULL) {
        own.failures++;
        return;
    }
    bool moved = after != *slot;
    *slot = after;
    own.allocations += moved;
    own.frees += moved;
    own.used += knoll_usable_size(&heap, after) - before;
    count_peak(moved ? before : 0);
}

static void step_once(struct random *random)
{
    void **slot = &blocks[random_below(random, SLOTS)];
    size_t size = random_below(random, 5) == 0 ? random_below(random, KIB(40)) : random_below(random, 3000);
    switch (random_below(random, 8)) {
    case 0:
        count_new(knoll_calloc(&heap, SIZE_MAX, size + 2));
        break;
    case 1:
        count_new(knoll_aligned_alloc(&heap, 48, size));
        break;
    case 2:
    case 3:
        if (*slot != NULL)
            change_size(slot, size);
        break;
    default:
        count_free(*slot);
        knoll_free(&heap, *slot);
        *slot = size % 3 == 0 ? knoll_calloc(&heap, 1, size) : knoll_aligned_alloc(&heap, 64, size);
        count_new(*slot);
        break;
    }
}

static void counts_of_what_happened(void **state)
{
    const size_t steps = KNOLL_TEST_STEPS < 20000 ? KNOLL_TEST_STEPS : 20000;
    struct random random = random_from(99);
    (void)state;
    if (IS_BYTE_EXACT) /* a block takes more than its usable size; tests/model.c counts that */
        return;
    make_heap(&heap, arena, SPAN);
    memset(blocks, 0, sizeof blocks);
    memset(&own, 0, sizeof own);
    for (size_t step = 0; step < steps; step++) {
        step_once(&random);
        struct knoll_stats stats = stats_now();
        assert_int_equal(stats.allocations, own.allocations);
        assert_int_equal(stats.frees, own.frees);
        assert_int_equal(stats.failures, own.failures);
        assert_int_equal(stats.used_bytes, own.used);
        assert_true(stats.peak_used_bytes >= own.peak_least && stats.peak_used_bytes <= own.peak_most);
        if (step % 64 == 0)
            survey(&heap);
    }
    assert_true(own.failures > steps / 20 && own.allocations > steps / 4);
    free_all(&heap, blocks, SLOTS);
    assert_int_equal(stats_now().used_bytes, 0);
    assert_true(stats_now().peak_used_bytes >= own.peak_least);
}

/* Without a change of size that moves, the peak is exact, and it stays when blocks are freed. */
static void the_peak(void **state)
{
    size_t used = 0;
    (void)state;
    if (IS_BYTE_EXACT) /* a block takes more than its usable size */
        return;
    make_heap(&heap, arena, SPAN);
    for (size_t i = 0; i < 20; i++) {
        blocks[i] = knoll_malloc(&heap, i * 397);
        used += knoll_usable_size(&heap, blocks[i]);
        assert_int_equal(stats_now().peak_used_bytes, used);
    }
    free_all(&heap, blocks, 10);
    assert_int_equal(stats_now().peak_used_bytes, used);
    assert_null(knoll_malloc(&heap, SPAN));
    assert_int_equal(stats_now().peak_used_bytes, used);
    knoll_malloc(&heap, 1);
    assert_int_equal(stats_now().peak_used_bytes, used);
    void *whole = knoll_malloc(&heap, stats_now().largest_block);
    assert_non_null(whole);
    assert_int_equal(stats_now().peak_used_bytes, stats_now().used_bytes);
}

/* knoll_malloc(largest) must succeed and knoll_malloc(largest + 1) must not. Both are undone. */
static void try_the_largest(void)
{
    knoll_drain(&heap);
    size_t largest = stats_now().largest_block;
    snapshot_take(&heap, arena, SPAN);
    if (largest != 0) {
        void *block = knoll_malloc(&heap, largest);
        assert_non_null(block);
        assert_int_equal(knoll_usable_size(&heap, block), largest);
        snapshot_restore(&heap);
    }
    assert_null(knoll_malloc(&heap, largest + 1));
    snapshot_restore(&heap);
}

static void the_largest_block_is_what_it_says(void **state)
{
    static const uint32_t limits[] = {64, 600, 4097, 12000, 70000};
    const size_t kinds = KNOLL_TEST_STEPS > 10000 ? 15 : 5;
    struct random random = random_from(5);
    (void)state;
    for (size_t kind = 0; kind < kinds; kind++) {
        make_heap(&heap, arena + KIB(4) * kind, kind < 3 ? KNOLL_MINIMUM_HEAP : SPAN / 2 + KIB(4) * kind);
        memset(blocks, 0, sizeof blocks);
        try_the_largest();
        for (size_t step = 0; step < 200; step++) {
            void **slot = &blocks[random_below(&random, SLOTS)];
            knoll_free(&heap, *slot);
            *slot = step % 3 == 0 ? NULL : knoll_malloc(&heap, random_below(&random, limits[kind % 5]));
            try_the_largest();
        }
        for (size_t i = 0; i < SLOTS; i++) {
            free_all(&heap, &blocks[i], 1);
            try_the_largest();
        }
    }
}

/* Only holes of one size: the largest block is such a hole, or a class that a slab of it has left. */
static void the_largest_block_in_a_comb(void **state)
{
    static const size_t teeth[] = {64, 1024, 4096, 8192};
    static void *comb[4096];
    (void)state;
    for (size_t i = 0; i < sizeof teeth / sizeof teeth[0]; i++) {
        make_heap(&heap, arena, SPAN);
        size_t count = fill(&heap, teeth[i], comb, sizeof comb / sizeof comb[0]);
        try_the_largest();
        for (size_t tooth = 1; tooth < count; tooth += 2)
            knoll_free(&heap, comb[tooth]);
        try_the_largest();
        assert_true(stats_now().largest_block >= teeth[i]);
        for (size_t tooth = 0; tooth < count; tooth += 2) {
            knoll_free(&heap, comb[tooth]);
            if (tooth % 64 == 0)
                try_the_largest();
        }
        try_the_largest();
    }
}

/* One long free run, and after it as many that are shorter by little as the header allows in compact, and more in
 * classic, where it sets no limit: the long one must still be found. */
static void the_largest_block_among_many(void **state)
{
    static void *rest[4096];
    void *runs[KNOLL_PROFILE == KNOLL_COMPACT ? 8 : 21];
    size_t count = 0;
    (void)state;
    make_heap(&heap, arena, MIB(1));
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        runs[i] = knoll_malloc(&heap, i == 0 ? KIB(19) : KIB(16));
        assert_non_null(knoll_malloc(&heap, 5000));
    }
    while (largest_block(&heap) != 0)
        rest[count++] = knoll_malloc(&heap, largest_block(&heap));
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        knoll_free(&heap, runs[i]);
    assert_true(largest_block(&heap) >= KIB(19));
    void *block = knoll_malloc(&heap, KIB(19));
    assert_non_null(block);
    assert_non_null(knoll_malloc(&heap, KIB(16)));
    survey(&heap);
    free_all(&heap, rest, count);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_fresh_heap),
    cmocka_unit_test(counts_of_what_happened),
    cmocka_unit_test(the_peak),
    cmocka_unit_test(the_largest_block_is_what_it_says),
    cmocka_unit_test(the_largest_block_in_a_comb),
    cmocka_unit_test(the_largest_block_among_many),
};

CHECK_MAIN(tests)
