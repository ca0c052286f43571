/* What waits for its owner, or for nobody, and what processors have free: who finds it, and when, above all when memory
 * is short.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_cpus.h"

#define BLOCKS_MOST 20000

static void *blocks[BLOCKS_MOST];

/* Every KNOLL_CPU_BATCH blocks of nobody's slabs are looked for, and no sooner. */
static void what_nobody_has_goes_back_now_and_then(void **state)
{
    (void)state;
    make(MIB(1));
    for (size_t i = 0; i < 3 * KNOLL_CPU_BATCH; i++)
        blocks[i] = knoll_cpu_malloc(&first, 32); /* all in one slab */
    knoll_cpu_drain(&first);
    size_t used = knoll_used_bytes(&cpus.heap);
    for (size_t i = 0; i < 3 * KNOLL_CPU_BATCH; i++) {
        knoll_cpu_free(&second, blocks[i]);
        assert_int_equal(second.unseen, (i + 1) % KNOLL_CPU_BATCH);
        size_t now = knoll_used_bytes(&cpus.heap);
        assert_int_equal(now < used, second.unseen == 0);
        used = now;
    }
}

/* All memory waits in the queue of one that is off, which is not the next to be looked at. */
static void all_that_are_off_are_looked_through(void **state)
{
    (void)state;
    for (unsigned turn = 1; turn <= KNOLL_CPUS; turn += KNOLL_CPUS / 7) {
        make(KIB(256));
        size_t count = 0;
        while ((blocks[count] = knoll_cpu_malloc(&second, 64)) != NULL)
            count++;
        assert_null(knoll_cpu_malloc(&first, KIB(32)));
        for (size_t i = 0; i < count; i++)
            knoll_cpu_free(&first, blocks[i]);
        cpus.queue[2].is_off = 1; /* it went while they were on the way */
        cpus.turn = turn;
        assert_non_null(knoll_cpu_malloc(&first, KIB(32)));
    }
}

/* A look is at nobody's queue and at that of one that is off, and says what was in both. */
static void a_look_sees_two_queues(void **state)
{
    (void)state;
    make(MIB(1));
    blocks[0] = knoll_cpu_malloc(&first, 32);
    knoll_cpu_drain(&first);
    assert_int_equal(cpus.queue[1].is_off, 1);
    blocks[1] = knoll_cpu_malloc(&second, 500); /* of another slab */
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    knoll_cpu_free(&first, blocks[0]);
    knoll_cpu_free(&first, blocks[1]);
    cpus.queue[2].is_off = 1;
    cpus.turn = 2;
    assert_int_equal(knoll_cpu_collect_common(&cpus), 2);
    assert_int_equal(cpus.turn, 3);
    assert_int_equal(knoll_cpu_collect_common(&cpus), 0);
}

/* And of each queue KNOLL_CPU_BATCH groups at most. */
static void a_look_has_an_end(void **state)
{
    size_t count = 0, groups = 1;
    (void)state;
    make(MIB(4));
    blocks[count++] = knoll_cpu_malloc(&second, 1000);
    for (uint32_t last = find(blocks[0]).group; groups <= KNOLL_CPU_BATCH;) {
        void *block = knoll_cpu_malloc(&second, 1000);
        if (find(block).group != last) {
            last = find(block).group;
            blocks[groups++] = block;
        }
    }
    for (size_t i = 0; i < groups; i++)
        knoll_cpu_free(&first, blocks[i]);
    cpus.queue[2].is_off = 1;
    cpus.turn = 2;
    assert_int_equal(knoll_cpu_collect_common(&cpus), KNOLL_CPU_BATCH);
    cpus.turn = 2;
    assert_int_equal(knoll_cpu_collect_common(&cpus), 1);
}

/* What others have returned serves before anything else, without the lock. */
static void what_was_returned_serves_first(void **state)
{
    (void)state;
    make_counting();
    size_t count = 0;
    blocks[count++] = knoll_cpu_malloc(&first, 100);
    const struct knoll_cpu_class *state_of_class = &first.size_class[class_for(1, 100)];
    while (state_of_class->listed != 0 || entry_free(state_of_class->current) != 0)
        blocks[count++] = knoll_cpu_malloc(&first, 100);
    holdings = 0;
    for (size_t i = 0; i < count; i += 3) {
        knoll_cpu_free(&second, blocks[i]);
        assert_ptr_equal(knoll_cpu_malloc(&first, 100), blocks[i]);
    }
    assert_int_equal(holdings, 0);
    assert_int_equal(knoll_cpu_check(&first), 0);
}

/* But of what waits no more than KNOLL_CPU_BATCH groups are seen to in one call. */
static void what_was_returned_is_taken_in_parts(void **state)
{
    (void)state;
    make(MIB(4));
    size_t count = 0;
    const struct knoll_cpu_class *state_of_class = &first.size_class[class_for(1, 1000)];
    uint32_t capacity = knoll_shapes[class_for(1, 1000)].capacity;
    while (count < 3 * KNOLL_CPU_BATCH * capacity || state_of_class->listed != 0 ||
           entry_free(state_of_class->current) != 0)
        blocks[count++] = knoll_cpu_malloc(&first, 1000);
    for (size_t i = 0; i < count; i += capacity)
        knoll_cpu_free(&second, blocks[i]);
    assert_non_null(knoll_cpu_malloc(&first, 1000));
    size_t waiting = 0;
    for (size_t i = 0; i < count; i += capacity)
        waiting += entry_returned(find(blocks[i]).entry) != 0;
    assert_int_equal(waiting, count / capacity - KNOLL_CPU_BATCH);
}

/* Others are told of a shortage when there is one, and only then. */
static void only_a_shortage_is_one(void **state)
{
    (void)state;
    make(MIB(1));
    for (size_t size = 1; size < KIB(200); size *= 3)
        assert_non_null(knoll_cpu_malloc(&first, size));
    assert_int_equal(cpus.shortages, 0);
    assert_null(knoll_cpu_malloc(&first, MIB(1)));
    assert_int_equal(cpus.shortages, 1);
}

/* A shortage is answered once, at the next call that needs a slab. */
static void a_shortage_is_answered_once(void **state)
{
    enum { SIZE = KNOLL_SLAB_MAXIMUM / 4 };
    static const size_t others[] = {64, 128, 512}; /* of classes that have nothing yet */
    (void)state;
    make(MIB(2));
    const struct knoll_cpu_class *of_class = &second.size_class[class_for(1, SIZE)];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < 2 * 64 + 1; i++)
            blocks[i] = knoll_cpu_malloc(&second, SIZE);
        for (size_t i = 0; i < 2 * 64; i += 2)
            knoll_cpu_free(&second, blocks[i]);
        assert_true(of_class->listed > 1);
        if (round == 1)
            assert_null(knoll_cpu_malloc(&first, MIB(2)));
        assert_non_null(knoll_cpu_malloc(&second, others[round]));
        assert_int_equal(of_class->listed > 1, round != 1);
    }
}

/* What was returned to a processor, of whatever class, is given back before its request for a run fails. */
static void what_was_returned_to_it_makes_room(void **state)
{
    (void)state;
    struct knoll_stats stats;
    size_t count = 0;
    make(KIB(256));
    knoll_cpus_get_stats(&cpus, &stats);
    while ((blocks[count] = knoll_cpu_malloc(&first, 64)) != NULL)
        count++;
    while (count > 0)
        knoll_cpu_free(&second, blocks[--count]);
    assert_non_null(knoll_cpu_malloc(&first, stats.largest_block));
}

/* All memory is in blocks that the processor has free when it asks for something else. */
static void what_it_has_itself_serves_when_short(void **state)
{
    static const size_t sizes[] = {64, KNOLL_SLAB_MAXIMUM, KNOLL_SLAB_MAXIMUM + 1};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        make(KIB(64));
        struct knoll_stats stats;
        size_t count = 0;
        knoll_cpus_get_stats(&cpus, &stats);
        while ((blocks[count] = knoll_cpu_malloc(&first, sizes[i])) != NULL)
            count++;
        while (count > 0)
            knoll_cpu_free(&first, blocks[--count]);
        assert_non_null(knoll_cpu_malloc(&first, stats.largest_block)); /* as when nothing was handed out */
    }
}

/* A block of another class that serves when short is noted to have been asked for with its alignment. */
static void what_serves_otherwise_has_its_alignment(void **state)
{
    enum { ALIGNMENT = 64, LARGER = 256 };
    (void)state;
    make(KIB(64));
    size_t count = 0;
    while ((blocks[count] = knoll_cpu_malloc(&first, LARGER)) != NULL)
        count++;
    while (knoll_cpu_aligned_alloc(&first, ALIGNMENT, ALIGNMENT) != NULL)
        continue;
    knoll_cpu_free(&first, blocks[count / 2]);
    knoll_cpu_drain(&first);
    void *block = knoll_cpu_aligned_alloc(&second, ALIGNMENT, ALIGNMENT);
    assert_ptr_equal(block, blocks[count / 2]);
    assert_int_equal(entry_alignment(find(block).entry), ALIGNMENT);
}

/* Where there is nothing else, a block that was returned to any processor's slab serves, though it is at work. */
static void what_waits_for_another_serves_when_short(void **state)
{
    (void)state;
    static const unsigned numbers[] = {2, KNOLL_CPUS / 2 + 1, KNOLL_CPUS};
    for (size_t i = 0; i < 3; i++) {
        struct knoll_cpu owner;
        make(KIB(256));
        if (numbers[i] == 2)
            knoll_cpu_drain(&second);
        assert_int_equal(knoll_cpu_start(&owner, &cpus, numbers[i]), 1);
        size_t count = 0;
        while ((blocks[count] = knoll_cpu_malloc(&owner, 64)) != NULL)
            count++;
        assert_null(knoll_cpu_malloc(&first, 64));
        knoll_cpu_free(&first, blocks[count / 2]);
        assert_ptr_equal(knoll_cpu_aligned_alloc(&first, 16, 64), blocks[count / 2]);
        assert_null(knoll_cpu_malloc(&first, 64));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_nobody_has_goes_back_now_and_then),
    cmocka_unit_test(all_that_are_off_are_looked_through),
    cmocka_unit_test(a_look_sees_two_queues),
    cmocka_unit_test(a_look_has_an_end),
    cmocka_unit_test(what_was_returned_serves_first),
    cmocka_unit_test(what_was_returned_is_taken_in_parts),
    cmocka_unit_test(only_a_shortage_is_one),
    cmocka_unit_test(a_shortage_is_answered_once),
    cmocka_unit_test(what_was_returned_to_it_makes_room),
    cmocka_unit_test(what_it_has_itself_serves_when_short),
    cmocka_unit_test(what_serves_otherwise_has_its_alignment),
    cmocka_unit_test(what_waits_for_another_serves_when_short),
};

CHECK_MAIN(tests)
