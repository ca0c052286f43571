/* knoll-patterns: runs one pattern of allocation, for whatever malloc the program is run under.
 *
 * SPDX-License-Identifier: MIT */
#include "patterns.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *stands_for;
    run_pattern *run;
    unsigned rounds; /* for about half a second */
} patterns[] = {
    {"numbers", "arithmetic on large numbers: tiny blocks that die soon", run_numbers, 300},
    {"sets", "a logic optimiser: sets that are built, changed and dropped", run_sets, 800},
    {"trees", "simulation: a tree built, walked over and felled", run_trees, 400},
    {"lifetimes", "lifetimes of all lengths, sizes of 8 to 2,048 bytes", run_lifetimes, 250},
    {"texts", "lines that grow by realloc", run_texts, 200},
    {"bursts", "bursts of one size after another", run_bursts, 200},
    {"large", "blocks of a quarter to four MiB, written", run_large, 40},
    {"phases", "phases with sizes of their own, of which a few blocks stay", run_phases, 700},
    {"server", "a server: tables that go from thread to thread", run_server, 400},
    {"hand-over", "producers and consumers", run_hand_over, 1200},
    {"shared", "one table for all threads, sizes of all kinds", run_shared, 1000},
    {"short-threads", "threads that live for a moment", run_short_threads, 600},
    {"one-word", "small blocks written often by their thread", run_one_word, 800},
    {"apart", "threads that keep to themselves", run_apart, 600},
};
static const size_t pattern_count = sizeof patterns / sizeof patterns[0];

void *take(size_t size)
{
    unsigned char *block = malloc(size);
    if (block == NULL) {
        fprintf(stderr, "knoll-patterns: no memory for %zu bytes\n", size);
        exit(1);
    }
    block[0] = 1;
    block[size - 1] = 1;
    return block;
}

struct start {
    void (*function)(unsigned thread, void *context);
    void *context;
    unsigned thread;
    pthread_t id;
};

static void *begin(void *argument)
{
    struct start *start = argument;
    start->function(start->thread, start->context);
    return NULL;
}

void in_threads(unsigned threads, void (*function)(unsigned thread, void *context), void *context)
{
    struct start starts[64];
    for (unsigned i = 0; i < threads; i++) {
        starts[i] = (struct start){function, context, i, 0};
        if (pthread_create(&starts[i].id, NULL, begin, &starts[i]) != 0) {
            fputs("knoll-patterns: no thread\n", stderr);
            exit(1);
        }
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(starts[i].id, NULL);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        for (size_t i = 0; i < pattern_count; i++)
            printf("%s\t%s\n", patterns[i].name, patterns[i].stands_for);
        return 0;
    }
    unsigned threads = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 1;
    for (size_t i = 0; i < pattern_count && count > 1 && count < 4 && threads >= 1 && threads <= 64; i++) {
        if (strcmp(arguments[1], patterns[i].name) == 0) {
            patterns[i].run(threads, patterns[i].rounds);
            return 0;
        }
    }
    fputs("usage: knoll-patterns PATTERN [THREADS]    1 to 64; 1\n       knoll-patterns --list\n", stderr);
    return 2;
}
