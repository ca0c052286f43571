/* What two processors do at the same time, played in one order: by writing what the other is about to write, or by
 * calls that a lock hook makes while its caller waits.
 *
 * Whoever frees a block looks first that it is held, and then says that it is returned. Between the two another may
 * have freed it, so that what is said comes too late: when the block is free, when its slab is gone, when there is
 * another. None of these hands a block out twice, or breaks the tables.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define SIZE 100
#define RUN  KIB(40) /* bytes: no span serves it while memory is short */

static void *blocks[20000];

static void expect_sound(void)
{
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpu_check(&first), 0);
    assert_int_equal(knoll_cpu_check(&second), 0);
}

static void expect_double_free(const void *address)
{
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(last_fault.fault, KNOLL_FAULT_DOUBLE_FREE);
    if (address != NULL)
        assert_ptr_equal(last_fault.address, address);
}

/* What a processor does that saw the block held, before another freed it. */
static void return_late(const struct cpu_place *place)
{
    __atomic_fetch_or(&place->entry->returned, bit(place->index), __ATOMIC_SEQ_CST);
    knoll_cpu_push(&cpus, place->group);
}

static void look_everywhere(void)
{
    while (knoll_cpu_collect_common(&cpus) != 0) {
    }
}

/* A fresh heap in which all memory was a slab's of this class, and the place of one of its last blocks. No processor
 * has anything, and no slab is kept in hand. */
static struct cpu_place a_slab_that_is_gone(size_t size)
{
    size_t count = 0;
    struct cpu_place place;
    make(MIB(1));
    do {
        blocks[count] = knoll_cpu_malloc(&first, size);
        place = find(blocks[count++]);
    } while (place.index < 20);
    while (count-- > 0)
        knoll_cpu_free(&first, blocks[count]);
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_slab_take_back(&cpus.heap, INDEX_MASK, 1), NOWHERE); /* gives back the one in hand */
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    return place;
}

/* ---- Calls made while another waits for the lock ---- */

static void (*meanwhile)(void);

static void wait_for_lock(void *context)
{
    (void)context;
    void (*other)(void) = meanwhile;
    meanwhile = NULL; /* for the other takes it too */
    if (other != NULL)
        other();
}

static void give_up_lock(void *context)
{
    (void)context;
}

static void meet(void (*other)(void))
{
    meanwhile = other;
    cpus.lock = wait_for_lock;
    cpus.unlock = give_up_lock;
}

static void *freed_meanwhile;

static void free_meanwhile(void)
{
    knoll_cpu_free(&second, freed_meanwhile);
}

static void return_meanwhile(void)
{
    knoll_cpus_free(&cpus, freed_meanwhile);
}

/* Frees the run, and takes blocks until a slab lies there. */
static void free_and_take_meanwhile(void)
{
    uint32_t group = find(freed_meanwhile).group;
    knoll_cpu_free(&second, freed_meanwhile);
    while (find(knoll_cpu_malloc(&second, 64)).group != group)
        continue;
}

/* Whoever waits for the lock to free a run that another frees first has freed it twice. */
static void a_run_that_another_frees_first(void **state)
{
    static void (*const others[])(void) = {free_meanwhile, return_meanwhile, free_and_take_meanwhile};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        make(MIB(1));
        void *before = knoll_cpu_malloc(&first, RUN);
        void *run = knoll_cpu_malloc(&first, RUN);
        void *behind = knoll_cpu_malloc(&first, RUN);
        knoll_cpu_free(&first, before); /* so it is no run's first unit any more, once it is free */
        freed_meanwhile = run;
        meet(others[i]);
        knoll_cpu_free(&first, run);
        assert_int_equal(last_fault.count, 1);
        expect_sound();
        for (unsigned j = 0; j < 4; j++)
            assert_true(knoll_cpu_malloc(&first, RUN) != behind);
    }
}

/* The same of a block, in any region. */
static void a_block_that_was_freed_is_refused(void **state)
{
    (void)state;
    make(KIB(64));
    assert_int_equal(knoll_cpus_add_memory(&cpus, arena_at(MIB(1), 0) + KIB(128), KIB(64)), KNOLL_OK);
    for (void *block; (block = knoll_cpu_malloc(&first, SIZE)) != NULL;) {
        void (*const frees[])(void) = {return_meanwhile, free_meanwhile};
        for (size_t i = 0; i < 2; i++) {
            void *next = knoll_cpu_malloc(&first, SIZE);
            if (next == NULL)
                return;
            last_fault.count = 0;
            freed_meanwhile = next;
            return_meanwhile();
            assert_int_equal(last_fault.count, 0);
            frees[i]();
            expect_double_free(next);
        }
    }
}

/* And whoever waits for it to change such a run's length changes nothing. */
static void a_run_that_another_frees_before_it_is_resized(void **state)
{
    static const size_t sizes[] = {RUN / 2, 2 * RUN};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        make(MIB(1));
        void *before = knoll_cpu_malloc(&first, RUN);
        void *run = knoll_cpu_malloc(&first, RUN);
        assert_non_null(knoll_cpu_malloc(&first, 2 * RUN));
        knoll_cpu_free(&first, before);
        freed_meanwhile = run;
        meet(free_meanwhile);
        (void)knoll_cpu_realloc(&first, run, sizes[i]);
        expect_sound();
    }
}

static void look_meanwhile(void)
{
    (void)knoll_cpu_collect_common(&cpus);
    meanwhile = look_meanwhile;
}

/* A processor that is off has all memory in its queue: who is short of it finds that, though others look as well, and
 * take a part. */
static void what_waits_for_who_is_off_is_found(void **state)
{
    (void)state;
    for (uint32_t turn = 1; turn <= 4; turn++) {
        size_t count = 0;
        make(MIB(1));
        while ((blocks[count] = knoll_cpu_malloc(&second, 64)) != NULL)
            count++;
        for (size_t i = 0; i < count; i++)
            knoll_cpu_free(&first, blocks[i]);
        cpus.queue[2].is_off = 1;
        cpus.turn = turn;
        meet(look_meanwhile);
        assert_non_null(knoll_cpu_malloc(&first, KIB(256)));
        assert_int_equal(last_fault.count, 0);
    }
}

/* ---- A block is returned after it was freed ---- */

/* Its slab is nobody's, and serves who is short of memory. */
static void a_late_return_to_nobodys_slab(void **state)
{
    (void)state;
    make(MIB(1));
    assert_non_null(knoll_cpu_malloc(&first, SIZE)); /* so the slab stays */
    void *block = knoll_cpu_malloc(&first, SIZE);
    struct cpu_place place = find(block);
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    knoll_cpus_free(&cpus, block);
    look_everywhere();
    return_late(&place);
    for (unsigned i = 0; i < 64; i++)
        assert_true(knoll_cpu_take_otherwise(&cpus, 1, SIZE) != block);
    expect_double_free(block);
    look_everywhere();
    unsigned times = 0;
    for (unsigned i = 0; i < 64; i++)
        times += knoll_cpu_malloc(&second, SIZE) == block;
    assert_int_equal(times, 1);
    expect_double_free(block);
    expect_sound();
}

static void a_late_return_of_a_run(void **state)
{
    (void)state;
    make(MIB(1));
    void *run = knoll_cpu_malloc(&first, RUN);
    struct cpu_place place = find(run);
    knoll_cpu_free(&first, run);
    return_late(&place);
    assert_true(knoll_cpu_take_otherwise(&cpus, 1, RUN) != run);
    expect_double_free(run);
    look_everywhere();
    assert_ptr_equal(knoll_cpu_malloc(&second, RUN), run);
    expect_double_free(run);
    expect_sound();
}

/* There is a slab of another class, which has no such block. */
static void a_late_return_to_another_slab(void **state)
{
    (void)state;
    struct cpu_place place = a_slab_that_is_gone(64);
    void *held[] = {knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM), NULL, NULL, NULL, NULL};
    struct cpu_place other = find(held[0]);
    while (other.group < place.group)
        other = find(held[0] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM));
    assert_int_equal(other.group, place.group);
    assert_true(place.index >= other.shape->capacity);
    return_late(&place);
    knoll_cpu_collect(&first);
    expect_double_free(NULL);
    assert_int_equal(other.entry->free & ~other.shape->blocks, 0);
    assert_int_equal(other.entry->returned, 0);
    for (unsigned i = 1; i < 5; i++) {
        held[i] = knoll_cpu_malloc(&first, KNOLL_SLAB_MAXIMUM);
        for (unsigned j = 0; j < i; j++)
            assert_true(held[j] != held[i]);
        assert_int_equal(find(held[i]).shape->size, KNOLL_SLAB_MAXIMUM);
    }
    expect_sound();
}

/* The same where memory is short, so that somebody else takes what waits. */
static void a_late_return_to_anothers_slab_serves_nobody(void **state)
{
    (void)state;
    make(MIB(1));
    struct cpu_place place = find(knoll_cpu_malloc(&second, KNOLL_SLAB_MAXIMUM));
    place.index = 20;
    return_late(&place);
    assert_null(knoll_cpu_take_waiting(&cpus, class_for(1, KNOLL_SLAB_MAXIMUM), KNOLL_SLAB_MAXIMUM));
    assert_int_equal(place.entry->returned, bit(20));
}

/* There is a span's run, whose group has bits for its own runs alone. */
static void a_late_return_to_a_span_is_no_run(void **state)
{
    const size_t size = CLASSIC ? 8192 : 6000;
    void *held[30];
    (void)state;
    make(MIB(4));
    for (unsigned i = 0; i < 30; i++)
        held[i] = knoll_cpu_malloc(&second, size);
    struct cpu_place place = find(held[0]);
    for (place.index = GROUP_UNITS; place.index < 64; place.index++)
        return_late(&place);
    assert_null(knoll_cpu_take_waiting(&cpus, CLASS_LARGE, size));
    assert_int_equal(last_fault.count, 0);
    knoll_cpu_collect(&second);
    expect_double_free(NULL);
    expect_sound();
}

/* There is no slab: a run begins in what was its first group, or free units. */
static void a_late_return_to_no_slab(void **state)
{
    (void)state;
    for (size_t units = RUN_SHORTEST; units <= 16; units++) {
        struct cpu_place place = a_slab_that_is_gone(64);
        void *run = knoll_cpu_take_run(&cpus, 1, units * UNIT);
        assert_non_null(run);
        return_late(&place);
        look_everywhere();
        assert_int_equal(place.entry->returned, 0);
        expect_double_free(NULL);
        last_fault.count = 0;
        expect_sound();
        knoll_cpu_free(&first, run);
        expect_sound();
    }
}

/* ---- A slab that serves who is short of memory ---- */

/* One that is made for it is like any new one. */
static void a_slab_made_when_short_has_no_alignment(void **state)
{
    (void)state;
    make(MIB(1));
    void *block = knoll_cpu_aligned_alloc(&first, KNOLL_SLAB_MAXIMUM, KNOLL_SLAB_MAXIMUM);
    uint32_t group = find(block).group;
    knoll_cpu_free(&first, block);
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_slab_take_back(&cpus.heap, INDEX_MASK, 1), NOWHERE);
    block = knoll_cpu_take_otherwise(&cpus, 1, SIZE);
    assert_int_equal(find(block).group, group);
    assert_int_equal(entry_alignment(find(block).entry), 16);
    block = knoll_cpu_take_otherwise(&cpus, 64, SIZE);
    assert_int_equal(entry_alignment(find(block).entry), 64);
    void *next = knoll_cpu_take_otherwise(&cpus, 1, class_size(find(block).shape->size_class));
    assert_int_equal(find(next).group, find(block).group);
    assert_int_equal(entry_alignment(find(next).entry), 64);
}

/* Nor is a new slab loose, for what a slab was before. */
static void a_new_slab_is_not_loose(void **state)
{
    (void)state;
    struct cpu_place place = a_slab_that_is_gone(64);
    entry_set_owner(place.entry, NOBODY, true);
    void *block;
    do
        block = knoll_cpu_malloc(&first, 64);
    while (find(block).group != place.group);
    assert_int_equal(entry_owner(place.entry), 1);
    assert_false(entry_is_loose(place.entry));
}

/* And a run says whether it is one that a slab should have served. */
static void a_run_that_serves_when_short_may_be_loose(void **state)
{
    (void)state;
    make(KIB(64));
    void *block = knoll_cpu_take_otherwise(&cpus, 1, KNOLL_SLAB_MAXIMUM + 1);
    struct cpu_place place = find(block);
    assert_false(entry_has_loose_run(place.entry, place.index));
    while (knoll_cpu_take_otherwise(&cpus, 1, KNOLL_SLAB_MAXIMUM + 1) != NULL)
        continue;
    knoll_cpu_free(&first, block);
    place = find(knoll_cpu_take_otherwise(&cpus, 1, KNOLL_SLAB_MAXIMUM)); /* in compact it is too short for a slab */
    assert_int_equal(place.shape == NULL && entry_has_loose_run(place.entry, place.index), !CLASSIC);
    if (place.shape == NULL) /* and its cell does not, which is not the caller's */
        assert_int_equal(*entry_of(&cpus.heap, group_unit(place.group) + place.index), cell_of(RUN_LARGE, 0));
    expect_sound();
}

/* One that was asked for as a run never is. */
static void a_run_of_the_heap_is_not_loose(void **state)
{
    (void)state;
    make(MIB(1));
    struct cpu_place place = find(knoll_cpu_take_run(&cpus, 1, KNOLL_SLAB_MAXIMUM + 1));
    assert_false(entry_has_loose_run(place.entry, place.index));
    assert_int_equal(*entry_of(&cpus.heap, group_unit(place.group) + place.index), cell_of(RUN_LARGE, 0));
    expect_sound();
}

/* What was in the second group of a slab is in no slab when there is one of a single group in the first. */
static void what_was_in_the_second_group_is_nowhere(void **state)
{
    enum { SIZE_OF_TWO = 800 };
    void *last = NULL;
    (void)state;
    make(MIB(1));
    for (unsigned i = 0; i < 5; i++)
        last = blocks[i] = knoll_cpu_malloc(&first, SIZE_OF_TWO);
    uint32_t group = find(blocks[0]).group;
    for (unsigned i = 0; i < 5; i++)
        knoll_cpu_free(&first, blocks[i]);
    knoll_cpu_drain(&first);
    assert_int_equal(knoll_slab_take_back(&cpus.heap, INDEX_MASK, 1), NOWHERE);
    struct cpu_place place;
    do
        place = find(knoll_cpu_take_otherwise(&cpus, 1, 64));
    while (place.group != group || place.entry->free != 0); /* until all of its blocks are held */
    knoll_cpus_free(&cpus, last);
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(place.entry->returned, 0);
    expect_sound();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_run_that_another_frees_first),
    cmocka_unit_test(a_block_that_was_freed_is_refused),
    cmocka_unit_test(a_run_that_another_frees_before_it_is_resized),
    cmocka_unit_test(what_waits_for_who_is_off_is_found),
    cmocka_unit_test(a_late_return_to_nobodys_slab),
    cmocka_unit_test(a_late_return_of_a_run),
    cmocka_unit_test(a_late_return_to_another_slab),
    cmocka_unit_test(a_late_return_to_anothers_slab_serves_nobody),
    cmocka_unit_test(a_late_return_to_a_span_is_no_run),
    cmocka_unit_test(a_late_return_to_no_slab),
    cmocka_unit_test(a_slab_made_when_short_has_no_alignment),
    cmocka_unit_test(a_new_slab_is_not_loose),
    cmocka_unit_test(a_run_that_serves_when_short_may_be_loose),
    cmocka_unit_test(a_run_of_the_heap_is_not_loose),
    cmocka_unit_test(what_was_in_the_second_group_is_nowhere),
};

int main(void)
{
    return check_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
