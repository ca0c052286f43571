/* How many instructions single calls of malloc and free take, whatever malloc the program is run under: the warm pair,
 * and the longest of each in a load of small blocks. They are counted exactly, by the plugin under QEMU's user
 * emulation; what the kernel executes does not count.
 *
 * warm: one block of 64 bytes in turn, after many such pairs.
 * longest: 20,000 slots; a random one's block is freed if it holds one, and else one of 8 to 1,024 bytes allocated,
 * 100,000 times of each function after as many that are not looked at (`settled`), and from the first on (`new`).
 *
 * Prints lines of CSV: load,function,calls,least,most
 *
 * usage: knoll-calls COUNTER
 *
 * SPDX-License-Identifier: MIT */
#include "counter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 20000u
#define CALLS 100000u
#define LEAST 8u
#define MOST  1024u
#define WARM  10000u

struct seen {
    uint64_t least, most, calls;
};

static const volatile uint64_t *count;
static uint64_t overhead; /* of the reads of the count and the call between them */
static uint64_t random_state = 0x9E3779B97F4A7C15;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "knoll-calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 32) * bound >> 32);
}

static void note(struct seen *seen, uint64_t instructions)
{
    instructions -= overhead;
    seen->calls++;
    seen->least = instructions < seen->least ? instructions : seen->least;
    seen->most = instructions > seen->most ? instructions : seen->most;
}

/* Called through pointers, so that a call of each costs the same, and that of one that only returns tells how much. */
static void *(*volatile malloc_here)(size_t size) = malloc;
static void (*volatile free_here)(void *block) = free;

static void only_returns(void *block)
{
    (void)block;
}

static void *counted_malloc(size_t size, struct seen *seen)
{
    void *(*allocate)(size_t) = malloc_here;
    uint64_t before = *count;
    unsigned char *block = allocate(size);
    note(seen, *count - before);
    if (block == NULL)
        fail("malloc");
    block[0] = 1;
    return block;
}

static void counted_free(void *block, struct seen *seen)
{
    void (*give_back)(void *) = free_here;
    uint64_t before = *count;
    give_back(block);
    note(seen, *count - before);
}

static void print(const char *load, const char *function, const struct seen *seen)
{
    printf("%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", load, function, seen->calls, seen->least, seen->most);
}

static void measure_warm(void)
{
    struct seen in_malloc = {UINT64_MAX, 0, 0}, in_free = in_malloc, ignored = in_malloc;
    for (unsigned i = 0; i < 2 * WARM; i++)
        counted_free(counted_malloc(64, i < WARM ? &ignored : &in_malloc), i < WARM ? &ignored : &in_free);
    print("warm", "malloc", &in_malloc);
    print("warm", "free", &in_free);
}

static void measure_longest(void **slot, const char *load)
{
    struct seen in_malloc = {UINT64_MAX, 0, 0}, in_free = in_malloc;
    while (in_malloc.calls < CALLS || in_free.calls < CALLS) {
        void **place = &slot[random_below(SLOTS)];
        if (*place == NULL) {
            *place = counted_malloc(LEAST + random_below(MOST - LEAST + 1), &in_malloc);
        } else {
            counted_free(*place, &in_free);
            *place = NULL;
        }
    }
    print(load, "malloc", &in_malloc);
    print(load, "free", &in_free);
}

int main(int argc, char **argv)
{
    static void *slot[SLOTS];
    int file = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    struct counter *counter = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (argc != 2 || file < 0 || counter == MAP_FAILED) {
        fprintf(stderr, "usage: knoll-calls COUNTER, which tools/bench-calls does\n");
        return 2;
    }
    count = &counter->instructions;
    struct seen alone = {UINT64_MAX, 0, 0};
    free_here = only_returns;
    counted_free(NULL, &alone);
    free_here = free;
    overhead = alone.most - 1; /* it executes one instruction */
    setvbuf(stdout, NULL, _IONBF, 0);
    measure_longest(slot, "new");
    measure_longest(slot, "settled");
    measure_warm();
    return 0;
}
