/* Slabs: blocks of up to KNOLL_SLAB_MAXIMUM bytes. Taking and giving them, and what is remembered of those given back.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_H
#define KNOLL_SLAB_H

#include "chance.h"
#include "slab_place.h"

/* ---- Magazines: hints to free blocks, which are to be handed out before others ---- */

/* In classic, added to the number of hints when a slab of the class goes back: until they are sifted none may be used.
 * A hint to a slab that went is told by its shape, for a class makes no slab while its magazine has hints. Neither
 * malloc nor free looks for that: such a magazine is more than full, which costs them no other comparison. In compact
 * they are sifted at once, because blocks lie better then: by 0.2 % of the memory for mixed sizes. */
#define HINTS_UNSURE 0x80u

_Static_assert(KNOLL_MAGAZINE < HINTS_UNSURE, "the number of hints must fit beside the flag");

#if KNOLL_MAGAZINE > 0

#if KNOLL_PROFILE == KNOLL_CLASSIC

/*@ requires \valid_read(place);
    assigns \nothing; */
static inline struct knoll_hint hint_of(const struct slab_place *place, void *block)
{
    return (struct knoll_hint){block, place->slab};
}

static inline bool hint_is_of(const struct knoll_hint *hint, const uint32_t *slab, uint32_t number)
{
    (void)number;
    return hint->slab == slab;
}

static inline uint32_t *hint_slab(const struct knoll_heap *heap, const struct knoll_hint *hint)
{
    (void)heap;
    return hint->slab;
}

static inline uint32_t hint_index(const struct knoll_hint *hint)
{
    return (uint32_t)((uintptr_t)hint->block >> INDEX_SHIFT) & 63;
}

/* Whether a hint of this class's magazine is of a slab that went back. */
static inline bool hint_is_stale(const struct knoll_hint *hint, size_t size_class, uint32_t number)
{
    (void)number;
    return (uint8_t)hint->slab[CELL_SHAPE] != SHAPE_SLAB + size_class;
}

/* Whether this number of hints says that one can be taken; and that they must be sifted first. */
static inline bool magazine_is_ready(size_t hints)
{
    return hints - 1 < KNOLL_MAGAZINE;
}

static inline bool magazine_is_unsure(size_t hints)
{
    return hints > KNOLL_MAGAZINE;
}

#else

/*@ requires \valid_read(place);
    assigns \nothing; */
static inline struct knoll_hint hint_of(const struct slab_place *place, void *block)
{
    return (struct knoll_hint){block, place->number, place->index};
}

static inline bool hint_is_of(const struct knoll_hint *hint, const uint32_t *slab, uint32_t number)
{
    (void)slab;
    return hint->number == number;
}

static inline uint32_t *hint_slab(const struct knoll_heap *heap, const struct knoll_hint *hint)
{
    return entry_of(heap, hint->number);
}

static inline uint32_t hint_index(const struct knoll_hint *hint)
{
    return hint->index;
}

/* Whether it is of the slab that has just gone back, which had this number. */
static inline bool hint_is_stale(const struct knoll_hint *hint, size_t size_class, uint32_t number)
{
    (void)size_class;
    return hint->number == number;
}

static inline bool magazine_is_ready(size_t hints)
{
    return hints != 0;
}

static inline bool magazine_is_unsure(size_t hints)
{
    (void)hints;
    return false;
}

#endif

static inline size_t magazine_hints(const struct knoll_heap *heap, size_t size_class)
{
    return heap->size_class[size_class].hints;
}

/* Drops the hints to slabs that went back, in classic. */
void knoll_slab_sift(struct knoll_heap *heap, size_t size_class);

/* Takes the block that was remembered last, of `hints` that are. */
static inline void *magazine_take(struct knoll_heap *heap, size_t size_class, size_t hints)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    const struct knoll_hint *hint = &state->magazine[hints - 1];
    uint32_t *slab = hint_slab(heap, hint);
    state->hints = (uint8_t)(hints - 1);
    state->free_blocks--;
    slab_set_held(slab, slab_held(slab) | bit(hint_index(hint)));
    return hint->block;
}

/* Remembers a block; false if there is no room for it. */
/*@ requires \valid(heap) && place.size_class < KNOLL_CLASS_COUNT;
    assigns heap->size_class[place.size_class].hints,
        heap->size_class[place.size_class].magazine[heap->size_class[place.size_class].hints];
    ensures !\result ==> heap->size_class[place.size_class].hints == \old(heap->size_class[place.size_class].hints);
    ensures \result <==> \old(heap->size_class[place.size_class].hints) < KNOLL_MAGAZINE; */
static inline bool magazine_give(struct knoll_heap *heap, struct slab_place place, void *block)
{
    struct knoll_class_state *state = &heap->size_class[place.size_class];
    size_t hints = state->hints;
    if (hints >= KNOLL_MAGAZINE)
        return false;
    state->magazine[hints] = hint_of(&place, block);
    state->hints = (uint8_t)(hints + 1);
    return true;
}

#else

static inline size_t magazine_hints(const struct knoll_heap *heap, size_t size_class)
{
    (void)heap, (void)size_class;
    return 0;
}

static inline bool magazine_is_ready(size_t hints)
{
    (void)hints;
    return false;
}

static inline bool magazine_is_unsure(size_t hints)
{
    (void)hints;
    return false;
}

/* not covered: without hints none are sifted */
static inline void knoll_slab_sift(struct knoll_heap *heap, size_t size_class)
{
    (void)heap, (void)size_class;
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
    return heap->size_class[size_class].free_blocks != 0;
}

/* Makes a slab that has a free block the current one of its class, whose current one has none, nor its magazine; false
 * if memory does not suffice. */
bool knoll_slab_refill(struct knoll_heap *heap, size_t size_class);

/* What seldom remains to be done after blocks were given back: to list their slab, which has not been, and to keep it
 * in hand if no block of it is held any more; or that alone. */
void knoll_slab_list(struct knoll_heap *heap, uint32_t *slab, uint32_t number);
void knoll_slab_keep(struct knoll_heap *heap, uint32_t number);

/* Takes a block from the class's current slab; NULL if that has none. The magazine has none. */
static inline void *slab_take_current(struct knoll_heap *heap, size_t size_class)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    uint32_t *slab = state->current;
    uint64_t word = slab == NULL ? 0 : slab_free(slab, &knoll_shapes[size_class]);
    if (word == 0)
        return NULL;
    size_t index = chance_bit(word);
    slab_set_held(slab, slab_held(slab) | bit((unsigned)index));
    if (index >= state->touched)
        state->touched = (uint8_t)(index + 1);
    state->free_blocks--;
    return (unsigned char *)slab + (uintptr_t)state->distance * KNOLL_DISTANCE_UNIT + class_offset(size_class, index);
}

/* Takes a block from the class's magazine, or else its current slab; NULL if both have none. */
static inline void *slab_take_first(struct knoll_heap *heap, size_t size_class)
{
    if (magazine_is_unsure(magazine_hints(heap, size_class)))
        knoll_slab_sift(heap, size_class);
    size_t hints = magazine_hints(heap, size_class);
    return hints == 0 ? slab_take_current(heap, size_class) : magazine_take(heap, size_class, hints);
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
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    unsigned char *start = (unsigned char *)state->current + (uintptr_t)state->distance * KNOLL_DISTANCE_UNIT;
    uint64_t word = slab_free(state->current, shape);
    size_t taken = 0;
    size_t end = state->touched;         /* of the blocks that were handed out ever, the highest ones last */
    while (word != 0 && taken < count) { /* at most 64 rounds */
        size_t index = bits_lowest(word);
        word &= word - 1;
        blocks[taken] = start + class_offset(size_class, index);
        taken++;
        end = index < end ? end : index + 1;
    }
    state->touched = (uint8_t)end;
    slab_set_held(state->current, shape->blocks & ~word);
    state->free_blocks -= (uint32_t)taken;
    return taken;
}

/* Gives back a block that a caller holds, at this place: first its bit, then all that may follow. What is done between
 * need not be kept for after a call. */
static inline uint64_t slab_give_bit(struct slab_place place)
{
    uint64_t word = slab_held(place.slab) & ~bit(place.index & 63);
    slab_set_held(place.slab, word);
    return word;
}

/* Whether the slab, of which no hint says what was given back, is where its free blocks are looked for. */
static inline bool slab_is_known(const struct knoll_heap *heap, const struct slab_place *place)
{
    return (place->slab[CELL_NOTES] & SLAB_LISTED) != 0 || place->slab == heap->size_class[place->size_class].current;
}

static inline void slab_give(struct knoll_heap *heap, struct slab_place place, uint64_t word, void *block)
{
    heap->size_class[place.size_class].free_blocks++;
    if (!magazine_give(heap, place, block) && !slab_is_known(heap, &place))
        knoll_slab_list(heap, place.slab, place.number); /* and keeps it, if it is empty */
    else if (word == 0)
        knoll_slab_keep(heap, place.number);
}

/* Gives back so many blocks of the slab at once, which are held, and makes this its word. No magazine remembers them.
 */
static inline void slab_give_some(struct knoll_heap *heap, struct slab_place place, uint64_t word, uint32_t count)
{
    size_t size_class = place.size_class;
    slab_set_held(place.slab, word);
    heap->size_class[size_class].free_blocks += count;
    if (!slab_is_known(heap, &place))
        knoll_slab_list(heap, place.slab, place.number);
    else if (word == 0)
        knoll_slab_keep(heap, place.number);
}

/* Before a request for a run is refused: gives back the slab kept in hand, and takes the run from what has become free
 * by that. NOWHERE if there is no such slab, or it does not make room enough. */
uint32_t knoll_slab_take_back(struct knoll_heap *heap, uint32_t length, uint32_t alignment);

/* Whether the slab kept in hand is empty, so that it would be given back rather than fail a request. */
bool knoll_slab_spare_is_empty(const struct knoll_heap *heap);

#endif
