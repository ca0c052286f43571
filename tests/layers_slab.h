/* What the tests of slabs share: a heap with memory for many slabs, and calls of the slab layer and of large blocks
 * that keep the heap's account, so that knoll_check can be asked at any time.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_SLAB_H
#define KNOLL_TESTS_LAYERS_SLAB_H

#include "blocks.h"
#include "check.h"
#include "pages.h"
#include "support.h"

#define WIDE (CLASSIC ? MIB(2) : KIB(512)) /* memory for many slabs, and in classic for long runs */

/* How many of the first classes have several blocks a slab. */
#define CLASSES_OF_SEVERAL (CLASSIC ? KNOLL_CLASS_COUNT - 1u : KNOLL_CLASS_COUNT)

static struct knoll_heap heap;
static unsigned char *blocks[64]; /* of one slab, from the first to the last */

/* A fresh heap whose slabs are not bound by memory. */
static inline void make_wide(void)
{
    make_heap(&heap, arena_at(MIB(1), 0), WIDE);
}

static inline struct slab_place find(const void *address)
{
    struct slab_place place = {region_entry(heap.region[0], 0), &knoll_shapes[0], NOWHERE, 0};
    assert_true(slab_find(region_of_address(&heap, address), address, &place));
    return place;
}

static inline const struct knoll_shape *usual(unsigned size_class)
{
    return &knoll_shapes[size_class];
}

/* The index of a slab's block, counted from 0. */
static inline uint32_t index_of(unsigned size_class, size_t block)
{
    return (uint32_t)(CLASSIC ? block * class_size(size_class) / 64 : block);
}

/* How many hints a class's magazine has to slabs that there are. */
static inline size_t hints_to_slabs(unsigned size_class)
{
    size_t count = 0;
#if KNOLL_MAGAZINE > 0
    int hints = heap.size_class[size_class].hints;
    for (int i = 0; i < (hints < 0 ? -hints : hints); i++)
        count += slab_class(heap.size_class[size_class].hint_slab[i]) == size_class;
#else
    (void)size_class;
#endif
    return count;
}

static inline unsigned char *try_take(unsigned size_class)
{
    unsigned char *block = knoll_slab_take(&heap, size_class);
    if (block == NULL)
        return NULL;
    heap.peak += class_size(size_class);
    struct slab_place place = find(block);
    assert_true(slab_holds(&place));
    return block;
}

static inline unsigned char *take(unsigned size_class)
{
    unsigned char *block = try_take(size_class);
    assert_non_null(block);
    return block;
}

static inline void give(unsigned char *block)
{
    struct slab_place place = find(block);
    assert_true(slab_holds(&place));
    heap.peak -= place.shape->size;
    slab_give(&heap, &heap.size_class[place.shape->size_class], place, slab_give_bit(place), block);
    assert_false(slab_holds(&place)); /* whether it is remembered or not: so it cannot be given twice */
}

/* The block that was freed last comes first. Without magazines those of its slab that are at hand do. */
static inline void expect_again(const void *taken, const void *freed)
{
    if (KNOLL_MAGAZINE > 0)
        assert_ptr_equal(taken, freed);
    assert_ptr_equal(find(taken).slab, find(freed).slab);
}

/* Takes a whole slab, having taken what is left of the current one. */
static inline void take_slab(unsigned size_class)
{
    do
        blocks[0] = take(size_class);
    while (find(blocks[0]).index != 0);
    for (unsigned i = 1; i < usual(size_class)->capacity; i++)
        blocks[i] = take(size_class);
}

/* Takes a run as a large block; its first unit. */
static inline uint32_t hold(uint32_t length, uint32_t alignment)
{
    size_t usable;
    const void *run = knoll_large_take_aligned(&heap, alignment * UNIT, length * UNIT, false, &usable);
    assert_non_null(run);
    heap.peak += usable;
    return region_unit_number(heap.region[0], (uint32_t)(region_offset(heap.region[0], run) >> KNOLL_UNIT_SHIFT));
}

static inline void hold_all(void)
{
    for (uint32_t longest; (longest = knoll_pages_longest(&heap)) != 0;)
        hold(longest, 1);
}

static inline void release(uint32_t number)
{
    heap.peak -= (size_t)large_length(entry_of(&heap, number)) << KNOLL_UNIT_SHIFT;
    large_give(&heap, number);
}

/* What happens before a request is refused: the slab kept in hand is given back, and then there is none. */
static inline void give_back_the_slab_in_hand(void)
{
    assert_int_equal(knoll_slab_take_back(&heap, INDEX_MASK, 1), NOWHERE); /* no run is so long */
    assert_false(knoll_slab_spare_is_empty(&heap));
    assert_int_equal(knoll_slab_take_back(&heap, RUN_SHORTEST, 1), NOWHERE);
}

/* Leaves one free run of this many units, in compact `skew` units past a place for a slab. Returns its first unit. */
static inline uint32_t narrow(uint32_t units, uint32_t skew)
{
    uint32_t whole = CLASSIC ? 256 : 64;
    uint32_t lead = CLASSIC ? 128 : 8 + skew;
    make_wide();
    uint32_t first = hold(whole, whole);
    hold_all();
    assert_true(knoll_large_resize(&heap, first, lead));
    heap.peak -= (size_t)(whole - lead) * UNIT;
    uint32_t kept = hold(units, 1);
    hold_all();
    release(kept);
    assert_int_equal(kept, first + lead);
    assert_int_equal(knoll_pages_longest(&heap), units);
    assert_int_equal(knoll_check(&heap), 0);
    return kept;
}

#endif
