/* Slabs: how a class grows, and when its memory goes back.
 *
 * Blocks of a class come from its current slab: its free ones are put at hand in one word, lowest first, and when that
 * is empty those that came free since, until there is none; then from the slab that was listed last, because a block of
 * it was freed when none was free; then from a new one. So only of a current slab can blocks be at hand that were
 * never handed out, and then all of them are such. A slab that comes free of blocks is kept in hand, in
 * the place of the one that was kept before: that one goes back to the page layer, and so does the one in hand
 * before a request for a run fails.
 *
 * Invariants:
 *   1. A slab is listed just if it has a free block that no hint says and is not the current one; SLAB_KNOWN is set
 * just if it is one of both. One that is not listed links back to none. Blocks are taken from slabs only while the
 * class's magazine has no hint, so what a hint says is free stays so; and slabs are made only then, so a hint to one
 * that went back never says a block of another slab of the class.
 *   2. At most one slab of the heap is empty, and that is spare_slab.
 *   3. Each group of a slab's units says its shape, and no other group says one.
 *   4. Of each class its slabs are counted, their blocks, and the bits in their words.
 *   5. What is at hand is free, and no hint says it; there is nothing if there is no current slab.
 *
 * SPDX-License-Identifier: MIT */
#include "slab.h"
#include "pages.h"

_Static_assert(KNOLL_CLASS_COUNT <= 32, "a shape has five bits in a cell");

void knoll_slab_begin(struct knoll_heap *heap)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) { /* KNOLL_CLASS_COUNT rounds */
        struct knoll_class_state *state = &heap->size_class[i];
        const struct knoll_shape *shape = &knoll_shapes[i];
        state->blocks = shape->blocks;
        state->size = shape->size;
#if KNOLL_PROFILE == KNOLL_COMPACT
        state->inverse = shape->inverse;
        state->low = shape->low;
        state->rotate = shape->rotate;
#endif
    }
}

/* Makes this run a slab, of the shape less SHAPE_SLAB, or if it is 0 units of no kind. */
static void set_shape(struct knoll_region *region, uint32_t index, uint32_t length, size_t shape)
{
    for (uint32_t i = 0; i < length; i += GROUP_UNITS) { /* at most 2 rounds */
        uint32_t *entry = region_entry(region, index + i);
        if (KNOLL_PROFILE == KNOLL_CLASSIC)
            entry[CELL_SHAPE] = (uint32_t)shape;
        *entry = (uint32_t)(KNOLL_PROFILE == KNOLL_CLASSIC ? shape & SHAPE_SLAB : shape) << SHAPE_SHIFT;
    }
}

/* Counts one slab more, or with -1 less, of which all blocks are free. */
static void count_slab(struct knoll_class_state *state, const struct knoll_shape *shape, uint32_t slabs)
{
    state->slabs += slabs;
    state->free_blocks += slabs * shape->capacity;
}

/* Takes a slab of which no block is held out of its class: its units are of no kind then. */
static inline void unmake(struct knoll_heap *heap, uint32_t number, uint32_t *slab, const struct knoll_shape *shape)
{
    struct knoll_class_state *state = class_state(heap, shape->size_class);
    if (state->current == slab) {
        state->current = NULL;
        state->at_hand = 0;
    } else if ((slab[CELL_NOTES] & SLAB_KNOWN) != 0) {
        (void)list_remove(heap, &state->partial, slab, CELL_SLAB_NEXT, GROUP_SHIFT);
    }
    count_slab(state, shape, (uint32_t)-1);
    slab[CELL_SLAB_NEXT] = 0; /* or what is left of it might pass for a kind */
    set_shape(region_of_number(heap, number), number & INDEX_MASK, shape_length(shape), 0);
    if (state->hints > 0)
        state->hints = (int8_t)-state->hints;
}

/* Gives back a slab of which no block is held; the free run that it is in then. */
static __attribute__((noinline)) uint32_t give_slab(struct knoll_heap *heap, uint32_t number, uint32_t *slab,
                                                    const struct knoll_shape *shape)
{
    unmake(heap, number, slab, shape);
    uint32_t run = knoll_pages_give(heap, number, shape_length(shape));
    *slab |= RUN_WAS_BLOCK;
    return run;
}

bool knoll_slab_spare_is_empty(const struct knoll_heap *heap)
{
    return heap->spare_slab != NOWHERE && slab_held(entry_of(heap, heap->spare_slab)) == 0;
}

/* Gives back the slab kept in hand; the free run that it is in then, or NOWHERE if there is none. */
static inline uint32_t give_spare(struct knoll_heap *heap)
{
    uint32_t spare = heap->spare_slab;
    if (!knoll_slab_spare_is_empty(heap))
        return NOWHERE;
    heap->spare_slab = NOWHERE;
    return give_slab(heap, spare, entry_of(heap, spare), slab_shape(heap, spare));
}

uint32_t knoll_slab_take_back(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
{
    uint32_t run = give_spare(heap);
    return run == NOWHERE ? NOWHERE : knoll_pages_take_from(heap, run, length, alignment);
}

/* Makes this slab the current one of its class, and its free blocks at hand. The one before has none. */
static inline void set_current(struct knoll_class_state *state, uint32_t *slab, unsigned char *start, bool is_new)
{
    if (state->current != NULL)
        state->current[CELL_NOTES] &= ~SLAB_KNOWN;
    state->is_new = is_new;
    state->current = slab;
    state->start = start;
    slab[CELL_NOTES] |= SLAB_KNOWN;
    state->at_hand = state->blocks & ~slab_held(slab);
}

/* Takes the run that a slab of this shape needs; NOWHERE if memory does not suffice. */
static inline uint32_t take_units(struct knoll_heap *heap, const struct knoll_shape *shape)
{
    uint32_t length = shape_length(shape);
    uint32_t number = knoll_pages_take(heap, length, length);
    return number != NOWHERE ? number : knoll_slab_take_back(heap, length, length);
}

/* Makes this run a slab, the current one. */
static inline void make(struct knoll_heap *heap, struct knoll_class_state *state, uint32_t number, size_t size_class)
{
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    uint32_t *slab = region_entry(region, index);
    set_shape(region, index, shape_length(shape), SHAPE_SLAB + size_class);
    slab[CELL_NOTES] = 0; /* in compact the same cell as CELL_SLAB_NEXT */
    slab_set_held(slab, 0);
    count_slab(state, shape, 1);
    set_current(state, slab, region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT), true);
}

/* Makes a slab, the current one; false if memory does not suffice. */
static inline bool grow(struct knoll_heap *heap, struct knoll_class_state *state, size_t size_class)
{
    uint32_t number = take_units(heap, &knoll_shapes[size_class]);
    if (number == NOWHERE)
        return false;
    make(heap, state, number, size_class);
    return true;
}

/* Makes those blocks at hand that came free in the current slab since; false if none did. */
static inline bool use_current(struct knoll_class_state *state)
{
    if (state->current == NULL)
        return false;
    state->is_new = false;
    state->at_hand = state->blocks & ~slab_held(state->current);
    return state->at_hand != 0;
}

/* Makes the first slab of the class's list the current one; false if there is none. */
static inline bool use_listed(struct knoll_heap *heap, struct knoll_class_state *state)
{
    uint32_t number = state->partial;
    if (number == NOWHERE)
        return false;
    uint32_t *slab = entry_of(heap, number);
    list_pop(heap, &state->partial, slab, CELL_SLAB_NEXT, GROUP_SHIFT);
    set_current(state, slab, unit_address(heap, number), false);
    return true;
}

static inline bool reuse(struct knoll_heap *heap, struct knoll_class_state *state)
{
    return use_current(state) || use_listed(heap, state);
}

bool knoll_slab_reuse(struct knoll_heap *heap, size_t size_class)
{
    return reuse(heap, class_state(heap, size_class));
}

static bool supply(struct knoll_heap *heap, struct knoll_class_state *state, size_t size_class)
{
    return reuse(heap, state) || grow(heap, state, size_class);
}

/* Makes this run a slab of which all blocks are held; it is still to be counted. */
static inline void make_held(struct knoll_region *region, uint32_t index, size_t size_class)
{
    uint32_t *slab = region_entry(region, index);
    set_shape(region, index, shape_length(&knoll_shapes[size_class]), SHAPE_SLAB + size_class);
    slab[CELL_NOTES] = 0;
    slab_set_held(slab, knoll_shapes[size_class].blocks);
}

uint32_t knoll_slab_make_held(struct knoll_heap *heap, size_t size_class, uint32_t wanted, uint32_t *number)
{
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    uint32_t length = shape_length(shape);
    *number = take_units(heap, shape);
    if (*number == NOWHERE)
        return 0;
    uint32_t slabs = 1u << bits_highest32(wanted); /* classic's runs are powers of two */
    while (slabs > 1 && !knoll_pages_resize(heap, *number, length, slabs * length))
        slabs /= 2; /* at most 31 rounds */
    struct knoll_region *region = region_of_number(heap, *number);
    for (uint32_t i = 0; i < slabs; i++) /* `slabs` rounds */
        make_held(region, (*number & INDEX_MASK) + i * length, size_class);
    heap->size_class[size_class].slabs += slabs;
    return slabs;
}

/* ---- Many blocks at once ----
 *
 * The page layer is asked for the units of all new slabs together, and is given those of slabs that come free together
 * likewise, where they lie side by side: as they mostly do, because they were made so. What is served is what single
 * calls would serve: a run is chosen for one slab, and those after it follow in it as long as it lasts. */

/* Makes slabs side by side and takes all of their blocks: none of them is ever the current one. Returns how many. */
static inline size_t take_whole(struct knoll_heap *heap, uint32_t number, size_t size_class, size_t slabs,
                                void **blocks)
{
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    struct knoll_region *region = region_of_number(heap, number);
    size_t taken = 0;
    for (size_t slab = 0; slab < slabs; slab++) { /* at most SLABS_AT_ONCE rounds */
        uint32_t index = (number & INDEX_MASK) + (uint32_t)slab * shape_length(shape);
        unsigned char *start = region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
        make_held(region, index, size_class);
        for (uint32_t i = 0; i < shape->capacity; i++) /* at most 64 rounds */
            blocks[taken + i] = start + (size_t)i * shape->size;
        taken += shape->capacity;
    }
    heap->size_class[size_class].slabs += (uint32_t)slabs;
    return taken;
}

size_t knoll_slab_take_new(struct knoll_heap *heap, size_t size_class, size_t count, void **blocks)
{
    struct knoll_class_state *state = class_state(heap, size_class);
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    uint32_t length = shape_length(shape);
    uint32_t number = take_units(heap, shape);
    if (number == NOWHERE)
        return 0;
    size_t whole = count / shape->capacity;
    size_t slabs = whole + (count % shape->capacity != 0);
    size_t room = 1 + knoll_pages_free_behind(heap, number, length) / length;
    slabs = slabs < room ? slabs : room;
    slabs = slabs < SLABS_AT_ONCE ? slabs : SLABS_AT_ONCE;
    if (!knoll_pages_resize(heap, number, length, (uint32_t)slabs * length)) /* not covered: tests/failing.c refuses */
        slabs = 1;                                                           /* not covered: the same */
    whole = whole < slabs ? whole : slabs;
    size_t taken = take_whole(heap, number, size_class, whole, blocks);
    if (whole < slabs) {
        make(heap, state, number + (uint32_t)whole * length, size_class);
        taken += slab_take_some(state, count - taken, blocks + taken);
    }
    return taken;
}

/* Gives the run that slabs were to the page layer. */
static void give_units(struct knoll_heap *heap, struct slab_giving *giving)
{
    if (giving->length == 0)
        return;
    (void)knoll_pages_give(heap, giving->number, giving->length);
    *entry_of(heap, giving->number) |= RUN_WAS_BLOCK;
    giving->length = 0;
}

/* Gives the slab that came free last back: with those before, if it lies beside them. */
static void give_emptied(struct knoll_heap *heap, struct slab_giving *giving)
{
    const struct slab_place *place = &giving->emptied;
    uint32_t length = shape_length(place->shape);
    unmake(heap, place->number, place->slab, place->shape);
    *place->slab |= RUN_WAS_BLOCK;
    if (heap->spare_slab == place->number)
        heap->spare_slab = NOWHERE;
    bool is_behind = place->number == giving->number + giving->length;
    if (KNOLL_PROFILE == KNOLL_CLASSIC || (!is_behind && place->number + length != giving->number))
        give_units(heap, giving);
    if (giving->length == 0 || !is_behind)
        giving->number = place->number;
    giving->length += length;
}

void knoll_slab_emptied(struct knoll_heap *heap, struct slab_giving *giving, const struct slab_place *place)
{
    if (giving->emptied.slab != NULL)
        give_emptied(heap, giving);
    giving->emptied = *place;
}

void knoll_slab_give_end(struct knoll_heap *heap, struct slab_giving *giving)
{
    uint32_t *slab = giving->emptied.slab;
    give_units(heap, giving);
    giving->emptied.slab = NULL;
    if (slab != NULL && slab_is_known(slab))
        knoll_slab_keep(heap, giving->emptied.number);
    else if (slab != NULL)
        knoll_slab_list(heap, slab, giving->emptied.number);
}

#if KNOLL_MAGAZINE > 0

/* Takes the block that the last hint says whose slab did not go back, where some may have; NULL if there is none. */
static inline void *take_hinted(struct knoll_class_state *state, size_t size_class)
{
    uint32_t *const *slab = &state->hint_slab[-state->hints];
    while (slab != state->hint_slab && slab_says(slab[-1]) != SHAPE_SLAB + size_class)
        slab--; /* at most KNOLL_MAGAZINE rounds */
    state->hints = 0;
    if (slab == state->hint_slab)
        return NULL;
    void *block = magazine_take(state, slab - state->hint_slab);
    state->hints = (int8_t)-state->hints;
    return block;
}

#else

/* not covered: without hints nothing is taken */
static inline void *take_hinted(struct knoll_class_state *state, size_t size_class)
{
    (void)state, (void)size_class;
    return NULL;
}

#endif

/* Takes the block that the last hint says, or one at hand; NULL if there is neither. */
static inline void *take_ready(struct knoll_class_state *state, size_t size_class)
{
    ptrdiff_t hints = magazine_hints(state);
    if (hints > 0)
        return magazine_take(state, hints);
    void *block = hints == 0 ? NULL : take_hinted(state, size_class);
    return block != NULL || state->at_hand == 0 ? block : slab_take_at_hand(state);
}

void *knoll_slab_take_free(struct knoll_heap *heap, size_t size_class)
{
    struct knoll_class_state *state = class_state(heap, size_class);
    void *block = take_ready(state, size_class);
    return block == NULL && reuse(heap, state) ? slab_take_at_hand(state) : block;
}

void *knoll_slab_take(struct knoll_heap *heap, size_t size_class)
{
    struct knoll_class_state *state = class_state(heap, size_class);
    void *block = take_ready(state, size_class);
    return block == NULL && supply(heap, state, size_class) ? slab_take_at_hand(state) : block;
}

__attribute__((noinline)) void knoll_slab_keep(struct knoll_heap *heap, uint32_t number)
{
    if (heap->spare_slab != number) {
        (void)give_spare(heap);
        heap->spare_slab = number;
    }
}

__attribute__((noinline)) void knoll_slab_list(struct knoll_heap *heap, uint32_t *slab, uint32_t number)
{
    list_push(heap, &heap->size_class[slab_class(slab)].partial, slab, number, CELL_SLAB_NEXT, GROUP_SHIFT);
    slab[CELL_NOTES] |= SLAB_KNOWN;
    if (slab_held(slab) == 0)
        knoll_slab_keep(heap, number);
}
