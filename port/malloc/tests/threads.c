/* Threads that hand blocks to each other, come and go, fork, are looked at by others, and are interrupted by handlers
 * that free.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Under a tool that makes everything some hundred times as slow everything is done less often. */
#ifndef KNOLL_TEST_SLOWNESS
#define KNOLL_TEST_SLOWNESS 1
#endif

#define THREADS      4
#define SLOTS        512
#define TIMES(count) ((count) / KNOLL_TEST_SLOWNESS)

/* A block says its size and a number in its first words, and that number's lowest byte in its last. */
struct block {
    size_t size;
    uint64_t number;
};

static _Atomic(struct block *) slots[SLOTS];
static atomic_int bad;
static atomic_bool goes_on;

static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct block *make_block(uint64_t *state)
{
    size_t size = sizeof(struct block) + 1 + draw(state) % (draw(state) % 16 == 0 ? 100000 : 600);
    struct block *block = draw(state) % 4 == 0 ? aligned_alloc((size_t)16 << draw(state) % 6, size) : malloc(size);
    if (block == NULL)
        abort();
    block->size = size;
    block->number = draw(state);
    ((unsigned char *)block)[size - 1] = (unsigned char)block->number;
    return block;
}

static void drop_block(struct block *block)
{
    if (block == NULL)
        return;
    if (((unsigned char *)block)[block->size - 1] != (unsigned char)block->number)
        atomic_store(&bad, 1);
    free(block);
}

static struct block *resize_block(struct block *block, uint64_t *state)
{
    if (block == NULL)
        return NULL;
    uint64_t number = block->number;
    size_t size = sizeof(struct block) + 1 + draw(state) % 2000;
    block = realloc(block, size);
    if (block == NULL || block->number != number)
        abort();
    block->size = size;
    ((unsigned char *)block)[size - 1] = (unsigned char)number;
    return block;
}

static void *exchange(void *seed)
{
    uint64_t state = (uint64_t)(uintptr_t)seed;
    for (unsigned step = 0; step < TIMES(60000); step++) {
        size_t slot = draw(&state) % SLOTS;
        struct block *block =
            draw(&state) % 8 == 0 ? resize_block(atomic_exchange(&slots[slot], NULL), &state) : make_block(&state);
        drop_block(atomic_exchange(&slots[slot], block));
    }
    return NULL;
}

static void drop_all(void)
{
    for (size_t i = 0; i < SLOTS; i++)
        drop_block(atomic_exchange(&slots[i], NULL));
}

static void blocks_change_hands(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, (void *)(uintptr_t)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    drop_all();
    assert_int_equal(bad, 0);
}

static void *one_block(void *context)
{
    (void)context;
    void *block = malloc(3000);
    free(malloc(100));
    return block;
}

static void threads_come_and_go(void **state)
{
    (void)state;
    size_t used = 0;
    for (unsigned i = 0; i < TIMES(2000); i++) {
        pthread_t thread;
        void *block;
        assert_int_equal(pthread_create(&thread, NULL, one_block, NULL), 0);
        assert_int_equal(pthread_join(thread, &block), 0);
        assert_non_null(block);
        free(block);
        if (i == TIMES(100))
            used = mallinfo2().uordblks;
    }
    assert_int_equal(mallinfo2().uordblks, used);
}

static void *allocate_for_a_while(void *context)
{
    uint64_t state = (uint64_t)(uintptr_t)context;
    while (atomic_load(&goes_on))
        drop_block(make_block(&state));
    return NULL;
}

static void children_have_whole_heaps(void **state)
{
    pthread_t threads[2];
    (void)state;
    atomic_store(&goes_on, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_for_a_while, (void *)(uintptr_t)(i + 9)), 0);
    for (uint64_t i = 0; i < TIMES(300); i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* it must not wait for a lock that nobody has */
            uint64_t random = i;
            for (unsigned step = 0; step < 100; step++)
                drop_block(make_block(&random));
            _exit(atomic_load(&bad));
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&goes_on, false);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bad, 0);
}

/* What another thread sees of caches whose owners are at work. */
static void totals_are_taken_meanwhile(void **state)
{
    pthread_t threads[2];
    (void)state;
    malloc_trim(0);
    size_t before = mallinfo2().uordblks;
    atomic_store(&goes_on, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_for_a_while, (void *)(uintptr_t)(i + 20)), 0);
    for (unsigned i = 0; i < TIMES(20000); i++) {
        struct mallinfo2 now = mallinfo2();
        assert_true(now.uordblks < before + 4000000 && now.uordblks + now.fordblks <= now.arena);
        if (i % 64 == 0)
            malloc_trim(0);
    }
    atomic_store(&goes_on, false);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(bad, 0);
    assert_int_equal(mallinfo2().uordblks, before);
}

static void *free_one(void *block)
{
    free(block);
    return NULL;
}

/* A block that waits in the cache of a thread that has ended is looked for there, and in those of threads at work. */
static void freed_twice_meanwhile(void **state)
{
    (void)state;
    if (KNOLL_HARDEN == 0)
        skip(); /* it is not looked for */
    pid_t child = fork();
    if (child == 0) {
        pthread_t others[3];
        void *block = malloc(700);
        close(2);
        atomic_store(&goes_on, true);
        for (size_t i = 0; i < 2; i++)
            pthread_create(&others[i], NULL, allocate_for_a_while, (void *)(uintptr_t)(i + 30));
        pthread_create(&others[2], NULL, free_one, block);
        pthread_join(others[2], NULL);
        free(block);
        _exit(0); /* unnoticed */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static _Atomic(void *) for_handler[64];
static atomic_uint freed_by_handler;

static void on_alarm(int number)
{
    int error = errno;
    (void)number;
    for (size_t i = 0; i < 64; i++) {
        void *block = atomic_exchange(&for_handler[i], NULL);
        if (block != NULL)
            atomic_fetch_add(&freed_by_handler, 1);
        free(block);
    }
    free(malloc(50)); /* which may be refused, and must do no harm */
    errno = error;
}

static void handlers_free(void **state)
{
    struct timeval period = {0, 200L * KNOLL_TEST_SLOWNESS}, none = {0, 0};
    struct itimerval often = {period, period}, never = {none, none};
    uint64_t random = 5;
    (void)state;
    signal(SIGALRM, on_alarm);
    size_t used = mallinfo2().uordblks;
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned step = 0; atomic_load(&freed_by_handler) < TIMES(20000) && step < 20000000; step++) {
        struct block *block = make_block(&random);
        free(atomic_exchange(&for_handler[step % 64], block));
        drop_block(make_block(&random));
    }
    setitimer(ITIMER_REAL, &never, NULL);
    on_alarm(0);
    free(malloc(1)); /* takes over what may have been left */
    assert_true(atomic_load(&freed_by_handler) >= TIMES(20000));
    assert_int_equal(mallinfo2().uordblks, used);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_free), /* first, while there is one thread */
        cmocka_unit_test(blocks_change_hands),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(children_have_whole_heaps),
        cmocka_unit_test(totals_are_taken_meanwhile),
        cmocka_unit_test(freed_twice_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
