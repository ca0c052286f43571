/* knoll lean: limits, blocks, exhaustion, reallocation and faults; and random histories over several regions, against a
 * shadow that says which bytes are taken, with the check of all invariants after each step.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "knoll_lean.h"
#include "support.h"

#define UNIT     KNOLL_LEAN_UNIT
#define SMALLEST ((size_t)1 << KNOLL_LEAN_SHIFT)
#define SPAN     KIB(256)

_Static_assert(SPAN >> KNOLL_LEAN_SHIFT >> KNOLL_LEAN_LISTS == 0,
               "with so few lists no region is as long as that of this test");
#define MANY (SPAN / SMALLEST)

static struct knoll_lean_heap heap;
static void *blocks[MANY];
static struct {
    size_t count;
    enum knoll_fault fault;
    const void *address;
} seen;

static void note_fault(struct knoll_lean_heap *faulty, enum knoll_fault fault, const void *address)
{
    assert_ptr_equal(faulty, &heap);
    assert_int_equal(knoll_lean_check(faulty), 0);
    seen.count++;
    seen.fault = fault;
    seen.address = address;
}

/* A fault that a test does not expect is found at its end, or by who counts. */
static void make(void *start, size_t size)
{
    memset(&heap, 0x5A, sizeof heap);
    memset(start, 0xA5, size);
    assert_int_equal(knoll_lean_init(&heap, start, size), KNOLL_OK);
    knoll_lean_set_fault_handler(&heap, note_fault);
    seen.count = 0;
    assert_int_equal(knoll_lean_check(&heap), 0);
}

static size_t round_to_block(size_t size)
{
    size_t block = SMALLEST;
    while (block < size)
        block *= 2;
    return block;
}

static size_t fill_with(size_t size)
{
    size_t count = 0;
    while (count < MANY && (blocks[count] = knoll_lean_malloc(&heap, size)) != NULL)
        count++;
    return count;
}

static void *address(uintptr_t number)
{
    return (void *)number;
}

/* ---- Making a heap ---- */

static void refuses(enum knoll_error error, void *start, size_t size)
{
    assert_int_equal(knoll_lean_add_memory(&heap, start, size), error);
    assert_int_equal(knoll_lean_check(&heap), 0);
}

static void limits(void **state)
{
    (void)state;
    unsigned char *at = arena_at(UNIT, 0);
    uintptr_t last = (uintptr_t)0 - UNIT;
    assert_int_equal(knoll_lean_init_for(&heap, at, 4 * UNIT, KNOLL_LEAN_KNOBS + 1), KNOLL_ERROR_KNOBS);
    assert_int_equal(knoll_lean_init(NULL, at, 4 * UNIT), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_lean_add_memory(NULL, at, 4 * UNIT), KNOLL_ERROR_NULL);
    assert_int_equal(knoll_lean_init(&heap, NULL, 4 * UNIT), KNOLL_ERROR_NULL);
    assert_null(knoll_lean_malloc(&heap, 1)); /* it has no memory */
    assert_int_equal(knoll_lean_total_bytes(&heap), 0);
    memset(at, 0x77, 8 * UNIT);
    for (size_t off = 1; off < UNIT; off *= 2)
        refuses(KNOLL_ERROR_ALIGNMENT, at + off, 4 * UNIT);
    refuses(KNOLL_ERROR_ALIGNMENT, at + 1, 0);
    refuses(KNOLL_ERROR_TOO_SMALL, at, 0);
    refuses(KNOLL_ERROR_TOO_SMALL, at, UNIT);
    refuses(KNOLL_ERROR_TOO_SMALL, at, 2 * UNIT - 1);
    refuses(KNOLL_ERROR_NOT_PAGES, at, 2 * UNIT + 1);
    refuses(KNOLL_ERROR_NOT_PAGES, at, SIZE_MAX);
    refuses(KNOLL_ERROR_TOO_LARGE, address(last), 2 * UNIT);
    refuses(KNOLL_ERROR_TOO_LARGE, address(2 * UNIT), 0 - UNIT);
#if KNOLL_LEAN_LISTS + KNOLL_LEAN_SHIFT < 32
    refuses(KNOLL_ERROR_TOO_LARGE, at, SMALLEST << KNOLL_LEAN_LISTS);
#endif
    unsigned char *around = (unsigned char *)&heap - (uintptr_t)&heap % UNIT;
    refuses(KNOLL_ERROR_OVERLAP, around, 2 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, around - UNIT, 2 * UNIT);
    for (size_t i = 0; i < 8 * UNIT; i++)
        assert_int_equal(at[i], 0x77);
    assert_int_equal(knoll_lean_total_bytes(&heap), 0);
    struct knoll_lean_heap *before = (struct knoll_lean_heap *)(void *)(at + UNIT - 64); /* it ends in the region */
    assert_int_equal(knoll_lean_init(before, at + UNIT, 4 * UNIT), KNOLL_ERROR_OVERLAP);
}

static void regions(void **state)
{
    (void)state;
    unsigned char *at = arena_at(UNIT, 0);
    make(at + 8 * UNIT, 4 * UNIT);
    assert_int_equal(knoll_lean_total_bytes(&heap), 3 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, at + 8 * UNIT, 2 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, at + 10 * UNIT, 2 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, at + 7 * UNIT, 2 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, at + 7 * UNIT, 9 * UNIT);
    assert_int_equal(fill_with(UNIT), 3);
    assert_int_equal(knoll_lean_add_memory(&heap, at + 12 * UNIT, 3 * UNIT), KNOLL_OK); /* side by side */
    assert_int_equal(knoll_lean_add_memory(&heap, at + 5 * UNIT, 3 * UNIT), KNOLL_OK);
    refuses(KNOLL_ERROR_OVERLAP, at + 5 * UNIT, 2 * UNIT);
    refuses(KNOLL_ERROR_OVERLAP, at + 14 * UNIT, 2 * UNIT);
    assert_int_equal(knoll_lean_total_bytes(&heap), 7 * UNIT);
    void *more[4];
    for (size_t i = 0; i < 4; i++)
        assert_non_null(more[i] = knoll_lean_malloc(&heap, UNIT));
    assert_null(knoll_lean_malloc(&heap, UNIT));
    assert_int_equal(knoll_lean_used_bytes(&heap), 7 * UNIT);
    for (size_t i = 0; i < 4; i++)
        knoll_lean_free(&heap, more[i]);
    for (size_t i = 0; i < 3; i++)
        knoll_lean_free(&heap, blocks[i]);
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_int_equal(seen.count, 0);
}

/* ---- Allocating ---- */

/* Every block is as long as it should be, aligned to its length, and all of it can be written. */
static void sizes(void **state)
{
    (void)state;
    make(arena_at(UNIT, 0), SPAN);
    for (size_t size = 0; size <= SPAN / 4; size += size < 300 ? 1 : size / 7) {
        unsigned char *block = knoll_lean_malloc(&heap, size);
        assert_non_null(block);
        assert_int_equal(knoll_lean_usable_size(&heap, block), round_to_block(size));
        assert_int_equal(knoll_lean_used_bytes(&heap), round_to_block(size));
        assert_true(is_aligned(block, round_to_block(size)));
        memset(block, 0xFF, round_to_block(size));
        assert_int_equal(knoll_lean_check(&heap), 0);
        knoll_lean_free(&heap, block);
    }
    for (size_t alignment = 1; alignment <= SPAN / 4; alignment *= 2) {
        void *block = knoll_lean_aligned_alloc(&heap, alignment, 1);
        assert_true(block != NULL && is_aligned(block, alignment));
        knoll_lean_free(&heap, block);
        assert_null(knoll_lean_aligned_alloc(&heap, alignment * 2 + 1, 1));
    }
    assert_null(knoll_lean_aligned_alloc(&heap, SIZE_MAX / 2 + 1, 1));
    assert_null(knoll_lean_malloc(&heap, SPAN));
    assert_null(knoll_lean_malloc(&heap, SIZE_MAX));
    assert_null(knoll_lean_malloc(&heap, SIZE_MAX / 2 + 1));
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_int_equal(seen.count, 0);
}

/* Each size alone gets all that there is, and leaves the heap as it was: the next, in any order, as many again. */
static void exhaustion(void **state)
{
    (void)state;
    make(arena_at(SPAN, 0), SPAN);
    size_t total = knoll_lean_total_bytes(&heap);
    assert_true(total >= SPAN - SPAN / 32);
    for (size_t size = SMALLEST; size <= SPAN / 2; size *= 2) {
        size_t count = fill_with(size);
        assert_int_equal(count, total / size);
        assert_null(knoll_lean_malloc(&heap, size));
        assert_int_equal(knoll_lean_used_bytes(&heap), count * size);
        assert_int_equal(knoll_lean_check(&heap), 0);
        for (size_t i = 0; i < count; i++) /* every other one first */
            knoll_lean_free(&heap, blocks[i * 2 < count ? i * 2 : (i - (count + 1) / 2) * 2 + 1]);
        assert_int_equal(knoll_lean_used_bytes(&heap), 0);
        assert_int_equal(knoll_lean_check(&heap), 0);
    }
    assert_int_equal(seen.count, 0);
}

/* What waits to be a slab again is there for whoever needs it. */
static void the_spare(void **state)
{
    (void)state;
    make(arena_at(SPAN, 0), 2 * UNIT);
    for (size_t size = UNIT; size >= SMALLEST; size /= 2) {
        void *block = knoll_lean_malloc(&heap, size);
        assert_non_null(block);
        knoll_lean_free(&heap, block);
        assert_int_equal(knoll_lean_check(&heap), 0);
    }
    make(arena_at(SPAN, 0), 4 * UNIT);
    void *one = knoll_lean_malloc(&heap, UNIT);
    void *two = knoll_lean_malloc(&heap, 1);
    void *three = knoll_lean_malloc(&heap, UNIT);
    knoll_lean_free(&heap, one);
    knoll_lean_free(&heap, three);
    knoll_lean_free(&heap, two);
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_non_null(knoll_lean_malloc(&heap, 2 * UNIT));
    assert_int_equal(seen.count, 0);
}

static void calloc_clears(void **state)
{
    (void)state;
    make(arena_at(UNIT, 0), SPAN);
    unsigned char *block = knoll_lean_calloc(&heap, 33, 3);
    for (size_t i = 0; i < 99; i++)
        assert_int_equal(block[i], 0);
    assert_null(knoll_lean_calloc(&heap, SIZE_MAX / 2, 3));
    assert_null(knoll_lean_calloc(&heap, SPAN, 1));
    assert_non_null(knoll_lean_calloc(&heap, 0, SIZE_MAX));
}

static void realloc_keeps(void **state)
{
    (void)state;
    make(arena_at(UNIT, 0), SPAN);
    unsigned char *block = knoll_lean_realloc(&heap, NULL, 40);
    write_pattern(block, 40, 3);
    assert_ptr_equal(knoll_lean_realloc(&heap, block, 64), block);
    assert_ptr_equal(knoll_lean_realloc(&heap, block, 33), block);
    unsigned char *longer = knoll_lean_realloc(&heap, block, UNIT * 4 + 1);
    assert_true(longer != block && has_pattern(longer, 33, 3));
    write_pattern(longer, UNIT * 4 + 1, 5);
    unsigned char *shorter = knoll_lean_realloc(&heap, longer, 1000);
    assert_true(shorter != longer && has_pattern(shorter, 1000, 5));
    assert_int_equal(knoll_lean_used_bytes(&heap), 1024);
    assert_null(knoll_lean_realloc(&heap, shorter, SIZE_MAX));
    assert_true(has_pattern(shorter, 1000, 5));
    unsigned char *none = knoll_lean_realloc(&heap, shorter, 0);
    assert_int_equal(knoll_lean_usable_size(&heap, none), SMALLEST);
    assert_ptr_equal(knoll_lean_realloc(&heap, none, 0), none);

    /* Without memory it stays where it is, to be shorter. */
    make(arena_at(SPAN, 0), 2 * UNIT);
    block = knoll_lean_malloc(&heap, UNIT);
    write_pattern(block, UNIT, 7);
    assert_ptr_equal(knoll_lean_realloc(&heap, block, 1), block);
    assert_null(knoll_lean_realloc(&heap, block, UNIT + 1));
    assert_true(has_pattern(block, UNIT, 7));
    knoll_lean_free(&heap, block);
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    assert_int_equal(seen.count, 0);
}

/* What no request can ask for, and what is just short of it. */
static void odd_requests(void **state)
{
    (void)state;
    make(arena_at(UNIT, 0), SPAN);
    size_t longest = SMALLEST << (KNOLL_LEAN_LISTS - 1);
    assert_null(knoll_lean_aligned_alloc(&heap, 0, 1));
    assert_null(knoll_lean_aligned_alloc(&heap, 0, 0));
    assert_null(knoll_lean_aligned_alloc(&heap, 3, 1));
    assert_null(knoll_lean_aligned_alloc(&heap, SIZE_MAX, 1));
    assert_null(knoll_lean_aligned_alloc(&heap, SIZE_MAX / 2 + 1, 0));
    assert_null(knoll_lean_malloc(&heap, longest));
    assert_null(knoll_lean_malloc(&heap, longest + 1));
    assert_null(knoll_lean_calloc(&heap, SIZE_MAX / 2 + 1, 2)); /* whose product is 0 */
    assert_null(knoll_lean_calloc(&heap, 2, SIZE_MAX / 2 + 9)); /* and 16 */
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    unsigned char *block = knoll_lean_malloc(&heap, 4 * SMALLEST);
    block = knoll_lean_realloc(&heap, block, 2 * SMALLEST); /* just half */
    assert_int_equal(knoll_lean_usable_size(&heap, block), 2 * SMALLEST);
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_int_equal(seen.count, 0);
}

/* A heap at the edges of its own regions; that it has no handler at first. */
static void where_it_may_lie(void **state)
{
    (void)state;
    unsigned char *start = arena_at(2 * UNIT, 0);
    unsigned char *end = start + 2 * UNIT;
    struct knoll_lean_heap *before = (struct knoll_lean_heap *)(void *)(start - sizeof heap);
    struct knoll_lean_heap *after = (struct knoll_lean_heap *)(void *)end;
    if (start != arena)
        assert_int_equal(knoll_lean_init(before, start, 2 * UNIT), KNOLL_OK);
    assert_int_equal(knoll_lean_init(after, start, 2 * UNIT), KNOLL_OK);
    assert_true(after->fault_handler == NULL);
    before = (struct knoll_lean_heap *)(void *)(start + sizeof(void *));
    memset(start, 0, 2 * UNIT);
    assert_int_equal(knoll_lean_init(before, start, 2 * UNIT), KNOLL_ERROR_OVERLAP);
    after = (struct knoll_lean_heap *)(void *)(end - sizeof(void *));
    assert_int_equal(knoll_lean_init(after, start, 2 * UNIT), KNOLL_ERROR_OVERLAP);

    /* The last byte of the address space is one; nothing there is read, because the heap lies there itself. */
    uintptr_t top = (uintptr_t)0 - 2 * UNIT;
    assert_int_equal(knoll_lean_add_memory(address(top + UNIT), address(top), 2 * UNIT), KNOLL_ERROR_OVERLAP);
}

/* A region whose tables end with a unit and whose last unit has no buddy: what lies behind the tables is no entry, even
 * if it looks like one. */
static void what_is_no_entry(void **state)
{
    (void)state;
    struct forged {
        struct knoll_lean_link link;
        uintptr_t word, state;
    };
    size_t units = UNIT / sizeof(struct forged);
    unsigned char *start = arena_at(2 * UNIT, UNIT);
    make(start, units * UNIT);
    assert_int_equal(knoll_lean_total_bytes(&heap), (units - 1) * UNIT);
    size_t count = fill_with(UNIT);
    assert_int_equal(count, units - 1);
    struct forged *forged = (struct forged *)(void *)(start + UNIT);
    struct forged copy = {{&forged->link, &forged->link}, 0x77, (uintptr_t)0 - 32 + (sizeof(uintptr_t) == 8 ? 6 : 5)};
    unsigned char *last = start + (units - 1) * UNIT;
    unsigned char *other = NULL;
    *forged = copy; /* as a free unit's */
    for (size_t i = 0; i < count; i++)
        if (blocks[i] != forged && blocks[i] != last)
            other = blocks[i];
    knoll_lean_free(&heap, last);
    knoll_lean_free(&heap, other); /* so that the last unit is given back */
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_memory_equal(forged, &copy, sizeof copy);
    assert_int_equal(seen.count, 0);
    memset(blocks, 0, sizeof blocks);
}

/* ---- Faults ---- */

#if KNOLL_HARDEN > 0

static struct knoll_lean_heap heap_before;
static unsigned char memory_before[16 * UNIT];

/* Each call that names this address reports it once, and changes nothing. */
static void faults(enum knoll_fault fault, void *at, const unsigned char *start)
{
    seen.count = 0;
    heap_before = heap;
    memcpy(memory_before, start, sizeof memory_before);
    knoll_lean_free(&heap, at);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.fault, fault);
    assert_ptr_equal(seen.address, at);
    assert_null(knoll_lean_realloc(&heap, at, 10));
    assert_int_equal(knoll_lean_usable_size(&heap, at), 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.fault, fault);
    assert_memory_equal(&heap, &heap_before, sizeof heap);
    assert_memory_equal(start, memory_before, sizeof memory_before);
}

static void misuse(void **state)
{
    (void)state;
    unsigned char *start = arena_at(SPAN, 0);
    make(start, sizeof memory_before);
    unsigned char *small = knoll_lean_malloc(&heap, 4 * SMALLEST);
    unsigned char *freed = knoll_lean_malloc(&heap, 4 * SMALLEST);
    unsigned char *large = knoll_lean_malloc(&heap, 4 * UNIT);
    unsigned char *freed_large = knoll_lean_malloc(&heap, 2 * UNIT);
    unsigned char *page = knoll_lean_malloc(&heap, UNIT);
    unsigned char *free_page = knoll_lean_malloc(&heap, UNIT);
    assert_non_null(free_page);
    knoll_lean_free(&heap, freed);
    knoll_lean_free(&heap, freed_large);
    knoll_lean_free(&heap, free_page); /* is the spare now */
    assert_int_equal(seen.count, 0);
    faults(KNOLL_FAULT_NOT_HANDED_OUT, freed, start);
    faults(KNOLL_FAULT_NOT_HANDED_OUT, freed_large, start);
    faults(KNOLL_FAULT_NOT_HANDED_OUT, free_page, start);
    for (size_t off = 1; off < 4 * SMALLEST; off++)
        faults(KNOLL_FAULT_NOT_HANDED_OUT, small + off, start);
    for (size_t off = 1; off < 4 * UNIT; off += 1 + off / 3)
        faults(KNOLL_FAULT_NOT_HANDED_OUT, large + off, start);
    for (size_t off = UNIT; off < 4 * UNIT; off += UNIT)
        faults(KNOLL_FAULT_NOT_HANDED_OUT, large + off, start);
    faults(KNOLL_FAULT_NOT_HANDED_OUT, page + UNIT / 2, start);
    faults(KNOLL_FAULT_NOT_HANDED_OUT, small + 8 * SMALLEST, start); /* never handed out */
    for (size_t off = 0; off < UNIT; off += 8)
        faults(KNOLL_FAULT_NOT_HANDED_OUT, start + off, start); /* in the tables */
    faults(KNOLL_FAULT_FOREIGN, start - 1, start);
    faults(KNOLL_FAULT_FOREIGN, start + sizeof memory_before, start);
    faults(KNOLL_FAULT_FOREIGN, &heap, start);
    faults(KNOLL_FAULT_FOREIGN, address(UINTPTR_MAX), start);
    seen.count = 0;
    knoll_lean_free(&heap, NULL);
    assert_int_equal(knoll_lean_usable_size(&heap, NULL), 0);
    knoll_lean_free(&heap, small);
    knoll_lean_free(&heap, large);
    knoll_lean_free(&heap, page);
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    assert_int_equal(seen.count, 0);
}

/* In whatever order blocks came and went, no address but those that are held can be freed. */
static void nothing_else_can_be_freed(void **state)
{
    (void)state;
    unsigned char *start = arena_at(SPAN, 0);
    struct random random = random_from(KNOLL_TEST_SEED);
    make(start, KIB(32));
    for (size_t step = 0; step < 60; step++) {
        size_t slot = random_below(&random, 24);
        knoll_lean_free(&heap, blocks[slot]);
        blocks[slot] = knoll_lean_malloc(&heap, (size_t)1 << random_below(&random, 14));
        for (size_t off = 0; off < KIB(32); off += SMALLEST) {
            bool is_held = false;
            for (size_t i = 0; i < 24; i++)
                is_held |= blocks[i] == start + off;
            seen.count = 0;
            assert_int_equal(knoll_lean_usable_size(&heap, start + off) != 0, is_held);
            assert_int_equal(seen.count, !is_held);
        }
    }
    for (size_t i = 0; i < 24; i++) {
        knoll_lean_free(&heap, blocks[i]);
        blocks[i] = NULL;
    }
}

#endif

/* ---- Random histories ---- */

#define HELD 400

static struct {
    unsigned char *block;
    size_t size;
    unsigned seed;
} held[HELD];
static unsigned char shadow[3 * SPAN / 16]; /* of each 16 bytes, whether they are taken */

static void shade(const unsigned char *ground, const unsigned char *block, unsigned char from, unsigned char to)
{
    size_t size = knoll_lean_usable_size(&heap, block);
    for (size_t i = (size_t)(block - ground) / 16; i < ((size_t)(block - ground) + size) / 16; i++) {
        assert_int_equal(shadow[i], from);
        shadow[i] = to;
    }
}

static void drop(const unsigned char *ground, size_t slot)
{
    if (held[slot].block == NULL)
        return;
    assert_true(has_pattern(held[slot].block, held[slot].size, held[slot].seed));
    shade(ground, held[slot].block, 1, 0);
    knoll_lean_free(&heap, held[slot].block);
    held[slot].block = NULL;
}

static void take(const unsigned char *ground, size_t slot, unsigned char *block, size_t size, unsigned seed)
{
    held[slot].block = block;
    if (block == NULL)
        return;
    held[slot].size = size;
    held[slot].seed = seed;
    write_pattern(block, size, seed);
    shade(ground, block, 0, 1);
}

static void history(uint32_t seed)
{
    struct random random = random_from(seed);
    unsigned char *ground = arena_at(UNIT, 0);
    size_t part = SPAN / 2 + random_below(&random, (uint32_t)(SPAN / 2 / UNIT)) * UNIT;
    check_seed = seed;
    memset(shadow, 0, sizeof shadow);
    make(ground + SPAN, part);
    for (size_t step = 0; step < 1500; step++) {
        if (step == 300)
            assert_int_equal(knoll_lean_add_memory(&heap, ground, SPAN - UNIT), KNOLL_OK);
        if (step == 700)
            assert_int_equal(knoll_lean_add_memory(&heap, ground + 2 * SPAN, SPAN / 4), KNOLL_OK);
        size_t slot = random_below(&random, HELD);
        size_t size = (size_t)random_below(&random, 1u << random_below(&random, 17));
        size_t alignment = random_below(&random, 4) == 0 ? (size_t)1 << random_below(&random, 13) : 1;
        if (random_below(&random, 4) == 0 && held[slot].block != NULL) {
            size_t least = size < held[slot].size ? size : held[slot].size;
            unsigned char *old = held[slot].block;
            shade(ground, old, 1, 0);
            unsigned char *moved = knoll_lean_realloc(&heap, old, size);
            assert_true(
                has_pattern(moved == NULL ? old : moved, moved == NULL ? held[slot].size : least, held[slot].seed));
            assert_true(moved != NULL || size > held[slot].size);
            take(ground, slot, moved == NULL ? old : moved, moved == NULL ? held[slot].size : size,
                 random_next(&random));
        } else {
            drop(ground, slot);
            unsigned char *block = knoll_lean_aligned_alloc(&heap, alignment, size);
            assert_true(block == NULL || is_aligned(block, alignment));
            take(ground, slot, block, size, random_next(&random));
        }
        if (step % 16 == 0)
            assert_int_equal(knoll_lean_check(&heap), 0);
    }
    for (size_t slot = 0; slot < HELD; slot++)
        drop(ground, slot);
    assert_int_equal(knoll_lean_used_bytes(&heap), 0);
    assert_int_equal(knoll_lean_check(&heap), 0);
    assert_int_equal(seen.count, 0);
}

static void histories(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < KNOLL_TEST_STEPS / 1500 + 1; i++)
        history(KNOLL_TEST_SEED + i);
    check_seed = 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(limits),
    cmocka_unit_test(regions),
    cmocka_unit_test(sizes),
    cmocka_unit_test(exhaustion),
    cmocka_unit_test(the_spare),
    cmocka_unit_test(calloc_clears),
    cmocka_unit_test(realloc_keeps),
    cmocka_unit_test(odd_requests),
    cmocka_unit_test(where_it_may_lie),
    cmocka_unit_test(what_is_no_entry),
#if KNOLL_HARDEN > 0
    cmocka_unit_test(misuse),
    cmocka_unit_test(nothing_else_can_be_freed),
#endif
    cmocka_unit_test(histories),
};

CHECK_MAIN(tests)
