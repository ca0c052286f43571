/* Every sequence of calls, up to a depth, on the smallest heap and on one with a second region beside it.
 *
 * The alphabet is small and chosen to make slabs and runs compete for seven units: three sizes to ask for, and for
 * each block that is held to free it or to change it to another size, and to free again what was freed last. The tree
 * of sequences is walked depth first; a call is undone by putting back the struct and the tables, which are all that a
 * heap consists of. After each call the heap must be sound and hold exactly what the sequence left.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#ifndef KNOLL_TEST_DEPTH
#define KNOLL_TEST_DEPTH 6
#endif

#define SLOTS          4
#define REGIONS        2
#define TABLES_MAXIMUM KNOLL_PAGE /* of a region, here */
#define SECOND_SIZE    (2 * KNOLL_PAGE)

static const size_t sizes[] = {1000, 4096, 8192};

#define SIZES (sizeof sizes / sizeof sizes[0])

struct slot {
    unsigned char *block;
    size_t size;
};

/* All that a sequence of calls has made. */
struct situation {
    struct knoll_heap heap;
    unsigned char tables[REGIONS][TABLES_MAXIMUM];
    struct slot slot[SLOTS];
    unsigned char *freed_last;
};

static struct knoll_heap heap;
static struct slot slot[SLOTS];
static unsigned char *freed_last;
static unsigned char *region[REGIONS];
static size_t region_count;
static size_t tables_size[REGIONS];
static struct situation situations[KNOLL_TEST_DEPTH + 1];
static size_t sequences;
static size_t largest_at_first;

static void save(struct situation *situation)
{
    situation->heap = heap;
    memcpy(situation->slot, slot, sizeof slot);
    situation->freed_last = freed_last;
    for (size_t i = 0; i < region_count; i++)
        memcpy(situation->tables[i], region[i], tables_size[i]);
}

static void put_back(const struct situation *situation)
{
    heap = situation->heap;
    memcpy(slot, situation->slot, sizeof slot);
    freed_last = situation->freed_last;
    for (size_t i = 0; i < region_count; i++)
        memcpy(region[i], situation->tables[i], tables_size[i]);
}

/* Marks a block at both ends; what is between is left to other tests. */
static void mark(const struct slot *marked, unsigned seed)
{
    write_pattern(marked->block, 16, seed);
    write_pattern(marked->block + marked->size - 16, 16, seed + 1);
}

static bool is_marked(const struct slot *marked, unsigned seed)
{
    return has_pattern(marked->block, 16, seed) && has_pattern(marked->block + marked->size - 16, 16, seed + 1);
}

static void verify(void)
{
    struct survey expected = {.blocks = 0};
    for (size_t i = 0; i < SLOTS; i++) {
        if (slot[i].block == NULL)
            continue;
        size_t usable = knoll_usable_size(&heap, slot[i].block);
        assert_true(usable >= slot[i].size);
        expected.blocks++;
        expected.block_bytes += usable;
        expected.fingerprint += block_fingerprint(slot[i].block, usable);
        for (size_t j = 0; j < i; j++)
            assert_true(slot[j].block == NULL || slot[j].block + slot[j].size <= slot[i].block ||
                        slot[i].block + slot[i].size <= slot[j].block);
    }
    struct survey found = survey(&heap);
    assert_int_equal(found.blocks, expected.blocks);
    assert_int_equal(found.block_bytes, expected.block_bytes);
    assert_true(found.fingerprint == expected.fingerprint);
    assert_int_equal(knoll_check(&heap), 0);
}

/* What is left after freeing everything is what there was at first. Changes the heap. */
static void verify_that_all_comes_back(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        knoll_free(&heap, slot[i].block);
    assert_int_equal(knoll_used_bytes(&heap), 0);
    assert_int_equal(largest_block(&heap), largest_at_first);
    assert_int_equal(knoll_check(&heap), 0);
    assert_int_equal(last_fault.count, 0);
}

static bool allocate(size_t size)
{
    size_t i = 0;
    while (i < SLOTS && slot[i].block != NULL)
        i++;
    if (i == SLOTS)
        return false;
    size_t largest = largest_block(&heap);
    slot[i] = (struct slot){knoll_malloc(&heap, size), size};
    assert_true(slot[i].block != NULL ? size <= largest : may_refuse(&heap, size));
    return true;
}

static bool release(struct slot *released)
{
    if (released->block == NULL)
        return false;
    knoll_free_sized(&heap, released->block, released->size);
    freed_last = released->block;
    released->block = NULL;
    return true;
}

static bool resize(struct slot *resized, size_t size)
{
    if (resized->block == NULL || resized->size == size)
        return false;
    size_t kept = size < resized->size ? size : resized->size;
    mark(&(struct slot){resized->block, kept}, 5);
    unsigned char *block = knoll_realloc(&heap, resized->block, size);
    if (block == NULL) {
        assert_true(size > resized->size && may_refuse(&heap, size));
        return true;
    }
    assert_true(is_marked(&(struct slot){block, kept}, 5));
    if (block != resized->block)
        freed_last = resized->block;
    *resized = (struct slot){block, size};
    return true;
}

static bool free_again(void)
{
    if (freed_last == NULL || !FINDS_MISUSE)
        return false;
    for (size_t i = 0; i < SLOTS; i++)
        if (slot[i].block != NULL && freed_last >= slot[i].block && freed_last < slot[i].block + slot[i].size)
            return false;
    struct knoll_heap before = heap;
    knoll_free(&heap, freed_last);
    assert_int_equal(last_fault.count, 1);
    assert_memory_equal(&heap, &before, sizeof heap);
    last_fault.count = 0;
    return true;
}

/* The calls of the alphabet by number; false where this one makes no sense now. */
#define CALLS (SIZES + SLOTS + SLOTS * SIZES + 1)

static bool call(size_t number)
{
    if (number < SIZES)
        return allocate(sizes[number]);
    number -= SIZES;
    if (number < SLOTS)
        return release(&slot[number]);
    number -= SLOTS;
    if (number < SLOTS * SIZES)
        return resize(&slot[number / SIZES], sizes[number % SIZES]);
    return free_again();
}

static void explore(size_t depth)
{
    struct situation *here = &situations[depth];
    save(here);
    for (size_t number = 0; number < CALLS; number++) {
        if (!call(number))
            continue;
        sequences++;
        verify();
        if (depth > 1)
            explore(depth - 1);
        else
            verify_that_all_comes_back();
        put_back(here);
    }
}

static void start(size_t regions)
{
    region_count = regions;
    region[0] = arena_at(KIB(64), KIB(4));
    region[1] = region[0] + KNOLL_MINIMUM_HEAP + KNOLL_PAGE;
    memset(slot, 0, sizeof slot);
    freed_last = NULL;
    sequences = 0;
    last_fault.count = 0;
    make_heap(&heap, region[0], KNOLL_MINIMUM_HEAP);
    tables_size[0] = KNOLL_MINIMUM_HEAP - knoll_total_bytes(&heap);
    if (regions == 2) {
        size_t before = knoll_total_bytes(&heap);
        add_memory(&heap, region[1], SECOND_SIZE);
        tables_size[1] = SECOND_SIZE - (knoll_total_bytes(&heap) - before);
    }
    knoll_set_fault_handler(&heap, record_fault);
    largest_at_first = largest_block(&heap);
}

static void every_sequence_in_one_region(void **state)
{
    (void)state;
    start(1);
    explore(KNOLL_TEST_DEPTH);
    check_say("every sequence of up to ", KNOLL_TEST_DEPTH, " calls in one region: ");
    check_say("", sequences, "\n");
}

static void every_sequence_in_two_regions(void **state)
{
    (void)state;
    if (KNOLL_REGIONS_MAX == 1)
        return;
    start(2);
    explore(KNOLL_TEST_DEPTH - 1);
    check_say("every sequence of up to ", KNOLL_TEST_DEPTH - 1, " calls in two regions: ");
    check_say("", sequences, "\n");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_sequence_in_one_region),
    cmocka_unit_test(every_sequence_in_two_regions),
};

CHECK_MAIN(tests)
