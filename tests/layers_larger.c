/* A larger region does what a smaller one at the same place does, call by call, for as long as the smaller one has free
 * runs enough: what comes after the end of what is needed changes nothing. So a larger region never fails where a
 * smaller one served, if their tables have as many units; which have more, the units lie elsewhere.
 *
 * A history is played in a region, and in larger ones; the first call whose blocks lie elsewhere must be one for which
 * the smaller region had no run.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "pages.h"
#include "slab.h"
#include "support.h"

#define CALLS 4000
#define SLOTS 256

static struct knoll_heap heap;

/* What the smaller region did: where each call's block lies, and the longest free run before it. */
static struct {
    unsigned char *block;
    uint32_t longest;
} played[CALLS];

/* How long a free run must be for it to be certain that a request can be served from it, by itself or by a slab. */
static size_t units_that_suffice(size_t alignment, size_t size)
{
    size_t slab = shape_length(&knoll_shapes[KNOLL_CLASS_COUNT - 1]);
    size_t aligned = alignment <= UNIT ? 1 : alignment / UNIT;
    size_t run = pages_round(size == 0 ? 1 : (size + UNIT - 1) / UNIT, aligned);
    if (CLASSIC)
        return run;
    run += aligned - 1;
    return run > 2 * slab - 1 ? run : 2 * slab - 1;
}

/* Plays the history of this seed. Returns the first call that does what it did not in the smaller region; in that, the
 * first one that fails. */
static size_t play(size_t size, uint32_t seed, bool is_larger)
{
    static void *slots[SLOTS];
    struct random random = random_from(seed);
    memset(slots, 0, sizeof slots);
    make_heap(&heap, arena_at(MIB(1), 0), size);
    for (size_t call = 0; call < CALLS; call++) {
        void **slot = &slots[random_below(&random, SLOTS)];
        size_t wanted = random_below(&random, (uint32_t)KIB(1) << random_below(&random, 7));
        size_t alignment = random_below(&random, 8) == 0 ? (size_t)1 << random_below(&random, 15) : 1;
        bool resizes = random_below(&random, 4) == 0;
        uint32_t longest = knoll_pages_longest(&heap);
        if (*slot != NULL && !resizes) {
            knoll_free(&heap, *slot);
            *slot = NULL;
            continue;
        }
        unsigned char *block =
            *slot == NULL ? knoll_aligned_alloc(&heap, alignment, wanted) : knoll_realloc(&heap, *slot, wanted);
        if (is_larger && block != played[call].block) {
            size_t needed = units_that_suffice(*slot == NULL ? alignment : KIB(16), wanted);
            assert_true(played[call].longest < needed);
            return call;
        }
        played[call].block = block;
        played[call].longest = longest;
        if (block == NULL)
            return call;
        *slot = block;
    }
    return CALLS;
}

static void a_larger_region_does_the_same(void **state)
{
    static const size_t more[] = {1, 2, 3, 7, 8, 21, 64, 150};
    size_t same = 0, calls = 0;
    (void)state;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        size_t size = KIB(32) << seed % 4 * 2;
        size_t least = play(size, seed, false);
        uint32_t tables = heap.region[0]->first;
        for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
            size_t larger = size + more[i] * KNOLL_PAGE;
            make_heap(&heap, arena_at(MIB(1), 0), larger);
            if (heap.region[0]->first != tables)
                continue;
            size_t until = play(larger, seed, true);
            same += until < least ? until : least;
            calls += least;
            (void)play(size, seed, false);
        }
    }
    assert_true(calls > 20000 && same > calls / 2); /* or nothing has been seen */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_larger_region_does_the_same),
};

CHECK_MAIN(tests)
