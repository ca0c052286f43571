/* Slabs: blocks of up to KNOLL_SLAB_MAXIMUM bytes.
 *
 * A slab's notes are what is said of it besides its shape:
 *
 *     bits     25       26       27 to 29 (30 in classic)
 *              listed   loose    log2 alignment, less 4
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_H
#define KNOLL_SLAB_H

#include "chance.h"
#include "classes.h"

#define SLAB_LISTED          (1u << NOTES_SHIFT) /* it is in its class's list */
#define SLAB_LOOSE           (1u << (NOTES_SHIFT + 1)) /* one of its blocks was asked for as another size, see knoll_realloc */
#define SLAB_ALIGNMENT_SHIFT (NOTES_SHIFT + 2)         /* the greatest that one of its blocks was asked for with */
#define SLAB_ALIGNMENT_MASK  ((KNOLL_PROFILE == KNOLL_CLASSIC ? 15u : 7u) << SLAB_ALIGNMENT_SHIFT)

/* Where a block of a slab lies. */
struct slab_place {
    uint32_t *slab;                  /* its first entry */
    const struct knoll_shape *shape; /* of the slab; NULL if there is none */
    uint32_t number;                 /* its first unit */
    uint32_t index;                  /* of the block in the slab: of none, if it is as great as the capacity */
};

/* One bit a block, set while it is free. */
static inline uint64_t slab_word(const uint32_t *slab)
{
    uint64_t word;
    __builtin_memcpy(&word, &slab[CELL_WORD], sizeof word);
    return word;
}

static inline void slab_set_word(uint32_t *slab, uint64_t word)
{
    __builtin_memcpy(&slab[CELL_WORD], &word, sizeof word);
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

/* Finds the slab of this region, whose number is named beside it, that the address is in; false if it is in none. */
static inline bool slab_find_in(const struct knoll_region *region, uint32_t region_number, const void *address,
                                struct slab_place *place)
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
    place->number = region_number << INDEX_BITS | unit;
    place->index = shape_block_at(place->shape, within);
    return true;
}

static inline bool slab_find(const struct knoll_region *region, const void *address, struct slab_place *place)
{
    return slab_find_in(region, region->number, address, place);
}

/* The same in a heap's first region: its number is 0, and need not be read. */
static inline bool slab_find_first(const struct knoll_region *region, const void *address, struct slab_place *place)
{
    return slab_find_in(region, 0, address, place);
}

/* Whether a block starts at this place and is held. */
static inline bool slab_holds(const struct slab_place *place)
{
    return place->index < place->shape->capacity && (slab_word(place->slab) >> place->index & 1) == 0;
}

/* Whether the block at this place may be given back: at rung 0 of hardening callers are trusted with that. */
static inline bool slab_may_give(const struct slab_place *place)
{
    return KNOLL_HARDEN == 0 || slab_holds(place);
}

/* Whether the block at this place has ever been handed out. */
static inline bool slab_has_touched(const struct knoll_heap *heap, const struct slab_place *place)
{
    size_t size_class = place->shape->size_class;
    return place->slab != heap->size_class[size_class].current || place->index < heap->touched[size_class];
}

/* ---- Magazines: hints to free blocks, which are to be handed out before others ---- */

#if KNOLL_MAGAZINE > 0

static inline size_t magazine_hints(const struct knoll_heap *heap, size_t size_class)
{
    return heap->hints[size_class];
}

/* Takes the block that was remembered last, of `hints` that are. */
static inline void *magazine_take(struct knoll_heap *heap, size_t size_class, size_t hints)
{
    const struct knoll_hint *hint = &heap->magazine[size_class * KNOLL_MAGAZINE + hints - 1];
    uint32_t *slab = entry_of(heap, hint->number);
    heap->hints[size_class] = (uint8_t)(hints - 1);
    slab_set_word(slab, slab_word(slab) & ~bit(hint->index));
    return hint->block;
}

/* Remembers a block; false if there is no room for it. */
/*@ requires \valid(heap) && \valid_read(place.shape) && place.shape->size_class < KNOLL_CLASS_COUNT;
    requires \separated(heap, place.shape) && heap->hints[place.shape->size_class] <= KNOLL_MAGAZINE;
    assigns heap->hints[place.shape->size_class],
        heap->magazine[place.shape->size_class * KNOLL_MAGAZINE + heap->hints[place.shape->size_class]];
    ensures heap->hints[place.shape->size_class] <= KNOLL_MAGAZINE;
    ensures \result <==> \old(heap->hints[place.shape->size_class]) < KNOLL_MAGAZINE; */
static inline bool magazine_give(struct knoll_heap *heap, struct slab_place place, void *block)
{
    size_t size_class = place.shape->size_class;
    size_t hints = heap->hints[size_class];
    if (hints == KNOLL_MAGAZINE)
        return false;
    struct knoll_hint *hint = &heap->magazine[size_class * KNOLL_MAGAZINE + hints];
    heap->hints[size_class] = (uint8_t)(hints + 1);
    hint->block = block;
    hint->number = place.number;
    hint->index = place.index;
    return true;
}

#else

static inline size_t magazine_hints(const struct knoll_heap *heap, size_t size_class)
{
    (void)heap, (void)size_class;
    return 0;
}

/* not covered: without hints nothing is taken */
static inline void *magazine_take(struct knoll_heap *heap, size_t size_class, size_t hints)
{
    (void)heap, (void)size_class, (void)hints;
    return NULL;
}

static inline bool magazine_give(struct knoll_heap *heap, struct slab_place place, void *block)
{
    (void)heap, (void)place, (void)block;
    return false;
}

#endif

/* ---- Taking and giving ---- */

/* Whether a block of this class can be taken without growing it. */
static inline bool slab_has_free(const struct knoll_heap *heap, size_t size_class)
{
    return heap->free_blocks[size_class] != 0;
}

/* Makes a slab that has a free block the current one of its class, whose current one has none, nor its magazine; false
 * if memory does not suffice. */
bool knoll_slab_refill(struct knoll_heap *heap, size_t size_class);

/* What seldom remains to be done after blocks were given back: to list their slab, which has not been, and to keep it
 * in hand if no block of it is held any more; or that alone. */
void knoll_slab_list(struct knoll_heap *heap, uint32_t *slab, uint32_t number, const struct knoll_shape *shape);
void knoll_slab_keep(struct knoll_heap *heap, uint32_t number);

/* Takes a block from the class's magazine, or else its current slab; NULL if both have none. */
static inline void *slab_take_first(struct knoll_heap *heap, size_t size_class)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    size_t hints = magazine_hints(heap, size_class);
    if (hints != 0) {
        heap->free_blocks[size_class]--;
        return magazine_take(heap, size_class, hints);
    }
    uint32_t *slab = state->current;
    uint64_t word = slab == NULL ? 0 : slab_word(slab);
    if (word == 0)
        return NULL;
    size_t index = chance_take_bit(&word);
    slab_set_word(slab, word);
    if (index >= heap->touched[size_class])
        heap->touched[size_class] = (uint8_t)(index + 1);
    heap->free_blocks[size_class]--;
    return (unsigned char *)slab + (uintptr_t)state->distance * KNOLL_DISTANCE_UNIT + class_offset(size_class, index);
}

/* Takes a block of this class: one that is free, as there must be; or, if need be, one of a new slab, and NULL if
 * memory does not suffice. */
void *knoll_slab_take_free(struct knoll_heap *heap, size_t size_class);
void *knoll_slab_take(struct knoll_heap *heap, size_t size_class);

/* Takes up to `count` blocks at once from what is at hand: from the class's magazine one, or from its current slab as
 * many as it has. Returns how many; 0 if nothing is at hand. */
static inline size_t slab_take_some(struct knoll_heap *heap, size_t size_class, size_t count, void **blocks)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    if (magazine_hints(heap, size_class) != 0 || state->current == NULL)
        return (blocks[0] = slab_take_first(heap, size_class)) != NULL;
    size_t size = class_size(size_class);
    unsigned char *start = (unsigned char *)state->current + (uintptr_t)state->distance * KNOLL_DISTANCE_UNIT;
    uint64_t word = slab_word(state->current);
    size_t taken = 0;
    size_t end = heap->touched[size_class]; /* of the blocks that were handed out ever, the highest ones last */
    for (; word != 0 && taken < count; word &= word - 1) { /* at most 64 rounds */
        size_t index = bits_lowest(word);
        blocks[taken++] = start + index * size;
        end = index < end ? end : index + 1;
    }
    heap->touched[size_class] = (uint8_t)end;
    slab_set_word(state->current, word);
    heap->free_blocks[size_class] -= (uint32_t)taken;
    return taken;
}

/* Gives back a block that a caller holds, at this place: first its bit, then all that may follow. What is done between
 * need not be kept for after a call. */
static inline uint64_t slab_give_bit(struct slab_place place)
{
    uint64_t word = slab_word(place.slab) | bit(place.index);
    slab_set_word(place.slab, word);
    return word;
}

/* Whether the slab, of which no hint says what was given back, is where its free blocks are looked for. */
static inline bool slab_is_known(const struct knoll_heap *heap, const struct slab_place *place)
{
    return (place->slab[CELL_NOTES] & SLAB_LISTED) != 0 ||
           place->slab == heap->size_class[place->shape->size_class].current;
}

static inline void slab_give(struct knoll_heap *heap, struct slab_place place, uint64_t word, void *block)
{
    heap->free_blocks[place.shape->size_class]++;
    if (!magazine_give(heap, place, block) && !slab_is_known(heap, &place))
        knoll_slab_list(heap, place.slab, place.number, place.shape); /* and keeps it, if it is empty */
    else if (word == place.shape->all_free)
        knoll_slab_keep(heap, place.number);
}

/* Gives back so many blocks of the slab at once, which are held, and makes this its word. No magazine remembers them.
 */
static inline void slab_give_some(struct knoll_heap *heap, struct slab_place place, uint64_t word, uint32_t count)
{
    size_t size_class = place.shape->size_class;
    slab_set_word(place.slab, word);
    heap->free_blocks[size_class] += count;
    if (!slab_is_known(heap, &place))
        knoll_slab_list(heap, place.slab, place.number, place.shape);
    else if (word == place.shape->all_free)
        knoll_slab_keep(heap, place.number);
}

/* Before a request for a run is refused: gives back the slab kept in hand, and takes the run from what has become free
 * by that. NOWHERE if there is no such slab, or it does not make room enough. */
uint32_t knoll_slab_take_back(struct knoll_heap *heap, uint32_t length, uint32_t alignment);

/* Whether the slab kept in hand is empty, so that it would be given back rather than fail a request. */
bool knoll_slab_spare_is_empty(const struct knoll_heap *heap);

#endif
