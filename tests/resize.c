/* knoll_realloc: what it keeps, when it moves, and that shrinking never fails.
 *
 * Whether a run could have grown where it stands is asked of the heap itself: free the run, see how far the free run at
 * its place reaches, and undo that.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

static struct knoll_heap heap;
static void *blocks[4096];

static const size_t sizes[] = {0,    1,    16,   17,   48,   64,    65,    100,   128,   200,   256,
                               300,  512,  700,  1024, 1025, 2000,  2048,  3000,  3072,  4000,  4096,
                               4097, 5000, 6144, 8192, 9000, 12288, 16384, 20000, 32768, 40000, 65536};

#define SIZES (sizeof sizes / sizeof sizes[0])

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats;
}

static void realloc_of_null_is_malloc(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(256));
    for (size_t i = 0; i < SIZES; i++) {
        void *block = knoll_realloc(&heap, NULL, sizes[i]);
        assert_non_null(block);
        assert_int_equal(knoll_usable_size(&heap, block), knoll_good_size(&heap, 1, sizes[i]));
        assert_int_equal(stats_now().allocations, i + 1);
        knoll_free_sized(&heap, block, sizes[i]);
    }
}

/* From every size to every other: contents, statistics, and the size that free_sized wants to hear. */
static void from_every_size_to_every_other(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(512));
    for (size_t from = 0; from < SIZES; from++) {
        for (size_t to = 0; to < SIZES; to++) {
            void *before = knoll_malloc(&heap, sizes[from]);
            write_pattern(before, sizes[from], (unsigned)from);
            struct knoll_stats earlier = stats_now();
            void *after = knoll_realloc(&heap, before, sizes[to]);
            struct knoll_stats later = stats_now();
            size_t moves = after != before;
            assert_non_null(after);
            assert_true(has_pattern(after, lesser(sizes[from], sizes[to]), (unsigned)from));
            assert_true(knoll_usable_size(&heap, after) >= sizes[to]);
            if (IS_BYTE_EXACT)
                assert_true(later.used_bytes >= sizes[to] + OVERHEAD && knoll_usable_size(&heap, after) == sizes[to]);
            else
                assert_int_equal(later.used_bytes, knoll_usable_size(&heap, after));
            assert_int_equal(later.allocations, earlier.allocations + moves);
            assert_int_equal(later.frees, earlier.frees + moves);
            assert_int_equal(later.failures, earlier.failures);
            if (later.used_bytes == earlier.used_bytes)
                assert_ptr_equal(after, before);
            memset(after, 0xDD, sizes[to]);
            knoll_free_sized(&heap, after, sizes[to]);
            assert_int_equal(knoll_used_bytes(&heap), 0);
        }
    }
    assert_int_equal(knoll_check(&heap), 0);
}

/* The alignment that a block was asked for with is kept through any number of changes. */
static void alignment_is_kept(void **state)
{
    (void)state;
    for (size_t alignment = 32; alignment <= KIB(64); alignment *= 2) {
        make_heap(&heap, arena_at(KIB(64), 3 * KNOLL_PAGE), MIB(1));
        for (size_t from = 0; from < SIZES; from++) {
            for (size_t to = 0; to < SIZES; to++) {
                size_t back = sizes[(from * 7 + to * 3) % SIZES];
                unsigned char *block = knoll_aligned_alloc(&heap, alignment, sizes[from]);
                void *neighbour = knoll_malloc(&heap, sizes[from] / 2);
                write_pattern(block, sizes[from], (unsigned)to);
                block = knoll_realloc(&heap, block, sizes[to]);
                assert_non_null(block);
                assert_true(is_aligned(block, alignment));
                assert_true(has_pattern(block, lesser(sizes[from], sizes[to]), (unsigned)to));
                assert_true(knoll_usable_size(&heap, block) >= sizes[to]);
                block = knoll_realloc(&heap, block, back);
                assert_non_null(block);
                assert_true(is_aligned(block, alignment));
                assert_true(has_pattern(block, lesser(lesser(sizes[from], sizes[to]), back), (unsigned)to));
                knoll_free_aligned_sized(&heap, block, alignment, back);
                knoll_free(&heap, neighbour);
            }
        }
        assert_int_equal(knoll_used_bytes(&heap), 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static void failure_leaves_the_block(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    for (size_t i = 0; i < SIZES && sizes[i] <= 20000; i++) {
        unsigned char *block = knoll_malloc(&heap, sizes[i]);
        write_pattern(block, sizes[i], 5);
        struct knoll_stats earlier = stats_now();
        assert_null(knoll_realloc(&heap, block, KIB(64)));
        assert_null(knoll_realloc(&heap, block, SIZE_MAX));
        struct knoll_stats later = stats_now();
        assert_int_equal(later.failures, earlier.failures + 2);
        assert_int_equal(later.allocations, earlier.allocations);
        assert_int_equal(later.frees, earlier.frees);
        assert_int_equal(later.used_bytes, earlier.used_bytes);
        assert_true(has_pattern(block, sizes[i], 5));
        assert_int_equal(knoll_check(&heap), 0);
        knoll_free_sized(&heap, block, sizes[i]);
    }
}

/* Takes all memory that is left, so that nothing can move. Returns how many blocks it took. */
static size_t take_the_rest(void)
{
    size_t count = 0;
    size_t largest;
    while ((largest = largest_block(&heap)) != 0) {
        assert_true(count < sizeof blocks / sizeof blocks[0]);
        blocks[count] = knoll_malloc(&heap, largest);
        assert_non_null(blocks[count++]);
    }
    return count;
}

/* Even in a heap that has nothing left: down to every smaller size, in one step and in all steps. */
static void shrinking_never_fails(void **state)
{
    (void)state;
    for (size_t from = 0; from < SIZES; from++) {
        for (size_t to = 0; to <= from; to++) {
            make_heap(&heap, arena, IS_BYTE_EXACT ? KIB(256) : KIB(128));
            void *block = knoll_malloc(&heap, sizes[from]);
            write_pattern(block, sizes[from], (unsigned)from);
            size_t count = take_the_rest();
            block = knoll_realloc(&heap, block, sizes[to]);
            assert_non_null(block);
            assert_true(has_pattern(block, sizes[to], (unsigned)from));
            assert_true(knoll_usable_size(&heap, block) >= sizes[to]);
            assert_int_equal(stats_now().allocations - stats_now().frees, count + 1);
            assert_int_equal(knoll_check(&heap), 0);
            survey(&heap);
            knoll_free_sized(&heap, block, sizes[to]);
            free_all(&heap, blocks, count);
            assert_int_equal(knoll_used_bytes(&heap), 0);
        }
    }
}

static void shrinking_never_fails_with_alignment(void **state)
{
    (void)state;
    for (size_t alignment = 64; alignment <= KIB(16); alignment *= 4) {
        make_heap(&heap, arena, KIB(128));
        void *block = knoll_aligned_alloc(&heap, alignment, 40000);
        write_pattern(block, 40000, 3);
        size_t count = take_the_rest();
        for (size_t to = SIZES; to-- > 0;) {
            if (sizes[to] > 40000)
                continue;
            block = knoll_realloc(&heap, block, sizes[to]);
            assert_non_null(block);
            assert_true(is_aligned(block, alignment));
            assert_true(has_pattern(block, sizes[to], 3));
        }
        knoll_free_aligned_sized(&heap, block, alignment, 0);
        free_all(&heap, blocks, count);
        assert_int_equal(knoll_used_bytes(&heap), 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* What a shrunk run gives up can be had by others at once. */
static void shrinking_a_run_frees_its_tail(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* it asserts which bytes of a run are the caller's */
        return;
    make_heap(&heap, arena, KIB(256));
    void *run = knoll_malloc(&heap, KIB(64));
    take_the_rest();
    assert_ptr_equal(knoll_realloc(&heap, run, 5000), run);
    assert_int_equal(knoll_usable_size(&heap, run), knoll_good_size(&heap, 1, 5000));
    assert_true(knoll_available_bytes(&heap) == KIB(64) - knoll_good_size(&heap, 1, 5000));
    assert_non_null(knoll_malloc(&heap, KIB(32)));
    assert_int_equal(knoll_check(&heap), 0);
}

/* A run that must become a slab's block while there is no memory for one stays, as short as it can be, and may be
 * freed under any size that it holds: until it is a run by right again, and then only under its own. */
static void a_run_that_could_not_move(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* it asserts which bytes of a run are the caller's */
        return;
    make_heap(&heap, arena, KIB(256));
    size_t shortest = CLASSIC ? stats_now().unit_bytes : 2 * stats_now().unit_bytes;
    void *run = knoll_malloc(&heap, 40000);
    take_the_rest();
    assert_ptr_equal(knoll_realloc(&heap, run, 100), run);
    assert_int_equal(knoll_usable_size(&heap, run), shortest);
    assert_true(knoll_available_bytes(&heap) >= 40000 - shortest);

    assert_ptr_equal(knoll_realloc(&heap, run, 30000), run);
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
    if (FINDS_MISUSE) {
        knoll_free_sized(&heap, run, 100);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
    }

    knoll_free_sized(&heap, run, 30000);
    assert_int_equal(last_fault.count, FINDS_MISUSE);
    assert_int_equal(knoll_check(&heap), 0);
}

/* The same size is no growth: it is never refused, even where a run is loose and nothing is left. */
static void the_same_size_never_fails(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* it asserts which bytes of a run are the caller's */
        return;
    make_heap(&heap, arena, KIB(256));
    void *run = knoll_malloc(&heap, 40000);
    take_the_rest();
    assert_ptr_equal(knoll_realloc(&heap, run, 100), run);
    take_the_rest();
    assert_ptr_equal(knoll_realloc(&heap, run, knoll_usable_size(&heap, run)), run);
    assert_int_equal(stats_now().failures, 0);
}

/* Where a free run reaches that begins at this address; NULL where none does. */
struct reach {
    const unsigned char *start;
    const unsigned char *end;
};

static int find_reach(void *context, const struct knoll_item *item)
{
    struct reach *reach = context;
    if (item->kind == KNOLL_ITEM_FREE && item->start == reach->start)
        reach->end = reach->start + item->size;
    return 0;
}

static size_t room_at(unsigned char *run)
{
    struct reach reach = {run, run};
    snapshot_take(&heap, arena, KIB(256));
    knoll_free(&heap, run);
    knoll_walk(&heap, find_reach, &reach);
    snapshot_restore(&heap);
    return (size_t)(reach.end - run);
}

/* A run stays where its free neighbour suffices: doubled, in many states of a heap that holds only runs. */
static void a_run_grows_into_its_neighbour(void **state)
{
    struct random random = random_from(21);
    size_t stayed = 0;
    (void)state;
    if (IS_BYTE_EXACT) /* what is freed waits, and is no neighbour */
        return;
    make_heap(&heap, arena, KIB(256));
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 2000; step++) {
        void **slot = &blocks[random_below(&random, 20)];
        if (*slot == NULL) {
            *slot = knoll_malloc(&heap, (size_t)5000 << random_below(&random, 3));
            continue;
        }
        size_t wanted = 2 * knoll_usable_size(&heap, *slot);
        size_t room = room_at(*slot);
        if (room >= wanted) {
            write_pattern(*slot, wanted / 2, (unsigned)step);
            assert_ptr_equal(knoll_realloc(&heap, *slot, wanted), *slot);
            assert_true(has_pattern(*slot, wanted / 2, (unsigned)step));
            assert_int_equal(knoll_usable_size(&heap, *slot), wanted);
            assert_int_equal(knoll_check(&heap), 0);
            stayed++;
        }
        free_all(&heap, slot, 1);
    }
    assert_true(stayed > 50);
}

/* ---- Runs at random ---- */

static size_t held[12]; /* bytes asked for, by the block's number */

/* Resizes the block, or takes it if there is none; what becomes of it is added up by kind. */
static void resize_run(unsigned i, size_t alignment, size_t size, size_t *grown, size_t *shrunk)
{
    unsigned char *before = blocks[i];
    unsigned char *now =
        before == NULL ? knoll_aligned_alloc(&heap, alignment, size) : knoll_realloc(&heap, before, size);
    assert_int_equal(knoll_check(&heap), 0);
    assert_true(now != NULL || before == NULL || size > held[i]);
    if (now == NULL) {
        assert_true(before == NULL || has_pattern(before, held[i], i));
        return;
    }
    assert_true(has_pattern(now, lesser(size, held[i]), i));
    *grown += now == before && size > held[i];
    *shrunk += now == before && size < held[i];
    blocks[i] = now;
    held[i] = size;
    write_pattern(now, size, i);
}

/* Where memory is now plenty, now short. What a run gains was free and what it gives back is: at rung 2 both must hold
 * the fill, and a fault fails the test. */
static void runs_at_random(void **state)
{
    struct random random = random_from(33);
    size_t grown = 0, shrunk = 0;
    (void)state;
    make_heap(&heap, arena, KIB(512));
    memset(blocks, 0, sizeof blocks);
    memset(held, 0, sizeof held);
    for (unsigned step = 0; step < KNOLL_TEST_STEPS / 5; step++) {
        unsigned i = random_below(&random, step / 500 % 2 == 0 ? 3 : sizeof held / sizeof held[0]);
        size_t alignment = random_below(&random, 8) == 0 ? (size_t)64 << random_below(&random, 9) : 1;
        if (random_below(&random, 4) == 0)
            knoll_drain(&heap);
        if (random_below(&random, 16) != 0) {
            resize_run(i, alignment, 1000 + random_below(&random, KIB(64)), &grown, &shrunk);
        } else {
            free_all(&heap, &blocks[i], 1);
            held[i] = 0;
        }
    }
    assert_true(grown > KNOLL_TEST_STEPS / 100 && shrunk > KNOLL_TEST_STEPS / 100);
}

/* What was written into the free neighbour is reported, and not shown. */
static void a_run_grows_into_what_was_written(void **state)
{
    (void)state;
    if (!IS_BYTE_EXACT)
        return;
    make_heap(&heap, arena, KIB(256));
    unsigned char *run = knoll_realloc(&heap, knoll_malloc(&heap, 60000), 20000);
    run[40000] = 1;
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
    assert_ptr_equal(knoll_realloc(&heap, run, 60000), run);
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_WRITE_AFTER_FREE);
    assert_int_equal(last_fault.broken, 17); /* and nothing else, while that was reported */
    assert_int_equal(knoll_check(&heap), 0);
    assert_true(run[40000] != 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(realloc_of_null_is_malloc),
    cmocka_unit_test(from_every_size_to_every_other),
    cmocka_unit_test(alignment_is_kept),
    cmocka_unit_test(failure_leaves_the_block),
    cmocka_unit_test(shrinking_never_fails),
    cmocka_unit_test(shrinking_never_fails_with_alignment),
    cmocka_unit_test(shrinking_a_run_frees_its_tail),
    cmocka_unit_test(a_run_that_could_not_move),
    cmocka_unit_test(the_same_size_never_fails),
    cmocka_unit_test(a_run_grows_into_its_neighbour),
    cmocka_unit_test(runs_at_random),
    cmocka_unit_test(a_run_grows_into_what_was_written),
};

CHECK_MAIN(tests)
