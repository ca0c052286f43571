/* Blocks that are mapped directly: so large that the kernel should have them back at once, and can move them without
 * copying.
 *
 * They are found in a table with open addressing, itself mapped, twice as large as needed: a block's place is that of
 * its page number's hash, or the next free one. A block that goes leaves no gap: those that follow it and would not be
 * found any more move up (Knuth, The Art of Computer Programming, 6.4, algorithm R).
 *
 * Invariants:
 *   1. The table has a power of two of places, at most half of which are taken.
 *   2. From a block's own place to where it is, every place is taken.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <sys/mman.h>

static struct mapping *table;
static size_t places; /* 0 before the first block */
static size_t taken;
static size_t taken_bytes;

static size_t own_place(const void *block)
{
    return (size_t)(((uintptr_t)block / PAGE * 0x9E3779B97F4A7C15u) >> 32) & (places - 1);
}

static void put(struct mapping mapping)
{
    size_t place = own_place(mapping.block);
    while (table[place].block != NULL) /* at most places / 2 rounds */
        place = (place + 1) & (places - 1);
    table[place] = mapping;
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Makes room for one more. */
static bool reserve(void)
{
    if (2 * (taken + 1) <= places)
        return true;
    size_t old_places = places;
    size_t new_places = places == 0 ? PAGE / sizeof(struct mapping) / 2 * 2 : 2 * places;
    while ((new_places & (new_places - 1)) != 0)
        new_places &= new_places - 1;
    struct mapping *old = table;
    struct mapping *grown = map(new_places * sizeof *grown);
    if (grown == NULL)
        return false;
    table = grown;
    places = new_places;
    for (size_t i = 0; i < old_places; i++)
        if (old[i].block != NULL)
            put(old[i]);
    if (old != NULL)
        munmap(old, old_places * sizeof *old);
    return true;
}

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) & ~(PAGE - 1);
}

void *mapping_make(size_t alignment, size_t size)
{
    size_t usable = whole_pages(size);
    size_t extra = alignment <= PAGE ? 0 : alignment;
    if (usable < size || usable > PTRDIFF_MAX - extra || !reserve())
        return NULL;
    unsigned char *memory = map(usable + extra);
    if (memory == NULL)
        return NULL;
    size_t before = extra == 0 ? 0 : (size_t)(-(uintptr_t)memory & (alignment - 1));
    if (extra > before)
        munmap(memory + before + usable, extra - before);
    put((struct mapping){memory + before, usable, before});
    taken++;
    taken_bytes += usable;
    return memory + before;
}

struct mapping *mapping_find(const void *block)
{
    if (taken == 0 || (uintptr_t)block % PAGE != 0)
        return NULL;
    for (size_t place = own_place(block); table[place].block != NULL; place = (place + 1) & (places - 1))
        if (table[place].block == block)
            return &table[place];
    return NULL;
}

static void remove_from_table(const struct mapping *mapping)
{
    size_t gap = (size_t)(mapping - table);
    taken--;
    taken_bytes -= mapping->size;
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

void mapping_discard(struct mapping *mapping)
{
    unsigned char *start = mapping->block - mapping->before;
    size_t size = mapping->before + mapping->size;
    remove_from_table(mapping);
    munmap(start, size);
}

void *mapping_resize(struct mapping *mapping, size_t size)
{
    size_t usable = whole_pages(size);
    if (usable < size || usable > PTRDIFF_MAX)
        return NULL;
    if (usable == mapping->size)
        return mapping->block;
    struct mapping moved = *mapping;
    void *block = mremap(moved.block, moved.size, usable, MREMAP_MAYMOVE);
    if (block == MAP_FAILED)
        return NULL;
    if (block != moved.block && moved.before != 0) { /* what was before it stays where it was */
        munmap(moved.block - moved.before, moved.before);
        moved.before = 0;
    }
    remove_from_table(mapping);
    moved.block = block;
    moved.size = usable;
    put(moved);
    taken++;
    taken_bytes += usable;
    return block;
}

void mapping_totals(size_t *blocks, size_t *bytes)
{
    *blocks = taken;
    *bytes = taken_bytes;
}
