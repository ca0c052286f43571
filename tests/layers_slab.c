/* Slabs: growth into what there is, the slab kept in hand, what remains when all is freed, and many at once.
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

/* Leaves one free run of this many units, in compact `skew` units past a place for a slab. Returns its first unit. */
static uint32_t narrow(uint32_t units, uint32_t skew)
{
    uint32_t whole = CLASSIC ? 256 : 64;
    uint32_t lead = CLASSIC ? 128 : 8 + skew;
    make_wide();
    uint32_t first = hold(whole, whole);
    hold_all();
    assert_true(knoll_large_resize(&heap, first, lead));
    heap.peak -= (size_t)(whole - lead) * UNIT;
    uint32_t kept = hold(units, 1);
    hold_all();
    release(kept);
    assert_int_equal(kept, first + lead);
    assert_int_equal(knoll_pages_longest(&heap), units);
    assert_int_equal(knoll_check(&heap), 0);
    return kept;
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

/* As many as the blocks need, side by side as far as that is known to be possible; the last of them is the current one.
 */
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
            assert_ptr_equal(counts->current, find(many[expected - 1]).slab);
            assert_true(counts->is_new && counts->partial == NOWHERE);
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
        knoll_slab_give_many(&heap, &giving, &place, 0, usual(i)->capacity);
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slab_of_the_usual_length),
    cmocka_unit_test(a_slab_needs_a_place),
    cmocka_unit_test(the_slab_kept_in_hand),
    cmocka_unit_test(the_slab_in_hand_serves_others),
    cmocka_unit_test(everything_freed_is_one_run_again),
    cmocka_unit_test(slabs_are_made_together),
    cmocka_unit_test(fewer_slabs_where_fewer_fit),
    cmocka_unit_test(slabs_are_given_back_together),
    cmocka_unit_test(the_slab_in_hand_is_given_back_with_others),
};

CHECK_MAIN(tests)
