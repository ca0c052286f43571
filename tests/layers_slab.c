/* Slabs: growth into what there is, the order of blocks, the slab kept in hand, and the way from an address to a block.
 *
 * For each class a heap is narrowed until a given number of units is free in one run, so that every length from none
 * to the usual one is met; everything else follows from the table of classes by a search.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "pages.h"
#include "slab.h"
#include "support.h"

static struct knoll_heap heap;
static unsigned char *ground; /* aligned to the longest slab */
static unsigned char *blocks[64];

/* A fresh heap whose slabs are not bound by memory. */
static void make_wide(void)
{
    ground = arena_at(MIB(1), 0);
    make_heap(&heap, ground, MIB(1));
}

static struct slab_place find(const void *address)
{
    struct knoll_region *region = region_of_address(&heap, address);
    struct slab_place place = {region_entry(region, 1), NOWHERE, 0, 0};
    assert_true(slab_find(region, address, &place));
    return place;
}

static void take_all_of(unsigned size_class, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = slab_take(&heap, size_class);
        assert_non_null(blocks[i]);
    }
}

static void give(const void *block)
{
    struct slab_place place = find(block);
    assert_false(slab_holds_free(&place));
    slab_give(&heap, &place);
    assert_true(slab_holds_free(&place));
}

static void a_slab_of_the_usual_length(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        const struct knoll_class_state *counts = &heap.size_class[i];
        make_wide();
        uint32_t before = knoll_pages_longest(&heap);
        take_all_of(i, properties->capacity);
        struct slab_place place = find(blocks[0]);
        assert_int_equal(slab_length(place.slab), properties->units);
        assert_int_equal(attributes_capacity(place.attributes), properties->capacity);
        assert_int_equal(attributes_class(place.attributes), i);
        assert_int_equal(counts->newest, place.number);
        assert_int_equal(counts->touched, properties->capacity);
        assert_int_equal(slab_word(place.slab), 0);
        assert_ptr_equal(slab_class(place.slab), properties);
        for (unsigned block = 0; block < properties->capacity; block++) { /* from the lowest to the highest */
            assert_ptr_equal(blocks[block], unit_address(&heap, place.number) + (size_t)block * properties->size);
            assert_int_equal(find(blocks[block]).index, block);
        }
        assert_true(counts->slabs == 1 && counts->blocks == properties->capacity);
        assert_true(counts->used == properties->capacity && counts->partial == NOWHERE);
        assert_true(CLASSIC || knoll_pages_longest(&heap) == before - properties->units);

        assert_non_null(slab_take(&heap, i)); /* the next one needs another slab */
        assert_int_equal(counts->slabs, 2);
        assert_int_equal(counts->blocks, 2 * properties->capacity);
        assert_true(counts->partial != NOWHERE && counts->partial != place.number);
    }
}

/* Takes a run of just this length. */
static uint32_t take_run(uint32_t length)
{
    uint32_t given = length;
    uint32_t number = knoll_pages_take(&heap, &given, 1);
    assert_true(number == NOWHERE || given == length);
    return number;
}

/* Leaves one free run of this many units, which no other is longer than. False if that cannot be. */
static bool narrow(uint32_t units)
{
    if (knoll_pages_round(units, 1) != units)
        return false;
    make_wide();
    uint32_t kept = take_run(units);
    for (uint32_t longest; (longest = knoll_pages_longest(&heap)) != 0;)
        assert_true(take_run(longest) != NOWHERE);
    knoll_pages_give(&heap, kept, units);
    assert_int_equal(knoll_pages_longest(&heap), units);
    return true;
}

/* The units are held without being marked, so knoll_check is not asked. */
static void a_slab_of_what_there_is(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        for (uint32_t units = 1; units <= properties->units + 2u; units++) {
            if (!narrow(units))
                continue;
            unsigned char *block = slab_take(&heap, i);
            assert_true((block != NULL) == (units >= properties->least_units));
            if (block == NULL) {
                assert_int_equal(knoll_pages_longest(&heap), units);
                assert_int_equal(heap.size_class[i].slabs, 0);
                continue;
            }
            size_t capacity = units * UNIT / properties->size;
            capacity = capacity < properties->capacity ? capacity : properties->capacity;
            size_t length = round_up(capacity * properties->size, UNIT) / UNIT;
            length = length < properties->least_units ? properties->least_units : length;
            if (!CLASSIC && (length + 1 == units)) /* one unit alone cannot be left over */
                length++;
            const uint32_t *slab = find(block).slab;
            assert_int_equal(attributes_capacity(slab_attributes(slab)), capacity);
            assert_int_equal(slab_length(slab), length);
            assert_int_equal(slab_word(slab), bits_low((unsigned)capacity) - 1);
            assert_int_equal(heap.size_class[i].blocks, capacity);
            for (size_t at = capacity * properties->size; at < length * UNIT; at++)
                assert_int_equal(knoll_address_fault(&heap, block + at), KNOLL_FAULT_NOT_HANDED_OUT);
            /* What is left over stays free. */
            assert_true((knoll_pages_longest(&heap) != 0) == (length < units));
            assert_true(CLASSIC || knoll_pages_longest(&heap) == units - length);
            for (unsigned more = 1; more < capacity; more++)
                assert_non_null(slab_take(&heap, i));
            assert_int_equal(slab_word(slab), 0);
            assert_int_equal(heap.size_class[i].slabs, 1);
        }
    }
}

static void lowest_free_block_first(void **state)
{
    struct random random = random_from(21);
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        unsigned capacity = knoll_classes[i].capacity;
        make_wide();
        take_all_of(i, capacity);
        for (unsigned round = 0; round < 200; round++) {
            unsigned a = random_below(&random, capacity), b = random_below(&random, capacity);
            if (a == b)
                continue;
            give(blocks[a]);
            give(blocks[b]);
            assert_ptr_equal(slab_take(&heap, i), blocks[a < b ? a : b]);
            assert_ptr_equal(slab_take(&heap, i), blocks[a < b ? b : a]);
            assert_int_equal(heap.size_class[i].partial, NOWHERE);
        }
        assert_int_equal(heap.size_class[i].used, capacity);
        assert_int_equal(heap.size_class[i].slabs, 1);
    }
}

/* The slab that is last to come free stays, until another one comes free or memory is wanted. */
static void the_slab_kept_in_hand(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        unsigned other = (i + 1) % KNOLL_CLASS_COUNT;
        make_wide();
        assert_false(knoll_slab_spare_is_empty(&heap));
        unsigned char *block = slab_take(&heap, i);
        uint32_t number = find(block).number;
        assert_false(knoll_slab_spare_is_empty(&heap));
        give(block);
        assert_int_equal(heap.spare_slab, number);
        assert_true(knoll_slab_spare_is_empty(&heap));
        assert_int_equal(heap.size_class[i].slabs, 1);

        assert_ptr_equal(slab_take(&heap, i), block); /* used again, and still the one in hand */
        assert_false(knoll_slab_spare_is_empty(&heap));
        assert_int_equal(heap.spare_slab, number);
        give(block);
        assert_int_equal(heap.size_class[i].slabs, 1);

        uint32_t length = RUN_SHORTEST;
        uint32_t run = knoll_slab_take_run(&heap, &length, 1);
        assert_true(run != NOWHERE && length == RUN_SHORTEST);
        assert_int_equal(heap.spare_slab, number); /* not given up where there is other memory */
        assert_int_equal(heap.size_class[i].slabs, 1);
        knoll_pages_give(&heap, run, length);

        unsigned char *next = slab_take(&heap, other);
        uint32_t next_number = find(next).number;
        give(next); /* takes its place, and it goes back */
        assert_int_equal(heap.spare_slab, next_number);
        assert_int_equal(heap.size_class[i].slabs, 0);
        assert_int_equal(heap.size_class[i].blocks, 0);
        assert_int_equal(heap.size_class[i].partial, NOWHERE);
        assert_int_equal(heap.size_class[other].slabs, 1);
        assert_int_equal(cell_kind(*entry_of(&heap, number)), RUN_FREE);
        assert_true((*entry_of(&heap, number) & RUN_WAS_BLOCK) != 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* The one in hand makes room for a run or another class. */
static void the_slab_in_hand_serves_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t units = (uint32_t)knoll_pages_round(knoll_classes[i].units, 1);
        unsigned other = i == 0 ? KNOLL_CLASS_COUNT - 1 : 0;
        if (!narrow(units))
            continue;
        give(slab_take(&heap, i));
        uint32_t length = units;
        uint32_t run = knoll_slab_take_run(&heap, &length, 1);
        assert_true(run != NOWHERE && length == units);
        assert_int_equal(heap.spare_slab, NOWHERE);
        assert_int_equal(heap.size_class[i].slabs, 0);
        knoll_pages_give(&heap, run, units);

        give(slab_take(&heap, i));
        bool fits = knoll_classes[other].least_units <= units;
        unsigned char *block = slab_take(&heap, other);
        assert_true((block != NULL) == fits);
        assert_int_equal(heap.size_class[i].slabs, 0); /* a request failed, so it went back */
        assert_int_equal(heap.size_class[other].slabs, fits);
    }
}

/* Full slabs leave the list; the first block that comes back puts them at its head. */
static void partial_slabs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class_state *counts = &heap.size_class[i];
        unsigned capacity = knoll_classes[i].capacity;
        unsigned char *first, *second, *third;
        make_wide();
        take_all_of(i, capacity);
        first = blocks[capacity - 1];
        take_all_of(i, capacity);
        second = blocks[0];
        third = slab_take(&heap, i);
        assert_int_equal(counts->partial, find(third).number);
        give(first);
        assert_int_equal(counts->partial, find(first).number);
        give(second);
        assert_int_equal(counts->partial, find(second).number);
        assert_int_equal(entry_next(entry_of(&heap, counts->partial)), find(first).number);
        assert_int_equal(entry_next(entry_of(&heap, find(first).number)), find(third).number);
        assert_ptr_equal(slab_take(&heap, i), second);
        assert_int_equal(counts->partial, find(first).number);
        assert_ptr_equal(slab_take(&heap, i), first);
        assert_int_equal(counts->partial, find(third).number);
        assert_int_equal(counts->slabs, 3);
    }
}

/* Every address of the region: a block starts there just if the table says so. */
static void every_address(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class *properties = &knoll_classes[i];
        make_heap(&heap, ground = arena_at(MIB(1), KIB(4)), KIB(600));
        struct knoll_region *region = heap.region[0];
        unsigned char *first = slab_take(&heap, i);
        const unsigned char *end = first + (size_t)properties->capacity * properties->size;
        size_t into = 0;
        uint32_t index = 0;
        for (unsigned char *address = region->base; address < ground + KIB(600); address++) {
            struct slab_place place;
            bool inside = address >= first && address < end;
            bool found = slab_find(region, address, &place);
            if (found != (inside && into == 0) || (found && place.index != index))
                assert_ptr_equal(address, NULL);
            if (inside && ++into == properties->size) {
                into = 0;
                index++;
            }
        }
        assert_int_equal(index, properties->capacity);
    }
}

/* A block that is free was freed if it is one of the first `touched`, and was never handed out otherwise. */
static void blocks_handed_out_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        size_t size = knoll_classes[i].size;
        make_wide();
        take_all_of(i, 2);
        give(blocks[1]);
        for (unsigned again = 0; again < 2; again++) {
            assert_int_equal(heap.size_class[i].touched, 2);
            assert_int_equal(knoll_address_fault(&heap, blocks[1]), KNOLL_FAULT_DOUBLE_FREE);
            assert_int_equal(knoll_address_fault(&heap, blocks[1] + 1), KNOLL_FAULT_NOT_HANDED_OUT);
            assert_int_equal(knoll_address_fault(&heap, blocks[0] + 1), KNOLL_FAULT_INTERIOR);
            assert_int_equal(knoll_address_fault(&heap, blocks[1] + size), KNOLL_FAULT_NOT_HANDED_OUT);
            if (again == 0) {
                give(blocks[0]);
                assert_ptr_equal(slab_take(&heap, i), blocks[0]);
            }
        }
    }
}

/* The entries at the start of a region say nothing of a slab where there is none. */
static void no_slab(void **state)
{
    (void)state;
    make_wide();
    struct knoll_region *region = heap.region[0];
    struct slab_place place;
    for (unsigned char *address = region->base; address < region->base + 2 * UNIT; address += 16)
        assert_false(slab_find(region, address, &place));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slab_of_the_usual_length),
    cmocka_unit_test(a_slab_of_what_there_is),
    cmocka_unit_test(lowest_free_block_first),
    cmocka_unit_test(the_slab_kept_in_hand),
    cmocka_unit_test(the_slab_in_hand_serves_others),
    cmocka_unit_test(partial_slabs),
    cmocka_unit_test(every_address),
    cmocka_unit_test(blocks_handed_out_once),
    cmocka_unit_test(no_slab),
};

CHECK_MAIN(tests)
