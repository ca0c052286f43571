/* The tables of knoll lean: what a region says of each of its units.
 *
 *     region
 *     | entry 0: the region | entry 1 ... | slack | first unit | ...
 *
 * An entry is four words. A word has a bit for each of the smallest blocks that a unit can hold, and a unit is as many
 * of those: so KNOLL_LEAN_UNIT is 2^TABLE_SHIFT entries long on 32 and on 64 bits alike, and one shift leads from a
 * unit to its entry or back. Unit 0 is in the tables always; its entry is the region's own.
 *
 * The blocks of list k are 2^k of the smallest ones. Below WORD_SHIFT they come from slabs, of one unit each; from
 * there on they are runs, of 2^(k - WORD_SHIFT) units, and start at multiples of their length, counted from address 0.
 *
 * Invariants:
 *   1. Every region is a multiple of units at a multiple of one, shorter than the longest run twice.
 *   2. From a region's first unit on there follow one another: slabs, held runs, free runs, and the spare unit.
 *   3. Just the first unit of a run is HELD or FREE, and so is a slab. Inside of runs a unit may still say FREE, which
 *      nobody asks, but never HELD, because that a caller may ask.
 *   4. A run starts at a multiple of its length. No two free buddies lie side by side.
 *   5. The free blocks of a slab are blocks of its list, and not all of them: or it would be none.
 *   6. A list has just the slabs that have a free block, or the free runs, that say so; links go both ways.
 *   7. `used` is the sum of what is held.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LEAN_TABLES_H
#define KNOLL_LEAN_TABLES_H

#include "knoll_lean.h"

#include <stdbool.h>

#define LISTS       KNOLL_LEAN_LISTS
#define UNIT        KNOLL_LEAN_UNIT
#define WORD_BITS   (8 * sizeof(uintptr_t))
#define WORD_SHIFT  ((size_t)(sizeof(uintptr_t) == 8 ? 6 : 5)) /* the first list of runs */
#define TABLE_SHIFT (KNOLL_LEAN_SHIFT + 1)

/* What a unit says, with its list added; as numbers that take few bytes of code. */
#define NOTHING ((uintptr_t)0)
#define HELD    ((uintptr_t)1)
#define FREE    ((uintptr_t)0 - 32)

struct knoll_lean_unit {
    struct knoll_lean_link link; /* in a list; of unit 0, `next` leads to the region that was added before */
    uintptr_t word;              /* of a slab, a bit for each free block; of unit 0, the region's bytes */
    uintptr_t state;
};

_Static_assert(sizeof(uintptr_t) == 8 || sizeof(uintptr_t) == 4, "a word has 64 bits or 32");
_Static_assert(UNIT >> TABLE_SHIFT == sizeof(struct knoll_lean_unit), "one shift leads from a unit to its entry");
_Static_assert(KNOLL_LEAN_SHIFT + LISTS <= WORD_BITS, "the longest block's size must be a number");
_Static_assert(LISTS <= 32, "what is FREE and what is HELD must differ");

static inline size_t block_size(size_t list)
{
    return (size_t)1 << KNOLL_LEAN_SHIFT << list;
}

/* The list that a unit which is HELD says; of others no list, but a greater number. */
static inline size_t list_held(const struct knoll_lean_unit *unit)
{
    return unit->state - HELD;
}

/* The bits of all blocks of a slab of this list: every 2^list-th one. */
static inline uintptr_t all_blocks(size_t list)
{
    uintptr_t all = 1;
    for (size_t apart = block_size(list) >> KNOLL_LEAN_SHIFT; apart < WORD_BITS;
         apart *= 2) /* at most WORD_SHIFT rounds */
        all |= all << apart;
    return all;
}

/* Whether these bits are those. They are if to multiply them by 2^apart - 1 gives all ones, and no others, because to
 * multiply by an odd number is one to one modulo a power of two. */
static inline bool are_all(uintptr_t blocks, size_t list)
{
    size_t apart = (size_t)1 << list;
    return (blocks << apart) - blocks == UINTPTR_MAX;
}

/* Of the slab that this address is in, the bit of the smallest block that it is in. */
static inline uintptr_t bit_of(uintptr_t address)
{
    return (uintptr_t)1 << (address >> KNOLL_LEAN_SHIFT) % WORD_BITS;
}

/* Whether a region of this size is twice as long as the longest run, or more: then one could be longer. */
static inline bool is_too_long(size_t size)
{
    return size >> KNOLL_LEAN_SHIFT >> (LISTS - 1) >> 1 != 0;
}

/* The unit that has this link, its first member; NULL for NULL. */
static inline struct knoll_lean_unit *unit_of(struct knoll_lean_link *link)
{
    return (struct knoll_lean_unit *)(void *)link;
}

/* The region that was added before this one, or NULL. */
static inline struct knoll_lean_unit *region_before(const struct knoll_lean_unit *region)
{
    return unit_of(region->link.next);
}

static inline size_t region_bytes(const struct knoll_lean_unit *region)
{
    return region->word;
}

/* The bytes that are tables in a region of this size. */
static inline size_t table_bytes(size_t size)
{
    return ((size >> TABLE_SHIFT) + UNIT - 1) & ~(UNIT - 1);
}

/* The unit that this address of the region is in. */
static inline struct knoll_lean_unit *unit_at(struct knoll_lean_unit *region, uintptr_t address)
{
    return region + (address - (uintptr_t)region) / UNIT;
}

/* The unit so many bytes after this one; they are a multiple of UNIT. */
static inline struct knoll_lean_unit *unit_after(struct knoll_lean_unit *unit, size_t bytes)
{
    return (struct knoll_lean_unit *)((uintptr_t)unit + (bytes >> TABLE_SHIFT));
}

static inline uintptr_t address_of(const struct knoll_lean_unit *region, const struct knoll_lean_unit *unit)
{
    return (uintptr_t)region + (((uintptr_t)unit - (uintptr_t)region) << TABLE_SHIFT);
}

#endif
