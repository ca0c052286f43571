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
    SLAB_MAP,
    ONE_EMPTY_SLAB,
    FREE_LISTS,
    FREE_COUNTS,
    PARTIAL_LISTS,
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
        [FREE_RUN_FORM] = "a free run has a legal length and place, and its last entry agrees with its first",
        [FREE_RUNS_MERGED] = "no two free runs lie side by side that should be one",
        [LARGE_FORM] = "a large run's address has the alignment that its entry names",
        [SLAB_FORM] = "a slab's class, length, capacity and bits agree",
        [SLAB_MAP] = "the slab map has the first units of slabs, and no others",
        [ONE_EMPTY_SLAB] = "no slab is empty but the one kept in hand",
        [FREE_LISTS] = "each free run is in the list for its length, and links go both ways",
        [FREE_COUNTS] = "the free runs of each order are counted",
        [PARTIAL_LISTS] = "a class's list has its slabs with free blocks, and links go both ways",
        [CLASS_COUNTS] = "each class's slabs, blocks and used blocks are counted, and its newest slab is one of them",
        [LARGE_COUNTS] = "large blocks and their bytes are counted",
        [BYTES] = "total, used, peak and table bytes agree with the regions and blocks",
    };
    return number >= 0 && number < INVARIANTS ? texts[number] : "unknown invariant";
}

/* What the runs of all regions add up to. */
struct tally {
    uint32_t free_runs[KNOLL_RUN_ORDERS];
    uint32_t all_free_runs;
    uint32_t partial[KNOLL_CLASS_COUNT];
    struct knoll_class_state size_class[KNOLL_CLASS_COUNT];
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
    size_t tables = 0;
    for (uint32_t i = 0; i < heap->region_count; i++) {
        uint32_t number = heap->by_address[i];
        if (number >= heap->region_count)
            return REGION_TABLE;
        const struct knoll_region *region = heap->region[number];
        if (region == NULL || (uintptr_t)region % KNOLL_PAGE != 0 || (uintptr_t)region < end)
            return REGION_TABLE;
        uintptr_t base = (uintptr_t)region->base;
        if (region->number != number || region->count <= RUN_SHORTEST || region->count > INDEX_MASK ||
            region->count - 1 > heap->total >> KNOLL_UNIT_SHIFT || base < (uintptr_t)region || base % UNIT != 0)
            return REGION_TABLE;
        end = base + ((uintptr_t)region->count << KNOLL_UNIT_SHIFT);
        tables += base + UNIT - (uintptr_t)region;
        total += (size_t)(region->count - 1) << KNOLL_UNIT_SHIFT;
    }
    return total == heap->total && tables == heap->tables ? HOLDS : BYTES;
}

static enum invariant check_free(const struct knoll_region *region, uint32_t index, uint32_t length,
                                 struct tally *tally)
{
    if (!knoll_pages_placed_well(region, index, length))
        return FREE_RUN_FORM;
    tally->free_runs[bits_highest32(length)]++;
    tally->all_free_runs++;
    return HOLDS;
}

static enum invariant check_large(const struct knoll_region *region, uint32_t index, uint32_t length,
                                  struct tally *tally)
{
    const uint32_t *run = region_entry(region, index);
    uintptr_t address = (uintptr_t)region->base + ((uintptr_t)index << KNOLL_UNIT_SHIFT);
    if ((*run & NUMBER_MASK) >= 8 * sizeof(size_t) || (address & (large_alignment(run) - 1)) != 0)
        return LARGE_FORM;
    tally->large_blocks++;
    tally->large_bytes += (size_t)length << KNOLL_UNIT_SHIFT;
    return HOLDS;
}

static enum invariant check_slab(const struct knoll_heap *heap, const struct knoll_region *region, uint32_t index,
                                 struct tally *tally)
{
    const uint32_t *slab = region_entry(region, index);
    uint32_t attributes = slab_attributes(slab);
    uint32_t number = region_unit_number(region, index);
    unsigned size_class = attributes_class(attributes);
    unsigned capacity = attributes_capacity(attributes);
    uint32_t length = attributes_length(attributes);
    if (size_class >= KNOLL_CLASS_COUNT || capacity == 0 || capacity > 64 ||
        (slab_word(slab) & ~bits_low(capacity)) != 0)
        return SLAB_FORM;
    const struct knoll_class *properties = &knoll_classes[size_class];
    if (length > properties->units + (RUN_SHORTEST - 1) || length < properties->least_units ||
        capacity != class_blocks_in(properties, length) ||
        slab_is_tiny(slab) != (RUN_SHORTEST > 1 && length == TINY_LENGTH))
        return SLAB_FORM;
    uint64_t held = bits_low(capacity) & ~slab_word(slab);
    const struct knoll_class_state *kept = &heap->size_class[size_class];
    if (kept->newest == number && (kept->touched > capacity || (held != 0 && bits_highest(held) >= kept->touched)))
        return SLAB_FORM;
    if (held == 0 && number != heap->spare_slab)
        return ONE_EMPTY_SLAB;
    struct knoll_class_state *state = &tally->size_class[size_class];
    state->slabs++;
    state->blocks += capacity;
    state->used += count_bits(held);
    tally->partial[size_class] += slab_word(slab) != 0;
    return HOLDS;
}

/* Whether the slab map has the bit of this unit, if a slab starts there, and no bit of the run's other units. */
static bool map_agrees(const struct knoll_region *region, uint32_t index, uint32_t length, bool is_slab)
{
    for (uint32_t i = index; i < index + length; i++)
        if ((*region_slab_map(region, i) >> (i & 63) & 1) != (is_slab && i == index))
            return false;
    return true;
}

/* Whether the cells of a run's units are NONE where they say nothing: the first of each unit in classic, where no other
 * is looked at, and in compact all but those of the slab's state and of the free run's edges. */
static bool inside_is_none(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    const uint32_t *entry = region_entry(region, index);
    bool is_slab = cell_kind(*entry) == RUN_SLAB;
    uint32_t end = index + length;
    if (RUN_END_IS_MARKED && cell_kind(*entry) == RUN_FREE)
        end--;
    for (uint32_t i = index + 1; i < end; i++) {
        bool is_word = RUN_END_IS_MARKED && is_slab && i - index >= CELL_WORD && i - index < CELL_SLAB_PREV;
        if (cell_kind(*region_entry(region, i)) != RUN_NONE && !is_word)
            return false;
    }
    return true;
}

static enum invariant check_runs(const struct knoll_heap *heap, const struct knoll_region *region, struct tally *tally)
{
    uint32_t free_before = 0; /* the length of the free run just before, or 0 */
    uint32_t length;
    if (!map_agrees(region, 0, 1, false))
        return SLAB_MAP;
    for (uint32_t index = 1; index < region->count; index += length) {
        const uint32_t *entry = region_entry(region, index);
        enum run_kind kind = cell_kind(*entry);
        if (kind == RUN_NONE || region->count - index < RUN_SHORTEST ||
            (kind == RUN_SLAB && region->count - index < (RUN_SHORTEST > 1 ? TINY_LENGTH : 1)))
            return RUNS_TILE;
        length = run_length(entry);
        if (length < RUN_SHORTEST || length > region->count - index || !inside_is_none(region, index, length))
            return RUNS_TILE;
        if (!map_agrees(region, index, length, kind == RUN_SLAB))
            return SLAB_MAP;
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

/* The entry that a link of this kind of list leads to, or NULL if it can be none. `cell` is that of the link back. */
static const uint32_t *linked(const struct knoll_heap *heap, uint32_t number, enum run_kind kind, unsigned cell,
                              uint32_t prev)
{
    if (number >> INDEX_BITS >= heap->region_count)
        return NULL;
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    if (index == 0 || index >= region->count)
        return NULL;
    const uint32_t *entry = region_entry(region, index);
    return cell_kind(*entry) == kind && (entry[cell] & NUMBER_MASK) == prev ? entry : NULL;
}

static enum invariant check_free_lists(const struct knoll_heap *heap, const struct tally *tally)
{
    uint32_t found = 0;
    if ((heap->lists_filled & ~bits_low(KNOLL_LIST_COUNT)) != 0)
        return FREE_LISTS;
    for (unsigned list = 0; list < KNOLL_LIST_COUNT; list++) {
        if ((heap->lists_filled >> list & 1) != (heap->list[list] != NOWHERE))
            return FREE_LISTS;
        uint32_t prev = NOWHERE;
        for (uint32_t number = heap->list[list]; number != NOWHERE; found++) { /* at most all_free_runs + 1 rounds */
            const uint32_t *entry = linked(heap, number, RUN_FREE, CELL_FREE_PREV, prev);
            if (entry == NULL || found == tally->all_free_runs ||
                knoll_pages_list(region_of_number(heap, number), number & INDEX_MASK, free_run_length(entry)) != list)
                return FREE_LISTS;
            prev = number;
            number = entry_next(entry);
        }
    }
    return found == tally->all_free_runs ? HOLDS : FREE_LISTS;
}

static enum invariant check_partial_lists(const struct knoll_heap *heap, const struct tally *tally)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        uint32_t found = 0;
        uint32_t prev = NOWHERE;
        for (uint32_t number = heap->size_class[i].partial; number != NOWHERE;
             found++) { /* at most partial + 1 rounds */
            const uint32_t *slab = linked(heap, number, RUN_SLAB, CELL_SLAB_PREV, prev);
            if (slab == NULL || found == tally->partial[i] || attributes_class(slab_attributes(slab)) != i ||
                slab_word(slab) == 0)
                return PARTIAL_LISTS;
            prev = number;
            number = entry_next(slab);
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
        const struct knoll_class_state *counted = &tally->size_class[i];
        if (state->slabs != counted->slabs || state->blocks != counted->blocks || state->used != counted->used)
            return CLASS_COUNTS;
        used += (size_t)counted->used * knoll_classes[i].size;
    }
    if (heap->large_blocks != tally->large_blocks || heap->large_bytes != tally->large_bytes)
        return LARGE_COUNTS;
    return used == heap->used && used <= heap->peak && heap->peak <= heap->total ? HOLDS : BYTES;
}

/* Whether this number, if it is one, names a slab: of this class, unless that is KNOLL_CLASS_COUNT. */
static bool names_slab(const struct knoll_heap *heap, uint32_t number, unsigned size_class)
{
    if (number == NOWHERE)
        return true;
    if (number >> INDEX_BITS >= heap->region_count)
        return false;
    const struct knoll_region *region = region_of_number(heap, number);
    uint32_t index = number & INDEX_MASK;
    if (index >= region->count || (*region_slab_map(region, index) >> (index & 63) & 1) == 0)
        return false;
    return size_class == KNOLL_CLASS_COUNT ||
           attributes_class(slab_attributes(region_entry(region, index))) == size_class;
}

static enum invariant check_named_slabs(const struct knoll_heap *heap)
{
    if (!names_slab(heap, heap->spare_slab, KNOLL_CLASS_COUNT))
        return ONE_EMPTY_SLAB;
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++)
        if (!names_slab(heap, heap->size_class[i].newest, i))
            return CLASS_COUNTS;
    return HOLDS;
}

int knoll_check(const struct knoll_heap *heap)
{
    struct tally tally;
    __builtin_memset(&tally, 0, sizeof tally);
    enum invariant broken = check_regions(heap);
    for (uint32_t i = 0; i < heap->region_count && broken == HOLDS; i++)
        broken = check_runs(heap, heap->region[heap->by_address[i]], &tally);
    if (broken == HOLDS)
        broken = check_named_slabs(heap);
    if (broken == HOLDS)
        broken = check_free_lists(heap, &tally);
    if (broken == HOLDS)
        broken = check_partial_lists(heap, &tally);
    if (broken == HOLDS)
        broken = check_counts(heap, &tally);
    return (int)broken;
}
