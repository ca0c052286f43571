/* Regions, units and the page map: from an address to what lies there.
 *
 * A region is one span of memory given to the heap. It is cut into units; its tables lie in its first ones:
 *
 *     region                                                      base    base + UNIT
 *     | header | entry of unit 1 |  ...  | of unit count-1  | slack | map |       unit 1       |  unit 2 ...
 *     |--------|-----------------|--...--|------------------|-------|-----|--------------------|-------
 *                CELLS_PER_UNIT cells each                          1 bit/unit,  handed out from here
 *                                                                   growing down
 *
 * Units are numbered such that unit 1 is the first that is handed out; unit 0 is the last of those that hold tables.
 *
 * The page map is the array of entries. A unit's entry is one cell of 32 bits in compact, five in classic. A cell says
 * something only at the edges of a run, and a run that is longer than a cell or two uses its next cells, whichever
 * unit's entry they are in:
 *
 *     cell      0               1          2          3            4               last
 *     FREE      FREE  | next    prev       length                                  END  | length   (compact only)
 *       2 cells FREE  | next    PAIR | prev
 *     LARGE     LARGE | flags   length
 *     SLAB      SLAB  | next    word, 64 bits         prev         attributes
 *       tiny    SLAB  | next    word, 64 bits         prev
 *
 * so that taking or giving back a run touches a constant number of cells, however long it is. What stands before the
 * bar is the cell's kind, its two highest bits; NONE is in all other cells but the slab's word. A kind means something
 * in the first cell of a run and in the last one, which the run's neighbours look at: so no run is one cell long, and
 * a slab's last cell is not its word's.
 *
 * A unit number names a unit of any region in 29 bits: the region's number, then the unit's index. Index 0 is never a
 * run's, so the number 0 means none; for the same reason a heap of zero bytes is a heap without memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_REGION_H
#define KNOLL_REGION_H

#include "bits.h"
#include "knoll.h"

#define UNIT        ((size_t)1 << KNOLL_UNIT_SHIFT)
#define NUMBER_BITS 29
#define INDEX_BITS  (NUMBER_BITS - KNOLL_REGION_BITS)
#define INDEX_MASK  ((1u << INDEX_BITS) - 1)
#define NUMBER_MASK ((1u << NUMBER_BITS) - 1)
#define NOWHERE     0u /* the unit number of no unit */

/* A slab's state takes five cells, or four if it is tiny; in classic a slab can be one unit long, in compact it never
 * is. A free run takes two cells. */
#define CELLS_PER_UNIT (KNOLL_PROFILE == KNOLL_CLASSIC ? 5u : 1u)

/* The shortest run there is, in units. */
#define RUN_SHORTEST (KNOLL_PROFILE == KNOLL_CLASSIC ? 1u : 2u)

enum cell { CELL_NEXT = 0, CELL_FREE_PREV = 1, CELL_LENGTH = 2, CELL_LARGE_LENGTH = 1 };
enum slab_cell { CELL_WORD = 1, CELL_SLAB_PREV = 3, CELL_ATTRIBUTES = 4 };

/* A cell's kind. In the last cell of a run, FREE is END, and SLAB is PAIR: the second cell of a run of two. */
enum run_kind { RUN_NONE = 0, RUN_FREE = 1, RUN_LARGE = 2, RUN_SLAB = 3, RUN_END = RUN_FREE, RUN_PAIR = RUN_SLAB };

#define KIND_SHIFT 30
#define CELL_FLAG  (1u << NUMBER_BITS)

#define RUN_WAS_BLOCK CELL_FLAG /* FREE or NONE: a block that started here has been freed since */
#define RUN_LOOSE     CELL_FLAG /* LARGE: longer than its size asks for, see knoll_realloc */
#define SLAB_TINY     CELL_FLAG /* SLAB: of a geometry that needs no attributes, see slab.h */

struct knoll_region {
    unsigned char *base; /* the address of unit 0 */
    uint32_t count;      /* units, unit 0 included; indices are less */
    uint32_t number;     /* the region's; it is also the cell before that of unit 1, and its kind is NONE */
};

static inline enum run_kind cell_kind(uint32_t cell)
{
    return (enum run_kind)(cell >> KIND_SHIFT);
}

static inline uint32_t cell_of(enum run_kind kind, uint32_t number)
{
    return (uint32_t)kind << KIND_SHIFT | number;
}

/* Makes the cell link to another unit; its kind and flag stay. */
static inline void cell_link(uint32_t *cell, uint32_t number)
{
    *cell = (*cell & ~NUMBER_MASK) | number;
}

static inline uint32_t entry_next(const uint32_t *entry)
{
    return entry[CELL_NEXT] & NUMBER_MASK;
}

static inline struct knoll_region *region_of_number(const struct knoll_heap *heap, uint32_t number)
{
    return heap->region[number >> INDEX_BITS];
}

static inline uint32_t *region_entry(const struct knoll_region *region, uint32_t index)
{
    return (uint32_t *)(uintptr_t)(region + 1) + (size_t)index * CELLS_PER_UNIT - CELLS_PER_UNIT;
}

static inline uint32_t region_unit_number(const struct knoll_region *region, uint32_t index)
{
    return region->number << INDEX_BITS | index;
}

static inline uint32_t *entry_of(const struct knoll_heap *heap, uint32_t number)
{
    return region_entry(region_of_number(heap, number), number & INDEX_MASK);
}

/* The word of the slab map that has the bit of this unit: set just if the unit is the first of a slab. The words lie
 * before unit 1 and go downwards, so that the first one's place does not depend on how many there are. */
static inline uint64_t *region_slab_map(const struct knoll_region *region, uint32_t index)
{
    return (uint64_t *)((uintptr_t)region->base + UNIT) - 1 - (index >> 6);
}

static inline unsigned char *unit_address(const struct knoll_heap *heap, uint32_t number)
{
    return region_of_number(heap, number)->base + ((size_t)(number & INDEX_MASK) << KNOLL_UNIT_SHIFT);
}

static inline uintptr_t region_offset(const struct knoll_region *region, const void *address)
{
    return (uintptr_t)address - (uintptr_t)region->base;
}

static inline bool region_holds(const struct knoll_region *region, const void *address)
{
    return region_offset(region, address) >> KNOLL_UNIT_SHIFT < region->count;
}

/* The region of which a unit holds this address, or NULL: by halving, at most KNOLL_REGION_BITS + 1 steps. */
struct knoll_region *knoll_region_search(const struct knoll_heap *heap, const void *address);

/* Whether the address is in the tables of a region. O(regions). */
bool knoll_region_tables_hold(const struct knoll_heap *heap, const void *address);

/* The same; one comparison where the block is in the first region. The heap has a region. */
static inline struct knoll_region *region_of_address(const struct knoll_heap *heap, const void *address)
{
    struct knoll_region *first = heap->region[0];
    return region_holds(first, address) ? first : knoll_region_search(heap, address);
}

/* The first unit of the last slab that starts at or before this unit, if it starts in the same or the preceding
 * word of the map; NOWHERE if none does. A slab is at most 64 units long, so its own start is always seen. */
static inline uint32_t region_slab_before(const struct knoll_region *region, uint32_t index)
{
    const uint64_t *word = region_slab_map(region, index);
    uint64_t starts = *word << (63 - (index & 63));
    if (starts != 0)
        return index - 63 + bits_highest(starts);
    if (index < 64 || word[1] == 0)
        return NOWHERE;
    return (index & ~63u) - 64 + bits_highest(word[1]);
}

/* ---- Lists: doubly linked through the cells of FREE runs and of SLABs; a head is a unit number in the heap. `prev` is
 * the cell that has the link back ---- */

static inline void list_push(struct knoll_heap *heap, uint32_t *head, uint32_t *entry, uint32_t number, unsigned prev)
{
    uint32_t next = *head;
    cell_link(&entry[CELL_NEXT], next);
    cell_link(&entry[prev], NOWHERE);
    if (next != NOWHERE)
        cell_link(&entry_of(heap, next)[prev], number);
    *head = number;
}

static inline void list_remove(struct knoll_heap *heap, uint32_t *head, const uint32_t *entry, unsigned prev)
{
    uint32_t next = entry_next(entry);
    uint32_t before = entry[prev] & NUMBER_MASK;
    if (next != NOWHERE)
        cell_link(&entry_of(heap, next)[prev], before);
    if (before != NOWHERE)
        cell_link(&entry_of(heap, before)[CELL_NEXT], next);
    else
        *head = next;
}

/* Makes a region's tables, all of its units NONE. The limits have been tested. */
struct knoll_region *knoll_region_make(struct knoll_heap *heap, void *start, size_t size);

/* The first limit that this span breaks by itself, or KNOLL_OK; reads only the pointers. `least` is the smallest size
 * allowed. */
int knoll_region_limits(const struct knoll_heap *heap, const void *start, size_t size, size_t least);

/* The first limit that it breaks together with what the heap has already, or KNOLL_OK. */
int knoll_region_room(const struct knoll_heap *heap, const void *start, size_t size);

#endif
