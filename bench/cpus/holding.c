/* The longest holding of the lock, in instructions: the hooks read the count that the plugin keeps. What an empty pair
 * of hooks counts is subtracted.
 *
 * random: four processors allocate blocks of 1 to 32,768 bytes and free them, their own and each other's, and now and
 * then one goes off. adversarial: the heap is filled with blocks of each size that is the first of its class, and they
 * are freed from elsewhere in an order that leaves slabs and runs in many pieces, so that each holding finds as many
 * full queues, slabs to give back and runs to merge as there can be; with requests for more than there is in between.
 *
 * SPDX-License-Identifier: MIT */
#include "cpus.h"

#include <stdlib.h>

#define PROCESSORS 4
#define BLOCKS     20000

static const volatile uint64_t *count;
static uint64_t started, most, holdings, all, empty;
static uint64_t random_state = 1;
static void *blocks[BLOCKS];

static void lock(void *context)
{
    (void)context;
    started = *count;
}

static void unlock(void *context)
{
    uint64_t held = *count - started - empty;
    (void)context;
    holdings++;
    all += held;
    if (held > most)
        most = held;
}

static void start(size_t size)
{
    make_heap(size, PROCESSORS, NULL, NULL, NULL);
    empty = 0;
    most = 0;
    lock(NULL);
    unlock(NULL);
    empty = most;
    most = holdings = all = 0;
    cpus.lock = lock;
    cpus.unlock = unlock;
}

static struct knoll_cpu *anyone(void)
{
    return &processor[1 + draw_below(&random_state, PROCESSORS)];
}

static void random_load(void)
{
    for (uint32_t i = 0; i < 300000; i++) {
        void **block = &blocks[draw_below(&random_state, 2000)];
        if (*block != NULL)
            knoll_cpu_free(anyone(), *block);
        *block = knoll_cpu_malloc(anyone(), 1 + draw_below(&random_state, 1u << (1 + draw_below(&random_state, 15))));
        if (i % 4096 == 0) {
            struct knoll_cpu *gone = anyone();
            knoll_cpu_drain(gone);
            knoll_cpu_start(gone, &cpus, gone->number);
        }
    }
    for (uint32_t i = 0; i < 2000; i++) {
        knoll_cpus_free(&cpus, blocks[i]);
        blocks[i] = NULL;
    }
}

static uint32_t fill(size_t size)
{
    uint32_t taken = 0;
    while (taken < BLOCKS && (blocks[taken] = knoll_cpu_malloc(&processor[1 + taken % PROCESSORS], size)) != NULL)
        taken++;
    return taken;
}

static void adversarial_load(void)
{
    for (size_t size = 1; size <= 65536; size = knoll_good_size(&cpus.heap, 1, size) + 1) {
        for (uint32_t step = 1; step <= 3; step++) {
            uint32_t taken = fill(size);
            for (uint32_t from = 0; from < step; from++)
                for (uint32_t i = from; i < taken; i += step)
                    i % 3 == 0 ? knoll_cpu_free(&processor[1 + i % PROCESSORS], blocks[i])
                               : knoll_cpus_free(&cpus, blocks[i]);
            knoll_cpu_malloc(&processor[1 + step % PROCESSORS], SIZE_MAX / 2);
            knoll_cpu_drain(&processor[2]); /* what comes back to it is for others to look through */
            knoll_cpu_malloc(&processor[3], SIZE_MAX / 2);
            knoll_cpu_start(&processor[2], &cpus, 2);
        }
    }
}

static void measure(const char *name, size_t size, void (*load)(void))
{
    start(size);
    load();
    cpus.lock = cpus.unlock = NULL;
    for (uint32_t i = 0; i < BLOCKS; i++)
        blocks[i] = NULL;
    report(PROCESSORS, name, "longest_holding_instructions", (double)most);
    report(PROCESSORS, name, "mean_holding_instructions", (double)all / (double)holdings);
}

void measure_holding(const volatile uint64_t *instructions)
{
    count = instructions;
    measure("random", (size_t)16 << 20, random_load);
    measure("adversarial", (size_t)4 << 20, adversarial_load);
}
