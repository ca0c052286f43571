/* The heap's public functions: routing, accounting, and reallocation.
 *
 * A request goes to the smallest class that holds both its size and its alignment; what no class holds is served by a
 * run. What callers hold is kept as headroom, how much less it is than its peak, so that one subtraction tells both;
 * every request passes through account_new, so the counts are exact at every moment. Addresses are verified before
 * anything is changed, so a fault leaves the heap as it was.
 *
 * Reallocation keeps a block where it is just if the new size would be served by a block of the same size, so a block's
 * size always tells what it was last asked for, and knoll_free_sized can hold callers to it. The exception is a block
 * that must shrink into another class while there is no memory for the copy: it stays and is marked as loose, because
 * shrinking must not fail.
 *
 * SPDX-License-Identifier: MIT */
#include "accounts.h"
#include "annotate.h"
#include "blocks.h"
#include "failure.h"
#include "pages.h"
#include "plain.h"
#include "report.h"

/* ---- Making a heap ---- */

static void add_region(struct knoll_heap *heap, void *start, size_t size)
{
    annotate_region(start, size);
    struct knoll_region *region = knoll_region_make(heap, start, size);
    size_t tables = (size_t)region->first << KNOLL_UNIT_SHIFT;
    if (region->number == 0)
        knoll_slab_begin(heap);
    knoll_pages_add(heap, region);
    annotate_unused((unsigned char *)start + tables, size - tables);
}

int PLAIN(init_for)(struct knoll_heap *heap, void *start, size_t size, uint32_t knobs)
{
    if (knobs != KNOLL_KNOBS)
        return KNOLL_ERROR_KNOBS;
    int error = knoll_region_limits(heap, start, size, KNOLL_MINIMUM_HEAP);
    if (error != KNOLL_OK)
        return error;
    __builtin_memset(heap, 0, sizeof *heap);
    add_region(heap, start, size);
    return KNOLL_OK;
}

int PLAIN(add_memory)(struct knoll_heap *heap, void *start, size_t size)
{
    int error = knoll_region_limits(heap, start, size, KNOLL_PAGE);
    if (error == KNOLL_OK && heap->region_count == 0)
        error = KNOLL_ERROR_NO_HEAP;
    if (error == KNOLL_OK)
        error = knoll_region_room(heap, start, size);
    if (error == KNOLL_OK)
        add_region(heap, start, size);
    return error;
}

void knoll_set_fault_handler(struct knoll_heap *heap, knoll_fault_handler handler)
{
    heap->fault_handler = handler;
}

/* Finds a block and reports the fault if there is none. */
static bool find_or_report(const struct knoll_heap *heap, const void *address, struct block *block)
{
    bool found = knoll_block_find(heap, address, block);
    if (!found)
        knoll_report(heap, knoll_address_fault(heap, address), address);
    return found;
}

/* ---- Allocating ---- */

static inline void *account_new(struct knoll_heap *heap, void *block, size_t size, size_t usable)
{
    annotate_taken(block, size);
    heap->allocations++;
    return account_exceeds(heap, usable) ? raise_peak(heap, block) : block;
}

/* Notes in its slab that a block which was just taken has been asked for with this alignment, or as another size. */
static void note(const struct knoll_heap *heap, const void *block, size_t alignment, uint32_t loose)
{
    struct slab_place place;
    const struct knoll_region *region = region_of_address(heap, block);
    /* not covered: the block is the heap's, so it has a region; but the compiler is not to warn that it need not */
    if (region == NULL || !slab_find(region, block, &place))
        return; /* it is a run */
    uint32_t *notes = &place.slab[CELL_NOTES];
    if (slab_alignment(place.slab) < alignment)
        *notes = (*notes & ~SLAB_ALIGNMENT_MASK) | (bits_highest(alignment) - 4) << SLAB_ALIGNMENT_SHIFT;
    *notes |= loose;
}

/* Serves a request that memory does not suffice to serve as it should be: from the next larger class that has a free
 * block with this alignment, or by a run that is too short for a slab. */
static __attribute__((noinline)) void *take_otherwise(struct knoll_heap *heap, size_t size_class, size_t alignment,
                                                      size_t size, size_t *usable)
{
    for (size_t i = size_class + 1; i < KNOLL_CLASS_COUNT; i++) { /* at most KNOLL_CLASS_COUNT - 1 rounds */
        const struct knoll_class_state *state = &heap->size_class[i];
        if (state->free_blocks != 0 && (state->size & (alignment - 1)) == 0) {
            void *block = knoll_slab_take_free(heap, i);
            *usable = state->size;
            note(heap, block, 1, SLAB_LOOSE);
            return block;
        }
    }
    /* In classic a slab is as short as a run can be: where there is no room for one there is none for the other. */
    return KNOLL_PROFILE == KNOLL_CLASSIC ? NULL : knoll_large_take_aligned(heap, alignment, size, true, usable);
}

/* Serves a request without counting a failure. Alignment is a power of two. */
static void *take(struct knoll_heap *heap, size_t alignment, size_t size)
{
    size_t usable;
    void *block;
    unsigned size_class = class_for(alignment, size);
    if (size_class == CLASS_LARGE) {
        block = knoll_large_take_aligned(heap, alignment, size, false, &usable);
    } else {
        block = knoll_slab_take(heap, size_class);
        usable = class_size(size_class);
        if (block == NULL)
            block = take_otherwise(heap, size_class, alignment, size, &usable);
        if (block != NULL && alignment > BLOCK_ALIGNMENT)
            note(heap, block, alignment, 0);
    }
    return block == NULL ? NULL : account_new(heap, block, size, usable);
}

/* Serves a request for a run. */
static __attribute__((noinline)) void *take_run(struct knoll_heap *heap, size_t size)
{
    size_t usable;
    void *block = large_take(heap, size, &usable);
    if (block == NULL) {
        heap->failures++;
        return NULL;
    }
    return account_new(heap, block, size, usable);
}

/* Serves a request with an alignment that may be none. */
static __attribute__((noinline)) void *take_at_alignment(struct knoll_heap *heap, size_t alignment, size_t size)
{
    void *block = is_power_of_two(alignment) ? take(heap, alignment, size) : NULL;
    if (block == NULL)
        heap->failures++;
    return block;
}

/* Serves a request for a block of a slab of this class: none is at hand, or none that is hinted at for sure. */
static __attribute__((noinline)) void *take_slowly(struct knoll_heap *heap, size_t size_class, size_t size)
{
    size_t usable = class_size(size_class);
    void *block = knoll_slab_take(heap, size_class);
    if (block != NULL)
        return account_new(heap, block, size, usable);
    block = take_otherwise(heap, size_class, 1, size, &usable);
    if (block != NULL)
        return account_new(heap, block, size, usable);
    heap->failures++;
    return NULL;
}

/* Counts a request that is refused on demand. */
static inline bool is_refused(struct knoll_heap *heap)
{
    bool refused = must_fail(heap);
    heap->failures += refused;
    return refused;
}

void *PLAIN(malloc)(struct knoll_heap *heap, size_t size)
{
    if (is_refused(heap)) /* not covered: tests/failing.c refuses, in a core of its own */
        return NULL;      /* not covered: the same */
    if (size > KNOLL_SLAB_MAXIMUM)
        return take_run(heap, size);
    size_t size_class = class_for_size(size);
    struct knoll_class_state *state = class_state(heap, size_class);
    ptrdiff_t hints = magazine_hints(state);
    if (hints > 0)
        return account_new(heap, magazine_take(state, hints), size, state->size);
    if (hints == 0 && state->at_hand != 0)
        return account_new(heap, slab_take_at_hand(state), size, state->size);
    return take_slowly(heap, size_class, size);
}

void *PLAIN(aligned_alloc)(struct knoll_heap *heap, size_t alignment, size_t size)
{
    if (alignment <= BLOCK_ALIGNMENT && is_power_of_two(alignment))
        return PLAIN(malloc)(heap, size);
    /* not covered: the same */
    return is_refused(heap) ? NULL : take_at_alignment(heap, alignment, size);
}

void *PLAIN(calloc)(struct knoll_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* which no heap holds */
    void *block = PLAIN(malloc)(heap, bytes);
    if (block != NULL)
        __builtin_memset(block, 0, bytes);
    return block;
}

/* ---- Freeing ---- */

static inline void give_slab_block(struct knoll_heap *heap, struct knoll_class_state *state, struct slab_place place,
                                   void *block)
{
    uint64_t word = slab_give_bit(place);
    annotate_given(block, state->size);
    heap->headroom += state->size;
    slab_give(heap, state, place, word, block);
}

static __attribute__((noinline)) void give_run(struct knoll_heap *heap, uint32_t number)
{
    size_t size = large_give(heap, number);
    heap->headroom += size;
    annotate_given(unit_address(heap, number), size);
}

static void give(struct knoll_heap *heap, const struct block *block, void *address)
{
    if (block->place.shape == NULL)
        give_run(heap, block->place.number);
    else
        give_slab_block(heap, &heap->size_class[block->place.shape->size_class], block->place, address);
}

/* Frees what is no block of the first region: one of another, or a fault. */
static __attribute__((noinline)) void free_elsewhere(struct knoll_heap *heap, void *block)
{
    struct block found;
    if (block != NULL && find_or_report(heap, block, &found))
        give(heap, &found, block);
}

/* Frees what is no block of a slab of the first region. Where slab_find_block has found none, it says `number`. */
static __attribute__((noinline)) void free_slowly(struct knoll_heap *heap, void *block, uint32_t number)
{
    if (large_starts_in(heap->region[0], number, block))
        give_run(heap, number);
    else
        free_elsewhere(heap, block);
}

void PLAIN(free)(struct knoll_heap *heap, void *block)
{
    struct slab_place place;
    struct knoll_class_state *state;
    if (slab_find_block(heap, block, &place, &state, 0))
        give_slab_block(heap, state, place, block);
    else
        free_slowly(heap, block, place.number);
}

void PLAIN(free_sized)(struct knoll_heap *heap, void *block, size_t size)
{
    struct slab_place place;
    if (size > KNOLL_SLAB_MAXIMUM) {
        PLAIN(free_aligned_sized)(heap, block, 1, size);
        return;
    }
    size_t size_class = class_for_size(size);
    struct knoll_class_state *state = class_state(heap, size_class);
    /* At rung 0 callers are trusted to name a size that can be the block's. */
    if (slab_find_block(heap, block, &place, &state, KNOLL_HARDEN == 0 ? 0 : SHAPE_SLAB + size_class))
        give_slab_block(heap, state, place, block);
    else
        PLAIN(free_aligned_sized)(heap, block, 1, size);
}

void PLAIN(free_aligned_sized)(struct knoll_heap *heap, void *block, size_t alignment, size_t size)
{
    struct block found;
    if (block == NULL || !find_or_report(heap, block, &found))
        return;
    if (KNOLL_HARDEN > 0 && !knoll_block_fits(block, &found, alignment, size))
        knoll_report(heap, KNOLL_FAULT_SIZE, block);
    else
        give(heap, &found, block);
}

/* ---- Reallocating ---- */

static bool resize_in_place(struct knoll_heap *heap, struct block *block, size_t length)
{
    if (!knoll_large_resize(heap, block->place.number, (uint32_t)length))
        return false;
    size_t size = length << KNOLL_UNIT_SHIFT;
    if (size > block->size)
        account_used(heap, size - block->size);
    else
        heap->headroom += block->size - size;
    block->size = size;
    return true;
}

/* Keeps a block that could not move where it is, as short as it can be made there. */
static void loosen(struct knoll_heap *heap, struct block *block, size_t alignment, size_t size)
{
    if (block->place.shape != NULL) {
        block->place.slab[CELL_NOTES] |= SLAB_LOOSE;
        return;
    }
    (void)resize_in_place(heap, block, knoll_large_length(alignment, size));
    *block->place.slab |= RUN_LOOSE;
}

/* Whether the block can serve this request where it is, having been made shorter or longer if it is a run. */
static bool stays(struct knoll_heap *heap, struct block *block, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (block->place.shape != NULL)
        return size_class == block->place.shape->size_class;
    if (size_class != CLASS_LARGE || size > heap->total)
        return false;
    size_t length = knoll_large_length(alignment, size);
    /* not covered: only on 32 bits all regions together may be longer than any run */
    if (length == 0 || length > INDEX_MASK)
        return false; /* not covered: the same */
    if (length << KNOLL_UNIT_SHIFT != block->size && !resize_in_place(heap, block, length))
        return false;
    *block->place.slab &= ~RUN_LOOSE;
    return true;
}

void *PLAIN(realloc)(struct knoll_heap *heap, void *block, size_t size)
{
    struct block found;
    if (block == NULL)
        return PLAIN(malloc)(heap, size);
    if (!find_or_report(heap, block, &found))
        return NULL;
    size_t alignment = block_alignment(&found);
    size_t before = found.size;
    if (stays(heap, &found, alignment, size)) {
        annotate_resized(block, before, size, found.size);
        return block;
    }

    void *moved = must_fail(heap) ? NULL : take(heap, alignment, size);
    if (moved != NULL) {
        size_t kept = annotated_size(block, found.size);
        __builtin_memcpy(moved, block, size < kept ? size : kept);
        give(heap, &found, block); /* still where it was found: taking moves nothing */
        return moved;
    }
    if (size <= found.size) {
        loosen(heap, &found, alignment, size);
        annotate_resized(block, before, size, found.size);
        return block;
    }
    heap->failures++;
    return NULL;
}

/* ---- Asking ---- */

size_t PLAIN(good_size)(const struct knoll_heap *heap, size_t alignment, size_t size)
{
    (void)heap; /* every heap of a profile rounds alike */
    if (!is_power_of_two(alignment))
        return 0;
    unsigned size_class = class_for(alignment, size);
    if (size_class != CLASS_LARGE)
        return class_size(size_class);
    size_t length = knoll_large_length(alignment, size);
    /* not covered: the second is for 32 bits, where the numbers reach further than addresses */
    return length > INDEX_MASK || length > SIZE_MAX >> KNOLL_UNIT_SHIFT ? 0 : length << KNOLL_UNIT_SHIFT;
}

size_t PLAIN(usable_size)(const struct knoll_heap *heap, const void *block)
{
    struct block found;
    if (block == NULL || !find_or_report(heap, block, &found))
        return 0;
    annotate_opened(block, found.size);
    return found.size;
}

int knoll_owns(const struct knoll_heap *heap, const void *address)
{
    return knoll_region_search(heap, address) != NULL;
}

size_t knoll_total_bytes(const struct knoll_heap *heap)
{
    return heap->total;
}

size_t PLAIN(used_bytes)(const struct knoll_heap *heap)
{
    return heap->peak - heap->headroom;
}

size_t PLAIN(available_bytes)(const struct knoll_heap *heap)
{
    return heap->total - PLAIN(used_bytes)(heap);
}
