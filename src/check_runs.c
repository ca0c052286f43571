/* What must hold of a run, as far as it and its neighbours tell: all of it is true at every moment between two calls,
 * whatever has happened since the run before was looked at.
 *
 * A run's first cell says where the next run starts, so they are gone through from the first unit to the last. When the
 * heap has changed in between, the place where the next run was to start may lie inside another run. It is the start of
 * one still if the run before it is still there, which can be told of a slab and a large run, and in classic of a free
 * one. Otherwise the next start is searched for, forwards: each unit of a slab says where the slab lies, and of the
 * other units only the first of a large run says LARGE. In compact FREE does not tell, because it may be the end of a
 * free run; so the search passes over one free run at most, because no two lie side by side.
 *
 * Nothing is trusted that has not been verified: lengths must lie within the region, shapes must be ones, and a link is
 * followed only to an entry of the right kind, of which only the links are then read.
 *
 * SPDX-License-Identifier: MIT */
#include "invariants.h"
#include "pages.h"

static const void *address_of_unit(const struct knoll_region *region, uint32_t index)
{
    return region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
}

static bool is_shape(size_t shape)
{
    return shape >= SHAPE_SLAB && shape < SHAPE_SLAB + KNOLL_CLASS_COUNT;
}

/* ---- Links ---- */

const uint32_t *knoll_check_member(const struct knoll_heap *heap, const struct run_list *list, uint32_t number)
{
    if (number >> INDEX_BITS >= heap->region_count)
        return NULL;
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    if (index < region->first || index >= region->count)
        return NULL;
    const uint32_t *entry = region_entry(region, index);
    if (cell_kind(*entry) != list->kind)
        return NULL;
    if (list->kind == RUN_SLAB) {
        size_t shape = region_shape(region, index);
        return is_shape(shape) && shape_of(shape)->size_class == list->id && (entry[CELL_NOTES] & SLAB_KNOWN) != 0 &&
                       entry != heap->size_class[list->id].current
                   ? entry
                   : NULL;
    }
    uint32_t length = free_run_length(entry);
    bool is_first =
        length - 1 < region->count - index &&
        (!RUN_END_IS_MARKED || knoll_pages_placed_well(region, index, length)); /* else only first cells are FREE */
    return is_first && run_is_listed(entry) && list_of_run(heap, region, index, length) == list->id ? entry : NULL;
}

/* Whether the links of this run, which has been found fit for the list, lead to runs of the list that link back. */
static bool links_agree(const struct knoll_heap *heap, const struct run_list *list, uint32_t number)
{
    const uint32_t *entry = entry_of(heap, number);
    uint32_t next = link_after(entry, list->kind);
    uint32_t before = link_before(entry, list->kind);
    if (next != NOWHERE) {
        const uint32_t *other = knoll_check_member(heap, list, next);
        if (other == NULL || link_before(other, list->kind) != number)
            return false;
    }
    if (before == NOWHERE)
        return *list->head == number;
    const uint32_t *other = knoll_check_member(heap, list, before);
    return other != NULL && link_after(other, list->kind) == number;
}

/* ---- Free and large runs ---- */

static enum invariant check_free(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                 uint32_t length, struct knoll_check_cursor *cursor)
{
    if (!knoll_pages_placed_well(region, index, length))
        return FREE_RUN_FORM;
    if (index == rest_of(heap, region))
        return HOLDS;
    cursor->tally.free_runs[bits_highest32(length)]++;
    if (length < RUN_SHORTEST)
        return HOLDS;
    cursor->tally.listed_runs++;
    unsigned id = list_of_run(heap, region, index, length);
    struct run_list list = {&heap->list[id], RUN_FREE, id};
    return links_agree(heap, &list, region_unit_number(region, index)) ? HOLDS : FREE_LISTS;
}

static bool is_nested(const uint32_t *run)
{
    return cell_kind(*run) == RUN_LARGE && (*run & RUN_NESTED) != 0;
}

static enum invariant check_large(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                  uint32_t length, struct knoll_tally *tally)
{
    const uint32_t *run = region_entry(region, index);
    uintptr_t address = (uintptr_t)address_of_unit(region, index);
    uint32_t notes = *run & NUMBER_MASK & ~(heap->spans != 0 ? RUN_NESTED : 0);
    if (notes >= 8 * sizeof(size_t) || (address & (large_alignment(run) - 1)) != 0)
        return LARGE_FORM;
    tally->spans += is_nested(run);
    tally->large_blocks++;
    tally->large_bytes += (size_t)length << KNOLL_UNIT_SHIFT;
    return HOLDS;
}

/* ---- Slabs ---- */

#if KNOLL_MAGAZINE > 0
/* Whether a hint to a block of this slab says one, and which. */
static inline bool hint_is_sound(const struct knoll_class_state *state, size_t hint, const struct slab_place *slab,
                                 const unsigned char *start)
{
    uintptr_t within = (uintptr_t)state->hint_block[hint] - (uintptr_t)start;
    return within <= slab->shape->low && shape_block_at(slab->shape, (uint32_t)within) == hint_index(state, hint) &&
           shape_has(slab->shape, hint_index(state, hint));
}
#endif

#if KNOLL_MAGAZINE > 0
bool knoll_check_old_hints(const struct knoll_heap *heap, unsigned size_class, size_t hints)
{
    const struct knoll_class_state *state = &heap->size_class[size_class];
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    if (hints > KNOLL_MAGAZINE)
        return false;
    for (size_t i = 0; i < hints; i++) { /* at most KNOLL_MAGAZINE rounds */
        const struct knoll_region *region = region_of_address(heap, state->hint_block[i]);
        uint32_t within = (uint32_t)(uintptr_t)state->hint_block[i] & shape->low;
        if (region == NULL || shape_block_at(shape, within) != hint_index(state, i))
            return false;
        uintptr_t start = region_offset(region, state->hint_block[i]) - within;
        if ((uintptr_t)state->hint_slab[i] != (uintptr_t)region_entry(region, (uint32_t)(start >> KNOLL_UNIT_SHIFT)))
            return false;
    }
    return true;
}
#else
/* not covered: without magazines nobody asks */
bool knoll_check_old_hints(const struct knoll_heap *heap, unsigned size_class, size_t hints)
{
    (void)heap, (void)size_class;
    return hints == 0;
}
#endif

/* Gathers the bits of the slab's word that hints say are free, and counts them. False if one is wrong: each must say a
 * block of the slab, whose bit is not set, and that no other hint says. */
static bool gather_hints(const struct knoll_heap *heap, const struct slab_place *slab, const unsigned char *start,
                         struct knoll_tally *tally, uint64_t *hinted)
{
    *hinted = 0;
#if KNOLL_MAGAZINE > 0
    unsigned size_class = slab->shape->size_class;
    const struct knoll_class_state *state = &heap->size_class[size_class];
    size_t hints = (size_t)magazine_hints(state);
    for (size_t i = 0; i != hints && i != (size_t)0 - hints && i < KNOLL_MAGAZINE; i++) {
        if (state->hint_slab[i] != slab->slab)
            continue;
        if (!hint_is_sound(state, i, slab, start) || bit_is_set(*hinted, hint_index(state, i)))
            return false;
        *hinted |= bit(hint_index(state, i));
        tally->hints[size_class]++;
    }
    if (state->current == slab->slab && (*hinted & state->at_hand) != 0)
        return false;
#else
    (void)heap, (void)start, (void)tally;
#endif
    return (*hinted & slab_held(slab->slab)) == 0;
}

/* Whether a slab's free blocks are to be found where they should be. */
static enum invariant check_free_blocks(const struct knoll_heap *heap, const struct slab_place *slab,
                                        const unsigned char *start, struct knoll_tally *tally)
{
    uint64_t hinted;
    unsigned size_class = slab->shape->size_class;
    bool is_known = (slab->slab[CELL_NOTES] & SLAB_KNOWN) != 0;
    bool is_current = slab->slab == heap->size_class[size_class].current;
    bool is_listed = is_known && !is_current;
    tally->partial[size_class] += is_listed;
    if (!gather_hints(heap, slab, start, tally, &hinted) || (is_current && !is_known))
        return FREE_BLOCKS;
    bool has_others = (slab_free(slab->slab, slab->shape) & ~hinted) != 0;
    if (has_others != is_listed && !is_current)
        return FREE_BLOCKS;
    struct run_list list = {&heap->size_class[size_class].partial, RUN_SLAB, size_class};
    bool links_well = is_listed ? links_agree(heap, &list, slab->number) : link_before(slab->slab, RUN_SLAB) == NOWHERE;
    return links_well ? HOLDS : PARTIAL_LISTS;
}

static enum invariant check_slab(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                 struct knoll_tally *tally)
{
    struct slab_place slab = {region_entry(region, index), shape_of(region_shape(region, index)),
                              region_unit_number(region, index), 0};
    unsigned size_class = slab.shape->size_class;
    const unsigned char *start = address_of_unit(region, index);
    uint64_t held = slab_held(slab.slab);
    if (((uintptr_t)start & slab.shape->low) != 0 || (held & ~slab.shape->blocks) != 0)
        return SLAB_FORM;
    const struct knoll_class_state *state = &heap->size_class[size_class];
    if (state->current == slab.slab) {
        tally->current[size_class] = slab.slab;
        if (state->is_new > 1 || (state->at_hand & ~slab_free(slab.slab, slab.shape)) != 0 || state->start != start)
            return SLAB_FORM;
    }
    bool is_spare = heap->spare_slab == slab.number;
    tally->spare_is_slab |= is_spare;
    if (held == 0 && !is_spare)
        return ONE_EMPTY_SLAB;
    tally->slabs[size_class]++;
    tally->used[size_class] += bits_count(held);
    return check_free_blocks(heap, &slab, start, tally);
}

/* Whether a slab's groups say its shape, and the cells of its units nothing else, but for those of the slab's state. In
 * classic a slab is one unit, which says that it is one. */
static enum invariant check_slab_units(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    size_t shape = region_shape(region, index);
    for (uint32_t i = 1; i < length; i++) { /* at most 7 rounds */
        bool is_word = i < CELL_SLAB_NEXT;  /* in compact, where it starts at cell 1 */
        if (cell_kind(*region_entry(region, index + i)) != RUN_NONE && !is_word && i % GROUP_UNITS != 0)
            return RUNS_TILE;
        if (i % GROUP_UNITS == 0 && region_shape(region, index + i) != shape)
            return SLAB_SHAPES;
    }
    return HOLDS;
}

/* ---- From unit to unit ---- */

/* Whether a unit that is in no slab says neither a shape nor that a block is held. In compact it cannot: only a cell
 * whose kind is SLAB says that. */
static bool says_no_shape(const struct knoll_region *region, uint32_t index)
{
    return KNOLL_PROFILE == KNOLL_COMPACT ||
           (region_shape(region, index) == 0 && slab_held(region_entry(region, index)) == 0);
}

/* Looks at the units before `end`, which must be of no kind and no shape, as far as the budget allows. */
static enum invariant check_inside(const struct knoll_region *region, struct knoll_check_cursor *cursor, uint32_t end)
{
    for (; cursor->unit < end && cursor->left > 0; cursor->unit++, cursor->left--) {
        if (cell_kind(*region_entry(region, cursor->unit)) != RUN_NONE)
            return broken_at(cursor, RUNS_TILE, address_of_unit(region, cursor->unit));
        if (!says_no_shape(region, cursor->unit))
            return broken_at(cursor, SLAB_SHAPES, address_of_unit(region, cursor->unit));
    }
    return HOLDS;
}

/* Whether the rest of the region does not start in this run, if it is another; and if it is the rest, whether it links
 * to none. Where the heap says that the rest starts elsewhere, it is found to be in no list. */
static bool rest_agrees(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                        uint32_t length)
{
    const uint32_t *run = region_entry(region, index);
    if (cell_kind(*run) == RUN_FREE && is_rest(run))
        return link_before(run, RUN_FREE) == NOWHERE && run[CELL_FREE_NEXT] == NOWHERE;
    return rest_of(heap, region) - index >= length;
}

/* Looks at the run that starts here; its length is one. */
static enum invariant check_run(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                uint32_t length, struct knoll_check_cursor *cursor)
{
    enum run_kind kind = cell_kind(*region_entry(region, index));
    uint32_t free_before = cursor->kind == RUN_FREE ? index - cursor->run : 0;
    enum invariant broken = kind == RUN_SLAB                ? check_slab_units(region, index, length)
                            : !says_no_shape(region, index) ? SLAB_SHAPES
                                                            : HOLDS;
    if (broken != HOLDS)
        return broken;
    if (!rest_agrees(heap, region, index, length))
        return FREE_LISTS;
    if (kind == RUN_FREE && knoll_pages_unmerged(region, index - free_before, free_before, length))
        return FREE_RUNS_MERGED;
    return kind == RUN_FREE    ? check_free(heap, region, index, length, cursor)
           : kind == RUN_LARGE ? check_large(heap, region, index, length, &cursor->tally)
                               : check_slab(heap, region, index, &cursor->tally);
}

static enum invariant check_start(const struct knoll_heap *heap, const struct knoll_region *region,
                                  struct knoll_check_cursor *cursor)
{
    uint32_t index = cursor->unit;
    const void *where = address_of_unit(region, index);
    enum run_kind kind = cell_kind(*region_entry(region, index));
    if (kind == RUN_NONE || (kind != RUN_FREE && region->count - index < RUN_SHORTEST))
        return broken_at(cursor, RUNS_TILE, where);
    if (kind == RUN_SLAB && !is_shape(region_shape(region, index)))
        return broken_at(cursor, SLAB_SHAPES, where);
    uint32_t length = run_length(region, index);
    if (length == 0 || (kind != RUN_FREE && length < RUN_SHORTEST) || length > region->count - index)
        return broken_at(cursor, RUNS_TILE, where);
    enum invariant broken = check_run(heap, region, index, length, cursor);
    cursor->kind = (uint8_t)kind;
    cursor->run = index;
    cursor->run_end = index + length;
    bool is_whole = kind == RUN_SLAB || is_nested(region_entry(region, index));
    cursor->unit = is_whole ? cursor->run_end : index + 1;
    cursor->left--;
    return broken == HOLDS ? HOLDS : broken_at(cursor, broken, where);
}

/* Looks whether a run starts here, and if it does not, moves on to the next unit that may be the start of one. To find
 * a start takes no step, so that the same slice looks at the run: in the next one it might be gone again. */
static enum invariant search(const struct knoll_region *region, struct knoll_check_cursor *cursor)
{
    uint32_t index = cursor->unit;
    size_t shape = region_shape(region, index);
    enum run_kind kind = cell_kind(*region_entry(region, index));
    uint32_t to_next = kind == RUN_LARGE || (kind == RUN_FREE && !RUN_END_IS_MARKED) ? 0 : 1;
    if (shape >= SHAPE_SLAB) {
        if (!is_shape(shape))
            return broken_at(cursor, SLAB_SHAPES, address_of_unit(region, index));
        uint32_t low = shape_of(shape)->low;
        uint32_t within = ((uint32_t)(uintptr_t)address_of_unit(region, index) & low) >> KNOLL_UNIT_SHIFT;
        to_next = within == 0 ? 0 : shape_length(shape_of(shape)) - within;
    }
    if (to_next != 0) {
        cursor->unit = index + to_next;
        cursor->left--;
        return HOLDS;
    }
    cursor->searching = 0;
    cursor->kind = RUN_NONE;
    cursor->run_end = index;
    return HOLDS;
}

enum invariant knoll_check_units(const struct knoll_heap *heap, const struct knoll_region *region,
                                 struct knoll_check_cursor *cursor)
{
    if (cursor->unit < region->first)
        return check_inside(region, cursor, region->first);
    if (cursor->searching)
        return search(region, cursor);
    if (cursor->unit >= cursor->run_end)
        return check_start(heap, region, cursor);
    /* A free run's last cell was looked at with its first, and in compact is of a kind. */
    bool end_is_marked = RUN_END_IS_MARKED && cursor->kind == RUN_FREE;
    enum invariant broken = check_inside(region, cursor, cursor->run_end - end_is_marked);
    if (end_is_marked && cursor->unit + 1 == cursor->run_end && cursor->left > 0) {
        cursor->unit++;
        cursor->left--;
    }
    return broken;
}

bool knoll_check_run_stays(const struct knoll_region *region, const struct knoll_check_cursor *cursor)
{
    enum run_kind kind = (enum run_kind)cursor->kind;
    if (cursor->unit <= region->first)
        return true; /* where the first run starts, always */
    if (kind == RUN_FREE && RUN_END_IS_MARKED)
        return false;
    size_t shape = region_shape(region, cursor->run);
    if ((shape >= SHAPE_SLAB) != (kind == RUN_SLAB) || cell_kind(*region_entry(region, cursor->run)) != kind)
        return false;
    if (kind == RUN_SLAB && !is_shape(shape))
        return false;
    /* In the midst of another slab it is of another length: one that covers a slab, and more, is longer. */
    return run_length(region, cursor->run) == cursor->run_end - cursor->run;
}
