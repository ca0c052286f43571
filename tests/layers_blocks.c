/* Large blocks, the way from any address to the block that is held there, and which requests a block serves.
 *
 * Lengths are compared with a search, and every sixteenth address of a heap that holds some of everything is looked up:
 * what knoll_walk says is held there decides what must be found.
 *
 * SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "check.h"
#include "pages.h"
#include "support.h"

#define SIZE  (CLASSIC ? MIB(2) : KIB(512))
#define SLOTS 160

static struct knoll_heap heap;
static unsigned char *ground;
static void *blocks[SLOTS];

static void make(void)
{
    ground = arena_at(KIB(64), KIB(12));
    make_heap(&heap, ground, SIZE);
}

/* The block that is held here, which must be one. */
static struct block find(const void *address)
{
    struct block found = {{heap.list, NULL, NOWHERE, 0}, 0};
    assert_true(knoll_block_find(&heap, address, &found));
    return found;
}

static size_t naive_length(size_t alignment, size_t size)
{
    size_t length = CLASSIC ? 1 : 2;
    while (length * UNIT < size || (CLASSIC && length * UNIT < alignment))
        length += CLASSIC ? length : 1;
    return length;
}

static void lengths(void **state)
{
    size_t most = SIZE_MAX / 2 + 1;
    (void)state;
    for (size_t alignment = 1; alignment <= 64 * UNIT; alignment *= 2)
        for (size_t size = 0; size <= 40 * UNIT; size += UNIT / 4)
            for (size_t near = size == 0 ? 0 : size - 1; near <= size + 1; near++)
                assert_int_equal(knoll_large_length(alignment, near), naive_length(alignment, near));
    assert_int_equal(knoll_large_length(1, most), most >> KNOLL_UNIT_SHIFT);
    assert_int_equal(knoll_large_length(1, most - UNIT), (CLASSIC ? most : most - UNIT) >> KNOLL_UNIT_SHIFT);
    assert_int_equal(knoll_large_length(1, most + 1), CLASSIC ? 0 : (most >> KNOLL_UNIT_SHIFT) + 1);
    size_t untabled = SIZE_MAX - SIZE_MAX / 128; /* a multiple of a unit */
    assert_int_equal(knoll_large_length(1, untabled - 1), CLASSIC ? 0 : untabled >> KNOLL_UNIT_SHIFT);
    assert_int_equal(knoll_large_length(1, untabled + 1), 0);
    assert_int_equal(knoll_large_length(1, SIZE_MAX), 0);
    assert_int_equal(knoll_large_length(most, 1), CLASSIC ? most >> KNOLL_UNIT_SHIFT : 2);
}

static void expect_run(const void *address, size_t length, size_t alignment)
{
    struct block found = find(address);
    assert_null(found.place.shape);
    assert_int_equal(found.place.index, 0);
    const uint32_t *run = entry_of(&heap, found.place.number);
    assert_ptr_equal(found.place.slab, run);
    assert_ptr_equal(unit_address(&heap, found.place.number), address);
    assert_int_equal(found.size, length * UNIT);
    assert_int_equal(large_length(run), length);
    assert_int_equal(large_alignment(run), alignment);
    assert_int_equal(block_alignment(&found), alignment);
    assert_int_equal(heap.large_blocks, 1);
    struct block around = {{NULL, &knoll_shapes[0], NOWHERE, 99}, 0};
    const unsigned char *last = (const unsigned char *)address + length * UNIT - 1;
    assert_ptr_equal(knoll_block_around(&heap, last, &around), address);
    assert_true(around.place.slab == run && around.place.shape == NULL && around.place.number == found.place.number);
    assert_true(around.place.index == 0 && around.size == found.size);
}

/* Taken, made shorter, made longer, and given back, at every alignment. */
static void a_large_block(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= KIB(64); alignment *= 2) {
        make();
        uint32_t longest = knoll_pages_longest(&heap);
        size_t size = KIB(48) - 5;
        size_t usable;
        void *block = knoll_large_take_aligned(&heap, alignment, size, false, &usable);
        assert_true(is_aligned(block, alignment));
        size_t length = knoll_large_length(alignment, size);
        assert_int_equal(usable, length * UNIT);
        expect_run(block, length, alignment);
        uint32_t number = region_unit_number(heap.region[0], (uint32_t)(region_offset(heap.region[0], block) / UNIT));

        assert_true(knoll_large_resize(&heap, number, (uint32_t)length / 2));
        expect_run(block, length / 2, alignment);
        assert_true(knoll_large_resize(&heap, number, (uint32_t)length));
        expect_run(block, length, alignment);
        assert_false(knoll_large_resize(&heap, number, (uint32_t)pages_round(SIZE / UNIT, 1)));
        expect_run(block, length, alignment);

        large_give(&heap, number);
        assert_int_equal(heap.large_blocks, 0);
        assert_int_equal(knoll_pages_longest(&heap), longest);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static void what_no_heap_holds(void **state)
{
    size_t usable;
    (void)state;
    make();
    assert_null(large_take(&heap, heap.total + 1, &usable));
    assert_null(large_take(&heap, SIZE_MAX, &usable));
    assert_null(knoll_large_take_aligned(&heap, 1, heap.total + 1, false, &usable));
    assert_null(knoll_large_take_aligned(&heap, 1, SIZE_MAX, false, &usable));
    assert_null(knoll_large_take_aligned(&heap, SIZE_MAX / 2 + 1, 1, false, &usable));
    assert_null(knoll_large_take_aligned(&heap, SIZE_MAX / 2 + 1, SIZE_MAX, false, &usable));
    assert_int_equal(heap.large_blocks, 0);
}

/* ---- From addresses to blocks ---- */

static void make_rich_heap(void)
{
    struct random random = random_from(31);
    make();
    memset(blocks, 0, sizeof blocks);
    for (size_t step = 0; step < 2000; step++) {
        void **slot = &blocks[random_below(&random, SLOTS)];
        knoll_free(&heap, *slot);
        size_t alignment = (size_t)1 << random_below(&random, step % 8 == 0 ? 15 : 7);
        *slot = knoll_aligned_alloc(&heap, alignment, random_below(&random, step % 8 == 0 ? 30000 : 3000));
    }
    assert_int_equal(knoll_check(&heap), 0);
}

struct lookup {
    const unsigned char *next; /* the first address that has not been looked up */
    size_t from_slabs, runs;   /* the blocks that were found */
};

static void expect_nothing(const unsigned char *from, const unsigned char *to)
{
    struct block found;
    for (const unsigned char *address = from; address < to; address += 16) {
        assert_false(knoll_block_find(&heap, address, &found));
        assert_false(knoll_block_find(&heap, address + 1, &found));
    }
}

static int look_up(void *context, const struct knoll_item *item)
{
    struct lookup *lookup = context;
    if (item->kind != KNOLL_ITEM_BLOCK)
        return 0;
    expect_nothing(lookup->next, item->start);
    lookup->next = (const unsigned char *)item->start + 16;
    struct block found = find(item->start);
    assert_int_equal(found.size, item->size);
    assert_ptr_equal(found.place.slab, entry_of(&heap, found.place.number));
    size_t from = found.place.shape == NULL ? 0 : block_offset(found.place.shape->size, found.place.index);
    assert_ptr_equal(unit_address(&heap, found.place.number) + from, item->start);
    lookup->from_slabs += found.place.shape != NULL;
    lookup->runs += found.place.shape == NULL;
    return 0;
}

static void every_address(void **state)
{
    (void)state;
    make_rich_heap();
    struct lookup lookup = {ground, 0, 0};
    assert_int_equal(knoll_walk(&heap, look_up, &lookup), 0);
    assert_true(lookup.from_slabs > SLOTS / 5 && lookup.runs > SLOTS / 20);
    expect_nothing(lookup.next, ground + SIZE);
    expect_nothing(ground + SIZE, ground + SIZE + KIB(64));
}

/* Held blocks are interior at all their addresses but the first, and nothing else is. */
static int expect_faults(void *context, const struct knoll_item *item)
{
    const unsigned char *start = item->start;
    (void)context;
    for (size_t into = 1; into < item->size; into += 1 + into / 4) {
        enum knoll_fault fault = knoll_address_fault(&heap, start + into);
        if (item->kind == KNOLL_ITEM_BLOCK)
            assert_int_equal(fault, KNOLL_FAULT_INTERIOR);
        if (item->kind == KNOLL_ITEM_TABLES)
            assert_int_equal(fault, KNOLL_FAULT_TABLES);
        if (item->kind == KNOLL_ITEM_FREE)
            assert_true(fault == KNOLL_FAULT_NOT_HANDED_OUT ||
                        (fault == KNOLL_FAULT_DOUBLE_FREE && is_aligned(start + into, UNIT)));
    }
    return 0;
}

static void every_fault(void **state)
{
    (void)state;
    make_rich_heap();
    assert_int_equal(knoll_walk(&heap, expect_faults, NULL), 0);
    assert_int_equal(knoll_address_fault(&heap, ground - 1), KNOLL_FAULT_FOREIGN);
    assert_int_equal(knoll_address_fault(&heap, ground + SIZE), KNOLL_FAULT_FOREIGN);
}

/* Whether a request would be given a block of this size, and from a slab just if this one is. */
static bool would_give(const struct block *block, size_t alignment, size_t size)
{
    bool from_slab = class_for(alignment, size) != CLASS_LARGE;
    return from_slab == (block->place.shape != NULL) && knoll_good_size(&heap, alignment, size) == block->size;
}

static bool is_loose(const struct block *block)
{
    if (block->place.shape == NULL)
        return (*block->place.slab & RUN_LOOSE) != 0;
    return (block->place.slab[CELL_NOTES] & SLAB_LOOSE) != 0;
}

/* Without looseness a request fits just if it would be given a block of this size, at an address with its alignment. */
static void requests_that_fit(void **state)
{
    size_t compared = 0;
    (void)state;
    make_rich_heap();
    for (size_t i = 0; i < SLOTS; i++) {
        if (blocks[i] == NULL)
            continue;
        struct block found = find(blocks[i]);
        if (is_loose(&found))
            continue;
        compared++;
        size_t kept = block_alignment(&found);
        assert_true(is_aligned(blocks[i], kept));
        for (size_t alignment = 1; alignment <= KIB(32); alignment *= 2) {
            for (size_t size = 0; size <= found.size + UNIT; size += 1 + size / 16) {
                bool fits = would_give(&found, alignment, size) || would_give(&found, kept, size);
                if (kept < alignment)
                    fits = would_give(&found, alignment, size);
                fits = fits && is_aligned(blocks[i], alignment);
                assert_true(knoll_block_fits(blocks[i], &found, alignment, size) == fits);
            }
        }
        assert_false(knoll_block_fits(blocks[i], &found, 3, found.size));
        assert_false(knoll_block_fits(blocks[i], &found, 0, found.size));
    }
    assert_true(compared > SLOTS / 4);
}

/* A loose block fits every request that is no longer than it is, but still none that it is not aligned for. */
static void loose_blocks_fit(void **state)
{
    (void)state;
    make_rich_heap();
    for (size_t i = 0; i < SLOTS; i++) {
        if (blocks[i] == NULL)
            continue;
        struct block found = find(blocks[i]);
        if (found.place.shape == NULL)
            *found.place.slab |= RUN_LOOSE;
        else
            found.place.slab[CELL_NOTES] |= SLAB_LOOSE;
        for (size_t alignment = 1; alignment <= KIB(64); alignment *= 2) {
            bool aligned = is_aligned(blocks[i], alignment);
            assert_true(knoll_block_fits(blocks[i], &found, alignment, 0) == aligned);
            assert_true(knoll_block_fits(blocks[i], &found, alignment, found.size) == aligned);
        }
        assert_false(knoll_block_fits(blocks[i], &found, 1, found.size + 1));
    }
}

/* A short run serves an alignment that no slab has; a small request without one is not its. */
static void a_run_is_no_small_block(void **state)
{
    (void)state;
    make();
    size_t alignment = KNOLL_SLAB_MAXIMUM * 2;
    size_t usable;
    void *block = knoll_large_take_aligned(&heap, alignment, 100, false, &usable);
    struct block found = find(block);
    assert_true(knoll_block_fits(block, &found, alignment, 100));
    *entry_of(&heap, found.place.number) &= ~NUMBER_MASK; /* as if it had been asked for without alignment */
    assert_false(knoll_block_fits(block, &found, 1, 100));
}

/* Right after it was freed, a block's start tells so, whatever its run has merged with. */
static void freed_blocks_are_remembered(void **state)
{
    struct random random = random_from(41);
    (void)state;
    make_rich_heap();
    for (size_t i = 0; i < SLOTS; i++) {
        size_t slot = random_below(&random, SLOTS);
        if (blocks[slot] == NULL || find(blocks[slot]).place.shape != NULL)
            continue;
        knoll_free(&heap, blocks[slot]);
        assert_int_equal(knoll_address_fault(&heap, blocks[slot]), KNOLL_FAULT_DOUBLE_FREE);
        blocks[slot] = NULL;
    }
}

/* ---- Alignment, and requests that are served otherwise ---- */

/* A slab notes the greatest alignment that a block of it was asked for with, and all of its blocks have it. */
static void slabs_note_alignment(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= KNOLL_SLAB_MAXIMUM; alignment *= 2) {
        if (knoll_shapes[class_for(alignment, 1)].capacity < 2)
            continue;
        make();
        unsigned char *plain = knoll_malloc(&heap, knoll_good_size(&heap, alignment, 1));
        assert_int_equal(find(plain).place.shape->size_class, class_for(alignment, 1));
        struct block found = find(plain);
        assert_int_equal(block_alignment(&found), 16);
        unsigned char *aligned = knoll_aligned_alloc(&heap, alignment, 1);
        assert_ptr_equal(find(aligned).place.slab, found.place.slab);
        assert_int_equal(block_alignment(&found), alignment > 16 ? alignment : 16);
        assert_true(is_aligned(plain, alignment));
        knoll_free(&heap, aligned);
        aligned = knoll_aligned_alloc(&heap, 16, found.size);
        assert_ptr_equal(find(aligned).place.slab, found.place.slab);
        assert_int_equal(block_alignment(&found), alignment > 16 ? alignment : 16); /* less changes nothing */
    }
}

/* One block can be all that a heap has. */
static void the_whole_heap(void **state)
{
    (void)state;
    unsigned char *start = arena_at(KIB(128), KIB(128) - KNOLL_PAGE);
    make_heap(&heap, start, KIB(128) + KNOLL_PAGE);
    size_t total = knoll_total_bytes(&heap);
    assert_int_equal(total, CLASSIC ? KIB(128) : KIB(130) + UNIT);
    size_t usable;
    void *block = large_take(&heap, total, &usable);
    assert_non_null(block);
    assert_int_equal(knoll_pages_longest(&heap), 0);
}

/* On 32 bits, where the regions together may have more bytes than the longest run: it is said of these that they do. */
static void longer_than_any_run(void **state)
{
    static const size_t too_many[] = {SIZE_MAX / 2 + 2, SIZE_MAX - 20000};
    (void)state;
    if (sizeof(size_t) > 4)
        return;
    make_heap(&heap, arena, KIB(256));
    size_t total = heap.total;
    void *block = knoll_malloc(&heap, 60000);
    size_t usable = knoll_usable_size(&heap, block);
    for (size_t i = 0; i < 2; i++) {
        heap.total = too_many[1];
        assert_null(knoll_realloc(&heap, block, too_many[i]));
        heap.total = total;
        assert_int_equal(knoll_usable_size(&heap, block), usable);
        assert_int_equal(knoll_check(&heap), 0);
    }
    knoll_free(&heap, block);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(longer_than_any_run),     cmocka_unit_test(lengths),
    cmocka_unit_test(a_large_block),           cmocka_unit_test(what_no_heap_holds),
    cmocka_unit_test(every_address),           cmocka_unit_test(every_fault),
    cmocka_unit_test(requests_that_fit),       cmocka_unit_test(loose_blocks_fit),
    cmocka_unit_test(a_run_is_no_small_block), cmocka_unit_test(freed_blocks_are_remembered),
    cmocka_unit_test(slabs_note_alignment),    cmocka_unit_test(the_whole_heap),
};

CHECK_MAIN(tests)
