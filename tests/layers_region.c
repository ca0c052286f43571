/* Regions: their tables, unit numbers, the search by address, links and lists.
 *
 * The tables are measured for every number of pages up to 2000: no more than the bound of knoll.h, and no unit more
 * than they need. Each unit is made to say what no other says, so that shapes or entries that overlap come to light.
 * Then several regions are made out of order, and for each of their units address, number and entry must lead to one
 * another, and from no other address to a region at all.
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

static size_t naive_table_bytes(size_t count)
{
    size_t lists = 0; /* in compact one for each length up to 31 and that of half the units, and for those two more */
    if (!CLASSIC && count >= 128) {
        lists = 2;
        for (size_t length = 1, width = 1; length <= count / 2; length += width) {
            width += length == 32 * width ? width : 0;
            lists++;
        }
    }
    return CLASSIC ? 12 + 24 * count : 16 + 4 * count + 4 * lists;
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
        assert_int_equal(count * UNIT, size);
        size_t tables = region->first * UNIT;
        assert_true(region->first < count);
        assert_int_equal(tables + heap.total, size);
        assert_true(tables <= UNIT || tables <= size * 2 / 125);
        assert_true(naive_table_bytes(count) <= tables);
        assert_true(naive_table_bytes(count) > tables - UNIT);
        assert_int_equal(knoll_region_table_units(count), region->first);
        assert_ptr_equal(region_entry(region, 0), arena + ENTRIES_AT);
        assert_int_equal(knoll_region_lists_at(count), ENTRIES_AT + count * (CLASSIC ? 24 : 4));
        assert_ptr_equal(region_entry(region, region->count - 1) + CELLS_PER_UNIT,
                         arena + ENTRIES_AT + count * (CLASSIC ? 24 : 4));
        assert_true((unsigned char *)(region_entry(region, region->count - 1) + CELLS_PER_UNIT) <= arena + tables);
    }
}

/* A slab's word is aligned in classic; in compact its entry is, so that no word lies in two cache lines. */
static void where_slabs_have_their_entries(void **state)
{
    (void)state;
    for (size_t pages = 2; pages <= 200; pages++) {
        memset(&heap, 0, sizeof heap);
        const struct knoll_region *region = make_region(arena, pages * KNOLL_PAGE);
        for (uint32_t unit = 0; unit < region->count; unit += GROUP_UNITS) {
            const uint32_t *slab = region_entry(region, unit);
            assert_true(!CLASSIC || is_aligned(&slab[CELL_WORD], 8));
            assert_true(CLASSIC || is_aligned(slab, 16));
        }
    }
}

static const size_t some_pages[] = {2, 7, 8, 9, 63, 64, 65, 163, 164, 500};
#define SOME_PAGES (sizeof some_pages / sizeof some_pages[0])

/* A heap of one region, where no byte was 0 before. */
static struct knoll_region *make_only_region(size_t size)
{
    memset(&heap, 0, sizeof heap);
    memset(arena, 0x5A, size);
    return knoll_region_make(&heap, arena, size);
}

static void fresh_tables_are_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < SOME_PAGES; i++) {
        size_t size = some_pages[i] * KNOLL_PAGE;
        struct knoll_region *region = make_only_region(size);
        for (uint32_t unit = 0; unit < region->count; unit++) {
            for (uint32_t cell = 0; cell < CELLS_PER_UNIT; cell++)
                assert_int_equal(region_entry(region, unit)[cell], 0);
            assert_int_equal(region_shape(region, unit), 0);
        }
        /* Nor is there anything in the gaps between; and what is handed out is as it was. */
        for (size_t at = sizeof *region; at < size; at++)
            if (arena[at] != (at < region->first * UNIT ? 0 : 0x5A))
                assert_int_equal(at, 0);
    }
}

/* Every unit is made to say something of its own in each cell: then no two places are the
 * same, and neither the header nor the memory that is handed out has changed. */
static void every_unit_says_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < SOME_PAGES; i++) {
        size_t size = some_pages[i] * KNOLL_PAGE;
        struct knoll_region *region = make_only_region(size);
        struct knoll_region header = *region;
        for (uint32_t unit = 0; unit < region->count; unit++) {
            for (uint32_t cell = 0; cell < CELLS_PER_UNIT; cell++)
                region_entry(region, unit)[cell] = 0x9E3779B1u * (unit * CELLS_PER_UNIT + cell);
        }
        assert_memory_equal(&header, region, sizeof header);
        for (uint32_t unit = 0; unit < region->count; unit++) {
            for (uint32_t cell = 0; cell < CELLS_PER_UNIT; cell++)
                assert_int_equal(region_entry(region, unit)[cell], 0x9E3779B1u * (unit * CELLS_PER_UNIT + cell));
            /* In compact the first cell of a group speaks for four units. */
            assert_int_equal(region_shape(region, unit), CLASSIC ? (uint8_t)(0x9E3779B1u * (unit * 6 + 3))
                                                                 : (uint32_t)(0x9E3779B1u * (unit / 4 * 4)) >> 25);
        }
        for (size_t at = region->first * UNIT; at < size; at++)
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

/* Which region of `places` this address is in, its tables included, or `count`. */
static uint32_t naive_region(uint32_t count, const unsigned char *address)
{
    uint32_t i = 0;
    for (; i < count; i++) {
        const unsigned char *start = arena + places[i].start;
        if (address >= start && address < start + places[i].size)
            break;
    }
    return i;
}

static void numbers_and_addresses(void **state)
{
    (void)state;
    uint32_t count = make_regions();
    for (uint32_t i = 0; i < count; i++) {
        struct knoll_region *region = heap.region[i];
        for (uint32_t index = 0; index < region->count; index++) {
            uint32_t number = region_unit_number(region, index);
            unsigned char *address = arena + places[i].start + index * UNIT;
            assert_true((number & ~NUMBER_MASK) == 0);
            assert_true((number == NOWHERE) == (i == 0 && index == 0));
            assert_ptr_equal(region_of_number(&heap, number), region);
            assert_ptr_equal(unit_address(&heap, number), address);
            assert_ptr_equal(entry_of(&heap, number), region_entry(region, index));
            for (size_t into = 0; into < UNIT; into += UNIT - 1) {
                assert_ptr_equal(region_of_address(&heap, address + into), region);
                assert_ptr_equal(knoll_region_search(&heap, address + into), region);
                assert_true(region_holds(region, address + into));
                assert_int_equal(region_offset(region, address + into), index * UNIT + into);
            }
        }
        assert_ptr_equal(region_base(region), arena + places[i].start);
        assert_int_equal(region->count * UNIT, places[i].size);
        assert_false(region_holds(region, arena + places[i].start + places[i].size));
        assert_false(region_holds(region, arena + places[i].start - 1));
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
        for (uint32_t i = 0; i < count; i++)
            assert_true(region_holds(heap.region[i], address) == (i == expected));
    }
    assert_null(region_of_address(&heap, NULL));
    assert_null(region_of_address(&heap, (const void *)UINTPTR_MAX));
    assert_null(knoll_region_search(&heap, NULL));
    assert_null(knoll_region_search(&heap, (const void *)UINTPTR_MAX));
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
        assert_ptr_equal(region_of_address(&heap, start), start);
        assert_ptr_equal(region_of_address(&heap, start + KIB(32) - 1), start);
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

/* ---- Links and lists ---- */

static void links_leave_the_rest_of_a_cell(void **state)
{
    static const unsigned shifts[] = {0, GROUP_SHIFT};
    struct random random = random_from(9);
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        unsigned shift = shifts[i];
        uint32_t greatest = NUMBER_MASK >> shift << shift;
        for (unsigned round = 0; round < 2000; round++) {
            uint32_t number = round == 0 ? NOWHERE : round == 1 ? greatest : random_next(&random) & greatest;
            uint32_t before = round % 3 == 0 ? 0 : round % 3 == 1 ? ~0u : random_next(&random);
            uint32_t cell = before;
            set_link(&cell, number, shift);
            assert_int_equal(link_of(cell, shift), number);
            assert_int_equal(cell & ~link_mask(shift), before & ~link_mask(shift));
            assert_int_equal(cell_kind(cell), cell_kind(before));
            assert_int_equal(cell & CELL_FLAG, before & CELL_FLAG);
            /* In compact a slab's shape stands above its one link, its notes above the other. */
            assert_true(CLASSIC || shift == 0 || cell >> SHAPE_SHIFT == before >> SHAPE_SHIFT);
            assert_true(CLASSIC || shift == 0 || cell >> NOTES_SHIFT == before >> NOTES_SHIFT);
        }
    }
}

#define MEMBERS_OF_REGION 15
#define MEMBERS           (2 * MEMBERS_OF_REGION)

/* A kind of list: of what its members are, how many units these are apart, and how they are linked. */
struct kind_of_list {
    enum run_kind kind;
    uint32_t apart;
    unsigned next, shift;
};

/* A member's cells must have the link back, and besides links what they were given: every bit that there is. */
static void verify_member(const struct kind_of_list *list, const uint32_t *entry, uint32_t before)
{
    uint32_t others = ~link_mask(list->shift);
    assert_int_equal(cell_kind(*entry), list->kind);
    assert_int_equal(*entry & others, cell_of(list->kind, ~cell_of(RUN_SLAB, 0)) & others);
    assert_int_equal(link_of(entry[CELL_PREV], list->shift), before);
    assert_int_equal(entry[list->next] & others, others);
    for (uint32_t cell = 1; cell < list->next; cell++)
        assert_int_equal(entry[cell], 0xA5A5A5A5u);
}

/* Pushing and removing in random order, against an array whose first is the head. */
static void lists_of(struct kind_of_list list)
{
    uint32_t expected[MEMBERS], count = 0, head = NOWHERE;
    struct random random = random_from(11);
    size_t size = KIB(4096) / KNOLL_REGIONS_MAX;
    memset(&heap, 0, sizeof heap);
    for (size_t i = 0; i < KNOLL_REGIONS_MAX; i++)
        make_region(arena + i * size, size);
    uint32_t last = heap.region_count - 1; /* half of the members are in the last region */
    for (unsigned step = 0; step < 3000; step++) {
        uint32_t member = list.apart * (1 + random_below(&random, MEMBERS_OF_REGION));
        uint32_t number = region_unit_number(heap.region[step % 2 * last], member);
        uint32_t *entry = entry_of(&heap, number);
        uint32_t at = 0;
        while (at < count && expected[at] != number)
            at++;
        if (at < count) {
            if (at == 0 && step % 3 == 0)
                list_pop(&heap, &head, entry, list.next, list.shift);
            else
                assert_true(list_remove(&heap, &head, entry, list.next, list.shift) == (at == 0));
            count--;
            memmove(&expected[at], &expected[at + 1], (count - at) * sizeof expected[0]);
        } else {
            for (uint32_t cell = 1; cell < list.next; cell++)
                entry[cell] = 0xA5A5A5A5u;
            entry[list.next] = ~0u;
            *entry = cell_of(list.kind, ~cell_of(RUN_SLAB, 0)) & ~link_mask(list.shift);
            list_push(&heap, &head, entry, number, list.next, list.shift);
            memmove(&expected[1], &expected[0], count * sizeof expected[0]);
            expected[0] = number;
            count++;
        }
        uint32_t found = head, before = NOWHERE;
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(found, expected[i]);
            verify_member(&list, entry_of(&heap, found), before);
            before = found;
            found = link_of(entry_of(&heap, found)[list.next], list.shift);
        }
        assert_int_equal(found, NOWHERE);
    }
}

/* Members are as near to each other as runs can be whose cells are apart. */
static void lists(void **state)
{
    (void)state;
    lists_of((struct kind_of_list){RUN_FREE, RUN_SHORTEST, CELL_FREE_NEXT, 0});
    lists_of((struct kind_of_list){RUN_SLAB, GROUP_UNITS, CELL_SLAB_NEXT, GROUP_SHIFT});
}

/* As many units as can be numbered, and one more; regions side by side, in either order. */
static void at_the_limits(void **state)
{
    (void)state;
#if UINTPTR_MAX > UINT32_MAX
    if (CLASSIC) {
        const void *start = (const void *)round_up((uintptr_t)(&heap + 1), KNOLL_PAGE); /* it need not be memory */
        assert_int_equal(knoll_region_limits(&heap, start, INDEX_MASK * UNIT, KNOLL_PAGE), KNOLL_OK);
        assert_int_equal(knoll_region_limits(&heap, start, (INDEX_MASK + 1) * UNIT, KNOLL_PAGE), KNOLL_ERROR_TOO_LARGE);
    }
#endif
    if (KNOLL_REGIONS_MAX < 4)
        return;
    unsigned char *start = arena_at(KIB(64), 0) + KIB(64);
    make_heap(&heap, start, KIB(64));
    assert_int_equal(knoll_add_memory(&heap, start - KIB(64), KIB(64) + KNOLL_PAGE), KNOLL_ERROR_OVERLAP);
    add_memory(&heap, start - KIB(64), KIB(64));
    assert_int_equal(knoll_add_memory(&heap, start + KIB(64) - KNOLL_PAGE, KIB(64)), KNOLL_ERROR_OVERLAP);
    add_memory(&heap, start + KIB(64), KIB(64));
    assert_int_equal(knoll_check(&heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tables_take_what_they_need),
    cmocka_unit_test(where_slabs_have_their_entries),
    cmocka_unit_test(fresh_tables_are_empty),
    cmocka_unit_test(every_unit_says_its_own),
    cmocka_unit_test(numbers_and_addresses),
    cmocka_unit_test(every_other_address),
    cmocka_unit_test(regions_side_by_side),
    cmocka_unit_test(the_end_of_the_address_space),
    cmocka_unit_test(links_leave_the_rest_of_a_cell),
    cmocka_unit_test(lists),
    cmocka_unit_test(at_the_limits),
};

CHECK_MAIN(tests)
