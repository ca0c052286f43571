/* Forks at bad moments: in a signal handler that comes while its thread is in the library, or while others are in the C
 * library's files. Each in a child, because what goes wrong hangs.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "children.h"

#define FORKS 100

static void *volatile sink;

static void start_with(void *(*act)(void *), void *argument)
{
    pthread_t thread;
    child_expects(pthread_create(&thread, NULL, act, argument) == 0);
}

static void start(void *(*act)(void *))
{
    start_with(act, NULL);
}

/* ---- In a handler ---- */

static atomic_int forks;

static void fork_and_wait(int signal)
{
    (void)signal;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    forks++;
}

static void *wait_blocked(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;)
        pause();
    return argument;
}

static void fork_in_handlers(void)
{
    start(wait_blocked); /* so that the lock is taken */
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = fork_and_wait;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 200}, {0, 200}}, NULL);
    while (forks < FORKS)
        free(sink = malloc(20000));
}

static void handlers_fork(void **state)
{
    (void)state;
    assert_int_equal(ends_with(fork_in_handlers), 0);
}

/* ---- While a thread gets its cache, of which it tells the C library ---- */

static _Thread_local int armed;
static volatile int goes_on;

static void fork_and_go_on(int signal)
{
    (void)signal;
    pid_t child = fork();
    if (child == 0) {
        goes_on = 1;
        return;
    }
    int status;
    child_expects(waitpid(child, &status, 0) == child && status == 0);
}

/* In place of the C library's, which it calls. */
int pthread_setspecific(pthread_key_t key, const void *value)
{
    int (*real)(pthread_key_t, const void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_setspecific");
    if (armed) {
        armed = 0;
        raise(SIGUSR1);
    }
    return real(key, value);
}

static pthread_barrier_t all_took;

/* Another's block that waits in its cache is none that this thread can get. */
static void *take_another(void *waiting)
{
    void *block = malloc(40);
    child_expects(block != waiting);
    pthread_barrier_wait(&all_took); /* until when no other thread gets this one's cache */
    return block;
}

static void *get_a_cache(void *argument)
{
    armed = 1;
    free(sink = malloc(40));
    if (goes_on) {
        alarm(CHILD_SECONDS);
        void *block = malloc(40);
        free(block);
        pthread_barrier_init(&all_took, NULL, 5);
        for (size_t i = 0; i < 4; i++)
            start_with(take_another, block);
        pthread_barrier_wait(&all_took);
        _exit(0);
    }
    return argument;
}

static void fork_while_a_cache_is_made(void)
{
    pthread_t thread;
    signal(SIGUSR1, fork_and_go_on);
    child_expects(pthread_create(&thread, NULL, get_a_cache, NULL) == 0);
    child_expects(pthread_join(thread, NULL) == 0);
}

static void a_cache_is_of_one_thread(void **state)
{
    (void)state;
    assert_int_equal(ends_with(fork_while_a_cache_is_made), 0);
}

/* ---- With others in the C library's files ---- */

static FILE *file;

static void *flush_all(void *argument)
{
    for (;;)
        fflush(NULL);
    return argument;
}

static void *read_lines(void *argument)
{
    for (;;) {
        char *line = NULL;
        size_t size = 0;
        rewind(file);
        while (getline(&line, &size, file) > 0) { /* which allocates as long as it has the file */
            free(line);
            line = NULL;
            size = 0;
        }
        free(line);
    }
    return argument;
}

static void fork_with_files(void)
{
    static char text[40002];
    memset(text, 'x', sizeof text - 2);
    text[sizeof text - 2] = '\n';
    child_expects((file = tmpfile()) != NULL);
    for (int i = 0; i < 50; i++)
        fputs(text, file);
    start(flush_all);
    start(read_lines);
    while (forks < 2 * FORKS)
        fork_and_wait(0);
}

static void files_are_at_work(void **state)
{
    (void)state;
    assert_int_equal(ends_with(fork_with_files), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_fork),
        cmocka_unit_test(a_cache_is_of_one_thread),
        cmocka_unit_test(files_are_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
