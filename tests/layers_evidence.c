/* Rung 2: what a report says of an address, of blocks that wait, have left the quarantine, or were never handed out;
 * and who is named in it.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "evidence.h"
#include "large.h"
#include "quarantine.h"
#include "support.h"

#define WAITING KNOLL_QUARANTINE_BLOCKS

static struct knoll_heap heap;
static unsigned char *start;
static unsigned char *blocks[2 * WAITING];

static void make(void)
{
    start = arena_at(MIB(1), 0);
    make_heap(&heap, start, KIB(256));
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
}

/* Just one fault was reported since the last time, of this block. */
static void expect(enum knoll_fault fault, const void *address, const void *block, size_t block_size)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, fault);
    assert_ptr_equal(last_fault.address, address);
    assert_int_equal(knoll_last_fault.block, (uintptr_t)block);
    assert_int_equal(knoll_last_fault.block_size, block_size);
    last_fault.count = 0;
}

/* What the tables have for such a block. */
static size_t whole_block(size_t alignment, size_t size)
{
    size_t whole = (alignment > FRONT ? alignment : FRONT) + size + CANARY_LEAST;
    unsigned size_class = class_for(alignment, whole);
    return size_class == CLASS_LARGE ? knoll_large_length(alignment, whole) << KNOLL_UNIT_SHIFT
                                     : class_size(size_class);
}

/* ---- After the quarantine ---- */

static void freed_twice_after_it_has_left(void **state)
{
    static const size_t alignments[] = {16, 64, 256, 16, 512};
    static const size_t sizes[] = {100, 100, 200, 20000, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make();
        unsigned char *block = knoll_aligned_alloc(&heap, alignments[i], sizes[i]);
        assert_non_null(knoll_aligned_alloc(&heap, alignments[i], sizes[i])); /* so that a slab stays */
        knoll_free(&heap, block);
        knoll_drain(&heap);
        knoll_free(&heap, block);
        bool is_run = sizes[i] > KIB(16);
        if (!is_run || alignments[i] == 16) /* of a run an alignment's address leads nowhere any more */
            expect(KNOLL_FAULT_DOUBLE_FREE, block, is_run ? NULL : block,
                   is_run ? 0 : whole_block(alignments[i], sizes[i]));
        else
            expect(KNOLL_FAULT_NOT_HANDED_OUT, block, NULL, 0);
    }
}

/* In a slab, at places that are a block's, but were never handed out or cannot be where a caller's bytes begin. */
static void of_no_block_in_a_slab(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 200);
    size_t size = whole_block(16, 200);
    for (size_t i = 1; i < 4; i++) {
        knoll_free(&heap, block + i * size);
        expect(KNOLL_FAULT_NOT_HANDED_OUT, block + i * size, block + i * size, size);
    }
    knoll_free(&heap, block);
    knoll_drain(&heap);
    static const size_t from_start[] = {0, 8, 16, 24, 40, 48, 96};
    unsigned char *first = block - FRONT;
    assert_int_equal((uintptr_t)first % 32, 0);
    for (size_t i = 0; i < sizeof from_start / sizeof from_start[0]; i++) {
        if (from_start[i] == FRONT)
            continue;
        knoll_free(&heap, first + from_start[i]);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_NOT_HANDED_OUT);
        assert_int_equal(knoll_last_fault.block, (uintptr_t)block);
        last_fault.count = 0;
    }
}

/* ---- Without a front part ---- */

/* An aligned block's address can be a block's if it is as far from the start as its alignment, and a multiple of it. */
static void an_aligned_block_without_its_front_part(void **state)
{
    (void)state;
    make();
    for (size_t alignment = 64; alignment <= 1024; alignment *= 2) {
        unsigned char *block = knoll_aligned_alloc(&heap, alignment, 3 * alignment);
        block[-1] ^= 1;
        knoll_free(&heap, block);
        assert_int_equal(knoll_last_fault.broken, (uintptr_t)(block - FRONT));
        expect(KNOLL_FAULT_UNDERFLOW, block, block, whole_block(alignment, 3 * alignment));
        unsigned char *shifted = block + alignment; /* twice as far from the start */
        if ((uintptr_t)shifted % (2 * alignment) == 0)
            shifted += alignment / 2;
        knoll_free(&heap, shifted);
        assert_int_equal(last_fault.fault, KNOLL_FAULT_INTERIOR);
        assert_int_equal(knoll_last_fault.block, (uintptr_t)(block - alignment + FRONT)); /* where it most likely is */
        knoll_free(&heap, block - alignment + 16);                                        /* nearer than a front part */
        assert_int_equal(last_fault.fault, FRONT == 16 ? KNOLL_FAULT_UNDERFLOW : KNOLL_FAULT_INTERIOR);
        last_fault.count = 0;
    }
}

/* ---- Who ---- */

/* The ring has gone round more than once; whoever frees what waits again is told who freed it. */
static void who_freed_what_waits(void **state)
{
    (void)state;
    make();
    for (size_t i = 0; i < 2 * WAITING; i++)
        blocks[i] = knoll_malloc(&heap, 16);
    for (size_t i = 0; i < WAITING + WAITING / 2; i++) {
        knoll_set_tag(&heap, 1000 + i);
        knoll_free(&heap, blocks[i]);
    }
    assert_int_equal(heap.quarantine_count, WAITING);
    knoll_set_tag(&heap, 1);
    for (size_t i = WAITING / 2; i < WAITING + WAITING / 2; i++) {
        knoll_free(&heap, blocks[i]);
        expect(KNOLL_FAULT_DOUBLE_FREE, blocks[i], blocks[i], whole_block(16, 16));
        assert_int_equal(knoll_last_fault.freed.tag, 1000 + i);
        assert_int_equal(knoll_last_fault.found.tag, 1);
    }
    knoll_drain(&heap);
    for (size_t i = 0; i < 3; i++) { /* the first of them are anywhere in the ring */
        knoll_set_tag(&heap, 50 + i);
        knoll_free(&heap, blocks[WAITING + WAITING / 2 + i]);
    }
    for (size_t i = 0; i < 3; i++) {
        knoll_free(&heap, blocks[WAITING + WAITING / 2 + i]);
        assert_int_equal(knoll_last_fault.freed.tag, 50 + i);
    }
    last_fault.count = 0;
    unsigned char *aligned = knoll_aligned_alloc(&heap, 64, 100);
    knoll_set_tag(&heap, 77);
    knoll_free(&heap, aligned);
    aligned[-1] ^= 1; /* its front part says nothing any more: the ring does */
    knoll_free(&heap, aligned);
    expect(KNOLL_FAULT_DOUBLE_FREE, aligned, aligned, whole_block(64, 100));
    assert_int_equal(knoll_last_fault.freed.tag, 77);
}

/* What the ring still says of blocks that have left it means nothing. */
static void who_has_left_is_not_named(void **state)
{
    (void)state;
    make();
    unsigned char *block = knoll_malloc(&heap, 16);
    assert_non_null(knoll_malloc(&heap, 16));
    for (size_t i = 0; i < WAITING; i++) { /* each is in a place of its own, and the last one before the first */
        knoll_free(&heap, i == 0 ? block : knoll_malloc(&heap, 5000));
        knoll_drain(&heap);
    }
    assert_ptr_equal(knoll_malloc(&heap, 16), block);
    block[-1] ^= 1;
    knoll_free(&heap, block);
    expect(KNOLL_FAULT_UNDERFLOW, block, block, whole_block(16, 16));
}

static volatile size_t calls; /* counted after a call, so that it returns to the function */

static __attribute__((noinline)) void *from_one_place(void)
{
    void *block = knoll_malloc(&heap, 16);
    calls++;
    return block;
}

static __attribute__((noinline)) void *from_another_place(void)
{
    void *block = knoll_calloc(&heap, 1, 16);
    calls++;
    return block;
}

static uintptr_t caller_of(void *block)
{
    knoll_free_sized(&heap, block, 15);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
    return knoll_last_fault.allocated.caller;
}

static void who_asked_for_it(void **state)
{
    (void)state;
    make();
    knoll_set_tag(&heap, UINTPTR_MAX);
    uintptr_t one = caller_of(from_one_place());
    assert_int_equal(one, caller_of(from_one_place()));
    assert_int_equal(knoll_last_fault.allocated.tag, UINTPTR_MAX >> 8);
    uintptr_t another = caller_of(from_another_place());
    assert_true(one != another);
    assert_true(one - (uintptr_t)from_one_place < 256);
    assert_true(another - (uintptr_t)from_another_place < 256);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(freed_twice_after_it_has_left),
    cmocka_unit_test(of_no_block_in_a_slab),
    cmocka_unit_test(an_aligned_block_without_its_front_part),
    cmocka_unit_test(who_freed_what_waits),
    cmocka_unit_test(who_has_left_is_not_named),
    cmocka_unit_test(who_asked_for_it),
};

CHECK_MAIN(tests)
