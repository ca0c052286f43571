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
#define KIND_BITS   (~NUMBER_MASK)
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
    struct knoll_entry *first = region_entry(region, index);
    uint32_t length = entry_length(first);
    struct knoll_entry *last = region_entry(region, index + length - 1);
    expect_seen64(&first->word, RUN_LENGTH_MASK);
    expect_seen(&first->next, ALL);
    expect_seen(&first->kind_prev, ALL);
    if (!CLASSIC && length > 1) {
        expect_seen64(&last->word, RUN_LENGTH_MASK);
        expect_seen(&last->kind_prev, KIND_BITS);
    }
}

static void flip_large_run(struct knoll_entry *run)
{
    expect_seen64(&run->word, RUN_LENGTH_MASK | RUN_WAS_BLOCK);
    expect_seen(&run->kind_prev, KIND_BITS);
}

/* Of a slab's second entry all but `touched` and `alignment`, which are the histories. */
static void flip_slab(struct knoll_entry *slab)
{
    struct knoll_entry *second = &slab[1];
    bool listed = slab->word != 0;
    expect_seen64(&slab->word, ~(uint64_t)0);
    expect_seen(&slab->kind_prev, listed ? ALL : KIND_BITS);
    if (listed)
        expect_seen(&slab->next, ALL);
    expect_seen(&second->kind_prev, ALL);
    for (unsigned i = 0; i < 8; i++) {
        second->slab.size_class ^= (uint8_t)(1u << i);
        assert_true(knoll_check(&heap) != 0);
        second->slab.size_class ^= (uint8_t)(1u << i);
        second->slab.capacity ^= (uint8_t)(1u << i);
        assert_true(knoll_check(&heap) != 0);
        second->slab.capacity ^= (uint8_t)(1u << i);
        flipped += 2;
    }
}

/* The kinds of the entries inside a run: NONE, whatever else they hold. */
static void flip_inside(struct knoll_region *region, uint32_t index, uint32_t length, bool is_free)
{
    uint32_t end = index + length - (is_free ? 1 : 0);
    for (uint32_t i = index + 1; i < end; i++)
        expect_seen(&region_entry(region, i)->kind_prev, KIND_BITS);
    if (CLASSIC && is_free && length > 1) /* FREE, there, would be no harm */
        expect_seen(&region_entry(region, end)->kind_prev, (uint32_t)RUN_LARGE << NUMBER_BITS);
}

static void flip_region(struct knoll_region *region)
{
    uint32_t length;
    expect_seen(&region->own.count, ALL);
    expect_seen(&region->own.kind_prev, ALL);
    for (uint32_t unit = 0; unit < region->own.count; unit++)
        expect_seen64(region_slab_map(region, unit), bit(unit % 64));
    for (uint32_t index = 1; index < region->own.count; index += length) {
        struct knoll_entry *entry = region_entry(region, index);
        enum run_kind kind = entry_kind(entry);
        length = kind == RUN_SLAB ? slab_length(entry) : entry_length(entry);
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
enum { PARTIAL_LISTS = 11 };

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
    struct knoll_entry *last = region_entry(region, index + length - 1);
    if (!CLASSIC) {
        last->word = length;
        entry_set(last, RUN_FREE, NOWHERE);
    }
    free_list_push(&heap, knoll_pages_list(length), region_entry(region, index), region_unit_number(region, index),
                   length);
}

/* Cuts the longest free run, which starts at a multiple of four, in three. */
static void cut_in_three(uint32_t first, uint32_t second)
{
    uint32_t number = longest_free_run();
    struct knoll_region *region = region_of_number(&heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t length = entry_length(entry_of(&heap, number));
    free_list_remove(&heap, knoll_pages_list(length), entry_of(&heap, number));
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
    cut_in_three(1, 2); /* in classic the second is out of place */
    assert_int_equal(knoll_check(&heap), CLASSIC ? FREE_RUN_FORM : FREE_RUNS_MERGED);
    make_simple_heap();
    if (!CLASSIC) {
        region_entry(heap.region[0], heap.region[0]->own.count - 1)->word--;
        assert_int_equal(knoll_check(&heap), FREE_RUN_FORM);
    }
}

static void regions_out_of_order(void **state)
{
    (void)state;
    make_rich_heap(5);
    heap.region[0]->own.count |= 1u << (INDEX_BITS - 1);
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
    if (KNOLL_REGIONS_MAX == 1)
        return;
    make_rich_heap(5);
    heap.by_address[0] = 1;
    heap.by_address[1] = 0;
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
    make_rich_heap(5);
    heap.region[0]->own.kind_prev = 1;
    assert_int_equal(knoll_check(&heap), REGION_TABLE);
}

static void large_runs(void **state)
{
    (void)state;
    make_simple_heap();
    knoll_malloc(&heap, 10000);
    void *block = knoll_malloc(&heap, 10000);
    struct block found = {{NULL, NOWHERE, 0}, 0};
    assert_true(block_find(&heap, block, &found));
    uint64_t *word = &entry_of(&heap, found.place.number)->word;
    *word |= (uint64_t)30 << RUN_ALIGNMENT_SHIFT; /* a run after another is not at a GiB */
    assert_int_equal(knoll_check(&heap), LARGE_FORM);
    *word &= RUN_LENGTH_MASK;
    assert_int_equal(knoll_check(&heap), 0);
    *word |= RUN_WAS_BLOCK;
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
    struct knoll_entry *slab = entry_of(&heap, number);
    struct knoll_entry *second = &slab[1];
    second->slab.touched = (uint8_t)(second->slab.capacity + 1);
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    second->slab.touched = 1;
    assert_int_equal(knoll_check(&heap), SLAB_FORM);
    second->slab.touched = second->slab.capacity;
    assert_int_equal(knoll_check(&heap), 0);

    uint64_t *map = region_slab_map(heap.region[0], 0);
    *map ^= 1; /* unit 0 */
    assert_int_equal(knoll_check(&heap), SLAB_MAP);
    *map ^= 1 | bit(10); /* inside a free run */
    assert_int_equal(knoll_check(&heap), SLAB_MAP);
    *map ^= bit(10);

    list_remove(&heap, &counts->partial, slab, RUN_SLAB);
    assert_int_equal(knoll_check(&heap), PARTIAL_LISTS);
    list_push(&heap, &counts->partial, slab, number, RUN_SLAB);
    assert_int_equal(knoll_check(&heap), 0);
    second->slab.touched = 2;
    second->slab.capacity--;
    second->all = bits_low(second->slab.capacity);
    slab->word &= second->all;
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
    struct knoll_entry *run = entry_of(&heap, number);
    unsigned list = knoll_pages_list(entry_length(run));
    list_remove(&heap, &heap.list[list], run, RUN_FREE); /* in none */
    heap.lists_filled &= ~bit(list);
    assert_int_equal(knoll_check(&heap), FREE_LISTS);
    list_push(&heap, &heap.list[list + 1], run, number, RUN_FREE); /* in another */
    heap.lists_filled |= bit(list + 1);
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
