/* What holds for the memory of blocks, and for all that is not a heap's state: calloc clears, nobody but the caller
 * writes to a block, heaps share nothing, the struct is small, every number has a text.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

static struct knoll_heap heap;
static void *blocks[64];

static void calloc_clears_used_memory(void **state)
{
    static const size_t sizes[] = {1, 8, 15, 64, 100, 1000, 4096, 4097, 8192, 20000, 65536};
    static const unsigned char zeroes[65536];
    (void)state;
    make_heap(&heap, arena, KIB(256));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *dirty = knoll_malloc(&heap, sizes[i]);
        memset(dirty, 0xFF, sizes[i]);
        knoll_free(&heap, dirty);
        void *clean = knoll_calloc(&heap, 1, sizes[i]);
        assert_memory_equal(clean, zeroes, sizes[i]);
        knoll_free(&heap, clean);
        clean = knoll_calloc(&heap, sizes[i], 1);
        assert_memory_equal(clean, zeroes, sizes[i]);
        knoll_free_sized(&heap, clean, sizes[i]);
        clean = knoll_calloc(&heap, sizes[i] / 8 + 1, 7);
        assert_memory_equal(clean, zeroes, (sizes[i] / 8 + 1) * 7);
        knoll_free(&heap, clean);
    }
}

static void freeing_null_does_nothing(void **state)
{
    (void)state;
    make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
    snapshot_take(&heap, arena, KNOLL_MINIMUM_HEAP);
    knoll_free(&heap, NULL);
    knoll_free_sized(&heap, NULL, 100);
    knoll_free_sized(&heap, NULL, SIZE_MAX);
    knoll_free_aligned_sized(&heap, NULL, 64, 100);
    knoll_free_aligned_sized(&heap, NULL, 3, 100);
    assert_true(snapshot_holds(&heap));
}

/* All that is not tables belongs to callers: what they leave in it stays, and it may hold anything without harm. */
static void blocks_are_never_written(void **state)
{
    struct random random = random_from(11);
    (void)state;
    if (IS_BYTE_EXACT) /* free memory is filled */
        return;
    make_heap(&heap, arena, KIB(128));
    unsigned char *start = arena + survey(&heap).stats.table_bytes;
    size_t total = knoll_total_bytes(&heap);
    memset(blocks, 0, sizeof blocks);
    for (unsigned step = 0; step < 3000; step++) {
        if (step % 50 == 0)
            write_pattern(start, total, step);
        size_t place = random_below(&random, 64);
        if (blocks[place] == NULL)
            blocks[place] = knoll_aligned_alloc(&heap, (size_t)1 << random_below(&random, 15),
                                                random_below(&random, step % 4 == 0 ? 20000 : 3000));
        else
            free_all(&heap, &blocks[place], 1);
        if (step % 50 == 49)
            assert_true(has_pattern(start, total, step - 49));
    }
    free_all(&heap, blocks, 64);
    assert_true(has_pattern(start, total, 2950));
    assert_int_equal(knoll_check(&heap), 0);
}

/* The same requests to heaps side by side give the same places in each, however they interleave. */
static void heaps_do_not_share_anything(void **state)
{
    static struct knoll_heap heaps[4];
    static unsigned char *at[4][200];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        make_heap(&heaps[i], arena + i * KIB(64), KIB(64));
    for (size_t step = 0; step < 200; step++) {
        for (size_t i = 0; i < 4; i++) {
            size_t which = (i + step) % 4;
            unsigned char *home = arena + which * KIB(64);
            at[which][step] = knoll_malloc(&heaps[which], 16 + step * 37 % 700);
            if (at[which][step] != NULL) {
                assert_true(at[which][step] > home && at[which][step] < home + KIB(64));
                memset(at[which][step], (int)which, 16 + step * 37 % 700);
            }
            if (step % 3 == 2) {
                knoll_free(&heaps[which], at[which][step - 2]);
                at[which][step - 2] = NULL;
            }
        }
    }
    for (size_t step = 0; step < 200; step++)
        for (size_t i = 1; i < 4; i++)
            assert_true(at[i][step] == NULL ? at[0][step] == NULL
                                            : at[i][step] - at[0][step] == (ptrdiff_t)(i * KIB(64)));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(knoll_check(&heaps[i]), 0);
        survey(&heaps[i]);
    }
}

static void the_struct_is_small(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* it has the quarantine */
        return;
    size_t magazines = 0;
#if KNOLL_MAGAZINE > 0
    magazines = sizeof heap.size_class[0].hint_block + sizeof heap.size_class[0].hint_slab;
#if KNOLL_PROFILE == KNOLL_COMPACT
    magazines += sizeof heap.size_class[0].hint_index;
#endif
    magazines *= KNOLL_CLASS_COUNT;
#endif
    if (sizeof(void *) == 8 && KNOLL_REGION_BITS <= 3)
        assert_true(sizeof(struct knoll_heap) - magazines <=
                    1200 + KNOLL_CLASS_COUNT * 32); /* 32 for what a class is like */
    assert_int_equal(KNOLL_REGIONS_MAX, 1 << KNOLL_REGION_BITS);
}

static size_t length_of(const char *text)
{
    size_t length = 0;
    assert_non_null(text);
    while (text[length] != '\0')
        length++;
    return length;
}

static bool same_text(const char *a, const char *b)
{
    size_t length = length_of(a);
    return length == length_of(b) && memcmp(a, b, length) == 0;
}

static void every_number_has_a_text(void **state)
{
    (void)state;
    for (int i = KNOLL_ERROR_NO_HEAP; i <= KNOLL_OK; i++)
        for (int j = KNOLL_ERROR_NO_HEAP - 1; j < i; j++)
            assert_false(same_text(knoll_strerror(i), knoll_strerror(j)));
    for (int i = KNOLL_FAULT_NONE; i <= KNOLL_FAULT_WRITE_AFTER_FREE; i++)
        for (int j = i + 1; j <= KNOLL_FAULT_WRITE_AFTER_FREE + 1; j++)
            assert_false(same_text(knoll_fault_name(i), knoll_fault_name(j)));
    assert_true(same_text(knoll_strerror(KNOLL_ERROR_ALIGNMENT), "the start is not aligned as it must be"));
    assert_true(same_text(knoll_strerror(KNOLL_ERROR_TOO_LARGE),
                          "the region is too large, or runs past the end of the address space"));
    assert_memory_equal(knoll_strerror(1), "unknown", 7);
    assert_memory_equal(knoll_strerror(KNOLL_ERROR_NO_HEAP - 1), "unknown", 7);
    assert_memory_equal(knoll_strerror(INT32_MIN), "unknown", 7);
    assert_memory_equal(knoll_fault_name(-1), "unknown", 7);
    assert_memory_equal(knoll_fault_name(KNOLL_FAULT_WRITE_AFTER_FREE + 1), "unknown", 7);
    assert_memory_equal(knoll_fault_name(INT32_MAX), "unknown", 7);
    for (int i = -1; i < 64; i++)
        assert_true(length_of(knoll_invariant(i)) > 0);
    assert_true(same_text(knoll_version(), KNOLL_VERSION));
    assert_true(same_text(knoll_profile(), CLASSIC ? "classic" : "compact"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(calloc_clears_used_memory), cmocka_unit_test(freeing_null_does_nothing),
    cmocka_unit_test(blocks_are_never_written),  cmocka_unit_test(heaps_do_not_share_anything),
    cmocka_unit_test(the_struct_is_small),       cmocka_unit_test(every_number_has_a_text),
};

CHECK_MAIN(tests)
