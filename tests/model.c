/* Random histories of every public call, faulty ones among them, against an oracle that knows nothing of slabs or runs.
 *
 * The oracle is a list of what is held and a shadow: one byte for each 16 bytes of memory, which says whether they may
 * be handed out. Every block must come from bytes that may, is filled with a pattern of its own, and must still bear it
 * when it is looked at. A request must succeed just where the heap said before that it would.
 *
 * Each history has its own seed, printed if it fails; compile with KNOLL_TEST_SEED set to it to begin with that one.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define HOLDINGS 1024
#define GRANULE  16 /* bytes for each byte of the shadow */
#define FREED    16 /* addresses of freed blocks, remembered to free them again */

struct holding {
    unsigned char *block;
    size_t size, alignment; /* as they were last asked for */
    size_t usable;
    size_t taken; /* bytes of the heap, what lies round the block included */
    unsigned seed;
};

struct span {
    unsigned char *start;
    size_t size, tables;
};

static struct knoll_heap heap;
static struct random random;
static struct holding holdings[HOLDINGS];
static struct span spans[KNOLL_REGIONS_MAX]; /* in the order in which they are added */
static size_t spans_planned, spans_added;
static unsigned char *ground, *shadow;
static size_t ground_size;
static unsigned char *freed[FREED];
static struct {
    size_t slots, small, large, blocks, used, peak, allocations, frees, failures;
} now;

static uint32_t chance(uint32_t limit)
{
    return random_below(&random, limit);
}

static struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats;
}

/* ---- The shadow ---- */

enum { FREE = 0, TAKEN = 1 };

static void shade(const unsigned char *start, size_t size, int from, int to)
{
    unsigned char *cell = shadow + (size_t)(start - ground) / GRANULE;
    assert_true(start >= ground && start + size <= ground + ground_size);
    for (size_t i = 0; i < size / GRANULE; i++)
        if (cell[i] != from)
            assert_int_equal(cell[i], from);
    memset(cell, to, size / GRANULE);
}

static bool is_taken(const unsigned char *address)
{
    return shadow[(size_t)(address - ground) / GRANULE] == TAKEN;
}

/* ---- Contents: all of a small block; of a large one both ends and a little of each page ---- */

static void write_contents(const struct holding *held)
{
    size_t head = held->size < KNOLL_PAGE ? held->size : KNOLL_PAGE;
    write_pattern(held->block, head, held->seed);
    for (size_t at = KNOLL_PAGE; at + 16 <= held->size; at += KNOLL_PAGE)
        write_pattern(held->block + at, 16, held->seed + 1);
    if (held->usable > held->size)
        held->block[held->usable - 1] = 0xEE;
    if (held->size > KNOLL_PAGE)
        held->block[held->size - 1] = (unsigned char)held->seed;
}

/* The first `size` bytes of what was written. */
static void expect_contents(const struct holding *held, const unsigned char *block, size_t size)
{
    size_t head = size < KNOLL_PAGE ? size : KNOLL_PAGE;
    assert_true(has_pattern(block, head, held->seed));
    for (size_t at = KNOLL_PAGE; at + 17 <= size; at += KNOLL_PAGE)
        assert_true(has_pattern(block + at, 16, held->seed + 1));
    if (size > KNOLL_PAGE && size == held->size)
        assert_int_equal(block[size - 1], held->seed & 0xFF);
}

/* ---- What is held ---- */

static void count_new(struct holding *held, unsigned char *block)
{
    held->block = block;
    held->usable = knoll_usable_size(&heap, block);
    held->seed = random_next(&random);
    assert_true(held->usable >= held->size);
    assert_true(is_aligned(block, held->alignment) && is_aligned(block, 16));
    shade(block, held->usable, FREE, TAKEN);
    write_contents(held);
    held->taken = knoll_used_bytes(&heap) - now.used;
    assert_true(IS_BYTE_EXACT ? held->taken >= held->usable + OVERHEAD : held->taken == held->usable);
    now.blocks++;
    now.used += held->taken;
    if (now.used > now.peak)
        now.peak = now.used;
}

static void count_gone(const struct holding *held)
{
    shade(held->block, held->usable, TAKEN, FREE);
    freed[chance(FREED)] = held->block;
    now.blocks--;
    now.used -= held->taken;
}

static size_t any_size(void)
{
    switch (chance(16)) {
    case 0:
        return chance(2) == 0 ? 0 : (size_t)1 << chance(20);
    case 1:
        return chance(64) == 0 ? SIZE_MAX - chance(10000) : chance((uint32_t)now.large);
    case 2:
    case 3:
        return chance((uint32_t)now.large / 8 + 1);
    case 4:
    case 5:
        return chance(9000);
    default:
        return chance((uint32_t)now.small);
    }
}

static size_t any_alignment(void)
{
    return chance(8) == 0 ? (size_t)1 << chance(21) : (size_t)1 << chance(13);
}

static bool is_zero(const unsigned char *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != 0)
            return false;
    return true;
}

/* What was promised; and no more, unless memory is so short that the request may have been served by what there was. */
static void expect_good_size(const struct holding *held, const unsigned char *block, size_t largest)
{
    if (block == NULL)
        return;
    size_t good = knoll_good_size(&heap, held->alignment, held->size);
    assert_true(knoll_usable_size(&heap, block) >= good);
    if (largest / 2 >= good + held->alignment + 64 * KNOLL_SLAB_MAXIMUM)
        assert_int_equal(knoll_usable_size(&heap, block), good);
}

static void allocate(struct holding *held)
{
    bool nothing_waits = !IS_BYTE_EXACT || chance(2) == 0;
    if (nothing_waits)
        knoll_drain(&heap); /* or a request may succeed by that */
    size_t largest = largest_block(&heap);
    unsigned char *block;
    held->size = any_size();
    held->alignment = 1;
    switch (chance(4)) {
    case 0:
        block = knoll_calloc(&heap, held->size, 1);
        assert_true(block == NULL || is_zero(block, held->size));
        break;
    case 1:
        held->alignment = any_alignment();
        block = knoll_aligned_alloc(&heap, held->alignment, held->size);
        expect_good_size(held, block, largest);
        break;
    case 2:
        block = knoll_realloc(&heap, NULL, held->size);
        break;
    default:
        block = knoll_malloc(&heap, held->size);
        break;
    }
    if (nothing_waits) /* it speaks of knoll_malloc */
        assert_true(block == NULL || held->alignment > 16 || held->size <= largest);
    if (block == NULL) {
        assert_true(held->alignment > 16 || may_refuse(&heap, held->size));
        now.failures++;
        return;
    }
    now.allocations++;
    count_new(held, block);
}

static void release(struct holding *held)
{
    expect_contents(held, held->block, held->size);
    count_gone(held);
    now.frees++;
    if (chance(3) == 0)
        knoll_free(&heap, held->block);
    else if (held->alignment == 1 && chance(2) == 0)
        knoll_free_sized(&heap, held->block, held->size);
    else
        knoll_free_aligned_sized(&heap, held->block, held->alignment, held->size);
    held->block = NULL;
}

static void resize(struct holding *held)
{
    size_t size = any_size();
    size_t kept = size < held->size ? size : held->size;
    expect_contents(held, held->block, held->size);
    unsigned char *block = knoll_realloc(&heap, held->block, size);
    if (block == NULL) {
        assert_true(size > held->size);
        /* The tables know the greatest alignment in a slab, not that of each block: it is kept for all of them. */
        bool alignment_counts = held->alignment > 16 || (!CLASSIC && held->usable <= KNOLL_SLAB_MAXIMUM);
        assert_true(alignment_counts || may_refuse(&heap, size));
        now.failures++;
        return;
    }
    expect_contents(held, block, kept);
    now.allocations += block != held->block;
    now.frees += block != held->block;
    size_t before = now.used;
    count_gone(held);
    held->size = size;
    count_new(held, block);
    if (stats_now().peak_used_bytes <= before + held->taken && stats_now().peak_used_bytes > now.peak)
        now.peak = stats_now().peak_used_bytes; /* both blocks were there for a moment */
}

/* ---- Misuse ---- */

#define KIND(name) (1u << KNOLL_FAULT_##name)

static void hand_in(void *address)
{
    struct knoll_stats before = stats_now();
    last_fault.count = 0;
    switch (chance(5)) {
    case 0:
        knoll_free_sized(&heap, address, any_size());
        break;
    case 1:
        knoll_free_aligned_sized(&heap, address, any_alignment(), any_size());
        break;
    case 2:
        assert_null(knoll_realloc(&heap, address, any_size()));
        break;
    case 3:
        assert_int_equal(knoll_usable_size(&heap, address), 0);
        break;
    default:
        knoll_free(&heap, address);
        break;
    }
    struct knoll_stats after = stats_now();
    assert_int_equal(last_fault.count, 1);
    assert_ptr_equal(last_fault.address, address);
    assert_memory_equal(&after, &before, sizeof before);
}

static void expect_fault(void *address, unsigned kinds)
{
    hand_in(address);
    assert_true((kinds >> last_fault.fault & 1) != 0);
    last_fault.count = 0;
}

static bool is_block(const unsigned char *address)
{
    for (size_t i = 0; i < now.slots; i++)
        if (holdings[i].block == address)
            return true;
    return false;
}

/* Any address in memory that the heap has: what it must say of it follows from the shadow. */
static void misuse_anywhere(unsigned char *address)
{
    if (is_block(address))
        return;
    if (!is_taken(address))
        expect_fault(address, KIND(DOUBLE_FREE) | KIND(NOT_HANDED_OUT) | KIND(INTERIOR));
    else
        expect_fault(address, KIND(INTERIOR));
}

static void misuse(struct holding *held)
{
    const struct span *span = &spans[chance((uint32_t)spans_added)];
    switch (chance(6)) {
    case 0:
        if (held->block != NULL)
            misuse_anywhere(held->block + chance((uint32_t)held->usable));
        break;
    case 1:
        if (freed[0] != NULL)
            misuse_anywhere(freed[0]);
        break;
    case 2:
        misuse_anywhere(span->start + span->tables + chance((uint32_t)(span->size - span->tables)));
        break;
    case 3:
        expect_fault(span->start + chance((uint32_t)span->tables), KIND(TABLES));
        break;
    case 4:
        expect_fault((unsigned char *)holdings + chance(sizeof holdings), KIND(FOREIGN));
        break;
    default:
        if (held->block != NULL && knoll_good_size(&heap, 1, held->usable + 1) != held->usable) {
            last_fault.count = 0;
            knoll_free_sized(&heap, held->block, held->usable + 1);
            assert_int_equal(last_fault.count, 1);
            assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
            last_fault.count = 0;
        }
        break;
    }
}

/* ---- Memory ---- */

static void take_span(struct span *span)
{
    size_t before = spans_added == 0 ? 0 : knoll_total_bytes(&heap);
    if (spans_added == 0) {
        make_heap(&heap, span->start, span->size);
        knoll_set_fault_handler(&heap, record_fault);
    } else {
        add_memory(&heap, span->start, span->size);
    }
    span->tables = span->size - (knoll_total_bytes(&heap) - before);
    shade(span->start + span->tables, span->size - span->tables, TAKEN, FREE);
    spans_added++;
}

static void add_span(void)
{
    const struct span *held = &spans[chance((uint32_t)spans_added)];
    assert_int_equal(knoll_add_memory(&heap, held->start + held->size - KNOLL_PAGE, KIB(16)), KNOLL_ERROR_OVERLAP);
    if (spans_added < spans_planned)
        take_span(&spans[spans_added]);
}

/* Divides some of the ground into spans with gaps, the first one large enough for a heap, and shuffles the rest. */
static void plan_spans(void)
{
    size_t most = KNOLL_MINIMUM_HEAP << chance(12);
    size_t at = KNOLL_PAGE * chance(300);
    while (most > ground_size / 2)
        most /= 2;
    size_t wanted = 1 + chance(KNOLL_REGIONS_MAX);
    spans_planned = spans_added = 0;
    while (spans_planned < wanted) {
        size_t least = spans_planned == 0 ? KNOLL_MINIMUM_HEAP : 2 * KNOLL_PAGE;
        size_t size = round_up(least + chance((uint32_t)(spans_planned == 0 ? most : most / 4)), KNOLL_PAGE);
        if (at + size > ground_size)
            break;
        spans[spans_planned++] = (struct span){ground + at, size, 0};
        at += size + (chance(2) == 0 ? 0 : KNOLL_PAGE * chance(20));
    }
    for (size_t i = spans_planned; i-- > 2;) {
        size_t other = 1 + chance((uint32_t)i);
        struct span span = spans[i];
        spans[i] = spans[other];
        spans[other] = span;
    }
}

/* ---- Histories ---- */

static void verify(void)
{
    uint64_t fingerprint = 0;
    struct survey found = survey(&heap);
    struct knoll_stats stats = stats_now();
    for (size_t i = 0; i < now.slots; i++)
        if (holdings[i].block != NULL)
            fingerprint += block_fingerprint(holdings[i].block, holdings[i].usable);
    assert_int_equal(knoll_check(&heap), 0);
    assert_int_equal(found.blocks, now.blocks);
    assert_true(found.fingerprint == fingerprint);
    assert_int_equal(stats.used_bytes, now.used);
    assert_int_equal(stats.allocations, now.allocations);
    assert_int_equal(stats.frees, now.frees);
    assert_int_equal(stats.failures, now.failures);
    assert_int_equal(stats.peak_used_bytes, now.peak);
    assert_int_equal(stats.regions, spans_added);
}

static void step(uint32_t tendency_to_hold)
{
    struct holding *held = &holdings[chance((uint32_t)now.slots)];
    uint32_t what = chance(64);
    if (what == 0)
        add_span();
    else if (what < 4 && FINDS_MISUSE)
        misuse(held);
    else if (what == 4 && chance(4) == 0)
        now.failures += knoll_aligned_alloc(&heap, 3 * any_alignment(), any_size()) == NULL;
    else if (held->block == NULL)
        allocate(held);
    else if (what < 16)
        resize(held);
    else if (chance(8) >= tendency_to_hold)
        release(held);
    assert_int_equal(knoll_used_bytes(&heap), now.used);
    assert_int_equal(last_fault.count, 0);
}

/* When all is free again, the heap can give as much at once as a new one in the same regions. */
static void finish(void)
{
    for (size_t i = 0; i < now.slots; i++)
        if (holdings[i].block != NULL)
            release(&holdings[i]);
    knoll_drain(&heap);
    verify();
    struct knoll_stats old = stats_now();
    assert_int_equal(old.used_bytes, 0);
    assert_int_equal(knoll_init(&heap, spans[0].start, spans[0].size), KNOLL_OK);
    for (size_t i = 1; i < spans_added; i++)
        assert_int_equal(knoll_add_memory(&heap, spans[i].start, spans[i].size), KNOLL_OK);
    assert_int_equal(old.total_bytes, knoll_total_bytes(&heap));
    assert_int_equal(old.largest_block, largest_block(&heap));
}

static size_t history(uint32_t seed, size_t steps)
{
    check_seed = seed;
    random = random_from(seed);
    memset(holdings, 0, sizeof holdings);
    memset(freed, 0, sizeof freed);
    memset(&now, 0, sizeof now);
    memset(shadow, TAKEN, ground_size / GRANULE);
    plan_spans();
    take_span(&spans[0]);
    now.slots = HOLDINGS >> chance(7);
    now.small = (size_t)16 << chance(9);
    now.large = spans[0].size;
    size_t verified_every = 64 + spans[0].size / KIB(64);
    size_t count = 500 + chance(8000);
    if (count > steps)
        count = steps;
    uint32_t tendency_to_hold = 0;
    for (size_t i = 0; i < count; i++) {
        if (i % 512 == 0)
            tendency_to_hold = chance(8);
        step(tendency_to_hold);
        if (i % verified_every == 0)
            verify();
    }
    finish();
    return count;
}

static void random_histories(void **state)
{
    (void)state;
    uint32_t seed = KNOLL_TEST_SEED;
    size_t steps = 0;
    ground = arena;
    ground_size = arena_size / 17 * 16 / KNOLL_PAGE * KNOLL_PAGE;
    shadow = arena + ground_size;
    for (; steps < KNOLL_TEST_STEPS; seed++)
        steps += history(seed, KNOLL_TEST_STEPS - steps);
    check_say("", steps, " steps in ");
    check_say("", seed - KNOLL_TEST_SEED, " histories\n");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_histories),
};

CHECK_MAIN(tests)
