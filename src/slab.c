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

static void mark_start(struct knoll_heap *heap, uint32_t number)
{
    uint32_t index = number & INDEX_MASK;
    *region_slab_map(region_of_number(heap, number), index) ^= bit(index & 63);
}

static void give_slab(struct knoll_heap *heap, uint32_t number)
{
    struct knoll_entry *slab = entry_of(heap, number);
    struct knoll_class_state *state = &heap->size_class[slab[1].slab.size_class];
    uint32_t length = slab_length(slab);
    list_remove(heap, &state->partial, slab, RUN_SLAB);
    state->slabs--;
    state->blocks -= slab[1].slab.capacity;
    mark_start(heap, number);
    slab[1].word = 0; /* or what is left of it might pass for RUN_WAS_BLOCK */
    knoll_pages_give(heap, number, length);
    slab->word |= RUN_WAS_BLOCK;
}

bool knoll_slab_spare_is_empty(const struct knoll_heap *heap)
{
    if (heap->spare_slab == NOWHERE)
        return false;
    const struct knoll_entry *slab = entry_of(heap, heap->spare_slab);
    return slab_is_empty(slab);
}

static bool give_spare(struct knoll_heap *heap)
{
    if (!knoll_slab_spare_is_empty(heap))
        return false;
    give_slab(heap, heap->spare_slab);
    heap->spare_slab = NOWHERE;
    return true;
}

uint32_t knoll_slab_take_run(struct knoll_heap *heap, uint32_t length, uint32_t alignment)
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
        knoll_pages_resize(heap, number, length, enough);
        length = enough;
    }
    struct knoll_class_state *state = &heap->size_class[size_class];
    struct knoll_entry *slab = entry_of(heap, number);
    slab->word = bits_low(capacity);
    slab[1].all = bits_low(capacity);
    slab[1].slab.size_class = (uint8_t)size_class;
    slab[1].slab.capacity = (uint8_t)capacity;
    slab[1].slab.touched = 0;
    slab[1].slab.alignment = 0;
    slab[1].kind_prev = length;
    list_push(heap, &state->partial, slab, number, RUN_SLAB);
    mark_start(heap, number);
    state->slabs++;
    state->blocks += capacity;
    return true;
}

void knoll_slab_keep(struct knoll_heap *heap, uint32_t number)
{
    if (heap->spare_slab != number) {
        give_spare(heap);
        heap->spare_slab = number;
    }
}
