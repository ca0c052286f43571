/* One heap under threads: each is a processor and runs the load of cpus_load.h, while signals interrupt it wherever it
 * is and free blocks from there.
 *
 * The lock is a mutex, and signals are not blocked while it is held: who frees from a handler needs no lock.
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "cpus_load.h"

/* Steps of all threads in one test: so many that threads run beside each other for long, whatever their start takes. */
#define STEPS (KNOLL_TEST_STEPS < 100000 ? KNOLL_TEST_STEPS * 20 : 2000000)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t start;
static size_t steps;
static int running;
static size_t interrupts;

_Noreturn void load_failed(const char *what)
{
    check_say("threads: ", check_seed, ": ");
    platform_write(what, strlen(what));
    platform_write("\n", 1);
    abort(); /* there may be a lock in the way of a better end */
}

static void lock(void *context)
{
    if (pthread_mutex_lock(context) != 0)
        load_failed("the mutex cannot be locked");
}

static void unlock(void *context)
{
    if (pthread_mutex_unlock(context) != 0)
        load_failed("the mutex cannot be unlocked");
}

static void interrupted(int signal)
{
    (void)signal;
    __atomic_fetch_add(&interrupts, 1, __ATOMIC_RELAXED);
    load_interrupt();
}

static void *run(void *worker)
{
    pthread_barrier_wait(&start);
    load_run(worker, steps);
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Interrupts all threads, as often as it can, until all have ended. */
static void interrupt_all(const pthread_t *threads, unsigned count)
{
    struct timespec pause = {0, 20000};
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0) {
        for (unsigned i = 0; i < count; i++)
            pthread_kill(threads[i], SIGUSR1);
        nanosleep(&pause, NULL);
    }
}

static void run_threads(unsigned count, uint32_t seed)
{
    pthread_t threads[LOAD_PROCESSORS];
    check_seed = seed;
    steps = STEPS / count;
    running = (int)count;
    interrupts = 0;
    load_make(count, lock, unlock, &mutex, seed);
    assert_int_equal(pthread_barrier_init(&start, NULL, count), 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &load_workers[i + 1]), 0);
    interrupt_all(threads, count);
    size_t blocks = 0;
    size_t crossing = 0;
    size_t refusals = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        blocks += load_workers[i + 1].blocks;
        crossing += load_workers[i + 1].crossing;
        refusals += load_workers[i + 1].refusals;
    }
    assert_int_equal(pthread_barrier_destroy(&start), 0);
    check_say("", count, " threads: ");
    check_say("", blocks, " blocks, ");
    check_say("", crossing, " crossing frees, ");
    check_say("", load_interrupt_frees(), " in ");
    check_say("", interrupts, " interrupts, ");
    check_say("", refusals, " refusals\n");
    load_finish(count);
    if (STEPS >= 100000) { /* fewer may be over before threads meet */
        assert_true(crossing != 0 && refusals != 0);
        assert_true(load_interrupt_frees() != 0);
    }
    check_seed = 0;
}

static void test_two_threads(void **state)
{
    (void)state;
    run_threads(2, KNOLL_TEST_SEED);
}

static void test_three_threads(void **state)
{
    (void)state;
    run_threads(3, KNOLL_TEST_SEED + 1);
}

static void test_eight_threads(void **state)
{
    (void)state;
    run_threads(8, KNOLL_TEST_SEED + 2);
}

/* ---- A block that stays, while its slab goes to and fro ---- */

#define STAYING_SIZE 800 /* bytes, of compact's a block of a slab of two groups */

static void *staying;

static void *watch(void *unused)
{
    size_t size = knoll_cpus_usable_size(&load_cpus, staying);
    pthread_barrier_wait(&start);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0)
        if (knoll_cpus_usable_size(&load_cpus, staying) != size)
            load_failed("a block that is held was not found");
    return unused;
}

/* Whoever takes a slab over writes what its groups are, and others find the blocks in it meanwhile. */
static void a_block_is_found_while_its_slab_is_taken_over(void **state)
{
    (void)state;
    pthread_t watcher;
    void *blocks[2 * 4096 / STAYING_SIZE]; /* more than a slab has */
    struct knoll_cpu *cpu = &load_workers[1].cpu;
    load_make(1, lock, unlock, &mutex, KNOLL_TEST_SEED);
    running = 1;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        blocks[i] = knoll_cpu_malloc(cpu, STAYING_SIZE);
        assert_non_null(blocks[i]);
        if (((uintptr_t)blocks[i] & 4095) >= 2048)
            staying = blocks[i];
    }
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (blocks[i] != staying)
            knoll_cpu_free(cpu, blocks[i]);
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    assert_int_equal(pthread_create(&watcher, NULL, watch, NULL), 0);
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < STEPS / 20; i++) {
        knoll_cpu_free(cpu, knoll_cpu_malloc(cpu, STAYING_SIZE));
        knoll_cpu_drain(cpu);
        assert_int_equal(knoll_cpu_start(cpu, &load_cpus, 1), 1);
    }
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(watcher, NULL), 0);
    assert_int_equal(pthread_barrier_destroy(&start), 0);
    knoll_cpu_free(cpu, staying);
    knoll_cpu_drain(cpu);
    assert_int_equal(knoll_cpus_check(&load_cpus), 0);
    assert_int_equal(knoll_used_bytes(&load_cpus.heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_block_is_found_while_its_slab_is_taken_over),
    cmocka_unit_test(test_two_threads),
    cmocka_unit_test(test_three_threads),
    cmocka_unit_test(test_eight_threads),
};

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupted, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        abort();
}

int main(void)
{
    catch_signals();
    return check_run(__FILE__, tests, sizeof tests / sizeof tests[0]);
}
