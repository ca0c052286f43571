/* What processors have free: how much that may be, when it goes back, and how it is counted.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define BLOCKS_MOST 20000

static void *blocks[BLOCKS_MOST];

/* As many slabs as make twice what may be free, a block of each given back in turn: so none comes free before the bound
 * is reached. */
static void no_more_is_free_than_may_be(void **state)
{
    (void)state;
    for (unsigned size_class = 0; size_class < KNOLL_CLASS_COUNT; size_class++) {
        make(MIB(6));
        size_t size = class_size(size_class);
        size_t count = 2 * (size_t)cpu_most_free(size_class);
        if (count > BLOCKS_MOST || count * size > MIB(4))
            count = MIB(4) / size;
        for (size_t i = 0; i < count; i++)
            assert_non_null(blocks[i] = knoll_cpu_malloc(&first, size));
        size_t step = 64;
        for (size_t from = 0; from < step; from++) {
            for (size_t i = from; i < count; i += step) {
                knoll_cpu_free(&first, blocks[i]);
                assert_true(first.size_class[size_class].room >= 0);
            }
        }
        assert_int_equal(last_fault.count, 0);
        assert_int_equal(knoll_cpu_check(&first), 0);
    }
}

/* New slabs come several at once: a power of two, no more than twice KNOLL_CPU_BATCH, nor than make half of what may be
 * free, nor than a 64th of what is free in the heap; in classic only where a run of that length may start. */
static void slabs_come_several_at_once(void **state)
{
    (void)state;
    for (size_t size = KIB(64); size <= MIB(8); size += size < MIB(1) ? KNOLL_PAGE : size) {
        for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i += size < MIB(1) ? 4 : 1) {
            make(size);
            size_t capacity = knoll_shapes[i].capacity;
            size_t bytes = knoll_available_bytes(&cpus.heap) / 64;
            unsigned char *block = knoll_cpu_malloc(&first, class_size(i));
            assert_non_null(block);
            size_t slabs = 2 * KNOLL_CPU_BATCH;
            while (slabs > 1 &&
                   (slabs * (knoll_shapes[i].low + 1) > bytes || slabs * capacity > (size_t)cpu_most_free(i) / 2 ||
                    (CLASSIC && !is_aligned(block, slabs * KNOLL_PAGE))))
                slabs /= 2;
            assert_int_equal(find(block).index, 0);                  /* of the lowest slab */
            assert_int_equal(first.size_class[i].listed, slabs - 1); /* and the current one */
            assert_int_equal(cpus.heap.size_class[i].slabs, slabs);
            assert_int_equal(first.size_class[i].room, cpu_most_free(i) - (int32_t)(slabs * capacity) + 1);
            assert_int_equal(cpus.heap.size_class[i].free_blocks, 0);
            assert_int_equal(knoll_cpu_check(&first), 0);
            assert_int_equal(knoll_cpus_check(&cpus), 0);
        }
    }
}

/* Where the heap has slabs with free blocks they come too, as many as have 32 blocks, KNOLL_CPU_BATCH at most; and with
 * them new ones if there are fewer blocks than that in all of them. */
static void slabs_of_the_heap_come_too(void **state)
{
    enum { SIZE = 512, SLABS = 2 * KNOLL_CPU_BATCH };
    (void)state;
    for (size_t given = 1; given <= SLABS; given++) {
        make(MIB(1));
        unsigned size_class = class_for(1, SIZE);
        size_t capacity = knoll_shapes[size_class].capacity;
        for (size_t i = 0; i < SLABS * capacity || first.size_class[size_class].listed != 0 ||
                           entry_free(first.size_class[size_class].current) != 0;
             i++)
            blocks[i] = knoll_cpu_malloc(&first, SIZE);
        for (size_t i = 0; i < given * capacity; i++) /* all but one of each slab */
            if (i % capacity != 0)
                knoll_cpu_free(&first, blocks[i]);
        knoll_cpu_drain(&first);
        uint32_t slabs = cpus.heap.size_class[size_class].slabs;
        size_t of_heap = cpus.heap.size_class[size_class].free_blocks;
        assert_int_equal(of_heap, given * (capacity - 1));
        size_t allocations = cpus.heap.allocations;
        assert_non_null(knoll_cpu_malloc(&second, SIZE));
        size_t taken = (32 + capacity - 2) / (capacity - 1); /* slabs that have 32 blocks */
        taken = taken < given ? taken : given;
        taken = taken < KNOLL_CPU_BATCH ? taken : KNOLL_CPU_BATCH;
        assert_int_equal(cpus.heap.size_class[size_class].free_blocks, of_heap - taken * (capacity - 1));
        assert_int_equal(cpus.heap.size_class[size_class].slabs != slabs, of_heap < 32);
        size_t new_slabs = cpus.heap.size_class[size_class].slabs - slabs;
        assert_int_equal(second.size_class[size_class].listed + 1, taken + new_slabs);
        assert_int_equal(cpus.heap.allocations, allocations + taken * (capacity - 1) + new_slabs * capacity);
        assert_int_equal(knoll_cpu_check(&second), 0);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
    }
}

/* 32 are enough, so that no further slab comes, be it the heap's or a new one. */
static void as_many_as_are_enough_are_enough(void **state)
{
    enum { SIZE = CLASSIC ? 64 : 32, ENOUGH = 32 }; /* 64 blocks a slab */
    (void)state;
    for (size_t given = ENOUGH - 1; given <= ENOUGH + 1; given++) {
        make(MIB(1));
        const struct knoll_class_state *of_heap = &cpus.heap.size_class[class_for(1, SIZE)];
        const struct knoll_cpu_class *of_first = &first.size_class[class_for(1, SIZE)];
        for (size_t i = 0; i < 3 * 64 || entry_free(of_first->current) != 0 || of_first->listed != 0; i++)
            blocks[i] = knoll_cpu_malloc(&first, SIZE);
        uint32_t slabs = of_heap->slabs;
        if (given > ENOUGH)
            knoll_cpu_free(&first, blocks[64]); /* of another slab, which will not be the first to come */
        for (size_t i = 0; i < ENOUGH && i < given; i++)
            knoll_cpu_free(&first, blocks[i]);
        knoll_cpu_drain(&first);
        assert_int_equal(of_heap->free_blocks, given);
        assert_non_null(knoll_cpu_malloc(&second, SIZE));
        assert_int_equal(of_heap->slabs == slabs, given >= ENOUGH);
        assert_int_equal(of_heap->free_blocks, given > ENOUGH ? 1 : 0);
    }
}

/* With one block more than the bound those slabs go back that were listed first, until half of it is left. */
static void half_goes_back_above_the_bound(void **state)
{
    enum { SIZE = 1024 };
    (void)state;
    make(MIB(1));
    const struct knoll_cpu_class *state_of_class = &first.size_class[class_for(1, SIZE)];
    int32_t most = cpu_most_free(class_for(1, SIZE));
    int32_t capacity = (int32_t)knoll_shapes[class_for(1, SIZE)].capacity;
    assert_int_equal(most, 2 * 64);
    for (size_t i = 0; i < 3 * 64 || state_of_class->listed != 0 || entry_free(state_of_class->current) != 0; i++)
        blocks[i] = knoll_cpu_malloc(&first, SIZE);
    for (int32_t i = 0; i < most; i++) {
        assert_int_equal(state_of_class->room, most - i);
        knoll_cpu_free(&first, blocks[i]);
        assert_int_equal(state_of_class->listed, i / capacity + 1);
    }
    size_t used = knoll_used_bytes(&cpus.heap);
    knoll_cpu_free(&first, blocks[most]);
    int32_t went = (most / 2 + capacity) / capacity * capacity;
    assert_int_equal(state_of_class->room, went - 1);
    assert_int_equal(used - knoll_used_bytes(&cpus.heap), went * SIZE);
    assert_int_equal(find(blocks[went]).entry->owner, 1);
    assert_int_equal(knoll_cpu_check(&first), 0);
}

/* How often the lock is held while a processor with so many slabs listed gives them back. */
static size_t holdings_of_drain(size_t slabs)
{
    make_counting();
    size_t count = 0;
    const struct knoll_cpu_class *state_of_class = &first.size_class[class_for(1, 1000)];
    uint32_t capacity = knoll_shapes[class_for(1, 1000)].capacity;
    while (count < (slabs + 1) * capacity || state_of_class->listed != 0)
        blocks[count++] = knoll_cpu_malloc(&first, 1000);
    for (size_t i = 0; i < slabs; i++)
        knoll_cpu_free(&first, blocks[i * capacity]);
    assert_int_equal(state_of_class->listed, slabs);
    holdings = 0;
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    return holdings;
}

static void slabs_go_back_batch_by_batch(void **state)
{
    (void)state;
    size_t one = holdings_of_drain(KNOLL_CPU_BATCH);
    assert_int_equal(holdings_of_drain(9 * KNOLL_CPU_BATCH), one + 8);
}

static void a_run_that_waits_is_free(void **state)
{
    (void)state;
    make(MIB(1));
    void *run = knoll_cpu_malloc(&first, 50000);
    knoll_cpus_free(&cpus, run);
    assert_int_equal(last_fault.count, 0);
    knoll_cpus_free(&cpus, run);
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
}

/* A block that stays although it is larger than it should be may be given back by the size that it was made. */
static void a_block_that_could_not_move_has_its_new_size(void **state)
{
    static const size_t sizes[] = {KNOLL_SLAB_MAXIMUM, KIB(32)};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        make(KIB(256));
        void *block = knoll_cpu_malloc(&first, sizes[i]);
        assert_non_null(block);
        for (size_t size = KNOLL_SLAB_MAXIMUM; size >= 32; size /= 2) /* so that no block is larger than it need be */
            while (knoll_cpu_malloc(&first, size) != NULL)
                continue;
        assert_ptr_equal(knoll_cpu_realloc(&first, block, 60), block);
        size_t longer = 2 * KNOLL_SLAB_MAXIMUM;
        if (sizes[i] > longer) { /* of which a part has come free, and can be had again: then it has that size alone */
            assert_ptr_equal(knoll_cpu_realloc(&first, block, longer), block);
            knoll_cpu_free_sized(&first, block, 60);
            assert_int_equal(last_fault.fault, KNOLL_FAULT_SIZE);
            last_fault.count = 0;
            knoll_cpu_free_sized(&first, block, longer);
            assert_int_equal(last_fault.count, 0);
            continue;
        }
        knoll_cpu_free_sized(&first, block, 60);
        assert_int_equal(last_fault.count, 0);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
    }
}

/* Every size from none on: an error, or a region that serves. */
static void regions_of_any_size(void **state)
{
    (void)state;
    unsigned char *start = arena_at(MIB(1), 0);
    size_t before = CLASSIC ? KNOLL_PAGE : 0; /* of the region before the first, which in compact is less than a page */
    for (size_t size = 0; size <= KIB(64); size += KNOLL_PAGE) {
        int error = knoll_cpus_init(&cpus, start, size, NULL, NULL, NULL);
        assert_int_equal(error, size < KNOLL_MINIMUM_HEAP + KNOLL_PAGE + before ? KNOLL_ERROR_TOO_SMALL : KNOLL_OK);
    }
    for (size_t size = 0; size <= KIB(64); size += KNOLL_PAGE) {
        make(KIB(64));
        size_t total = knoll_total_bytes(&cpus.heap);
        int error = knoll_cpus_add_memory(&cpus, start + MIB(1), size);
        assert_true(error == KNOLL_OK || error == KNOLL_ERROR_TOO_SMALL);
        assert_int_equal(error == KNOLL_OK, size >= 3 * KNOLL_PAGE || knoll_total_bytes(&cpus.heap) > total);
        assert_int_equal(knoll_cpus_check(&cpus), 0);
    }
}

/* The entries take the pages that they need, of a region's start, and no more. */
static void entries_take_whole_pages(void **state)
{
    (void)state;
    for (size_t size = KIB(64); size <= MIB(1); size += KIB(64)) {
        make(KIB(64));
        assert_int_equal(knoll_cpus_add_memory(&cpus, arena_at(MIB(1), 0) + MIB(1), size), KNOLL_OK);
        const struct knoll_cpu_region *region = &cpus.region[cpus.region_count - 1];
        size_t pages = 1;
        while (pages * KNOLL_PAGE < (size >> GROUP_BYTES_SHIFT) * sizeof(struct knoll_cpu_entry))
            pages++;
        assert_int_equal(region->start - (uintptr_t)region->entries, pages * KNOLL_PAGE);
        assert_int_equal(region->size, size - pages * KNOLL_PAGE);
    }
}

/* Memory that the heap has, or its tables, is refused before anything is written. */
static void memory_that_is_had_already_is_refused(void **state)
{
    (void)state;
    make(KIB(256));
    unsigned char *start = arena_at(MIB(1), 0);
    unsigned char *run = knoll_cpu_malloc(&first, 50000);
    write_pattern(run, 50000, 5);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(512), KIB(128)), KNOLL_OK);
    struct knoll_cpu_entry *entries = cpus.region[cpus.region_count - 1].entries;
    assert_ptr_equal(entries, start + KIB(512));
    uint32_t regions = cpus.region_count;
    for (size_t from = 0; from < KIB(704); from += KNOLL_PAGE) {
        bool is_apart = from >= KIB(256) && from + KIB(64) <= KIB(512);
        if (is_apart || from >= KIB(640))
            continue;
        assert_int_equal(knoll_cpus_add_memory(&cpus, start + from, KIB(64)), KNOLL_ERROR_OVERLAP);
    }
    assert_int_equal(cpus.region_count, regions);
    assert_true(has_pattern(run, 50000, 5));
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(256), KIB(256)), KNOLL_OK); /* between both */
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(640), KIB(64)), KNOLL_OK);
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpus_add_memory(NULL, start, KIB(64)), KNOLL_ERROR_NULL);
    struct knoll_cpus *inside = (void *)(start + MIB(1) - sizeof(struct knoll_heap) - 64); /* but for its heap */
    assert_int_equal(knoll_cpus_init(inside, start + MIB(1), KIB(256), NULL, NULL, NULL), KNOLL_ERROR_OVERLAP);
    make(KIB(256)); /* memory that lies whole in the entries of another region */
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(256), MIB(5)), KNOLL_OK);
    assert_int_equal(knoll_cpus_add_memory(&cpus, start + KIB(272), KIB(32)), KNOLL_ERROR_OVERLAP);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_more_is_free_than_may_be),
    cmocka_unit_test(slabs_come_several_at_once),
    cmocka_unit_test(slabs_of_the_heap_come_too),
    cmocka_unit_test(as_many_as_are_enough_are_enough),
    cmocka_unit_test(half_goes_back_above_the_bound),
    cmocka_unit_test(slabs_go_back_batch_by_batch),
    cmocka_unit_test(a_run_that_waits_is_free),
    cmocka_unit_test(a_block_that_could_not_move_has_its_new_size),
    cmocka_unit_test(regions_of_any_size),
    cmocka_unit_test(entries_take_whole_pages),
    cmocka_unit_test(memory_that_is_had_already_is_refused),
};

CHECK_MAIN(tests)
