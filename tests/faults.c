/* Misuse: every kind of fault, by every call that takes a block, at every kind of place.
 *
 * Each faulty call must report once, with the heap, the address and a kind that the header allows, before anything has
 * changed; must give NULL or 0; and must leave the struct and all memory as they were, byte for byte. Where a block
 * lay whose slab or run is gone, the tables may or may not remember it: there two kinds are allowed.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define KIND(name)     (1u << KNOLL_FAULT_##name)
#define FREED          KIND(DOUBLE_FREE)
#define FORGOTTEN      (KIND(DOUBLE_FREE) | KIND(NOT_HANDED_OUT))
#define INSIDE_NOTHING (FORGOTTEN | KIND(INTERIOR))

#define FIRST_SIZE  KIB(256)
#define SECOND_SIZE KIB(96)
#define SPAN        (FIRST_SIZE + KIB(32) + SECOND_SIZE)

static struct knoll_heap heap;
static struct knoll_heap other_heap;
static unsigned char *first, *second, *others;

/* Two regions with a gap between them, and a heap beside. */
static void make_heaps(void)
{
    first = arena_at(KIB(64), KIB(4));
    second = first + FIRST_SIZE + KIB(32);
    others = first + SPAN + KIB(32);
    make_heap(&other_heap, others, KIB(64));
    make_heap(&heap, first, FIRST_SIZE);
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, second, SECOND_SIZE);
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
}

static void expect_report(const void *address, unsigned kinds)
{
    assert_int_equal(last_fault.count, 1);
    assert_ptr_equal(last_fault.heap, &heap);
    assert_ptr_equal(last_fault.address, address);
    assert_true((kinds >> last_fault.fault & 1) != 0);
    assert_int_equal(last_fault.broken, 0);
    assert_true(snapshot_holds(&heap));
    assert_int_equal(knoll_check(&heap), 0);
    last_fault.count = 0;
}

/* The ways that an address can be handed to the heap; each returns what the call gave, which must be nothing. */
static uintptr_t hand_in(unsigned way, void *address)
{
    switch (way) {
    case 0:
        knoll_free(&heap, address);
        return 0;
    case 1:
        knoll_free_sized(&heap, address, 100);
        return 0;
    case 2:
        knoll_free_aligned_sized(&heap, address, 64, 100);
        return 0;
    case 3:
        return (uintptr_t)knoll_realloc(&heap, address, 1);
    case 4:
        return (uintptr_t)knoll_realloc(&heap, address, 10000);
    case 5:
        return (uintptr_t)knoll_realloc(&heap, address, SIZE_MAX);
    case 6:
        return (uintptr_t)knoll_realloc(&heap, address, 0);
    case 7:
        knoll_free_sized(&heap, address, SIZE_MAX);
        return 0;
    case 8:
        knoll_free_aligned_sized(&heap, address, 3, 100);
        return 0;
    default:
        return knoll_usable_size(&heap, address);
    }
}

#define WAYS 10

static void expect_fault(const void *address, unsigned kinds)
{
    snapshot_take(&heap, first, SPAN);
    last_fault.count = 0;
    for (unsigned way = 0; way < WAYS; way++) {
        assert_int_equal(hand_in(way, (void *)(uintptr_t)address), 0);
        expect_report(address, kinds);
    }
}

/* ---- Places: a block that is held, with the size it was asked for with ---- */

static const size_t sizes[] = {1, 64, 100, 1000, 2048, 4096, 5000, 8192, 12288, 40000};

#define SIZES (sizeof sizes / sizeof sizes[0])

static int find_last_block(void *context, const struct knoll_item *item)
{
    if (item->kind == KNOLL_ITEM_BLOCK)
        *(const void **)context = item->start;
    return 0;
}

static int stop_at_first_block(void *context, const struct knoll_item *item)
{
    find_last_block(context, item);
    return item->kind == KNOLL_ITEM_BLOCK;
}

/* Whether memory did not suffice for a block as it should be, so that this one may be freed under other sizes too. */
static bool served_otherwise(const void *block, size_t size)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return knoll_usable_size(&heap, block) != knoll_good_size(&heap, 1, size) ||
           (size + OVERHEAD <= KNOLL_SLAB_MAXIMUM && stats.large_blocks != 0);
}

enum place { ALONE, AMONG_OTHERS, FIRST_OF_HEAP, LAST_OF_HEAP, IN_SECOND_REGION, PLACES };

/* All blocks of this size that the heap can give: the first, the last, or one in the region that came second. */
static void *block_at(enum place place, size_t size)
{
    const void *found = NULL;
    unsigned char *block;
    make_heaps();
    block = knoll_malloc(&heap, size);
    if (place == ALONE)
        return block;
    if (place == AMONG_OTHERS) {
        block = knoll_malloc(&heap, size);
        assert_non_null(knoll_malloc(&heap, size));
        return block;
    }
    while (block != NULL && !(place == IN_SECOND_REGION && block >= second)) {
        block = knoll_malloc(&heap, size);
        if (block != NULL && served_otherwise(block, size)) {
            knoll_free(&heap, block);
            block = NULL;
        }
    }
    if (place == IN_SECOND_REGION && block != NULL)
        return block;
    knoll_walk(&heap, place == FIRST_OF_HEAP ? stop_at_first_block : find_last_block, &found);
    return (void *)(uintptr_t)found;
}

static void interior_addresses(void **state)
{
    (void)state;
    for (unsigned place = ALONE; place < PLACES; place++) {
        for (size_t i = 0; i < SIZES; i++) {
            const unsigned char *block = block_at((enum place)place, sizes[i]);
            size_t usable = knoll_usable_size(&heap, block);
            size_t unit = (size_t)1 << KNOLL_UNIT_SHIFT;
            const size_t inside[] = {1,       8, 13, 16, 31, usable / 2, usable - 1, unit, unit + 64, usable - unit,
                                     3 * unit};
            for (size_t j = 0; j < sizeof inside / sizeof inside[0]; j++)
                if (inside[j] != 0 && inside[j] < usable)
                    expect_fault(block + inside[j], KIND(INTERIOR));
        }
    }
}

/* A slab's word is any pattern of bits, also such as elsewhere in the tables would say that a large block starts. So
 * each block of a slab in turn is the only free one, and its neighbours' addresses that start a unit are handed in. */
static void interior_addresses_beside_any_word(void **state)
{
    unsigned char *blocks[64];
    (void)state;
    for (size_t size = 48; size <= 1024; size *= 2) { /* 64 of the largest fit */
        make_heaps();
        for (size_t i = 0; i < 64; i++)
            assert_non_null(blocks[i] = knoll_malloc(&heap, size));
        for (size_t i = 0; i < 64; i++) {
            knoll_free(&heap, blocks[i]);
            last_fault.count = 0;
            for (size_t j = 0; j < 64; j++) {
                unsigned char *unit = first + round_up((size_t)(blocks[j] - first), 512);
                if (j == i || unit == blocks[j] || unit >= blocks[j] + knoll_usable_size(&heap, blocks[j]))
                    continue;
                knoll_free(&heap, unit);
                assert_int_equal(last_fault.count, 1);
                assert_int_equal(last_fault.fault, KNOLL_FAULT_INTERIOR);
                last_fault.count = 0;
            }
            assert_int_equal(knoll_check(&heap), 0);
            blocks[i] = knoll_malloc(&heap, size);
        }
    }
}

static void expect_size_fault(unsigned char *block, size_t alignment, size_t size)
{
    if (alignment == 1) {
        knoll_free_sized(&heap, block, size);
        expect_report(block, KIND(SIZE));
    }
    knoll_free_aligned_sized(&heap, block, alignment, size);
    expect_report(block, KIND(SIZE));
}

/* Every size and alignment that asks for another block, and then the one that does not. */
static void wrong_sizes(void **state)
{
    static const size_t wrong[] = {0, 1, 48, 100, 150, 300, 900, 2000, 3000, 4096, 4097, 9000, 20000, 70000, SIZE_MAX};
    (void)state;
    for (unsigned place = ALONE; place < PLACES; place++) {
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *block = block_at((enum place)place, sizes[i]);
            size_t usable = knoll_usable_size(&heap, block);
            snapshot_take(&heap, first, SPAN);
            last_fault.count = 0;
            for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++)
                for (size_t alignment = 1; alignment <= KIB(128); alignment *= 4)
                    if (knoll_good_size(&heap, alignment, wrong[j]) != usable)
                        expect_size_fault(block, alignment, wrong[j]);
            expect_size_fault(block, 1, usable + 1);
            expect_size_fault(block, 0, sizes[i]);
            expect_size_fault(block, 3, sizes[i]);
            expect_size_fault(block, SIZE_MAX, sizes[i]);
            knoll_free_aligned_sized(&heap, block, 1, sizes[i]);
            assert_int_equal(last_fault.count, 0);
            assert_int_equal(knoll_check(&heap), 0);
        }
    }
}

static void freed_at_once(void **state)
{
    (void)state;
    for (unsigned place = ALONE; place < PLACES; place++) {
        for (size_t i = 0; i < SIZES; i++) {
            unsigned char *block = block_at((enum place)place, sizes[i]);
            bool slab_stays = place != ALONE && sizes[i] <= KNOLL_SLAB_MAXIMUM / 2;
            knoll_free(&heap, block);
            expect_fault(block, slab_stays ? FREED : FORGOTTEN);
            expect_fault(block + 8, INSIDE_NOTHING);
        }
    }
}

/* The block's neighbours go too, until its slab or run has merged with all around it. */
static void freed_and_merged(void **state)
{
    static void *blocks[9];
    (void)state;
    for (size_t i = 0; i < SIZES && sizes[i] <= 12288; i++) {
        make_heaps();
        assert_int_equal(fill(&heap, sizes[i], blocks, 9), 9);
        knoll_free(&heap, blocks[4]);
        for (size_t j = 0; j < 9; j++) {
            if (j == 4)
                continue;
            knoll_free(&heap, blocks[j]);
            expect_fault(blocks[4], FORGOTTEN);
            expect_fault(blocks[j], FORGOTTEN);
        }
        assert_int_equal(knoll_used_bytes(&heap), 0);
        for (size_t j = 0; j < 9; j++)
            expect_fault(blocks[j], FORGOTTEN);
    }
}

/* The memory of a freed block is handed out again in other sizes: its address is then inside a block, or at no block,
 * or is a block that is held, which is no fault. */
static void freed_and_handed_out_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < SIZES; j++) {
            make_heaps();
            unsigned char *old = knoll_malloc(&heap, sizes[i]);
            knoll_free(&heap, old);
            unsigned char *new = knoll_malloc(&heap, sizes[j]);
            size_t usable = knoll_usable_size(&heap, new);
            if (new == old)
                continue;
            expect_fault(old, old > new &&old < new + usable ? KIND(INTERIOR) : INSIDE_NOTHING);
        }
    }
}

static void moved_by_realloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *block = block_at(AMONG_OTHERS, sizes[i]);
        unsigned char *moved = knoll_realloc(&heap, block, 60000);
        assert_non_null(moved);
        if (moved == block)
            continue;
        bool reused = block > moved && block < moved + 60000;
        expect_fault(block, reused ? KIND(INTERIOR) : FORGOTTEN);
        knoll_free(&heap, moved);
        expect_fault(moved, FORGOTTEN);
    }
}

static void foreign_addresses(void **state)
{
    static unsigned char in_static_storage[64];
    unsigned char on_the_stack[64] = {0};
    (void)state;
    make_heaps();
    const unsigned char *of_another_heap = knoll_malloc(&other_heap, 100);
    const void *foreign[] = {
        on_the_stack,
        in_static_storage,
        of_another_heap,
        others,
        &heap,
        first - 1,
        first - 16,
        first - KNOLL_PAGE,
        first + FIRST_SIZE,
        first + FIRST_SIZE + 1,
        first + FIRST_SIZE + KNOLL_PAGE,
        second - 1,
        second - KNOLL_PAGE,
        second + SECOND_SIZE,
        second + SECOND_SIZE + KNOLL_PAGE,
        (const void *)(uintptr_t)1,
        (const void *)(uintptr_t)16,
        (const void *)(uintptr_t)KNOLL_PAGE,
        (const void *)UINTPTR_MAX,
        (const void *)(UINTPTR_MAX - 15),
        (const void *)(UINTPTR_MAX / 2),
        (const void *)(UINTPTR_MAX / 2 + 1),
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        expect_fault(foreign[i], KIND(FOREIGN));
    assert_int_equal(knoll_check(&other_heap), 0);
    knoll_free(&other_heap, (void *)(uintptr_t)of_another_heap);
    assert_int_equal(knoll_used_bytes(&other_heap), 0);
}

struct span {
    const unsigned char *after; /* look for tables from here on */
    const unsigned char *start;
    size_t size;
};

static int find_tables(void *context, const struct knoll_item *item)
{
    struct span *span = context;
    if (item->kind != KNOLL_ITEM_TABLES || (const unsigned char *)item->start < span->after)
        return 0;
    span->start = item->start;
    span->size = item->size;
    return 1;
}

static void the_tables(void **state)
{
    (void)state;
    make_heaps();
    knoll_malloc(&heap, 100);
    unsigned char *regions[] = {first, second};
    for (size_t i = 0; i < (KNOLL_REGIONS_MAX > 1 ? 2 : 1); i++) {
        struct span tables = {regions[i], NULL, 0};
        assert_int_equal(knoll_walk(&heap, find_tables, &tables), 1);
        assert_ptr_equal(tables.start, regions[i]);
        for (size_t j = 0; j < tables.size; j += 501)
            expect_fault(tables.start + j, KIND(TABLES));
        for (size_t bit = 1; bit < tables.size; bit *= 2)
            expect_fault(tables.start + bit, KIND(TABLES));
        expect_fault(tables.start + tables.size - 1, KIND(TABLES));
        expect_fault(tables.start + tables.size - 64, KIND(TABLES));
    }
}

/* In a fresh heap nothing was ever handed out; beside the only block there is, the tables need not know. */
static void never_handed_out(void **state)
{
    (void)state;
    make_heaps();
    size_t tables = FIRST_SIZE + SECOND_SIZE - knoll_total_bytes(&heap);
    if (KNOLL_REGIONS_MAX == 1)
        tables -= SECOND_SIZE;
    for (size_t at = tables; at < FIRST_SIZE; at += KIB(3)) {
        expect_fault(first + at, KIND(NOT_HANDED_OUT));
        expect_fault(first + at + 64, KIND(NOT_HANDED_OUT));
        expect_fault(first + at + 13, KIND(NOT_HANDED_OUT));
    }
    expect_fault(first + FIRST_SIZE - 1, KIND(NOT_HANDED_OUT));
    for (size_t i = 0; i < SIZES; i++) {
        make_heaps();
        const unsigned char *block = knoll_malloc(&heap, sizes[i]);
        size_t usable = knoll_usable_size(&heap, block);
        const unsigned char *region_end = block < second ? first + FIRST_SIZE : second + SECOND_SIZE;
        bool room_above = block + 2 * usable <= region_end;
        if (IS_BYTE_EXACT && !room_above)
            continue; /* below it may be another region, or none */
        const unsigned char *beside = room_above ? block + usable : block - usable;
        expect_fault(beside, IS_BYTE_EXACT ? INSIDE_NOTHING : FORGOTTEN); /* or it is in the block's canary */
        expect_fault(beside + 8, INSIDE_NOTHING);
        expect_fault(beside + usable - 1, INSIDE_NOTHING);
    }
}

/* After any number of faults the heap serves as before. */
static void the_heap_goes_on(void **state)
{
    (void)state;
    make_heaps();
    size_t largest = largest_block(&heap);
    unsigned char *block = knoll_malloc(&heap, 500);
    for (int i = 0; i < 1000; i++) {
        knoll_free(&heap, block + 1 + i % 400);
        assert_null(knoll_realloc(&heap, first + i, 5));
    }
    assert_int_equal(last_fault.count, 2000);
    last_fault.count = 0;
    block = knoll_realloc(&heap, block, 5000);
    knoll_free_sized(&heap, block, 5000);
    assert_int_equal(last_fault.count, 0);
    knoll_drain(&heap);
    assert_int_equal(largest_block(&heap), largest);
    assert_int_equal(survey(&heap).blocks, 0);
    make_heap(&heap, first, FIRST_SIZE);
    assert_int_equal(knoll_usable_size(&heap, NULL), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(interior_addresses), cmocka_unit_test(interior_addresses_beside_any_word),
    cmocka_unit_test(wrong_sizes),        cmocka_unit_test(freed_at_once),
    cmocka_unit_test(freed_and_merged),   cmocka_unit_test(freed_and_handed_out_anew),
    cmocka_unit_test(moved_by_realloc),   cmocka_unit_test(foreign_addresses),
    cmocka_unit_test(the_tables),         cmocka_unit_test(never_handed_out),
    cmocka_unit_test(the_heap_goes_on),
};

CHECK_MAIN(tests)
