/* Regions, units and the page map: from an address to what lies there.
 *
 * A region is one span of memory given to the heap. It is cut into units; its tables lie in its first ones:
 *
 *     region                                                              base    base + UNIT
 *     |   entry 0   |  entry of unit 1  |   ...   |  of unit count-1  | slack | map |       unit 1       |  unit 2 ...
 *     |-------------|-------------------|-- ... --|-------------------|-------|-----|--------------------|-------
 *      the region's                                                        1 bit/unit,  handed out from here
 *      own state                                                           growing down
 *
 * Units are numbered such that unit 1 is the first that is handed out. Unit 0 is the last of those that hold tables;
 * its entry is never needed, so it holds what is known of the region instead.
 *
 * The page map is the array of entries. A unit's entry says something only at the edges of a run:
 *
 *     kind    entry of the first unit                    entry of the last unit     entries between
 *     FREE    word: length; next, prev: list links       word: length (compact)     NONE
 *     LARGE   word: length, alignment, looseness                                    NONE
 *     SLAB    word: one bit a block, set while free;     the entry after it holds the rest of the slab's state
 *             next, prev: list links
 *
 * so that taking or giving back a run touches a constant number of entries, however long it is.
 *
 * A unit number names a unit of any region in 30 bits: the region's number, then the unit's index. Index 0 is never a
 * run's, so the number 0 means none; for the same reason a heap of zero bytes is a heap without memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_REGION_H
#define KNOLL_REGION_H

#include "bits.h"
#include "knoll.h"

#define UNIT        ((size_t)1 << KNOLL_UNIT_SHIFT)
#define NUMBER_BITS 30
#define INDEX_BITS  (NUMBER_BITS - KNOLL_REGION_BITS)
#define INDEX_MASK  ((1u << INDEX_BITS) - 1)
#define NUMBER_MASK ((1u << NUMBER_BITS) - 1)
#define NOWHERE     0u /* the unit number of no unit */

/* A slab's state takes two entries. In classic a slab can be one unit long, so each unit has two; in compact it is two
 * units long at least, so one is enough. */
#define ENTRIES_PER_UNIT (KNOLL_UNIT_SHIFT >= 12 ? 2u : 1u)

enum run_kind { RUN_NONE = 0, RUN_FREE = 1, RUN_LARGE = 2, RUN_SLAB = 3 };

/* The word of a run that is no slab: its length in units, and what must be remembered about it. */
#define RUN_LENGTH_MASK     0xffffffffu
#define RUN_ALIGNMENT_SHIFT 32                  /* LARGE: log2 of the alignment that was asked for, 6 bits */
#define RUN_LOOSE           ((uint64_t)1 << 62) /* LARGE: longer than its size asks for, see knoll_realloc */
#define RUN_WAS_BLOCK       ((uint64_t)1 << 63) /* not LARGE: a block that started here has been freed since */

/* A slab's `alignment`: log2 of the greatest alignment that a block of it was asked for with, and this flag. */
#define SLAB_LOOSE          0x80u /* one of its blocks was asked to shrink and could not move, see knoll_realloc */
#define SLAB_ALIGNMENT_MASK 0x3fu

struct knoll_entry {
    union {
        uint64_t word;
        uint64_t all;        /* in a slab's second entry: the word when no block is held, one bit a block */
        unsigned char *base; /* in entry 0: the address of unit 0 */
    };
    union {
        uint32_t next;  /* unit number, in FREE and SLAB */
        uint32_t count; /* in entry 0: units, unit 0 included; indices are less */
        struct {        /* in a slab's second entry */
            uint8_t size_class;
            uint8_t capacity; /* blocks; word has no bits set at or above it */
            uint8_t touched;  /* the first `touched` blocks have been handed out at least once */
            uint8_t alignment;
        } slab;
    };
    /* enum run_kind in the top two bits. Below: a unit number; in a slab's second entry the slab's length; in entry 0,
     * which is of kind NONE, the region's number. */
    uint32_t kind_prev;
};

struct knoll_region {
    struct knoll_entry own; /* entry 0; the others follow */
};

static inline enum run_kind entry_kind(const struct knoll_entry *entry)
{
    return (enum run_kind)(entry->kind_prev >> NUMBER_BITS);
}

static inline uint32_t entry_prev(const struct knoll_entry *entry)
{
    return entry->kind_prev & NUMBER_MASK;
}

static inline void entry_set(struct knoll_entry *entry, enum run_kind kind, uint32_t prev)
{
    entry->kind_prev = (uint32_t)kind << NUMBER_BITS | prev;
}

static inline uint32_t entry_length(const struct knoll_entry *entry)
{
    return (uint32_t)(entry->word & RUN_LENGTH_MASK);
}

static inline struct knoll_region *region_of_number(const struct knoll_heap *heap, uint32_t number)
{
    return heap->region[number >> INDEX_BITS];
}

static inline struct knoll_entry *region_entry(struct knoll_region *region, uint32_t index)
{
    size_t offset = (size_t)index * ENTRIES_PER_UNIT * sizeof(struct knoll_entry);
    return (struct knoll_entry *)((uintptr_t)region + offset); /* the table is larger than its type */
}

static inline uint32_t region_unit_number(const struct knoll_region *region, uint32_t index)
{
    return region->own.kind_prev << INDEX_BITS | index;
}

static inline struct knoll_entry *entry_of(const struct knoll_heap *heap, uint32_t number)
{
    return region_entry(region_of_number(heap, number), number & INDEX_MASK);
}

/* The word of the slab map that has the bit of this unit: set just if the unit is the first of a slab. The words lie
 * before unit 1 and go downwards, so that the first one's place does not depend on how many there are. */
static inline uint64_t *region_slab_map(const struct knoll_region *region, uint32_t index)
{
    return (uint64_t *)((uintptr_t)region->own.base + UNIT) - 1 - (index >> 6);
}

static inline unsigned char *unit_address(const struct knoll_heap *heap, uint32_t number)
{
    return region_of_number(heap, number)->own.base + ((size_t)(number & INDEX_MASK) << KNOLL_UNIT_SHIFT);
}

static inline uintptr_t region_offset(const struct knoll_region *region, const void *address)
{
    return (uintptr_t)address - (uintptr_t)region->own.base;
}

static inline bool region_holds(const struct knoll_region *region, const void *address)
{
    return region_offset(region, address) >> KNOLL_UNIT_SHIFT < region->own.count;
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

/* ---- Lists: doubly linked through the entries of FREE runs and of SLABs; a head is a unit number in the heap ---- */

static inline void list_push(struct knoll_heap *heap, uint32_t *head, struct knoll_entry *entry, uint32_t number,
                             enum run_kind kind)
{
    uint32_t next = *head;
    entry->next = next;
    entry_set(entry, kind, NOWHERE);
    if (next != NOWHERE)
        entry_set(entry_of(heap, next), kind, number);
    *head = number;
}

/* Takes the first entry, this one, out. */
static inline void list_pop(struct knoll_heap *heap, uint32_t *head, const struct knoll_entry *entry,
                            enum run_kind kind)
{
    *head = entry->next;
    if (entry->next != NOWHERE)
        entry_set(entry_of(heap, entry->next), kind, NOWHERE);
}

static inline void list_remove(struct knoll_heap *heap, uint32_t *head, struct knoll_entry *entry, enum run_kind kind)
{
    uint32_t next = entry->next;
    uint32_t prev = entry_prev(entry);
    if (next != NOWHERE)
        entry_set(entry_of(heap, next), kind, prev);
    if (prev != NOWHERE)
        entry_of(heap, prev)->next = next;
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
