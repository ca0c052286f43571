/* Measured: pairs of an allocation and a free a second of processor time, by one thread and by two, each of which is
 * a processor, and summed. The lock is a mutex.
 *
 * own 64: one of 1,000 blocks of 64 bytes, at random, is freed and allocated anew. own mixed: the same with sizes of 8
 * to 1024 bytes. handed over: two threads; each allocates 64 bytes and frees what the other allocated, 256 at a time.
 * runs: one of 50 blocks of 5,000 to 64,000 bytes is freed and allocated anew. Each block's first byte is written.
 *
 * SPDX-License-Identifier: MIT */
#include "cpus.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define BLOCKS  1000
#define BATCH   256
#define SECONDS 0.5

struct load {
    const char *name;
    uint32_t least, most; /* bytes */
    uint32_t blocks;
    bool is_handed;
};

static const struct load loads[] = {
    {"own 64", 64, 64, BLOCKS, false},
    {"own mixed", 8, 1024, BLOCKS, false},
    {"handed over", 64, 64, BATCH, true},
    {"runs", 5000, 64000, 50, false},
};

static const struct load *load;
static atomic_bool stops;
static double pairs_per_second[3];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(void **) box[3]; /* the blocks that are for this thread to free, if not NULL */

static void lock(void *context)
{
    (void)context;
    pthread_mutex_lock(&mutex);
}

static void unlock(void *context)
{
    (void)context;
    pthread_mutex_unlock(&mutex);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *take(struct knoll_cpu *cpu, uint64_t *random)
{
    unsigned char *block = knoll_cpu_malloc(cpu, load->least + draw_below(random, load->most - load->least + 1));
    if (block == NULL)
        fail("no memory for a block");
    block[0] = 1;
    return block;
}

static uint64_t replace(struct knoll_cpu *cpu, void **block, uint64_t *random)
{
    for (unsigned i = 0; i < BATCH; i++) {
        uint32_t victim = draw_below(random, load->blocks);
        knoll_cpu_free(cpu, block[victim]);
        block[victim] = take(cpu, random);
    }
    return BATCH;
}

/* Fills the other's box, then empties its own. */
static uint64_t hand_over(struct knoll_cpu *cpu, void **block, uint64_t *random)
{
    unsigned other = 3 - cpu->number;
    void **mine;
    for (unsigned i = 0; i < BATCH; i++)
        block[i] = take(cpu, random);
    atomic_store(&box[other], block);
    while ((mine = atomic_exchange(&box[cpu->number], NULL)) == NULL)
        if (stops)
            return 0;
        else
            sched_yield();
    for (unsigned i = 0; i < BATCH; i++)
        knoll_cpu_free(cpu, mine[i]);
    return BATCH;
}

static void *run(void *context)
{
    struct knoll_cpu *cpu = context;
    uint64_t random = cpu->number;
    static void *blocks[3][2][BLOCKS]; /* two by turns: the other may still read the first */
    uint64_t pairs = 0;
    for (uint32_t i = 0; !load->is_handed && i < load->blocks; i++)
        blocks[cpu->number][0][i] = take(cpu, &random);
    double start = now();
    for (unsigned turn = 0; !stops; turn ^= 1)
        pairs += load->is_handed ? hand_over(cpu, blocks[cpu->number][turn], &random)
                                 : replace(cpu, blocks[cpu->number][0], &random);
    pairs_per_second[cpu->number] = (double)pairs / (now() - start);
    return NULL;
}

static void measure(unsigned threads)
{
    pthread_t thread[3];
    make_heap((size_t)64 << 20, threads, lock, unlock, NULL);
    stops = false;
    box[1] = box[2] = NULL;
    for (unsigned i = 1; i <= threads; i++)
        if (pthread_create(&thread[i], NULL, run, &processor[i]) != 0)
            fail("no thread");
    nanosleep(&(struct timespec){0, (long)(SECONDS * 1e9)}, NULL);
    stops = true;
    double all = 0;
    for (unsigned i = 1; i <= threads; i++) {
        pthread_join(thread[i], NULL);
        all += pairs_per_second[i];
    }
    report(threads, load->name, "pairs_per_second", all);
}

void measure_threads(void)
{
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        load = &loads[i];
        for (unsigned threads = load->is_handed ? 2 : 1; threads <= 2; threads++)
            measure(threads);
    }
}
