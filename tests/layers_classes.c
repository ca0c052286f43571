/* The size classes and the shapes of their slabs, against searches of the table and divisions.
 *
 * First the tables are held to what their members mean; then the arithmetic on them is compared with what a reader
 * would write first: class_for with the first class that will do, shape_block_at with a division, for every offset in a
 * slab of any shape and in as much again behind it.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "classes.h"
#include "support.h"

#define NO_BLOCK ((uint32_t)1 << 20) /* shape_block_at gives no less where no block starts: 2^32 / 4096 */

static size_t slab_bytes(const struct knoll_shape *shape)
{
    return (size_t)shape->low + 1;
}

static void the_shapes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = &knoll_shapes[i];
        uint32_t odd = (uint32_t)shape->size >> shape->rotate;
        assert_int_equal(odd % 2, 1);
        assert_int_equal(odd << shape->rotate, shape->size);
        assert_int_equal((uint32_t)(odd * shape->inverse), 1);
        /* A slab is aligned to its length: so the bits of `low` are those of an address within it. */
        assert_true(is_power_of_two(slab_bytes(shape)));
        assert_int_equal(slab_bytes(shape) % UNIT, 0);
        assert_int_equal(shape_length(shape) * UNIT, slab_bytes(shape));
        assert_int_equal(shape_length(shape) % GROUP_UNITS, 0);
        size_t blocks = 0;
        while (blocks < 64 && (blocks + 1) * shape->size <= slab_bytes(shape))
            blocks++;
        assert_true(blocks >= 1);
        assert_int_equal(shape->capacity, blocks);
        for (unsigned block = 0; block < 64; block++)
            assert_int_equal(shape->blocks >> block & 1,
                             CLASSIC ? block * 64 % shape->size == 0 : block < shape->capacity);
        /* No slab is longer than its blocks need: what is left over is less than one, and in all but a sixteenth. */
        size_t rest = slab_bytes(shape) - (size_t)shape->capacity * shape->size;
        assert_true(rest < shape->size && rest * 16 < slab_bytes(shape));
        assert_true(!CLASSIC || rest == 0);
    }
}

static void the_classes(void **state)
{
    size_t previous = 0;
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = &knoll_shapes[i];
        assert_int_equal(shape->size_class, i);
        assert_int_equal(shape->size, class_size(i));
        assert_true(class_size(i) > previous);
        assert_int_equal(class_size(i) % 16, 0);
        assert_true(CLASSIC ? shape_length(shape) == 1 : shape_length(shape) == 4 || shape_length(shape) == 8);
        assert_int_equal(shape_low(shape), shape->low);
        for (uint32_t block = 0; block < 64; block++)
            assert_int_equal(block_offset(shape->size, block), block * (CLASSIC ? 64 : shape->size));
        previous = class_size(i);
    }
    assert_int_equal(previous, KNOLL_SLAB_MAXIMUM);
}

/* What a unit's entry says for a slab is more than for any other kind, and has room for all shapes. */
static void shapes_as_units_say_them(void **state)
{
    (void)state;
    assert_int_equal(SHAPE_SLAB, cell_of(RUN_SLAB, NOWHERE) >> SHAPE_SHIFT);
    assert_true((cell_of(RUN_LARGE, NOWHERE) | (cell_of(RUN_FREE, NOWHERE) - 1)) >> SHAPE_SHIFT < SHAPE_SLAB);
    assert_true(SHAPE_SLAB + KNOLL_CLASS_COUNT <= (size_t)1 << (32 - SHAPE_SHIFT));
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
        assert_ptr_equal(shape_of(SHAPE_SLAB + i), &knoll_shapes[i]);
}

/* Classes waste no more than half in classic, and in compact a quarter at most from 64 bytes on. */
static void the_steps(void **state)
{
    (void)state;
    assert_int_equal(class_size(0), CLASSIC ? 64 : 32);
    for (unsigned i = 1; i < KNOLL_CLASS_COUNT; i++) {
        size_t size = class_size(i);
        size_t wasted = size - class_size(i - 1) - 1; /* at most */
        if (CLASSIC)
            assert_int_equal(size, 2 * class_size(i - 1));
        else
            assert_true(size < 64 ? wasted < 16 : 4 * wasted <= size);
    }
}

/* The first class that holds the size and all of whose blocks are aligned, which they are where the slab is. */
static unsigned naive_class(size_t alignment, size_t size)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
        if (class_size(i) >= size && class_size(i) % alignment == 0 && slab_bytes(&knoll_shapes[i]) % alignment == 0)
            return i;
    return CLASS_LARGE;
}

static void the_class_for_a_request(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4 * KNOLL_PAGE; alignment *= 2)
        for (size_t size = 0; size <= KNOLL_SLAB_MAXIMUM + 1; size++)
            assert_int_equal(class_for(alignment, size), naive_class(alignment, size));
    for (size_t large = 2 * KNOLL_SLAB_MAXIMUM; large != 0; large *= 2) {
        for (size_t alignment = 1; alignment != 0; alignment *= 2) {
            assert_int_equal(class_for(alignment, large), CLASS_LARGE);
            assert_int_equal(class_for(alignment, large - 1), CLASS_LARGE);
            assert_int_equal(class_for(alignment, SIZE_MAX), CLASS_LARGE);
        }
        assert_int_equal(class_for(large, 0), CLASS_LARGE);
        assert_int_equal(class_for(large, 1), CLASS_LARGE);
    }
}

static void the_class_for_a_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= KNOLL_SLAB_MAXIMUM; size++) {
        assert_int_equal(class_for_size(size), naive_class(1, size));
        assert_int_equal(class_for_size(size), class_for(1, size));
    }
}

static void the_block_at_an_offset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = &knoll_shapes[i];
        uint32_t step = CLASSIC ? 64 : shape->size; /* what indices count */
        uint32_t block = 0, into = 0;
        /* Further than the slab reaches: a block that would start behind it must be known by its index. */
        for (uint32_t offset = 0; offset <= 2 * slab_bytes(shape); offset++) {
            uint32_t found = shape_block_at(shape, offset);
            bool starts = offset % shape->size == 0 && offset / shape->size < shape->capacity;
            if (into == 0 ? found != block : found < NO_BLOCK)
                assert_int_equal(offset, found);
            assert_int_equal(shape_has(shape, found), starts);
            if (offset < slab_bytes(shape)) {
                uint32_t around = shape_block_around(shape, offset);
                bool inside = offset / shape->size < shape->capacity;
                assert_int_equal(shape_has(shape, around), inside);
                assert_true(!inside || block_offset(shape->size, around) == offset - offset % shape->size);
            }
            if (++into == step) {
                into = 0;
                block++;
            }
        }
        assert_true(block >= shape->capacity);
    }
}

/* Slabs are counted one by one: from that follow the blocks. */
static void the_blocks_of_a_class(void **state)
{
    static struct knoll_heap heap;
    (void)state;
    memset(&heap, 0, sizeof heap);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = &knoll_shapes[i];
        uint32_t slabs = ((uint32_t)1 << 26) + i; /* together they may have more blocks than 32 bits can count */
        heap.size_class[shape->size_class].slabs = slabs;
        size_t blocks = 0;
        for (uint32_t part = 0; part < 64; part++)
            blocks += part < shape->capacity ? slabs : 0;
        assert_int_equal(class_blocks(&heap, shape->size_class), blocks);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_shapes),
    cmocka_unit_test(the_classes),
    cmocka_unit_test(shapes_as_units_say_them),
    cmocka_unit_test(the_steps),
    cmocka_unit_test(the_class_for_a_request),
    cmocka_unit_test(the_class_for_a_size),
    cmocka_unit_test(the_block_at_an_offset),
    cmocka_unit_test(the_blocks_of_a_class),
};

CHECK_MAIN(tests)
