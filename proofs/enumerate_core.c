/* The core's tables and arithmetic, all of whose domains are finite: shapes and offsets in a slab, sizes and alignments
 * of slabs' blocks, lengths of runs, sizes of regions, links, buddies.
 *
 * It includes sources and not only headers, for the functions that they keep to themselves.
 *
 * SPDX-License-Identifier: MIT */
#include "classes.c"
#include "region.c"
#include "pages_buddy.c"
#include "pages_runs.c"
#include "slab.c"
#include "enumerate.h"

#define CLASSIC (KNOLL_PROFILE == KNOLL_CLASSIC)

/* ---- Shapes ---- */

static void tables_of_shapes(void)
{
    for (const struct knoll_shape *shape = knoll_shapes; shape < knoll_shapes + KNOLL_CLASS_COUNT; shape++) {
        uint32_t odd = (uint32_t)shape->size >> shape->rotate;
        uint32_t bytes = shape->low + 1;
        uint32_t fitting = bytes / shape->size;
        holds(odd << shape->rotate == shape->size && odd % 2 == 1 && odd * shape->inverse == 1);
        holds((bytes & shape->low) == 0 && bytes % UNIT == 0 && shape_length(shape) * UNIT == bytes);
        holds(shape_length(shape) % GROUP_UNITS == 0);
        holds(shape->capacity == (fitting < 64 ? fitting : 64) && shape->capacity >= 1);
        holds(bits_count(shape->blocks) == shape->capacity);
        for (unsigned i = 0; i < 64; i++)
            holds((shape->blocks >> i & 1) == shape_has(shape, i));
        holds(&knoll_shapes[shape->size_class] == shape && class_size(shape->size_class) == shape->size);
        holds(shape_low(shape) == shape->low &&
              block_offset(shape->size, 3) == 3 * (CLASSIC ? 64 : (size_t)shape->size));
        holds(shape_of((size_t)(shape - knoll_shapes) + SHAPE_SLAB) == shape);
    }
    theorem("each shape's inverse, length, capacity, word and class agree");
}

/* Its own division, and not the processor's by the same number, says what the result should be. */
static void blocks_at_offsets(void)
{
    for (const struct knoll_shape *shape = knoll_shapes; shape < knoll_shapes + KNOLL_CLASS_COUNT; shape++) {
        uint32_t block = 0, rest = 0;
        for (uint32_t offset = 0; offset <= shape->low; offset++) {
            uint32_t found = shape_block_at(shape, offset);
            bool starts = rest == 0 && block < shape->capacity;
            holds(shape_has(shape, found) == starts && (!starts || block_offset(shape->size, found) == offset));
            holds(CLASSIC ? offset % 64 == 0 || found >= 1u << 20 : rest == 0 ? found == block : found >= 1u << 20);
            if (++rest == shape->size) {
                rest = 0;
                block++;
            }
        }
    }
    theorem("shape_block_at gives a block's index just where one starts, for every shape and offset");
}

/* ---- Classes ---- */

static bool class_serves(unsigned size_class, size_t alignment, size_t size)
{
    return class_size(size_class) >= size && class_size(size_class) % alignment == 0;
}

static void classes_for_requests(void)
{
    for (size_t size = 0; size <= KNOLL_SLAB_MAXIMUM; size++) {
        size_t size_class = class_for_size(size);
        holds(size_class < KNOLL_CLASS_COUNT && class_size(size_class) >= size);
        holds(size_class == 0 || class_size(size_class - 1) < size);
    }
    theorem("class_for_size is the smallest class that holds the size, for every size");
    for (size_t alignment = 1; alignment <= 2 * KNOLL_SLAB_MAXIMUM; alignment *= 2) {
        for (size_t size = 0; size <= KNOLL_SLAB_MAXIMUM + 1; size++) {
            unsigned size_class = class_for(alignment, size);
            bool is_large = size > KNOLL_SLAB_MAXIMUM || alignment > KNOLL_SLAB_MAXIMUM;
            holds(is_large ? size_class == CLASS_LARGE
                           : size_class < KNOLL_CLASS_COUNT && class_serves(size_class, alignment, size));
            for (unsigned smaller = 0; smaller < size_class && smaller < KNOLL_CLASS_COUNT; smaller++)
                holds(is_large || !class_serves(smaller, alignment, size));
        }
    }
    theorem("class_for is the smallest class with the size and alignment, for every request");
}

/* ---- Lengths ---- */

#if KNOLL_PROFILE == KNOLL_CLASSIC

static void lists_of_lengths(void)
{
    for (uint32_t length = 1; length < INDEX_MASK; length++) {
        unsigned list = list_of_length(length), next = list_of_length(length + 1);
        holds(list <= ORDER_MAX && (next == list || next == list + 1));
    }
    theorem("list_of_length is in range and rises by one at most, for every length");
}

/* A run starts at a multiple of its length. Numbers of units are taken modulo 2^32, so that base 0 stands for all: the
 * buddy is an index, in which the base has been added and taken away again. */
static void buddies(void)
{
    for (unsigned order = 0; order <= ORDER_MAX; order++) {
        uint32_t length = 1u << order;
        for (uint64_t first = 0; first <= UINT32_MAX; first += 2 * length) {
            uint32_t index = (uint32_t)first;
            holds(buddy_of(NULL, index, order) == index + length && buddy_of(NULL, index + length, order) == index);
        }
    }
    theorem("a run's buddy is the other half of a run twice as long, for every place and order");
    for (unsigned order = 0; order <= ORDER_MAX; order++)
        for (size_t units = ((size_t)1 << order) / 2 + 1; units <= (size_t)1 << order; units++)
            holds(pages_round(units, 1) == (size_t)1 << order);
    theorem("pages_round is the least power of two that suffices, for every number of units");
}

#else

/* Lists for the region lengths that have room for them, and those of the heap for all that are shorter. */
static void lists_of_lengths(void)
{
    for (uint32_t length = 1; length < NUMBER_MASK; length++) {
        unsigned list = list_of_length(length), next = list_of_length(length + 1);
        holds(list >= 1 && (next == list || next == list + 1));
    }
    theorem("list_of_length is in range and rises by one at most, for every length");
    uint32_t first = 1; /* of the list at hand */
    for (uint32_t length = 1; length < NUMBER_MASK; length++) {
        if (list_of_length(length) != list_of_length(first))
            first = length;
        holds(length - first <= first / 16);
    }
    theorem("lengths in a list differ by a sixteenth at most, for every length");
    for (uint32_t length = 1; length < NUMBER_MASK; length++) {
        bool is_shortest = length == 1 || list_of_length(length - 1) < list_of_length(length);
        holds(list_sufficing(length) == list_of_length(length) + !is_shortest);
    }
    theorem("list_sufficing is the list of a length where no run there is shorter, else the next, for every length");
    for (uint32_t units = 1; units <= INDEX_MASK; units++) {
        size_t lists = units < KNOLL_FEW_UNITS ? KNOLL_FEW_LISTS : lists_in_region(units);
        size_t taken = knoll_region_table_units(units);
        if (taken + RUN_SHORTEST <
            units) { /* two free runs and a held one between them: the shorter is in no last list */
            uint32_t shorter = (uint32_t)(units - taken - RUN_SHORTEST) / 2;
            holds(list_of_length(shorter) < lists - 1);
        }
        holds(lists - 1 <= UINT16_MAX && (lists - 1) / 32 < KNOLL_LIST_GROUPS && (lists - 1) / 32 < 32);
    }
    theorem("of each region one run at most is in the last list, and the lists' bits have room, for every region");
}

static void buddies(void)
{
}

#endif

/* ---- Regions ---- */

static void tables_of_regions(void)
{
    for (size_t units = KNOLL_PAGE >> KNOLL_UNIT_SHIFT; units <= INDEX_MASK; units += KNOLL_PAGE >> KNOLL_UNIT_SHIFT) {
        size_t taken = knoll_region_table_units(units);
        size_t lists = knoll_region_lists_at(units);
        holds(lists == ENTRIES_AT + units * CELLS_PER_UNIT * sizeof(uint32_t));
        holds(lists + lists_in_region(units) * sizeof(uint32_t) <= taken * UNIT);
        holds(taken == 1 || taken * 1000 <= units * 16);
    }
    theorem("a region's tables lie one after another, and take 1.6 % or a unit, for every size");
}

/* What `cell` had besides must stay; each bit of it is tried as 0 and as 1, and with either beside it. */
static void links(void)
{
    static const uint32_t patterns[] = {0, ~0u, 0x55555555u, 0xAAAAAAAAu};
    for (unsigned shift = 0; shift <= GROUP_SHIFT; shift += 2) {
        uint32_t mask = NUMBER_MASK >> shift;
        for (uint64_t number = 0; number <= NUMBER_MASK; number += 1u << shift) {
            for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
                uint32_t cell = patterns[i];
                set_link(&cell, (uint32_t)number, shift);
                holds(link_of(cell, shift) == number && (cell & ~mask) == (patterns[i] & ~mask));
            }
        }
    }
    theorem("link_of gives back what set_link put, which changes nothing else, for every unit number");
    for (uint32_t kind = RUN_NONE; kind <= RUN_SLAB; kind++) {
        for (uint32_t number = 0; number < NUMBER_MASK; number++) {
            uint32_t cell = cell_of((enum run_kind)kind, number);
            holds(cell_kind(cell) == kind && (cell & NUMBER_MASK) == number);
        }
    }
    theorem("cell_kind and the number give back what cell_of put, for every kind and number");
}

/* ---- Slabs ---- */

static void words(void)
{
    uint32_t slab[CELL_WORD + 3];
    for (unsigned index = 0; index < 64; index++) {
        for (unsigned other = 0; other < 64; other++) {
            struct slab_place place = {slab, NULL, 0, index};
            uint64_t word = ~bit(other);
            slab[CELL_WORD - 1] = slab[CELL_WORD + 2] = 0xA5A5A5A5u;
            slab_set_held(slab, word);
            holds(slab_held(slab) == word && slab[CELL_WORD - 1] == 0xA5A5A5A5u && slab[CELL_WORD + 2] == 0xA5A5A5A5u);
            holds(slab_give_bit(place) == (word & ~bit(index)) && slab_held(slab) == (word & ~bit(index)));
            slab_set_held(slab, ~word);
            holds(slab_held(slab) == ~word);
        }
    }
    theorem("a slab's word is kept, and giving clears one bit, for each two bits");
}

int main(void)
{
    tables_of_shapes();
    blocks_at_offsets();
    classes_for_requests();
    lists_of_lengths();
    buddies();
    tables_of_regions();
    links();
    words();
    return open_theorems != 0;
}
