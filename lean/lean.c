/* knoll lean: allocating and freeing, in as little code as can be.
 *
 * A request goes to the list of the least power of two that holds its size and alignment. Below the length of a unit
 * that is a slab's: the first of the list has a free block, and its lowest one is taken; a slab without one is in no
 * list. From there on it is a buddy allocator's (Knowlton 1965): the first run of the lowest list that has one is
 * halved until it is as short as is asked for; what comes free merges with its buddy, the other half of the run twice
 * as long, while that is free and whole. Lists are rings through their heads, so that nobody asks where one ends.
 *
 * A unit that comes free is kept as the spare, in the place of the one before, and is the next slab or run of a unit:
 * so who holds now one block, now none, does not halve and merge runs each time. A longer run is looked for only after
 * the spare was given back. So a request fails just if there is no free block of its length and no free run that
 * suffices, and with nothing held but the spare all else is merged.
 *
 * What several places need is a function that is not copied into them. Some of it is written as it is because that
 * takes fewest bytes: all of knoll_lean_init_for, knoll_lean_malloc, knoll_lean_aligned_alloc and knoll_lean_free is to
 * stay under what tools/footprint holds it to.
 *
 * SPDX-License-Identifier: MIT */
#include "../src/bits.h"
#include "lean_tables.h"

/* What is not to be copied into each place that needs it, where bytes count; and what is, because a call with all that
 * is saved and restored for it would be as many. */
#ifdef __OPTIMIZE_SIZE__
#define SHARED static __attribute__((noinline))
#define COPIED static inline __attribute__((always_inline))
#else
#define SHARED static inline
#define COPIED static
#endif

/* ---- Words ---- */

/* The position of the lowest set bit; the word is not 0. */
#if KNOLL_COUNTS_IN_SOFTWARE
SHARED size_t lowest(uintptr_t word)
{
    size_t position = 0;
    word &= 0 - word;
    for (size_t half = WORD_BITS / 2; half != 0; half /= 2) { /* at most WORD_SHIFT rounds */
        if (word >> half != 0) {
            word >>= half;
            position += half;
        }
    }
    return position;
}

/* The list of the shortest blocks whose last byte is this one or one behind it, which one's is. */
static inline size_t list_for(size_t last)
{
    size_t list = 0;
    while (last >= block_size(list)) /* at most LISTS - 1 rounds */
        list++;
    return list;
}
#else
static inline size_t lowest(uintptr_t word)
{
    return WORD_BITS == 64 ? bits_lowest(word) : bits_lowest32((uint32_t)word);
}

static inline size_t list_for(size_t last)
{
    uintptr_t halves = last >> (KNOLL_LEAN_SHIFT - 1) | 1; /* of the smallest block */
    return WORD_BITS == 64 ? bits_highest(halves) : bits_highest32((uint32_t)halves);
}
#endif

/* ---- Lists ---- */

/* Makes the unit the first of this list, as which it is of this kind. */
SHARED void push(struct knoll_lean_heap *heap, struct knoll_lean_unit *unit, size_t list, uintptr_t kind)
{
    struct knoll_lean_link *head = &heap->list[list];
    unit->state = kind + list;
    unit->link.prev = head;
    unit->link.next = head->next;
    head->next->prev = &unit->link;
    head->next = &unit->link;
}

/* Takes what has this link out of its list. */
SHARED struct knoll_lean_unit *pull(struct knoll_lean_link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    return unit_of(link);
}

/* ---- Runs ---- */

/* The region that this address is in, be it a block or a unit's entry; NULL if it is in none. */
SHARED struct knoll_lean_unit *region_of(const struct knoll_lean_heap *heap, const void *address)
{
    struct knoll_lean_unit *region = heap->region;
    /* at most REGIONS rounds: as many as there are */
    while (region != NULL && (uintptr_t)address - (uintptr_t)region >= region_bytes(region))
        region = region_before(region);
    return region;
}

/* The region of a unit's entry, which is in one. */
static inline struct knoll_lean_unit *region_with(const struct knoll_lean_heap *heap,
                                                  const struct knoll_lean_unit *unit)
{
    struct knoll_lean_unit *region = region_of(heap, unit);
    /* not covered: the compiler is told that it is in one */
    if (region == NULL)
        __builtin_unreachable(); /* not covered: the same */
    return region;
}

/* Makes a run free, and merges it with what is free beside it. Entries are counted such that a unit's number in the
 * whole address space, which buddies differ in by one bit, is told by its entry's. */
SHARED void give(struct knoll_lean_heap *heap, struct knoll_lean_unit *unit, size_t list)
{
    struct knoll_lean_unit *region = region_with(heap, unit);
    uintptr_t bias = (uintptr_t)region - ((uintptr_t)region >> TABLE_SHIFT);
    uintptr_t place = (uintptr_t)unit - bias;
    for (;; list++) { /* at most LISTS - WORD_SHIFT rounds: no region has two of the longest runs */
        uintptr_t other = place ^ block_size(list) >> TABLE_SHIFT;
        struct knoll_lean_unit *buddy = (struct knoll_lean_unit *)(other + bias);
        if ((uintptr_t)buddy - (uintptr_t)region >= region_bytes(region) >> TABLE_SHIFT || buddy->state != FREE + list)
            break;
        (void)pull(&buddy->link);
        place &= other;
    }
    push(heap, (struct knoll_lean_unit *)(place + bias), list, FREE);
}

/* Takes a run of this list's length, which is HELD then; NULL if there is none. */
SHARED struct knoll_lean_unit *take(struct knoll_lean_heap *heap, size_t list)
{
    struct knoll_lean_unit *unit = heap->spare;
    heap->spare = NULL;
    if (unit == NULL || list != WORD_SHIFT) {
        if (unit != NULL)
            give(heap, unit, WORD_SHIFT);
        size_t from = list;
        while (heap->list[from].next == &heap->list[from]) /* at most LISTS - WORD_SHIFT rounds */
            if (++from == LISTS)
                return NULL;
        unit = pull(heap->list[from].next);
        while (from > list) { /* at most LISTS - WORD_SHIFT - 1 rounds */
            from--;
            push(heap, unit_after(unit, block_size(from)), from, FREE);
        }
    }
    unit->state = HELD + list;
    return unit;
}

/* ---- Making a heap ---- */

/* The first limit that this span breaks, or KNOLL_OK. */
static inline int limits(const struct knoll_lean_heap *heap, const void *start, size_t size)
{
    uintptr_t address = (uintptr_t)start;
    if (heap == NULL || start == NULL)
        return KNOLL_ERROR_NULL;
    if (address % UNIT != 0)
        return KNOLL_ERROR_ALIGNMENT;
    if (size < 2 * UNIT)
        return KNOLL_ERROR_TOO_SMALL;
    if (size % UNIT != 0)
        return KNOLL_ERROR_NOT_PAGES;
    if (address + (size - 1) < address || is_too_long(size))
        return KNOLL_ERROR_TOO_LARGE;
    if ((uintptr_t)heap - address < size || address - (uintptr_t)heap < sizeof *heap)
        return KNOLL_ERROR_OVERLAP;
    for (const struct knoll_lean_unit *region = heap->region; region != NULL; region = region_before(region))
        if (address - (uintptr_t)region < region_bytes(region) || (uintptr_t)region - address < size)
            return KNOLL_ERROR_OVERLAP; /* at most REGIONS rounds */
    return KNOLL_OK;
}

int knoll_lean_add_memory(struct knoll_lean_heap *heap, void *start, size_t size)
{
    int error = limits(heap, start, size);
    if (error != KNOLL_OK)
        return error;
    struct knoll_lean_unit *region = start;
    __builtin_memset(region, 0, table_bytes(size));
    region->word = size;
    region->link.next = heap->region == NULL ? NULL : &heap->region->link;
    heap->region = region;
    struct knoll_lean_unit *end = unit_after(region, size);
    for (struct knoll_lean_unit *unit = unit_after(region, table_bytes(size)); unit < end; unit++) /* of all units */
        give(heap, unit, WORD_SHIFT);
    return KNOLL_OK;
}

int knoll_lean_init_for(struct knoll_lean_heap *heap, void *start, size_t size, uint32_t knobs)
{
    if (knobs != KNOLL_LEAN_KNOBS)
        return KNOLL_ERROR_KNOBS;
    if (heap == NULL)
        return KNOLL_ERROR_NULL;
    heap->region = NULL;
    heap->spare = NULL;
    heap->used = 0;
    heap->fault_handler = NULL;
    for (size_t list = 0; list < LISTS; list++) { /* LISTS rounds */
        struct knoll_lean_link *head = &heap->list[list];
        head->next = head;
        head->prev = head;
    }
    return knoll_lean_add_memory(heap, start, size);
}

void knoll_lean_set_fault_handler(struct knoll_lean_heap *heap, knoll_lean_fault_handler handler)
{
    heap->fault_handler = handler;
}

/* ---- Allocating ---- */

void *knoll_lean_aligned_alloc(struct knoll_lean_heap *heap, size_t alignment, size_t size)
{
    size_t past = alignment - 1;
    size_t last = size > past ? size - 1 : past; /* byte of the block; for an alignment of 0 beyond all */
    if (((alignment & past) | last >> KNOLL_LEAN_SHIFT >> (LISTS - 1)) != 0)
        return NULL;
    size_t list = list_for(last);
    struct knoll_lean_link *first = heap->list[list].next;
    struct knoll_lean_unit *unit = unit_of(first);
    bool is_slab = list < WORD_SHIFT;
    if (!is_slab || first == &heap->list[list]) {
        unit = take(heap, is_slab ? WORD_SHIFT : list);
        if (unit == NULL)
            return NULL;
        if (is_slab) {
            unit->word = all_blocks(list);
            push(heap, unit, list, HELD);
        }
    }
    size_t before = 0; /* bytes of its unit */
    if (is_slab) {
        before = lowest(unit->word) << KNOLL_LEAN_SHIFT;
        unit->word &= unit->word - 1;
        if (unit->word == 0)
            (void)pull(&unit->link);
    }
    heap->used += block_size(list);
    return (void *)(address_of(region_with(heap, unit), unit) + before);
}

void *knoll_lean_malloc(struct knoll_lean_heap *heap, size_t size)
{
    return knoll_lean_aligned_alloc(heap, 1, size);
}

void *knoll_lean_calloc(struct knoll_lean_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *block = knoll_lean_malloc(heap, bytes);
    if (block != NULL)
        __builtin_memset(block, 0, bytes);
    return block;
}

/* ---- Freeing ---- */

/* Whether a block that is held starts at this address, which is in this unit. */
static inline bool is_held(const struct knoll_lean_unit *unit, uintptr_t address)
{
    size_t list = list_held(unit);
    return list < LISTS && (address & (block_size(list) - 1)) == 0 &&
           (list >= WORD_SHIFT || (unit->word & bit_of(address)) == 0);
}

/* The unit of the block that starts at this address and is held. NULL if there is none; that is reported, but for NULL.
 * At rung 0 only that the address is in a region is verified, and nothing reported. */
COPIED struct knoll_lean_unit *find(struct knoll_lean_heap *heap, const void *block)
{
    struct knoll_lean_unit *region = region_of(heap, block);
    uintptr_t address = (uintptr_t)block;
    enum knoll_fault fault = KNOLL_FAULT_FOREIGN;
    if (region != NULL) {
        struct knoll_lean_unit *unit = unit_at(region, address);
        if (KNOLL_HARDEN == 0 || is_held(unit, address))
            return unit;
        fault = KNOLL_FAULT_NOT_HANDED_OUT;
    }
    if (KNOLL_HARDEN == 0 || block == NULL)
        return NULL;
    if (heap->fault_handler == NULL) /* not covered: tests/traps.c has processes that end so */
        __builtin_trap();            /* not covered: the same */
    heap->fault_handler(heap, fault, block);
    return NULL;
}

void knoll_lean_free(struct knoll_lean_heap *heap, void *block)
{
    struct knoll_lean_unit *unit = find(heap, block);
    if (unit == NULL)
        return;
    size_t list = list_held(unit);
    heap->used -= block_size(list);
    if (list < WORD_SHIFT) {
        if (unit->word == 0)
            push(heap, unit, list, HELD);
        unit->word |= bit_of((uintptr_t)block);
        if (!are_all(unit->word, list))
            return;
        (void)pull(&unit->link);
        list = WORD_SHIFT;
    }
    unit->state = NOTHING;
    if (list == WORD_SHIFT) {
        struct knoll_lean_unit *before = heap->spare;
        heap->spare = unit;
        unit = before;
    }
    if (unit != NULL)
        give(heap, unit, list);
}

void *knoll_lean_realloc(struct knoll_lean_heap *heap, void *block, size_t size)
{
    if (block == NULL)
        return knoll_lean_malloc(heap, size);
    size_t before = knoll_lean_usable_size(heap, block);
    if (before == 0)
        return NULL;
    if (size <= before && (size > before / 2 || before == block_size(0)))
        return block;
    void *moved = knoll_lean_malloc(heap, size);
    if (moved == NULL)
        return size <= before ? block : NULL;
    __builtin_memcpy(moved, block, size < before ? size : before);
    knoll_lean_free(heap, block);
    return moved;
}

/* ---- Asking ---- */

size_t knoll_lean_usable_size(struct knoll_lean_heap *heap, const void *block)
{
    const struct knoll_lean_unit *unit = find(heap, block);
    return unit == NULL ? 0 : block_size(list_held(unit));
}

size_t knoll_lean_used_bytes(const struct knoll_lean_heap *heap)
{
    return heap->used;
}

size_t knoll_lean_total_bytes(const struct knoll_lean_heap *heap)
{
    size_t total = 0;
    for (const struct knoll_lean_unit *region = heap->region; region != NULL; region = region_before(region))
        total += region_bytes(region) - table_bytes(region_bytes(region));
    return total;
}
