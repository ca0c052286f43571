/* Threads that end, or are limited, while they are in the library: it goes on for others, and errno is as it was.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#include "children.h"

static void *volatile sink;

static void in_thread(void *(*act)(void *))
{
    pthread_t thread;
    child_expects(pthread_create(&thread, NULL, act, NULL) == 0);
    child_expects(pthread_join(thread, NULL) == 0);
}

static void *cancelled_while_it_prints(void *argument)
{
    pthread_cancel(pthread_self());
    malloc_stats();
    return argument;
}

static void print_and_go_on(void)
{
    in_thread(cancelled_while_it_prints);
    for (size_t i = 0; i < 1000; i++)
        free(sink = malloc(100000));
}

static void *cancelled_while_it_allocates(void *argument)
{
    pthread_cancel(pthread_self());
    for (size_t i = 0; i < 1000; i++)
        free(sink = malloc(100 * i));
    return argument;
}

static void allocate_and_go_on(void)
{
    in_thread(cancelled_while_it_allocates);
    for (size_t i = 0; i < 1000; i++)
        free(sink = malloc(100000));
}

static void *cancelled_while_it_misuses(void *argument)
{
    void *volatile block = malloc(100);
    pthread_cancel(pthread_self());
    free(block);
    free(block);
    return argument;
}

static void misuse(void)
{
    in_thread(cancelled_while_it_misuses);
}

/* No function of the library is a point at which a thread may be cancelled: it would leave with the lock. */
static void cancelling(void **state)
{
    (void)state;
    assert_int_equal(ends_with(print_and_go_on), 0);
    assert_int_equal(ends_with(allocate_and_go_on), 0);
    if (KNOLL_HARDEN > 0)
        assert_int_equal(ends_with(misuse), SIGABRT);
}

static pthread_barrier_t limited;

static void *free_under_a_limit(void *block)
{
    pthread_barrier_wait(&limited);
    errno = 0;
    free(block); /* there is no memory for a cache of the thread */
    child_expects(errno == 0);
    return NULL;
}

static void free_without_memory(void)
{
    pthread_t thread;
    void *block = malloc(100);
    pthread_barrier_init(&limited, NULL, 2);
    child_expects(pthread_create(&thread, NULL, free_under_a_limit, block) == 0);
    child_expects(setrlimit(RLIMIT_AS, &(struct rlimit){4096, 4096}) == 0);
    pthread_barrier_wait(&limited);
    child_expects(pthread_join(thread, NULL) == 0);
}

static void errno_after_free(void **state)
{
    (void)state;
    assert_int_equal(ends_with(free_without_memory), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelling),
        cmocka_unit_test(errno_after_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
