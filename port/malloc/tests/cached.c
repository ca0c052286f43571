/* Blocks that wait in caches are found when they are freed again, whoever does it and wherever they lie, and are not
 * lost with their threads. With the library's own parts.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include <malloc.h>
#include <pthread.h>

#include "children.h"

static void *volatile again, *volatile sink;

/* Frees as a signal handler does that comes while its thread is in a heap: the block is taken over after that. */
static void free_in_a_handler(void)
{
    again = malloc(100);
    free(again);
    child_expects(lock_enter());
    free(again);
    lock_leave();
}

static void a_handler_frees_what_waits(void **state)
{
    (void)state;
    if (!HAS_SECRETS)
        skip();
    assert_int_equal(ends_with(free_in_a_handler), SIGABRT);
}

/* The last one in this thread's bin for so many bytes. */
static void *waiting(size_t size)
{
    const struct cache *cache = lock_thread.cache;
    return *cache_at(cache, cache->top[2 * bin_for_size(size)]);
}

static void free_what_no_map_has(void)
{
    free(malloc(1));
    bins.places = 0; /* as where all blocks are beyond the first region */
    do
        sink = malloc(200);
    while ((again = waiting(200)) == NULL);
    free(again);
}

static void what_waits_is_found_beyond_the_map(void **state)
{
    (void)state;
    if (!HAS_SECRETS)
        skip();
    assert_int_equal(ends_with(free_what_no_map_has), SIGABRT);
}

static pthread_barrier_t full, done;

static void *fill_a_cache(void *argument)
{
    static void *blocks[8][500];
    void **own = blocks[(uintptr_t)argument];
    for (size_t i = 0; i < 500; i++)
        own[i] = malloc(300);
    for (size_t i = 0; i < 500; i++)
        free(own[i]);
    pthread_barrier_wait(&full);
    pthread_barrier_wait(&done);
    return NULL;
}

static size_t cached_bytes(void)
{
    struct heaps_totals totals;
    child_expects(lock_enter());
    cache_heaps_totals(&totals);
    lock_leave();
    return totals.cached_bytes;
}

static void trim(void)
{
    size_t before = cached_bytes();
    malloc_trim(0);
    child_expects(before > 50000 && cached_bytes() == 0);
}

/* Of all threads one is left in the child: what the others had in their caches nobody else would ever give back. */
static void a_fork_leaves_no_cache_behind(void **state)
{
    pthread_t threads[8];
    (void)state;
    pthread_barrier_init(&full, NULL, 9);
    pthread_barrier_init(&done, NULL, 9);
    for (uintptr_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill_a_cache, (void *)i), 0);
    pthread_barrier_wait(&full);
    assert_int_equal(ends_with(trim), 0);
    pthread_barrier_wait(&done);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_true(cached_bytes() > 50000);
}

/* As runs that wait are not held by the program, their bytes are not either. */
#define THREADS 60

static void *use_many_sizes(void *all)
{
    for (size_t size = 16; size <= 1024; size *= 2) {
        void *blocks[256];
        for (size_t i = 0; i < 256; i++)
            blocks[i] = malloc(size);
        for (size_t i = 0; i < 256; i++)
            free(blocks[i]);
    }
    pthread_barrier_wait(all);
    pthread_barrier_wait(all);
    return NULL;
}

static void *sleep_a_little(void *nothing)
{
    usleep(1000);
    return nothing;
}

/* Of threads that nobody waits for the C library frees some after they were told that they are over: at rung 0 each
 * such free makes a cache. Whoever gets the memory of such a thread must not take that for its own. */
static void leave_caches_late(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 20; i++) {
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, &attributes, sleep_a_little, NULL), 0);
        }
        usleep(10000);
    }
    pthread_attr_destroy(&attributes);
}

/* All have their caches at once: of those that wait for other threads then most are empty. */
static void not_all_that_have_ended_keep_theirs(void **state)
{
    static pthread_t threads[THREADS];
    pthread_barrier_t all;
    (void)state;
    leave_caches_late();
    pthread_barrier_init(&all, NULL, THREADS + 1);
    size_t before = cached_bytes();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_many_sizes, &all), 0);
    pthread_barrier_wait(&all);
    size_t of_all = cached_bytes() - before;
    pthread_barrier_wait(&all);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(of_all > (size_t)THREADS << 16);
    assert_true(cached_bytes() - before < of_all / 3);
    pthread_barrier_destroy(&all);
}

static void runs_that_wait_are_not_counted(void **state)
{
    struct heaps_totals totals;
    void *blocks[4];
    (void)state;
    malloc_trim(0);
    assert_true(lock_enter());
    cache_heaps_totals(&totals);
    lock_leave();
    size_t runs = totals.stats.large_blocks, bytes = totals.stats.large_bytes; /* the C library's */
    for (size_t i = 0; i < 4; i++)
        blocks[i] = malloc(5000);
    for (size_t i = 0; i < 4; i++)
        free(blocks[i]);
    assert_true(lock_enter());
    cache_heaps_totals(&totals);
    lock_leave();
    assert_true(totals.cached_bytes >= 4 * 5000);
    assert_int_equal(totals.stats.large_blocks, runs);
    assert_int_equal(totals.stats.large_bytes, bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_frees_what_waits),     cmocka_unit_test(what_waits_is_found_beyond_the_map),
        cmocka_unit_test(a_fork_leaves_no_cache_behind),  cmocka_unit_test(not_all_that_have_ended_keep_theirs),
        cmocka_unit_test(runs_that_wait_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
