/* Alignments and sizes that are hard to serve: every power of two up to 1 MiB in regions that lie askew to it, what is
 * not a power of two, and sizes whose arithmetic overflows.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

static struct knoll_heap heap;

static size_t failures(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats.failures;
}

static void every_alignment_from_every_start(void **state)
{
    static const size_t starts[] = {0, 1, 2, 3, 7, 16, 85, 128, 255};
    static const size_t sizes[] = {0, 1, 17, 64, 1000, 4096, 4097, 12288, 70000};
    (void)state;
    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        make_heap(&heap, arena_at(MIB(1), starts[s] * KNOLL_PAGE), MIB(4));
        for (size_t alignment = 1; alignment <= MIB(1); alignment *= alignment >= KIB(64) ? 16 : 2) {
            void *blocks[sizeof sizes / sizeof sizes[0]] = {NULL};
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                /* There are three places at least that are aligned to 1 MiB, and two with a whole MiB behind them. */
                if (alignment == MIB(1) && (i >= 2 || IS_BYTE_EXACT)) /* a front part takes one as well */
                    break;
                blocks[i] = knoll_aligned_alloc(&heap, alignment, sizes[i]);
                assert_non_null(blocks[i]);
                assert_true(is_aligned(blocks[i], alignment));
                assert_int_equal(knoll_usable_size(&heap, blocks[i]), knoll_good_size(&heap, alignment, sizes[i]));
                memset(blocks[i], 0x3C, sizes[i]);
            }
            assert_int_equal(knoll_check(&heap), 0);
            survey(&heap);
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                knoll_free_aligned_sized(&heap, blocks[i], alignment, sizes[i]);
            assert_int_equal(knoll_used_bytes(&heap), 0);
        }
    }
}

/* As many blocks of 64 KiB as lie on multiples of 64 KiB in the region: no place that could serve is passed over. */
static void every_aligned_place_is_found(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* the front part of an aligned block needs as much again */
        return;
    for (size_t offset = 0; offset < KIB(64); offset += 3 * KNOLL_PAGE) {
        unsigned char *start = arena_at(KIB(64), offset);
        make_heap(&heap, start, KIB(512));
        const unsigned char *first = start + (KIB(512) - knoll_total_bytes(&heap));
        size_t skip = round_up((uintptr_t)first, KIB(64)) - (uintptr_t)first;
        size_t expected = ((size_t)(start + KIB(512) - first) - skip) / KIB(64);
        size_t count = 0;
        while (knoll_aligned_alloc(&heap, KIB(64), KIB(64)) != NULL)
            count++;
        assert_int_equal(count, expected);
        assert_int_equal(knoll_check(&heap), 0);
        assert_int_equal(survey(&heap).blocks, count);
    }
}

static void an_alignment_that_memory_cannot_serve(void **state)
{
    (void)state;
    unsigned char *start = arena_at(MIB(1), KIB(64));
    make_heap(&heap, start, KIB(256)); /* holds no multiple of 1 MiB */
    snapshot_take(&heap, start, KIB(256));
    assert_null(knoll_aligned_alloc(&heap, MIB(1), 1));
    assert_null(knoll_aligned_alloc(&heap, KIB(512), 5000));
    for (size_t alignment = MIB(1); alignment != 0; alignment *= 2)
        assert_null(knoll_aligned_alloc(&heap, alignment, 100));
    assert_true(failures() >= 3);
    assert_int_equal(knoll_used_bytes(&heap), 0);
    assert_int_equal(survey(&heap).blocks, 0);
    assert_int_equal(knoll_check(&heap), 0);
}

static void alignments_that_are_no_power_of_two(void **state)
{
    static const size_t wrong[] = {0,
                                   3,
                                   5,
                                   6,
                                   7,
                                   9,
                                   10,
                                   12,
                                   15,
                                   17,
                                   24,
                                   48,
                                   65,
                                   96,
                                   100,
                                   4095,
                                   4097,
                                   12288,
                                   65537,
                                   KIB(96),
                                   SIZE_MAX,
                                   SIZE_MAX - 1,
                                   SIZE_MAX / 2,
                                   SIZE_MAX / 2 + 2,
                                   SIZE_MAX - 4095};
    (void)state;
    make_heap(&heap, arena, KIB(64));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(knoll_aligned_alloc(&heap, wrong[i], 10));
        assert_null(knoll_aligned_alloc(&heap, wrong[i], 0));
        assert_null(knoll_aligned_alloc(&heap, wrong[i], 10000));
        assert_int_equal(knoll_good_size(&heap, wrong[i], 10), 0);
        assert_int_equal(knoll_good_size(&heap, wrong[i], 10000), 0);
        assert_int_equal(failures(), 3 * (i + 1));
    }
    assert_int_equal(survey(&heap).blocks, 0);
}

/* Sizes near the limits of size_t and ptrdiff_t, and near every power of two that this heap cannot hold. */
static void sizes_that_overflow(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    unsigned char *held = knoll_malloc(&heap, 100);
    write_pattern(held, 100, 9);
    size_t refused = 0;
    for (size_t top = KIB(128); top != 0; top *= 2) {
        size_t sizes[] = {top - 1, top, top + 1, top + 4095, top + 4096, top - 4096, top - 4097, 0 - top, 0 - top + 1};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            assert_null(knoll_malloc(&heap, sizes[i]));
            assert_null(knoll_calloc(&heap, 1, sizes[i]));
            assert_null(knoll_calloc(&heap, sizes[i], 1));
            assert_null(knoll_realloc(&heap, held, sizes[i]));
            assert_null(knoll_realloc(&heap, NULL, sizes[i]));
            assert_null(knoll_aligned_alloc(&heap, 4096, sizes[i]));
            assert_null(knoll_aligned_alloc(&heap, KIB(64), sizes[i]));
            refused += 7;
        }
    }
    static const size_t last[] = {SIZE_MAX,        SIZE_MAX - 1,    SIZE_MAX - 15,           SIZE_MAX - 16,
                                  SIZE_MAX - 1023, SIZE_MAX - 4094, SIZE_MAX - 4095,         SIZE_MAX - 4096,
                                  SIZE_MAX - 8191, PTRDIFF_MAX,     (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 2};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++) {
        assert_null(knoll_malloc(&heap, last[i]));
        assert_null(knoll_aligned_alloc(&heap, 32, last[i]));
        assert_null(knoll_aligned_alloc(&heap, SIZE_MAX / 2 + 1, last[i]));
        assert_null(knoll_realloc(&heap, held, last[i]));
        refused += 4;
    }
    assert_int_equal(failures(), refused);
    assert_int_equal(knoll_good_size(&heap, 1, SIZE_MAX), 0);
    assert_int_equal(knoll_good_size(&heap, 1, SIZE_MAX - 4095), 0);
    assert_int_equal(knoll_good_size(&heap, 4096, SIZE_MAX - 4095), 0);
    assert_int_equal(knoll_good_size(&heap, MIB(1), SIZE_MAX - MIB(1)), 0);
    if (SIZE_MAX > UINT32_MAX)
        assert_int_equal(knoll_good_size(&heap, 1, (size_t)PTRDIFF_MAX + 1), 0);
    assert_true(has_pattern(held, 100, 9));
    assert_int_equal(survey(&heap).blocks, 1);
    assert_int_equal(knoll_check(&heap), 0);
}

static void products_that_overflow(void **state)
{
    const size_t half = SIZE_MAX / 2 + 1;
    const size_t root = (size_t)1 << (sizeof(size_t) * 4);
    const size_t factors[][2] = {
        {half, 2},
        {2, half},
        {root, root},
        {SIZE_MAX, 2},
        {2, SIZE_MAX},
        {SIZE_MAX, SIZE_MAX},
        {root + 1, root},
        {SIZE_MAX / 16 + 2, 16},
        {16, SIZE_MAX / 16 + 2},
        {half / 4 + 1, 8},
        {3, SIZE_MAX / 3 + 1},
        {SIZE_MAX / 3 + 2, 3},
        {root * 2, root / 2},
        {half + 1, half + 1},
    };
    (void)state;
    make_heap(&heap, arena, KIB(64));
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        assert_null(knoll_calloc(&heap, factors[i][0], factors[i][1]));
        assert_int_equal(failures(), i + 1);
    }
    assert_int_equal(survey(&heap).blocks, 0);
    assert_non_null(knoll_calloc(&heap, 3, 5000));
}

/* Nothing but the count of failures may change when a request is refused. */
static void a_refusal_changes_nothing_else(void **state)
{
    static const size_t sizes[] = {1, 64, 100, 1024, 4096, 4097, 8192, 32768};
    (void)state;
    make_heap(&heap, arena, KIB(64));
    while (knoll_malloc(&heap, 8192) != NULL || knoll_malloc(&heap, 4096) != NULL || knoll_malloc(&heap, 16) != NULL)
        continue;
    struct survey before = survey(&heap);
    size_t failed = failures();
    snapshot_take(&heap, arena, KIB(64));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_null(knoll_malloc(&heap, sizes[i]));
        assert_null(knoll_calloc(&heap, 1, sizes[i]));
        assert_null(knoll_aligned_alloc(&heap, 64, sizes[i]));
        assert_int_equal(failures(), failed + 3 * (i + 1));
    }
    heap.failures = failed;
    assert_true(snapshot_holds(&heap));
    assert_true(survey(&heap).fingerprint == before.fingerprint);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_alignment_from_every_start),
    cmocka_unit_test(every_aligned_place_is_found),
    cmocka_unit_test(an_alignment_that_memory_cannot_serve),
    cmocka_unit_test(alignments_that_are_no_power_of_two),
    cmocka_unit_test(sizes_that_overflow),
    cmocka_unit_test(products_that_overflow),
    cmocka_unit_test(a_refusal_changes_nothing_else),
};

CHECK_MAIN(tests)
