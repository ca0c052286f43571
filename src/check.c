/* knoll_check: verifies each invariant of the layers below, and trusts nothing that it has not verified.
 *
 * One pass goes through the runs of every region from the first unit to the last, looking at each by itself
 * (check_runs.c) and adding up what there is; then through the lists; then it compares the heap's counts with the sums.
 * It is done in slices, and knoll_check is a slice without a bound.
 *
 * Between two slices the heap may change. Then what was added up means nothing any more, and neither does the place in
 * a list: for the rest of the pass only what is true at each moment is verified, that is each run with its links, and
 * each list's head. That is enough to know every list's links to be sound; what only a whole pass can tell is that each
 * listed run is reached from a head, and that counts are right.
 *
 * SPDX-License-Identifier: MIT */
#include "invariants.h"
#include "moment.h"
#include "pages.h"
#include "plain.h"

const char *PLAIN(invariant)(int number)
{
    static const char texts[INVARIANTS][96] = {
        [HOLDS] = "every invariant holds",
        [REGION_TABLE] = "regions are numbered, sorted by address, apart from each other, and of a legal size",
        [RUNS_TILE] = "the runs of a region follow one another from its first unit to its last",
        [FREE_RUN_FORM] = "a free run has a legal length and place, and its last cell agrees with its first",
        [FREE_RUNS_MERGED] = "no two free runs lie side by side that should be one",
        [LARGE_FORM] = "a large run's address has the alignment that its entry names",
        [SLAB_FORM] = "a slab lies at a multiple of its length, and its shape, blocks and bits agree",
        [SLAB_SHAPES] = "each group of a slab's units says its shape, and no other group says one",
        [ONE_EMPTY_SLAB] = "no slab is empty but the one kept in hand",
        [FREE_LISTS] = "each free run is in the list for its length, and links go both ways",
        [FREE_COUNTS] = "the free runs of each order are counted",
        [PARTIAL_LISTS] = "a class's list has the slabs that say so, and links go both ways",
        [FREE_BLOCKS] = "a free block is in the current slab, in a listed one, or in its class's magazine",
        [CLASS_COUNTS] = "each class's slabs and free blocks are counted, and its current slab is one of them",
        [LARGE_COUNTS] = "large blocks are counted",
        [BYTES] = "total, used and peak bytes agree with the regions and blocks",
    };
    return number >= 0 && number < INVARIANTS ? texts[number] : "unknown invariant";
}

enum stage { NOT_BEGUN = 0, RUNS, LISTS, COUNTS };

static enum invariant check_regions(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    if (heap->region_count > KNOLL_REGIONS_MAX)
        return broken_at(cursor, REGION_TABLE, &heap->region_count);
    uintptr_t end = 0;
    size_t total = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        uint32_t number = heap->by_address[i];
        if (number >= heap->region_count)
            return broken_at(cursor, REGION_TABLE, &heap->by_address[i]);
        const struct knoll_region *region = heap->region[number];
        if (region == NULL || (uintptr_t)region % KNOLL_PAGE != 0 || (uintptr_t)region < end)
            return broken_at(cursor, REGION_TABLE, &heap->region[number]);
        uint32_t least = number == 0 && heap->region_count > 1 ? 0 : 1; /* the first of several may be tables alone */
        if (region->number != number || region->count < region->first + least || region->count > INDEX_MASK ||
            region->count - region->first > heap->total >> KNOLL_UNIT_SHIFT ||
            region->first != knoll_region_table_units(region->count))
            return broken_at(cursor, REGION_TABLE, region);
        end = (uintptr_t)region + ((uintptr_t)region->count << KNOLL_UNIT_SHIFT);
        total += (size_t)(region->count - region->first) << KNOLL_UNIT_SHIFT;
    }
    if (total != heap->total)
        return broken_at(cursor, BYTES, &heap->total);
    return knoll_pages_lists_placed_well(heap) ? HOLDS : broken_at(cursor, FREE_LISTS, &heap->list);
}

/* ---- Runs ---- */

static enum invariant check_next_units(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    if (cursor->region < heap->region_count) {
        const struct knoll_region *region = heap->region[heap->by_address[cursor->region]];
        if (cursor->unit < region->count)
            return knoll_check_units(heap, region, cursor);
        cursor->region++;
        cursor->unit = 0;
        cursor->run_end = 0;
        cursor->kind = RUN_NONE;
        cursor->searching = 0;
        return HOLDS;
    }
    cursor->stage = LISTS;
    if (!cursor->changed && heap->spare_slab != NOWHERE && !cursor->tally.spare_is_slab)
        return broken_at(cursor, ONE_EMPTY_SLAB, &heap->spare_slab);
    return HOLDS;
}

/* ---- Lists: those of free runs by number, then one of slabs for each class. What the runs added up is counted down
 * ---- */

static struct run_list list_at(const struct knoll_heap *heap, uint32_t place)
{
    if (place < list_count(heap))
        return (struct run_list){&heap->list[place], RUN_FREE, place};
    unsigned size_class = place - list_count(heap);
    return (struct run_list){&heap->size_class[size_class].partial, RUN_SLAB, size_class};
}

static enum invariant broken_list(struct knoll_check_cursor *cursor, const struct run_list *list, const void *where)
{
    return broken_at(cursor, list->kind == RUN_FREE ? FREE_LISTS : PARTIAL_LISTS, where);
}

/* How many of the listed runs have not been come across in their list. */
static uint32_t *runs_to_come(struct knoll_check_cursor *cursor, const struct run_list *list)
{
    return list->kind == RUN_FREE ? &cursor->tally.listed_runs : &cursor->tally.partial[list->id];
}

static enum invariant enter_list(const struct knoll_heap *heap, struct knoll_check_cursor *cursor,
                                 const struct run_list *list)
{
    cursor->is_in_list = 1;
    cursor->previous = NOWHERE;
    cursor->next = *list->head;
    if (list->kind == RUN_FREE && list_is_filled(heap, list->id) != (cursor->next != NOWHERE))
        return broken_list(cursor, list, list->head);
    return HOLDS;
}

static enum invariant leave_list(const struct knoll_heap *heap, struct knoll_check_cursor *cursor,
                                 const struct run_list *list)
{
    bool was_last = list->kind == RUN_SLAB || cursor->list + 1 == list_count(heap);
    cursor->is_in_list = 0;
    cursor->list++;
    if (was_last && !cursor->changed && *runs_to_come(cursor, list) != 0)
        return broken_list(cursor, list, list->head);
    return HOLDS;
}

/* Passes by lists of free runs that are empty and say so, but for the last of them. */
static void pass_empty_lists(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    while (cursor->left > 1 && cursor->list + 1 < list_count(heap) && heap->list[cursor->list] == NOWHERE &&
           !list_is_filled(heap, cursor->list)) { /* at most one round a list */
        cursor->list++;
        cursor->left--;
    }
}

/* Follows one link: after a change of the heap only the first one of each list, because no other place in a list is
 * known to be one still. */
static enum invariant check_next_link(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    if (!cursor->is_in_list)
        pass_empty_lists(heap, cursor);
    cursor->left--;
    if (cursor->list == list_count(heap) + KNOLL_CLASS_COUNT) {
        cursor->stage = COUNTS;
        return HOLDS;
    }
    struct run_list list = list_at(heap, cursor->list);
    if (!cursor->is_in_list) {
        enum invariant broken = enter_list(heap, cursor, &list);
        if (broken != HOLDS)
            return broken;
    } else if (cursor->changed) {
        cursor->next = NOWHERE;
    }
    if (cursor->next == NOWHERE)
        return leave_list(heap, cursor, &list);
    uint32_t *to_come = runs_to_come(cursor, &list);
    const uint32_t *entry = knoll_check_member(heap, &list, cursor->next);
    if (entry == NULL || link_before(entry, list.kind) != cursor->previous || (!cursor->changed && *to_come == 0))
        return broken_list(cursor, &list,
                           cursor->previous == NOWHERE ? (const void *)list.head
                                                       : unit_address(heap, cursor->previous));
    --*to_come;
    cursor->previous = cursor->next;
    cursor->next = link_after(entry, list.kind);
    return HOLDS;
}

/* ---- Counts ---- */

/* Whether no bit says that a list is filled which is none, and in compact the bits for groups of lists agree. */
static bool lists_agree(const struct knoll_heap *heap)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    return (heap->filled[0] | heap->filled[1]) >> SECOND_LIST == 0;
#else
    for (unsigned group = 0; group < KNOLL_LIST_GROUPS; group++) {
        unsigned first = group * 32;
        unsigned lists = list_count(heap) <= first ? 0 : list_count(heap) - first;
        if ((heap->groups_filled >> group & 1) != (heap->filled[group] != 0) ||
            (lists < 32 && heap->filled[group] >> lists != 0))
            return false;
    }
    return heap->groups_filled >> KNOLL_LIST_GROUPS == 0;
#endif
}

/* Whether a class's magazine has as many hints as were found, to slabs that there are; if it is unsure it may have
 * others, but to nothing that was never a unit. */
static bool hints_agree(const struct knoll_heap *heap, unsigned size_class, size_t found)
{
    size_t hints = (size_t)magazine_hints(&heap->size_class[size_class]); /* what is no less than 0 is then too many */
    return hints == found || knoll_check_old_hints(heap, size_class, (size_t)0 - hints);
}

/* Whether the class's state says what the class is like. A heap without memory says nothing yet. */
static bool constants_agree(const struct knoll_class_state *state, const struct knoll_shape *shape)
{
#if KNOLL_PROFILE == KNOLL_COMPACT
    if (state->inverse != shape->inverse || state->low != shape->low || state->rotate != shape->rotate)
        return false;
#endif
    return state->blocks == shape->blocks && state->size == shape->size;
}

static enum invariant check_class(const struct knoll_heap *heap, struct knoll_check_cursor *cursor, unsigned size_class)
{
    const struct knoll_class_state *state = &heap->size_class[size_class];
    const struct knoll_tally *tally = &cursor->tally;
    if (state->slabs != tally->slabs[size_class] ||
        state->free_blocks != class_blocks(heap, size_class) - tally->used[size_class] ||
        state->current != tally->current[size_class] || (state->current == NULL && state->at_hand != 0) ||
        (heap->region_count != 0 && !constants_agree(state, &knoll_shapes[size_class])))
        return broken_at(cursor, CLASS_COUNTS, state);
    if (!hints_agree(heap, size_class, tally->hints[size_class]))
        return broken_at(cursor, FREE_BLOCKS, state);
    return HOLDS;
}

static enum invariant check_sums(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    const struct knoll_tally *tally = &cursor->tally;
    size_t used = tally->large_bytes;
    for (unsigned i = 0; i < KNOLL_RUN_ORDERS; i++)
        if (heap->free_runs[i] != tally->free_runs[i])
            return broken_at(cursor, FREE_COUNTS, &heap->free_runs[i]);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        enum invariant broken = check_class(heap, cursor, i);
        if (broken != HOLDS)
            return broken;
        used += tally->used[i] * class_size(i);
    }
    if (heap->large_blocks != tally->large_blocks || heap->spans != tally->spans)
        return broken_at(cursor, LARGE_COUNTS, &heap->large_blocks);
    return used == PLAIN(used_bytes)(heap) ? HOLDS : broken_at(cursor, BYTES, &heap->headroom);
}

static enum invariant check_counts(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    enum invariant broken = HOLDS;
    cursor->left--;
    if (!lists_agree(heap))
        return broken_at(cursor, FREE_LISTS, &heap->list);
    if (!cursor->changed)
        broken = check_sums(heap, cursor);
    if (broken == HOLDS && (PLAIN(used_bytes)(heap) > heap->peak || heap->peak > heap->total))
        return broken_at(cursor, BYTES, &heap->peak);
    return broken;
}

/* ---- The pass ---- */

static void begin(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    size_t passes = cursor->passes;
    size_t whole = cursor->whole;
    size_t left = cursor->left;
    __builtin_memset(cursor, 0, sizeof *cursor);
    cursor->passes = passes;
    cursor->whole = whole;
    cursor->left = left;
    cursor->moment = moment_of(heap);
    cursor->stage = RUNS;
}

/* Takes note of what has happened since the slice before. */
static void see_changes(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    struct knoll_moment now = moment_of(heap);
    if (cursor->stage == NOT_BEGUN || now.regions != cursor->moment.regions) {
        begin(heap, cursor);
        return;
    }
    if (moments_are_same(&now, &cursor->moment))
        return;
    cursor->moment = now;
    cursor->changed = 1;
    if (cursor->stage == RUNS && /* so a region's units are left, of those that there were */
        !knoll_check_run_stays(heap->region[heap->by_address[cursor->region]], cursor))
        cursor->searching = 1;
}

static enum invariant check_next(const struct knoll_heap *heap, struct knoll_check_cursor *cursor)
{
    if (cursor->stage == RUNS)
        return check_next_units(heap, cursor);
    return cursor->stage == LISTS ? check_next_link(heap, cursor) : check_counts(heap, cursor);
}

int knoll_check_slice(const struct knoll_heap *heap, struct knoll_check_cursor *cursor, size_t budget)
{
    bool is_over = false;
    cursor->left = budget == 0 ? 1 : budget;
    cursor->where = NULL;
    enum invariant broken = check_regions(heap, cursor);
    if (broken == HOLDS)
        see_changes(heap, cursor);
    while (broken == HOLDS && !is_over && cursor->left > 0) { /* at most `budget` rounds, and one a region and a run */
        is_over = cursor->stage == COUNTS;
        broken = check_next(heap, cursor);
    }
    if (broken == HOLDS && is_over) {
        cursor->passes++;
        cursor->whole += !cursor->changed;
    }
    if (broken != HOLDS || is_over)
        cursor->stage = NOT_BEGUN;
    return (int)broken;
}

int knoll_check_at(const struct knoll_heap *heap, const void **where)
{
    struct knoll_check_cursor cursor;
    __builtin_memset(&cursor, 0, sizeof cursor);
    int broken = knoll_check_slice(heap, &cursor, SIZE_MAX); /* a whole pass: no heap takes so many steps */
    *where = cursor.where;
    return broken;
}

int PLAIN(check)(const struct knoll_heap *heap)
{
    const void *where;
    return knoll_check_at(heap, &where);
}
