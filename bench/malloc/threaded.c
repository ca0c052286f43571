/* Programs of several threads, which keep their blocks, hand them over, or come and go. Each also runs with one.
 *
 * SPDX-License-Identifier: MIT */
#include "patterns.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SLOTS 1000

static unsigned rounds_of(const void *context)
{
    return *(const unsigned *)context;
}

/* ---- A server: each thread replaces the blocks of its table, and the tables go from thread to thread ---- */

static void *tables[64][SLOTS];

static void serve(unsigned thread, void *context)
{
    unsigned round = *(const unsigned *)context;
    struct random random = {thread + 1 + round};
    void **table = tables[(thread + round) % 64];
    for (unsigned step = 0; step < 20000; step++) {
        unsigned place = draw_below(&random, SLOTS);
        free(table[place]);
        table[place] = take(8 + draw_below(&random, 993));
    }
}

/* Each round is a wave of threads, so that no two use a table at once. */
void run_server(unsigned threads, unsigned rounds)
{
    for (unsigned round = 0; round < rounds / threads; round++)
        in_threads(threads, serve, &round);
    for (unsigned table = 0; table < 64; table++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            free(tables[table][i]);
            tables[table][i] = NULL;
        }
    }
}

/* ---- Producers and consumers: every block is freed by another thread than took it, where there are two ---- */

#define QUEUE 256

static struct {
    _Alignas(64) _Atomic(void *) place[QUEUE];
} queues[64];

static void hand_over(unsigned thread, void *context)
{
    struct random random = {thread + 11};
    unsigned mine = thread, theirs = thread ^ 1;
    for (unsigned step = 0; step < rounds_of(context) * 20000; step++) {
        unsigned place = draw_below(&random, QUEUE);
        free(atomic_exchange_explicit(&queues[mine].place[place], take(16 + draw_below(&random, 500)),
                                      memory_order_acq_rel));
        free(atomic_exchange_explicit(&queues[theirs].place[place], NULL, memory_order_acq_rel));
    }
}

void run_hand_over(unsigned threads, unsigned rounds)
{
    in_threads(threads, hand_over, &(unsigned){rounds / threads});
    for (unsigned queue = 0; queue < 64; queue++)
        for (unsigned i = 0; i < QUEUE; i++)
            free(atomic_exchange(&queues[queue].place[i], NULL));
}

/* ---- One table for all threads, with blocks of all sizes ---- */

static _Atomic(void *) shared[8192];

static void use_shared(unsigned thread, void *context)
{
    struct random random = {thread + 21};
    void *own[64] = {NULL};
    for (unsigned step = 0; step < rounds_of(context) * 10000; step++) {
        size_t size = draw_below(&random, 100) == 0 ? draw_size(&random, 12, 16) : draw_size(&random, 4, 10);
        void *block = take(size);
        unsigned place = draw_below(&random, 8192 * 2);
        if (place < 8192) {
            free(atomic_exchange_explicit(&shared[place], block, memory_order_acq_rel));
        } else {
            free(own[place % 64]);
            own[place % 64] = block;
        }
    }
    for (unsigned i = 0; i < 64; i++)
        free(own[i]);
}

void run_shared(unsigned threads, unsigned rounds)
{
    in_threads(threads, use_shared, &(unsigned){rounds / threads});
    for (unsigned i = 0; i < 8192; i++)
        free(atomic_exchange(&shared[i], NULL));
}

/* ---- Threads that live for a moment ---- */

static void live_shortly(unsigned thread, void *context)
{
    struct random random = {thread + 31};
    void *blocks[100];
    (void)context;
    for (unsigned repeat = 0; repeat < 5; repeat++) {
        for (unsigned i = 0; i < 100; i++)
            blocks[i] = take(draw_size(&random, 4, 9));
        for (unsigned i = 0; i < 100; i++)
            free(blocks[i]);
    }
}

void run_short_threads(unsigned threads, unsigned rounds)
{
    for (unsigned round = 0; round < rounds * 10; round++)
        in_threads(threads, live_shortly, NULL);
}

/* ---- Small blocks that are written often: slow if two threads get neighbours in one cache line ---- */

static void write_often(unsigned thread, void *context)
{
    (void)thread;
    for (unsigned round = 0; round < rounds_of(context) * 20; round++) {
        void *block = take(8);
        volatile unsigned char *bytes = block;
        for (unsigned write = 0; write < 50000; write++)
            bytes[write % 8]++;
        free(block);
    }
}

void run_one_word(unsigned threads, unsigned rounds)
{
    in_threads(threads, write_often, &(unsigned){rounds / threads});
}

/* ---- Each thread by itself, sizes of all kinds ---- */

static void stay_apart(unsigned thread, void *context)
{
    struct random random = {thread + 41};
    void *blocks[400] = {NULL};
    for (unsigned step = 0; step < rounds_of(context) * 20000; step++) {
        unsigned place = draw_below(&random, 400);
        free(blocks[place]);
        blocks[place] = take(draw_size(&random, 3, 12));
    }
    for (unsigned i = 0; i < 400; i++)
        free(blocks[i]);
}

void run_apart(unsigned threads, unsigned rounds)
{
    in_threads(threads, stay_apart, &(unsigned){rounds / threads});
}
