/* The layer of many processors, played call by call: what its checks find. tests/cpus.c sees what callers see. Here the
 * tables are damaged, each thing that the checks verify by itself.
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
            uint16_t owner = place.entry[group].owner;
            assert_int_equal(owner, group == 0 ? 1 : NOBODY);
            place.entry[group].owner = KNOLL_CPUS + 1; /* there is none; and the second group is nobody's */
            expect(-1);
            place.entry[group].owner = 1;
            expect(group == 0 ? 0 : -1);
            place.entry[group].owner = owner;
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
    uint32_t length = entry_run_length(place.entry, place.index);
    assert_int_equal(length, knoll_cpus_usable_size(&cpus, run) >> KNOLL_UNIT_SHIFT);
    entry_set_run(place.entry, place.index, length - 1, false);
    expect(-1);
    entry_set_run(place.entry, place.index, length, true); /* this may be so */
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_said_of_slabs),          cmocka_unit_test(what_alignment_a_slab_has),
    cmocka_unit_test(what_each_group_of_a_slab_says), cmocka_unit_test(what_is_said_of_runs),
    cmocka_unit_test(what_a_processor_has),
};

CHECK_MAIN(tests)
