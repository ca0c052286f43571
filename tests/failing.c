/* What the heap does when a request fails, wherever that is: each scenario is run again and again, and each time
 * another of its requests is refused, the first, the second and so on until none is left; then so that every request
 * from the n-th on is refused.
 *
 * A request is an allocation or one for a run of the page layer (KNOLL_FAILURE_HOOK, with which this program's core is
 * built). After each call every invariant must hold, and what was handed out before must have its contents; a call that
 * fails must have left the block that it was about as it was; and with all freed the heap must be as new.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define SLOTS     96
#define HEAP_SIZE (CLASSIC ? MIB(2) : KIB(512))

static struct knoll_heap heap;
static struct slot {
    void *block;
    size_t size;
} slots[SLOTS];

/* ---- Requests ---- */

static size_t requests;      /* that the hook was asked about since the scenario began */
static size_t refused_first; /* the request that is refused, counted from 1; 0 for none */
static bool refused_on;      /* and those after it */
static size_t refused;
static bool may_run_out; /* of memory, in this scenario */

int fail_on_demand(struct knoll_heap *asking);

int fail_on_demand(struct knoll_heap *asking)
{
    assert_ptr_equal(asking, &heap);
    requests++;
    bool fails = refused_first != 0 && (refused_on ? requests >= refused_first : requests == refused_first);
    refused += fails;
    return fails;
}

/* ---- Calls: each with what it promises ---- */

static size_t failures(void)
{
    struct knoll_stats stats;
    knoll_get_stats(&heap, &stats);
    return stats.failures;
}

static unsigned seed_of(const struct slot *slot)
{
    return (unsigned)(slot - slots) + 1;
}

/* Notes what a call gave for an empty slot; it may give NULL only if it was refused something, and says so. */
static void accept(struct slot *slot, void *block, size_t size, size_t failures_before, size_t refused_before)
{
    assert_int_equal(failures(), failures_before + (block == NULL));
    assert_true(block != NULL || refused > refused_before || may_run_out);
    assert_int_equal(knoll_check(&heap), 0);
    slot->block = block;
    slot->size = block == NULL ? 0 : size;
    if (block != NULL)
        write_pattern(block, size, seed_of(slot));
}

static void take(struct slot *slot, size_t alignment, size_t size)
{
    size_t failures_before = failures(), refused_before = refused;
    void *block = alignment == 1 ? knoll_malloc(&heap, size) : knoll_aligned_alloc(&heap, alignment, size);
    assert_true(is_aligned(block, alignment));
    accept(slot, block, size, failures_before, refused_before);
}

static void take_zeroed(struct slot *slot, size_t size)
{
    size_t failures_before = failures(), refused_before = refused;
    unsigned char *block = knoll_calloc(&heap, 1, size);
    for (size_t i = 0; block != NULL && i < size; i++)
        assert_int_equal(block[i], 0);
    accept(slot, block, size, failures_before, refused_before);
}

static void take_many(struct slot *first, size_t size, size_t count)
{
    void *blocks[SLOTS];
    size_t refused_before = refused;
    size_t taken = knoll_malloc_batch(&heap, size, count, blocks);
    assert_true(taken == count || (taken < count && refused > refused_before));
    assert_int_equal(knoll_check(&heap), 0);
    for (size_t i = 0; i < taken; i++) {
        first[i].block = blocks[i];
        first[i].size = size;
        write_pattern(blocks[i], size, seed_of(&first[i]));
    }
}

static void resize(struct slot *slot, size_t size)
{
    size_t failures_before = failures(), refused_before = refused;
    size_t kept = slot->size < size ? slot->size : size;
    void *moved = knoll_realloc(&heap, slot->block, size);
    assert_int_equal(knoll_check(&heap), 0);
    assert_int_equal(failures(), failures_before + (moved == NULL));
    if (moved == NULL) {
        assert_true((refused > refused_before || may_run_out) && (size > slot->size || slot->block == NULL));
        assert_true(slot->block == NULL || has_pattern(slot->block, slot->size, seed_of(slot)));
        return;
    }
    assert_true(has_pattern(moved, kept, seed_of(slot)));
    slot->block = moved;
    slot->size = size;
    write_pattern(moved, size, seed_of(slot));
}

static void give(struct slot *slot)
{
    if (slot->block != NULL)
        assert_true(has_pattern(slot->block, slot->size, seed_of(slot)));
    knoll_free(&heap, slot->block);
    assert_int_equal(knoll_check(&heap), 0);
    *slot = (struct slot){NULL, 0};
}

static void give_sized(struct slot *slot)
{
    knoll_free_sized(&heap, slot->block, slot->size);
    assert_int_equal(knoll_check(&heap), 0);
    *slot = (struct slot){NULL, 0};
}

/* ---- Scenarios ---- */

static void grow_every_class(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        take(&slots[i], 1, i * KNOLL_SLAB_MAXIMUM / SLOTS);
    for (size_t i = 0; i < SLOTS; i++)
        give_sized(&slots[i]);
}

static void runs_and_slabs_in_turn(void)
{
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < SLOTS; i += 2) {
            take(&slots[i], 1, 48);
            take(&slots[i + 1], 1, KNOLL_SLAB_MAXIMUM + 1 + 100 * i);
        }
        for (size_t i = round; i < SLOTS; i += 3)
            give(&slots[i]);
        for (size_t i = 0; i < SLOTS; i++)
            give(&slots[i]);
    }
}

static void change_sizes(void)
{
    static const size_t sizes[] = {10, 100, 3000, 60, 9000, 20000, 40000, 9001, 1000, 30, 70000, 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t slot = 0; slot < 4; slot++)
            resize(&slots[slot], sizes[i] + slot);
}

static void aligned(void)
{
    for (size_t i = 0; i < 14; i++) {
        take(&slots[2 * i], (size_t)1 << i, 100);
        take(&slots[2 * i + 1], (size_t)1 << i, 5000);
        if (i % 2 != 0)
            resize(&slots[2 * i - 1], 50);
    }
    for (size_t i = 0; i < 28; i++)
        resize(&slots[i], 600);
}

static void zeroed(void)
{
    for (size_t i = 0; i < 20; i++) {
        take(&slots[20], 1, 300 * i);
        give(&slots[20]);
        take_zeroed(&slots[i], 300 * i);
    }
}

static void many_at_once(void)
{
    take_many(slots, 200, SLOTS / 2);
    take_many(slots + SLOTS / 2, 3000, SLOTS / 2);
    for (size_t i = 0; i < SLOTS; i += 2)
        give(&slots[i]);
}

/* Nearly all memory is taken, so that what is refused would have been served by the last of it. */
static void when_little_is_left(void)
{
    may_run_out = true;
    take(&slots[0], 1, largest_block(&heap) / 2 + 1);
    take(&slots[1], 1, largest_block(&heap) / 2 + 1);
    for (size_t i = 2; i < 20 && largest_block(&heap) >= KIB(16); i++)
        take(&slots[i], 1, largest_block(&heap));
    for (size_t i = 20; i < 40; i++)
        take(&slots[i], 1, 40 * i);
    for (size_t i = 20; i < 40; i++)
        resize(&slots[i], 20);
}

static void at_random(void)
{
    struct random random = random_from(11);
    for (size_t step = 0; step < 120; step++) {
        struct slot *slot = &slots[random_below(&random, 24)];
        if (slot->block == NULL)
            take(slot, 1, random_below(&random, step % 3 == 0 ? 30000 : 1500));
        else if (random_below(&random, 2) != 0)
            resize(slot, random_below(&random, step % 2 == 0 ? 30000 : 1500));
        else
            give(slot);
    }
}

/* ---- In turn ---- */

/* Runs the scenario once, in a heap of its own, and expects that heap to be as new afterwards. */
static void run(void (*scenario)(void))
{
    size_t first = refused_first;
    assert_int_equal(knoll_init(&heap, arena, HEAP_SIZE), KNOLL_OK);
    knoll_set_fault_handler(&heap, record_fault);
    may_run_out = false;
    last_fault.count = 0;
    size_t largest = largest_block(&heap);
    memset(slots, 0, sizeof slots);
    requests = 0;
    refused = 0;
    scenario();
    size_t made = requests;
    for (size_t i = 0; i < SLOTS; i++)
        give(&slots[i]);
    assert_int_equal(requests, made);
    assert_int_equal(last_fault.count, 0);
    assert_int_equal(survey(&heap).blocks, 0);
    assert_int_equal(knoll_used_bytes(&heap), 0);
    assert_int_equal(largest_block(&heap), largest);
    refused_first = 0;
    void *all = knoll_malloc(&heap, largest);
    assert_non_null(all);
    knoll_free(&heap, all);
    requests = made;
    refused_first = first;
}

static void refuse_each_in_turn(void (*scenario)(void))
{
    size_t points = 0;
    refused_first = 0;
    run(scenario);
    size_t all = requests;
    for (unsigned mode = 0; mode < 2; mode++) {
        refused_on = mode != 0;
        refused_first = 1;
        run(scenario);
        while (refused > 0) {
            points++;
            refused_first++;
            run(scenario);
        }
        assert_true(refused_first > all / 4); /* as many, or fewer where less is asked for after a refusal */
    }
    check_say("", all, " requests");
    check_say(", refused at ", points, " points\n");
    assert_true(all > 0 && points >= all);
}

#define SCENARIO(name)                                                                                                 \
    static void test_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        refuse_each_in_turn(name);                                                                                     \
    }

SCENARIO(grow_every_class)
SCENARIO(runs_and_slabs_in_turn)
SCENARIO(change_sizes)
SCENARIO(aligned)
SCENARIO(zeroed)
SCENARIO(many_at_once)
SCENARIO(when_little_is_left)
SCENARIO(at_random)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_grow_every_class),
    cmocka_unit_test(test_runs_and_slabs_in_turn),
    cmocka_unit_test(test_change_sizes),
    cmocka_unit_test(test_aligned),
    cmocka_unit_test(test_zeroed),
    cmocka_unit_test(test_many_at_once),
    cmocka_unit_test(test_when_little_is_left),
    cmocka_unit_test(test_at_random),
};

CHECK_MAIN(tests)
