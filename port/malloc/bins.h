/* Bins, and the map that tells in which one a block belongs.
 *
 * A bin is a number for each class of slabs, and for each length of run up to BIN_UNITS: what a thread's cache keeps
 * apart. Bin 0 is none.
 *
 * The map has a byte for each granule of 32 bytes of the first region, in which one block at most begins, because none
 * is shorter. A block that begins there, that the heap has handed out, to a program or to a cache, and that was asked
 * for with no more alignment than all blocks have, puts its bin there: twice its bin, and one less if it begins in the
 * granule's second half. All else is 0. So the one byte tells of an address that is freed whether such a block begins
 * there and in which bin it belongs:
 *
 *     region   |   0   |   1   |   2   |   3   |   4   |    granules, and three blocks of 48 bytes
 *              [ block     ][ block    ][ block    ]
 *     map        2 * bin  2*bin-1    0    2 * bin  0
 *
 * At rung 0, where callers are trusted, it is twice the bin in both halves, and which half is not asked.
 *
 * Who has the lock writes a byte when the heap hands the block out, and when the block goes back. In between it does
 * not change, and no other block's byte is the same: so whoever holds the block may read it without the lock.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_BINS_H
#define KNOLL_MALLOC_BINS_H

#include "internal.h"
#include "steps.h"

#include "large.h"
#include "slab.h"

#define BIN_UNITS   32 /* the longest runs that have a bin */
#define BIN_LARGEST (BIN_UNITS * UNIT)
#define BIN_RUNS    (1 + KNOLL_CLASS_COUNT) /* plus the units of a run */
#define BINS        (BIN_RUNS + BIN_UNITS + 1)

/* A place is half a granule; at rung 0 a whole one. */
#define MAP_SHIFT   5
#define PLACE_SHIFT (KNOLL_HARDEN == 0 ? MAP_SHIFT : MAP_SHIFT - 1)
#define PLACES_EACH (1u << (MAP_SHIFT - PLACE_SHIFT))

/* What free reads each time, and nobody writes any more once there is a heap and a cache.
 *
 * It lies at the end of a page of 4 KiB. What lies whole pages from where has just been written the processor takes for
 * that at first, and begins again when it knows better: so it may not lie where in a cache, which begins with a page,
 * the tops of bins are. Where chance had put it loops of bench/malloc took half as long again. */
struct bins {
    _Alignas(PAGE) unsigned char before[PAGE - 4 * sizeof(uint64_t)];
    const struct knoll_region *region; /* the first one, in which nearly all blocks are */
    unsigned char *map;                /* its map, */
    size_t places;                     /* and how many places it covers: 0 before there is one */
    uint64_t secret;                   /* the caches', at rung 1 */
};

_Static_assert(sizeof(struct bins) == PAGE, "the end of a page");

HIDDEN extern struct bins bins;

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

/* The place of this address; what is outside of the region, or no multiple of 16 above rung 0, has one beyond all. */
static inline size_t bins_place(const void *block)
{
    uintptr_t offset = region_offset(bins.region, block);
    return KNOLL_HARDEN == 0 ? offset >> PLACE_SHIFT : rotate_right_address(offset, PLACE_SHIFT);
}

/* What the map says of this place, which it covers. */
static inline size_t bins_at(size_t place)
{
    return PLACES_EACH == 1 ? bins.map[place] : step_look_up(bins.map, place);
}

/* Twice the bin of the block that begins at this address, if the map says so; else 0, or a number that is odd. */
static inline size_t bins_look_up(const void *block)
{
    size_t place = bins_place(block);
    return LIKELY(place < bins.places) ? bins_at(place) : 0;
}

/* ---- With the lock ---- */

/* Makes the map for the first region. */
void bins_begin(const struct knoll_region *region);

/* The bin of a block that the heap has handed out, by the heap's tables; 0 if it has none, or is no such block. */
size_t bins_by_tables(const void *block);

/* Whether it is certain that the block was not asked for with an alignment. */
bool bins_is_plain(const void *block);

/* Writes into the map that a block was handed out; that some were at once that were asked for with this size, to a
 * cache, so the secret, if there is one, is written into them; and that some have been given back. */
void bins_mark(void *block);
void bins_mark_batch(void *const *blocks, size_t count, size_t size);
void bins_unmark(void *const *blocks, size_t count);

/* Gives what backs the map of these bytes, in which no block is, to the kernel. */
void bins_trim(const void *start, const void *end);

#endif
