/* Rung 2: how much a block takes, where it may stay when it is resized, what its bytes show and what is counted; and
 * the bytes of guards and fill, which are the same in every build.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "evidence.h"
#include "large.h"
#include "support.h"

static struct knoll_heap heap, other;
static void *blocks[4096];

static void make(void)
{
    make_heap(&heap, arena_at(MIB(1), 0), KIB(256));
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
}

static struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats;
}

/* ---- Sizes ---- */

static void a_block_takes_its_guards_and_no_more(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= KIB(4); alignment *= 2) {
        for (size_t size = 0; size < 3000; size += 1 + size / 8) {
            make();
            size_t whole = (alignment > FRONT ? alignment : FRONT) + size + CANARY_LEAST;
            unsigned size_class = class_for(alignment, whole);
            assert_non_null(knoll_aligned_alloc(&heap, alignment, size));
            assert_int_equal(knoll_used_bytes(&heap), size_class == CLASS_LARGE
                                                          ? knoll_large_length(alignment, whole) << KNOLL_UNIT_SHIFT
                                                          : class_size(size_class));
        }
    }
}

static void sizes_and_alignments_that_are_not_the_blocks(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_aligned_alloc(&heap, 64, 100);
    static const size_t alignments[] = {1, 16, 32, 128, 64, 64, 3, 65, 64, 0};
    static const size_t sizes[] = {100, 100, 100, 100, 99, 101, 100, 100, SIZE_MAX, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        knoll_free_aligned_sized(&heap, block, alignments[i], sizes[i]);
        assert_int_equal(last_fault.count, i + 1);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
    }
    last_fault.count = 0;
    knoll_free_aligned_sized(&heap, block, 64, 100);
    knoll_free_sized(&heap, knoll_aligned_alloc(&heap, 64, 100), 100); /* which says nothing of alignment */
    for (size_t alignment = 1; alignment <= 16; alignment *= 2)        /* to which every block is aligned */
        knoll_free_aligned_sized(&heap, knoll_malloc(&heap, 100), alignment, 100);
    assert_int_equal(last_fault.count, 0);
}

/* ---- Resizing ---- */

static void an_aligned_block_stays_while_its_class_serves(void **state)
{
    (void)state;
    make();
    for (size_t alignment = 16; alignment <= 512; alignment *= 2) {
        unsigned size_class = 0;
        void *block = NULL;
        for (size_t size = 1; size < 900; size++) {
            size_t whole = (alignment > FRONT ? alignment : FRONT) + size + CANARY_LEAST;
            void *resized = knoll_realloc(&heap, block, size);
            if (block == NULL) {
                knoll_free(&heap, resized);
                resized = knoll_aligned_alloc(&heap, alignment, size);
            } else {
                assert_int_equal(resized == block, class_for(alignment, whole) == size_class);
            }
            assert_true(is_aligned(resized, alignment));
            block = resized;
            size_class = class_for(alignment, whole);
            if (size_class == CLASS_LARGE)
                break;
        }
    }
}

/* Where nothing smaller is to be had a run stays, but gives up what it can. */
static void a_run_that_cannot_move_is_cut(void **state)
{
    (void)state;
    make();
    unsigned char *run = knoll_malloc(&heap, KIB(32) - OVERHEAD);
    fill(&heap, 100, blocks, sizeof blocks / sizeof blocks[0]);
    size_t used = knoll_used_bytes(&heap);
    size_t failures = stats_now().failures;
    memset(run, 7, 100);
    assert_ptr_equal(knoll_realloc(&heap, run, 100), run);
    assert_int_equal(stats_now().failures, failures);
    assert_int_equal(knoll_used_bytes(&heap),
                     used - KIB(32) + (knoll_large_length(1, 100 + OVERHEAD) << KNOLL_UNIT_SHIFT));
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(run[i], 7);
    assert_int_equal(knoll_check(&heap), 0);
    knoll_free_sized(&heap, run, 100);
    assert_int_equal(last_fault.count, 0);
}

/* What a block gains shows the fill, whether it has stayed in its slab, its run, or moved. */
static void what_is_gained_shows_nothing(void **state)
{
    static const size_t sizes[][2] = {{10, 20}, {700, 710}, {5000, 9000}, {20000, 20010}, {100, 3000}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make();
        unsigned char *block = knoll_malloc(&heap, sizes[i][1]);
        memset(block, 7, sizes[i][1]);
        block = knoll_realloc(&heap, block, sizes[i][0]);
        block = knoll_realloc(&heap, block, sizes[i][1]);
        for (size_t at = 0; at < sizes[i][1]; at++)
            assert_int_equal(block[at], at < sizes[i][0] ? 7 : FILL_BYTE);
    }
}

/* ---- Counting ---- */

static void the_peak_counts_what_is_resized_in_place(void **state)
{
    (void)state;
    make();
    assert_non_null(knoll_malloc(&heap, KIB(16) - OVERHEAD)); /* so that a buddy's next is the first of two */
    void *run = knoll_malloc(&heap, KIB(16) - OVERHEAD);
    assert_ptr_equal(knoll_realloc(&heap, run, KIB(32) - OVERHEAD), run);
    assert_int_equal(stats_now().peak_used_bytes, KIB(48));
    assert_ptr_equal(knoll_realloc(&heap, run, KIB(16) - OVERHEAD), run);
    assert_int_equal(stats_now().peak_used_bytes, KIB(48));
}

static void attempts_are_no_allocations(void **state)
{
    static const size_t sizes[] = {100, 20000};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        make();
        unsigned char *block = knoll_malloc(&heap, sizes[i]);
        size_t whole = knoll_used_bytes(&heap);
        knoll_free(&heap, block);
        knoll_drain(&heap);
        struct knoll_stats before = stats_now();
        block[3] ^= 1;
        assert_ptr_equal(knoll_malloc(&heap, sizes[i]), block); /* after it was put right */
        assert_int_equal(last_fault.fault, KNOLL_FAULT_WRITE_AFTER_FREE);
        assert_int_equal(knoll_last_fault.block, (uintptr_t)block);
        assert_int_equal(knoll_last_fault.block_size, whole);
        assert_int_equal(stats_now().allocations, before.allocations + 1);
        assert_int_equal(stats_now().frees, before.frees);
        assert_int_equal(stats_now().failures, before.failures);
        assert_null(knoll_malloc(&heap, MIB(1)));
        assert_int_equal(stats_now().failures, before.failures + 1);
    }
}

/* ---- Bytes ---- */

static void the_fill_is_known(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(block[i], KNOLL_MEMORY_IS_ZERO ? 0 : 0xF5);
}

/* A secret is mixed of two numbers alone, so these are known; and heaps that lie elsewhere have others. */
static void secrets_are_known(void **state)
{
    (void)state;
    const struct knoll_heap *at = (const struct knoll_heap *)(uintptr_t)0x12345678;
    uintptr_t secret = knoll_guard_secret(at, (const void *)(uintptr_t)0x9ABCD000);
    assert_int_equal(secret, sizeof secret > 4 ? (uintptr_t)0x5BD2EBF1AD0F001CU : 0x3F2D342DU);
    make();
    make_heap(&other, arena_at(MIB(1), 0) + KIB(512), KIB(256));
    uintptr_t one = heap.secret;
    assert_true(one != 0 && other.secret != 0 && one != other.secret);
    make_heap(&other, arena_at(MIB(1), 0), KIB(256));
    assert_true(other.secret != one); /* by the place of the struct */
}

/* Neither a text's end, nor ASCII, nor 0xFF is a byte of a canary; and each of the other six bits is 0 in some, 1 in
 * others, in each place. */
static void every_byte_of_a_canary_is_even_and_over_127(void **state)
{
    unsigned char zeros[CANARY_LEAST + sizeof(uint32_t)] = {0}, ones[sizeof zeros] = {0};
    (void)state;
    make();
    for (size_t i = 0; i < 200; i++) {
        unsigned char *block = knoll_malloc(&heap, 16);
        for (size_t at = 0; at < sizeof zeros; at++) {
            unsigned char byte = at < CANARY_LEAST ? block[16 + at] : block[-1 - (int)(at - CANARY_LEAST)];
            assert_true(byte > 127 && byte % 2 == 0);
            ones[at] |= byte;
            zeros[at] |= (unsigned char)~byte;
        }
    }
    for (size_t at = 0; at < sizeof zeros; at++)
        assert_true(ones[at] == 0xFE && zeros[at] == 0x7F);
}

static bool are_alike(const char *left, const char *right) /* strcmp is not everywhere */
{
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

static void what_the_invariants_are_called(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "each block that a caller holds has its front part and its canary",
        "free memory, and what is in quarantine, holds the fill",
        "the quarantine has the blocks that say so, and counts them",
    };
    for (int number = 16; number <= 18; number++)
        assert_true(are_alike(knoll_invariant(number), texts[number - 16]));
    assert_true(are_alike(knoll_invariant(19), knoll_invariant(-1)));
    assert_false(are_alike(knoll_invariant(15), knoll_invariant(-1)));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_block_takes_its_guards_and_no_more),
    cmocka_unit_test(sizes_and_alignments_that_are_not_the_blocks),
    cmocka_unit_test(an_aligned_block_stays_while_its_class_serves),
    cmocka_unit_test(a_run_that_cannot_move_is_cut),
    cmocka_unit_test(what_is_gained_shows_nothing),
    cmocka_unit_test(the_peak_counts_what_is_resized_in_place),
    cmocka_unit_test(attempts_are_no_allocations),
    cmocka_unit_test(the_fill_is_known),
    cmocka_unit_test(secrets_are_known),
    cmocka_unit_test(every_byte_of_a_canary_is_even_and_over_127),
    cmocka_unit_test(what_the_invariants_are_called),
};

CHECK_MAIN(tests)
