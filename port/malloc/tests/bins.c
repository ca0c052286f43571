/* The map of bins: just the blocks that caches may keep are in it, each at its first byte alone, from when the heap
 * hands it out until the heap has it back.
 *
 * SPDX-License-Identifier: MIT */
#include "cache.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool has_bin(const void *block)
{
    size_t twice_bin = bins_look_up(block);
    return twice_bin % 2 == 0 && twice_bin != 0;
}

/* In between no address has a bin, whatever its last four bits are. At rung 0 that is said of the granules between. */
static void a_block_is_found_at_its_start(void **state)
{
    (void)state;
    for (size_t size = 1; size <= BIN_LARGEST; size += 1 + size / 7) {
        unsigned char *blocks[3]; /* side by side, if they can be */
        for (size_t i = 0; i < 3; i++) {
            blocks[i] = malloc(size);
            assert_int_equal(bins_look_up(blocks[i]), 2 * bin_for_size(size));
            assert_true(bin_bytes(bin_for_size(size)) >= size);
        }
        for (size_t i = 0; i < 3; i++) {
            size_t bytes = bin_bytes(bin_for_size(size));
            size_t first = KNOLL_HARDEN > 0 ? 1 : 32 - (uintptr_t)blocks[i] % 32;
            size_t end = KNOLL_HARDEN > 0 ? bytes : bytes - (uintptr_t)(blocks[i] + bytes) % 32;
            for (size_t within = first; within < end; within++)
                assert_false(has_bin(blocks[i] + within));
            free(blocks[i]);
        }
    }
    unsigned char *large = malloc(BIN_LARGEST + 1);
    assert_false(has_bin(large));
    free(large);
    assert_false(has_bin(NULL) || has_bin(&large) || has_bin((const char *)bins.region - 16));
    assert_false(has_bin((const char *)bins.region + (bins.places << PLACE_SHIFT)));
}

static void what_the_heap_has_back_is_not_there(void **state)
{
    (void)state;
    for (size_t size = 1; size <= BIN_LARGEST; size += 1 + size / 3) {
        void *blocks[300];
        for (size_t i = 0; i < 300; i++)
            blocks[i] = malloc(size);
        for (size_t i = 0; i < 300; i++)
            free(blocks[i]);
        malloc_trim(0); /* which empties the caches */
        for (size_t i = 0; i < 300; i++)
            assert_false(has_bin(blocks[i]));
    }
}

/* Blocks that were asked for with an alignment keep it as long as they are held; a cache may have them after that. */
static void an_aligned_block_is_not_there_until_it_is_freed(void **state)
{
    (void)state;
    for (size_t size = 100; size < 10000; size *= 3) {
        unsigned char *block = aligned_alloc(64, size);
        assert_false(has_bin(block));
        assert_true((uintptr_t)block % 64 == 0);
        block = realloc(block, size + 1);
        assert_false(has_bin(block) && (uintptr_t)block % 64 != 0);
        free(block);
        unsigned char *other = malloc(size);
        assert_int_equal(bins_look_up(other), 2 * bin_for_size(size));
        free(other);
    }
}

static void it_follows_a_block_that_is_resized(void **state)
{
    (void)state;
    unsigned char *block = malloc(20000);
    for (size_t size = 20000; size > 0; size /= 2) {
        block = realloc(block, size);
        assert_int_equal(has_bin(block), size <= BIN_LARGEST);
        assert_true(size > BIN_LARGEST || bins_look_up(block) == 2 * bins_by_tables(block));
    }
    free(block);
    block = calloc(1, 5000);
    assert_int_equal(bins_look_up(block), 2 * bin_for_size(5000));
    free(block);
}

/* As from a signal handler, or a thread that has no cache any more: else a second free would not be noticed. */
static void what_goes_straight_to_the_heap_is_not_there(void **state)
{
    (void)state;
    for (size_t size = 50; size <= BIN_LARGEST; size *= 2) {
        void *blocks[] = {malloc(size), malloc(size)};
        assert_true(has_bin(blocks[0]) && has_bin(blocks[1]));
        assert_true(lock_enter());
        heaps_free(blocks[0]);
        heaps_free_sized(blocks[1], 1, bin_bytes(bin_for_size(size)));
        lock_leave();
        assert_false(has_bin(blocks[0]) || has_bin(blocks[1]));
        void *small = malloc(size);
        void *large = realloc(small, BIN_LARGEST + 1);
        assert_false(large != small && has_bin(small));
        free(large);
    }
}

/* Those that came from the heap at once, of which the program has had none, as well as those that it freed: so whoever
 * frees one of them is found. */
static void what_waits_in_a_cache_has_the_secret(void **state)
{
    (void)state;
    if (!HAS_SECRETS)
        skip();
    for (size_t size = 1; size <= BIN_LARGEST; size += 1 + size / 3) {
        size_t bin = bin_for_size(size), waiting = 0;
        void *blocks[100];
        for (size_t i = 0; i < 100; i++) {
            blocks[i] = malloc(size);
            assert_true(((const uint64_t *)blocks[i])[1] != bins.secret);
            const struct cache *cache = lock_thread.cache;
            const uint64_t *other;
            for (size_t place = cache->top[2 * bin]; (other = *cache_at(cache, place)) != NULL;
                 place -= sizeof(void *)) {
                assert_true(other[1] == bins.secret);
                waiting++;
            }
        }
        assert_true(waiting != 0 || bin >= BIN_RUNS); /* two of the longest are all that may wait */
        for (size_t i = 0; i < 100; i++)
            free(blocks[i]);
    }
}

/* The bytes of runs in this thread's cache. */
static size_t runs_cached(void)
{
    const struct cache *cache = lock_thread.cache;
    size_t bytes = 0;
    for (size_t bin = BIN_RUNS + 1; bin < BINS; bin++)
        for (size_t place = cache->top[2 * bin]; *cache_at(cache, place) != NULL; place -= sizeof(void *))
            bytes += bin_bytes(bin);
    return bytes;
}

/* Runs of lengths that are not asked for any more leave the cache, while small blocks come and go. */
static void runs_that_nobody_wants_go_back(void **state)
{
    (void)state;
    static void *blocks[3000];
    malloc_trim(0);
    size_t wanted = 0;
    for (size_t size = KNOLL_SLAB_MAXIMUM + 1; size <= BIN_LARGEST; size += UNIT) {
        blocks[0] = malloc(size);
        blocks[1] = malloc(size);
        free(blocks[0]);
        free(blocks[1]);
        wanted += 2 * size;
    }
    assert_true(runs_cached() >= wanted / 2); /* some go back already, while others are taken */
    for (unsigned round = 0; round < 10; round++) {
        for (size_t i = 0; i < 3000; i++)
            blocks[i] = malloc(64);
        for (size_t i = 0; i < 3000; i++)
            free(blocks[i]);
    }
    assert_int_equal(runs_cached(), 0);
}

/* A bin of many blocks gives no more than 128 of them back at a time, and each once. */
static void a_full_bin_gives_a_part_back(void **state)
{
    (void)state;
    enum { BLOCKS = 6000, SIZE = 32 };
    static size_t *blocks[BLOCKS];
    size_t most = 0, parts = 0;
    const size_t *top = NULL;
    for (unsigned round = 0; round < 12; round++) { /* so often it may grow */
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(SIZE);
            *blocks[i] = i;
        }
        for (size_t i = 0; i < BLOCKS; i++)
            assert_int_equal(*blocks[i], i); /* none was handed out twice */
        top = &lock_thread.cache->top[2 * bin_for_size(SIZE)];
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t before = *top / sizeof(void *);
            free(blocks[i]);
            size_t after = *top / sizeof(void *);
            if (after <= before) {
                most = before + 1 - after > most ? before + 1 - after : most;
                parts++;
            }
        }
    }
    assert_true(parts >= 12 && most <= 128);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_found_at_its_start),
        cmocka_unit_test(what_the_heap_has_back_is_not_there),
        cmocka_unit_test(an_aligned_block_is_not_there_until_it_is_freed),
        cmocka_unit_test(it_follows_a_block_that_is_resized),
        cmocka_unit_test(what_goes_straight_to_the_heap_is_not_there),
        cmocka_unit_test(what_waits_in_a_cache_has_the_secret),
        cmocka_unit_test(runs_that_nobody_wants_go_back),
        cmocka_unit_test(a_full_bin_gives_a_part_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
