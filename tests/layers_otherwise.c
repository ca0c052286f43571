/* Requests that their class cannot be served for: made in heaps of which all memory is held but what is to serve them.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "pages.h"
#include "support.h"

static struct knoll_heap heap;

static void make(void)
{
    make_heap(&heap, arena_at(KIB(64), KIB(12)), CLASSIC ? MIB(2) : KIB(512));
}

/* The block that is held here, which must be one. */
static struct block find(const void *address)
{
    struct block found = {{heap.list, NULL, NOWHERE, 0}, 0};
    assert_true(knoll_block_find(&heap, address, &found));
    return found;
}

/* Whether its size does not tell what it was asked for as. */
static bool is_loose(const struct block *block)
{
    if (block->place.shape == NULL)
        return (*block->place.slab & RUN_LOOSE) != 0;
    return (block->place.slab[CELL_NOTES] & SLAB_LOOSE) != 0;
}

static void *hold(size_t length)
{
    size_t usable = 0;
    void *run = large_take(&heap, length * UNIT, &usable);
    assert_non_null(run);
    heap.peak += usable;
    return run;
}

static void hold_all(void)
{
    for (size_t longest; (longest = knoll_pages_longest(&heap)) != 0;)
        hold(longest);
}

/* The block fits the request that it serves and any other that it could, but none that is longer than it is. */
static void expect_loose(const void *block, size_t alignment, size_t size)
{
    struct block found = find(block);
    assert_true(is_loose(&found) && is_aligned(block, alignment));
    assert_true(found.size >= knoll_good_size(&heap, alignment, size));
    assert_true(knoll_block_fits(block, &found, alignment, size));
    assert_true(knoll_block_fits(block, &found, alignment, found.size));
    assert_false(knoll_block_fits(block, &found, alignment, found.size + 1));
    assert_true(knoll_block_fits(block, &found, 1, 0));
    assert_int_equal(knoll_check(&heap), 0);
}

/* Takes a block of the class, which has none that is free, and all others that its slab has. */
static void *take_slab(unsigned size_class)
{
    void *block = knoll_malloc(&heap, class_size(size_class));
    while (slab_has_free(&heap, size_class))
        assert_non_null(knoll_malloc(&heap, class_size(size_class)));
    return block;
}

/* Where there is no memory for a slab, the next larger class that has a free block serves, if its blocks are aligned as
 * asked for; be the block remembered in the magazine or not. */
static void a_larger_class_serves(void **state)
{
    const unsigned last = KNOLL_CLASS_COUNT - (CLASSIC ? 2 : 1); /* whose slabs have several blocks */
    (void)state;
    for (unsigned i = 1; i < last; i++) {
        for (size_t alignment = 1; alignment <= class_size(last - 1); alignment *= 2) {
            if (class_for(alignment, 1) >= i)
                continue;
            make();
            void *larger = take_slab(i); /* and the next slab, so that the block's is not the current one */
            take_slab(i);
            void *largest = take_slab(last);
            take_slab(last);
            hold_all();
            size_t failures = heap.failures;
            assert_null(knoll_aligned_alloc(&heap, alignment, 1));
            assert_int_equal(heap.failures, failures + 1);

            knoll_free(&heap, largest);
            knoll_free(&heap, larger);
            bool serves = class_size(i) % alignment == 0;
            void *block = knoll_aligned_alloc(&heap, alignment, 1);
            assert_ptr_equal(block, serves ? larger : largest);
            expect_loose(block, alignment, 1);
            if (serves) {
                assert_ptr_equal(knoll_aligned_alloc(&heap, alignment, 1), largest);
                expect_loose(largest, alignment, 1);
            }
            assert_int_equal(heap.failures, failures + 1);
        }
    }
}

/* A run that is too short for a slab serves too, in compact; in classic none is. */
static void a_run_serves(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        make();
        void *run = hold(RUN_SHORTEST);
        hold_all();
        struct block found = find(run);
        heap.peak -= found.size;
        large_give(&heap, found.place.number);
        assert_ptr_equal(knoll_malloc(&heap, class_size(i)), run);
        if (!CLASSIC)
            expect_loose(run, 1, class_size(i));
        found = find(run);
        assert_true((found.place.shape != NULL) == CLASSIC && is_loose(&found) != CLASSIC);
        assert_int_equal(found.size, CLASSIC ? class_size(i) : RUN_SHORTEST * UNIT);
        knoll_free_sized(&heap, run, class_size(i));
        assert_int_equal(knoll_pages_longest(&heap), CLASSIC ? 0 : RUN_SHORTEST); /* or the slab is kept in hand */
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_larger_class_serves),
    cmocka_unit_test(a_run_serves),
};

CHECK_MAIN(tests)
