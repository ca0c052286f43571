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

static void expect_seen64(uint64_t *word, uint64_t bits)
{
    for (unsigned i = 0; i < 64; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        *word ^= bit(i);
        assert_true(knoll_check(&heap) != 0);
        *word ^= bit(i);
        flipped++;
    }
}

static void flip_free_run(struct knoll_region *region, uint32_t index)
{
    uint32_t *first = region_entry(region, index);
    uint32_t length = free_run_length(first);
    expect_seen(&first[CELL_NEXT], KIND_BITS | NUMBER_MASK);
    expect_seen(&first[CELL_FREE_PREV], (CLASSIC ? 0 : KIND_BITS) | NUMBER_MASK);
    if (CLASSIC || length > 3)
        expect_seen(&first[CELL_LENGTH], (CLASSIC ? 0 : KIND_BITS) | NUMBER_MASK);
    if (!CLASSIC && length > 2)
        expect_seen(&first[length - 1], ALL);
}

static void flip_large_run(uint32_t *run)
{
    expect_seen(&run[CELL_NEXT], KIND_BITS | (NUMBER_MASK & ~63u));
    expect_seen(&run[CELL_LARGE_LENGTH], ALL);
}

/* Of a slab's attributes all but alignment and looseness, which are history, and bits that are not used. */
static void flip_slab(uint32_t *slab)
{
    bool listed = slab_word(slab) != 0;
    expect_seen(&slab[CELL_WORD], ALL);
    expect_seen(&slab[CELL_WORD + 1], ALL);
    expect_seen(&slab[CELL_NEXT], KIND_BITS | (CLASSIC ? 0 : SLAB_TINY) | (listed ? NUMBER_MASK : 0));
    expect_seen(&slab[CELL_SLAB_PREV], (CLASSIC ? 0 : KIND_BITS) | (listed ? NUMBER_MASK : 0));
    if (!slab_is_tiny(slab))
        expect_seen(&slab[CELL_ATTRIBUTES], 0x3f000fffu | (CLASSIC ? 0 : KIND_BITS));
}

/* The kinds of the cells inside a run, past those whose bits all mean something: NONE, whatever else they hold. */
static void flip_inside(struct knoll_region *region, uint32_t index, uint32_t length, bool is_free)
{
    uint32_t end = index + length - (is_free && !CLASSIC ? 1 : 0);
    for (uint32_t i = index + (CLASSIC ? 1 : CELL_ATTRIBUTES + 1); i < end; i++)
        expect_seen(region_entry(region, i), KIND_BITS);
}

static void flip_region(struct knoll_region *region)
{
    uint32_t length;
    expect_seen(&region->count, ALL);
    expect_seen(&region->number, ALL);
    for (uint32_t unit = 0; unit < region->count; unit++)
        expect_seen64(region_slab_map(region, unit), bit(unit % 64));
    for (uint32_t index = 1; index < region->count; index += length) {
        uint32_t *entry = region_entry(region, index);
        enum run_kind kind = cell_kind(*entry);
        length = run_length(entry);
        if (kind == RUN_FREE)
            flip_free_run(region, index);
        else if (kind == RUN_LARGE)
            flip_large_run(entry);
        else
            flip_slab(entry);
        flip_inside(region, index, length, kind == RUN_FREE);
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

/* ---- Invariant by invariant: the numbers are those of docs/design.md ---- */

enum {
    REGION_TABLE = 1,
    FREE_RUN_FORM = 3,
    FREE_RUNS_MERGED,
    LARGE_FORM,
    SLAB_FORM,
    SLAB_MAP,
    ONE_EMPTY_SLAB,
    FREE_LISTS
};
enum { PARTIAL_LISTS = 11, CLASS_COUNTS };

static void make_simple_heap(void)
{
    make_heap(&heap, arena_at(KIB(256), 0), KIB(256));
}

static uint32_t longest_free_run(void)
{
    return heap.list[bits_highest(heap.lists_filled)];
}

/* Makes [index, index + length) a free run, with list and counts in order. */
static void make_free_run(struct knoll_region *region, uint32_t index, uint32_t length)
{
    uint32_t *entry = region_entry(region, index);
    entry[CELL_NEXT] = cell_of(RUN_FREE, NOWHERE);
    entry[CELL_FREE_PREV] = cell_of(!CLASSIC && length == 2 ? RUN_PAIR : RUN_NONE, NOWHERE);
    if (CLASSIC || length > 2)
        entry[CELL_LENGTH] = length;
    if (!CLASSIC && length > 2)
        entry[length - 1] = cell_of(RUN_END, length);
    free_list_push(&heap, knoll_pages_list(region, index, length), entry, region_unit_number(region, index), length);
}

/* Cuts the longest free run, which starts at a multiple of four, in three. */
static void cut_in_three(uint32_t first, uint32_t second)
{
    uint32_t number = longest_free_run();
    struct knoll_region *region = region_of_number(&heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t length = free_run_length(entry_of(&heap, number));
    free_list_remove(&heap, knoll_pages_list(region, index, length), entry_of(&heap, number), length);
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
    struct block found = {{NULL, NOWHERE, 0, 0}, 0};
    assert_true(block_find(&heap, block, &found));
    uint32_t *run = entry_of(&heap, found.place.number);
    *run |= 30; /* a run after another is not at a GiB */
    assert_int_equal(knoll_check(&heap), LARGE_FORM);
    *run &= ~NUMBER_MASK;
    assert_int_equal(knoll_check(&heap), 0);
    *run |= 8 * sizeof(size_t); /* no alignment */
    assert_int_equal(knoll_check(&heap), LARGE_FORM);
}

static void slabs(void **state)
{
    (void)state;
    make_simple_heap();
    knoll_malloc(&heap, 64);
    knoll_malloc(&heap, 64);
    struct knoll_class_state *counts = &heap.size_class[class_for(1, 64)];
    uint32_t number = counts->partial;
    uint32_t *slab = entry_of(&heap, number);
    unsigned capacity = attributes_capacity(slab_attributes(slab));
    counts->touched = capacity + 1;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->touched = 1;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    counts->touched = capacity;
    assert_int_equal(knoll_check(&heap), 0);
    counts->newest = number + 1; /* no slab */
    assert_int_equal(knoll_check(&heap), CLASS_COUNTS);
    counts->newest = number;
    heap.size_class[0].newest = heap.size_class[1].newest = number; /* not of both classes */
    assert_int_equal(knoll_check(&heap), CLASS_COUNTS);
    heap.size_class[0].newest = heap.size_class[1].newest = NOWHERE;
    counts->newest = number;

    uint64_t *map = region_slab_map(heap.region[0], 0);
    *map ^= 1; /* unit 0 */
    assert_int_equal(knoll_check(&heap), SLAB_MAP);
    *map ^= 1 | bit(10); /* inside a free run */
    assert_int_equal(knoll_check(&heap), SLAB_MAP);
    *map ^= bit(10);

    list_remove(&heap, &counts->partial, slab, CELL_SLAB_PREV);
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    list_push(&heap, &counts->partial, slab, number, CELL_SLAB_PREV);
    assert_int_equal(knoll_check(&heap), 0);
    counts->touched = 2;
    slab[CELL_ATTRIBUTES] -= 1u << SLAB_CAPACITY_SHIFT;
    slab_set_word(slab, slab_word(slab) & bits_low(capacity - 1));
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
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
    unsigned list = knoll_pages_list(heap.region[0], number & INDEX_MASK, free_run_length(run));
    list_remove(&heap, &heap.list[list], run, CELL_FREE_PREV); /* in none */
    heap.lists_filled &= ~bit(list);
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
    list_push(&heap, &heap.list[list - 1], run, number, CELL_FREE_PREV); /* in another */
    heap.lists_filled |= bit(list - 1);
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bit_that_means_something),
    cmocka_unit_test(free_runs_side_by_side),
    cmocka_unit_test(regions_out_of_order),
    cmocka_unit_test(large_runs),
    cmocka_unit_test(slabs),
    cmocka_unit_test(an_empty_slab_too_many),
    cmocka_unit_test(free_lists),
};

CHECK_MAIN(tests)
