/* Many blocks at once: for a cache in front of a heap, which holds a lock meanwhile.
 *
 * What a call for one block does is done once for all blocks of a slab: its word is read and written once, and one
 * account is kept. What is none of a slab's blocks goes the way of a single one, faults too.
 *
 * SPDX-License-Identifier: MIT */
#include "accounts.h"
#include "annotate.h"
#include "failure.h"
#include "plain.h"
#include "slab.h"

/* Takes up to `count` blocks of a class, 0 only if memory does not suffice for one: what a hint says is one by itself.
 */
static size_t take_some(struct knoll_heap *heap, size_t size_class, size_t count, void **blocks)
{
    struct knoll_class_state *state = class_state(heap, size_class);
    if (magazine_hints(state) != 0) {
        blocks[0] = knoll_slab_take(heap, size_class);
        return blocks[0] != NULL;
    }
    if (state->at_hand == 0 && !knoll_slab_reuse(heap, size_class))
        return knoll_slab_take_new(heap, size_class, count, blocks);
    return slab_take_some(state, count, blocks);
}

size_t PLAIN(malloc_batch)(struct knoll_heap *heap, size_t size, size_t count, void **blocks)
{
    size_t taken = 0;
    if (size <= KNOLL_SLAB_MAXIMUM && !must_fail(heap)) {
        size_t size_class = class_for_size(size);
        while (taken < count) { /* at most count rounds */
            size_t more = take_some(heap, size_class, count - taken, blocks + taken);
            if (more == 0)
                break;
            taken += more;
        }
        heap->allocations += taken;
        account_used(heap, taken * class_size(size_class));
        for (size_t i = 0; i < taken; i++)
            annotate_taken(blocks[i], size);
    }
    while (taken < count && (blocks[taken] = PLAIN(malloc)(heap, size)) != NULL) /* at most count rounds */
        taken++;
    return taken;
}

/* How many of the blocks, the first of which is held at this place, are held in the same slab; and its word when they
 * are given back. */
static size_t in_same_slab(const struct slab_place *place, void *const *blocks, size_t count, uint64_t *word)
{
    const struct knoll_shape *shape = place->shape;
    uintptr_t start = (uintptr_t)blocks[0] & ~(uintptr_t)shape->low;
    uint64_t held = slab_held(place->slab) & ~bit(place->index);
    size_t same = 1;
    for (; same < count; same++) { /* at most 64 rounds: each clears another bit */
        uintptr_t within = (uintptr_t)blocks[same] - start;
        if (within > shape->low)
            break;
        uint32_t index = shape_block_at(shape, (uint32_t)within);
        if (!bit_is_set(held, index))
            break;
        held ^= bit(index & 63); /* which takes fewer instructions than to clear it */
    }
    *word = held;
    return same;
}

void PLAIN(free_batch)(struct knoll_heap *heap, void *const *blocks, size_t count)
{
    struct slab_giving giving = {{NULL, NULL, 0, 0}, 0, 0};
    struct slab_place place;
    uint64_t word;
    for (size_t i = 0, same; i < count; i += same) {
        const struct knoll_region *region = heap->region[0];
        same = 1;
        if (!region_holds(region, blocks[i]) || !slab_find(region, blocks[i], &place) || !slab_may_give(&place)) {
            knoll_slab_give_end(heap, &giving);
            PLAIN(free)(heap, blocks[i]);
            continue;
        }
        same = in_same_slab(&place, blocks + i, count - i, &word);
        heap->headroom += same * place.shape->size;
        for (size_t j = i; j < i + same; j++)
            annotate_given(blocks[j], place.shape->size);
        slab_give_many(heap, &giving, &place, word, (uint32_t)same);
    }
    knoll_slab_give_end(heap, &giving);
}
