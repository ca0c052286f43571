/* What a heap promises, row by row: classes, routing, growth, shrinking, the total, good sizes, size zero. The rows on
 * creation and added memory are in limits.c, those on misuse in faults.c.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define SLOTS 16384

static struct knoll_heap heap;
static void *blocks[SLOTS];

static const size_t classes[KNOLL_CLASS_COUNT] = {
#if KNOLL_PROFILE == KNOLL_CLASSIC
    64, 128, 256, 512, 1024, 2048, 4096,
#else
    32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 288, 336, 400, 448, 512, 576, 672, 816, 1024,
#endif
};

/* The largest and the smallest request that a block of so many bytes serves, and what its caller may use of it. */
static size_t request_for(size_t block_size)
{
    return block_size > OVERHEAD ? block_size - OVERHEAD : 0;
}

static size_t usable_of(size_t block_size, size_t size)
{
    return IS_BYTE_EXACT ? size : block_size;
}

static struct knoll_stats stats_of(const struct knoll_heap *of)
{
    struct knoll_stats stats;
    knoll_get_stats(of, &stats);
    return stats;
}

static void the_classes(void **state)
{
    (void)state;
    make_heap(&heap, arena, MIB(1));
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        if (request_for(classes[i]) == 0)
            continue; /* too small for any block */
        size_t least = i == 0 ? 1 : request_for(classes[i - 1] + 1);
        size_t most = request_for(classes[i]);
        void *smallest = knoll_malloc(&heap, least);
        void *largest = knoll_malloc(&heap, most);
        struct knoll_stats stats = stats_of(&heap);
        assert_int_equal(stats.size_class[i].block_size, classes[i]);
        assert_int_equal(stats.size_class[i].used_blocks, 2);
        assert_int_equal(knoll_usable_size(&heap, smallest), usable_of(classes[i], least));
        assert_int_equal(knoll_usable_size(&heap, largest), usable_of(classes[i], most));
        assert_int_equal(stats.large_blocks, 0);
    }
    assert_int_equal(stats_of(&heap).class_count, KNOLL_CLASS_COUNT);
    survey(&heap);
}

static size_t smallest_class_holding(size_t size)
{
    size_t i = 0;
    while (classes[i] < size)
        i++;
    return classes[i];
}

static void routing_by_size(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(256));
    for (size_t size = 0; size + OVERHEAD <= KNOLL_SLAB_MAXIMUM; size++) {
        void *block = knoll_malloc(&heap, size);
        size_t class = smallest_class_holding(size + OVERHEAD);
        assert_int_equal(knoll_usable_size(&heap, block), usable_of(class, size));
        assert_int_equal(knoll_good_size(&heap, 1, size), usable_of(class, size));
        assert_int_equal(knoll_used_bytes(&heap), class);
        assert_int_equal(stats_of(&heap).large_blocks, 0);
        knoll_free_sized(&heap, block, size);
    }
    void *run = knoll_malloc(&heap, request_for(KNOLL_SLAB_MAXIMUM + 1));
    assert_int_equal(stats_of(&heap).large_blocks, 1);
    assert_int_equal(knoll_usable_size(&heap, run),
                     usable_of(CLASSIC ? 8192 : 1536, request_for(KNOLL_SLAB_MAXIMUM + 1)));
    assert_int_equal(stats_of(&heap).large_bytes, CLASSIC ? 8192 : 1536);
}

static void routing_by_alignment(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(256));
    for (size_t alignment = 1; alignment <= KNOLL_SLAB_MAXIMUM; alignment *= 2) {
        for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
            void *block = knoll_aligned_alloc(&heap, alignment, classes[i]);
            size_t usable = knoll_usable_size(&heap, block);
            assert_true(is_aligned(block, alignment) && is_aligned(block, 16));
            assert_true(usable >= classes[i]);
            if (CLASSIC && !IS_BYTE_EXACT)
                assert_int_equal(usable, classes[i] > alignment ? classes[i] : smallest_class_holding(alignment));
            if (alignment <= 16 || IS_BYTE_EXACT)
                assert_int_equal(usable, classes[i]);
            knoll_free_aligned_sized(&heap, block, alignment, classes[i]);
        }
    }
    void *block = knoll_aligned_alloc(&heap, 2 * KNOLL_SLAB_MAXIMUM, 1);
    assert_true(is_aligned(block, 2 * KNOLL_SLAB_MAXIMUM));
    assert_int_equal(stats_of(&heap).large_blocks, 1);
}

static void growth_takes_a_slab(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        if (request_for(classes[i]) == 0)
            continue;
        make_heap(&heap, arena, MIB(1));
        size_t size = request_for(classes[i]);
        knoll_malloc(&heap, size);
        size_t at_once = stats_of(&heap).size_class[i].total_blocks;
        if (CLASSIC)
            assert_int_equal(at_once, KNOLL_PAGE / classes[i]);
        assert_true(at_once >= 1 && at_once <= 64);
        for (size_t used = 1; used < at_once; used++) {
            knoll_malloc(&heap, size);
            assert_int_equal(stats_of(&heap).size_class[i].slabs, 1);
        }
        knoll_malloc(&heap, size);
        assert_int_equal(stats_of(&heap).size_class[i].slabs, 2);
        survey(&heap);
    }
}

/* No class may find its first block only in a large heap, nor leave room that a block would have fitted in. */
static void growth_takes_what_there_is(void **state)
{
    (void)state;
    for (size_t pages = 8; pages <= 80; pages += 3) {
        for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
            make_heap(&heap, arena + pages * KNOLL_PAGE, pages * KNOLL_PAGE);
            size_t total = knoll_total_bytes(&heap);
            size_t size = request_for(classes[i]);
            size_t count = fill(&heap, size, blocks, SLOTS);
            if (count == SLOTS)
                continue;
            if (CLASSIC)
                assert_int_equal(count, total / classes[i]);
            assert_true(count >= total / KNOLL_PAGE);
            assert_true(largest_block(&heap) < size || largest_block(&heap) == 0);
            assert_int_equal(survey(&heap).blocks, count);
            assert_int_equal(knoll_check(&heap), 0);
        }
    }
}

static void growth_goes_down_to_one_block(void **state)
{
    static const size_t sizes[] = {8192, 4096, 3072, 2048, 1024, 64};
    (void)state;
    make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
    size_t count = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        count += fill(&heap, request_for(sizes[i]), blocks + count, SLOTS - count);
    assert_int_equal(knoll_available_bytes(&heap), CLASSIC ? 0 : 512); /* in compact one unit alone is of no use */
    assert_int_equal(largest_block(&heap), 0);
    assert_null(knoll_malloc(&heap, 0));
    free_all(&heap, blocks, count);
    assert_int_equal(knoll_available_bytes(&heap), knoll_total_bytes(&heap));
}

enum freeing_order { FORWARD, BACKWARD, EVERY_THIRD, FREEING_ORDERS };

static void free_in_order(enum freeing_order order, size_t count)
{
    size_t step = order == EVERY_THIRD ? 3 : 1;
    for (size_t first = 0; first < step; first++) {
        for (size_t i = first; i < count; i += step) {
            size_t place = order == BACKWARD ? count - 1 - i : i;
            knoll_free(&heap, blocks[place]);
        }
    }
}

static void shrinking_gives_slabs_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        make_heap(&heap, arena, KIB(256));
        size_t largest = largest_block(&heap);
        for (unsigned order = FORWARD; order < FREEING_ORDERS; order++) {
            size_t size = request_for(classes[i]);
            size_t count = fill(&heap, size, blocks, SLOTS);
            assert_true(largest_block(&heap) < size || largest_block(&heap) == 0);
            free_in_order((enum freeing_order)order, count);
            knoll_drain(&heap);
            assert_int_equal(largest_block(&heap), largest);
            assert_int_equal(survey(&heap).blocks, 0);
            void *whole = knoll_malloc(&heap, largest);
            assert_non_null(whole);
            knoll_free(&heap, whole);
            assert_int_equal(knoll_check(&heap), 0);
        }
    }
}

/* Every class in turn gets all the memory that the one before it has left. */
static void shrinking_serves_every_other_size(void **state)
{
    size_t first_count[KNOLL_CLASS_COUNT];
    (void)state;
    for (size_t i = 0; i < KNOLL_CLASS_COUNT; i++) {
        make_heap(&heap, arena, KIB(128));
        first_count[i] = fill(&heap, request_for(classes[i]), blocks, SLOTS);
    }
    make_heap(&heap, arena, KIB(128));
    for (size_t step = 1; step <= KNOLL_CLASS_COUNT; step += 2) {
        for (size_t i = 0, class = 0; i < KNOLL_CLASS_COUNT; i++, class = (class + step) % KNOLL_CLASS_COUNT) {
            size_t count = fill(&heap, request_for(classes[class]), blocks, SLOTS);
            /* Slabs of several lengths fill a heap a little differently from one of another class that is in hand. */
            size_t most_apart = CLASSIC ? 0 : first_count[class] / 16;
            assert_true(count + most_apart >= first_count[class] && count <= first_count[class] + most_apart);
            free_in_order(FORWARD, count);
            knoll_drain(&heap);
        }
    }
}

static void used_and_available_make_the_total(void **state)
{
    struct random random = random_from(7);
    (void)state;
    make_heap(&heap, arena, KIB(256));
    memset(blocks, 0, sizeof blocks);
    size_t total = knoll_total_bytes(&heap);
    size_t used = 0;
    assert_int_equal(knoll_used_bytes(&heap), 0);
    for (size_t step = 0; step < 5000; step++) {
        void **slot = &blocks[random_below(&random, 128)];
        used -= knoll_usable_size(&heap, *slot);
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, random_below(&random, step % 8 == 0 ? 30000 : 3000));
        used += knoll_usable_size(&heap, *slot);
        assert_int_equal(knoll_total_bytes(&heap), total);
        if (IS_BYTE_EXACT) { /* what lies round the blocks is counted too: the survey knows */
            assert_true(knoll_used_bytes(&heap) > used && knoll_used_bytes(&heap) <= total);
            assert_int_equal(survey(&heap).block_bytes, knoll_used_bytes(&heap));
            assert_int_equal(knoll_available_bytes(&heap), total - knoll_used_bytes(&heap));
            continue;
        }
        assert_int_equal(knoll_used_bytes(&heap), used);
        assert_int_equal(knoll_available_bytes(&heap), total - used);
    }
    free_all(&heap, blocks, 128);
    assert_int_equal(knoll_used_bytes(&heap), 0);
    assert_int_equal(knoll_available_bytes(&heap), total);
}

static void good_size_before_is_usable_size_after(void **state)
{
    (void)state;
    make_heap(&heap, arena_at(KIB(64), KNOLL_PAGE), KIB(512));
    for (size_t alignment = 1; alignment <= KIB(64); alignment *= 2) {
        for (size_t size = 0; size < KIB(100); size += size / 13 + 1) {
            size_t good = knoll_good_size(&heap, alignment, size);
            assert_true(good >= size && (good > 0 || IS_BYTE_EXACT));
            void *block = knoll_aligned_alloc(&heap, alignment, size);
            assert_non_null(block);
            assert_true(is_aligned(block, alignment) && is_aligned(block, 16));
            assert_int_equal(knoll_usable_size(&heap, block), good);
            if (IS_BYTE_EXACT)
                assert_true(good == size && knoll_used_bytes(&heap) >= good + OVERHEAD);
            else
                assert_int_equal(knoll_used_bytes(&heap), good);
            /* The good size is itself a good request. */
            assert_int_equal(knoll_good_size(&heap, alignment, good), good);
            memset(block, 0xEE, good);
            knoll_free_aligned_sized(&heap, block, alignment, size);
        }
    }
    assert_int_equal(knoll_check(&heap), 0);
    assert_int_equal(knoll_usable_size(&heap, NULL), 0);
}

static void size_zero_is_a_distinct_block(void **state)
{
    (void)state;
    /* Aligned so that with the tables in its first page, and a slab next, a run of four pages is left for the last. */
    make_heap(&heap, arena_at(KIB(16), 0), KNOLL_MINIMUM_HEAP);
    void *zero[] = {
        knoll_malloc(&heap, 0),           knoll_calloc(&heap, 0, 8),        knoll_calloc(&heap, 8, 0),
        knoll_calloc(&heap, SIZE_MAX, 0), knoll_calloc(&heap, 0, SIZE_MAX), knoll_aligned_alloc(&heap, 32, 0),
        knoll_realloc(&heap, NULL, 0),    knoll_malloc(&heap, 0),           knoll_aligned_alloc(&heap, 8192, 0),
    };
    size_t count = sizeof zero / sizeof zero[0];
    for (size_t i = 0; i < count; i++) {
        assert_non_null(zero[i]);
        assert_true((knoll_usable_size(&heap, zero[i]) > 0) != IS_BYTE_EXACT);
        for (size_t j = 0; j < i; j++)
            assert_true(zero[i] != zero[j]);
    }
    void *shrunk = knoll_realloc(&heap, zero[0], 0);
    assert_ptr_equal(shrunk, zero[0]);
    assert_int_equal(survey(&heap).blocks, count);
    free_all(&heap, zero, count);
    assert_int_equal(knoll_used_bytes(&heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_classes),
    cmocka_unit_test(routing_by_size),
    cmocka_unit_test(routing_by_alignment),
    cmocka_unit_test(growth_takes_a_slab),
    cmocka_unit_test(growth_takes_what_there_is),
    cmocka_unit_test(growth_goes_down_to_one_block),
    cmocka_unit_test(shrinking_gives_slabs_back),
    cmocka_unit_test(shrinking_serves_every_other_size),
    cmocka_unit_test(used_and_available_make_the_total),
    cmocka_unit_test(good_size_before_is_usable_size_after),
    cmocka_unit_test(size_zero_is_a_distinct_block),
};

CHECK_MAIN(tests)
