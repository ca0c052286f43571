/* The layer of many processors, played call by call: what its checks find, and what calls that meet would leave.
 *
 * tests/cpus.c sees what callers see. Here the tables are damaged, each thing that the checks verify by itself; and
 * what only comes of two calls at the same time is written into the tables between two calls: a chain that is cut, a
 * queue that somebody else has open, a group that changed hands while it waited, a block that two gave back at once.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define SIZE 100

static void expect(int broken)
{
    assert_int_equal(knoll_cpus_check(&cpus), broken);
}

static void expect_of_first(int broken)
{
    assert_int_equal(knoll_cpu_check(&first), broken);
}

static void expect_fault(enum knoll_fault fault, const void *address)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, fault);
    assert_ptr_equal(last_fault.address, address);
    last_fault.count = 0;
}

/* ---- Checks ---- */

static void what_is_said_of_slabs(void **state)
{
    (void)state;
    make(MIB(1));
    size_t size = SIZE;
    struct cpu_place place = find(knoll_cpu_malloc(&first, size));
    while (!CLASSIC && place.shape->capacity == 64) /* as all have in classic */
        place = find(knoll_cpu_malloc(&first, size += SIZE));
    struct knoll_cpu_entry sound = *place.entry;
    expect(0);
    place.entry->shape ^= 1;
    expect(-1);
    *place.entry = sound;
    place.entry->owner = KNOLL_CPUS + 1;
    expect(-1);
    *place.entry = sound;
    place.entry->returned = UINT64_C(1) << 63; /* of no block, where there are less than 64 */
    expect(-1);
    place.entry->returned = sound.free & -sound.free; /* of a free one */
    expect(-1);
    *place.entry = sound;
    expect(0);
    knoll_cpu_drain(&first);
    expect(0);
    sound = *place.entry;
    place.entry->free &= place.entry->free - 1;
    expect(-1);
    *place.entry = sound;
    place.entry->owner = 2; /* of which the heap should say that none is free */
    expect(-1);
    *place.entry = sound;
    expect(0);
}

/* A slab has the greatest alignment that one of its blocks was asked for with, until it is another slab. */
static void what_alignment_a_slab_has(void **state)
{
    (void)state;
    make(MIB(1));
    const size_t size = KNOLL_SLAB_MAXIMUM / 8; /* so that a slab has a block for each */
    for (size_t alignment = 16; alignment <= size; alignment *= 2) {
        void *block = knoll_cpu_aligned_alloc(&first, alignment, size);
        assert_int_equal(entry_alignment(find(block).entry), alignment);
    }
    struct cpu_place place = find(knoll_cpu_aligned_alloc(&first, 16, size));
    assert_int_equal(entry_alignment(place.entry), size);
    make(MIB(1));
    void *block = knoll_cpu_aligned_alloc(&first, KNOLL_SLAB_MAXIMUM, KNOLL_SLAB_MAXIMUM);
    struct knoll_cpu_entry *entry = find(block).entry;
    knoll_cpu_free(&first, block);
    knoll_cpu_drain(&first);
    knoll_drain(&cpus.heap);
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    block = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM);
    assert_ptr_equal(find(block).entry, entry);
    assert_int_equal(entry_alignment(entry), 16);
}

static void what_each_group_of_a_slab_says(void **state)
{
    static const size_t sizes[] = {64, 160, 512, KNOLL_SLAB_MAXIMUM}; /* from one group to as many as a slab can have */
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make(MIB(1));
        struct cpu_place place = find(knoll_cpu_malloc(&first, sizes[i]));
        uint32_t groups = (place.shape->low >> GROUP_BYTES_SHIFT) + 1;
        for (uint32_t group = 0; group < groups; group++) {
            place.entry[group].shape ^= 1;
            expect(-1);
            place.entry[group].shape ^= 1;
            expect(0);
        }
    }
}

static void what_is_said_of_runs(void **state)
{
    (void)state;
    make(MIB(1));
    void *run = knoll_cpu_malloc(&first, 50000);
    struct cpu_place place = find(run);
    place.entry->shape = 1;
    expect(-1);
    place.entry->shape = 0;
    expect(0);
    knoll_cpu_free(&first, run);
    place.entry->shape = 1; /* as a slab's that is gone */
    expect(0);
    place.entry->shape = 0;
    cpus.heap.total += KNOLL_PAGE; /* the heap's own invariant comes first */
    assert_true(knoll_cpus_check(&cpus) > 0);
    cpus.heap.total -= KNOLL_PAGE;
    expect(0);
}

/* Makes two slabs listed of the class, besides the current one. */
static struct knoll_cpu_class *list_two(size_t size)
{
    static void *blocks[6 * 64];
    unsigned count = 0;
    blocks[count++] = knoll_cpu_malloc(&first, size);
    unsigned capacity = find(blocks[0]).shape->capacity;
    struct knoll_cpu_class *listed = &first.size_class[find(blocks[0]).shape->size_class];
    while (count < 2 * capacity + 1 || listed->listed != 0) /* several come at once */
        blocks[count++] = knoll_cpu_malloc(&first, size);
    knoll_cpu_free(&first, blocks[0]);
    knoll_cpu_free(&first, blocks[capacity]);
    assert_int_equal(listed->listed, 2);
    expect_of_first(0);
    return listed;
}

static void expect_what_a_processor_has(size_t size)
{
    make(MIB(1));
    struct knoll_cpu_class *listed = list_two(size);
    struct knoll_cpu_class sound_class = *listed;
    struct knoll_cpu_entry *entry = cpu_entry(&cpus, listed->list);
    struct knoll_cpu_entry sound = *entry;
    listed->current->owner = 2;
    expect_of_first(-1);
    listed->current->owner = 1;
    expect_of_first(0);
    listed->listed = 1; /* fewer than there are, and more */
    expect_of_first(-1);
    listed->listed = 3;
    expect_of_first(-1);
    *listed = sound_class;
    listed->oldest = listed->list;
    expect_of_first(-1);
    *listed = sound_class;
    listed->room++;
    expect_of_first(-1);
    *listed = sound_class;
    entry->owner = 2;
    expect_of_first(-1);
    *entry = sound;
    entry->previous = listed->group;
    expect_of_first(-1);
    *entry = sound;
    entry->free = 0; /* its one free block, which is then not to be counted */
    listed->room++;
    expect_of_first(-1);
    *entry = sound;
    listed->room = sound_class.room + (int32_t)bits_count(listed->current->free) - 1;
    listed->current = entry;
    expect_of_first(-1);
    *listed = sound_class;
    struct knoll_cpu_class *other = listed == first.size_class ? listed + 1 : listed - 1, sound_other = *other;
    listed->list = NO_GROUP;
    listed->listed = 0;
    listed->room += 2; /* each has a free block */
    expect_of_first(0);
    other->list = sound_class.list;
    other->oldest = sound_class.oldest;
    other->listed = sound_class.listed;
    other->room -= 2;
    expect_of_first(-1);
    *other = sound_other;
    *listed = sound_class;
    expect_of_first(0);
}

static void what_a_processor_has(void **state)
{
    (void)state;
    expect_what_a_processor_has(1); /* of the first class, one in the midst, and the last */
    expect_what_a_processor_has(SIZE);
    expect_what_a_processor_has(KNOLL_SLAB_MAXIMUM);
}

static void what_runs_a_processor_keeps(void **state)
{
    (void)state;
    make(MIB(1));
    void *run = knoll_cpu_malloc(&first, CLASSIC ? 5000 : 3000);
    struct cpu_place place = find(run);
    knoll_cpu_free(&first, run);
    assert_true(entry_keeps(place.entry, place.index));
    expect_of_first(0);
    entry_set_keeps(place.entry, place.index, false);
    expect_of_first(-1);
    entry_set_keeps(place.entry, place.index, true);
    assert_false(knoll_cpu_return(&cpus, &place)); /* as by who found it before it was kept */
    struct knoll_cpu_runs *runs = &first.runs[0];
    while (runs->count == 0)
        runs++;
    struct knoll_cpu_runs *others = runs == first.runs ? runs + 1 : runs - 1, kept = *runs;
    for (unsigned i = 1; i < KNOLL_CPU_RUNS; i++) { /* of several each is looked at */
        runs->run[i] = kept.run[0];
        runs->count++;
        expect_of_first(0);
        runs->run[i] = place.group << GROUP_SHIFT ^ GROUP_UNITS; /* where none is */
        expect_of_first(-1);
        runs->run[i] = kept.run[0];
    }
    *runs = kept;
    others->run[0] = runs->run[0];
    others->count = 1;
    runs->count = 0;
    expect_of_first(-1);
    others->count = 0;
    *runs = kept;
    expect_of_first(0);
}

static void which_runs_a_processor_keeps(void **state)
{
    (void)state;
    make(MIB(1));
    size_t longest = CLASSIC ? 32768 : 4096;
    for (size_t size = KNOLL_SLAB_MAXIMUM + 1; size <= 2 * longest; size += 512) {
        void *run = knoll_cpu_malloc(&first, size);
        struct cpu_place place = find(run);
        knoll_cpu_free(&first, run);
        assert_int_equal(entry_keeps(place.entry, place.index), size <= longest);
        void *again = knoll_cpu_malloc(&first, size);
        assert_true(again == run || size > longest);
        knoll_cpu_free(&first, again);
        expect_of_first(0);
    }
}

/* ---- Queues ---- */

static void a_chain_that_is_cut_is_gone_on_with_later(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    knoll_cpu_free(&second, block);
    uint32_t next = place.entry->next_queued;
    place.entry->next_queued = QUEUE_CUT;
    for (unsigned i = 0; i < 2; i++) {
        knoll_cpu_collect(&first);
        assert_int_equal(place.entry->returned, bit(place.index));
        assert_int_equal(cpus.queue[1].rest, place.group + 1);
    }
    place.entry->next_queued = next;
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, 0);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(cpus.queue[1].rest, QUEUE_END);
    expect(0);
}

static void a_queue_that_is_open_elsewhere_is_left(void **state)
{
    (void)state;
    make(KIB(64));
    static void *blocks[1024];
    unsigned count = 0;
    while ((blocks[count] = knoll_cpu_malloc(&first, SIZE)) != NULL)
        assert_true(++count < 1024);
    knoll_cpu_free(&second, blocks[0]);
    struct cpu_place place = find(blocks[0]);
    assert_true(knoll_cpu_queue_open(&cpus.queue[1]));
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, bit(place.index));
    assert_null(knoll_cpu_malloc(&second, SIZE));
    knoll_cpu_queue_close(&cpus.queue[1]);
    assert_ptr_equal(knoll_cpu_malloc(&second, SIZE), blocks[0]);
    knoll_cpu_free(&first, blocks[2]);
    knoll_cpu_drain(&first);
    place = find(blocks[1]);
    assert_int_equal(entry_owner(place.entry), NOBODY); /* now, for it had a free block */
    knoll_cpus_free(&cpus, blocks[1]);
    assert_true(knoll_cpu_queue_open(&cpus.queue[NOBODY]));
    assert_int_equal(knoll_cpu_collect_common(&cpus), 0);
    assert_int_equal(place.entry->returned, bit(place.index));
    knoll_cpu_queue_close(&cpus.queue[NOBODY]);
    assert_true(knoll_cpu_collect_common(&cpus) > 0);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
}

static void a_group_that_changed_hands_moves_on(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    knoll_cpu_free(&second, block);
    entry_set_owner(place.entry, 2, false);
    knoll_cpu_collect(&first);
    assert_int_equal(cpus.queue[2].last, place.group + 1);
    assert_int_equal(place.entry->returned, bit(place.index));
    entry_set_owner(place.entry, NOBODY, false);
    knoll_cpu_collect(&second);
    assert_int_equal(cpus.queue[NOBODY].last, place.group + 1);
    entry_set_owner(place.entry, 1, false);
    assert_int_equal(knoll_cpu_collect_common(&cpus), 1);
    assert_int_equal(cpus.queue[1].last, place.group + 1);
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
    expect_of_first(0);
}

/* Who looks late pushes a group with nothing returned, be it somebody's or nobody's. */
static void a_group_with_nothing_returned_is_let_go(void **state)
{
    (void)state;
    make(MIB(1));
    struct cpu_place place = find(knoll_cpu_malloc(&first, SIZE));
    uint64_t free = place.entry->free;
    knoll_cpu_push(&cpus, place.group);
    knoll_cpu_push(&cpus, place.group); /* which is there already, so this does nothing */
    assert_int_equal(place.entry->next_queued, QUEUE_END);
    knoll_cpu_collect(&first);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(place.entry->free, free);
    knoll_cpu_drain(&first);
    size_t used = knoll_used_bytes(&cpus.heap);
    knoll_cpu_push(&cpus, place.group);
    assert_int_equal(knoll_cpu_collect_common(&cpus), 1);
    assert_int_equal(place.entry->next_queued, QUEUE_NOT);
    assert_int_equal(knoll_cpu_give_back(&cpus, place.group), 0); /* which has nothing that the heap has not */
    assert_int_equal(knoll_used_bytes(&cpus.heap), used);
    expect(0);
}

/* The queue of a processor can have what is no block of the class that is sought, and what was freed twice. */
static void only_what_is_right_is_taken_from_a_queue(void **state)
{
    (void)state;
    make(KIB(64));
    void *run = knoll_cpu_malloc(&second, 6000);
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place of_run = find(run), of_block = find(block);
    while (knoll_cpu_malloc(&second, SIZE) != NULL) {
    }
    while (of_block.entry->free != 0)
        assert_non_null(knoll_cpu_malloc(&first, SIZE));
    knoll_cpu_push(&cpus, of_block.group); /* late */
    assert_null(knoll_cpu_malloc(&second, SIZE));
    assert_int_equal(of_block.entry->next_queued, QUEUE_NOT);
    assert_true(knoll_cpu_queue_open(&cpus.queue[NOBODY])); /* else what the run gives way for is found at once */
    entry_set_owner(of_run.entry, 1, false);                /* whose slab the group was when it was pushed */
    knoll_cpus_free(&cpus, run);
    entry_set_owner(of_run.entry, NOBODY, false);
    assert_int_equal(cpus.queue[1].last, of_run.group + 1);
    assert_null(knoll_cpu_malloc(&second, SIZE));
    assert_int_equal(cpus.queue[NOBODY].last, of_run.group + 1);
    knoll_cpu_queue_close(&cpus.queue[NOBODY]);
    assert_non_null(knoll_cpu_malloc(&second, SIZE));
    expect(0);
}

static void a_double_free_that_neither_call_saw_is_found_at_last(void **state)
{
    (void)state;
    make(MIB(1));
    void *kept = knoll_cpu_malloc(&first, SIZE), *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    assert_non_null(kept);
    knoll_cpu_free(&first, block);
    uint64_t free = place.entry->free;
    place.entry->returned = bit(place.index);
    knoll_cpu_push(&cpus, place.group);
    knoll_cpu_collect(&first);
    expect_fault(KNOLL_FAULT_DOUBLE_FREE, block);
    assert_int_equal(place.entry->free, free);
    assert_int_equal(place.entry->returned, 0);
    expect(0);
    void *run = knoll_cpu_malloc(&first, 50000);
    place = find(run);
    assert_true(knoll_cpu_return(&cpus, &place)); /* both found it held */
    assert_false(knoll_cpu_return(&cpus, &place));
}

/* ---- Sizes ---- */

static void what_cannot_be_resized_or_freed_so(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_realloc(&first, NULL, SIZE);
    assert_int_equal(knoll_cpus_usable_size(&cpus, block), knoll_good_size(&cpus.heap, 1, SIZE));
    void *run = knoll_cpu_malloc(&first, 50000);
    size_t usable = knoll_cpus_usable_size(&cpus, run);
    assert_null(knoll_cpu_realloc(&first, run, SIZE_MAX / 2));
    assert_int_equal(knoll_cpus_usable_size(&cpus, run), usable);
    knoll_cpu_free_sized(&first, NULL, SIZE);
    assert_int_equal(last_fault.count, 0);
    struct cpu_place place = find(block);
    entry_set_owner(place.entry, entry_owner(place.entry), true);
    knoll_cpu_free_sized(&first, block, 3 * SIZE); /* which even a loose block cannot be */
    expect_fault(KNOLL_FAULT_SIZE, block);
    knoll_cpu_free_sized(&first, block, 1);
    assert_int_equal(last_fault.count, 0);
    expect(0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_said_of_slabs),
    cmocka_unit_test(what_alignment_a_slab_has),
    cmocka_unit_test(what_each_group_of_a_slab_says),
    cmocka_unit_test(what_is_said_of_runs),
    cmocka_unit_test(what_a_processor_has),
    cmocka_unit_test(what_runs_a_processor_keeps),
    cmocka_unit_test(which_runs_a_processor_keeps),
    cmocka_unit_test(a_chain_that_is_cut_is_gone_on_with_later),
    cmocka_unit_test(a_queue_that_is_open_elsewhere_is_left),
    cmocka_unit_test(a_group_that_changed_hands_moves_on),
    cmocka_unit_test(a_group_with_nothing_returned_is_let_go),
    cmocka_unit_test(only_what_is_right_is_taken_from_a_queue),
    cmocka_unit_test(a_double_free_that_neither_call_saw_is_found_at_last),
    cmocka_unit_test(what_cannot_be_resized_or_freed_so),
};

CHECK_MAIN(tests)
