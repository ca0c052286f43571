/* Slabs: blocks of up to KNOLL_SLAB_MAXIMUM bytes. Taking and giving them, and what is remembered of those given back.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_SLAB_H
#define KNOLL_SLAB_H

#include "chance.h"
#include "slab_place.h"

/* ---- Magazines: hints to free blocks, which are to be handed out before others ----
 *
 * When a slab goes back, nobody looks for hints to it. The number of the class's hints becomes negative, so that
 * neither malloc nor free, which ask whether there is one and whether there is room for one, need another comparison;
 * and until there is none left, each is looked at before it is followed. A hint to a slab that went back is told by its
 * slab's shape, for a class makes no slab while its magazine has hints. */

#if KNOLL_MAGAZINE > 0

_Static_assert(KNOLL_MAGAZINE <= INT8_MAX, "the number of hints must fit, with a sign");

static inline ptrdiff_t magazine_hints(const struct knoll_class_state *state)
{
    return state->hints;
}

/* The index of the block that a hint says. */
#if KNOLL_PROFILE == KNOLL_CLASSIC
static inline uint32_t hint_index(const struct knoll_class_state *state, size_t hint)
{
    return (uint32_t)((uintptr_t)state->hint_block[hint] >> INDEX_SHIFT) & 63;
}

#define ASSIGNED_INDEX(hint) /* for the contracts */

/*@ assigns \nothing; */
static inline void hint_set_index(struct knoll_class_state *state, size_t hint, uint32_t index)
{
    (void)state, (void)hint, (void)index;
}
#else
static inline uint32_t hint_index(const struct knoll_class_state *state, size_t hint)
{
    return state->hint_index[hint];
}

#define ASSIGNED_INDEX(hint) , state->hint_index[hint]

/*@ requires \valid(state) && hint < KNOLL_MAGAZINE;
    assigns state->hint_index[hint]; */
static inline void hint_set_index(struct knoll_class_state *state, size_t hint, uint32_t index)
{
    state->hint_index[hint] = (uint8_t)index;
}
#endif

/* Takes the block that the last of so many hints says. What is written may be anything, as far as the compiler knows:
 * so all is read before. */
static inline void *magazine_take(struct knoll_class_state *state, ptrdiff_t hints)
{
    void *block = state->hint_block[hints - 1];
    uint32_t *slab = state->hint_slab[hints - 1];
    uint64_t word = slab_held(slab) | bit(hint_index(state, (size_t)hints - 1));
    state->free_blocks--;
    state->hints = (int8_t)(hints - 1);
    slab_set_held(slab, word);
    return block;
}

/* Remembers a block; false if there is no room for it. */
/*@ requires \valid(state);
    assigns state->hints, state->hint_block[state->hints],
        state->hint_slab[state->hints] ASSIGNED_INDEX(state->hints);
    ensures !\result ==> state->hints == \old(state->hints);
    ensures \result <==> 0 <= \old(state->hints) < KNOLL_MAGAZINE; */
static inline bool magazine_give(struct knoll_class_state *state, struct slab_place place, void *block)
{
    size_t hint = (uint8_t)state->hints; /* 128 or more, if slabs went back */
    if (hint >= KNOLL_MAGAZINE)
        return false;
    state->hint_block[hint] = block;
    state->hint_slab[hint] = place.slab;
    hint_set_index(state, hint, place.index);
    state->hints = (int8_t)(hint + 1);
    return true;
}

#else

static inline ptrdiff_t magazine_hints(const struct knoll_class_state *state)
{
    (void)state;
    return 0;
}

/* not covered: without hints nothing is taken */
static inline void *magazine_take(struct knoll_class_state *state, ptrdiff_t hints)
{
    (void)state, (void)hints;
    return NULL;
}

static inline bool magazine_give(struct knoll_class_state *state, struct slab_place place, void *block)
{
    (void)state, (void)place, (void)block;
    return false;
}

#endif

/* ---- Taking and giving ---- */

/* Whether a block of this class can be taken without growing it. */
static inline bool slab_has_free(const struct knoll_heap *heap, size_t size_class)
{
    return heap->size_class[size_class].free_blocks != 0;
}

/* Notes in a heap what its classes are like: needed once, before the first block. */
void knoll_slab_begin(struct knoll_heap *heap);

/* Makes blocks of a class be at hand, of which neither is one nor has its magazine a hint, but not by making a slab:
 * false if there are none. */
bool knoll_slab_reuse(struct knoll_heap *heap, size_t size_class);

/* Makes slabs of a class of which all blocks are held, side by side: of so many, which is at least 1, the power of two
 * that is next below, or half of that where there is no room, and so on. Returns how many; 0 if memory does not suffice
 * for one. The first one's first unit is *number. */
uint32_t knoll_slab_make_held(struct knoll_heap *heap, size_t size_class, uint32_t wanted, uint32_t *number);

/* What seldom remains to be done after blocks were given back: to list their slab, which has not been, and to keep it
 * in hand if no block of it is held any more; or that alone. */
void knoll_slab_list(struct knoll_heap *heap, uint32_t *slab, uint32_t number);
void knoll_slab_keep(struct knoll_heap *heap, uint32_t number);

/* Takes a block that is at hand, as there must be one. */
static inline void *slab_take_at_hand(struct knoll_class_state *state)
{
    uint32_t index = chance_bit(state->at_hand);
    state->at_hand = chance_rest(state->at_hand, index);
    slab_set_held(state->current, slab_held(state->current) | bit(index));
    state->free_blocks--;
    return state->start + block_offset(state->size, index);
}

/* Takes a block of this class that is free; NULL if there is none. */
void *knoll_slab_take_free(struct knoll_heap *heap, size_t size_class);

/* Takes a block of this class, of a new slab if need be; NULL if memory does not suffice. */
void *knoll_slab_take(struct knoll_heap *heap, size_t size_class);

/* Takes up to `count` blocks of those at hand at once. Returns how many. */
static inline size_t slab_take_some(struct knoll_class_state *state, size_t count, void **blocks)
{
    uint64_t word = state->at_hand;
    size_t taken = 0;
    while (word != 0 && taken < count) { /* at most 64 rounds */
        blocks[taken] = state->start + block_offset(state->size, bits_lowest(word));
        word &= word - 1;
        taken++;
    }
    slab_set_held(state->current, slab_held(state->current) | (state->at_hand & ~word));
    state->at_hand = word;
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
static inline bool slab_is_known(const uint32_t *slab)
{
    return (slab[CELL_NOTES] & SLAB_KNOWN) != 0;
}

static inline void slab_give(struct knoll_heap *heap, struct knoll_class_state *state, struct slab_place place,
                             uint64_t word, void *block)
{
    state->free_blocks++;
    if (!magazine_give(state, place, block) && !slab_is_known(place.slab))
        knoll_slab_list(heap, place.slab, place.number); /* and keeps it, if it is empty */
    else if (word == 0)
        knoll_slab_keep(heap, place.number);
}

/* Gives back so many blocks of the slab at once, which are held, and makes this its word. No magazine remembers them.
 * What then remains to be done is either of what follows. */
static inline void slab_give_bits(struct knoll_heap *heap, const struct slab_place *place, uint64_t word,
                                  uint32_t count)
{
    slab_set_held(place->slab, word);
    heap->size_class[place->shape->size_class].free_blocks += count;
}

/* Gives back blocks of one slab. */
static inline void slab_give_some(struct knoll_heap *heap, struct slab_place place, uint64_t word, uint32_t count)
{
    slab_give_bits(heap, &place, word, count);
    if (!slab_is_known(place.slab))
        knoll_slab_list(heap, place.slab, place.number);
    else if (word == 0)
        knoll_slab_keep(heap, place.number);
}

/* So many slabs are made of one run at most. */
#define SLABS_AT_ONCE 16u

/* Takes up to `count` blocks, at least 1, of new slabs, of which as many are made as they need and as lie side by side
 * where one is made. No block is at hand or hinted at. Returns how many; 0 if memory does not suffice. */
size_t knoll_slab_take_new(struct knoll_heap *heap, size_t size_class, size_t count, void **blocks);

/* Blocks that are given back one slab after another: slabs that come free meanwhile go to the page layer together if
 * they lie side by side. The one that does last is kept in hand at the end. Until then nothing else may be done. */
struct slab_giving {
    struct slab_place emptied; /* the slab that came free last; `slab` is NULL before the first */
    uint32_t number;           /* the run of those before it, which are none any more: its first unit, */
    uint32_t length;           /* and its length */
};

void knoll_slab_emptied(struct knoll_heap *heap, struct slab_giving *giving, const struct slab_place *place);
void knoll_slab_give_end(struct knoll_heap *heap, struct slab_giving *giving);

static inline void slab_give_many(struct knoll_heap *heap, struct slab_giving *giving, const struct slab_place *place,
                                  uint64_t word, uint32_t count)
{
    slab_give_bits(heap, place, word, count);
    if (word == 0)
        knoll_slab_emptied(heap, giving, place);
    else if (!slab_is_known(place->slab))
        knoll_slab_list(heap, place->slab, place->number);
}

/* Before a request for a run is refused: gives back the slab kept in hand, and takes the run from what has become free
 * by that. NOWHERE if there is no such slab, or it does not make room enough. */
uint32_t knoll_slab_take_back(struct knoll_heap *heap, uint32_t length, uint32_t alignment);

/* Whether the slab kept in hand is empty, so that it would be given back rather than fail a request. */
bool knoll_slab_spare_is_empty(const struct knoll_heap *heap);

#endif
