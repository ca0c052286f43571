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
#include <sys/syscall.h>
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

/* ---- Children that no handler of a fork is called in, or only some ---- */

/* Holds blocks of small sizes and frees them, and ends its process if one is not as it was left. */
static void *work(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    unsigned char *block[64] = {NULL};
    size_t size[64];
    for (int i = 0; i < 60000; i++) {
        int k = rand_r(&seed) % 64;
        for (size_t at = 0; block[k] != NULL && at < size[k]; at++)
            child_expects(block[k][at] == (unsigned char)(size[k] + (uintptr_t)argument));
        free(block[k]);
        size[k] = 1 + (size_t)rand_r(&seed) % 200;
        block[k] = malloc(size[k]);
        if (block[k] != NULL) /* a handler whose thread is in the library may be refused one */
            memset(block[k], (int)(size[k] + (uintptr_t)argument), size[k]);
    }
    for (int k = 0; k < 64; k++)
        free(block[k]);
    return NULL;
}

/* Two threads at work in a process; what one has cached is not the other's. Whether there was a second one. */
static int work_twice(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)1) != 0)
        return 0;
    work((void *)100);
    child_expects(pthread_join(thread, NULL) == 0);
    return 1;
}

static void clone_and_work(void)
{
    int status;
    free(malloc(10));
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        child_expects(work_twice());
        _exit(0);
    }
    child_expects(waitpid(child, &status, 0) == child);
    child_expects(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static atomic_int children;

static void fork_and_work(int signal)
{
    (void)signal;
    int status;
    if (children >= 20)
        return;
    pid_t child = fork();
    if (child == 0) {
        (void)work_twice(); /* a thread's memory may be refused too */
        _exit(0);
    }
    child_expects(waitpid(child, &status, 0) == child);
    child_expects(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    children++;
}

/* A handler's fork while its thread is in the library, whose child goes on with threads. */
static void fork_and_work_in_handlers(void)
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = fork_and_work;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
    while (children < 20) {
        void *block[200];
        for (size_t i = 0; i < 200; i++)
            block[i] = malloc(40000); /* no cache has such */
        for (size_t i = 0; i < 200; i++)
            free(block[i]);
    }
}

static void children_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(ends_with(clone_and_work), 0);
    assert_int_equal(ends_with(fork_and_work_in_handlers), 0);
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
        cmocka_unit_test(children_of_their_own),
        cmocka_unit_test(handlers_fork),
        cmocka_unit_test(a_cache_is_of_one_thread),
        cmocka_unit_test(files_are_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
