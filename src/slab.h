/* Slabs: blocks of up to KNOLL_SLAB_MAXIMUM bytes.
 *
 * A slab's attributes are one cell; a tiny slab has none, because all tiny slabs have the same.
 *
 *     bits     0 to 4    5 to 11     12 to 15          16       24 to 29      30, 31
 *              class     capacity    log2 alignment    loose    length - 1    none: the cell's kind
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_H
#define KNOLL_SLAB_H

#include "classes.h"

#define SLAB_CAPACITY_SHIFT  5
#define SLAB_ALIGNMENT_SHIFT 12 /* log2 of the greatest alignment that one of its blocks was asked for with */
#define SLAB_LENGTH_SHIFT    24
#define SLAB_LOOSE           (1u << 16) /* one of its blocks was asked for as another size, see knoll_realloc */

/* A tiny slab, in compact, is four units with 64 blocks of the smallest class. */
#define TINY_LENGTH     4u
#define TINY_ATTRIBUTES slab_attributes_of(0, 64, TINY_LENGTH)

static inline uint32_t slab_attributes_of(unsigned size_class, unsigned capacity, uint32_t length)
{
    return size_class | capacity << SLAB_CAPACITY_SHIFT | (length - 1) << SLAB_LENGTH_SHIFT;
}

/* Where a block of a slab lies. */
struct slab_place {
    uint32_t *slab;      /* its first cell */
    uint32_t number;     /* its first unit */
    uint32_t index;      /* of the block in the slab */
    uint32_t attributes; /* of the slab */
};

static inline bool slab_is_tiny(const uint32_t *slab)
{
    return KNOLL_PROFILE == KNOLL_COMPACT && (slab[CELL_NEXT] & SLAB_TINY) != 0;
}

static inline uint32_t slab_attributes(const uint32_t *slab)
{
    return slab_is_tiny(slab) ? TINY_ATTRIBUTES : slab[CELL_ATTRIBUTES];
}

static inline unsigned attributes_class(uint32_t attributes)
{
    return attributes & 31;
}

static inline unsigned attributes_capacity(uint32_t attributes)
{
    return attributes >> SLAB_CAPACITY_SHIFT & 127;
}

static inline uint32_t attributes_length(uint32_t attributes)
{
    return (attributes >> SLAB_LENGTH_SHIFT & 63) + 1;
}

static inline size_t attributes_alignment(uint32_t attributes)
{
    return (size_t)1 << (attributes >> SLAB_ALIGNMENT_SHIFT & 15);
}

/* One bit a block, set while it is free. */
static inline uint64_t slab_word(const uint32_t *slab)
{
    return slab[CELL_WORD] | (uint64_t)slab[CELL_WORD + 1] << 32;
}

static inline void slab_set_word(uint32_t *slab, uint64_t word)
{
    slab[CELL_WORD] = (uint32_t)word;
    slab[CELL_WORD + 1] = (uint32_t)(word >> 32);
}

static inline const struct knoll_class *slab_class(const uint32_t *slab)
{
    return &knoll_classes[attributes_class(slab_attributes(slab))];
}

/* The word of a slab of which no block is held. */
static inline uint64_t attributes_all_free(uint32_t attributes)
{
    return ~(uint64_t)0 >> (64 - attributes_capacity(attributes)); /* a slab has a block at least */
}

/* Whether no block of the slab is held. */
static inline bool slab_is_empty(const uint32_t *slab)
{
    return slab_word(slab) == attributes_all_free(slab_attributes(slab));
}

static inline uint32_t slab_length(const uint32_t *slab)
{
    return attributes_length(slab_attributes(slab));
}

/* Finds the slab of which a block starts at this address of the region, held or not; false if there is none. */
static inline bool slab_find(const struct knoll_region *region, const void *address, struct slab_place *place)
{
    uintptr_t offset = region_offset(region, address);
    uint32_t first = region_slab_before(region, (uint32_t)(offset >> KNOLL_UNIT_SHIFT));
    if (first == NOWHERE)
        return false;
    place->slab = region_entry(region, first);
    place->number = region_unit_number(region, first);
    place->attributes = slab_attributes(place->slab);
    /* The offset in the slab is small, whatever the offset in the region: its low 32 bits suffice. */
    place->index = class_block_at(&knoll_classes[attributes_class(place->attributes)],
                                  (uint32_t)offset - (first << KNOLL_UNIT_SHIFT));
    return place->index < attributes_capacity(place->attributes);
}

static inline bool slab_holds_free(const struct slab_place *place)
{
    return (slab_word(place->slab) >> place->index & 1) != 0;
}

/* Whether the block at this place has ever been handed out. */
static inline bool slab_has_touched(const struct knoll_heap *heap, const struct slab_place *place)
{
    const struct knoll_class_state *state = &heap->size_class[attributes_class(place->attributes)];
    return place->number != state->newest || place->index < state->touched;
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
    uint32_t *slab = entry_of(heap, number);
    uint64_t word = slab_word(slab);
    unsigned index = bits_lowest(word);
    word &= word - 1;
    slab_set_word(slab, word);
    if (word == 0)
        list_remove(heap, &state->partial, slab, CELL_SLAB_PREV);
    if (number == state->newest && index >= state->touched)
        state->touched = index + 1;
    state->used++;
    return unit_address(heap, number) + (size_t)index * knoll_classes[size_class].size;
}

/* Gives back a block that a caller holds. */
static inline void slab_give(struct knoll_heap *heap, const struct slab_place *place)
{
    uint64_t word = slab_word(place->slab);
    struct knoll_class_state *state = &heap->size_class[attributes_class(place->attributes)];
    if (word == 0)
        list_push(heap, &state->partial, place->slab, place->number, CELL_SLAB_PREV);
    word |= bit(place->index);
    slab_set_word(place->slab, word);
    state->used--;
    if (word == attributes_all_free(place->attributes))
        knoll_slab_keep(heap, place->number);
}

/* Remembers that a block of the slab, which is not tiny, was asked for with this alignment. */
static inline void slab_note_alignment(const struct slab_place *place, size_t alignment)
{
    if (attributes_alignment(place->attributes) < alignment) {
        place->slab[CELL_ATTRIBUTES] &= ~(15u << SLAB_ALIGNMENT_SHIFT);
        place->slab[CELL_ATTRIBUTES] |= bits_highest(alignment) << SLAB_ALIGNMENT_SHIFT;
    }
}

/* Takes a run as knoll_pages_take does, but rather than failing a run that is longer by a unit, if there can be one
 * that is of no use otherwise, and gives back the slab kept in hand. *length is what it was asked for and what it gave.
 */
uint32_t knoll_slab_take_run(struct knoll_heap *heap, uint32_t *length, uint32_t alignment);

/* Whether the slab kept in hand is empty, so that it would be given back rather than fail a request. */
bool knoll_slab_spare_is_empty(const struct knoll_heap *heap);

#endif
