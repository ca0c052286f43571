/* The map of bins: written as blocks are handed out and given back.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bins.h"

#include <sys/mman.h>

struct bins bins;

/* Without memory for a map, or where there are no caches, every block goes to the heap. */
void bins_begin(const struct knoll_region *region)
{
    size_t bytes = ((size_t)region->count << KNOLL_UNIT_SHIFT) >> MAP_SHIFT;
    void *map = HAS_CACHES
                    ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                    : MAP_FAILED;
    if (map == MAP_FAILED)
        return;
    if (!options.huge_pages)
        madvise(map, bytes, MADV_NOHUGEPAGE);
    bins.region = region;
    bins.map = map;
    bins.places = bytes * PLACES_EACH;
}

static const uint32_t *run_at(const void *block)
{
    return region_entry(bins.region, (uint32_t)(region_offset(bins.region, block) >> KNOLL_UNIT_SHIFT));
}

/* Whether the run that begins here, if one does, was asked for as a run, with no alignment. */
static bool is_plain_run(const void *block)
{
    return large_starts(bins.region, block) && *run_at(block) == cell_of(RUN_LARGE, 0);
}

size_t bins_by_tables(const void *block)
{
    struct slab_place place;
    if (bins_place(block) >= bins.places)
        return 0;
    if (slab_find(bins.region, block, &place))
        return slab_holds(&place) ? 1u + place.shape->size_class : 0;
    return is_plain_run(block) && large_length(run_at(block)) <= BIN_UNITS ? BIN_RUNS + large_length(run_at(block)) : 0;
}

bool bins_is_plain(const void *block)
{
    struct slab_place place;
    if (bins_place(block) >= bins.places)
        return false;
    if (slab_find(bins.region, block, &place))
        return slab_alignment(place.slab) <= ALIGNMENT;
    return is_plain_run(block);
}

void bins_mark(void *block)
{
    size_t bin = bins_by_tables(block);
    if (bin != 0)
        bins.map[bins_place(block) / PLACES_EACH] = (unsigned char)(2 * bin - bins_place(block) % PLACES_EACH);
}

/* Writes this bin for those of the blocks that are in the region, and the secret into all. Some may begin in the second
 * half of a granule just if their size is no multiple of one. */
static inline void mark_each(void *const *blocks, size_t count, size_t bin, bool has_halves)
{
    unsigned char *map = bins.map; /* which a byte that is written may be, for all that the compiler knows */
    const size_t granules = bins.places / PLACES_EACH;
    const uint64_t secret = bins.secret;
    const struct knoll_region *region = bins.region;
#pragma GCC unroll 4
    for (size_t i = 0; i < count; i++) {
        size_t place = region_offset(region, blocks[i]) >> PLACE_SHIFT;
        size_t granule = place / PLACES_EACH;
        if (HAS_SECRETS)
            ((uint64_t *)blocks[i])[1] = secret;
        if (LIKELY(granule < granules))
            map[granule] = (unsigned char)(2 * bin - (has_halves ? place % PLACES_EACH : 0));
    }
}

static void mark_cached(void *const *blocks, size_t count, size_t bin)
{
    if (bin_bytes(bin) % (1u << MAP_SHIFT) == 0)
        mark_each(blocks, count, bin, false);
    else
        mark_each(blocks, count, bin, true);
}

/* Whether this block, which was just taken, is of the region, and of the class that has this bin. */
static bool is_of_bin(const void *block, size_t bin)
{
    size_t place = bins_place(block);
    return place < bins.places &&
           region_shape(bins.region, (uint32_t)(place >> (KNOLL_UNIT_SHIFT - PLACE_SHIFT))) == SHAPE_SLAB + bin - 1;
}

/* Where a class has no more blocks others serve, and do to the end: if the last block is of the class, all are. */
void bins_mark_batch(void *const *blocks, size_t count, size_t size)
{
    size_t bin = bin_for_size(size);
    if (bin < BIN_RUNS && is_of_bin(blocks[count - 1], bin)) {
        mark_cached(blocks, count, bin);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        bins_mark(blocks[i]);
        if (HAS_SECRETS)
            ((uint64_t *)blocks[i])[1] = bins.secret;
    }
}

void bins_unmark(void *const *blocks, size_t count)
{
    unsigned char *map = bins.map;
    const size_t granules = bins.places / PLACES_EACH;
    const struct knoll_region *region = bins.region;
#pragma GCC unroll 4
    for (size_t i = 0; i < count; i++) {
        size_t granule = region_offset(region, blocks[i]) >> MAP_SHIFT;
        if (LIKELY(granule < granules))
            map[granule] = 0;
    }
}

void bins_trim(const void *start, const void *end)
{
    if (bins_place(start) >= bins.places)
        return;
    uintptr_t first = (uintptr_t)bins.map + bins_place(start) / PLACES_EACH;
    uintptr_t last = first + (uintptr_t)((const char *)end - (const char *)start) / (1u << MAP_SHIFT);
    first = (first + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    last &= ~(uintptr_t)(PAGE - 1);
    if (first < last)
        madvise((void *)first, last - first, MADV_DONTNEED); /* NOLINT(performance-no-int-to-ptr) */
}
