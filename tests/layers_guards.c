/* Rung 2 from within: what the guards, the evidence and the sweep make of damage that callers alone seldom do, and that
 * tests/misuse.c, which is a caller, therefore does not have.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "evidence.h"
#include "quarantine.h"
#include "support.h"

enum { GUARDS_BROKEN = 16, FILL_BROKEN = 17, QUARANTINE_BROKEN = 18 };

static struct knoll_heap heap;
static unsigned char *start;

static void make(void)
{
    start = arena_at(MIB(1), 0);
    make_heap(&heap, start, KIB(256));
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
}

/* Just one fault was reported since the last time. */
static void expect(enum knoll_fault fault, const void *address, const unsigned char *broken)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, fault);
    assert_ptr_equal(last_fault.address, address);
    assert_int_equal(knoll_last_fault.broken, (uintptr_t)broken);
    last_fault.count = 0;
}

static void spoil(unsigned char *byte)
{
    *byte ^= 1;
}

/* ---- Front parts ---- */

/* A front part that fits its address, and belongs to no block: who can write one has read another and the secret. */
static void a_forged_front_part(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 1000);
    unsigned char *forged = block + 256;
    *guard_front_of(forged) = (struct guard_front){.size = 16, .notes = GUARD_LOG2_LEAST};
    knoll_guard_seal(&heap, forged);
    assert_true(knoll_guard_is_sealed(&heap, forged));
    knoll_free(&heap, forged);
    expect(KNOLL_FAULT_INTERIOR, forged, NULL);
    knoll_free(&heap, block);
    assert_int_equal(last_fault.count, 0);
}

/* One that says more bytes than there are: what would be the canary lies outside of the block. */
static void a_front_part_that_says_too_much(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 100);
    size_t whole = knoll_used_bytes(&heap);
    size_t sizes[] = {whole - OVERHEAD + 1, whole, whole + 1, SIZE_MAX, SIZE_MAX - OVERHEAD + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        guard_front_of(block)->size = sizes[i];
        knoll_guard_seal(&heap, block);
        knoll_free(&heap, block);
        assert_int_equal(last_fault.count, i + 1);
    }
    guard_front_of(block)->size = 100;
    knoll_guard_seal(&heap, block);
    knoll_free(&heap, block);
    assert_int_equal(last_fault.count, sizeof sizes / sizeof sizes[0]);
}

/* Tables that name, as the block to be handed out next, none, or one that is too small. */
static void a_block_that_cannot_serve(void **state)
{
    (void)state;
#if KNOLL_MAGAZINE > 0
    for (size_t which = 0; which < 2; which++) {
        make();
        unsigned char *small = knoll_malloc(&heap, 16);
        knoll_free(&heap, knoll_malloc(&heap, 900));
        knoll_drain(&heap);
        size_t size_class = class_for(1, 900 + OVERHEAD);
        void **hint = heap.size_class[size_class].hint_block;
        assert_int_equal(heap.size_class[size_class].hints, 1);
        *hint = which == 0 ? (unsigned char *)*hint + 16 : small - GUARD_FRONT;
        assert_null(knoll_malloc(&heap, 900));
        assert_int_equal(last_fault.count, 1);
        assert_true(guard_front_of(small)->size == 16); /* which is untouched */
    }
#endif
}

static void a_write_far_in_front(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_aligned_alloc(&heap, 256, 100);
    spoil(block - 200);
    knoll_free(&heap, block);
    expect(KNOLL_FAULT_UNDERFLOW, block, block - 200);
    spoil(block - 200);
    knoll_free(&heap, block);
    assert_int_equal(last_fault.count, 0);
    spoil(block - 200); /* while it is in quarantine */
    knoll_drain(&heap);
    expect(KNOLL_FAULT_WRITE_AFTER_FREE, block - 200, block - 200);
}

static void a_front_part_broken_in_quarantine(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 100);
    knoll_set_tag(&heap, 7);
    knoll_free(&heap, block);
    spoil(block - 1);
    knoll_free(&heap, block); /* the quarantine knows it, and who freed it */
    expect(KNOLL_FAULT_DOUBLE_FREE, block, NULL);
    assert_int_equal(knoll_last_fault.freed.tag, 7);
    knoll_drain(&heap);
    expect(KNOLL_FAULT_WRITE_AFTER_FREE, block - GUARD_FRONT, block - GUARD_FRONT);
    assert_int_equal(knoll_check(&heap), 0);
}

/* With the front part gone, only an address at which a block can begin is taken for that of one. */
static void addresses_that_no_block_can_have(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 200);
    unsigned char *inside = block - GUARD_FRONT + 48;
    spoil(block - 1);
    knoll_free(&heap, inside);
    expect(KNOLL_FAULT_INTERIOR, inside, NULL);
    knoll_free(&heap, block);
    expect(KNOLL_FAULT_UNDERFLOW, block, block - GUARD_FRONT);
    spoil(block - 1);

    unsigned char *blocks[8];
    size_t unaligned = 0;
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = knoll_malloc(&heap, 136);
        if (((uintptr_t)blocks[i] - GUARD_FRONT) % 64 != 0)
            unaligned = i;
    }
    for (size_t i = 0; i < 8; i++)
        knoll_free(&heap, blocks[i]);
    knoll_drain(&heap);
    knoll_free(&heap, blocks[unaligned] - GUARD_FRONT + 64);
    if (((uintptr_t)blocks[unaligned] - GUARD_FRONT) % 64 != 0) /* in classic all blocks are aligned to 64 */
        expect(KNOLL_FAULT_NOT_HANDED_OUT, blocks[unaligned] - GUARD_FRONT + 64, NULL);
    else
        assert_true(CLASSIC);
}

/* ---- The secret ---- */

static void a_secret_is_set_before_the_first_block(void **state)
{
    (void)state;
    unsigned char canaries[3][CANARY_LEAST];
    for (uintptr_t secret = 0; secret < 3; secret++) {
        make();
        if (secret > 0)
            knoll_set_secret(&heap, secret * 12345);
        memcpy(canaries[secret], (unsigned char *)knoll_malloc(&heap, 16) + 16, CANARY_LEAST);
        unsigned char *block = knoll_malloc(&heap, 16);
        knoll_set_secret(&heap, 99); /* too late: nobody's guards would hold any more */
        knoll_free(&heap, block);
        assert_int_equal(last_fault.count, 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
    assert_true(memcmp(canaries[0], canaries[1], CANARY_LEAST) != 0);
    assert_true(memcmp(canaries[1], canaries[2], CANARY_LEAST) != 0);
}

/* ---- Growing into free memory that was written to ---- */

static void a_run_grows_over_a_write(void **state)
{
    (void)state;
    make();
    size_t small = KIB(16) - OVERHEAD;
    size_t large = KIB(32) - OVERHEAD;
    unsigned char *block = knoll_malloc(&heap, large);
    assert_ptr_equal(knoll_realloc(&heap, block, small), block);
    assert_ptr_equal(knoll_realloc(&heap, block, large), block);
    assert_ptr_equal(knoll_realloc(&heap, block, small), block);
    assert_int_equal(last_fault.count, 0);
    unsigned char *written = block + KIB(16) + 5;
    spoil(written);
    assert_ptr_equal(knoll_realloc(&heap, block, large), block);
    expect(KNOLL_FAULT_WRITE_AFTER_FREE, written, written);
    assert_int_equal(knoll_check(&heap), 0); /* it was put right */
    knoll_free(&heap, block);
    assert_int_equal(last_fault.count, 0);
}

/* ---- The sweep ---- */

/* Spans that begin anywhere in some words: which byte is wrong, if one is; and none where there is nothing, or less. */
static void each_byte_of_a_short_span_is_verified(void **state)
{
    enum { LENGTH = 4 * sizeof(uintptr_t) };
    static _Alignas(64) unsigned char bytes[LENGTH + 1];
    (void)state;
    knoll_fill(bytes, bytes + sizeof bytes);
    for (size_t from = 0; from < LENGTH; from++) {
        assert_null(knoll_fill_broken(bytes + from, bytes + LENGTH));
        for (size_t wrong = from; wrong <= LENGTH; wrong++) {
            spoil(bytes + wrong);
            assert_ptr_equal(knoll_fill_broken(bytes + from, bytes + LENGTH), wrong < LENGTH ? bytes + wrong : NULL);
            spoil(bytes + wrong);
        }
    }
    spoil(bytes);
    spoil(bytes + LENGTH);
    assert_null(knoll_fill_broken(bytes, bytes));
    assert_null(knoll_fill_broken(bytes + LENGTH, bytes + LENGTH));
    assert_null(knoll_fill_broken(bytes + LENGTH, bytes));
    assert_null(knoll_fill_broken(bytes + 1, bytes));
}

static void fill_at_the_end_of_a_region(void **state)
{
    (void)state;
    make();
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, start + KIB(512), KIB(64));
    assert_int_equal(knoll_check(&heap), 0);
    spoil(start + KIB(256) - 1);
    assert_int_equal(knoll_check(&heap), FILL_BROKEN);
    spoil(start + KIB(256) - 1);
    unsigned char *last = KNOLL_REGIONS_MAX > 1 ? start + KIB(512) + KIB(64) - 1 : start + KIB(256) - 1;
    spoil(last);
    assert_int_equal(knoll_check(&heap), FILL_BROKEN);
    spoil(last);
    heap.large_blocks++; /* the tables come first */
    assert_true(knoll_check(&heap) != 0 && knoll_check(&heap) < GUARDS_BROKEN);
}

static int note_free_run(void *context, const struct knoll_item *item)
{
    if (item->kind == KNOLL_ITEM_FREE)
        *(unsigned char **)context = (unsigned char *)(uintptr_t)item->start;
    return item->kind == KNOLL_ITEM_FREE;
}

/* What knoll_check_blocks verifies, and what it leaves to knoll_check. */
static void blocks_alone_are_verified(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 100);
    unsigned char *large = knoll_malloc(&heap, 20000);
    unsigned char *waits = knoll_malloc(&heap, 100);
    knoll_free(&heap, waits);
    unsigned char *end = start + KIB(256);
    unsigned char *run = end;
    assert_int_equal(knoll_walk(&heap, note_free_run, &run), 1);
    unsigned char *spoilt[] = {block - 1, block + 100, large + 20000, waits + 5, run, end - 1};
    assert_int_equal(knoll_check_blocks(&heap), 0);
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        spoil(spoilt[i]);
        assert_int_equal(knoll_check_blocks(&heap), i < 3 ? GUARDS_BROKEN : FILL_BROKEN);
        spoil(spoilt[i]);
    }
    spoil(end - KIB(32));
    assert_int_equal(knoll_check_blocks(&heap), 0);
    assert_int_equal(knoll_check(&heap), FILL_BROKEN);
    spoil(end - KIB(32));
    assert_int_equal(knoll_check(&heap), 0);
}

static void the_quarantine_is_counted(void **state)
{
    (void)state;
    make();
    knoll_free(&heap, knoll_malloc(&heap, 100));
    assert_int_equal(heap.quarantine_count, 1);
    heap.quarantine_count = 0;
    assert_int_equal(knoll_check(&heap), QUARANTINE_BROKEN);
    heap.quarantine_count = 1;
    heap.quarantined_bytes--;
    assert_int_equal(knoll_check(&heap), QUARANTINE_BROKEN);
    heap.quarantined_bytes++;
    assert_int_equal(knoll_check(&heap), 0);
}

static int note_block(void *context, const struct knoll_item *item)
{
    if (item->kind == KNOLL_ITEM_BLOCK)
        *(struct knoll_item *)context = *item;
    return 0;
}

static void a_block_without_its_front_part_is_shown_without_bytes(void **state)
{
    struct knoll_item shown = {0};
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 100);
    spoil(block - 1);
    assert_int_equal(knoll_check(&heap), GUARDS_BROKEN);
    knoll_walk(&heap, note_block, &shown);
    assert_ptr_equal(shown.start, block);
    assert_int_equal(shown.size, 0);
    assert_true(shown.block_size >= 100 + OVERHEAD);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_forged_front_part),
    cmocka_unit_test(a_front_part_that_says_too_much),
    cmocka_unit_test(a_block_that_cannot_serve),
    cmocka_unit_test(a_write_far_in_front),
    cmocka_unit_test(a_front_part_broken_in_quarantine),
    cmocka_unit_test(addresses_that_no_block_can_have),
    cmocka_unit_test(a_secret_is_set_before_the_first_block),
    cmocka_unit_test(a_run_grows_over_a_write),
    cmocka_unit_test(each_byte_of_a_short_span_is_verified),
    cmocka_unit_test(fill_at_the_end_of_a_region),
    cmocka_unit_test(blocks_alone_are_verified),
    cmocka_unit_test(the_quarantine_is_counted),
    cmocka_unit_test(a_block_without_its_front_part_is_shown_without_bytes),
};

CHECK_MAIN(tests)
