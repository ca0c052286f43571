/* Rung 2 of hardening: the public functions that hand out, change and take back blocks.
 *
 * They stand on those of heap.c, under the names that plain.h gives, and ask them for whole blocks: the caller's bytes
 * with a front part before and a canary after them (guards.h). What a caller names is believed only if its front part
 * and the tables agree (evidence.h), and both guards are verified before anything is done. So a write past either end
 * of a block is found at its free at the latest, and the size that was asked for is known exactly.
 *
 * Invariant: all memory of the regions that is not in their tables, not in a block that a caller holds and not a front
 * part in quarantine holds the fill. It is written when memory is added and when a block is freed, and verified when
 * memory is handed out, however it was cut and merged in between. So a write after free is found in whatever block the
 * memory is next, and fresh memory never shows what was in it before. A write that is found so is not the fault of the
 * call that finds it: it is reported, the fill is put right, and the call goes on.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_HARDEN >= 2

#include "accounts.h"
#include "plain.h"
#include "quarantine.h"

#ifdef KNOLL_CALLER_HOOK
uintptr_t KNOLL_CALLER_HOOK(void);
#define CALLER() KNOLL_CALLER_HOOK()
#else
#define CALLER() ((uintptr_t)__builtin_return_address(0))
#endif

/* ---- Making a heap ---- */

static void fill_region(const struct knoll_region *region)
{
    unsigned char *start = region_base(region);
    if (!KNOLL_MEMORY_IS_ZERO) /* which holds it already */
        knoll_fill(start + ((size_t)region->first << KNOLL_UNIT_SHIFT),
                   start + ((size_t)region->count << KNOLL_UNIT_SHIFT));
}

int knoll_init_for(struct knoll_heap *heap, void *start, size_t size, uint32_t knobs)
{
    int error = PLAIN(init_for)(heap, start, size, knobs);
    if (error == KNOLL_OK) {
        heap->secret = knoll_guard_secret(heap, start);
        fill_region(heap->region[0]);
    }
    return error;
}

int knoll_add_memory(struct knoll_heap *heap, void *start, size_t size)
{
    int error = PLAIN(add_memory)(heap, start, size);
    if (error == KNOLL_OK)
        fill_region(heap->region[heap->region_count - 1]);
    return error;
}

void knoll_set_secret(struct knoll_heap *heap, uintptr_t secret)
{
    if (heap->allocations == 0)
        heap->secret = secret;
}

void knoll_set_tag(struct knoll_heap *heap, uintptr_t tag)
{
    heap->tag = tag;
}

void knoll_drain(struct knoll_heap *heap)
{
    while (knoll_quarantine_let_go(heap, CALLER())) /* at most KNOLL_QUARANTINE_BLOCKS rounds */
        continue;
}

/* ---- Allocating ---- */

static unsigned log2_of(size_t alignment)
{
    return bits_highest(alignment | (size_t)1 << GUARD_LOG2_LEAST);
}

/* The bytes of a block for this request, guards included; SIZE_MAX, which no heap has, if they are too many. */
static size_t whole_size(unsigned log2, size_t size)
{
    size_t guards = guard_distance(log2) + CANARY_LEAST;
    return size > SIZE_MAX - guards ? SIZE_MAX : size + guards;
}

/* Describes the block that was taken for this request; false if the tables, which must be broken, say that it is none,
 * or one that cannot serve. */
static bool describe_taken(const struct knoll_heap *heap, unsigned log2, size_t whole, struct guarded *guarded)
{
    if (!knoll_block_find(heap, guarded->start, &guarded->block) || guarded->block.size < whole)
        return false;
    guarded->end = guarded->start + guarded->block.size;
    guarded->user = guarded->start + guard_distance(log2);
    return ((uintptr_t)guarded->start & (((uintptr_t)1 << log2) - 1)) == 0;
}

/* Takes a block, all of which holds the fill, emptying the quarantine as far as it takes; false if memory does not
 * suffice, or if what was taken is no block: then the tables are broken, which is reported, and it is left alone. */
static bool take_filled(struct knoll_heap *heap, unsigned log2, size_t whole, uintptr_t caller, struct guarded *guarded)
{
    for (;;) { /* a round for each block in quarantine and, where fill is broken, one for each free block */
        size_t allocations = heap->allocations;
        guarded->start = PLAIN(aligned_alloc)(heap, (size_t)1 << log2, whole);
        if (guarded->start == NULL) {
            if (!knoll_quarantine_let_go(heap, caller))
                return false;
            continue;
        }
        if (!describe_taken(heap, log2, whole, guarded)) {
            knoll_evidence_of_address(heap, guarded->start, caller);
            return false;
        }
        const unsigned char *broken = knoll_fill_broken(guarded->start, guarded->end);
        if (broken == NULL)
            return true;
        PLAIN(free)(heap, guarded->start); /* so the heap is as it was when this is reported */
        heap->allocations = allocations;
        knoll_evidence(heap, KNOLL_FAULT_WRITE_AFTER_FREE, broken, caller, guarded, broken, NULL);
        knoll_fill(guarded->start, guarded->end);
    }
}

static void raise_peak_held(struct knoll_heap *heap)
{
    size_t held = knoll_used_bytes(heap);
    if (held > heap->peak_held)
        heap->peak_held = held;
}

static void write_guards(const struct knoll_heap *heap, const struct guarded *guarded, unsigned log2, size_t size,
                         uintptr_t caller)
{
    struct guard_front *front = guard_front_of(guarded->user);
    front->size = size;
    front->caller = caller;
    front->notes = heap->tag << GUARD_TAG_SHIFT | log2;
    guard_set_number(heap, front);
    knoll_guard_seal(heap, guarded->user);
    knoll_guard_close(heap, guarded->user, guarded->end);
}

/* Serves a request without counting a failure. */
static unsigned char *take_guarded(struct knoll_heap *heap, unsigned log2, size_t size, uintptr_t caller)
{
    struct guarded guarded;
    size_t failures = heap->failures;
    bool taken = take_filled(heap, log2, whole_size(log2, size), caller, &guarded);
    heap->failures = failures; /* the attempts do not count */
    if (!taken)
        return NULL;
    write_guards(heap, &guarded, log2, size, caller);
    raise_peak_held(heap);
    return guarded.user;
}

static void *allocate(struct knoll_heap *heap, size_t alignment, size_t size, uintptr_t caller)
{
    void *block = is_power_of_two(alignment) ? take_guarded(heap, log2_of(alignment), size, caller) : NULL;
    heap->failures += block == NULL;
    return block;
}

void *knoll_malloc(struct knoll_heap *heap, size_t size)
{
    return allocate(heap, 1, size, CALLER());
}

void *knoll_aligned_alloc(struct knoll_heap *heap, size_t alignment, size_t size)
{
    return allocate(heap, alignment, size, CALLER());
}

void *knoll_calloc(struct knoll_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* which no heap holds */
    void *block = allocate(heap, 1, bytes, CALLER());
    if (block != NULL)
        __builtin_memset(block, 0, bytes);
    return block;
}

size_t knoll_malloc_batch(struct knoll_heap *heap, size_t size, size_t count, void **blocks)
{
    size_t taken = 0;
    while (taken < count && (blocks[taken] = allocate(heap, 1, size, CALLER())) != NULL) /* at most count rounds */
        taken++;
    return taken;
}

/* ---- Freeing ---- */

static void retire(struct knoll_heap *heap, const struct guarded *guarded, uintptr_t caller)
{
    knoll_quarantine_put(heap, guarded, (struct knoll_origin){caller, heap->tag});
}

static void free_block(struct knoll_heap *heap, void *block, uintptr_t caller)
{
    struct guarded guarded;
    if (block != NULL && knoll_guarded_verify(heap, block, caller, &guarded))
        retire(heap, &guarded, caller);
}

/* Frees a block if it was asked for with this size and, unless it is 0, alignment. */
static void free_as(struct knoll_heap *heap, void *block, size_t alignment, size_t size, uintptr_t caller)
{
    struct guarded guarded;
    if (block == NULL || !knoll_guarded_verify(heap, block, caller, &guarded))
        return;
    const struct guard_front *front = guard_front_of(guarded.user);
    if (front->size != size || (alignment != 0 && log2_of(alignment) != guard_log2(front)))
        knoll_evidence(heap, KNOLL_FAULT_SIZE, block, caller, &guarded, NULL, NULL);
    else
        retire(heap, &guarded, caller);
}

void knoll_free(struct knoll_heap *heap, void *block)
{
    free_block(heap, block, CALLER());
}

void knoll_free_sized(struct knoll_heap *heap, void *block, size_t size)
{
    free_as(heap, block, 0, size, CALLER());
}

void knoll_free_aligned_sized(struct knoll_heap *heap, void *block, size_t alignment, size_t size)
{
    free_as(heap, block, alignment, is_power_of_two(alignment) ? size : SIZE_MAX, CALLER()); /* no block has that */
}

void knoll_free_batch(struct knoll_heap *heap, void *const *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_block(heap, blocks[i], CALLER());
}

/* ---- Reallocating ---- */

/* Makes the run so many units long where it lies. What it gives up is filled; what it gains must hold the fill, and is
 * put right and reported if it does not. */
static bool resize_run(struct knoll_heap *heap, struct guarded *guarded, size_t length, uintptr_t caller)
{
    uint32_t number = guarded->block.place.number;
    size_t size = length << KNOLL_UNIT_SHIFT;
    unsigned char *end = guarded->start + size;
    const unsigned char *broken;
    if (size < guarded->block.size)
        knoll_fill(end, guarded->end);
    do { /* at most two rounds: after the first the fill is right */
        if (!knoll_large_resize(heap, number, (uint32_t)length))
            return false;
        broken = size > guarded->block.size ? knoll_fill_broken(guarded->end, end) : NULL;
        if (broken != NULL) { /* the heap is made as it was when this is reported */
            (void)knoll_large_resize(heap, number, (uint32_t)(guarded->block.size >> KNOLL_UNIT_SHIFT));
            knoll_evidence(heap, KNOLL_FAULT_WRITE_AFTER_FREE, broken, caller, NULL, broken, NULL);
            knoll_fill(guarded->end, end);
        }
    } while (broken != NULL);
    if (size < guarded->block.size)
        heap->headroom += guarded->block.size - size;
    else
        account_used(heap, size - guarded->block.size);
    guarded->end = end;
    return true;
}

/* Whether the block can serve a request of `whole` bytes where it is, having been made shorter or longer if it is a
 * run. */
static bool guarded_stays(struct knoll_heap *heap, struct guarded *guarded, unsigned log2, size_t whole,
                          uintptr_t caller)
{
    size_t alignment = (size_t)1 << log2;
    if (guarded->block.place.shape != NULL)
        return class_for(alignment, whole) == guarded->block.place.shape->size_class;
    if (class_for(alignment, whole) != CLASS_LARGE || whole > heap->total)
        return false;
    size_t length = knoll_large_length(alignment, whole);
    /* not covered: as in heap.c */
    if (length == 0 || length > INDEX_MASK)
        return false; /* not covered: the same */
    return length << KNOLL_UNIT_SHIFT == guarded->block.size || resize_run(heap, guarded, length, caller);
}

/* Keeps the block where it is although it is larger than it should be; false if it is smaller. */
static bool stays_anyway(struct knoll_heap *heap, struct guarded *guarded, unsigned log2, size_t whole,
                         uintptr_t caller)
{
    if (whole > guarded->block.size)
        return false;
    if (guarded->block.place.shape == NULL)
        (void)resize_run(heap, guarded, knoll_large_length((size_t)1 << log2, whole), caller);
    return true;
}

void *knoll_realloc(struct knoll_heap *heap, void *block, size_t size)
{
    struct guarded guarded;
    const uintptr_t from = CALLER(); /* which may be a hook of any name */
    if (block == NULL)
        return allocate(heap, 1, size, from);
    if (!knoll_guarded_verify(heap, block, from, &guarded))
        return NULL;
    size_t old_size = guard_front_of(guarded.user)->size;
    unsigned log2 = guard_log2(guard_front_of(guarded.user));
    size_t whole = whole_size(log2, size);
    if (!guarded_stays(heap, &guarded, log2, whole, from)) {
        void *moved = take_guarded(heap, log2, size, from);
        if (moved != NULL) {
            __builtin_memcpy(moved, block, size < old_size ? size : old_size);
            retire(heap, &guarded, from);
            return moved;
        }
        if (!stays_anyway(heap, &guarded, log2, whole, from)) {
            heap->failures++;
            return NULL;
        }
    }
    if (size > old_size) /* what it gains shows nothing of before */
        knoll_fill(guarded.user + old_size, guarded.user + size);
    write_guards(heap, &guarded, log2, size, from);
    raise_peak_held(heap);
    return block;
}

/* ---- Asking ---- */

size_t knoll_good_size(const struct knoll_heap *heap, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment))
        return 0;
    return PLAIN(good_size)(heap, alignment, whole_size(log2_of(alignment), size)) == 0 ? 0 : size;
}

size_t knoll_usable_size(const struct knoll_heap *heap, const void *block)
{
    struct guarded guarded;
    const uintptr_t from = CALLER(); /* which may be a hook of any name */
    if (block == NULL)
        return 0;
    if (knoll_guarded_find(heap, block, false, &guarded))
        return guard_front_of(guarded.user)->size;
    knoll_evidence_of_address(heap, block, from);
    return 0;
}

size_t knoll_used_bytes(const struct knoll_heap *heap)
{
    return PLAIN(used_bytes)(heap) - heap->quarantined_bytes;
}

size_t knoll_available_bytes(const struct knoll_heap *heap)
{
    return heap->total - knoll_used_bytes(heap);
}

#endif
