/* knoll_check, invariant by invariant and bit by bit.
 *
 * tests/damage.c flips every bit of the tables, most of which mean nothing at the moment. Here the tables are read as
 * the core reads them, so the bits that do mean something are known: each of them, flipped alone, must be seen. Then
 * the invariants that one bit cannot break by itself are broken with all else in order, and must be named. The state
 * of the classes is in tests/layers_check_classes.c.
 *
 * What means something and cannot be seen are two histories: which blocks were handed out once, and which alignment
 * and looseness a block was asked for with.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_check.h"
#include "layers_free_lists.h"

#define ALL       0xFFFFFFFFu
#define KIND_BITS (3u << KIND_SHIFT)

/* ---- Bit by bit ---- */

static void flip_free_run(struct knoll_region *region, uint32_t index)
{
    uint32_t *first = region_entry(region, index);
    uint32_t length = free_run_length(first);
    uint32_t short_bits = CLASSIC ? 0 : SHORT_MASK << SHORT_SHIFT;
    if (!CLASSIC && length == 1) { /* it has no links */
        expect_seen(first, KIND_BITS | short_bits | NUMBER_MASK);
        return;
    }
    expect_seen(first, KIND_BITS | short_bits | NUMBER_MASK);
    expect_seen(&first[CELL_FREE_NEXT], (CLASSIC ? 1u << 31 : KIND_BITS) | NUMBER_MASK);
    if (CLASSIC || length > 3)
        expect_seen(&first[CELL_LENGTH], CLASSIC ? ALL : KIND_BITS | NUMBER_MASK);
    if (!CLASSIC)
        expect_seen(&first[length - 1], length == 2 ? KIND_BITS | short_bits | NUMBER_MASK : ALL);
}

static void flip_large_run(uint32_t *run)
{
    expect_seen(run, KIND_BITS | (NUMBER_MASK & ~63u));
    expect_seen(&run[CELL_LARGE_LENGTH], ALL);
}

/* Of a slab's notes all but alignment and looseness, which are history; of its links the one on only where it is
 * listed. */
static void flip_slab(uint32_t *slab)
{
    bool listed = (slab[CELL_NOTES] & SLAB_KNOWN) != 0 && slab != heap.size_class[slab_class(slab)].current;
    uint32_t links = listed ? link_mask(GROUP_SHIFT) : 0;
    uint32_t shape = CLASSIC ? 0 : 31u << SHAPE_SHIFT;
    expect_all_seen(&slab[CELL_WORD], 8);
    expect_seen(slab, KIND_BITS | shape | link_mask(GROUP_SHIFT));
    expect_seen(&slab[CELL_SLAB_NEXT], (CLASSIC ? 0 : KIND_BITS) | links);
    expect_seen(&slab[CELL_NOTES], SLAB_KNOWN);
}

/* The kinds of the cells inside a run, past those whose bits all mean something: NONE, whatever else they hold. A slab
 * of two groups says its shape in each. */
static void flip_inside(struct knoll_region *region, uint32_t index, uint32_t length, enum run_kind kind)
{
    uint32_t end = index + length - (kind == RUN_FREE && !CLASSIC ? 1 : 0);
    for (uint32_t i = index + (CLASSIC ? 1 : 4); i < end; i++) {
        bool says_shape = !CLASSIC && kind == RUN_SLAB && i % GROUP_UNITS == 0;
        expect_seen(region_entry(region, i), KIND_BITS | (says_shape ? 31u << SHAPE_SHIFT : 0));
    }
}

static void flip_region(struct knoll_region *region)
{
    uint32_t length;
    expect_all_seen(region, offsetof(struct knoll_region, resizes));
    for (uint32_t index = 0; CLASSIC && index < region->count; index++)
        expect_seen(&region_entry(region, index)[CELL_SHAPE], 0xFF);
    for (uint32_t index = 0; CLASSIC && index < region->count; index++)
        expect_all_seen(&region_entry(region, index)[CELL_WORD], 8);
    for (uint32_t index = 0; index < region->first; index++)
        expect_seen(region_entry(region, index), KIND_BITS);
    for (uint32_t index = region->first; index < region->count; index += length) {
        uint32_t *entry = region_entry(region, index);
        enum run_kind kind = cell_kind(*entry);
        length = run_length(region, index);
        if (kind == RUN_FREE)
            flip_free_run(region, index);
        else if (kind == RUN_LARGE)
            flip_large_run(entry);
        else
            flip_slab(entry);
        flip_inside(region, index, length, kind);
    }
}

static void every_bit_that_means_something(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        make_rich_heap(seed);
        flipped = 0;
        for (uint32_t i = 0; i < heap.region_count; i++)
            flip_region(heap.region[i]);
        assert_int_equal(knoll_check(&heap), 0);
        check_say("all of ", flipped, " flipped bits seen\n");
    }
}

/* ---- Invariant by invariant ---- */

static void make_simple_heap(void)
{
    make_heap(&heap, arena_at(KIB(256), 0), KIB(256));
    if (CLASSIC)
        hold_the_end(&heap);
}

static uint32_t longest_free_run(void)
{
    uint32_t number = heap.list[0]; /* in compact that of the region's end */
    for (unsigned i = 1; CLASSIC && i < list_count(&heap); i++)
        number = heap.list[i] != NOWHERE ? heap.list[i] : number;
    return number;
}

/* Makes [index, index + length) a free run, with list and counts in order. */
static void make_free_run(struct knoll_region *region, uint32_t index, uint32_t length)
{
    uint32_t *entry = region_entry(region, index);
    uint32_t short_length = !CLASSIC && length < 4 ? length << SHORT_SHIFT : 0;
    *entry = cell_of(RUN_FREE, NOWHERE) | short_length;
    entry[CELL_FREE_NEXT] = NOWHERE;
    entry[CELL_LENGTH] = CLASSIC || length > 3 ? length : 0;
    if (!CLASSIC)
        entry[length - 1] = cell_of(RUN_END, length > 3 ? length : 0) | short_length;
    put_into_list(&heap, list_of_run(&heap, region, index, length), entry, region_unit_number(region, index));
    heap.free_runs[bits_highest32(length)]++;
}

/* Cuts the longest free run, which starts at a multiple of four, in three. */
static void cut_in_three(uint32_t first, uint32_t second)
{
    uint32_t number = longest_free_run();
    struct knoll_region *region = region_of_number(&heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t length = free_run_length(entry_of(&heap, number));
    take_out_of_list(&heap, list_of_run(&heap, region, index, length), entry_of(&heap, number));
    heap.free_runs[bits_highest32(length)]--;
    make_free_run(region, index, first);
    make_free_run(region, index + first, second);
    for (uint32_t at = first + second; at < length;) { /* in pieces that classic allows there */
        uint32_t piece = CLASSIC ? 1u << bits_lowest32(at) : length - at;
        make_free_run(region, index + at, piece);
        at += piece;
    }
}

static void free_runs_side_by_side(void **state)
{
    (void)state;
    make_simple_heap();
    cut_in_three(2, 2);
    assert_int_equal(knoll_check(&heap), FREE_RUNS_MERGED);
    make_simple_heap();
    cut_in_three(3, 6); /* in classic both are out of place */
    assert_int_equal(knoll_check(&heap), CLASSIC ? FREE_RUN_FORM : FREE_RUNS_MERGED);
    make_simple_heap();
    if (!CLASSIC) {
        --*region_entry(heap.region[0], heap.region[0]->count - 1);
        assert_int_equal(knoll_check(&heap), FREE_RUN_FORM);
    }
}

static void regions_out_of_order(void **state)
{
    (void)state;
    make_rich_heap(5);
    heap.region[0]->count |= 1u << (INDEX_BITS - 1);
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
    if (KNOLL_REGIONS_MAX == 1)
        return;
    make_rich_heap(5);
    heap.by_address[0] = 1;
    heap.by_address[1] = 0;
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
    make_rich_heap(5);
    heap.region[0]->number = 1;
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
}

static void large_runs(void **state)
{
    (void)state;
    make_simple_heap();
    knoll_malloc(&heap, 10000);
    void *block = knoll_malloc(&heap, 10000);
    struct block found = {{&heap.list[0], NULL, NOWHERE, 0}, 0};
    assert_true(knoll_block_find(&heap, block, &found));
    uint32_t *run = found.place.slab;
    *run |= 30; /* a run after another is not at a GiB */
    assert_int_equal(knoll_check(&heap), LARGE_FORM);
    *run &= ~NUMBER_MASK;
    assert_int_equal(knoll_check(&heap), 0);
    *run |= 8 * sizeof(size_t); /* no alignment */
    assert_int_equal(knoll_check(&heap), LARGE_FORM);
}

static struct slab_place find_slab(const void *block)
{
    struct slab_place place = {region_entry(heap.region[0], 0), &knoll_shapes[0], NOWHERE, 0};
    assert_true(slab_find(heap.region[0], block, &place));
    return place;
}

static void slabs(void **state)
{
    (void)state;
    make_simple_heap();
    unsigned size_class = class_for(1, 64);
    void *block = knoll_malloc(&heap, 64);
    knoll_malloc(&heap, 64);
    struct knoll_class_state *counts = &heap.size_class[size_class];
    counts->is_new = 2;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->is_new = 1;
    counts->at_hand ^= 1; /* which is held */
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->at_hand ^= 1;
    counts->start++;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->start--;
    assert_int_equal(knoll_check(&heap), 0);
    counts[size_class == 0 ? 1 : -1].at_hand = 1; /* without a current slab */
    assert_int_equal(knoll_check(&heap), CLASS_COUNTS);
    counts[size_class == 0 ? 1 : -1].at_hand = 0;

    struct slab_place place = find_slab(block);
    uint64_t word = slab_held(place.slab);
    if (place.shape->capacity < 64) {
        slab_set_held(place.slab, word | bit(63));
        assert_int_equal(knoll_check(&heap), SLAB_FORM);
        slab_set_held(place.slab, word);
    }
    uint32_t *current = counts->current;
    counts->at_hand = 0;
    counts->current = NULL; /* so it says that its free blocks are looked for, and they are not */
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    list_push(&heap, &counts->partial, place.slab, place.number, CELL_SLAB_NEXT, GROUP_SHIFT);
    assert_int_equal(knoll_check(&heap), 0);
    place.slab[CELL_NOTES] &= ~SLAB_KNOWN;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    place.slab[CELL_NOTES] |= SLAB_KNOWN;
    counts->current = current; /* both */
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    (void)list_remove(&heap, &counts->partial, place.slab, CELL_SLAB_NEXT, GROUP_SHIFT);
    assert_int_equal(knoll_check(&heap), 0);
    place.slab[CELL_NOTES] &= ~SLAB_KNOWN;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    counts->current = NULL; /* so its free blocks are nowhere */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    place.slab[CELL_NOTES] |= SLAB_KNOWN;
    counts->current = current;
    assert_int_equal(knoll_check(&heap), 0);
    counts->current = (uint32_t *)(uintptr_t)heap.region[0]; /* no slab */
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    counts->current = current;
    heap.size_class[(size_class + 1) % KNOLL_CLASS_COUNT].current = current; /* of another class */
    assert_int_equal(knoll_check(&heap), CLASS_COUNTS);
}

static void shapes(void **state)
{
    (void)state;
    make_simple_heap();
    size_t largest = class_size(KNOLL_CLASS_COUNT - 1);
    struct slab_place place = find_slab(knoll_malloc(&heap, largest));
    uint32_t index = place.number & INDEX_MASK;
    uint32_t *entry = region_entry(heap.region[0], index);
    if (CLASSIC) {
        uint32_t *tables = region_entry(heap.region[0], 0);
        uint32_t shape = entry[CELL_SHAPE];
        entry[CELL_SHAPE] = 0; /* a slab without its shape */
        assert_int_equal(knoll_check(&heap), SLAB_SHAPES);
        entry[CELL_SHAPE] = shape;
        tables[CELL_SHAPE] = shape; /* tables that say they are in a slab */
        assert_int_equal(knoll_check(&heap), SLAB_SHAPES);
        tables[CELL_SHAPE] = 0;
        slab_set_held(tables, 1); /* or of which somebody holds a block */
        assert_int_equal(knoll_check(&heap), SLAB_SHAPES);
        slab_set_held(tables, 0);
        assert_int_equal(knoll_check(&heap), 0);
    } else {
        *entry |= 31u << SHAPE_SHIFT; /* no shape */
        assert_int_equal(knoll_check(&heap), SLAB_SHAPES);
    }
}

static void an_empty_slab_too_many(void **state)
{
    (void)state;
    make_simple_heap();
    knoll_free(&heap, knoll_malloc(&heap, 64));
    assert_true(heap.spare_slab != NOWHERE);
    heap.spare_slab = NOWHERE;
    assert_int_equal(knoll_check(&heap), ONE_EMPTY_SLAB);
    make_simple_heap();
    heap.spare_slab = longest_free_run(); /* which is no slab */
    assert_int_equal(knoll_check(&heap), ONE_EMPTY_SLAB);
}

static void free_lists(void **state)
{
    (void)state;
    make_simple_heap();
    uint32_t number = longest_free_run();
    uint32_t *run = entry_of(&heap, number);
    unsigned list = list_of_run(&heap, heap.region[0], number & INDEX_MASK, free_run_length(run));
    take_out_of_list(&heap, list, run); /* in none */
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
    put_into_list(&heap, list == 0 ? 1 : list - 1, run, number); /* in another */
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_that_means_something),
    cmocka_unit_test(free_runs_side_by_side),
    cmocka_unit_test(regions_out_of_order),
    cmocka_unit_test(large_runs),
    cmocka_unit_test(slabs),
    cmocka_unit_test(shapes),
    cmocka_unit_test(an_empty_slab_too_many),
    cmocka_unit_test(free_lists),
};

CHECK_MAIN(tests)
