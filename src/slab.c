/* Slabs: a run cut into up to 64 equal blocks of one class, whose whole state is one word: a bit a block, set while it
 * is free. The word lies in the page map, far from the blocks, and nothing is written into a free block.
 *
 * Taking a block is: the first partial slab of the class, its lowest set bit, clear it. Giving one back: from the
 * address to the slab and the block's index, set the bit. A bit that is set already is a double free. A class without a
 * partial slab grows by a slab of its usual length, or the longest the page layer has, down to a single block.
 *
 * A slab of which no block is held goes back to the page layer, but the heap keeps the last one that came free in hand,
 * so that a program that holds now one block, now none, does not grow and shrink with each call. `spare_slab` says
 * which; it stays so if the slab is used again, and is looked at when the next slab comes free or when a request would
 * fail:
 *
 *     a slab comes free:  spare_slab is another that is still empty → that one goes back; this one becomes spare_slab
 *     a request fails:    spare_slab is empty → it goes back, and the request is tried again
 *
 * Which blocks were handed out at least once, for the faults' sake, takes no more than two numbers a class: a class
 * grows only when all blocks of its slabs are held, so only in the slab that was made last can there be untouched ones,
 * and the lowest free bit is always taken, so the touched ones are its first.
 *
 * Invariants:
 *   1. A slab is in its class's partial list just if its word is not 0.
 *   2. At most one slab of the heap is empty, and that is spare_slab.
 *   3. The heap's slab map has the bits of slabs' first units set, and no others.
 *   4. The state of each class counts its slabs, their blocks, and the clear bits in their words below capacity.
 *
 * SPDX-License-Identifier: MIT */
#include "slab.h"
#include "pages.h"

_Static_assert(KNOLL_SLAB_MAXIMUM <= 64 * UNIT, "a slab's start is looked for in 64 units");
_Static_assert(KNOLL_CLASS_COUNT <= 32, "a class has five bits in a slab's attributes");

static void mark_start(struct knoll_heap *heap, uint32_t number)
{
    uint32_t index = number & INDEX_MASK;
    *region_slab_map(region_of_number(heap, number), index) ^= bit(index & 63);
}

static void give_slab(struct knoll_heap *heap, uint32_t number)
{
    uint32_t *slab = entry_of(heap, number);
    uint32_t attributes = slab_attributes(slab);
    struct knoll_class_state *state = &heap->size_class[attributes_class(attributes)];
    list_remove(heap, &state->partial, slab, CELL_SLAB_PREV);
    state->slabs--;
    state->blocks -= attributes_capacity(attributes);
    if (state->newest == number)
        state->newest = NOWHERE;
    mark_start(heap, number);
    slab_set_word(slab, 0); /* or what is left of it might pass for a kind */
    if (!slab_is_tiny(slab))
        slab[CELL_ATTRIBUTES] = 0;
    knoll_pages_give(heap, number, attributes_length(attributes));
    slab[CELL_NEXT] |= RUN_WAS_BLOCK;
}

bool knoll_slab_spare_is_empty(const struct knoll_heap *heap)
{
    return heap->spare_slab != NOWHERE && slab_is_empty(entry_of(heap, heap->spare_slab));
}

static bool give_spare(struct knoll_heap *heap)
{
    if (!knoll_slab_spare_is_empty(heap))
        return false;
    give_slab(heap, heap->spare_slab);
    heap->spare_slab = NOWHERE;
    return true;
}

uint32_t knoll_slab_take_run(struct knoll_heap *heap, uint32_t *length, uint32_t alignment)
{
    uint32_t number = knoll_pages_take(heap, length, alignment);
    if (number == NOWHERE && give_spare(heap))
        number = knoll_pages_take(heap, length, alignment);
    return number;
}

bool knoll_slab_grow(struct knoll_heap *heap, unsigned size_class)
{
    const struct knoll_class *properties = &knoll_classes[size_class];
    uint32_t length = properties->units;
    uint32_t number = knoll_pages_take_most(heap, properties->least_units, &length);
    if (number == NOWHERE && give_spare(heap))
        number = knoll_pages_take_most(heap, properties->least_units, &length);
    if (number == NOWHERE)
        return false;

    unsigned capacity = class_blocks_in(properties, length);
    if (length < properties->units) {
        uint32_t enough = class_units_for(properties, capacity);
        length = knoll_pages_resize(heap, number, length, enough) ? enough : length;
    }
    struct knoll_class_state *state = &heap->size_class[size_class];
    uint32_t *slab = entry_of(heap, number);
    slab[CELL_NEXT] = cell_of(RUN_SLAB, NOWHERE);
    slab[CELL_SLAB_PREV] = cell_of(RUN_NONE, NOWHERE);
    if (KNOLL_PROFILE == KNOLL_COMPACT && length == TINY_LENGTH)
        slab[CELL_NEXT] |= SLAB_TINY;
    else
        slab[CELL_ATTRIBUTES] = slab_attributes_of(size_class, capacity, length);
    slab_set_word(slab, bits_low(capacity));
    list_push(heap, &state->partial, slab, number, CELL_SLAB_PREV);
    mark_start(heap, number);
    state->slabs++;
    state->blocks += capacity;
    state->newest = number;
    state->touched = 0;
    return true;
}

void knoll_slab_keep(struct knoll_heap *heap, uint32_t number)
{
    if (heap->spare_slab != number) {
        give_spare(heap);
        heap->spare_slab = number;
    }
}
