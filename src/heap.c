/* The heap's public functions: routing, accounting, and reallocation.
 *
 * A request goes to the smallest class that holds both its size and its alignment; what no class holds is served by a
 * run. All requests and all frees pass through account_taken and account_given, so used, peak and the counts are exact
 * at every moment. Addresses are verified before anything is changed, so a fault leaves the heap as it was.
 *
 * Reallocation keeps a block where it is just if the new size would be served by a block of the same size, so a block's
 * size always tells what it was last asked for, and knoll_free_sized can hold callers to it. The exception is a block
 * that must shrink into another class while there is no memory for the copy: it stays and is marked as loose, because
 * shrinking must not fail.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "pages.h"

/* ---- Making a heap ---- */

static void add_region(struct knoll_heap *heap, void *start, size_t size)
{
    knoll_pages_add(heap, knoll_region_make(heap, start, size));
}

int knoll_init(struct knoll_heap *heap, void *start, size_t size)
{
    int error = knoll_region_limits(heap, start, size, KNOLL_MINIMUM_HEAP);
    if (error != KNOLL_OK)
        return error;
    __builtin_memset(heap, 0, sizeof *heap);
    add_region(heap, start, size);
    return KNOLL_OK;
}

int knoll_add_memory(struct knoll_heap *heap, void *start, size_t size)
{
    int error = knoll_region_limits(heap, start, size, KNOLL_PAGE);
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

static void report(const struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    if (heap->fault_handler == NULL)
        __builtin_trap();
    heap->fault_handler((struct knoll_heap *)(uintptr_t)heap, fault,
                        address); /* the handler owns what the caller owns */
}

/* Finds a block and reports the fault if there is none. */
static bool find_or_report(const struct knoll_heap *heap, const void *address, struct block *block)
{
    bool found = block_find(heap, address, block);
    if (!found)
        report(heap, knoll_address_fault(heap, address), address);
    return found;
}

/* ---- Allocating ---- */

static void account_used(struct knoll_heap *heap, size_t more)
{
    heap->used += more;
    if (heap->used > heap->peak)
        heap->peak = heap->used;
}

/* Remembers that the slab of a block that was just taken from it has one of this alignment, and flags. */
static void note(const struct knoll_heap *heap, const void *address, size_t alignment, uint32_t flags)
{
    struct slab_place place;
    const struct knoll_region *region = region_of_address(heap, address);
    if (region == NULL || !slab_find(region, address, &place))
        return;
    slab_note_alignment(&place, alignment);
    place.slab[CELL_ATTRIBUTES] |= flags;
}

/* Serves a request that memory does not suffice to serve as it should be: from the next larger class that has a free
 * block with this alignment, or by a run. */
static void *take_otherwise(struct knoll_heap *heap, unsigned size_class, size_t alignment, size_t size, size_t *usable)
{
    for (unsigned i = size_class + 1; i < KNOLL_CLASS_COUNT; i++) {
        size_t block_size = knoll_classes[i].size;
        if (heap->size_class[i].partial != NOWHERE && (block_size & (alignment - 1)) == 0) {
            void *block = slab_take(heap, i);
            note(heap, block, 1, SLAB_LOOSE); /* no larger class than the smallest has tiny slabs */
            *usable = block_size;
            return block;
        }
    }
    return knoll_large_take(heap, alignment, size, true, usable);
}

static void *account_new(struct knoll_heap *heap, void *block, size_t usable)
{
    heap->allocations++;
    account_used(heap, usable);
    return block;
}

/* Serves a request that its class, if it has one, has no block for. */
static void *take_slowly(struct knoll_heap *heap, unsigned size_class, size_t alignment, size_t size)
{
    size_t usable;
    void *block = size_class == CLASS_LARGE ? knoll_large_take(heap, alignment, size, false, &usable)
                                            : take_otherwise(heap, size_class, alignment, size, &usable);
    if (block == NULL)
        return NULL;
    if (size_class != CLASS_LARGE && alignment > 16)
        note(heap, block, alignment, 0);
    return account_new(heap, block, usable);
}

/* Serves a request without counting a failure. Alignment is a power of two. */
static void *take(struct knoll_heap *heap, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    void *block = size_class == CLASS_LARGE ? NULL : slab_take(heap, size_class);
    if (block == NULL)
        return take_slowly(heap, size_class, alignment, size);
    if (alignment > 16)
        note(heap, block, alignment, 0);
    return account_new(heap, block, knoll_classes[size_class].size);
}

void *knoll_aligned_alloc(struct knoll_heap *heap, size_t alignment, size_t size)
{
    void *block = is_power_of_two(alignment) ? take(heap, alignment, size) : NULL;
    if (block == NULL)
        heap->failures++;
    return block;
}

void *knoll_malloc(struct knoll_heap *heap, size_t size)
{
    unsigned size_class = class_for(1, size);
    void *block = size_class == CLASS_LARGE ? NULL : slab_take(heap, size_class);
    if (block != NULL)
        return account_new(heap, block, knoll_classes[size_class].size);
    block = take_slowly(heap, size_class, 1, size);
    if (block == NULL)
        heap->failures++;
    return block;
}

void *knoll_calloc(struct knoll_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* which no heap holds */
    void *block = knoll_malloc(heap, bytes);
    if (block != NULL)
        __builtin_memset(block, 0, bytes);
    return block;
}

/* ---- Freeing ---- */

static void give(struct knoll_heap *heap, const struct block *block)
{
    heap->used -= block->size;
    if (block->place.slab == NULL)
        knoll_large_give(heap, block->place.number);
    else
        slab_give(heap, &block->place);
}

/* Frees what is no slab's block: a large block, or a fault. */
static void free_other(struct knoll_heap *heap, struct knoll_region *region, void *block)
{
    struct block found;
    if (block == NULL)
        return;
    if (region != NULL && knoll_block_find_large(region, block, &found))
        give(heap, &found);
    else
        report(heap, knoll_address_fault(heap, block), block);
}

void knoll_free(struct knoll_heap *heap, void *block)
{
    struct slab_place place;
    struct knoll_region *region = region_of_address(heap, block);
    if (region != NULL && slab_find(region, block, &place) && !slab_holds_free(&place)) {
        heap->used -= knoll_classes[attributes_class(place.attributes)].size;
        slab_give(heap, &place);
    } else {
        free_other(heap, region, block);
    }
}

void knoll_free_sized(struct knoll_heap *heap, void *block, size_t size)
{
    knoll_free_aligned_sized(heap, block, 1, size);
}

void knoll_free_aligned_sized(struct knoll_heap *heap, void *block, size_t alignment, size_t size)
{
    struct block found;
    if (block == NULL || !find_or_report(heap, block, &found))
        return;
    if (!knoll_block_fits(heap, block, &found, alignment, size))
        report(heap, KNOLL_FAULT_SIZE, block);
    else
        give(heap, &found);
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
        heap->used -= block->size - size;
    block->size = size;
    return true;
}

/* Keeps a block that could not move where it is, as short as it can be made there. */
static void loosen(struct knoll_heap *heap, struct block *block, size_t alignment, size_t size)
{
    if (block->place.slab != NULL) {
        if (!slab_is_tiny(
                block->place.slab)) /* there is no smaller class, so the block cannot have been asked to shrink */
            block->place.slab[CELL_ATTRIBUTES] |= SLAB_LOOSE;
        return;
    }
    resize_in_place(heap, block, knoll_large_length(alignment, size));
    *entry_of(heap, block->place.number) |= RUN_LOOSE;
}

/* Whether the block can serve this request where it is, having been made shorter or longer if it is a run. */
static bool stays(struct knoll_heap *heap, struct block *block, size_t alignment, size_t size)
{
    unsigned size_class = class_for(alignment, size);
    if (block->place.slab != NULL)
        return size_class == attributes_class(block->place.attributes);
    if (size_class != CLASS_LARGE || size > heap->total)
        return false;
    size_t length = knoll_large_length(alignment, size);
    uint32_t *run = entry_of(heap, block->place.number);
    if (length << KNOLL_UNIT_SHIFT == block->size || resize_in_place(heap, block, length))
        *run &= ~RUN_LOOSE;
    else if (length << KNOLL_UNIT_SHIFT < block->size)
        *run |= RUN_LOOSE; /* by a unit, which alone is no run */
    else
        return false;
    return true;
}

void *knoll_realloc(struct knoll_heap *heap, void *block, size_t size)
{
    struct block found;
    if (block == NULL)
        return knoll_malloc(heap, size);
    if (!find_or_report(heap, block, &found))
        return NULL;
    size_t alignment = block_alignment(heap, &found);
    if (stays(heap, &found, alignment, size))
        return block;

    void *moved = take(heap, alignment, size);
    if (moved != NULL) {
        __builtin_memcpy(moved, block, size < found.size ? size : found.size);
        give(heap, &found); /* still where it was found: taking moves nothing */
        return moved;
    }
    if (size <= found.size) {
        loosen(heap, &found, alignment, size);
        return block;
    }
    heap->failures++;
    return NULL;
}

/* ---- Asking ---- */

size_t knoll_good_size(const struct knoll_heap *heap, size_t alignment, size_t size)
{
    (void)heap; /* every heap of a profile rounds alike */
    if (!is_power_of_two(alignment))
        return 0;
    unsigned size_class = class_for(alignment, size);
    if (size_class != CLASS_LARGE)
        return knoll_classes[size_class].size;
    size_t length = knoll_large_length(alignment, size);
    return length > INDEX_MASK || length > SIZE_MAX >> KNOLL_UNIT_SHIFT ? 0 : length << KNOLL_UNIT_SHIFT;
}

size_t knoll_usable_size(const struct knoll_heap *heap, const void *block)
{
    struct block found;
    return block != NULL && find_or_report(heap, block, &found) ? found.size : 0;
}

size_t knoll_total_bytes(const struct knoll_heap *heap)
{
    return heap->total;
}

size_t knoll_used_bytes(const struct knoll_heap *heap)
{
    return heap->used;
}

size_t knoll_available_bytes(const struct knoll_heap *heap)
{
    return heap->total - heap->used;
}
