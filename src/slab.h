/* Slabs: blocks of up to 4096 bytes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_H
#define KNOLL_SLAB_H

#include "classes.h"

/* Where a block of a slab lies. */
struct slab_place {
    struct knoll_entry *slab; /* its first entry; the second holds class, capacity and so on */
    uint32_t number;          /* its first unit */
    uint32_t index;           /* of the block in the slab */
};

static inline const struct knoll_class *slab_class(const struct knoll_entry *slab)
{
    return &knoll_classes[slab[1].slab.size_class];
}

/* Whether no block of the slab is held. */
static inline bool slab_is_empty(const struct knoll_entry *slab)
{
    return slab->word == slab[1].all;
}

static inline uint32_t slab_length(const struct knoll_entry *slab)
{
    return slab[1].kind_prev;
}

/* Finds the slab of which a block starts at this address of the region, held or not; false if there is none. */
static inline bool slab_find(struct knoll_region *region, const void *address, struct slab_place *place)
{
    uintptr_t offset = region_offset(region, address);
    uint32_t first = region_slab_before(region, (uint32_t)(offset >> KNOLL_UNIT_SHIFT));
    if (first == NOWHERE)
        return false;
    place->slab = region_entry(region, first);
    place->number = region_unit_number(region, first);
    /* The offset in the slab is small, whatever the offset in the region: its low 32 bits suffice. */
    place->index = class_block_at(slab_class(place->slab), (uint32_t)offset - (first << KNOLL_UNIT_SHIFT));
    return place->index < place->slab[1].slab.capacity;
}

static inline bool slab_holds_free(const struct slab_place *place)
{
    return (place->slab->word >> place->index & 1) != 0;
}

/* Adds a slab to a class that has no free block; false if memory does not suffice. */
bool knoll_slab_grow(struct knoll_heap *heap, unsigned size_class);

/* Makes this slab, of which no block is held any more, the one kept in hand. */
void knoll_slab_keep(struct knoll_heap *heap, uint32_t number);

/* Takes a block of this class, growing it by a slab if need be; NULL if memory does not suffice. */
static inline void *slab_take(struct knoll_heap *heap, unsigned size_class)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    if (state->partial == NOWHERE && !knoll_slab_grow(heap, size_class))
        return NULL;

    uint32_t number = state->partial;
    struct knoll_entry *slab = entry_of(heap, number);
    unsigned index = bits_lowest(slab->word);
    slab->word &= slab->word - 1;
    if (slab->word == 0)
        list_pop(heap, &state->partial, slab, RUN_SLAB);
    if (index >= slab[1].slab.touched)
        slab[1].slab.touched = (uint8_t)(index + 1);
    state->used++;
    return unit_address(heap, number) + (size_t)index * knoll_classes[size_class].size;
}

/* Gives back a block that a caller holds. */
static inline void slab_give(struct knoll_heap *heap, const struct slab_place *place)
{
    struct knoll_entry *slab = place->slab;
    struct knoll_class_state *state = &heap->size_class[slab[1].slab.size_class];
    if (slab->word == 0)
        list_push(heap, &state->partial, slab, place->number, RUN_SLAB);
    slab->word |= bit(place->index);
    state->used--;
    if (slab_is_empty(slab))
        knoll_slab_keep(heap, place->number);
}

/* Takes a run as knoll_pages_take does, giving back the slab kept in hand rather than failing. */
uint32_t knoll_slab_take_run(struct knoll_heap *heap, uint32_t length, uint32_t alignment);

/* Whether the slab kept in hand is empty, so that it would be given back rather than fail a request. */
bool knoll_slab_spare_is_empty(const struct knoll_heap *heap);

#endif
