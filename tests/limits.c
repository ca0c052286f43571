/* Where a heap may be made and what may be added to it: every error code, at its exact limit and before the codes that
 * come after it, with nothing written; and regions in any order, while the heap is in use, up to the last and one more.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define SPAN KIB(256)

static struct knoll_heap heap;

/* A refusal leaves the struct and all memory as they were. */
static void init_refuses(enum knoll_error error, void *start, size_t size)
{
    snapshot_take(&heap, arena, SPAN);
    assert_int_equal(knoll_init(&heap, start, size), error);
    assert_true(snapshot_holds(&heap));
}

static void add_refuses(enum knoll_error error, void *start, size_t size)
{
    snapshot_take(&heap, arena, SPAN);
    assert_int_equal(knoll_add_memory(&heap, start, size), error);
    assert_true(snapshot_holds(&heap));
    assert_int_equal(knoll_check(&heap), 0);
}

static void *address(uintptr_t number)
{
    return (void *)number;
}

static const uintptr_t last_page = (uintptr_t)0 - KNOLL_PAGE;

/* As many bytes as twice the units that can be numbered, or where there are not so many bytes, nearly all. */
static size_t too_many_bytes(void)
{
    unsigned shift = 31 - KNOLL_REGION_BITS + KNOLL_UNIT_SHIFT;
    return shift < sizeof(size_t) * 8 ? (size_t)1 << shift % (sizeof(size_t) * 8) : SIZE_MAX - (KNOLL_PAGE - 1);
}

static void init_limits(void **state)
{
    (void)state;
    memset(&heap, 0x77, sizeof heap);
    memset(arena, 0x77, SPAN);
    for (unsigned knob = 0; knob < 32; knob++) /* any one of them, by whatever it may differ */
        assert_int_equal(knoll_init_for(&heap, arena, KIB(64), KNOLL_KNOBS ^ (uint32_t)1 << knob), KNOLL_ERROR_KNOBS);
    assert_int_equal(knoll_init_for(NULL, NULL, 0, 0), KNOLL_ERROR_KNOBS);
    assert_int_equal(knoll_init(NULL, arena, KIB(64)), KNOLL_ERROR_NULL);
    init_refuses(KNOLL_ERROR_NULL, NULL, KIB(64));
    for (size_t off = 1; off < KNOLL_PAGE; off *= 2)
        init_refuses(KNOLL_ERROR_ALIGNMENT, arena + off, KIB(64));
    init_refuses(KNOLL_ERROR_ALIGNMENT, arena + KNOLL_PAGE - 1, KIB(64));
    init_refuses(KNOLL_ERROR_TOO_SMALL, arena, 0);
    init_refuses(KNOLL_ERROR_TOO_SMALL, arena, KNOLL_PAGE);
    init_refuses(KNOLL_ERROR_TOO_SMALL, arena, KNOLL_MINIMUM_HEAP - KNOLL_PAGE);
    init_refuses(KNOLL_ERROR_TOO_SMALL, arena, KNOLL_MINIMUM_HEAP - 1);
    for (size_t off = 1; off < KNOLL_PAGE; off *= 2)
        init_refuses(KNOLL_ERROR_NOT_PAGES, arena, KNOLL_MINIMUM_HEAP + off);
    init_refuses(KNOLL_ERROR_NOT_PAGES, arena, KIB(64) - 1);
    init_refuses(KNOLL_ERROR_TOO_LARGE, arena, SIZE_MAX - (KNOLL_PAGE - 1));
    init_refuses(KNOLL_ERROR_TOO_LARGE, arena, too_many_bytes());
    init_refuses(KNOLL_ERROR_TOO_LARGE, address(last_page), KNOLL_MINIMUM_HEAP);
    init_refuses(KNOLL_ERROR_TOO_LARGE, address(last_page - 6 * KNOLL_PAGE), KNOLL_MINIMUM_HEAP);
}

static void init_reports_the_first_limit(void **state)
{
    (void)state;
    memset(&heap, 0x77, sizeof heap);
    assert_int_equal(knoll_init(NULL, arena + 1, 1), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_init(NULL, NULL, 0), KNOLL_ERROR_NULL);
    init_refuses(KNOLL_ERROR_NULL, NULL, 1);
    init_refuses(KNOLL_ERROR_ALIGNMENT, arena + 8, 1);
    init_refuses(KNOLL_ERROR_ALIGNMENT, arena + 8, KIB(64) + 1);
    init_refuses(KNOLL_ERROR_ALIGNMENT, address(UINTPTR_MAX), KIB(64));
    init_refuses(KNOLL_ERROR_ALIGNMENT, address(UINTPTR_MAX), SIZE_MAX);
    init_refuses(KNOLL_ERROR_TOO_SMALL, arena, 1);
    init_refuses(KNOLL_ERROR_TOO_SMALL, address(last_page), KNOLL_MINIMUM_HEAP - 1);
    init_refuses(KNOLL_ERROR_NOT_PAGES, arena, SIZE_MAX);
    init_refuses(KNOLL_ERROR_NOT_PAGES, address(last_page), KNOLL_MINIMUM_HEAP + 1);
}

/* The struct itself may not lie in the region, not even by its first or last byte. */
static void init_refuses_its_own_struct(void **state)
{
    unsigned char *start = arena + KIB(16);
    size_t size = KIB(64);
    size_t whole = round_up(sizeof heap, 16);
    unsigned char *inside[] = {start, start + KIB(32), start + size - whole, start - whole + 16, start + size - 16};
    unsigned char *outside[] = {start - whole, start + size};
    (void)state;
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        struct knoll_heap *own = (struct knoll_heap *)(void *)inside[i];
        memset(arena, 0x77, SPAN);
        snapshot_take(&heap, arena, SPAN);
        assert_int_equal(knoll_init(own, start, size), KNOLL_ERROR_OVERLAP);
        assert_true(snapshot_holds(&heap));
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct knoll_heap *own = (struct knoll_heap *)(void *)outside[i];
        make_heap(own, start, size);
        assert_non_null(knoll_malloc(own, 5000));
        assert_int_equal(knoll_check(own), 0);
        if (KNOLL_REGIONS_MAX > 1) {
            unsigned char *page = arena + ((size_t)(outside[i] - arena) & ~(size_t)(KNOLL_PAGE - 1));
            memset(&heap, 0x77, sizeof heap);
            snapshot_take(&heap, arena, SPAN);
            assert_int_equal(knoll_add_memory(own, page - (i == 0 ? KIB(8) : 0), KIB(12)), KNOLL_ERROR_OVERLAP);
            assert_true(snapshot_holds(&heap));
        }
    }
}

static void add_limits(void **state)
{
    unsigned char *free_span = arena + KIB(128);
    (void)state;
    memset(&heap, 0, sizeof heap); /* as knoll_init leaves it where it refuses what it was told */
    add_refuses(KNOLL_ERROR_TOO_SMALL, free_span, 0);
    add_refuses(KNOLL_ERROR_NO_HEAP, free_span, KIB(64));
    make_heap(&heap, arena, KIB(64));
    assert_int_equal(knoll_add_memory(NULL, free_span, KIB(64)), KNOLL_ERROR_NULL);
    add_refuses(KNOLL_ERROR_NULL, NULL, KIB(64));
    add_refuses(KNOLL_ERROR_NULL, NULL, 1);
    add_refuses(KNOLL_ERROR_ALIGNMENT, free_span + 16, KIB(64));
    add_refuses(KNOLL_ERROR_ALIGNMENT, arena + 16, 0);
    add_refuses(KNOLL_ERROR_TOO_SMALL, free_span, 0);
    add_refuses(KNOLL_ERROR_TOO_SMALL, free_span, 1);
    add_refuses(KNOLL_ERROR_TOO_SMALL, arena, 0);
    if (CLASSIC) { /* the tables take the only unit */
        add_refuses(KNOLL_ERROR_TOO_SMALL, free_span, KNOLL_PAGE);
        add_refuses(KNOLL_ERROR_TOO_SMALL, free_span, KNOLL_PAGE + 16);
    }
    add_refuses(KNOLL_ERROR_NOT_PAGES, free_span, KIB(64) + 1);
    add_refuses(KNOLL_ERROR_NOT_PAGES, free_span, KIB(64) - 16);
    add_refuses(KNOLL_ERROR_NOT_PAGES, arena, SIZE_MAX);
    add_refuses(KNOLL_ERROR_TOO_LARGE, free_span, too_many_bytes());
    add_refuses(KNOLL_ERROR_TOO_LARGE, arena, SIZE_MAX - (KNOLL_PAGE - 1));
    add_refuses(KNOLL_ERROR_TOO_LARGE, address(last_page), KIB(64));
}

static void the_smallest_region_added(void **state)
{
    size_t size = CLASSIC ? 2 * KNOLL_PAGE : KNOLL_PAGE;
    (void)state;
    make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
    if (KNOLL_REGIONS_MAX == 1)
        return;
    size_t before = knoll_total_bytes(&heap);
    add_memory(&heap, arena + KIB(64), size);
    assert_int_equal(knoll_total_bytes(&heap) - before, CLASSIC ? 4096 : 3584);
    assert_int_equal(survey(&heap).regions, 2);
    assert_int_equal(knoll_check(&heap), 0);
}

static void overlap_in_all_its_forms(void **state)
{
    unsigned char *first = arena + KIB(64);
    unsigned char *second = arena + KIB(160);
    size_t second_size = KIB(32);
    (void)state;
    make_heap(&heap, first, KIB(64));
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, second, second_size);
    else
        second = first, second_size = KIB(64);
    knoll_malloc(&heap, 100);
    add_refuses(KNOLL_ERROR_OVERLAP, first, KIB(64));
    add_refuses(KNOLL_ERROR_OVERLAP, second, second_size);
    add_refuses(KNOLL_ERROR_OVERLAP, first + KIB(16), KIB(16));              /* inside */
    add_refuses(KNOLL_ERROR_OVERLAP, first, KIB(16));                        /* its beginning */
    add_refuses(KNOLL_ERROR_OVERLAP, first + KIB(48), KIB(16));              /* its end */
    add_refuses(KNOLL_ERROR_OVERLAP, first - KIB(16), KIB(16) + KNOLL_PAGE); /* over its start by a page */
    add_refuses(KNOLL_ERROR_OVERLAP, first + KIB(64) - KNOLL_PAGE, KIB(16)); /* over its end by a page */
    add_refuses(KNOLL_ERROR_OVERLAP, first - KIB(16), KIB(96));              /* around it */
    add_refuses(KNOLL_ERROR_OVERLAP, second - KIB(16), KIB(16) + KNOLL_PAGE);
    add_refuses(KNOLL_ERROR_OVERLAP, second + second_size - KNOLL_PAGE, KIB(16));
    add_refuses(KNOLL_ERROR_OVERLAP, arena, SPAN);               /* around both */
    add_refuses(KNOLL_ERROR_OVERLAP, first + KIB(32), KIB(128)); /* from one to the other */
    if (KNOLL_REGIONS_MAX < 3)
        return;
    add_memory(&heap, first + KIB(64), (size_t)(second - first) - KIB(64)); /* exactly between them is none */
    assert_int_equal(survey(&heap).regions, 3);
    assert_int_equal(knoll_check(&heap), 0);
}

/* Where there is room for no more regions, the earlier limits still count first. */
static void one_region_too_many(void **state)
{
    (void)state;
    make_heap(&heap, arena, KNOLL_MINIMUM_HEAP);
    unsigned char *next = arena + KNOLL_MINIMUM_HEAP;
    for (size_t i = 1; i < KNOLL_REGIONS_MAX; i++, next += KIB(16))
        add_memory(&heap, next, KIB(16));
    assert_int_equal(survey(&heap).regions, KNOLL_REGIONS_MAX);
    assert_int_equal(knoll_check(&heap), 0);
    add_refuses(KNOLL_ERROR_REGIONS, next, KIB(16));
    add_refuses(KNOLL_ERROR_OVERLAP, arena, KIB(16));
    add_refuses(KNOLL_ERROR_TOO_LARGE, next, too_many_bytes());
    add_refuses(KNOLL_ERROR_NOT_PAGES, next, KIB(16) + 1);
    add_refuses(KNOLL_ERROR_TOO_SMALL, next, 0);
    add_refuses(KNOLL_ERROR_ALIGNMENT, next + 1, KIB(16));
}

/* Regions side by side and with gaps, in a random order of address, each used before the next comes. */
static void regions_in_any_order(void **state)
{
    static unsigned char *blocks[KNOLL_REGIONS_MAX];
    size_t place[KNOLL_REGIONS_MAX];
    struct random random = random_from(3);
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < KNOLL_REGIONS_MAX; i++) {
            uint32_t other = random_below(&random, i + 1);
            place[i] = place[other];
            place[other] = i;
        }
        for (size_t i = 0; i < KNOLL_REGIONS_MAX; i++) {
            unsigned char *start = arena + place[i] * KIB(32);
            size_t size = i == 0 || random_below(&random, 2) == 0 ? KIB(32) : KIB(20);
            size_t before = i == 0 ? 0 : knoll_total_bytes(&heap);
            if (i == 0)
                make_heap(&heap, start, size);
            else
                add_memory(&heap, start, size);
            assert_true(knoll_total_bytes(&heap) > before + size - KIB(5));
            assert_int_equal(survey(&heap).regions, i + 1);
            assert_int_equal(knoll_check(&heap), 0);
            blocks[i] = knoll_malloc(&heap, KIB(8) - OVERHEAD);
            assert_non_null(blocks[i]);
            write_pattern(blocks[i], KIB(8) - OVERHEAD, (unsigned)i);
        }
        assert_true(largest_block(&heap) < KIB(32)); /* no block spans regions, though they may touch */
        for (size_t i = 0; i < KNOLL_REGIONS_MAX; i++) {
            assert_true(has_pattern(blocks[i], KIB(8) - OVERHEAD, (unsigned)i));
            knoll_free(&heap, blocks[i]);
        }
        assert_int_equal(knoll_used_bytes(&heap), 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static void added_memory_serves_what_was_refused(void **state)
{
    (void)state;
    if (KNOLL_REGIONS_MAX == 1)
        return;
    make_heap(&heap, arena + KIB(128), KNOLL_MINIMUM_HEAP);
    unsigned char *held = knoll_malloc(&heap, 3000);
    write_pattern(held, 3000, 1);
    assert_null(knoll_malloc(&heap, KIB(40)));
    add_memory(&heap, arena, KIB(128)); /* under the first, and touching it */
    unsigned char *block = knoll_malloc(&heap, KIB(40));
    assert_true(block > arena && block + KIB(40) <= arena + KIB(128));
    assert_true(has_pattern(held, 3000, 1));
    knoll_free(&heap, block);
    knoll_free(&heap, held);
    assert_int_equal(knoll_used_bytes(&heap), 0);
    assert_int_equal(knoll_check(&heap), 0);
}

/* At most 1.6 % of a region, or one unit where that is more, whatever its size. */
static void tables_are_small(void **state)
{
    (void)state;
    for (size_t size = KNOLL_MINIMUM_HEAP; size <= arena_left(arena);
         size += KNOLL_PAGE + size / MIB(4) * (size / 64 / KNOLL_PAGE) * KNOLL_PAGE) {
        assert_int_equal(knoll_init(&heap, arena, size), KNOLL_OK);
        size_t unit = (size_t)1 << KNOLL_UNIT_SHIFT;
        size_t tables = size - knoll_total_bytes(&heap);
        size_t bound = size / 1000 * 16 + size % 1000 * 16 / 1000;
        assert_true(tables > 0 && tables <= (bound > unit ? bound : unit));
        assert_int_equal(tables % unit, 0);
        assert_int_equal(survey(&heap).stats.table_bytes, tables);
    }
}

/* A heap may be made anew over an old one, at any time. */
static void init_starts_afresh(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    for (int i = 0; i < 10; i++)
        knoll_malloc(&heap, 1000);
    assert_int_equal(knoll_init(&heap, arena + KIB(8), KIB(40)), KNOLL_OK);
    struct survey fresh = survey(&heap);
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    assert_int_equal(fresh.blocks, 0);
    assert_int_equal(fresh.regions, 1);
    assert_int_equal(stats.allocations, 0);
    assert_int_equal(stats.frees, 0);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.peak_used_bytes, 0);
    assert_int_equal(knoll_check(&heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(init_limits),
    cmocka_unit_test(init_reports_the_first_limit),
    cmocka_unit_test(init_refuses_its_own_struct),
    cmocka_unit_test(add_limits),
    cmocka_unit_test(the_smallest_region_added),
    cmocka_unit_test(overlap_in_all_its_forms),
    cmocka_unit_test(one_region_too_many),
    cmocka_unit_test(regions_in_any_order),
    cmocka_unit_test(added_memory_serves_what_was_refused),
    cmocka_unit_test(tables_are_small),
    cmocka_unit_test(init_starts_afresh),
};

CHECK_MAIN(tests)
