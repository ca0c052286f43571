/* Regions, units and the page map: from an address to what lies there.
 *
 * A region is one span of memory given to the heap. It is cut into units; its tables lie in its first ones:
 *
 *     region                                            tables' end
 *     | header | entry of unit 0 | entry 1 ... | lists | slack | unit `first` |  ...
 *     |--------|-----------------|-------------|-------|-------|--------------|-----
 *       16 B     CELLS_PER_UNIT cells each   compact only         handed out from here
 *
 * The page map is the array of entries. A unit's entry is one cell of 32 bits in compact, six in classic. A cell says
 * something only at the edges of a run, and a run that is longer than a cell or two uses its next cells, whichever
 * unit's entry they are in:
 *
 *     cell      0                       1          2          3                last
 *     FREE      FREE  | short | prev    next       length                      END  | short | length    (compact only)
 *       2 cells FREE  | 2     | prev    END  | 2 | next
 *       1 cell  FREE  | 1
 *     LARGE     LARGE | flags           length
 *     SLAB      SLAB  | shape | prev    word, 64 bits         notes | next     (compact)
 *               SLAB  | prev            next       notes      shape            word, 64 bits (classic)
 *
 * so that taking or giving back a run touches a constant number of cells, however long it is. What stands before the
 * first bar is the cell's kind, its two highest bits; NONE is in all other cells but the slab's word. A kind means
 * something in the first cell of a run and in the last one, which the run's neighbours look at: so no run that is held
 * is one cell long, and a slab's last cell is not its word's. A free run of one cell has no links and is in no list.
 *
 * A slab is aligned to its length, and each group of its units (four in compact, one in classic) says its shape: so
 * from any address in it its start is known at once. Compact has the shape in the group's first cell, where each group
 * of a slab is SLAB; classic, whose slabs are one unit long, in a cell of its own, which is 0 in all other units. So
 * is the word there: whether a caller holds the block of a slab at an address is told by one bit alone.
 *
 * A unit number names a unit of any region: the region's number, then the unit's index. Index 0 is in the tables, so
 * the number 0 means none; for the same reason a heap of zero bytes is a heap without memory. Where a list ends there
 * is such a link, and the first cell of unit 0 of region 0 takes what would link back from there: to write that always
 * is faster than to ask whether it must be written, and nobody reads it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_REGION_H
#define KNOLL_REGION_H

#include "lengths.h"

#define BLOCK_ALIGNMENT 16u /* of every block */

#define UNIT        ((size_t)1 << KNOLL_UNIT_SHIFT)
#define NUMBER_BITS (KNOLL_PROFILE == KNOLL_CLASSIC ? 29 : 27)
#define INDEX_BITS  (NUMBER_BITS - KNOLL_REGION_BITS)
#define INDEX_MASK  ((1u << INDEX_BITS) - 1)
#define NUMBER_MASK ((1u << NUMBER_BITS) - 1)
#define NOWHERE     0u /* the unit number of no unit */

#define CELLS_PER_UNIT (KNOLL_PROFILE == KNOLL_CLASSIC ? 6u : 1u)

/* Where unit 0's entry starts, in bytes: in classic such that the word of each slab lies at a multiple of eight, and in
 * compact such that each slab's entry lies at a multiple of 16. So no word lies in two cache lines. */
#define ENTRIES_AT 16u

/* A group of units: what a slab starts at a multiple of. A slab's links leave its low bits out. */
#define GROUP_SHIFT (KNOLL_PROFILE == KNOLL_CLASSIC ? 0u : 2u)
#define GROUP_UNITS (1u << GROUP_SHIFT)

/* The shortest run that is held, in units; and the shortest free one that is in a list. */
#define RUN_SHORTEST (KNOLL_PROFILE == KNOLL_CLASSIC ? 1u : 2u)

enum cell { CELL_PREV = 0, CELL_FREE_NEXT = 1, CELL_LENGTH = 2, CELL_LARGE_LENGTH = 1 };

#if KNOLL_PROFILE == KNOLL_CLASSIC
enum { CELL_SLAB_NEXT = 1, CELL_NOTES = 2, CELL_SHAPE = 3, CELL_WORD = 4 };
#else
enum { CELL_SHAPE = 0, CELL_WORD = 1, CELL_SLAB_NEXT = 3, CELL_NOTES = 3 };
#endif

enum run_kind { RUN_NONE = 0, RUN_FREE = 1, RUN_LARGE = 2, RUN_SLAB = 3, RUN_END = RUN_FREE };

#define KIND_SHIFT 30
#define CELL_FLAG  (1u << 29)

#define RUN_WAS_BLOCK CELL_FLAG /* FREE or NONE, in a first cell: a block that started here has been freed since */
#define RUN_LOOSE     CELL_FLAG /* LARGE: longer than its size asks for, see knoll_realloc */
#define RUN_NESTED    (1u << 6) /* LARGE: its units have cells of their own, which say the runs of a processor's span */

/* FREE and END in compact: the run's length if that is from 1 to 3, else 0. */
#define SHORT_SHIFT 27
#define SHORT_MASK  3u

/* Where a SLAB's shape stands, and its notes; compact needs both in cells that have links too. */
#define SHAPE_SHIFT 25
#define NOTES_SHIFT 25

struct knoll_region {
    uint32_t count;   /* units, those of the tables included; indices are less */
    uint32_t first;   /* the first unit that is handed out */
    uint32_t number;  /* the region's */
    uint32_t resizes; /* of the heap's runs where they lie, counted in the first region, wraps: see moment.h */
};

/* What a cell says, for the contracts; classic's numbers are of two bits more. */
/*@ logic integer kind_in(integer cell) = cell / 0x40000000;
    logic integer number_in(integer cell) = cell % (KNOLL_PROFILE == KNOLL_CLASSIC ? 0x20000000 : 0x8000000); */

/*@ assigns \nothing;
    ensures \result == kind_in(cell); */
static inline enum run_kind cell_kind(uint32_t cell)
{
    return (enum run_kind)(cell >> KIND_SHIFT);
}

/*@ requires 0 <= kind < 4 && number < 0x40000000;
    assigns \nothing;
    ensures \result == kind * 0x40000000 + number; */
static inline uint32_t cell_of(enum run_kind kind, uint32_t number)
{
    return (uint32_t)kind << KIND_SHIFT | number;
}

static inline struct knoll_region *region_of_number(const struct knoll_heap *heap, uint32_t number)
{
    return heap->region[number >> INDEX_BITS];
}

static inline unsigned char *region_base(const struct knoll_region *region)
{
    return (unsigned char *)(uintptr_t)region;
}

static inline uint32_t *region_entry(const struct knoll_region *region, uint32_t index)
{
    return (uint32_t *)((uintptr_t)region + ENTRIES_AT) + (size_t)index * CELLS_PER_UNIT;
}

/* In compact, the entry of the unit that starts at this offset. Of the offset's low bits, which are 0, as many stay as
 * the entry's size has, so that one shift does. */
static inline uint32_t *region_entry_at(const struct knoll_region *region, uintptr_t offset)
{
    return (uint32_t *)((uintptr_t)region_entry(region, 0) + (offset >> (KNOLL_UNIT_SHIFT - 2)));
}

static inline uint32_t region_unit_number(const struct knoll_region *region, uint32_t index)
{
    return region->number << INDEX_BITS | index;
}

static inline uint32_t *entry_of(const struct knoll_heap *heap, uint32_t number)
{
    return region_entry(region_of_number(heap, number), number & INDEX_MASK);
}

/* The shape of the slab that this unit is in, with SHAPE_SLAB added; less if it is in none. */
#define SHAPE_SLAB ((size_t)RUN_SLAB << (KIND_SHIFT - SHAPE_SHIFT))

static inline size_t region_shape(const struct knoll_region *region, uint32_t index)
{
    if (KNOLL_PROFILE == KNOLL_CLASSIC) /* of the cell eight bits, so that no flipped one leads far from the shapes */
        return (uint8_t)region_entry(region, index)[CELL_SHAPE];
    return *region_entry(region, index & ~(GROUP_UNITS - 1)) >> SHAPE_SHIFT;
}

static inline unsigned char *unit_address(const struct knoll_heap *heap, uint32_t number)
{
    return region_base(region_of_number(heap, number)) + ((size_t)(number & INDEX_MASK) << KNOLL_UNIT_SHIFT);
}

/*@ predicate is_address(integer number) = 0 <= number <= UINTPTR_MAX; */

/*@ assigns \nothing;
    ensures \result == (uintptr_t)((uintptr_t)address - (uintptr_t)region); */
static inline uintptr_t region_offset(const struct knoll_region *region, const void *address)
{
    return (uintptr_t)address - (uintptr_t)region;
}

/*@ requires \valid_read(region);
    requires is_address((uintptr_t)region) && is_address((uintptr_t)address);
    requires (uintptr_t)region + region->count * UNIT <= UINTPTR_MAX + 1;
    assigns \nothing;
    ensures \result <==> (uintptr_t)region <= (uintptr_t)address < (uintptr_t)region + region->count * UNIT; */
static inline bool region_holds(const struct knoll_region *region, const void *address)
{
    return region_offset(region, address) >> KNOLL_UNIT_SHIFT < region->count;
}

/* The region of which a unit holds this address, or NULL: by halving, at most KNOLL_REGION_BITS + 1 steps. */
struct knoll_region *knoll_region_search(const struct knoll_heap *heap, const void *address);

/* The same; one comparison where the block is in the first region. The heap has a region. */
static inline struct knoll_region *region_of_address(const struct knoll_heap *heap, const void *address)
{
    struct knoll_region *first = heap->region[0];
    return region_holds(first, address) ? first : knoll_region_search(heap, address);
}

/* ---- Lists: doubly linked through the cells of FREE runs and of SLABs; a head is a unit number in the heap. `next` is
 * the cell that has the link on, CELL_PREV the one that has the link back; links leave out as many low bits as `shift`
 * says. Nobody asks whether there is a next one, because no processor could foretell that ---- */

static inline uint32_t link_mask(unsigned shift)
{
    return NUMBER_MASK >> shift;
}

static inline uint32_t link_of(uint32_t cell, unsigned shift)
{
    return (cell & link_mask(shift)) << shift;
}

/* Makes the cell link to another unit; what else it says stays. */
static inline void set_link(uint32_t *cell, uint32_t number, unsigned shift)
{
    *cell = (*cell & ~link_mask(shift)) | number >> shift;
}

/* Makes the entry the first of the list. It links back to none already. */
static inline void list_push(struct knoll_heap *heap, uint32_t *head, uint32_t *entry, uint32_t number, unsigned next,
                             unsigned shift)
{
    uint32_t after = *head;
    *head = number;
    set_link(&entry[next], after, shift);
    set_link(&entry_of(heap, after)[CELL_PREV], number, shift);
}

/* Takes the first entry out of the list. It links back to none. */
static inline void list_pop(struct knoll_heap *heap, uint32_t *head, const uint32_t *entry, unsigned next,
                            unsigned shift)
{
    *head = link_of(entry[next], shift);
    set_link(&entry_of(heap, *head)[CELL_PREV], NOWHERE, shift);
}

/* Takes an entry out of the list; whether it was the first. */
static inline bool list_remove(struct knoll_heap *heap, uint32_t *head, const uint32_t *entry, unsigned next,
                               unsigned shift)
{
    uint32_t before = link_of(entry[CELL_PREV], shift);
    uint32_t after = link_of(entry[next], shift);
    set_link(&entry_of(heap, after)[CELL_PREV], before, shift);
    if (before == NOWHERE)
        *head = after;
    else
        set_link(&entry_of(heap, before)[next], after, shift);
    return before == NOWHERE;
}

/* What the tables of a region of so many units need: the bytes before what follows the entries, in compact the room for
 * lists; and how many units all of it. */
size_t knoll_region_lists_at(size_t units);
size_t knoll_region_table_units(size_t units);

/* Makes a region's tables, all of its units NONE. The limits have been tested. */
struct knoll_region *knoll_region_make(struct knoll_heap *heap, void *start, size_t size);

/* The first limit that this span breaks by itself, or KNOLL_OK; reads only the pointers. `least` is the smallest size
 * allowed. */
int knoll_region_limits(const struct knoll_heap *heap, const void *start, size_t size, size_t least);

/* The first limit that it breaks together with what the heap has already, or KNOLL_OK. */
int knoll_region_room(const struct knoll_heap *heap, const void *start, size_t size);

#endif
