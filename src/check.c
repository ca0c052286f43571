/* knoll_check: walks every table, verifies each invariant of the layers below, and trusts nothing that it has not
 * verified: a link is followed only to an entry of the right kind that links back, and no list longer than the runs
 * that were counted.
 *
 * First the regions, then the runs in them from the first unit to the last, counting what there is; then the lists and
 * counters of the heap against those counts.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "pages.h"

enum invariant {
    HOLDS = 0,
    REGION_TABLE,
    RUNS_TILE,
    FREE_RUN_FORM,
    FREE_RUNS_MERGED,
    LARGE_FORM,
    SLAB_FORM,
    SLAB_SHAPES,
    ONE_EMPTY_SLAB,
    FREE_LISTS,
    FREE_COUNTS,
    PARTIAL_LISTS,
    FREE_BLOCKS,
    CLASS_COUNTS,
    LARGE_COUNTS,
    BYTES,
    INVARIANTS
};

const char *knoll_invariant(int number)
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
        [CLASS_COUNTS] = "each class's slabs, blocks and used blocks are counted, and its current slab is one of them",
        [LARGE_COUNTS] = "large blocks are counted",
        [BYTES] = "total, used and peak bytes agree with the regions and blocks",
    };
    return number >= 0 && number < INVARIANTS ? texts[number] : "unknown invariant";
}

/* What the runs of all regions add up to. */
struct tally {
    uint32_t free_runs[KNOLL_RUN_ORDERS];
    uint32_t listed_runs;
    uint32_t partial[KNOLL_CLASS_COUNT];
    uint32_t slabs[KNOLL_CLASS_COUNT];
    uint32_t blocks[KNOLL_CLASS_COUNT];
    uint32_t used[KNOLL_CLASS_COUNT];
    uint32_t hints[KNOLL_CLASS_COUNT];
    const uint32_t *current[KNOLL_CLASS_COUNT];
    bool spare_is_slab;
    size_t large_blocks;
    size_t large_bytes;
};

static unsigned count_bits(uint64_t word)
{
    unsigned count = 0;
    for (; word != 0; word &= word - 1) /* at most 64 rounds */
        count++;
    return count;
}

static enum invariant check_regions(const struct knoll_heap *heap)
{
    if (heap->region_count > KNOLL_REGIONS_MAX)
        return REGION_TABLE;
    uintptr_t end = 0;
    size_t total = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) {
        uint32_t number = heap->by_address[i];
        if (number >= heap->region_count)
            return REGION_TABLE;
        const struct knoll_region *region = heap->region[number];
        if (region == NULL || (uintptr_t)region % KNOLL_PAGE != 0 || (uintptr_t)region < end)
            return REGION_TABLE;
        if (region->number != number || region->count <= region->first || region->count > INDEX_MASK ||
            region->count - region->first > heap->total >> KNOLL_UNIT_SHIFT ||
            region->entries != knoll_region_entries_at(region->count) ||
            region->first != knoll_region_table_units(region->count))
            return REGION_TABLE;
        end = (uintptr_t)region + ((uintptr_t)region->count << KNOLL_UNIT_SHIFT);
        total += (size_t)(region->count - region->first) << KNOLL_UNIT_SHIFT;
    }
    return total == heap->total ? HOLDS : BYTES;
}

static enum invariant check_free(const struct knoll_region *region, uint32_t index, uint32_t length,
                                 struct tally *tally)
{
    if (!knoll_pages_placed_well(region, index, length))
        return FREE_RUN_FORM;
    tally->free_runs[bits_highest32(length)]++;
    tally->listed_runs += length >= RUN_SHORTEST;
    return HOLDS;
}

static enum invariant check_large(const struct knoll_region *region, uint32_t index, uint32_t length,
                                  struct tally *tally)
{
    const uint32_t *run = region_entry(region, index);
    uintptr_t address = (uintptr_t)region + ((uintptr_t)index << KNOLL_UNIT_SHIFT);
    if ((*run & NUMBER_MASK) >= 8 * sizeof(size_t) || (address & (large_alignment(run) - 1)) != 0)
        return LARGE_FORM;
    tally->large_blocks++;
    tally->large_bytes += (size_t)length << KNOLL_UNIT_SHIFT;
    return HOLDS;
}

/* Gathers the bits of the slab's word that hints say are free, and counts them. False if one is wrong: each must say a
 * block of the slab, whose bit is set, and that no other hint says. */
static bool gather_hints(const struct knoll_heap *heap, const struct slab_place *slab, const unsigned char *start,
                         struct tally *tally, uint64_t *hinted)
{
    *hinted = 0;
#if KNOLL_MAGAZINE > 0
    unsigned size_class = slab->shape->size_class;
    for (unsigned i = 0; i < heap->hints[size_class] && i < KNOLL_MAGAZINE; i++) {
        const struct knoll_hint *hint = &heap->magazine[size_class * KNOLL_MAGAZINE + i];
        if (hint->slab != slab->slab)
            continue;
        if (hint->index >= slab->shape->capacity || (*hinted >> hint->index & 1) != 0 ||
            hint->block != start + (size_t)hint->index * slab->shape->size)
            return false;
        *hinted |= bit(hint->index);
        tally->hints[size_class]++;
    }
#else
    (void)heap, (void)start, (void)tally;
#endif
    return (*hinted & ~slab_word(slab->slab)) == 0;
}

/* Whether a slab's free blocks are to be found where they should be. */
static enum invariant check_free_blocks(const struct knoll_heap *heap, const struct slab_place *slab,
                                        const unsigned char *start, struct tally *tally)
{
    uint64_t hinted;
    unsigned size_class = slab->shape->size_class;
    bool is_listed = (slab->slab[CELL_NOTES] & SLAB_LISTED) != 0;
    bool is_current = slab->slab == heap->size_class[size_class].current;
    tally->partial[size_class] += is_listed;
    if (!gather_hints(heap, slab, start, tally, &hinted) || (is_listed && is_current))
        return FREE_BLOCKS;
    bool has_others = (slab_word(slab->slab) & ~hinted) != 0;
    return has_others == is_listed || is_current ? HOLDS : FREE_BLOCKS;
}

static enum invariant check_slab(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                 struct tally *tally)
{
    struct slab_place slab = {region_entry(region, index), shape_of(region_shape(region, index)),
                              region_unit_number(region, index), 0};
    unsigned size_class = slab.shape->size_class;
    const unsigned char *start = region_base(region) + ((size_t)index << KNOLL_UNIT_SHIFT);
    uint64_t word = slab_word(slab.slab);
    if (((uintptr_t)start & slab.shape->low) != 0 || (word & ~slab.shape->all_free) != 0)
        return SLAB_FORM;
    uint64_t held = slab.shape->all_free & ~word;
    const struct knoll_class_state *state = &heap->size_class[size_class];
    if (state->current == slab.slab) {
        tally->current[size_class] = slab.slab;
        if (heap->touched[size_class] > 64 || (held != 0 && bits_highest(held) >= heap->touched[size_class]) ||
            (const unsigned char *)slab.slab + (uintptr_t)state->distance * KNOLL_DISTANCE_UNIT != start)
            return SLAB_FORM;
    }
    bool is_spare = heap->spare_slab == slab.number;
    tally->spare_is_slab |= is_spare;
    if (held == 0 && !is_spare)
        return ONE_EMPTY_SLAB;
    tally->slabs[size_class]++;
    tally->blocks[size_class] += slab.shape->capacity;
    tally->used[size_class] += count_bits(held);
    return check_free_blocks(heap, &slab, start, tally);
}

/* Whether each group that starts in a run says what it should of slabs' shapes. */
static bool shapes_agree(const struct knoll_region *region, uint32_t index, uint32_t length, size_t shape)
{
    for (uint32_t i = index; i < index + length; i++) {
        size_t found = region_shape(region, i);
        if (i % GROUP_UNITS == 0 && (shape >= SHAPE_SLAB ? found != shape : found >= SHAPE_SLAB))
            return false;
        if (CELLS_PER_UNIT > 1 && shape < SHAPE_SLAB && found != 0)
            return false;
    }
    return true;
}

/* Whether the cells of a run's units are NONE where they say nothing: the first of each unit in classic, where no other
 * is looked at, and in compact all but those of the slab's state and shape and of the free run's edges. */
static bool inside_is_none(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    const uint32_t *entry = region_entry(region, index);
    bool is_slab = cell_kind(*entry) == RUN_SLAB;
    uint32_t end = index + length;
    if (RUN_END_IS_MARKED && cell_kind(*entry) == RUN_FREE)
        end--;
    for (uint32_t i = index + 1; i < end; i++) {
        bool is_word = i - index >= CELL_WORD && i - index < CELL_SLAB_PREV;
        bool says = RUN_END_IS_MARKED && is_slab && (is_word || i % GROUP_UNITS == 0);
        if (cell_kind(*region_entry(region, i)) != RUN_NONE && !says)
            return false;
    }
    return true;
}

static enum invariant check_runs(const struct knoll_heap *heap, const struct knoll_region *region, struct tally *tally)
{
    uint32_t free_before = 0; /* the length of the free run just before, or 0 */
    uint32_t length;
    if (!shapes_agree(region, 0, region->first, 0))
        return SLAB_SHAPES;
    for (uint32_t index = 0; index < region->first; index++)
        if (cell_kind(*region_entry(region, index)) != RUN_NONE)
            return RUNS_TILE;
    for (uint32_t index = region->first; index < region->count; index += length) {
        const uint32_t *entry = region_entry(region, index);
        enum run_kind kind = cell_kind(*entry);
        size_t shape = kind == RUN_SLAB ? region_shape(region, index) : 0;
        if (kind == RUN_NONE || (kind != RUN_FREE && region->count - index < RUN_SHORTEST))
            return RUNS_TILE;
        if (kind == RUN_SLAB && (shape < SHAPE_SLAB || shape >= SHAPE_SLAB + SHAPE_COUNT || index % GROUP_UNITS != 0))
            return SLAB_SHAPES;
        length = run_length(region, index);
        if (length == 0 || (kind != RUN_FREE && length < RUN_SHORTEST) || length > region->count - index ||
            !inside_is_none(region, index, length))
            return RUNS_TILE;
        if (!shapes_agree(region, index, length, shape))
            return SLAB_SHAPES;
        if (kind == RUN_FREE && knoll_pages_unmerged(region, index - free_before, free_before, length))
            return FREE_RUNS_MERGED;
        enum invariant broken = kind == RUN_FREE    ? check_free(region, index, length, tally)
                                : kind == RUN_LARGE ? check_large(region, index, length, tally)
                                                    : check_slab(heap, region, index, tally);
        if (broken != HOLDS)
            return broken;
        free_before = kind == RUN_FREE ? length : 0;
    }
    return HOLDS;
}

/* The entry that a link of this kind of list leads to, or NULL if it can be none. */
static const uint32_t *linked(const struct knoll_heap *heap, uint32_t number, enum run_kind kind, uint32_t prev)
{
    if (number >> INDEX_BITS >= heap->region_count)
        return NULL;
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    if (index < region->first || index >= region->count)
        return NULL;
    const uint32_t *entry = region_entry(region, index);
    uint32_t back = kind == RUN_FREE ? link_of(entry[CELL_FREE_PREV], 0) : link_of(entry[CELL_SLAB_PREV], GROUP_SHIFT);
    return cell_kind(*entry) == kind && back == prev ? entry : NULL;
}

/* Whether the lists are where they should be, and the bits that say which are filled are those of `filled` lists. */
static bool lists_agree(const struct knoll_heap *heap, uint32_t filled_lists)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    return count_bits(heap->lists_filled) == filled_lists;
#else
    for (unsigned group = 0; group < KNOLL_LIST_GROUPS; group++) {
        if ((heap->groups_filled >> group & 1) != (heap->filled[group] != 0))
            return false;
        filled_lists -= count_bits(heap->filled[group]);
    }
    return filled_lists == 0 && heap->groups_filled >> KNOLL_LIST_GROUPS == 0;
#endif
}

static enum invariant check_free_lists(const struct knoll_heap *heap, const struct tally *tally)
{
    uint32_t found = 0;
    uint32_t filled_lists = 0;
    if (!knoll_pages_lists_placed_well(heap))
        return FREE_LISTS;
    for (unsigned list = 0; list < list_count(heap); list++) {
        if (list_is_filled(heap, list) != (heap->list[list] != NOWHERE))
            return FREE_LISTS;
        filled_lists += list_is_filled(heap, list);
        uint32_t prev = NOWHERE;
        for (uint32_t number = heap->list[list]; number != NOWHERE; found++) { /* at most listed_runs + 1 rounds */
            const uint32_t *entry = linked(heap, number, RUN_FREE, prev);
            if (entry == NULL || found == tally->listed_runs ||
                list_of_run(heap, region_of_number(heap, number), number & INDEX_MASK, free_run_length(entry)) != list)
                return FREE_LISTS;
            prev = number;
            number = link_of(entry[CELL_NEXT], 0);
        }
    }
    return found == tally->listed_runs && lists_agree(heap, filled_lists) ? HOLDS : FREE_LISTS;
}

static enum invariant check_partial_lists(const struct knoll_heap *heap, const struct tally *tally)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t found = 0;
        uint32_t prev = NOWHERE;
        for (uint32_t number = heap->size_class[i].partial; number != NOWHERE;
             found++) { /* at most partial + 1 rounds */
            const uint32_t *slab = linked(heap, number, RUN_SLAB, prev);
            if (slab == NULL || found == tally->partial[i] || slab_shape(heap, number)->size_class != i ||
                (slab[CELL_NOTES] & SLAB_LISTED) == 0)
                return PARTIAL_LISTS;
            prev = number;
            number = link_of(slab[CELL_NEXT], GROUP_SHIFT);
        }
        if (found != tally->partial[i])
            return PARTIAL_LISTS;
    }
    return HOLDS;
}

static enum invariant check_counts(const struct knoll_heap *heap, const struct tally *tally)
{
    size_t used = tally->large_bytes;
    for (unsigned i = 0; i < KNOLL_RUN_ORDERS; i++)
        if (heap->free_runs[i] != tally->free_runs[i])
            return FREE_COUNTS;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        const struct knoll_class_state *state = &heap->size_class[i];
        if (state->slabs != tally->slabs[i] || class_blocks(heap, i) != tally->blocks[i] ||
            state->used != tally->used[i] || state->current != tally->current[i])
            return CLASS_COUNTS;
        if (magazine_hints(heap, i) != tally->hints[i])
            return FREE_BLOCKS;
        used += tally->used[i] * class_size(i);
    }
    if (heap->large_blocks != tally->large_blocks)
        return LARGE_COUNTS;
    return used == knoll_used_bytes(heap) && used <= heap->peak && heap->peak <= heap->total ? HOLDS : BYTES;
}

int knoll_check(const struct knoll_heap *heap)
{
    struct tally tally;
    __builtin_memset(&tally, 0, sizeof tally);
    enum invariant broken = check_regions(heap);
    for (uint32_t i = 0; i < heap->region_count && broken == HOLDS; i++)
        broken = check_runs(heap, heap->region[heap->by_address[i]], &tally);
    if (broken == HOLDS && heap->spare_slab != NOWHERE && !tally.spare_is_slab)
        broken = ONE_EMPTY_SLAB;
    if (broken == HOLDS)
        broken = check_free_lists(heap, &tally);
    if (broken == HOLDS)
        broken = check_partial_lists(heap, &tally);
    if (broken == HOLDS)
        broken = check_counts(heap, &tally);
    return (int)broken;
}
