/* knoll_walk, item by item. What holds for every walk is asserted by the survey; here are the walks whose every item
 * is known beforehand, and stopping at each of them.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define ITEMS 4096

static struct knoll_heap heap;
static struct knoll_item items[ITEMS];
static size_t item_count;
static void *blocks[512];

static int note_item(void *context, const struct knoll_item *item)
{
    (void)context;
    assert_true(item_count < ITEMS);
    items[item_count++] = *item;
    return 0;
}

static void walk(void)
{
    item_count = 0;
    assert_int_equal(knoll_walk(&heap, note_item, NULL), 0);
}

static void expect_item(size_t place, enum knoll_item_kind kind, const void *start)
{
    assert_true(place < item_count);
    assert_int_equal(items[place].kind, kind);
    if (start != NULL)
        assert_ptr_equal(items[place].start, start);
}

static void an_empty_heap(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    walk();
    size_t tables = KIB(64) - knoll_total_bytes(&heap);
    expect_item(0, KNOLL_ITEM_REGION, arena);
    assert_int_equal(items[0].size, KIB(64));
    expect_item(1, KNOLL_ITEM_TABLES, arena);
    assert_int_equal(items[1].size, tables);
    expect_item(2, KNOLL_ITEM_FREE, arena + tables);
    for (size_t i = 2; i < item_count; i++)
        assert_int_equal(items[i].kind, KNOLL_ITEM_FREE);
    if (!CLASSIC)
        assert_int_equal(item_count, 3);
    survey(&heap);
}

/* A slab and a large run, each followed by what callers hold of it, and by nothing once they hold nothing. */
static void a_slab_and_a_run(void **state)
{
    (void)state;
    if (IS_BYTE_EXACT) /* blocks do not begin where their slab or run does */
        return;
    make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
    void *small = knoll_malloc(&heap, 64);
    void *large = knoll_malloc(&heap, 8192);
    size_t seen = 0;
    walk();
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].kind == KNOLL_ITEM_SLAB) {
            assert_int_equal(items[i].block_size, 64);
            assert_true(items[i].blocks * 64 <= items[i].size);
            expect_item(i + 1, KNOLL_ITEM_BLOCK, small);
            assert_int_equal(items[i + 1].size, 64);
            seen += 1;
        }
        if (items[i].kind == KNOLL_ITEM_LARGE) {
            assert_ptr_equal(items[i].start, large);
            assert_int_equal(items[i].size, 8192);
            expect_item(i + 1, KNOLL_ITEM_BLOCK, large);
            assert_int_equal(items[i + 1].size, 8192);
            seen += 10;
        }
    }
    assert_int_equal(seen, 11);
    knoll_free(&heap, small);
    knoll_free(&heap, large);
    walk();
    for (size_t i = 0; i < item_count; i++)
        assert_true(items[i].kind != KNOLL_ITEM_BLOCK && items[i].kind != KNOLL_ITEM_LARGE);
}

/* The blocks of one slab, of which some are held: exactly those, lowest first. */
static void only_the_blocks_that_are_held(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    for (size_t i = 0; i < 64; i++)
        blocks[i] = knoll_malloc(&heap, 64);
    for (size_t i = 0; i < 64; i++)
        if (i % 7 != 3 && i != 63)
            knoll_free(&heap, blocks[i]);
    size_t held = 0;
    walk();
    for (size_t i = 0; i < item_count; i++) {
        if (items[i].kind != KNOLL_ITEM_BLOCK)
            continue;
        bool known = false;
        for (size_t j = 0; j < 64; j++)
            known |= (j % 7 == 3 || j == 63) && blocks[j] == items[i].start;
        assert_true(known);
        assert_true(held == 0 || items[i].start > items[i - 1].start);
        held++;
    }
    assert_int_equal(held, 10);
}

static int stop_at(void *context, const struct knoll_item *item)
{
    size_t *left = context;
    (void)item;
    assert_true(*left > 0);
    (*left)--;
    return *left == 0 ? 77 : 0;
}

static int stop_negative(void *context, const struct knoll_item *item)
{
    (void)item;
    ++*(size_t *)context;
    return -1;
}

/* At each item in turn: the visitor's value comes back, and no further item is shown. */
static void stopping(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, arena + KIB(64), KIB(32));
    for (size_t i = 0; i < 20; i++)
        knoll_malloc(&heap, (size_t)32 << i % 10);
    walk();
    for (size_t place = 1; place <= item_count; place++) {
        size_t left = place;
        assert_int_equal(knoll_walk(&heap, stop_at, &left), 77);
        assert_int_equal(left, 0);
    }
    size_t calls = 0;
    assert_int_equal(knoll_walk(&heap, stop_negative, &calls), -1);
    assert_int_equal(calls, 1);
}

/* Regions come by address, in whatever order they were added. */
static void regions_by_address(void **state)
{
    static const size_t place[] = {5, 2, 7, 0, 6, 1, 4, 3};
    (void)state;
    for (size_t i = 0; i < 8 && i < KNOLL_REGIONS_MAX; i++) {
        unsigned char *start = arena + place[i] * KIB(40);
        if (i == 0)
            make_heap(&heap, start, KNOLL_MINIMUM_HEAP);
        else
            add_memory(&heap, start, KIB(32));
        void *block = knoll_malloc(&heap, 9000);
        const unsigned char *last = NULL;
        size_t regions = 0;
        bool found = false;
        walk();
        for (size_t item = 0; item < item_count; item++) {
            if (items[item].kind == KNOLL_ITEM_REGION) {
                assert_true((const unsigned char *)items[item].start > last);
                last = items[item].start;
                expect_item(item + 1, KNOLL_ITEM_TABLES, last);
                regions++;
                const unsigned char *end = (const unsigned char *)items[item].start + items[item].size;
                assert_true(knoll_owns(&heap, items[item].start) == 1 && knoll_owns(&heap, end - 1) == 1);
                assert_int_equal(knoll_owns(&heap, end), 0); /* 8 KiB are between any two */
            }
            found |= items[item].kind == KNOLL_ITEM_BLOCK && items[item].start == block;
        }
        assert_int_equal(regions, i + 1);
        assert_true(found);
        survey(&heap);
    }
}

/* The set of blocks that a walk shows is the set that was handed out, whatever happened. */
static void the_walk_knows_every_block(void **state)
{
    struct random random = random_from(31);
    uint64_t fingerprint = 0;
    size_t held = 0;
    (void)state;
    make_heap(&heap, arena, KIB(512));
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 4000; step++) {
        void **slot = &blocks[random_below(&random, 512)];
        if (*slot != NULL) {
            fingerprint -= block_fingerprint(*slot, knoll_usable_size(&heap, *slot));
            knoll_free(&heap, *slot);
            held--;
        }
        *slot = knoll_malloc(&heap, random_below(&random, step % 5 == 0 ? 20000 : 1500));
        if (*slot != NULL) {
            fingerprint += block_fingerprint(*slot, knoll_usable_size(&heap, *slot));
            held++;
        }
        struct survey found = survey(&heap);
        assert_int_equal(found.blocks, held);
        assert_true(found.fingerprint == fingerprint);
    }
}

struct free_runs {
    size_t least, count, stop_at;
    uint64_t fingerprint;
    bool is_by_themselves; /* then just these are visited */
};

static int see_free(void *context, const struct knoll_item *item)
{
    struct free_runs *seen = context;
    if (item->kind != KNOLL_ITEM_FREE || item->size < seen->least) {
        assert_false(seen->is_by_themselves);
        return 0;
    }
    assert_true(item->block_size == item->size && item->blocks == 0);
    seen->fingerprint += block_fingerprint(item->start, item->size);
    return ++seen->count == seen->stop_at;
}

/* The free runs that are visited by themselves are those of the walk, but for what cannot be listed: a single unit in
 * compact. */
static void the_free_runs(void **state)
{
    struct random random = random_from(32);
    size_t seen = 0;
    (void)state;
    make_heap(&heap, arena, KIB(512));
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, arena + KIB(600), KIB(40));
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 2000; step++) {
        void **slot = &blocks[random_below(&random, 128)];
        knoll_free(&heap, *slot);
        *slot = knoll_malloc(&heap, random_below(&random, step % 3 == 0 ? 20000 : 1500));
        size_t least = CLASSIC ? 1 : 1024;
        if (step % 2 != 0)
            least += random_below(&random, 1024u << random_below(&random, 9));
        if (step % 4 == 0) /* by few bytes more than units */
            least = (2 + random_below(&random, 8)) * (CLASSIC ? KIB(4) : 512) + random_below(&random, 4);
        struct free_runs walked = {least, 0, 0, 0, false}, direct = {least, 0, 0, 0, true};
        struct free_runs stopped = {least, 0, 1, 0, true};
        assert_int_equal(knoll_walk(&heap, see_free, &walked), 0);
        assert_int_equal(knoll_walk_free(&heap, least, see_free, &direct), 0);
        assert_true(walked.count == direct.count && walked.fingerprint == direct.fingerprint);
        assert_int_equal(knoll_walk_free(&heap, least, see_free, &stopped), direct.count > 0);
        assert_int_equal(stopped.count, direct.count > 0);
        seen += direct.count;
    }
    assert_true(seen > 200);
    struct free_runs all = {SIZE_MAX, 0, 0, 0, true};
    assert_int_equal(knoll_walk_free(&heap, SIZE_MAX, see_free, &all), 0);
    assert_int_equal(all.count, 0);
    memset(&heap, 0, sizeof heap); /* a heap without memory */
    assert_int_equal(knoll_owns(&heap, arena), 0);
    assert_int_equal(knoll_walk_free(&heap, 0, see_free, &all), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_heap),
    cmocka_unit_test(a_slab_and_a_run),
    cmocka_unit_test(only_the_blocks_that_are_held),
    cmocka_unit_test(stopping),
    cmocka_unit_test(regions_by_address),
    cmocka_unit_test(the_walk_knows_every_block),
    cmocka_unit_test(the_free_runs),
};

CHECK_MAIN(tests)
