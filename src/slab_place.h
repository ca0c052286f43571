/* Where a block of a slab lies: from an address to the slab and the block there, and what the slab's entry says of it.
 *
 * A slab's notes are what is said of it besides its shape:
 *
 *     bits     25       26       27 to 29 (30 in classic)
 *              known    loose    log2 alignment, less 4
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_PLACE_H
#define KNOLL_SLAB_PLACE_H

#include "classes.h"

#define SLAB_KNOWN           (1u << NOTES_SHIFT) /* free blocks are looked for in it: it is current, or listed */
#define SLAB_LOOSE           (1u << (NOTES_SHIFT + 1)) /* one of its blocks was asked for as another size, see knoll_realloc */
#define SLAB_ALIGNMENT_SHIFT (NOTES_SHIFT + 2)         /* the greatest that one of its blocks was asked for with */
#define SLAB_ALIGNMENT_MASK  ((KNOLL_PROFILE == KNOLL_CLASSIC ? 15u : 7u) << SLAB_ALIGNMENT_SHIFT)

/* Where a block of a slab lies. */
struct slab_place {
    uint32_t *slab;                  /* its first entry */
    const struct knoll_shape *shape; /* of the slab; NULL if there is none */
    uint32_t number;                 /* its first unit */
    uint32_t index;                  /* of the block in the slab: no block's, where none starts */
};

/* The slab's word: one bit a block, set while a caller holds it. */
static inline uint64_t slab_held(const uint32_t *slab)
{
    uint64_t word;
    __builtin_memcpy(&word, &slab[CELL_WORD], sizeof word);
    return word;
}

static inline void slab_set_held(uint32_t *slab, uint64_t word)
{
    __builtin_memcpy(&slab[CELL_WORD], &word, sizeof word);
}

/* The blocks of a slab of this shape that no caller holds. */
static inline uint64_t slab_free(const uint32_t *slab, const struct knoll_shape *shape)
{
    return shape->blocks & ~slab_held(slab);
}

/* Its shape, with SHAPE_SLAB added; less, if this is the entry of a unit that is no slab's first. */
static inline size_t slab_says(const uint32_t *slab)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? (uint8_t)slab[CELL_SHAPE] : slab[CELL_SHAPE] >> SHAPE_SHIFT;
}

static inline size_t slab_class(const uint32_t *slab)
{
    return slab_says(slab) - SHAPE_SLAB;
}

/* The greatest alignment that one of the slab's blocks was asked for with. */
static inline size_t slab_alignment(const uint32_t *slab)
{
    return (size_t)BLOCK_ALIGNMENT << ((slab[CELL_NOTES] & SLAB_ALIGNMENT_MASK) >> SLAB_ALIGNMENT_SHIFT);
}

static inline const struct knoll_shape *slab_shape(const struct knoll_heap *heap, uint32_t number)
{
    return shape_of(region_shape(region_of_number(heap, number), number & INDEX_MASK));
}

/* Finds the slab of this region that the address is in; false if it is in none. */
static inline bool slab_find(const struct knoll_region *region, const void *address, struct slab_place *place)
{
    uintptr_t offset = region_offset(region, address);
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    size_t shape = region_shape(region, unit);
    if (shape < SHAPE_SLAB)
        return false;
    place->shape = shape_of(shape);
    uint32_t within = (uint32_t)(uintptr_t)address & shape_low(place->shape);
    if (KNOLL_PROFILE != KNOLL_CLASSIC)
        unit -= within >> KNOLL_UNIT_SHIFT;
    place->slab =
        KNOLL_PROFILE == KNOLL_CLASSIC ? region_entry(region, unit) : region_entry_at(region, offset - within);
    place->number = region_unit_number(region, unit);
    place->index = shape_block_at(place->shape, within);
    return true;
}

/* Whether a block starts at this place and is held. */
static inline bool slab_holds(const struct slab_place *place)
{
    return bit_is_set(slab_held(place->slab), place->index);
}

/* Whether the block at this place may be given back: at rung 0 of hardening callers are trusted with that. */
static inline bool slab_may_give(const struct slab_place *place)
{
    return KNOLL_HARDEN == 0 || slab_holds(place);
}

/* Finds the block of a heap's first region, whose number is 0, that starts at this address and may be given back, and
 * the state of its class, which is already given if a shape is: then only blocks of that are looked for, and nothing
 * waits for what the tables say. False if there is none. Then place->number is the unit that the address lies in, if
 * that is no slab's; a slab's first unit; or NOWHERE. */
static inline bool slab_find_block(struct knoll_heap *heap, const void *address, struct slab_place *place,
                                   struct knoll_class_state **state, size_t given)
{
    const struct knoll_region *region = heap->region[0];
#if KNOLL_PROFILE == KNOLL_CLASSIC
    /* One rotation parts the address: what is no multiple of 64 bytes becomes a unit beyond every region. */
    uintptr_t turned = rotate_right_address(region_offset(region, address), INDEX_SHIFT);
    uintptr_t unit = turned >> (KNOLL_UNIT_SHIFT - INDEX_SHIFT);
    place->number = NOWHERE;
    if (unit >= region->count)
        return false;
    size_t shape = region_shape(region, (uint32_t)unit);
    place->number = (uint32_t)unit;
    place->index = (uint32_t)turned & 63;
    place->slab = region_entry(region, (uint32_t)unit);
    place->shape = shape_of(shape);
    if (given != 0 && shape != given)
        return false;
    if (KNOLL_HARDEN == 0 ? shape < SHAPE_SLAB : !slab_holds(place))
        return false;
    if (given == 0)
        *state = class_state(heap, shape - SHAPE_SLAB);
    return true;
#else
    place->number = NOWHERE;
    if (!region_holds(region, address))
        return false;
    uintptr_t offset = region_offset(region, address);
    uint32_t unit = (uint32_t)(offset >> KNOLL_UNIT_SHIFT);
    size_t shape = region_shape(region, unit);
    place->number = unit;
    if (given == 0 ? shape < SHAPE_SLAB : shape != given)
        return false;
    if (given == 0)
        *state = class_state(heap, shape - SHAPE_SLAB);
    uint32_t within = (uint32_t)(uintptr_t)address & (*state)->low;
    place->number = unit - (within >> KNOLL_UNIT_SHIFT);
    place->index = rotate_right(within * (*state)->inverse, (*state)->rotate);
    place->slab = region_entry_at(region, offset - within);
    place->shape = shape_of(shape);
    return slab_may_give(place);
#endif
}

/* Whether the block at this place has ever been handed out. */
static inline bool slab_has_touched(const struct knoll_heap *heap, const struct slab_place *place)
{
    const struct knoll_class_state *state = &heap->size_class[place->shape->size_class];
    return place->slab != state->current || !state->is_new || !bit_is_set(state->at_hand, place->index);
}

#endif
