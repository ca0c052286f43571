/* Regions: their tables, unit numbers, the search by address, and the slab map.
 *
 * The tables are measured for every number of pages up to 2000: no more than the bound of knoll.h, and no unit more
 * than they need. Then several regions are made out of order, and for each of their units address, number and entry
 * must lead to one another, and from no other address to a region at all.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "region.h"
#include "support.h"

#define PAGES_MOST 2000

static struct knoll_heap heap;

static struct knoll_region *make_region(void *start, size_t size)
{
    memset(start, 0x5A, size < KIB(4) ? size : KIB(4));
    return knoll_region_make(&heap, start, size);
}

/* What header, entries and slab map of units 0 to count - 1 take. */
static size_t naive_table_bytes(size_t count)
{
    size_t bytes = 0;
    for (size_t unit = 0; unit < count; unit += 64)
        bytes += 8;
    return bytes + sizeof(struct knoll_region) + (count - 1) * (CLASSIC ? 20 : 4);
}

static void tables_take_what_they_need(void **state)
{
    (void)state;
    for (size_t pages = 1; pages <= PAGES_MOST && pages * KNOLL_PAGE <= arena_size; pages++) {
        size_t size = pages * KNOLL_PAGE;
        memset(&heap, 0, sizeof heap);
        if (knoll_region_limits(&heap, arena, size, KNOLL_PAGE) != KNOLL_OK) {
            assert_true(CLASSIC && pages == 1);
            continue;
        }
        const struct knoll_region *region = make_region(arena, size);
        size_t count = region->count;
        assert_int_equal(heap.tables % UNIT, 0);
        assert_int_equal(heap.total, (count - 1) * UNIT);
        assert_int_equal(heap.tables + heap.total, size);
        assert_ptr_equal(region->base + UNIT, arena + heap.tables);
        assert_true(heap.tables <= UNIT || heap.tables <= size * 2 / 125);
        assert_true(naive_table_bytes(count) <= heap.tables);
        assert_true(naive_table_bytes(count + 1) > heap.tables - UNIT);
    }
}

static void fresh_tables_are_empty(void **state)
{
    static const size_t pages[] = {8, 9, 63, 64, 65, 500};
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        size_t size = pages[i] * KNOLL_PAGE;
        memset(&heap, 0, sizeof heap);
        memset(arena, 0x5A, size);
        struct knoll_region *region = knoll_region_make(&heap, arena, size);
        for (uint32_t unit = 1; unit < region->count; unit++) {
            for (uint32_t cell = 0; cell < CELLS_PER_UNIT; cell++)
                assert_int_equal(region_entry(region, unit)[cell], 0);
        }
        for (uint32_t word = 0; word < (region->count + 63) / 64; word++)
            assert_int_equal(*region_slab_map(region, 64 * word), 0);
        /* What is handed out is as it was. */
        for (size_t at = heap.tables; at < size; at++)
            if (arena[at] != 0x5A)
                assert_int_equal(at, 0);
    }
}

/* Regions of several sizes with gaps between, made in an order that is not that of their addresses. */
static struct {
    size_t start, size;
} const places[] = {{KIB(1024), KIB(300)}, {KIB(64), KIB(64)},   {KIB(2048), KIB(32)},   {KIB(0), KIB(48)},
                    {KIB(512), KIB(512)},  {KIB(128), KIB(384)}, {KIB(3072), KIB(1000)}, {KIB(1400), KIB(8)}};

static uint32_t make_regions(void)
{
    uint32_t count = 0;
    memset(&heap, 0, sizeof heap);
    for (; count < sizeof places / sizeof places[0] && count < KNOLL_REGIONS_MAX; count++) {
        unsigned char *start = arena + places[count].start;
        assert_int_equal(knoll_region_room(&heap, start, places[count].size), KNOLL_OK);
        const struct knoll_region *region = make_region(start, places[count].size);
        assert_ptr_equal(region, start);
        assert_ptr_equal(heap.region[count], start);
        assert_int_equal(heap.region_count, count + 1);
        for (uint32_t i = 1; i <= count; i++)
            assert_true((uintptr_t)heap.region[heap.by_address[i - 1]] < (uintptr_t)heap.region[heap.by_address[i]]);
    }
    return count;
}

/* Of which region of `places` a unit or the tables' last unit is at this address, or `count`. */
static uint32_t naive_region(uint32_t count, const unsigned char *address)
{
    uint32_t i = 0;
    for (; i < count; i++) {
        const unsigned char *end = arena + places[i].start + places[i].size;
        if (address >= heap.region[i]->base && address < end)
            break;
    }
    return i;
}

static bool naive_in_tables(uint32_t count, const unsigned char *address)
{
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *start = arena + places[i].start;
        if (address >= start && address < heap.region[i]->base + UNIT)
            return true;
    }
    return false;
}

static void numbers_and_addresses(void **state)
{
    (void)state;
    uint32_t count = make_regions();
    for (uint32_t i = 0; i < count; i++) {
        struct knoll_region *region = heap.region[i];
        for (uint32_t index = 0; index < region->count; index++) {
            uint32_t number = region_unit_number(region, index);
            unsigned char *address = region->base + index * UNIT;
            assert_true((number & ~NUMBER_MASK) == 0);
            assert_true((number == NOWHERE) == (i == 0 && index == 0));
            assert_ptr_equal(region_of_number(&heap, number), region);
            assert_ptr_equal(unit_address(&heap, number), address);
            assert_ptr_equal(entry_of(&heap, number), region_entry(region, index));
            for (size_t into = 0; into < UNIT; into += UNIT - 1) {
                assert_ptr_equal(region_of_address(&heap, address + into), region);
                assert_ptr_equal(knoll_region_search(&heap, address + into), region);
                assert_int_equal(region_offset(region, address + into), index * UNIT + into);
            }
        }
    }
}

static void every_other_address(void **state)
{
    (void)state;
    uint32_t count = make_regions();
    for (size_t at = 0; at < KIB(4096) - 1; at += (at & 1) != 0 ? KIB(1) - 1 : 1) { /* first and last of a KiB */
        const unsigned char *address = arena + at + ((at & 1) != 0 ? KIB(1) - 2 : 0);
        uint32_t expected = naive_region(count, address);
        const struct knoll_region *region = expected == count ? NULL : heap.region[expected];
        assert_ptr_equal(region_of_address(&heap, address), region);
        assert_ptr_equal(knoll_region_search(&heap, address), region);
        assert_true(knoll_region_tables_hold(&heap, address) == naive_in_tables(count, address));
    }
    assert_null(region_of_address(&heap, NULL));
    assert_null(region_of_address(&heap, (const void *)UINTPTR_MAX));
    assert_false(knoll_region_tables_hold(&heap, (const void *)UINTPTR_MAX));
}

/* Regions that touch each other: no address between them is lost, and none belongs to both. */
static void regions_side_by_side(void **state)
{
    (void)state;
    memset(&heap, 0, sizeof heap);
    for (uint32_t i = 0; i < KNOLL_REGIONS_MAX; i++) {
        unsigned char *start = arena + i * KIB(32);
        make_region(start, KIB(32));
        assert_int_equal(knoll_region_room(&heap, start, KIB(32)), KNOLL_ERROR_OVERLAP);
    }
    for (uint32_t i = 0; i < KNOLL_REGIONS_MAX; i++) {
        unsigned char *start = arena + i * KIB(32);
        assert_ptr_equal(region_of_address(&heap, start + KIB(32) - 1), start);
        assert_true(knoll_region_tables_hold(&heap, start));
    }
    assert_null(region_of_address(&heap, arena + KNOLL_REGIONS_MAX * KIB(32)));
    unsigned char *next = arena + KNOLL_REGIONS_MAX * KIB(32);
    assert_int_equal(knoll_region_room(&heap, next, KIB(32)), KNOLL_ERROR_REGIONS);
}

/* A region may end where the address space does, but not wrap. knoll_region_limits reads nothing at these addresses. */
static void the_end_of_the_address_space(void **state)
{
    (void)state;
    const void *start = (const void *)(UINTPTR_MAX - KIB(64) + 1);
    assert_int_equal(knoll_region_limits(&heap, start, KIB(60), KNOLL_PAGE), KNOLL_OK);
    assert_int_equal(knoll_region_limits(&heap, start, KIB(64), KNOLL_PAGE), KNOLL_OK);
    assert_int_equal(knoll_region_limits(&heap, start, KIB(68), KNOLL_PAGE), KNOLL_ERROR_TOO_LARGE);
}

/* The last unit up to `index` whose bit is set, if it is in the same word of the map or the one before. */
static uint32_t naive_slab_before(struct knoll_region *region, uint32_t index)
{
    uint32_t first = index / 64 == 0 ? 0 : (index / 64 - 1) * 64;
    for (uint32_t i = index + 1; i > first; i--)
        if ((*region_slab_map(region, i - 1) & (uint64_t)1 << (i - 1) % 64) != 0)
            return i - 1;
    return NOWHERE;
}

static void the_slab_before(void **state)
{
    struct random random = random_from(9);
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        memset(&heap, 0, sizeof heap);
        struct knoll_region *region = make_region(arena, MIB(2));
        for (uint32_t i = random_below(&random, 300); i > 0; i--) {
            uint32_t unit = 1 + random_below(&random, region->count - 1);
            *region_slab_map(region, unit) |= (uint64_t)1 << unit % 64;
        }
        for (uint32_t index = 0; index < region->count; index++)
            assert_int_equal(region_slab_before(region, index), naive_slab_before(region, index));
    }
}

#define MEMBERS 40

/* Pushing and removing in random order, against an array whose first is the head. Kinds and flags stay. */
static void lists_by(unsigned back)
{
    uint32_t expected[MEMBERS], count = 0, head = NOWHERE;
    struct random random = random_from(11);
    make_regions();
    uint32_t last = heap.region_count - 1; /* half of the members are in the last region */
    for (unsigned step = 0; step < 3000; step++) {
        uint32_t member = 1 + 5 * random_below(&random, 20); /* the cells of a slab apart */
        uint32_t number = region_unit_number(heap.region[step % 2 * last], member);
        uint32_t at = 0;
        while (at < count && expected[at] != number)
            at++;
        if (at < count) {
            list_remove(&heap, &head, entry_of(&heap, number), back);
            *entry_of(&heap, number) = cell_of(RUN_NONE, NOWHERE);
            count--;
            memmove(&expected[at], &expected[at + 1], (count - at) * sizeof expected[0]);
        } else {
            *entry_of(&heap, number) = cell_of(RUN_SLAB, NOWHERE) | CELL_FLAG;
            list_push(&heap, &head, entry_of(&heap, number), number, back);
            memmove(&expected[1], &expected[0], count * sizeof expected[0]);
            expected[0] = number;
            count++;
        }
        uint32_t found = head, prev = NOWHERE;
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(found, expected[i]);
            const uint32_t *entry = entry_of(&heap, found);
            assert_int_equal(*entry & ~NUMBER_MASK, cell_of(RUN_SLAB, NOWHERE) | CELL_FLAG);
            assert_int_equal(entry[back] & NUMBER_MASK, prev);
            prev = found;
            found = entry_next(entry);
        }
        assert_int_equal(found, NOWHERE);
    }
}

static void lists(void **state)
{
    (void)state;
    lists_by(CELL_FREE_PREV);
    lists_by(CELL_SLAB_PREV);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tables_take_what_they_need),
    cmocka_unit_test(fresh_tables_are_empty),
    cmocka_unit_test(numbers_and_addresses),
    cmocka_unit_test(every_other_address),
    cmocka_unit_test(regions_side_by_side),
    cmocka_unit_test(the_slab_before),
    cmocka_unit_test(lists),
    cmocka_unit_test(the_end_of_the_address_space),
};

CHECK_MAIN(tests)
