/* knoll_check, invariant by invariant and bit by bit.
 *
 * tests/damage.c flips every bit of the tables, most of which mean nothing at the moment. Here the tables are read as
 * the core reads them, so the bits that do mean something are known: each of them, flipped alone, must be seen. Then
 * the invariants that one bit cannot break by itself are broken with all else in order, and must be named.
 *
 * What means something and cannot be seen are two histories: which blocks were handed out once, and which alignment
 * and looseness a block was asked for with.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "free_lists.h"
#include "pages.h"
#include "support.h"

#define FIRST_SIZE  KIB(128)
#define SECOND_SIZE KIB(32)
#define ALL         0xFFFFFFFFu
#define KIND_BITS   (3u << KIND_SHIFT)
#define SLOTS       64

static struct knoll_heap heap;
static void *blocks[SLOTS];
static size_t flipped;

static void make_rich_heap(uint32_t seed)
{
    struct random random = random_from(seed);
    unsigned char *start = arena_at(KIB(64), 0);
    make_heap(&heap, start, FIRST_SIZE);
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, start + FIRST_SIZE, SECOND_SIZE);
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 600; step++) {
        void **slot = &blocks[random_below(&random, SLOTS)];
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, random_below(&random, step % 4 == 0 ? 12000 : 2000));
    }
    for (size_t i = 0; i < SLOTS; i += 2) { /* room for free runs */
        knoll_free(&heap, blocks[i]);
        blocks[i] = NULL;
    }
    assert_int_equal(knoll_check(&heap), 0);
}

/* ---- Bit by bit ---- */

/* Each of these bits of a word, when flipped alone, must be seen. */
static void expect_seen(void *word, uint32_t bits)
{
    for (unsigned i = 0; i < 32; i++) {
        uint32_t sound, damaged;
        if ((bits >> i & 1) == 0)
            continue;
        memcpy(&sound, word, sizeof sound);
        damaged = sound ^ (uint32_t)1 << i;
        memcpy(word, &damaged, sizeof damaged);
        assert_true(knoll_check(&heap) != 0);
        memcpy(word, &sound, sizeof sound);
        flipped++;
    }
}

static void expect_all_seen(void *start, size_t size)
{
    unsigned char *bytes = start;
    for (size_t i = 0; i < 8 * size; i++) {
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        assert_true(knoll_check(&heap) != 0);
        bytes[i / 8] ^= (unsigned char)(1u << i % 8);
        flipped++;
    }
}

static void flip_free_run(struct knoll_region *region, uint32_t index)
{
    uint32_t *first = region_entry(region, index);
    uint32_t length = free_run_length(first);
    uint32_t short_bits = CLASSIC ? 0 : SHORT_MASK << SHORT_SHIFT;
    if (!CLASSIC && length == 1) { /* it has no links */
        expect_seen(first, KIND_BITS | short_bits | NUMBER_MASK);
        return;
    }
    expect_seen(&first[CELL_NEXT], KIND_BITS | short_bits | NUMBER_MASK);
    expect_seen(&first[CELL_FREE_PREV], (CLASSIC ? 0 : KIND_BITS) | NUMBER_MASK);
    if (CLASSIC || length > 3)
        expect_seen(&first[CELL_LENGTH], (CLASSIC ? 0 : KIND_BITS) | NUMBER_MASK);
    if (!CLASSIC)
        expect_seen(&first[length - 1], length == 2 ? KIND_BITS | short_bits | NUMBER_MASK : ALL);
}

static void flip_large_run(uint32_t *run)
{
    expect_seen(&run[CELL_NEXT], KIND_BITS | (NUMBER_MASK & ~63u));
    expect_seen(&run[CELL_LARGE_LENGTH], ALL);
}

/* Of a slab's notes all but alignment and looseness, which are history; of its links none where it is not listed. */
static void flip_slab(uint32_t *slab)
{
    bool listed = (slab[CELL_NOTES] & SLAB_LISTED) != 0;
    uint32_t links = listed ? link_mask(GROUP_SHIFT) : 0;
    uint32_t shape = CLASSIC ? 0 : 31u << SHAPE_SHIFT;
    expect_all_seen(&slab[CELL_WORD], 8);
    expect_seen(&slab[CELL_NEXT], KIND_BITS | shape | links);
    expect_seen(&slab[CELL_SLAB_PREV], (CLASSIC ? 0 : KIND_BITS) | links);
    expect_seen(&slab[CELL_NOTES], SLAB_LISTED);
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
    expect_all_seen(region, sizeof *region);
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

#if KNOLL_MAGAZINE > 0

#if KNOLL_PROFILE == KNOLL_CLASSIC

/* The bits of the address that say which block of the slab may lead to another free one, which does no harm. */
static void flip_hint(struct knoll_hint *hint)
{
    unsigned char *block = hint->block;
    expect_all_seen(&hint->slab, sizeof hint->slab);
    for (unsigned i = 0; i < 8 * sizeof block; i++) {
        if (i >= INDEX_SHIFT && i < KNOLL_UNIT_SHIFT)
            continue;
        hint->block = (void *)((uintptr_t)block ^ (uintptr_t)1 << i);
        assert_true(knoll_check(&heap) != 0);
        flipped++;
    }
    hint->block = block;
}

#else

static void flip_hint(struct knoll_hint *hint)
{
    expect_all_seen(&hint->number, sizeof hint->number);
    expect_all_seen(&hint->block, sizeof hint->block);
    expect_all_seen(&hint->index, sizeof hint->index);
}

#endif

/* Those that are sure. */
static void flip_magazines(void)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        if (heap.size_class[i].hints > KNOLL_MAGAZINE)
            knoll_slab_sift(&heap, i);
        for (unsigned j = 0; j < heap.size_class[i].hints; j++)
            flip_hint(&heap.size_class[i].magazine[j]);
    }
}

#else

static void flip_magazines(void)
{
}

#endif

static void every_bit_that_means_something(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 3; seed++) {
        make_rich_heap(seed);
        flipped = 0;
        for (uint32_t i = 0; i < heap.region_count; i++)
            flip_region(heap.region[i]);
        flip_magazines();
        assert_int_equal(knoll_check(&heap), 0);
        check_say("all of ", flipped, " flipped bits seen\n");
    }
}

/* ---- Invariant by invariant: the numbers are those of docs/design.md ---- */

enum {
    REGION_TABLE = 1,
    FREE_RUN_FORM = 3,
    FREE_RUNS_MERGED,
    LARGE_FORM,
    SLAB_FORM,
    SLAB_SHAPES,
    ONE_EMPTY_SLAB,
    FREE_LISTS
};
enum { PARTIAL_LISTS = 11, FREE_BLOCKS, CLASS_COUNTS };

static void make_simple_heap(void)
{
    make_heap(&heap, arena_at(KIB(256), 0), KIB(256));
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
    entry[CELL_NEXT] = cell_of(RUN_FREE, NOWHERE) | short_length;
    entry[CELL_FREE_PREV] = NOWHERE;
    entry[CELL_LENGTH] = CLASSIC || length > 3 ? length : 0;
    if (!CLASSIC)
        entry[length - 1] = cell_of(RUN_END, length > 3 ? length : 0) | short_length;
    free_list_link(&heap, list_of_run(&heap, region, index, length), entry, region_unit_number(region, index));
    count_free_run(&heap, length, 1);
}

/* Cuts the longest free run, which starts at a multiple of four, in three. */
static void cut_in_three(uint32_t first, uint32_t second)
{
    uint32_t number = longest_free_run();
    struct knoll_region *region = region_of_number(&heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t length = free_run_length(entry_of(&heap, number));
    free_list_unlink(&heap, list_of_run(&heap, region, index, length), entry_of(&heap, number));
    count_free_run(&heap, length, (uint32_t)-1);
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
    struct block found = {{&heap.list[0], NULL, NOWHERE, 0, 0}, 0};
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
    struct slab_place place = {region_entry(heap.region[0], 0), &knoll_shapes[0], NOWHERE, 0, 0};
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
    heap.size_class[size_class].touched = 65;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    heap.size_class[size_class].touched = 1;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    heap.size_class[size_class].touched = 2;
    counts->distance++;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->distance--;
    assert_int_equal(knoll_check(&heap), 0);

    struct slab_place place = find_slab(block);
    uint64_t word = slab_held(place.slab);
    if (place.shape->capacity < 64) {
        slab_set_held(place.slab, word | bit(63));
        assert_int_equal(knoll_check(&heap), SLAB_FORM);
        slab_set_held(place.slab, word);
    }
    uint32_t *current = counts->current;
    counts->current = NULL; /* so its free blocks are nowhere */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    list_push(&heap, &counts->partial, place.slab, place.number, CELL_SLAB_PREV, GROUP_SHIFT);
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    place.slab[CELL_NOTES] |= SLAB_LISTED;
    assert_int_equal(knoll_check(&heap), 0);
    counts->current = current; /* both */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    counts->current = NULL;
    list_remove(&heap, &counts->partial, place.slab, CELL_SLAB_PREV, GROUP_SHIFT);
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    place.slab[CELL_NOTES] &= ~SLAB_LISTED;
    counts->current = current;
    assert_int_equal(knoll_check(&heap), 0);
    counts->current = (uint32_t *)(uintptr_t)heap.region[0]; /* no slab */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
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

#if KNOLL_MAGAZINE > 0

static void magazines(void **state)
{
    (void)state;
    make_simple_heap();
    unsigned size_class = class_for(1, 64);
    void *held = knoll_malloc(&heap, 64);
    unsigned char *block = knoll_malloc(&heap, 64);
    knoll_free(&heap, block);
    struct knoll_hint *hint = heap.size_class[size_class].magazine;
    assert_ptr_equal(hint->block, block);
    struct knoll_hint sound = *hint;
    hint->block = held;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
#if KNOLL_PROFILE == KNOLL_COMPACT
    hint->index = 0; /* which is held */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *hint = sound;
    hint->index = 64;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *hint = sound;
    hint->number = NOWHERE;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
#else
    *hint = sound;
    hint->block = block + 16; /* amid a block */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    hint->block = block + KNOLL_PAGE; /* beyond the slab */
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *hint = sound;
    hint->slab += CELLS_PER_UNIT;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
#endif
    *hint = sound;
    if (KNOLL_MAGAZINE > 1) {
        hint[1] = sound; /* twice */
        heap.size_class[size_class].hints = 2;
        assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
        heap.size_class[size_class].hints = 1;
    }
    assert_int_equal(knoll_check(&heap), 0);
    heap.size_class[size_class].hints = KNOLL_MAGAZINE + 1;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    heap.size_class[size_class].hints = 1;
    assert_int_equal(knoll_check(&heap), 0);

    size_class = class_for(1, 800); /* in compact something is left over after its blocks */
    assert_non_null(knoll_malloc(&heap, 800));
    if (CLASSIC)
        assert_non_null(knoll_malloc(&heap, 800));
    block = knoll_malloc(&heap, 800);
    knoll_free(&heap, block);
    hint = heap.size_class[size_class].magazine;
    sound = *hint;
#if KNOLL_PROFILE == KNOLL_COMPACT
    hint->index = knoll_shapes[size_class].capacity;
    hint->block = block + (hint->index - sound.index) * class_size(size_class); /* no block */
#else
    hint->block = block + 64; /* amid a block, where another class has one */
#endif
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *hint = sound;
    assert_int_equal(knoll_check(&heap), 0);
    heap.size_class[size_class].hints = 1 | HINTS_UNSURE; /* in compact none ever is */
    assert_int_equal(knoll_check(&heap), CLASSIC ? 0 : FREE_BLOCKS);
    heap.size_class[size_class].hints = (KNOLL_MAGAZINE + 1) | HINTS_UNSURE;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
}

#if KNOLL_PROFILE == KNOLL_CLASSIC && KNOLL_MAGAZINE > 1

/* A hint to a slab that went back, which must name a unit's entry all the same, for that is looked at. */
static void old_hints(void **state)
{
    (void)state;
    make_simple_heap();
    struct knoll_class_state *of_class = &heap.size_class[class_for(1, 64)];
    assert_non_null(knoll_malloc(&heap, 64));
    knoll_free(&heap, knoll_malloc(&heap, 64));
    unsigned char *run = knoll_malloc(&heap, 10000);
    struct knoll_hint *old = &of_class->magazine[1];
    old->block = run + 64;
    old->slab = region_entry(heap.region[0], (uint32_t)(region_offset(heap.region[0], run) >> KNOLL_UNIT_SHIFT));
    struct knoll_hint sound = *old;
    of_class->hints = 2 | HINTS_UNSURE;
    assert_int_equal(knoll_check(&heap), 0);
    old->slab++;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *old = sound;
    old->block = run + KNOLL_PAGE;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    old->block = NULL;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    *old = sound;
    of_class->hints = 2;
    assert_int_equal(knoll_check(&heap), FREE_BLOCKS);
    of_class->hints = 2 | HINTS_UNSURE;
    knoll_slab_sift(&heap, class_for(1, 64));
    assert_int_equal(of_class->hints, 1);
    assert_int_equal(knoll_check(&heap), 0);
}

#endif

#endif

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
    free_list_unlink(&heap, list, run); /* in none */
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
    free_list_link(&heap, list == 0 ? 1 : list - 1, run, number); /* in another */
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_that_means_something),
    cmocka_unit_test(free_runs_side_by_side),
    cmocka_unit_test(regions_out_of_order),
    cmocka_unit_test(large_runs),
    cmocka_unit_test(slabs),
    cmocka_unit_test(shapes),
#if KNOLL_MAGAZINE > 0
    cmocka_unit_test(magazines),
#if KNOLL_PROFILE == KNOLL_CLASSIC && KNOLL_MAGAZINE > 1
    cmocka_unit_test(old_hints),
#endif
#endif
    cmocka_unit_test(an_empty_slab_too_many),
    cmocka_unit_test(free_lists),
};

CHECK_MAIN(tests)
