/* Damage to the quarantine, at rung 2: knoll_check sees every bit of it that matters, and a block that cannot be one is
 * reported when it leaves, and not touched.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define WAITING 12u

static struct knoll_heap heap;

static void make_waiting(void)
{
    void *blocks[WAITING];
    make_heap(&heap, arena, MIB(1));
    knoll_set_fault_handler(&heap, record_fault);
    for (size_t i = 0; i < WAITING; i++)
        blocks[i] = knoll_malloc(&heap, 50 * i * i);
    knoll_drain(&heap);
    free_all(&heap, blocks, WAITING);
    assert_int_equal(heap.quarantine_count, WAITING);
    assert_int_equal(knoll_check(&heap), 0);
    last_fault.count = 0;
}

static void expect_all_seen(void *start, size_t size)
{
    unsigned char *bytes = start;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(knoll_check(&heap), 18);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_equal(knoll_check(&heap), 0);
}

static void every_bit_is_seen(void **state)
{
    (void)state;
    make_waiting();
    expect_all_seen(&heap.quarantined_bytes, sizeof heap.quarantined_bytes);
    expect_all_seen(&heap.quarantine_first, sizeof heap.quarantine_first);
    expect_all_seen(&heap.quarantine_count, sizeof heap.quarantine_count);
    for (size_t i = 0; i < WAITING; i++)
        expect_all_seen(&heap.quarantine[heap.quarantine_first + i].block, sizeof(void *));
}

/* In another place of the heap, in the tables, outside, off alignment, where a block starts and its front part is. */
static void what_is_no_block_is_left_alone(void **state)
{
    (void)state;
    for (size_t which = 0; which < 5; which++) {
        make_waiting();
        unsigned char *wrong[] = {arena + MIB(1) - 64, arena + 64, arena + MIB(2),
                                  (unsigned char *)heap.quarantine[heap.quarantine_first].block + 1,
                                  (unsigned char *)heap.quarantine[heap.quarantine_first].block - 16};
        heap.quarantine[heap.quarantine_first].block = wrong[which];
        knoll_drain(&heap);
        assert_int_equal(last_fault.count, 1);
        assert_int_equal(heap.quarantine_count, 0);
        assert_int_equal(knoll_used_bytes(&heap), 0); /* nothing was counted as leaving */
        assert_int_equal(knoll_check(&heap), 18);     /* one waits still, of which the ring knows nothing */
    }
}

/* Bytes that the ring has of no block any more take no place of others. */
static void what_was_of_no_block_takes_no_place(void **state)
{
    (void)state;
    make_heap(&heap, arena, MIB(1));
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
    void *blocks[] = {knoll_malloc(&heap, KNOLL_QUARANTINE_BYTES / 2 - OVERHEAD),
                      knoll_malloc(&heap, KNOLL_QUARANTINE_BYTES - OVERHEAD)};
    knoll_free(&heap, blocks[0]);
    heap.quarantine[0].block = arena + MIB(2);
    knoll_free(&heap, blocks[1]);
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(heap.quarantine_count, 1);
    assert_int_equal(heap.quarantined_bytes, KNOLL_QUARANTINE_BYTES);
}

/* The statistics of a ring that is broken are wrong, but no more. */
static void statistics_of_a_broken_ring(void **state)
{
    (void)state;
    struct knoll_stats before, after;
    make_waiting();
    knoll_get_stats(&heap, &before);
    heap.quarantine[heap.quarantine_first].block = arena + MIB(2);
    knoll_get_stats(&heap, &after);
    size_t held[] = {before.large_blocks, after.large_blocks};
    for (size_t i = 0; i < before.class_count; i++) {
        held[0] += before.size_class[i].used_blocks;
        held[1] += after.size_class[i].used_blocks;
    }
    assert_int_equal(held[0], 0);
    assert_int_equal(held[1], 1); /* of which the ring does not know that it waits */
}

/* A block of `size` bytes in the tables is freed: whether it waits. */
static bool waits(size_t size)
{
    void *block = knoll_malloc(&heap, size - OVERHEAD);
    assert_int_equal(knoll_used_bytes(&heap), size);
    knoll_free(&heap, block);
    bool does = heap.quarantine_count == 1;
    assert_int_equal(heap.quarantined_bytes, does ? size : 0);
    knoll_drain(&heap);
    return does;
}

/* An eighth of the heap, and KNOLL_QUARANTINE_BYTES. */
static void as_much_as_may_wait(void **state)
{
    (void)state;
    size_t unit = CLASSIC ? KIB(4) : 512;
    for (size_t span = KIB(128); span <= MIB(1); span *= 2) {
        make_heap(&heap, arena, span);
        size_t most = knoll_total_bytes(&heap) / 8;
        most = (most < KNOLL_QUARANTINE_BYTES ? most : KNOLL_QUARANTINE_BYTES) & ~(unit - 1);
        if (CLASSIC)
            while ((most & (most - 1)) != 0)
                most &= most - 1;
        assert_true(waits(most));
        assert_true(!waits(CLASSIC ? 2 * most : most + unit));
    }
    size_t half = KNOLL_QUARANTINE_BYTES / 2; /* two of these may wait, and not another one */
    void *blocks[] = {knoll_malloc(&heap, half - OVERHEAD), knoll_malloc(&heap, half - OVERHEAD),
                      knoll_malloc(&heap, 1)};
    for (uint32_t i = 0; i < 3; i++) {
        knoll_free(&heap, blocks[i]);
        assert_int_equal(heap.quarantine_count, i == 0 ? 1 : 2);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_is_seen),
    cmocka_unit_test(what_is_no_block_is_left_alone),
    cmocka_unit_test(what_was_of_no_block_takes_no_place),
    cmocka_unit_test(statistics_of_a_broken_ring),
    cmocka_unit_test(as_much_as_may_wait),
};

CHECK_MAIN(tests)
