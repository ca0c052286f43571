/* What knoll_check sees of the classes' states: what they say a class is like, and their magazines' hints, bit by bit;
 * then what one bit cannot break by itself.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_check.h"

/* What a class is like never changes, so each bit of it must be seen; and of the current slab where it is. */
static void every_bit_of_what_a_class_is_like(void **state)
{
    (void)state;
    make_rich_heap(1);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        struct knoll_class_state *of_class = &heap.size_class[i];
        expect_all_seen(&of_class->blocks, sizeof of_class->blocks);
        expect_all_seen(&of_class->size, sizeof of_class->size);
#if KNOLL_PROFILE == KNOLL_COMPACT
        expect_all_seen(&of_class->inverse, sizeof of_class->inverse);
        expect_all_seen(&of_class->low, sizeof of_class->low);
        expect_all_seen(&of_class->rotate, sizeof of_class->rotate);
#endif
        expect_all_seen(&of_class->current, sizeof of_class->current);
        if (of_class->current != NULL)
            expect_all_seen(&of_class->start, sizeof of_class->start);
    }
}

static void what_cannot_be_at_hand(void **state)
{
    (void)state;
    make_rich_heap(1);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        struct knoll_class_state *of_class = &heap.size_class[i];
        uint64_t sound = of_class->at_hand;
        uint64_t may_be = of_class->current == NULL ? 0 : of_class->blocks & ~slab_held(of_class->current);
        for (unsigned j = 0; j < 64; j++) {
            of_class->at_hand = sound | bit(j);
            if ((may_be & bit(j)) == 0)
                assert_true(knoll_check(&heap) != 0);
        }
        of_class->at_hand = sound;
        assert_int_equal(knoll_check(&heap), 0);
    }
}

#if KNOLL_MAGAZINE > 0

/* In classic the bits of the address that say which block of the slab may lead to another free one, which does no
 * harm. */
static void flip_hint(struct knoll_class_state *of_class, size_t hint)
{
    unsigned char *block = of_class->hint_block[hint];
    expect_all_seen(&of_class->hint_slab[hint], sizeof of_class->hint_slab[hint]);
#if KNOLL_PROFILE == KNOLL_COMPACT
    expect_all_seen(&of_class->hint_index[hint], sizeof of_class->hint_index[hint]);
#endif
    for (unsigned i = 0; i < 8 * sizeof block; i++) {
        if (CLASSIC && i >= INDEX_SHIFT && i < KNOLL_UNIT_SHIFT)
            continue;
        of_class->hint_block[hint] = (void *)((uintptr_t)block ^ (uintptr_t)1 << i);
        assert_true(knoll_check(&heap) != 0);
        flipped++;
    }
    of_class->hint_block[hint] = block;
}

static void every_bit_of_the_hints(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        make_rich_heap(seed);
        flipped = 0;
        for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
            int hints = heap.size_class[i].hints;
            for (int j = 0; j < (hints < 0 ? -hints : hints); j++)
                flip_hint(&heap.size_class[i], (size_t)j);
        }
        assert_true(flipped > 0);
        assert_int_equal(knoll_check(&heap), 0);
        check_say("all of ", flipped, " flipped bits seen\n");
    }
}

static void expect(int broken)
{
    assert_int_equal(knoll_check(&heap), broken);
}

/* Makes a small heap that holds a block of this size, and whose magazine has one hint to another in the same slab. */
static struct knoll_class_state *make_hint(size_t size, unsigned char **held, unsigned char **hinted)
{
    make_heap(&heap, arena_at(KIB(64), 0), FIRST_SIZE);
    *held = knoll_malloc(&heap, size);
    *hinted = knoll_malloc(&heap, size);
    knoll_free(&heap, *hinted);
    struct knoll_class_state *of_class = &heap.size_class[class_for(1, size)];
    assert_ptr_equal(of_class->hint_block[0], *hinted);
    assert_int_equal(of_class->hints, 1);
    return of_class;
}

static void hints_that_say_no_free_block(void **state)
{
    (void)state;
    unsigned char *held, *block;
    struct knoll_class_state *of_class = make_hint(64, &held, &block);
    uint32_t *slab = of_class->hint_slab[0];
    of_class->hint_block[0] = held;
    expect(FREE_BLOCKS);
#if KNOLL_PROFILE == KNOLL_COMPACT
    uint8_t index = of_class->hint_index[0];
    of_class->hint_index[0] = 0; /* which is held */
    expect(FREE_BLOCKS);
    of_class->hint_index[0] = index;
    of_class->hint_block[0] = block;
    of_class->hint_index[0] = 64;
    expect(FREE_BLOCKS);
    of_class->hint_index[0] = index;
#endif
    of_class->hint_block[0] = block + 16; /* amid a block */
    expect(FREE_BLOCKS);
    of_class->hint_block[0] = block + KNOLL_PAGE; /* beyond the slab */
    expect(FREE_BLOCKS);
    of_class->hint_block[0] = block;
    of_class->hint_slab[0] = slab + CELLS_PER_UNIT;
    expect(FREE_BLOCKS);
    of_class->hint_slab[0] = NULL;
    expect(FREE_BLOCKS);
    of_class->hint_slab[0] = slab;
    expect(HOLDS);

    of_class->at_hand |= bit(hint_index(of_class, 0)); /* in two places */
    expect(FREE_BLOCKS);
    of_class->at_hand &= ~bit(hint_index(of_class, 0));
    expect(HOLDS);
    of_class->hints = KNOLL_MAGAZINE + 1;
    expect(FREE_BLOCKS);
    of_class->hints = 0; /* nowhere is as good, in the current slab */
    expect(HOLDS);
}

static void a_hint_twice(void **state)
{
    (void)state;
#if KNOLL_MAGAZINE > 1
    unsigned char *held, *block;
    struct knoll_class_state *of_class = make_hint(64, &held, &block);
    of_class->hint_block[1] = block;
    of_class->hint_slab[1] = of_class->hint_slab[0];
    hint_set_index(of_class, 1, hint_index(of_class, 0));
    of_class->hints = 2;
    expect(FREE_BLOCKS);
#endif
}

/* In compact in what is left over after a slab's blocks; in classic amid a block, where another class has one. */
static void a_hint_to_what_is_no_block(void **state)
{
    (void)state;
    unsigned char *held, *block;
    struct knoll_class_state *of_class = make_hint(800, &held, &block);
    uint32_t index = CLASSIC ? 0 : knoll_shapes[class_for(1, 800)].capacity;
    of_class->hint_block[0] = CLASSIC ? block + 64 : block + (index - hint_index(of_class, 0)) * of_class->size;
    hint_set_index(of_class, 0, index);
    expect(FREE_BLOCKS);
}

/* Hints of which some may be to slabs that went back. */
static void hints_that_are_unsure(void **state)
{
    (void)state;
    unsigned char *held, *block;
    struct knoll_class_state *of_class = make_hint(64, &held, &block);
    of_class->hints = -1;
    expect(HOLDS);
    of_class->hints = -KNOLL_MAGAZINE - 1;
    expect(FREE_BLOCKS);
    of_class->hints = INT8_MIN;
    expect(FREE_BLOCKS);
}

/* A hint to a slab that went back, which must name an entry all the same that a slab with its block would have, for
 * that is looked at. */
static void old_hints(void **state)
{
    (void)state;
#if KNOLL_MAGAZINE > 1
    unsigned char *held, *block;
    struct knoll_class_state *of_class = make_hint(64, &held, &block);
    unsigned char *run = knoll_aligned_alloc(&heap, KNOLL_PAGE, 10000);
    const struct knoll_region *region = heap.region[0];
    uint32_t *slab = region_entry(region, (uint32_t)(region_offset(region, run) >> KNOLL_UNIT_SHIFT));
    of_class->hint_block[1] = run + 64;
    of_class->hint_slab[1] = slab;
    hint_set_index(of_class, 1, 1);
    of_class->hints = -2;
    expect(HOLDS);
    of_class->hint_slab[1] = slab + 1;
    expect(FREE_BLOCKS);
    of_class->hint_slab[1] = slab;
    of_class->hint_block[1] = run + KNOLL_PAGE;
    expect(FREE_BLOCKS);
    of_class->hint_block[1] = NULL;
    expect(FREE_BLOCKS);
    of_class->hint_block[1] = run + 80; /* amid a block */
    expect(FREE_BLOCKS);
    of_class->hint_block[1] = run + 64;
    hint_set_index(of_class, 1, 2); /* in classic there is none to set */
    expect(CLASSIC ? HOLDS : FREE_BLOCKS);
    hint_set_index(of_class, 1, 1);
    of_class->hints = 2;
    expect(FREE_BLOCKS);
    of_class->hints = -2;
    assert_ptr_equal(knoll_malloc(&heap, 64), block); /* not the old one */
    assert_int_equal(of_class->hints, 0);
    expect(HOLDS);
#endif
}

#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_of_what_a_class_is_like),
    cmocka_unit_test(what_cannot_be_at_hand),
#if KNOLL_MAGAZINE > 0
    cmocka_unit_test(every_bit_of_the_hints),
    cmocka_unit_test(hints_that_say_no_free_block),
    cmocka_unit_test(a_hint_twice),
    cmocka_unit_test(a_hint_to_what_is_no_block),
    cmocka_unit_test(hints_that_are_unsure),
    cmocka_unit_test(old_hints),
#endif
};

CHECK_MAIN(tests)
