/* Slabs: growth into what there is, the slab kept in hand, and what remains when all is freed.
 *
 * A heap is narrowed until a given number of units is free in one run, in compact at each place that matters, so that a
 * slab of each class meets every length from none to more than the usual one; how long it must be is found by a search.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_slab.h"

static void a_slab_of_the_usual_length(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_shape *shape = usual(i);
        const struct knoll_class_state *counts = &heap.size_class[i];
        make_wide();
        take_slab(i);
        struct slab_place place = find(blocks[0]);
        assert_ptr_equal(place.shape, shape);
        assert_ptr_equal(slab_shape(&heap, place.number), shape);
        assert_true(is_aligned(blocks[0], shape_length(shape) * UNIT));
        assert_ptr_equal(unit_address(&heap, place.number), blocks[0]);
        assert_ptr_equal(counts->current, place.slab);
        assert_true(counts->is_new && counts->at_hand == 0 && counts->start == blocks[0]);
        assert_int_equal(slab_free(place.slab, place.shape), 0);
        assert_int_equal(slab_alignment(place.slab), 16);
        for (unsigned block = 0; block < shape->capacity; block++) { /* from the lowest to the highest */
            assert_ptr_equal(blocks[block], blocks[0] + block * class_size(i));
            assert_int_equal(find(blocks[block]).index, index_of(i, block));
        }
        assert_true(heap.size_class[i].slabs == 1 && class_blocks(&heap, i) == shape->capacity);
        assert_true(heap.size_class[i].free_blocks == 0 && counts->partial == NOWHERE);

        const unsigned char *next = take(i); /* needs another slab */
        assert_int_equal(find(next).index, 0);
        assert_ptr_equal(counts->current, find(next).slab);
        assert_true(counts->current != place.slab);
        assert_int_equal(heap.size_class[i].slabs, 2);
        assert_int_equal(class_blocks(&heap, i), 2 * shape->capacity);
        assert_int_equal(counts->partial, NOWHERE); /* the full one is nowhere any more */
        assert_true(counts->is_new && counts->at_hand == shape->blocks - 1 && counts->start == next);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* The length of the slab, or 0 if there is no place for it in this run. */
static uint32_t length_in(uint32_t first, uint32_t units, uint32_t length)
{
    for (uint32_t before = 0; before + length <= units; before++)
        if (is_aligned(unit_address(&heap, first + before), length * UNIT))
            return length;
    return 0;
}

static void expect_slab_in(unsigned i, uint32_t first, uint32_t units)
{
    const struct knoll_class_state *counts = &heap.size_class[i];
    uint32_t length = length_in(first, units, shape_length(usual(i)));
    blocks[0] = try_take(i);
    assert_true((blocks[0] != NULL) == (length != 0));
    if (length == 0) {
        assert_int_equal(knoll_pages_longest(&heap), units);
        assert_true(heap.size_class[i].slabs == 0 && counts->current == NULL);
        return;
    }
    struct slab_place place = find(blocks[0]);
    size_t capacity = length * UNIT / class_size(i);
    capacity = capacity < 64 ? capacity : 64;
    assert_int_equal(shape_length(place.shape), length);
    assert_true(is_aligned(blocks[0], length * UNIT));
    assert_true(place.shape->size_class == i && place.shape->size == class_size(i));
    assert_int_equal(place.shape->capacity, capacity);
    assert_int_equal(slab_free(place.slab, place.shape), place.shape->blocks - 1);
    assert_int_equal(class_blocks(&heap, i), capacity);
    for (size_t at = capacity * class_size(i); at < length * UNIT; at++) {
        assert_false(shape_has(place.shape, find(blocks[0] + at).index));
        assert_int_equal(knoll_address_fault(&heap, blocks[0] + at), KNOLL_FAULT_NOT_HANDED_OUT);
    }
    /* What is left over stays free. */
    uint32_t before = place.number - first;
    uint32_t after = units - length - before;
    uint32_t longest = CLASSIC ? (length < units ? units / 2 : 0) : (before > after ? before : after);
    longest = longest < RUN_SHORTEST ? 0 : longest;
    assert_int_equal(knoll_pages_longest(&heap), longest);
    for (unsigned more = 1; more < capacity; more++)
        blocks[more] = take(i);
    assert_int_equal(slab_free(place.slab, place.shape), 0);
    assert_int_equal(heap.size_class[i].slabs, 1);
    assert_int_equal(knoll_check(&heap), 0);
    if (length == units) {
        assert_null(try_take(i));
        assert_int_equal(heap.size_class[i].free_blocks, 0);
    }
    for (unsigned block = 0; block < capacity; block++)
        give(blocks[block]);
    assert_int_equal(heap.spare_slab, place.number);
    give_back_the_slab_in_hand();
    assert_int_equal(knoll_pages_longest(&heap), units);
    assert_true(heap.size_class[i].slabs == 0 && class_blocks(&heap, i) == 0);
    assert_int_equal(knoll_check(&heap), 0);
}

static void a_slab_needs_a_place(void **state)
{
    (void)state;
    for (uint32_t units = RUN_SHORTEST; units <= (CLASSIC ? 128 : 18); units += CLASSIC ? units : 1)
        for (uint32_t skew = 0; skew < (CLASSIC ? 1 : 8); skew++) {
            uint32_t first = narrow(units, skew);
            for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
                expect_slab_in(i, first, units);
        }
}

/* The slab that is last to come free stays, until another one comes free or memory is wanted. */
static void the_slab_kept_in_hand(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class_state *counts = &heap.size_class[i];
        unsigned other = (i + 1) % KNOLL_CLASS_COUNT;
        make_wide();
        assert_false(knoll_slab_spare_is_empty(&heap));
        unsigned char *block = take(i);
        uint32_t number = find(block).number;
        assert_false(knoll_slab_spare_is_empty(&heap));
        give(block);
        assert_int_equal(heap.spare_slab, number);
        assert_true(knoll_slab_spare_is_empty(&heap));
        assert_int_equal(heap.size_class[i].slabs, 1);

        unsigned char *again = take(i);
        expect_again(again, block); /* used again, and still the one in hand, but not to be given back */
        assert_false(knoll_slab_spare_is_empty(&heap));
        assert_int_equal(knoll_slab_take_back(&heap, RUN_SHORTEST, 1), NOWHERE);
        assert_int_equal(heap.spare_slab, number);
        give(again);
        assert_int_equal(heap.size_class[i].slabs, 1);

        uint32_t run = hold(RUN_SHORTEST, 1);
        assert_int_equal(heap.spare_slab, number); /* not given up where there is other memory */
        assert_int_equal(heap.size_class[i].slabs, 1);
        release(run);

        unsigned char *next = take(other);
        uint32_t next_number = find(next).number;
        give(next); /* takes its place, and it goes back */
        assert_int_equal(heap.spare_slab, next_number);
        assert_true(heap.size_class[i].slabs == 0 && class_blocks(&heap, i) == 0);
        assert_true(counts->partial == NOWHERE && counts->current == NULL);
        assert_int_equal(hints_to_slabs(i), 0);
        assert_int_equal(heap.size_class[other].slabs, 1);
        struct slab_place place;
        for (uint32_t unit = 0; unit < shape_length(usual(i)); unit++)
            assert_false(slab_find(heap.region[0], block + unit * UNIT, &place));
        assert_true((*entry_of(&heap, number) & RUN_WAS_BLOCK) != 0);
        assert_int_equal(knoll_address_fault(&heap, block), KNOLL_FAULT_DOUBLE_FREE);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* The one in hand makes room for a run or another class. */
static void the_slab_in_hand_serves_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t units = shape_length(usual(i));
        unsigned other = i == 0 ? KNOLL_CLASS_COUNT - 1 : 0;
        uint32_t first = narrow(units, 0);
        give(take(i));
        assert_int_equal(hold(units, 1), first);
        assert_int_equal(heap.spare_slab, NOWHERE);
        assert_int_equal(heap.size_class[i].slabs, 0);
        release(first);

        unsigned char *block = take(i);
        find(block).slab[CELL_NOTES] |= SLAB_LOOSE | SLAB_ALIGNMENT_MASK;
        give(block);
        bool fits = length_in(first, units, shape_length(usual(other))) != 0;
        block = try_take(other);
        assert_true((block != NULL) == fits);
        assert_int_equal(heap.size_class[i].slabs, 0); /* even if in vain */
        assert_int_equal(heap.size_class[other].slabs, fits);
        if (fits) { /* a new slab has no notes */
            assert_int_equal(find(block).slab[CELL_NOTES] & SLAB_LOOSE, 0);
            assert_int_equal(slab_alignment(find(block).slab), 16);
        }
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* Blocks of all classes come and go, each with a pattern of its own: no memory is in two of them. In the end nothing is
 * left but the slab in hand, and when that went back the memory is as it was. */
static void everything_freed_is_one_run_again(void **state)
{
    struct random random = random_from(23);
    struct {
        unsigned char *block;
        size_t size;
    } slots[96] = {{NULL, 0}};
    const unsigned count = sizeof slots / sizeof slots[0];
    struct knoll_stats before, after;
    (void)state;
    make_wide();
    knoll_get_stats(&heap, &before);
    uint32_t longest = knoll_pages_longest(&heap);
    for (unsigned step = 0; step < 20000 + 2 * count; step++) {
        bool is_over = step >= 20000;
        unsigned slot = is_over ? step % count : random_below(&random, count);
        unsigned size_class = random_below(&random, KNOLL_CLASS_COUNT);
        if (slots[slot].block != NULL) {
            assert_true(has_pattern(slots[slot].block, slots[slot].size, slot));
            give(slots[slot].block);
            slots[slot].block = NULL;
        } else if (!is_over && (slots[slot].block = try_take(size_class)) != NULL) {
            slots[slot].size = class_size(size_class);
            write_pattern(slots[slot].block, slots[slot].size, slot);
        }
        if (step % 64 == 0)
            assert_int_equal(knoll_check(&heap), 0);
    }
    uint32_t slabs = 0;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
        slabs += heap.size_class[i].slabs;
    assert_int_equal(slabs, 1);
    assert_true(knoll_slab_spare_is_empty(&heap));
    release(hold(longest, 1)); /* in compact this needs the slab's memory, but in classic another run may be as long */
    give_back_the_slab_in_hand();
    knoll_get_stats(&heap, &after);
    assert_memory_equal(after.free_runs, before.free_runs, sizeof before.free_runs);
    assert_int_equal(knoll_pages_longest(&heap), longest);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        assert_true(heap.size_class[i].slabs == 0 && heap.size_class[i].free_blocks == 0);
        assert_int_equal(hints_to_slabs(i), 0);
    }
    assert_int_equal(knoll_check(&heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slab_of_the_usual_length),
    cmocka_unit_test(a_slab_needs_a_place),
    cmocka_unit_test(the_slab_kept_in_hand),
    cmocka_unit_test(the_slab_in_hand_serves_others),
    cmocka_unit_test(everything_freed_is_one_run_again),
};

CHECK_MAIN(tests)
