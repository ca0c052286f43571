/* The table of the blocks that are mapped directly, by the address that the program knows them by.
 *
 * It has open addressing, is itself mapped, and twice as large as needed: a block's place is that of its page number's
 * hash, or the next free one. A block that goes leaves no gap: those that follow it and would not be found any more
 * move up (Knuth, The Art of Computer Programming, 6.4, algorithm R).
 *
 * Invariants:
 *   1. The table has a power of two of places, at most half of which are taken.
 *   2. From a block's own place to where it is, every place is taken.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

static struct mapping *table;
static size_t places; /* 0 before the first block */
static size_t taken;

static size_t own_place(const void *block)
{
    return (size_t)(((uintptr_t)block / PAGE * 0x9E3779B97F4A7C15u) >> 32) & (places - 1);
}

void mapping_table_put(struct mapping mapping)
{
    size_t place = own_place(mapping.block);
    while (table[place].block != NULL) /* at most places / 2 rounds */
        place = (place + 1) & (places - 1);
    table[place] = mapping;
    taken++;
}

bool mapping_table_reserve(void)
{
    if (2 * (taken + 1) <= places)
        return true;
    size_t old_places = places;
    size_t new_places = places == 0 ? PAGE / sizeof(struct mapping) / 2 * 2 : 2 * places;
    while ((new_places & (new_places - 1)) != 0)
        new_places &= new_places - 1;
    struct mapping *old = table;
    struct mapping *grown = pages_map(new_places * sizeof *grown);
    if (grown == NULL)
        return false;
    table = grown;
    places = new_places;
    taken = 0;
    for (size_t i = 0; i < old_places; i++)
        if (old[i].block != NULL)
            mapping_table_put(old[i]);
    if (old != NULL)
        pages_unmap(old, old_places * sizeof *old);
    return true;
}

struct mapping *mapping_table_find(const void *block)
{
    if (taken == 0)
        return NULL;
    for (size_t place = own_place(block); table[place].block != NULL; place = (place + 1) & (places - 1))
        if (table[place].block == block)
            return &table[place];
    return NULL;
}

void mapping_table_remove(const struct mapping *mapping)
{
    size_t gap = (size_t)(mapping - table);
    taken--;
    for (size_t place = gap;;) {
        place = (place + 1) & (places - 1);
        if (table[place].block == NULL)
            break;
        size_t own = own_place(table[place].block);
        if (((place - own) & (places - 1)) >= ((place - gap) & (places - 1))) { /* the gap is on its way */
            table[gap] = table[place];
            gap = place;
        }
    }
    table[gap].block = NULL;
}

struct mapping *mapping_table_next(const struct mapping *mapping)
{
    size_t place = mapping == NULL ? 0 : (size_t)(mapping - table) + 1;
    while (place < places && table[place].block == NULL)
        place++;
    return place < places ? &table[place] : NULL;
}

const struct mapping *mapping_around(const void *address)
{
    for (const struct mapping *mapping = NULL; (mapping = mapping_table_next(mapping)) != NULL;)
        if ((uintptr_t)address >= (uintptr_t)mapping_start(mapping) &&
            (uintptr_t)address < (uintptr_t)mapping_end(mapping))
            return mapping;
    return NULL;
}
