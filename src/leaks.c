/* Leaks: a conservative search for blocks that nothing refers to, as mark and sweep collectors do it.
 *
 * The marks are an array of the caller's, with four words of 32 bits for each group of units, as the page map is made
 * of groups (region.h). The first group of a slab has two words of 64 bits, one bit a block: which blocks were reached,
 * and which of those are still to be looked through. The first unit of a large run has a word that says both in two
 * bits, and all units of the run say in their words where it starts, so that an address inside a run leads to it at
 * once.
 *
 * What is to be looked through is on a small stack; what finds no room there stays pending, and when the stack is empty
 * the runs are gone through for it, round and round until nothing is pending. So nothing recurses, a list of any length
 * takes one place on the stack, and the memory needed has a bound.
 *
 * At rung 2 what is looked through and shown of a block is what its caller got (callers.h). An address in its front
 * part is no reference, or magazines, which know whole blocks, would keep some; and what is in quarantine is not held.
 *
 * SPDX-License-Identifier: MIT */
#include "annotate.h"
#include "blocks.h"
#include "callers.h"
#include "knoll_live.h"
#include "moment.h"

#define MARKS_PER_UNIT (4u >> GROUP_SHIFT)
#define MARK_REACHED   (1u << 31)
#define MARK_PENDING   (1u << 30)
#define MARK_START     INDEX_MASK

enum leaks_stage { LEAKS_BEGIN = 0, LEAKS_CLEAR, LEAKS_ROOTS, LEAKS_BLOCKS, LEAKS_VISIT, LEAKS_OVER };

static uint32_t *marks_of(const struct knoll_leaks *leaks, const struct knoll_region *region, uint32_t index)
{
    return leaks->marks[region->number] + (size_t)index * MARKS_PER_UNIT;
}

static uint64_t mark_word(const uint32_t *marks)
{
    return (uint64_t)marks[1] << 32 | marks[0];
}

static void set_mark_word(uint32_t *marks, uint64_t word)
{
    marks[0] = (uint32_t)word;
    marks[1] = (uint32_t)(word >> 32);
}

/* ---- Reaching ---- */

/* Whether this address in a block is one that its caller may have: the one after its last byte is, but none in what
 * else is round it. Of a block whose front part is broken any may be, and of one of no bytes too. */
static bool is_callers(const struct knoll_leaks *leaks, const unsigned char *start, size_t size, const void *address)
{
    struct knoll_item item;
    return knoll_callers_block(leaks->heap, start, size, &item) &&
           (uintptr_t)address - (uintptr_t)item.start <=
               (item.size != 0 ? item.size : size); /* no address before it is */
}

static void remember(struct knoll_leaks *leaks, const unsigned char *block)
{
    if (leaks->stacked < KNOLL_LEAKS_STACK)
        leaks->stack[leaks->stacked++] = block;
    else
        leaks->pending++;
}

static void reach_in_slab(struct knoll_leaks *leaks, const struct knoll_region *region, const struct slab_place *place,
                          const void *address)
{
    uint32_t within = (uint32_t)(uintptr_t)address & place->shape->low;
    uint32_t index = shape_block_around(place->shape, within);
    if (!bit_is_set(slab_held(place->slab), index))
        return;
    uint32_t *marks = marks_of(leaks, region, place->number & INDEX_MASK);
    const unsigned char *start = (const unsigned char *)address - within + block_offset(place->shape->size, index);
    if ((mark_word(marks) >> index & 1) != 0 || !is_callers(leaks, start, place->shape->size, address))
        return;
    set_mark_word(marks, mark_word(marks) | bit(index));
    if (leaks->stacked == KNOLL_LEAKS_STACK)
        set_mark_word(marks + 2, mark_word(marks + 2) | bit(index));
    remember(leaks, start);
}

/* Marks the block, if any is, in which this address lies. */
static void reach(struct knoll_leaks *leaks, const void *address)
{
    struct slab_place place;
    const struct knoll_region *region = region_of_address(leaks->heap, address);
    if (region == NULL)
        return;
    uint32_t index = (uint32_t)(region_offset(region, address) >> KNOLL_UNIT_SHIFT);
    if (index < region->first)
        return;
    if (slab_find(region, address, &place)) {
        reach_in_slab(leaks, region, &place, address);
        return;
    }
    uint32_t first = *marks_of(leaks, region, index) & MARK_START;
    uint32_t *mark = marks_of(leaks, region, first);
    const unsigned char *start = region_base(region) + ((size_t)first << KNOLL_UNIT_SHIFT);
    if (first == 0 || (*mark & MARK_REACHED) != 0 ||
        !is_callers(leaks, start, (size_t)run_length(region, first) << KNOLL_UNIT_SHIFT, address))
        return;
    *mark |= MARK_REACHED | (leaks->stacked == KNOLL_LEAKS_STACK ? MARK_PENDING : 0);
    remember(leaks, start);
}

static void look_through(struct knoll_leaks *leaks, const void *start, size_t size)
{
    uintptr_t first = ((uintptr_t)start + sizeof(any_word) - 1) & ~(sizeof(any_word) - 1);
    size_t skipped = first - (uintptr_t)start;
    size_t words = size < skipped ? 0 : (size - skipped) & ~(sizeof(any_word) - 1);
    leaks->next = (const unsigned char *)first;
    leaks->end = (const unsigned char *)(first + words); /* of a number: nothing may be added to NULL, be it 0 */
}

static void look_through_block(struct knoll_leaks *leaks, const unsigned char *start, size_t size)
{
    struct knoll_item item;
    if (knoll_callers_block(leaks->heap, start, size, &item)) /* not covered: what was reached is one */
        look_through(leaks, item.start, item.size);
}

/* Looks at the words from leaks->next to leaks->end as far as the budget allows. */
static __attribute__((no_sanitize_address)) void look_at_words(struct knoll_leaks *leaks)
{
    for (; leaks->next != leaks->end && leaks->left > 0; leaks->left--) {
        annotate_peek();
        uintptr_t word = *(const any_word *)__builtin_assume_aligned(leaks->next, sizeof(any_word));
        annotate_peeked(&word);
        leaks->next += sizeof word;
        reach(leaks, (const void *)word);
    }
}

/* ---- From run to run ---- */

/* The region that is gone through now, or NULL after the last one. */
static const struct knoll_region *region_now(struct knoll_leaks *leaks)
{
    const struct knoll_heap *heap = leaks->heap;
    if (leaks->region < heap->region_count && leaks->unit >= heap->region[heap->by_address[leaks->region]]->count) {
        leaks->region++;
        leaks->unit = 0;
    }
    if (leaks->region >= heap->region_count)
        return NULL;
    const struct knoll_region *region = heap->region[heap->by_address[leaks->region]];
    if (leaks->unit < region->first)
        leaks->unit = region->first;
    return region;
}

static void enter(struct knoll_leaks *leaks, enum leaks_stage stage)
{
    leaks->stage = stage;
    leaks->region = 0;
    leaks->unit = 0;
}

/* Makes the marks of a slab, or of the next unit of another run, say that nothing is reached. */
static void clear(struct knoll_leaks *leaks)
{
    const struct knoll_region *region = region_now(leaks);
    leaks->left--;
    if (region == NULL) {
        enter(leaks, LEAKS_ROOTS);
        return;
    }
    uint32_t index = leaks->unit;
    uint32_t *marks = marks_of(leaks, region, index);
    if (index >= leaks->run_end) {
        leaks->run_end = index + run_length(region, index);
        leaks->run = cell_kind(*region_entry(region, index)) == RUN_LARGE ? index : 0;
    }
    /* not covered: outside of slabs no cell says SLAB; if one is broken, the marks must stay in their bounds */
    if (cell_kind(*region_entry(region, index)) == RUN_SLAB && region_shape(region, index) >= SHAPE_SLAB) {
        __builtin_memset(marks, 0, 4 * sizeof *marks);
        leaks->unit = leaks->run_end;
    } else {
        *marks = leaks->run;
        leaks->unit++;
    }
    if (leaks->unit >= region->count)
        leaks->run_end = 0;
}

static void look_at_roots(struct knoll_leaks *leaks)
{
    leaks->left--;
    if (leaks->root == leaks->root_count) {
        enter(leaks, LEAKS_BLOCKS);
        return;
    }
    look_through(leaks, leaks->roots[leaks->root].start, leaks->roots[leaks->root].size);
    leaks->root++;
}

/* Looks for a block that is pending in the run here, and goes on to the next run if there is none. */
static void take_pending(struct knoll_leaks *leaks)
{
    const struct knoll_region *region = region_now(leaks);
    if (region == NULL) { /* once more from the start */
        enter(leaks, LEAKS_BLOCKS);
        return;
    }
    uint32_t *marks = marks_of(leaks, region, leaks->unit);
    const unsigned char *start = region_base(region) + ((size_t)leaks->unit << KNOLL_UNIT_SHIFT);
    enum run_kind kind = cell_kind(*region_entry(region, leaks->unit));
    if (kind == RUN_SLAB && mark_word(marks + 2) != 0) {
        const struct knoll_shape *shape = shape_of(region_shape(region, leaks->unit));
        unsigned index = bits_lowest(mark_word(marks + 2));
        set_mark_word(marks + 2, mark_word(marks + 2) & ~bit(index));
        leaks->pending--;
        look_through_block(leaks, start + block_offset(shape->size, index), shape->size);
    } else if (kind == RUN_LARGE && (*marks & MARK_PENDING) != 0) {
        *marks &= ~MARK_PENDING;
        leaks->pending--;
        look_through_block(leaks, start, (size_t)run_length(region, leaks->unit) << KNOLL_UNIT_SHIFT);
    } else {
        leaks->unit += run_length(region, leaks->unit);
    }
}

static void look_at_blocks(struct knoll_leaks *leaks)
{
    struct block block;
    leaks->left--;
    if (leaks->stacked != 0) {
        const unsigned char *address = leaks->stack[--leaks->stacked];
        /* not covered: what was reached is held until the heap changes, and then the search ends */
        if (knoll_block_find(leaks->heap, address, &block))
            look_through_block(leaks, address, block.size);
    } else if (leaks->pending != 0) {
        take_pending(leaks);
    } else {
        enter(leaks, LEAKS_VISIT);
    }
}

/* ---- Visiting ---- */

static int visit_leak(const struct knoll_leaks *leaks, const unsigned char *start, size_t size)
{
    struct knoll_item item;
    return knoll_callers_block(leaks->heap, start, size, &item) ? leaks->visitor(leaks->context, &item) : 0;
}

/* Visits the blocks of the run here that are held and were not reached. */
static void visit_run(struct knoll_leaks *leaks)
{
    const struct knoll_region *region = region_now(leaks);
    int stop = 0;
    leaks->left--;
    if (region == NULL) {
        leaks->stage = LEAKS_OVER;
        return;
    }
    uint32_t index = leaks->unit;
    uint32_t length = run_length(region, index);
    const uint32_t *marks = marks_of(leaks, region, index);
    const unsigned char *start = region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
    enum run_kind kind = cell_kind(*region_entry(region, index));
    leaks->unit += length;
    if (kind == RUN_LARGE && (*marks & MARK_REACHED) == 0)
        stop = visit_leak(leaks, start, (size_t)length << KNOLL_UNIT_SHIFT);
    if (kind == RUN_SLAB) {
        const struct knoll_shape *shape = shape_of(region_shape(region, index));
        uint64_t lost = slab_held(region_entry(region, index)) & ~mark_word(marks);
        for (; lost != 0 && stop == 0; lost &= lost - 1) /* at most 64 rounds */
            stop = visit_leak(leaks, start + block_offset(shape->size, bits_lowest(lost)), shape->size);
    }
    if (stop != 0)
        leaks->stage = LEAKS_OVER;
}

/* ---- The search ---- */

size_t knoll_leaks_bytes(const struct knoll_heap *heap)
{
    size_t units = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) /* at most KNOLL_REGIONS_MAX rounds */
        units += heap->region[i]->count;
    return units * MARKS_PER_UNIT * sizeof(uint32_t);
}

void knoll_leaks_begin(struct knoll_leaks *leaks, const struct knoll_heap *heap, void *marks,
                       const struct knoll_range *roots, size_t root_count, knoll_visitor visitor, void *context)
{
    uint32_t *next = marks;
    __builtin_memset(leaks, 0, sizeof *leaks);
    leaks->heap = heap;
    leaks->roots = roots;
    leaks->root_count = root_count;
    leaks->visitor = visitor;
    leaks->context = context;
    leaks->moment.regions = heap->region_count;
    for (uint32_t i = 0; i < heap->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        leaks->marks[i] = next;
        next += (size_t)heap->region[i]->count * MARKS_PER_UNIT;
    }
}

static void start_over(struct knoll_leaks *leaks)
{
    leaks->moment = moment_of(leaks->heap);
    leaks->stacked = 0;
    leaks->pending = 0;
    leaks->root = 0;
    leaks->run_end = 0;
    leaks->next = leaks->end = NULL;
    enter(leaks, LEAKS_CLEAR);
}

static void go_on(struct knoll_leaks *leaks)
{
    if (leaks->next != leaks->end)
        look_at_words(leaks);
    else if (leaks->stage == LEAKS_CLEAR)
        clear(leaks);
    else if (leaks->stage == LEAKS_ROOTS)
        look_at_roots(leaks);
    else if (leaks->stage == LEAKS_BLOCKS)
        look_at_blocks(leaks);
    else
        visit_run(leaks);
}

int knoll_leaks_slice(struct knoll_leaks *leaks, size_t budget)
{
    struct knoll_moment now = moment_of(leaks->heap);
    if (leaks->stage == LEAKS_OVER)
        return KNOLL_LEAKS_DONE;
    if (now.regions != leaks->moment.regions) /* there are no marks for one of them */
        return KNOLL_LEAKS_CHANGED;
    if (leaks->stage == LEAKS_BEGIN) {
        start_over(leaks);
    } else if (!moments_are_same(&now, &leaks->moment)) {
        leaks->stage = LEAKS_BEGIN;
        return KNOLL_LEAKS_CHANGED;
    }
    leaks->left = budget == 0 ? 1 : budget;
    while (leaks->left > 0 && leaks->stage != LEAKS_OVER) /* at most `budget` rounds */
        go_on(leaks);
    return leaks->stage == LEAKS_OVER ? KNOLL_LEAKS_DONE : KNOLL_LEAKS_GOING_ON;
}
