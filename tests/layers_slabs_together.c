/* Slabs made together, for a batch or for a processor, and those that come free together.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_slab.h"

/* A place for so many blocks of one slab after another. */
static void *many[64 * (SLABS_AT_ONCE + 2)];

/* Takes up to so many blocks of new slabs; how many. */
static size_t take_new(unsigned i, size_t count)
{
    size_t taken = knoll_slab_take_new(&heap, i, count, many);
    heap.peak += taken * class_size(i);
    assert_int_equal(knoll_check(&heap), 0);
    return taken;
}

static uint32_t slabs_for(unsigned i, size_t count)
{
    return (uint32_t)((count + usual(i)->capacity - 1) / usual(i)->capacity);
}

/* As many as the blocks need, side by side as far as that is known to be possible; the last of them is the current one
 * if it has blocks left. */
static void slabs_are_made_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class_state *counts = &heap.size_class[i];
        size_t capacity = usual(i)->capacity;
        for (size_t count = 1; count <= (SLABS_AT_ONCE + 1) * capacity; count += 1 + count / 2) {
            make_wide();
            size_t slabs = CLASSIC ? 1 : slabs_for(i, count) < SLABS_AT_ONCE ? slabs_for(i, count) : SLABS_AT_ONCE;
            size_t expected = count < slabs * capacity ? count : slabs * capacity;
            assert_int_equal(take_new(i, count), expected);
            for (size_t n = 0; n < expected; n++) {
                size_t within = n / capacity * shape_length(usual(i)) * UNIT + n % capacity * class_size(i);
                assert_ptr_equal(many[n], (unsigned char *)many[0] + within);
                assert_int_equal(find(many[n]).index, index_of(i, n % capacity));
            }
            assert_int_equal(counts->slabs, slabs);
            assert_int_equal(counts->free_blocks, slabs * capacity - expected);
            bool is_left = counts->free_blocks != 0;
            assert_ptr_equal(counts->current, is_left ? find(many[expected - 1]).slab : NULL);
            assert_true(counts->is_new == is_left && counts->partial == NOWHERE);
        }
    }
}

/* Where there is no room for so many there are fewer, and what is left over stays free. */
static void fewer_slabs_where_fewer_fit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t length = shape_length(usual(i));
        for (uint32_t units = RUN_SHORTEST; units <= (CLASSIC ? 4 : 4 * length + 3); units += CLASSIC ? units : 1) {
            (void)narrow(units, 0);
            size_t slabs = CLASSIC ? 1 : units / length < 3 ? units / length : 3;
            assert_int_equal(take_new(i, 3u * usual(i)->capacity), slabs * usual(i)->capacity);
            assert_int_equal(heap.size_class[i].slabs, slabs);
            uint32_t left = units - (uint32_t)slabs * length;
            left = CLASSIC ? units / 2 : left < RUN_SHORTEST ? 0 : left;
            assert_int_equal(knoll_pages_longest(&heap), left);
        }
    }
}

/* Gives back all blocks of the slabs that lie so, the first in this order first. */
static void give_slabs(unsigned i, const uint8_t *order, size_t count)
{
    struct slab_giving giving = {{NULL, NULL, 0, 0}, 0, 0};
    for (size_t n = 0; n < count; n++) {
        struct slab_place place = find(many[order[n] * (size_t)usual(i)->capacity]);
        slab_give_many(&heap, &giving, &place, 0, usual(i)->capacity);
    }
    heap.peak -= count * usual(i)->capacity * class_size(i);
    knoll_slab_give_end(&heap, &giving);
    assert_int_equal(knoll_check(&heap), 0);
}

/* In whatever order they come free, in the end there is one run. Of slabs that become one run at once it is known of
 * each that there was a block. */
static void slabs_are_given_back_together(void **state)
{
    static const uint8_t orders[][6] = {{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {2, 3, 1, 4, 0, 5}, {3, 4, 5, 2, 1, 0},
                                        {0, 2, 4, 1, 3, 5}, {5, 3, 1, 0, 2, 4}, {0, 5, 1, 4, 2, 3}};
    const size_t at_once = CLASSIC ? 0 : 4; /* of those, the first ones */
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        size_t capacity = usual(i)->capacity;
        for (size_t n = 0; n < sizeof orders / sizeof orders[0]; n++) {
            for (size_t first = 0; first <= 6; first++) { /* of which so many come free in a call before */
                struct knoll_stats before, after;
                make_wide();
                knoll_get_stats(&heap, &before);
                for (size_t taken = 0; taken < 6 * capacity;)
                    taken += knoll_slab_take_new(&heap, i, 6 * capacity - taken, many + taken);
                heap.peak += 6 * capacity * class_size(i);
                give_slabs(i, orders[n], first);
                give_slabs(i, orders[n] + first, 6 - first);
                assert_int_equal(heap.size_class[i].slabs, 1);
                assert_ptr_equal(unit_address(&heap, heap.spare_slab), many[orders[n][5] * capacity]);
                for (size_t slab = 0; slab < 6 && first == 0 && n < at_once; slab++)
                    assert_int_equal(knoll_address_fault(&heap, many[slab * capacity]), KNOLL_FAULT_DOUBLE_FREE);
                give_back_the_slab_in_hand();
                knoll_get_stats(&heap, &after);
                assert_memory_equal(after.free_runs, before.free_runs, sizeof before.free_runs);
                assert_int_equal(knoll_check(&heap), 0);
            }
        }
    }
}

/* A slab in hand of which blocks were taken again comes free in a batch: as one among others, or as the last. */
static void the_slab_in_hand_is_given_back_with_others(void **state)
{
    static const uint8_t orders[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}};
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        for (size_t n = 0; n < 3; n++) {
            size_t capacity = usual(i)->capacity;
            make_wide();
            for (size_t block = 0; block < 3 * capacity; block++)
                many[block] = take(i);
            for (size_t block = 0; block < capacity; block++)
                give(many[block]);
            uint32_t number = find(many[0]).number;
            assert_int_equal(heap.spare_slab, number);
            for (size_t block = 0; block < capacity; block++)
                many[block] = take(i);
            assert_int_equal(find(many[0]).number, number);
            assert_int_equal(heap.spare_slab, number);
            give_slabs(i, orders[n], 3);
            assert_int_equal(heap.size_class[i].slabs, 1);
            assert_int_equal(heap.spare_slab, find(many[orders[n][2] * capacity]).number);
        }
    }
}

/* For a processor: a power of two of them, or half of it where there is no room, side by side, and all blocks held. */
static void slabs_are_made_for_a_processor(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t length = shape_length(usual(i));
        for (uint32_t wanted = 1; wanted <= 33; wanted++) {
            for (uint32_t units = RUN_SHORTEST; units <= 32; units *= 2) {
                uint32_t number = NOWHERE;
                (void)narrow(units, 0);
                uint32_t slabs = 1;
                while (2 * slabs <= wanted && 2 * slabs <= units / length)
                    slabs *= 2;
                slabs = units < length ? 0 : slabs;
                assert_int_equal(knoll_slab_make_held(&heap, i, wanted, &number), slabs);
                assert_int_equal(number == NOWHERE, slabs == 0);
                assert_int_equal(heap.size_class[i].slabs, slabs);
                assert_true(heap.size_class[i].free_blocks == 0 && heap.size_class[i].current == NULL);
                for (uint32_t n = 0; n < slabs; n++) {
                    struct slab_place place = find(unit_address(&heap, number + n * length));
                    assert_ptr_equal(place.shape, usual(i));
                    assert_true(place.index == 0 && slab_free(place.slab, place.shape) == 0);
                }
                heap.peak += slabs * usual(i)->capacity * class_size(i);
                assert_int_equal(knoll_check(&heap), 0);
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slabs_are_made_together),
    cmocka_unit_test(fewer_slabs_where_fewer_fit),
    cmocka_unit_test(slabs_are_made_for_a_processor),
    cmocka_unit_test(slabs_are_given_back_together),
    cmocka_unit_test(the_slab_in_hand_is_given_back_with_others),
};

CHECK_MAIN(tests)
