/* A library that has a thread, which it stops before a fork: the program is linked with it, and knoll is preloaded. So
 * what is to be done before the fork here must be done before knoll takes its lock, or the thread waits for that.
 *
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t worker;
static atomic_bool works, stops;

static void *work(void *argument)
{
    static void *blocks[1000];
    for (; !stops; works = 1)
        for (size_t i = 0; i < 1000; i++) {
            free(blocks[i]);
            blocks[i] = malloc(20000);
        }
    return argument;
}

static void stop(void)
{
    stops = 1;
    pthread_join(worker, NULL);
}

static void __attribute__((constructor)) begin(void)
{
    pthread_atfork(stop, NULL, NULL);
}

int forks(void)
{
    int status;
    if (pthread_create(&worker, NULL, work, NULL) != 0)
        return 1;
    while (!works)
        free(malloc(20000));
    pid_t child = fork();
    if (child == 0)
        _exit(malloc(20000) == NULL);
    return waitpid(child, &status, 0) != child || status != 0;
}
