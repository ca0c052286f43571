/* The heap that processors share: all that is done under its lock.
 *
 * There is one lock, and nothing is called while it is held but the core. So there is no lock order to keep, but that
 * of a caller: whoever holds a lock that the lock hook takes, or is inside it, must not call an owner's function.
 * While it is held one of these is done: a run or slab is taken or given back, O(1) or O(log n) as the page layer does;
 * a slab's groups are written, two at most; and KNOLL_CPU_BATCH groups of each of two queues are looked at. A processor
 * that takes slabs over does that up to KNOLL_CPU_BATCH times, and takes one run for up to twice as many new ones; and
 * one that gives up a span gives back so many of its runs, or writes to 64 groups.
 *
 * To the heap a slab that a processor owns has no free block: the processor took all there were at once. So the heap's
 * own invariants hold at all times, and its counts of blocks include what processors have free.
 *
 * Invariants, of the slabs that the heap's tables have:
 *   1. Each group of it says its shape in its entry; the first group of a run says none.
 *   2. Nobody's: `free` is the slab's word. Somebody's: its word is 0.
 *   3. No bit is both in `free` and in `returned`, but while knoll_cpu_accept moves it.
 *
 * SPDX-License-Identifier: MIT */
#include "accounts.h"
#include "blocks.h"
#include "cpu_lists.h"
#include "cpu_spans.h"

/* ---- Making ---- */

/* How much the region takes that is before the first one: its tables, which are all of it. */
static size_t bytes_before_first(void)
{
    size_t units = 1;
    /* not covered: only KNOLL_TABLE_SLACK asks for more than one */
    while (knoll_region_table_units(units) != units)
        units = knoll_region_table_units(units); /* not covered: the same. It rises, at most a few times */
    return FIRST_REGION * units << KNOLL_UNIT_SHIFT;
}

/* Whether these bytes and those have one in common. */
static bool meet(uintptr_t start, size_t size, uintptr_t from, size_t length)
{
    return start < from ? from - start < size : start - from < length;
}

/* Whether the entries of any region are in these bytes, or what knows them. */
static bool meets_own(const struct knoll_cpus *cpus, uintptr_t start, size_t size)
{
    for (uint32_t i = 0; i < cpus->region_count; i++) { /* at most KNOLL_REGIONS_MAX rounds */
        uintptr_t from = (uintptr_t)cpus->region[i].entries;
        if (meet(start, size, from, cpus->region[i].start - from))
            return true;
    }
    return meet(start, size, (uintptr_t)cpus, sizeof *cpus);
}

/* Puts the entries at the span's start, in a new heap after the region of `before` bytes that is before the first one,
 * and gives the rest to the heap. */
static int add_region(struct knoll_cpus *cpus, void *start, size_t size, size_t least, size_t before)
{
    struct knoll_heap *heap = &cpus->heap;
    size_t groups = size >> GROUP_BYTES_SHIFT; /* more than what is left has */
    size_t bytes = before + groups * sizeof(struct knoll_cpu_entry);
    bytes = (bytes + KNOLL_PAGE - 1) & ~(size_t)(KNOLL_PAGE - 1);
    int error = knoll_region_limits(heap, start, size, bytes + least);
    if (error != KNOLL_OK && error != KNOLL_ERROR_NOT_PAGES) /* for too small comes first, and what is left may be */
        return error;
    unsigned char *rest = (unsigned char *)start + bytes;
    error = knoll_region_limits(heap, rest, size - bytes, least);
    if (error == KNOLL_OK && before == 0 && heap->region_count == 0)
        error = KNOLL_ERROR_NO_HEAP;
    if (error == KNOLL_OK && meets_own(cpus, (uintptr_t)start, size))
        error = KNOLL_ERROR_OVERLAP;
    if (error == KNOLL_OK)
        error = knoll_region_room(heap, start, size);
    if (error != KNOLL_OK)
        return error;

    if (!KNOLL_MEMORY_IS_ZERO)
        __builtin_memset(start, 0, bytes);
    if (before != 0) {
        knoll_pages_add(heap, knoll_region_make(heap, start, before));
        knoll_slab_begin(heap);
        cpus->region_count = FIRST_REGION;
    }
    struct knoll_cpu_entry *entries = (void *)((unsigned char *)start + before);
    (void)knoll_add_memory(heap, rest, size - bytes); /* which was found to be possible */
    cpus->region[cpus->region_count] = (struct knoll_cpu_region){(uintptr_t)rest, size - bytes, entries};
    __atomic_store_n(&cpus->region_count, cpus->region_count + 1, __ATOMIC_RELEASE);
    return KNOLL_OK;
}

int knoll_cpus_init_for(struct knoll_cpus *cpus, void *start, size_t size, knoll_cpu_lock lock, knoll_cpu_lock unlock,
                        void *context, uint64_t knobs)
{
    if (knobs != KNOLL_CPU_KNOBS)
        return KNOLL_ERROR_KNOBS;
    if (cpus == NULL)
        return KNOLL_ERROR_NULL;
    __builtin_memset(cpus, 0, sizeof *cpus);
    cpus->lock = lock;
    cpus->unlock = unlock;
    cpus->context = context;
    cpus->turn = 1;
    for (uint32_t i = 0; i <= KNOLL_CPUS; i++) {
        cpus->queue[i].last = QUEUE_END;
        cpus->queue[i].rest = QUEUE_END;
        cpus->queue[i].is_off = 1;
    }
    return add_region(cpus, start, size, KNOLL_MINIMUM_HEAP, bytes_before_first());
}

int knoll_cpus_add_memory(struct knoll_cpus *cpus, void *start, size_t size)
{
    if (cpus == NULL)
        return KNOLL_ERROR_NULL;
    cpu_lock(cpus);
    int error = add_region(cpus, start, size, KNOLL_PAGE, 0);
    cpu_unlock(cpus);
    return error;
}

/* ---- Slabs ---- */

#define ENOUGH_BLOCKS 32u                           /* when slabs are taken over that have free ones */
#define NEW_SLABS     ((size_t)2 * KNOLL_CPU_BATCH) /* so many are made at once at most */
#define NEW_PART      64                            /* and of no more than this part of what is free */

/* Says the shape of each group of the slab that starts at this unit, and that the second is nobody's: it may be that of
 * a processor that is about to give up the span which was there. Nothing else is said of the slab. The shape may have
 * been said before, and be read just now by whoever gives back one of the blocks: so if it is right it is never
 * anything else, not for a moment. */
static struct knoll_cpu_entry *know_slab(struct knoll_cpus *cpus, uint32_t number)
{
    const struct knoll_region *region = region_of_number(&cpus->heap, number);
    size_t shape = region_shape(region, number & INDEX_MASK);
    struct knoll_cpu_entry *entry = cpu_entry(cpus, number >> GROUP_SHIFT);
    uint32_t groups = (shape_of(shape)->low >> GROUP_BYTES_SHIFT) + 1;
    if (groups == 1)
        entry_forget_second(entry, number >> GROUP_SHIFT);
    else
        entry_set_owner(&entry[1], NOBODY, false);
    for (uint32_t i = 0; i < groups; i++) /* at most 2 rounds */
        __atomic_store_n(&entry[i].shape, (uint8_t)shape, __ATOMIC_RELAXED);
    return entry;
}

/* Makes a slab the processor's, with these free blocks, be it fresh or not, and lists it. */
static void own_slab(struct knoll_cpu *cpu, uint32_t number, uint64_t word, bool is_fresh)
{
    struct knoll_cpu_entry *entry = know_slab(cpu->cpus, number);
    if (is_fresh)
        __atomic_store_n(&entry->alignment, 0, __ATOMIC_RELAXED);
    entry_set_free(entry, word);
    entry_set_owner(entry, cpu->number, !is_fresh && entry_is_loose(entry));
    list_slab(cpu, entry, number >> GROUP_SHIFT);
}

/* Hands a slab of this class that the heap has to the processor, with all of its free blocks. Returns how many; 0 if it
 * has none. */
static uint32_t adopt(struct knoll_cpu *cpu, size_t size_class)
{
    struct knoll_heap *heap = &cpu->cpus->heap;
    struct knoll_class_state *state = &heap->size_class[size_class];
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    if ((state->current == NULL || slab_free(state->current, shape) == 0) && !knoll_slab_reuse(heap, size_class))
        return 0;

    uint64_t word = slab_free(state->current, shape);
    uint32_t count = bits_count(word);
    slab_set_held(state->current, shape->blocks);
    state->at_hand = 0;
    heap->allocations += count;
    state->free_blocks -= count;
    account_used(heap, count * class_size(size_class));

    unsigned char *start = state->start;
    const struct knoll_region *region = region_of_address(heap, start);
    own_slab(cpu, region_unit_number(region, (uint32_t)(region_offset(region, start) >> KNOLL_UNIT_SHIFT)), word,
             word == shape->blocks);
    return count;
}

/* How many new slabs of this class are made at once. Several cost little more than one, and then the lock is not wanted
 * for long; but where memory is little, or little may be free, one is enough. */
static uint32_t new_slabs(const struct knoll_heap *heap, size_t size_class)
{
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    size_t affordable = knoll_available_bytes(heap) / NEW_PART / (shape->low + 1);
    size_t wanted = (size_t)cpu_most_free(size_class) / 2 / shape->capacity;
    size_t slabs = affordable < wanted ? affordable : wanted;
    slabs = slabs < NEW_SLABS ? slabs : NEW_SLABS;
    return slabs != 0 ? (uint32_t)slabs : 1;
}

/* Hands new slabs of this class to the processor, which lie side by side. Returns how many blocks they have; 0 if
 * memory does not suffice for one. */
static uint32_t adopt_new(struct knoll_cpu *cpu, size_t size_class)
{
    struct knoll_heap *heap = &cpu->cpus->heap;
    const struct knoll_shape *shape = &knoll_shapes[size_class];
    uint32_t number;
    uint32_t slabs = knoll_slab_make_held(heap, size_class, new_slabs(heap, size_class), &number);
    for (uint32_t i = 1; i <= slabs; i++) /* at most NEW_SLABS rounds; the lowest is listed last, and used first */
        own_slab(cpu, number + (slabs - i) * shape_length(shape), shape->blocks, true);
    uint32_t blocks = slabs * shape->capacity;
    heap->allocations += blocks;
    account_used(heap, blocks * class_size(size_class));
    return blocks;
}

/* Several slabs if each has few free blocks, so that the lock is not wanted for every few of them. What is listed last
 * is used first, so new ones come first. */
void knoll_cpu_take_over(struct knoll_cpu *cpu, size_t size_class)
{
    bool is_enough = cpu->cpus->heap.size_class[size_class].free_blocks >= ENOUGH_BLOCKS;
    uint32_t new_blocks = is_enough ? 0 : adopt_new(cpu, size_class);
    uint32_t blocks = 0; /* of slabs that the heap had */
    uint32_t count = 1;
    for (uint32_t i = 0; i < KNOLL_CPU_BATCH && blocks < ENOUGH_BLOCKS && count != 0; i++) {
        count = adopt(cpu, size_class);
        blocks += count;
    }
    blocks += new_blocks;
    cpu->size_class[size_class].room -= (int32_t)blocks;
}

uint32_t knoll_cpu_give_back(struct knoll_cpus *cpus, uint32_t group)
{
    struct knoll_heap *heap = &cpus->heap;
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    uint32_t *slab = entry_of(heap, group_unit(group));
    const struct knoll_shape *shape = cpu_slab_shape(entry);
    struct slab_place place = {slab, shape, group_unit(group), 0};
    entry_set_owner(entry, NOBODY, entry_is_loose(entry));
    uint64_t held = slab_held(slab);
    uint32_t count = bits_count(held & entry_free(entry));
    if (count == 0)
        return 0;
    heap->headroom += (size_t)count * shape->size;
    slab_give_some(heap, place, held & ~entry_free(entry), count);
    return count;
}

/* ---- Queues ---- */

/* Frees the runs of no span that start in this group and were returned, and lets it go. */
static void free_runs(struct knoll_cpus *cpus, uint32_t group)
{
    struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
    uint64_t bits = __atomic_load_n(&entry->returned, __ATOMIC_ACQUIRE);
    for (uint64_t left = bits & RUN_BITS; left != 0; left &= left - 1) { /* at most GROUP_UNITS rounds */
        uint32_t number = group_unit(group) + bits_lowest(left);
        if (run_is_held(entry_of(&cpus->heap, number)))
            knoll_cpu_give_run(cpus, number);
        else
            knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE, unit_address(&cpus->heap, number));
    }
    knoll_cpu_runs_seen(cpus, group, bits, bits & ~RUN_BITS);
}

/* Drops what was returned to a slab that is gone, whose group says still what it was. */
static void drop_returned(struct knoll_cpus *cpus, uint32_t group)
{
    uint64_t bits = entry_returned(cpu_entry(cpus, group));
    knoll_cpu_runs_seen(cpus, group, bits, bits);
}

/* Looks through the queue of nobody, or of a processor that is off. */
static uint32_t collect(struct knoll_cpus *cpus, uint32_t owner)
{
    struct knoll_cpu_queue *queue = &cpus->queue[owner];
    uint32_t group;
    uint32_t seen = 0;
    if (!knoll_cpu_queue_open(queue))
        return 0;
    for (; seen < KNOLL_CPU_BATCH && knoll_cpu_queue_take(cpus, queue, &group); seen++) {
        struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
        if (!entry_has_returned(entry) || (entry_owner(entry) != NOBODY && entry_owner(entry) != owner)) {
            knoll_cpu_queue_let_go(cpus, group); /* pushed late, or taken over meanwhile */
        } else if (entry_shape(entry) == 0) {    /* nobody's: who is off has no spans */
            free_runs(cpus, group);
        } else if (slab_says(entry_of(&cpus->heap, group_unit(group))) != entry_shape(entry)) {
            drop_returned(cpus, group);
        } else {
            knoll_cpu_accept(cpus, group);
            (void)knoll_cpu_give_back(cpus, group);
        }
    }
    knoll_cpu_queue_close(queue);
    return seen;
}

uint32_t knoll_cpu_collect_for(struct knoll_cpus *cpus, uint32_t owner)
{
    return owner == NOBODY || cpus->queue[owner].is_off != 0 ? collect(cpus, owner) : 0;
}

uint32_t knoll_cpu_collect_common(struct knoll_cpus *cpus)
{
    uint32_t seen = collect(cpus, NOBODY) + knoll_cpu_collect_for(cpus, cpus->turn);
    cpus->turn = cpus->turn % KNOLL_CPUS + 1;
    return seen;
}

/* ---- Runs, and what can be served no other way ---- */

/* Says that the run at this address is of no span. Returns its first unit. Where a processor is about to give up the
 * span that it was in it is said by that processor, for all runs of a group at once: a run of its own may start in this
 * one, beside which not all that is free is the heap's yet. Until then what is returned waits in its queue. */
static uint32_t know_run(struct knoll_cpus *cpus, const void *address)
{
    const struct knoll_region *region = region_of_address(&cpus->heap, address);
    uint32_t number = region_unit_number(region, (uint32_t)(region_offset(region, address) >> KNOLL_UNIT_SHIFT));
    struct knoll_cpu_entry *entry = cpu_entry(cpus, number >> GROUP_SHIFT);
    uint32_t owner = entry_shape(entry) == 0 ? entry_owner(entry) : NOBODY;
    entry_begin_run(entry, number, owner, large_length(entry_of(&cpus->heap, number)));
    return number;
}

void *knoll_cpu_take_run(struct knoll_cpus *cpus, size_t alignment, size_t size)
{
    struct knoll_heap *heap = &cpus->heap;
    size_t usable;
    void *block;
    bool is_returned;
    do { /* a round more for each run that two gave back at once */
        block = knoll_large_take_aligned(heap, alignment, size, false, &usable);
        if (block == NULL)
            return NULL;
        heap->allocations++;
        account_used(heap, usable);
        is_returned = knoll_cpu_run_is_returned(cpus, know_run(cpus, block));
    } while (is_returned);
    return block;
}

void knoll_cpu_give_run(struct knoll_cpus *cpus, uint32_t number)
{
    size_t size = large_give(&cpus->heap, number);
    cpus->heap.headroom += size;
}

uint32_t knoll_cpu_take_span(struct knoll_cpus *cpus)
{
    if (knoll_available_bytes(&cpus->heap) < (1 + SPANS_LEFT) * SPAN_BYTES)
        return NOWHERE;
    void *block = knoll_cpu_take_run(cpus, SPAN_BYTES, SPAN_BYTES);
    if (block == NULL)
        return NOWHERE;
    uint32_t number = know_run(cpus, block);
    *entry_of(&cpus->heap, number) |= RUN_NESTED;
    cpus->heap.spans++;
    return number;
}

/* Makes of a block that the heap has handed out one of this layer's; false if it is returned still, which is reported.
 */
static bool know_block(struct knoll_cpus *cpus, void *block, size_t alignment)
{
    struct slab_place place;
    if (!slab_find(region_of_address(&cpus->heap, block), block, &place)) {
        uint32_t number = know_run(cpus, block);
        uint32_t *run = entry_of(&cpus->heap, number);
        entry_set_run(cpu_entry(cpus, number >> GROUP_SHIFT), number % GROUP_UNITS, large_length(run),
                      (*run & RUN_LOOSE) != 0);
        *run &= ~RUN_LOOSE;
        return !knoll_cpu_run_is_returned(cpus, number);
    }
    struct knoll_cpu_entry *entry = know_slab(cpus, place.number);
    if (slab_held(place.slab) == bit(place.index)) /* the slab may be new, and no other block has an alignment */
        __atomic_store_n(&entry->alignment, 0, __ATOMIC_RELAXED);
    entry_set_free(entry, slab_free(place.slab, place.shape));
    entry_note_alignment(entry, alignment);
    entry_set_owner(entry, NOBODY, true);
    bool is_returned = (entry_returned(entry) >> place.index & 1) != 0;
    if (is_returned)
        knoll_cpu_report(cpus, KNOLL_FAULT_DOUBLE_FREE, block);
    return !is_returned;
}

void *knoll_cpu_take_otherwise(struct knoll_cpus *cpus, size_t alignment, size_t size)
{
    void *block;
    do /* a round more for each block that two gave back at once */
        block = knoll_aligned_alloc(&cpus->heap, alignment, size);
    while (block != NULL && !know_block(cpus, block, alignment));
    return block;
}
