/* Bins, and the map that tells in which one a block belongs.
 *
 * A bin is a number for each class of slabs, and for each length of run up to BIN_UNITS: what a thread's cache keeps
 * apart. Bin 0 is none.
 *
 * The map has a byte for each granule of 32 bytes of the first region, in which one block at most begins, because none
 * is shorter. A block that begins there, that the heap has handed out, to a program or to a cache, and that was asked
 * for with no more alignment than all blocks have, puts its bin there: twice its bin, and one more if it begins in the
 * granule's second half. All else is 0. So the one byte tells of an address that is freed whether such a block begins
 * there and in which bin it belongs:
 *
 *     region   |   0   |   1   |   2   |   3   |   4   |    granules, and three blocks of 48 bytes
 *              [ block     ][ block    ][ block    ]
 *     map        2 * bin  2*bin+1    0    2 * bin  0
 *
 * Who has the lock writes a byte when the heap hands the block out, and when the block goes back. In between it does
 * not change, and no other block's byte is the same: so whoever holds the block may read it without the lock.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_BINS_H
#define KNOLL_MALLOC_BINS_H

#include "internal.h"

#include "large.h"
#include "slab.h"

#define BIN_UNITS   32 /* the longest runs that have a bin */
#define BIN_LARGEST (BIN_UNITS * UNIT)
#define BIN_RUNS    (1 + KNOLL_CLASS_COUNT) /* plus the units of a run */
#define BINS        (BIN_RUNS + BIN_UNITS + 1)

/* The map of a region, and how many places of 16 bytes it covers: all 0 before there is one, and set once. */
struct bin_map {
    const struct knoll_region *region;
    unsigned char *bytes;
    size_t places;
};

HIDDEN extern struct bin_map bin_map;

/* The bin that serves a request of up to BIN_LARGEST bytes. */
static inline size_t bin_for_size(size_t size)
{
    if (LIKELY(size <= KNOLL_SLAB_MAXIMUM))
        return 1 + class_for_size(size);
    return BIN_RUNS + ((size + UNIT - 1) >> KNOLL_UNIT_SHIFT);
}

static inline size_t bin_bytes(size_t bin)
{
    return bin < BIN_RUNS ? class_size(bin - 1) : (bin - BIN_RUNS) * UNIT;
}

/* The place of 16 bytes at this address; what is no multiple of 16, or outside of the region, has one beyond all. */
static inline size_t bins_place(const struct bin_map *map, const void *block)
{
    uintptr_t offset = region_offset(map->region, block);
    return offset >> 4 | offset << (8 * sizeof offset - 4);
}

/* Twice the bin of the block that begins at this address, if the map says so; else 0, or a number that is odd. */
static inline size_t bins_look_up(const struct bin_map *map, const void *block)
{
    size_t place = bins_place(map, block);
    return LIKELY(place < map->places) ? map->bytes[place / 2] ^ (place & 1) : 0;
}

/* ---- With the lock ---- */

/* Makes the map for the first region, in which nearly all blocks are. */
void bins_begin(const struct knoll_region *region);

/* The bin of a block that the heap has handed out, by the heap's tables; 0 if it has none, or is no such block. */
size_t bins_by_tables(const void *block);

/* Whether it is certain that the block was not asked for with an alignment. */
bool bins_is_plain(const void *block);

/* Writes into the map that a block was handed out, that some were that were asked for with this size at once, and that
 * some have been given back. */
void bins_mark(void *block);
void bins_mark_batch(void *const *blocks, size_t count, size_t size);
void bins_unmark(void *const *blocks, size_t count);

/* Gives what backs the map of these bytes, in which no block is, to the kernel. */
void bins_trim(const void *start, const void *end);

#endif
