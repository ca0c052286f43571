/* The size classes, against searches of the table and divisions.
 *
 * First the table is held to what its members mean; then the arithmetic on it is compared with what a reader would
 * write first: class_for with the first class that will do, class_block_at with a division, for every offset that a
 * slab of any class can have.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "classes.h"
#include "support.h"

#define NO_BLOCK ((uint32_t)1 << 20) /* class_block_at gives no less where no block starts: 2^32 / 4096 */

static void the_table(void **state)
{
    uint32_t previous = 0;
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        uint32_t odd = (uint32_t)properties->size >> properties->shift;
        assert_true(properties->size > previous);
        assert_int_equal(properties->size % 16, 0);
        assert_int_equal(odd << properties->shift, properties->size);
        assert_int_equal(odd * properties->inverse, 1);
        /* Nothing is left over at the end of a slab of the usual length, and it is as long as 64 blocks at most. */
        assert_int_equal((size_t)properties->capacity * properties->size, properties->units * UNIT);
        assert_true(properties->capacity >= 1 && properties->capacity <= 64);
        /* A slab's state takes five cells, or four if its attributes are those of all tiny ones. */
        assert_int_equal(properties->least_units, CLASSIC ? 1 : i == 0 ? 4 : 5);
        assert_true(properties->least_units * UNIT >= properties->size);
        assert_true(properties->least_units <= properties->units);
        if (CLASSIC)
            assert_int_equal(properties->capacity, 64);
        previous = properties->size;
    }
    assert_int_equal(previous, KNOLL_SLAB_MAXIMUM);
}

/* Classes waste no more than half in classic, and in compact a quarter at most from 64 bytes on. */
static void the_steps(void **state)
{
    (void)state;
    assert_int_equal(knoll_classes[0].size, CLASSIC ? 64 : 32);
    for (unsigned i = 1; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t previous = knoll_classes[i - 1].size;
        uint32_t step = CLASSIC ? previous : 16;
        while (!CLASSIC && step * 8 <= previous)
            step *= 2;
        assert_int_equal(knoll_classes[i].size, previous + step);
    }
}

/* The first class that holds the size, and all of whose blocks are aligned when the slab starts at a unit. */
static unsigned naive_class(size_t alignment, size_t size)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
        if (knoll_classes[i].size >= size && knoll_classes[i].size % alignment == 0 && alignment <= UNIT &&
            (CLASSIC || i > 0 || alignment <= 16)) /* tiny slabs know nothing of alignment */
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
        assert_int_equal(class_for(large, 1), CLASS_LARGE);
    }
}

static void the_block_at_an_offset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        uint32_t block = 0, into = 0;
        /* Further than any slab of the class, because slab_find asks for what lies behind a slab as well. */
        for (uint32_t offset = 0; offset <= 128 * UNIT; offset++) {
            uint32_t found = class_block_at(properties, offset);
            if (into == 0 ? found != block : found < NO_BLOCK)
                assert_int_equal(offset, found);
            if (++into == properties->size) {
                into = 0;
                block++;
            }
        }
    }
}

static void blocks_in_a_short_slab(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        for (uint32_t units = properties->least_units; units <= properties->units; units++) {
            size_t blocks = 0;
            while (blocks < 64 && (blocks + 1) * properties->size <= units * UNIT)
                blocks++;
            assert_int_equal(class_blocks_in(properties, units), blocks);
            assert_true(blocks >= 1);
        }
    }
}

static void the_shortest_slab_of_so_many_blocks(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        uint32_t units = properties->least_units;
        for (unsigned blocks = 1; blocks <= properties->capacity; blocks++) {
            while (units * UNIT < (size_t)blocks * properties->size)
                units++;
            assert_int_equal(class_units_for(properties, blocks), units);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_table),
    cmocka_unit_test(the_steps),
    cmocka_unit_test(the_class_for_a_request),
    cmocka_unit_test(the_block_at_an_offset),
    cmocka_unit_test(blocks_in_a_short_slab),
    cmocka_unit_test(the_shortest_slab_of_so_many_blocks),
};

CHECK_MAIN(tests)
