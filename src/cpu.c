/* A processor's own side: taking and giving back blocks of slabs that it owns.
 *
 * Of each class a processor has a current slab, from which it takes blocks; other slabs with free blocks in a list; and
 * slabs without any, which nothing leads to but their blocks. It takes a slab from the list when the current one has no
 * free block, looks at what was returned to it when the list is empty, and only then asks the heap for others. When
 * more blocks are free than may be, slabs go back to the heap until half as many are, those first that were listed
 * longest ago.
 *
 * What a processor may have free of one class is 64 blocks, which no current slab has more of, and as many again or
 * KNOLL_CPU_BYTES, whichever is more. So without what is in the list never more than half of that is free. And
 * KNOLL_CPU_BATCH blocks may wait that it gave back to nobody's slabs.
 *
 * Invariants:
 *   1. A slab that this processor owns is in the list of its class just if it has a free block and is not the current
 *      one. Nobody else changes that, nor who owns it.
 *   2. The current slab is `none`, which has no free block, or one that this processor owns.
 *   3. `room` and the free blocks of the current slab and of the listed ones are what may be free together.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_lists.h"
#include "cpu_spans.h"

/* ---- Giving slabs back to the heap ---- */

/* Gives slabs of the list back to the heap, the oldest first, until so many more blocks may be free or none is listed:
 * at most KNOLL_CPU_BATCH in one holding of the lock. */
static void give_back_listed(struct knoll_cpu *cpu, struct knoll_cpu_class *state, int32_t room)
{
    while (state->room < room && state->listed != 0) { /* each round gives back a slab at least */
        cpu_lock(cpu->cpus);
        for (uint32_t i = 0; i < KNOLL_CPU_BATCH && state->room < room && state->listed != 0; i++) {
            uint32_t group = state->oldest;
            unlist_slab(cpu, cpu_entry(cpu->cpus, group));
            state->room += (int32_t)knoll_cpu_give_back(cpu->cpus, group);
        }
        cpu_unlock(cpu->cpus);
    }
}

/* Does what follows when a slab came to have free blocks, or more blocks are free than may be. */
static __attribute__((noinline)) void settle(struct knoll_cpu *cpu, struct knoll_cpu_entry *entry, uint32_t group)
{
    size_t size_class = cpu_slab_shape(entry)->size_class;
    struct knoll_cpu_class *state = &cpu->size_class[size_class];
    if (entry != state->current && entry->previous == NOT_LISTED)
        list_slab(cpu, entry, group);
    if (state->room < 0)
        give_back_listed(cpu, state, cpu_most_free(size_class) / 2);
}

/* ---- What others returned ---- */

/* Looks through so many groups of the processor's queue. */
static void collect(struct knoll_cpu *cpu, uint32_t most)
{
    struct knoll_cpus *cpus = cpu->cpus;
    struct knoll_cpu_queue *queue = &cpus->queue[cpu->number];
    uint32_t group;
    if (!knoll_cpu_queue_open(queue))
        return;
    while (most-- > 0 && knoll_cpu_queue_take(cpus, queue, &group)) {
        struct knoll_cpu_entry *entry = cpu_entry(cpus, group);
        if (!entry_has_returned(entry) || entry_owner(entry) != cpu->number) {
            knoll_cpu_queue_let_go(cpus, group); /* pushed late, or given back to the heap meanwhile */
        } else if (entry_shape(entry) == 0) {
            knoll_cpu_spans_accept(cpu, group);
        } else {
            uint64_t before = entry_free(entry);
            knoll_cpu_accept(cpus, group);
            cpu->size_class[cpu_slab_shape(entry)->size_class].room -= (int32_t)bits_count(entry_free(entry) ^ before);
            settle(cpu, entry, group);
        }
    }
    knoll_cpu_queue_close(queue);
}

/* ---- Taking ---- */

/* Takes a block from the class's current slab; NULL if there is none. One that two gave back at the same moment,
 * neither after the other, is free and returned: it is not to be had before it was looked at, and reported. */
static inline void *take_here(struct knoll_cpu *cpu, size_t size_class)
{
    struct knoll_cpu_class *state = &cpu->size_class[size_class];
    uint64_t word = entry_free(state->current);
    uint64_t sound = word & ~entry_returned(state->current);
    if (sound == 0)
        return NULL;
    entry_set_free(state->current, word ^ (sound & -sound));
    state->room++;
    return state->start + block_offset((uint32_t)class_size(size_class), bits_lowest(sound));
}

/* Gives back all that the processor has free, and leaves it without current slabs. */
static void give_back_all(struct knoll_cpu *cpu)
{
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        struct knoll_cpu_class *state = &cpu->size_class[i];
        struct knoll_cpu_entry *entry = state->current;
        state->current = &cpu->none;
        if (entry_free(entry) != 0)
            list_slab(cpu, entry, state->group);
        give_back_listed(cpu, state, INT32_MAX);
    }
    knoll_cpu_spans_give_up(cpu, true);
}

static bool make_current(struct knoll_cpu *cpu, struct knoll_cpu_class *state, uint32_t group)
{
    if (group == NO_GROUP)
        return false;
    state->current = cpu_entry(cpu->cpus, group);
    state->group = group;
    state->start = unit_address(&cpu->cpus->heap, group_unit(group));
    return true;
}

/* Makes a slab with free blocks the current one of this class, which has none; false if memory does not suffice. */
static bool refill(struct knoll_cpu *cpu, size_t size_class)
{
    struct knoll_cpus *cpus = cpu->cpus;
    struct knoll_cpu_class *state = &cpu->size_class[size_class];
    if (make_current(cpu, state, unlist_newest(cpu, state)))
        return true;
    collect(cpu, KNOLL_CPU_BATCH);
    if (entry_free(state->current) != 0 || make_current(cpu, state, unlist_newest(cpu, state)))
        return true;
    cpu_lock(cpus);
    (void)knoll_cpu_collect_common(cpus);
    knoll_cpu_take_over(cpu, size_class);
    cpu_unlock(cpus);
    return make_current(cpu, state, unlist_newest(cpu, state));
}

/* Takes a block of this class; NULL if memory does not suffice. */
static void *take_of_class(struct knoll_cpu *cpu, size_t size_class, size_t alignment)
{
    void *block = take_here(cpu, size_class);
    if (block == NULL && refill(cpu, size_class))
        block = take_here(cpu, size_class);
    if (block != NULL && alignment > BLOCK_ALIGNMENT)
        entry_note_alignment(cpu->size_class[size_class].current, alignment);
    return block;
}

/* Takes a run from the heap; a whole span of runs, if the request may be served from one and there is memory enough. */
static void *take_run_from_heap(struct knoll_cpu *cpu, size_t alignment, size_t size)
{
    struct knoll_cpus *cpus = cpu->cpus;
    void *block = NULL;
    cpu_lock(cpus);
    (void)knoll_cpu_collect_common(cpus);
    uint32_t span = span_serves(alignment, size) ? knoll_cpu_take_span(cpus) : NOWHERE;
    if (span == NOWHERE)
        block = knoll_cpu_take_run(cpus, alignment, size);
    cpu_unlock(cpus);
    if (span == NOWHERE)
        return block;
    knoll_cpu_spans_add(cpu, span);
    return knoll_cpu_spans_take(cpu, alignment, size);
}

static void *take_run(struct knoll_cpu *cpu, size_t alignment, size_t size)
{
    if (!span_serves(alignment, size) || cpu->span_count == 0)
        return take_run_from_heap(cpu, alignment, size);
    void *block = knoll_cpu_spans_take(cpu, alignment, size);
    if (block == NULL) {
        collect(cpu, KNOLL_CPU_BATCH);
        block = knoll_cpu_spans_take(cpu, alignment, size);
    }
    return block != NULL ? block : take_run_from_heap(cpu, alignment, size);
}

static void give_back_what_is_known(struct knoll_cpu *cpu)
{
    collect(cpu, UINT32_MAX);
    give_back_all(cpu);
}

/* Looks through the queues of processors that are off, and then that of nobody, into which goes what was found in the
 * others to be nobody's: each until there are few groups, which were all that waited. */
static void look_through_common(struct knoll_cpus *cpus)
{
    for (uint32_t i = 1; i <= KNOLL_CPUS + 1; i++) { /* KNOLL_CPUS + 1 rounds */
        uint32_t seen;
        do { /* a round for each KNOLL_CPU_BATCH groups that wait, or come meanwhile */
            cpu_lock(cpus);
            seen = knoll_cpu_collect_for(cpus, i <= KNOLL_CPUS ? i : NOBODY);
            cpu_unlock(cpus);
        } while (seen == KNOLL_CPU_BATCH);
    }
}

/* Serves a request for which memory did not suffice. */
static void *take_when_short(struct knoll_cpu *cpu, unsigned size_class, size_t alignment, size_t size)
{
    struct knoll_cpus *cpus = cpu->cpus;
    void *block = NULL;
    cpu->shortages = __atomic_add_fetch(&cpus->shortages, 1, __ATOMIC_RELAXED);
    look_through_common(cpus);
    give_back_what_is_known(cpu);
    if (size_class != CLASS_LARGE)
        block = take_of_class(cpu, size_class, alignment);
    if (block == NULL && alignment <= BLOCK_ALIGNMENT) /* only its owner may note that a slab has aligned blocks */
        block = knoll_cpu_take_waiting(cpus, size_class, size);
    if (block == NULL) {
        cpu_lock(cpus);
        block = knoll_cpu_take_otherwise(cpus, alignment, size);
        cpu_unlock(cpus);
    }
    return block;
}

static __attribute__((noinline)) void *take_slowly(struct knoll_cpu *cpu, size_t alignment, size_t size)
{
    if (cpu->shortages != __atomic_load_n(&cpu->cpus->shortages, __ATOMIC_RELAXED)) {
        cpu->shortages = __atomic_load_n(&cpu->cpus->shortages, __ATOMIC_RELAXED);
        give_back_what_is_known(cpu);
    }
    unsigned size_class = class_for(alignment, size);
    void *block =
        size_class == CLASS_LARGE ? take_run(cpu, alignment, size) : take_of_class(cpu, size_class, alignment);
    return block != NULL ? block : take_when_short(cpu, size_class, alignment, size);
}

void *knoll_cpu_malloc(struct knoll_cpu *cpu, size_t size)
{
    void *block = size <= KNOLL_SLAB_MAXIMUM ? take_here(cpu, class_for_size(size)) : NULL;
    return block != NULL ? block : take_slowly(cpu, 1, size);
}

void *knoll_cpu_aligned_alloc(struct knoll_cpu *cpu, size_t alignment, size_t size)
{
    if (alignment <= BLOCK_ALIGNMENT && is_power_of_two(alignment))
        return knoll_cpu_malloc(cpu, size);
    if (is_power_of_two(alignment))
        return take_slowly(cpu, alignment, size);
    cpu_lock(cpu->cpus);
    cpu->cpus->heap.failures++;
    cpu_unlock(cpu->cpus);
    return NULL;
}

void *knoll_cpu_calloc(struct knoll_cpu *cpu, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* which no heap holds */
    void *block = knoll_cpu_malloc(cpu, bytes);
    if (block != NULL)
        __builtin_memset(block, 0, bytes);
    return block;
}

/* ---- Giving back ---- */

/* Gives back a block of a slab that this processor owns; false if nobody holds it. */
static inline bool give_here(struct knoll_cpu *cpu, const struct cpu_place *place)
{
    uint64_t before = entry_free(place->entry);
    uint64_t mask = bit(place->index);
    if (((before | entry_returned(place->entry)) & mask) != 0)
        return false;
    entry_set_free(place->entry, before | mask);
    if (--cpu->size_class[place->shape->size_class].room < 0 || before == 0)
        settle(cpu, place->entry, place->group);
    return true;
}

static bool give_run(struct knoll_cpu *cpu, const struct cpu_place *place)
{
    struct knoll_cpus *cpus = cpu->cpus;
    uint32_t number = group_unit(place->group) + place->index;
    uint32_t owner = entry_owner(place->entry);
    /* not covered: knoll_cpu_find saw no returned run, so it must be returned between its look and this one */
    if (!cpu_run_holds(place))
        return false; /* not covered: the same */
    if (owner == cpu->number) {
        knoll_cpu_spans_give(cpu, number);
        knoll_cpu_spans_settle(cpu);
        return true;
    }
    if (owner != NOBODY)
        return knoll_cpu_return(cpus, place);
    cpu_lock(cpus);
    bool stays = cpu_run_stays(place, entry_of(&cpus->heap, number));
    if (stays)
        knoll_cpu_give_run(cpus, number);
    (void)knoll_cpu_collect_common(cpus);
    cpu_unlock(cpus);
    return stays;
}

/* Gives back a block of nobody's slab. These are looked through now and then, so that they do not wait for somebody who
 * needs the lock. */
static bool give_to_nobody(struct knoll_cpu *cpu, const struct cpu_place *place)
{
    if (!cpu_return(cpu->cpus, place))
        return false;
    if (++cpu->unseen >= KNOLL_CPU_BATCH) {
        cpu->unseen = 0;
        cpu_lock(cpu->cpus);
        (void)knoll_cpu_collect_common(cpu->cpus);
        cpu_unlock(cpu->cpus);
    }
    return true;
}

/* Gives back the block at this place; false if nobody holds it. */
static bool give(struct knoll_cpu *cpu, const struct cpu_place *place)
{
    if (place->shape == NULL)
        return give_run(cpu, place);
    uint32_t owner = entry_owner(place->entry);
    return owner == NOBODY        ? give_to_nobody(cpu, place)
           : owner == cpu->number ? give_here(cpu, place)
                                  : cpu_return(cpu->cpus, place);
}

/* Frees what is no block of a processor's slab in the first region. */
static __attribute__((noinline)) void free_slowly(struct knoll_cpu *cpu, void *block)
{
    struct cpu_place place;
    if (block != NULL && (!knoll_cpu_find(cpu->cpus, block, &place) || !give(cpu, &place)))
        knoll_cpu_report_address(cpu->cpus, block);
}

/* What is refused is not tried again: it may have been handed out meanwhile. */
void knoll_cpu_free(struct knoll_cpu *cpu, void *block)
{
    struct cpu_place place;
    uint32_t owner = NOBODY;
    if (cpu_find_slab(cpu->cpus, FIRST_REGION, block, &place) && shape_has(place.shape, place.index))
        owner = entry_owner(place.entry);
    if (owner == NOBODY)
        free_slowly(cpu, block);
    else if (owner == cpu->number ? !give_here(cpu, &place) : !cpu_return(cpu->cpus, &place))
        knoll_cpu_report_address(cpu->cpus, block);
}

void knoll_cpu_collect(struct knoll_cpu *cpu)
{
    collect(cpu, UINT32_MAX);
    knoll_cpu_spans_give_up(cpu, false);
}

/* ---- Coming and going ---- */

int knoll_cpu_start(struct knoll_cpu *cpu, struct knoll_cpus *cpus, unsigned number)
{
    if (number == NOBODY || number > KNOLL_CPUS)
        return 0;
    cpu_lock(cpus);
    bool is_free = cpus->queue[number].is_off != 0;
    cpus->queue[number].is_off = 0;
    cpu_unlock(cpus);
    if (!is_free)
        return 0;
    __builtin_memset(cpu, 0, sizeof *cpu);
    cpu->cpus = cpus;
    cpu->number = number;
    cpu->shortages = __atomic_load_n(&cpus->shortages, __ATOMIC_RELAXED);
    knoll_cpu_spans_begin(cpu);
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        cpu->size_class[i].current = &cpu->none;
        cpu->size_class[i].room = cpu_most_free(i);
    }
    return 1;
}

void knoll_cpu_drain(struct knoll_cpu *cpu)
{
    give_back_what_is_known(cpu);
    cpu_lock(cpu->cpus);
    cpu->cpus->queue[cpu->number].is_off = 1;
    cpu_unlock(cpu->cpus);
    look_through_common(cpu->cpus);
}
