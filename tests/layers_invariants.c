/* knoll_check against damage that one bit cannot do, and its texts: each heap here is in order but for one invariant.
 *
 * tests/layers_check.c flips bits and breaks each invariant once; here is each condition by which an invariant can be
 * broken while all others hold, so that none of them can be left out of knoll_check unnoticed.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "invariants.h"
#include "layers_free_lists.h"
#include "pages.h"
#include "support.h"

static struct knoll_heap heap;

static struct knoll_region *make(size_t size)
{
    make_heap(&heap, arena_at(KIB(256), 0), size);
    return heap.region[0];
}

static uint32_t index_of(const void *address)
{
    return (uint32_t)(region_offset(heap.region[0], address) >> KNOLL_UNIT_SHIFT);
}

static struct slab_place find(const void *block)
{
    struct slab_place place = {region_entry(heap.region[0], 0), &knoll_shapes[0], NOWHERE, 0};
    assert_true(slab_find(heap.region[0], block, &place));
    return place;
}

static void expect(int invariant)
{
    assert_int_equal(knoll_check(&heap), invariant);
}

static void texts(void **state)
{
    (void)state;
    for (int i = 0; i < INVARIANTS; i++) {
        assert_true(knoll_invariant(i)[0] != 'u'); /* of "unknown" */
        for (int j = 0; j < i; j++)
            assert_true(knoll_invariant(i) != knoll_invariant(j));
    }
    assert_memory_equal(knoll_invariant(0), "every invariant holds", 22);
    assert_memory_equal(knoll_invariant(-1), "unknown invariant", 18);
    assert_memory_equal(knoll_invariant(INVARIANTS), "unknown invariant", 18);
}

static void a_heap_without_memory(void **state)
{
    (void)state;
    memset(&heap, 0, sizeof heap);
    expect(0);
    heap.total = 1;
    expect(BYTES);
}

/* What is no region is not read: its number, its place, and where it ends. */
static void regions(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    heap.region[0] = (struct knoll_region *)((uintptr_t)region + sizeof *region);
    expect(REGION_TABLE);
    heap.region[0] = region;
    heap.by_address[0] = 1; /* the first that there is not */
    expect(REGION_TABLE);
    heap.by_address[0] = 0;
    expect(0);
    struct knoll_region kept = *region;
    size_t total = heap.total;
    *region = (struct knoll_region){1, 1, 0, 0}; /* tables, and nothing beside */
    heap.total = 0;
    expect(REGION_TABLE);
    *region = kept;
    heap.total = total;
    expect(0);
    if (KNOLL_REGIONS_MAX == 1)
        return;
    unsigned char *behind = (unsigned char *)region + KIB(128);
    add_memory(&heap, behind, KIB(32));
    expect(0);
    struct knoll_heap sound = heap;
    heap.region_count = 1; /* the second is no region then, whatever order and total say */
    heap.by_address[0] = 1;
    heap.total = (size_t)(heap.region[1]->count - heap.region[1]->first) << KNOLL_UNIT_SHIFT;
    expect(REGION_TABLE);
    heap = sound;
    memcpy(behind - KNOLL_PAGE, behind, KNOLL_PAGE); /* the first one's last page is the second's first */
    heap.region[1] = (struct knoll_region *)(uintptr_t)(behind - KNOLL_PAGE);
    expect(REGION_TABLE);
}

/* A number that the first region has and another one has not, and the other way round. */
static void links_beyond_the_units(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    if (CLASSIC)
        hold_the_end(&heap);
    unsigned list = 0;
    while (!list_is_filled(&heap, list))
        list++;
    uint32_t sound = heap.list[list];
    heap.list[list] = region->count; /* beyond the last unit */
    uint32_t *beyond = region_entry(region, region->count);
    uint32_t kept[3];
    memcpy(kept, beyond, sizeof kept);
    *beyond = cell_of(RUN_FREE, NOWHERE); /* what would pass for a run */
    beyond[CELL_FREE_NEXT] = NOWHERE;
    beyond[CELL_LENGTH] = free_run_length(entry_of(&heap, sound));
    expect(FREE_LISTS);
    memcpy(beyond, kept, sizeof kept);
    heap.list[list] = (uint32_t)heap.region_count << INDEX_BITS | sound; /* of the first region that there is not */
    if (KNOLL_REGIONS_MAX > 1)
        expect(FREE_LISTS);
    heap.list[list] = region->first - 1;
    expect(FREE_LISTS);
    heap.list[list] = sound;
    expect(0);
}

static void a_run_in_two_lists(void **state)
{
    (void)state;
    make(KIB(128));
    unsigned highest = 0;
    for (unsigned i = 0; i < list_count(&heap); i++)
        highest = list_is_filled(&heap, i) ? i : highest;
    heap.list[highest + 1] = heap.list[highest];
    say_filled(&heap, highest + 1, true);
    expect(FREE_LISTS);
    heap.list[highest + 1] = NOWHERE;
    say_filled(&heap, highest + 1, false);
    expect(0);
}

/* The last cell of a free run of three units says the same kind and length as its first, and what follows it no link.
 */
static void a_list_that_starts_at_a_runs_end(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    void *before = knoll_malloc(&heap, KIB(8)), *block = knoll_malloc(&heap, CLASSIC ? KIB(8) : 3 * UNIT);
    assert_non_null(before);
    assert_non_null(knoll_malloc(&heap, KIB(8)));
    knoll_free(&heap, block);
    uint32_t number = index_of(block), length = free_run_length(region_entry(region, number));
    unsigned list = list_of_run(&heap, region, number, length);
    assert_int_equal(heap.list[list], number);
    expect(0);
    heap.list[list] = number + length - 1;
    expect(FREE_LISTS);
    heap.list[list] = number;
    expect(0);
    struct run_list free_list = {&heap.list[list], RUN_FREE, list};
    assert_non_null(knoll_check_member(&heap, &free_list, number));
    assert_null(
        knoll_check_member(&heap, &free_list, number + length - 1)); /* also where no run shows that it is none */
}

/* The last cell of a longer one says no length, and where a slab follows it, the slab's word would be taken for it. */
static void a_list_that_starts_before_a_slab(void **state)
{
    (void)state;
    if (CLASSIC)
        return; /* where last cells say nothing */
    struct knoll_region *region = make(KIB(128));
    void *block = knoll_aligned_alloc(&heap, KIB(2), KIB(4));
    uint32_t slab = index_of(knoll_malloc(&heap, 32));
    knoll_free(&heap, block);
    assert_int_equal(cell_kind(*region_entry(region, slab - 1)), RUN_END);
    uint32_t number = slab - 1 - (*region_entry(region, slab - 1) & NUMBER_MASK) + 1;
    unsigned list = list_of_run(&heap, region, number, slab - number);
    assert_int_equal(heap.list[list], number);
    expect(0);
    heap.list[list] = slab - 1;
    expect(FREE_LISTS);
}

static void lists_that_are_elsewhere(void **state)
{
    (void)state;
#if KNOLL_PROFILE == KNOLL_COMPACT
    static uint32_t elsewhere[KNOLL_FEW_LISTS];
    make(KNOLL_MINIMUM_HEAP); /* its lists are in the struct */
    memcpy(elsewhere, heap.list, sizeof elsewhere);
    heap.list = elsewhere;
    expect(FREE_LISTS);
    heap.list = heap.few_lists;
    heap.last_list--;
    expect(FREE_LISTS);
    heap.last_list++;
    expect(0);
    make(KIB(128));
    unsigned last_group = KNOLL_LIST_GROUPS - 1;
    heap.filled[last_group] = 1; /* of a list that there is not */
    heap.groups_filled |= 1u << last_group;
    expect(FREE_LISTS);
    heap.filled[last_group] = 0;
    expect(FREE_LISTS);
    heap.groups_filled &= ~(1u << last_group);
    expect(0);
    heap.groups_filled |= 1u << KNOLL_LIST_GROUPS;
    expect(FREE_LISTS);
    make(KIB(120)); /* whose lists are two whole groups */
    assert_int_equal(list_count(&heap), 64);
    void *block = knoll_malloc(&heap, 40 * UNIT);
    assert_non_null(knoll_malloc(&heap, UNIT));
    knoll_free(&heap, block);
    assert_true(heap.filled[1] != 0);
    expect(0);
#endif
}

/* Runs that a region has no room for: a last unit that is held, and lengths beyond the end. */
static void runs_at_the_end(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    unsigned char *block = knoll_malloc(&heap, KIB(16));
    uint32_t index = index_of(block), length = large_length(region_entry(region, index));
    region_entry(region, index)[CELL_LARGE_LENGTH] = region->count - index + 1;
    expect(RUNS_TILE);
    region_entry(region, index)[CELL_LARGE_LENGTH] = length;
    expect(0);
    if (CLASSIC) { /* where one unit can be a run */
        while (knoll_malloc(&heap, KIB(5)) != NULL || knoll_malloc(&heap, KIB(4) * knoll_pages_longest(&heap)) != NULL)
            continue;
        for (index = region->first; index + run_length(region, index) < region->count;)
            index += run_length(region, index);
        assert_int_equal(cell_kind(*region_entry(region, index)), RUN_LARGE);
        region_entry(region, index)[CELL_LARGE_LENGTH]++; /* all that there is does not say more */
        expect(RUNS_TILE);
        return;
    }
    uint32_t rest = knoll_pages_longest(&heap) - 1;
    assert_non_null(knoll_malloc(&heap, rest * UNIT));
    expect(0);
    uint32_t *last = region_entry(region, region->count - 1);
    assert_int_equal(cell_kind(*last), RUN_FREE);
    *last = cell_of(RUN_LARGE, 0);
    expect(RUNS_TILE);
}

static void large_runs_out_of_form(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    void *block = knoll_malloc(&heap, 8192);
    uint32_t *run = region_entry(region, index_of(block));
    uint32_t sound = *run;
    for (unsigned i = 0; i < 8 * sizeof(size_t); i++) { /* only an alignment that the address has */
        *run = (sound & ~NUMBER_MASK) | i;
        expect(is_aligned(block, (size_t)1 << i) ? 0 : LARGE_FORM);
    }
    *run = (sound & ~NUMBER_MASK) | 8 * sizeof(size_t);
    expect(LARGE_FORM);
}

#if KNOLL_PROFILE == KNOLL_COMPACT

/* A slab that is sound but for where it lies. */
static void a_slab_out_of_place(void **state)
{
    (void)state;
    struct knoll_region *region = make(KIB(128));
    uint32_t first = index_of(knoll_malloc(&heap, KIB(12))); /* twenty-four units */
    uint32_t index = first + 2 + ((2 - first) & 7);          /* four more than a multiple of eight */
    unsigned shape = 8;                                      /* of eight units */
    uint32_t length = shape_length(&knoll_shapes[shape]);
    uint32_t end = first + large_length(region_entry(region, first));
    uint32_t pieces[3][2] = {{first, index - first}, {index, length}, {index + length, end - index - length}};
    for (unsigned i = 0; i < 3; i += 2) {
        *region_entry(region, pieces[i][0]) = cell_of(RUN_LARGE, 0);
        region_entry(region, pieces[i][0])[CELL_LARGE_LENGTH] = pieces[i][1];
    }
    for (uint32_t i = 0; i < length; i += GROUP_UNITS)
        *region_entry(region, index + i) = (uint32_t)(SHAPE_SLAB + shape) << SHAPE_SHIFT;
    region_entry(region, index)[CELL_NOTES] = 0;
    slab_set_held(region_entry(region, index), knoll_shapes[shape].blocks & ~(knoll_shapes[shape].blocks >> 1));
    assert_true(((uintptr_t)region + index * UNIT) % (length * UNIT) != 0);
    expect(SLAB_FORM);
}

#endif

/* Fills a slab of this size; its last block. */
static void *fill_slab(size_t size)
{
    struct slab_place place = find(knoll_malloc(&heap, size));
    void *block = NULL;
    while (slab_free(place.slab, place.shape) != 0)
        block = knoll_malloc(&heap, size);
    return block;
}

static void listed_slabs(void **state)
{
    (void)state;
    make(MIB(2));
    size_t sizes[] = {64, 128};
    struct knoll_class_state *states[2];
    struct slab_place listed[2], full[2];
    void *block[2];
    for (unsigned i = 0; i < 2; i++) {
        states[i] = &heap.size_class[class_for(1, sizes[i])];
        block[i] = fill_slab(sizes[i]);
        full[i] = find(fill_slab(sizes[i]));
        knoll_malloc(&heap, sizes[i]); /* so that the two are not the current one */
        knoll_free(&heap, block[i]);
        listed[i] = find(block[i]);
#if KNOLL_MAGAZINE > 0
        heap.size_class[class_for(1, sizes[i])].hints = 0; /* as if no magazine had it */
        list_push(&heap, &states[i]->partial, listed[i].slab, listed[i].number, CELL_SLAB_NEXT, GROUP_SHIFT);
        listed[i].slab[CELL_NOTES] |= SLAB_KNOWN;
#endif
        expect(0);
    }
    uint32_t head = states[0]->partial;
    states[0]->partial = states[1]->partial; /* each has the other's */
    states[1]->partial = head;
    expect(PARTIAL_LISTS);
    states[1]->partial = states[0]->partial;
    states[0]->partial = head;
    expect(0);

    states[0]->partial = NOWHERE; /* one that says it is listed is not */
    expect(PARTIAL_LISTS);
    list_push(&heap, &states[0]->partial, full[0].slab, full[0].number, CELL_SLAB_NEXT, GROUP_SHIFT);
    expect(PARTIAL_LISTS); /* and one that does not, is */
    list_push(&heap, &states[0]->partial, listed[0].slab, listed[0].number, CELL_SLAB_NEXT, GROUP_SHIFT);
    expect(PARTIAL_LISTS); /* both are */
    (void)list_remove(&heap, &states[0]->partial, full[0].slab, CELL_SLAB_NEXT, GROUP_SHIFT);
    expect(PARTIAL_LISTS); /* it links back still */
    set_link(full[0].slab, NOWHERE, GROUP_SHIFT);
    expect(0);

    listed[0].slab[CELL_NOTES] &= ~SLAB_KNOWN; /* its free block is nowhere */
    states[0]->partial = NOWHERE;
    expect(FREE_BLOCKS);
}

static void hints_beyond_the_magazine(void **state)
{
    (void)state;
#if KNOLL_MAGAZINE > 0
    make(KIB(128));
    unsigned size_class = class_for(1, 64);
    void *kept = knoll_malloc(&heap, 64);
    knoll_free(&heap, knoll_malloc(&heap, 64));
    assert_non_null(kept);
    uint32_t **slabs = heap.size_class[size_class].hint_slab;
    memset(slabs + 1, 0, (KNOLL_MAGAZINE - 1) * sizeof *slabs);
    heap.size_class[size_class].hints = KNOLL_MAGAZINE + 1;
    expect(FREE_BLOCKS);
    heap.size_class[size_class].hints = 1;
    expect(0);
#endif
}

static void counts(void **state)
{
    (void)state;
    make(KIB(128));
    assert_non_null(knoll_malloc(&heap, 4096));
    assert_non_null(knoll_malloc(&heap, 1000));
    expect(0);
    struct knoll_heap sound = heap;
    heap.headroom -= heap.peak; /* what is used is right, and more than the most that ever was */
    heap.peak = 0;
    expect(BYTES);
    heap = sound;
    heap.headroom += heap.total + 1 - heap.peak; /* and a peak of more than there is */
    heap.peak = heap.total + 1;
    expect(BYTES);
    heap = sound;
    heap.headroom += heap.total - heap.peak; /* but all there is can have been used */
    heap.peak = heap.total;
    expect(0);
    assert_non_null(heap.region[0]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(texts),
    cmocka_unit_test(a_heap_without_memory),
    cmocka_unit_test(regions),
    cmocka_unit_test(links_beyond_the_units),
    cmocka_unit_test(a_run_in_two_lists),
    cmocka_unit_test(a_list_that_starts_at_a_runs_end),
    cmocka_unit_test(a_list_that_starts_before_a_slab),
    cmocka_unit_test(lists_that_are_elsewhere),
    cmocka_unit_test(runs_at_the_end),
    cmocka_unit_test(large_runs_out_of_form),
#if KNOLL_PROFILE == KNOLL_COMPACT
    cmocka_unit_test(a_slab_out_of_place),
#endif
    cmocka_unit_test(listed_slabs),
    cmocka_unit_test(hints_beyond_the_magazine),
    cmocka_unit_test(counts),
};

CHECK_MAIN(tests)
