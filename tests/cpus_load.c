/* The load. See cpus_load.h.
 *
 * The heap is made small beside what the processors hold, and grows by three regions on the way, so that all ways are
 * gone: taking from others' queues, giving back all, larger classes, refusals. Every block has 16 bytes at least,
 * whatever was asked for, and the first 16 say what it is.
 *
 * SPDX-License-Identifier: MIT */
#include "cpus_load.h"

#define SLOTS           64      /* for other processors */
#define INTERRUPT_SLOTS 64      /* for interrupts */
#define PART            KIB(64) /* of the heap, at first, for each processor */
#define ADDED           (KNOLL_REGIONS_MAX > 3 ? 3u : KNOLL_REGIONS_MAX - 1) /* regions, as long as what the heap begins with */
#define LARGEST         20000                                                /* bytes asked for */

/* What a block says of itself. The rest of it is filled with words that depend on `seed` and their place. */
struct load_block {
    uint32_t size;      /* as asked for */
    uint16_t number;    /* of the processor that took it */
    uint16_t alignment; /* as asked for */
    uint64_t seed;
};

_Static_assert(sizeof(struct load_block) == 16, "fits into the smallest block");

struct knoll_cpus load_cpus;
struct load_worker load_workers[LOAD_PROCESSORS + 1];

static struct load_block *slots[SLOTS];
static struct load_block *interrupt_slots[INTERRUPT_SLOTS];
static uint32_t interrupt_turn;
static size_t interrupt_frees;
static unsigned char *memory;
static size_t memory_part;

static void expect(bool holds, const char *what)
{
    if (!holds)
        load_failed(what);
}

static void fail_on_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap, (void)address;
    load_failed(knoll_fault_name((int)fault));
}

/* ---- Patterns ---- */

static uint64_t *words_of(struct load_block *block)
{
    return (uint64_t *)(void *)(block + 1);
}

static size_t word_count(const struct load_block *block)
{
    return block->size < sizeof *block ? 0 : (block->size - sizeof *block) / sizeof(uint64_t);
}

static uint64_t word_at(uint64_t seed, size_t place)
{
    return (seed + place) * 0x9E3779B97F4A7C15u;
}

static void expect_clear(const uint64_t *words, size_t size)
{
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        expect(words[i] == 0, "a clear block is not clear");
}

static void mark(struct load_worker *worker, struct load_block *block, size_t alignment, size_t size)
{
    *block = (struct load_block){(uint32_t)size, (uint16_t)worker->number, (uint16_t)alignment,
                                 (uint64_t)random_next(&worker->random) << 32 | worker->number};
    uint64_t *words = words_of(block);
    for (size_t i = 0; i < word_count(block); i++)
        words[i] = word_at(block->seed, i);
}

static void expect_words(struct load_block *block, size_t count, uint64_t seed)
{
    const uint64_t *words = words_of(block);
    for (size_t i = 0; i < count; i++)
        expect(words[i] == word_at(seed, i), "a block's contents have changed");
}

/* Looks at a block that is about to be given back, and spoils it, so that whoever holds it too will know. */
static void unmark(struct load_block *block)
{
    expect(block->number >= 1 && block->number <= LOAD_PROCESSORS && block->size <= LARGEST, "a block's head is wrong");
    expect_words(block, word_count(block), block->seed);
    uint64_t *words = words_of(block);
    if (word_count(block) != 0)
        words[0] = words[word_count(block) - 1] = ~block->seed;
    block->number = 0;
}

/* ---- Memory ---- */

static unsigned char *region_start(unsigned number)
{
    return memory + (ADDED - number) * (memory_part + KNOLL_PAGE);
}

/* The first region, which all begins with. */
static void make_first(knoll_cpu_lock lock, knoll_cpu_lock unlock, void *context)
{
    memset(&load_cpus, 0xA5, sizeof load_cpus);
    expect(knoll_cpus_init(&load_cpus, region_start(0), memory_part, lock, unlock, context) == KNOLL_OK, "no heap");
    knoll_set_fault_handler(&load_cpus.heap, fail_on_fault);
}

/* ---- Steps ---- */

static size_t any_size(struct random *random)
{
    return 1 + random_below(random, (uint32_t)LARGEST >> random_below(random, 14));
}

static struct load_block *take(struct load_worker *worker)
{
    size_t size = any_size(&worker->random);
    size_t alignment = 1;
    void *block;
    switch (random_below(&worker->random, 16)) {
    case 0:
        block = knoll_cpu_calloc(&worker->cpu, 1, size);
        if (block != NULL)
            expect_clear(block, size);
        break;
    case 1:
        alignment = (size_t)16 << random_below(&worker->random, 8);
        block = knoll_cpu_aligned_alloc(&worker->cpu, alignment, size);
        break;
    default:
        block = knoll_cpu_malloc(&worker->cpu, size);
        break;
    }
    if (block == NULL) {
        worker->refusals++;
        return NULL;
    }
    expect(is_aligned(block, alignment) && is_aligned(block, 16), "a block is not aligned");
    expect(knoll_cpus_usable_size(&load_cpus, block) >= size, "a block is too small");
    worker->blocks++;
    mark(worker, block, alignment, size);
    return block;
}

static void give(struct load_worker *worker, struct load_block *block)
{
    if (block == NULL)
        return;
    size_t size = block->size;
    size_t alignment = block->alignment;
    if (block->number != worker->number)
        worker->crossing++;
    unmark(block);
    switch (random_below(&worker->random, 4)) {
    case 0:
        knoll_cpus_free(&load_cpus, block);
        break;
    case 1:
        knoll_cpu_free_aligned_sized(&worker->cpu, block, alignment, size);
        break;
    default:
        knoll_cpu_free(&worker->cpu, block);
        break;
    }
}

static struct load_block *resize(struct load_worker *worker, struct load_block *block)
{
    struct load_block old = *block;
    size_t before = word_count(block);
    size_t size = any_size(&worker->random);
    block->size = (uint32_t)size;
    size_t after = word_count(block);
    block->size = old.size;
    expect_words(block, before, old.seed);
    struct load_block *moved = knoll_cpu_realloc(&worker->cpu, block, size);
    if (moved == NULL) {
        expect(size > old.size, "a block could not be made smaller");
        worker->refusals++;
        return block;
    }
    expect(is_aligned(moved, old.alignment), "a block that moved is not aligned");
    expect_words(moved, before < after ? before : after, old.seed);
    mark(worker, moved, old.alignment, size);
    return moved;
}

/* Leaves the block at a place of these, and takes what was there. */
static struct load_block *exchange(struct load_worker *worker, struct load_block **places, uint32_t count,
                                   struct load_block *block)
{
    return __atomic_exchange_n(&places[random_below(&worker->random, count)], block, __ATOMIC_ACQ_REL);
}

static void come_and_go(struct load_worker *worker)
{
    knoll_cpu_drain(&worker->cpu);
    memset(&worker->cpu, 0xA5, sizeof worker->cpu);
    expect(knoll_cpu_start(&worker->cpu, &load_cpus, worker->number), "a processor cannot come back");
}

/* What is told while others are at work may be of different moments, but of no slab more blocks are held than it has.
 */
static void ask(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&load_cpus, &stats);
    for (unsigned i = 0; i < stats.class_count; i++)
        expect(stats.size_class[i].used_blocks <= stats.size_class[i].total_blocks,
               "more blocks are used than there are");
}

static void step(struct load_worker *worker)
{
    struct load_block **held = &worker->held[random_below(&worker->random, LOAD_HELD)];
    uint32_t kind = random_below(&worker->random, 256);
    if (kind == 0) {
        come_and_go(worker);
    } else if (kind < 4) {
        knoll_cpu_collect(&worker->cpu);
        expect(knoll_cpu_check(&worker->cpu) == 0, "a processor's lists are broken");
        ask();
    } else if (kind < 16) {
        give(worker, exchange(worker, slots, SLOTS, NULL));
    } else if (*held == NULL) {
        *held = take(worker);
    } else if (kind < 40) {
        *held = resize(worker, *held);
    } else if (kind < 110) {
        give(worker, exchange(worker, slots, SLOTS, *held));
        *held = NULL;
    } else if (kind < 160) {
        *held = exchange(worker, interrupt_slots, INTERRUPT_SLOTS, *held);
    } else {
        give(worker, *held);
        *held = NULL;
    }
}

/* Regions lie in memory in reverse order, so that what was added last has the lowest addresses. */
static void add_region(unsigned number)
{
    expect(knoll_cpus_add_memory(&load_cpus, region_start(number), memory_part) == KNOLL_OK, "a region was refused");
}

void load_run(struct load_worker *worker, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        step(worker);
        for (unsigned added = 1; worker->number == 1 && added <= ADDED; added++)
            if (i == added * steps / (ADDED + 1))
                add_region(added);
    }
    for (unsigned i = 0; i < LOAD_HELD; i++)
        give(worker, worker->held[i]);
    expect(knoll_cpu_check(&worker->cpu) == 0, "a processor's lists are broken");
    knoll_cpu_drain(&worker->cpu);
}

void load_interrupt(void)
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t turn = __atomic_fetch_add(&interrupt_turn, 1, __ATOMIC_RELAXED);
        struct load_block *block =
            __atomic_exchange_n(&interrupt_slots[turn % INTERRUPT_SLOTS], NULL, __ATOMIC_ACQ_REL);
        if (block == NULL)
            continue;
        unmark(block);
        knoll_cpus_free(&load_cpus, block);
        __atomic_fetch_add(&interrupt_frees, 1, __ATOMIC_RELAXED);
    }
}

size_t load_interrupt_frees(void)
{
    return __atomic_load_n(&interrupt_frees, __ATOMIC_RELAXED);
}

/* ---- Beginning and end ---- */

void load_make(unsigned processors, knoll_cpu_lock lock, knoll_cpu_lock unlock, void *context, uint32_t seed)
{
    memory = arena_at(KNOLL_PAGE, 0);
    memory_part = processors * PART;
    expect(arena_left(region_start(0)) >= memory_part, "the arena is too small");
    memset(memory, 0x5A, (size_t)(region_start(0) - memory) + memory_part);
    make_first(lock, unlock, context);
    interrupt_frees = 0;
    memset(load_workers, 0, sizeof load_workers);
    for (unsigned i = 1; i <= processors; i++) {
        struct load_worker *worker = &load_workers[i];
        worker->number = i;
        worker->random = random_from(seed * LOAD_PROCESSORS + i);
        expect(knoll_cpu_start(&worker->cpu, &load_cpus, i), "a processor cannot start");
    }
}

static void give_places(struct load_block **places, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct load_block *block = __atomic_exchange_n(&places[i], NULL, __ATOMIC_ACQ_REL);
        if (block == NULL)
            continue;
        unmark(block);
        knoll_cpus_free(&load_cpus, block);
    }
}

void load_finish(unsigned processors)
{
    struct knoll_stats now;
    give_places(slots, SLOTS);
    give_places(interrupt_slots, INTERRUPT_SLOTS);
    expect(knoll_cpus_check(&load_cpus) == 0, "the heap is broken");
    knoll_cpus_get_stats(&load_cpus, &now);
    expect(now.used_bytes == 0, "a block was lost");

    struct knoll_cpu *cpu = &load_workers[1].cpu;
    for (unsigned i = 1; i <= processors; i++) /* each passes on what was returned to it, and is not its any more */
        expect(knoll_cpu_start(&load_workers[i].cpu, &load_cpus, i), "a processor cannot come back");
    for (unsigned i = 1; i <= processors; i++)
        knoll_cpu_drain(&load_workers[i].cpu);
    expect(knoll_cpu_start(cpu, &load_cpus, 1), "a processor cannot come back");
    expect(knoll_cpu_malloc(cpu, SIZE_MAX / 2) == NULL, "too large a block was had"); /* looks everywhere */
    expect(knoll_used_bytes(&load_cpus.heap) == 0, "memory is with a processor still");
    knoll_cpus_get_stats(&load_cpus, &now);
    void *whole = knoll_cpu_malloc(cpu, now.largest_block);
    expect(whole != NULL, "the largest block is not to be had");
    knoll_cpu_free(cpu, whole);
    knoll_cpu_drain(cpu);
    expect(knoll_cpus_check(&load_cpus) == 0, "the heap is broken at the end");

    struct knoll_stats new;
    make_first(NULL, NULL, NULL);
    for (unsigned i = 1; i <= ADDED; i++)
        add_region(i);
    knoll_cpus_get_stats(&load_cpus, &new);
    expect(now.total_bytes == new.total_bytes &&now.largest_block == new.largest_block, "the heap is not as new");
}
