/* Blocks of slabs: the way from an address to one, what is known of those that are not held, and taking those at hand.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_slab.h"

/* Every address of the region: it is in the slab just if the slab's units hold it, and a block starts there just if the
 * table says so. */
static void every_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = usual(i);
        unsigned char *ground = arena_at(MIB(1), KIB(4));
        make_heap(&heap, ground, KIB(600));
        struct knoll_region *region = heap.region[0];
        const unsigned char *first = take(i);
        struct slab_place held = find(first);
        const unsigned char *end = first + shape_length(shape) * UNIT;
        uint32_t number = find(first).number;
        size_t into = 0;
        uint32_t index = 0;
        for (unsigned char *address = ground; address < ground + KIB(600); address++) {
            struct slab_place place = held;
            bool inside = address >= first && address < end;
            bool found = slab_find(region, address, &place);
            bool starts = inside && into == 0 && index < shape->capacity;
            if (found != inside ||
                (found && (place.shape != shape || place.number != number ||
                           (starts ? place.index != index_of(i, index) : shape_has(shape, place.index)))))
                assert_ptr_equal(address, NULL);
            struct knoll_class_state *of_class = NULL;
            bool is_held = slab_find_block(&heap, address, &place, &of_class, 0);
            assert_true(KNOLL_HARDEN == 0 ? is_held >= (address == first) : is_held == (address == first));
            struct slab_place other;
            unsigned next = (i + 1) % KNOLL_CLASS_COUNT;
            struct knoll_class_state *given = &heap.size_class[i];
            assert_int_equal(slab_find_block(&heap, address, &other, &given, SHAPE_SLAB + i), is_held);
            given = &heap.size_class[next];
            assert_false(slab_find_block(&heap, address, &other, &given, SHAPE_SLAB + next));
            if (address == first)
                assert_true(place.slab == held.slab && place.number == number && place.shape == shape &&
                            of_class == &heap.size_class[i]);
            if (inside && ++into == shape->size) {
                into = 0;
                index++;
            }
        }
        assert_int_equal(index, shape_length(shape) * UNIT / shape->size);
        /* What lies behind the entries, whatever it says, says nothing of what lies behind the region. */
        memset(region_entry(region, region->count), 0xff, (CLASSIC ? 6 : 1) * sizeof(uint32_t));
        struct slab_place none;
        struct knoll_class_state *nothing = NULL;
        assert_false(slab_find_block(&heap, ground + KIB(600), &none, &nothing, 0));
    }
}

/* In a new current slab, a block that is at hand was never handed out, and one that is free otherwise was freed. */
static void blocks_handed_out_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        size_t size = class_size(i);
        make_wide();
        blocks[0] = take(i);
        blocks[1] = take(i);
        unsigned char *held = blocks[0], *freed = blocks[1];
        give(freed);
        for (unsigned again = 0; again < 2; again++) {
            assert_true(heap.size_class[i].is_new);
            assert_int_equal(knoll_address_fault(&heap, freed), KNOLL_FAULT_DOUBLE_FREE);
            assert_int_equal(knoll_address_fault(&heap, freed + 1), KNOLL_FAULT_NOT_HANDED_OUT);
            assert_int_equal(knoll_address_fault(&heap, held + 1), KNOLL_FAULT_INTERIOR);
            assert_int_equal(knoll_address_fault(&heap, blocks[1] + size), KNOLL_FAULT_NOT_HANDED_OUT);
            if (again == 0) {
                give(held);
                assert_int_equal(knoll_address_fault(&heap, held), KNOLL_FAULT_DOUBLE_FREE);
                if (KNOLL_MAGAZINE == 0)
                    break;      /* those at hand come first */
                held = take(i); /* one of both */
                freed = held == blocks[0] ? blocks[1] : blocks[0];
                assert_true(held == blocks[0] || held == blocks[1]);
            }
        }
    }
}

/* Two slabs' blocks, freed one after the other: none is found again, be it remembered or not, and each start tells that
 * it was freed. */
static void blocks_freed_in_order(void **state)
{
    struct block found;
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        unsigned char *held[128];
        unsigned count = 2u * usual(i)->capacity;
        make_wide();
        for (unsigned n = 0; n < count; n++)
            held[n] = take(i);
        /* No block was ever at the end of the first slab, though all of its blocks were handed out. */
        for (size_t at = usual(i)->capacity * class_size(i); at < shape_length(usual(i)) * UNIT; at++)
            assert_int_equal(knoll_address_fault(&heap, held[0] + at), KNOLL_FAULT_NOT_HANDED_OUT);
        for (unsigned n = 0; n < count; n++) {
            assert_true(knoll_block_find(&heap, held[n], &found));
            assert_ptr_equal(found.place.shape, usual(i));
            give(held[n]);
            assert_false(knoll_block_find(&heap, held[n], &found));
            assert_int_equal(knoll_address_fault(&heap, held[n]), KNOLL_FAULT_DOUBLE_FREE);
            assert_int_equal(knoll_address_fault(&heap, held[n] + 1), KNOLL_FAULT_NOT_HANDED_OUT);
        }
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* What is free can be taken without growing: two slabs' blocks, and no other. */
static void free_blocks_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        make_wide();
        assert_null(knoll_slab_take_free(&heap, i));
        unsigned char *held[128];
        unsigned count = 2u * usual(i)->capacity;
        for (unsigned n = 0; n < count; n++)
            held[n] = take(i);
        assert_null(knoll_slab_take_free(&heap, i));
        unsigned freed = usual(i)->capacity; /* of one slab all, so that it is kept in hand */
        freed += freed > 1;                  /* and of the other one */
        for (unsigned n = 0; n < freed; n++)
            give(held[n]);
        for (unsigned n = 0; n < freed; n++) {
            unsigned char *block = knoll_slab_take_free(&heap, i);
            assert_non_null(block);
            heap.peak += class_size(i);
        }
        assert_null(knoll_slab_take_free(&heap, i));
        assert_int_equal(heap.size_class[i].slabs, 2);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* Of what is at hand as many are taken at once as are wanted and there are, lowest first. */
static void blocks_taken_at_once(void **state)
{
    (void)state;
    void *some[64];
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        make_wide();
        unsigned char *first = take(i);
        struct knoll_class_state *counts = &heap.size_class[i];
        uint32_t left = usual(i)->capacity - 1u;
        assert_int_equal(slab_take_some(counts, 1, some), 1);
        assert_ptr_equal(some[0], first + class_size(i));
        assert_int_equal(slab_take_some(counts, 64, some), left - 1);
        assert_int_equal(slab_take_some(counts, 64, some), 0);
        assert_true(counts->free_blocks == 0 && slab_free(counts->current, usual(i)) == 0);
    }
}

/* The tables of a fresh region say of no address that it is in a slab. */
static void no_slab(void **state)
{
    (void)state;
    make_wide();
    struct slab_place place;
    for (size_t at = 0; at < WIDE; at += 16)
        assert_false(slab_find(heap.region[0], unit_address(&heap, 0) + at, &place));
}

/* A slab that is given back leaves nothing in the cells of its units, whatever alignment was noted there: of what was
 * in them only its first unit is known to have been a block. */
static void a_slab_leaves_nothing_behind(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= KNOLL_SLAB_MAXIMUM; alignment *= 2) {
        make_wide();
        unsigned char *block = knoll_aligned_alloc(&heap, alignment, alignment);
        struct slab_place place = {NULL, &knoll_shapes[0], 0, 0};
        assert_true(slab_find(heap.region[0], block, &place));
        uint32_t units = shape_length(place.shape);
        unsigned char *slab = unit_address(&heap, place.number);
        knoll_free(&heap, block);
        give_back_the_slab_in_hand();
        assert_false(slab_find(heap.region[0], block, &place));
        for (uint32_t unit = 0; unit < units; unit++)
            assert_int_equal(knoll_address_fault(&heap, slab + unit * UNIT),
                             unit == 0 ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_address),
    cmocka_unit_test(blocks_handed_out_once),
    cmocka_unit_test(blocks_freed_in_order),
    cmocka_unit_test(free_blocks_alone),
    cmocka_unit_test(blocks_taken_at_once),
    cmocka_unit_test(no_slab),
    cmocka_unit_test(a_slab_leaves_nothing_behind),
};

CHECK_MAIN(tests)
