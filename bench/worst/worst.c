/* Looks for the worst call of the heap that it is linked with, under QEMU's user emulation with the counting plugin.
 * Prints a line of CSV for each load, heap size, function called and path taken:
 *
 *     contender,load,heap_bytes,function,path,calls,most_instructions,share...
 *
 * and with `trace` goes on with the addresses of the worst call's instructions, in hexadecimal.
 *
 * usage: knoll-worst COUNTER [trace] [LOAD [MIB]]
 *
 * SPDX-License-Identifier: MIT */
#include "loads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB         ((size_t)1 << 20)
#define LARGEST_MIB 256

static const size_t heap_mib[] = {1, 16, LARGEST_MIB};
static const char *const entry_names[ENTRY_COUNT] = {"malloc", "aligned_alloc", "aligned_more", "free", "free_sized"};
static const char *const path_names[PATH_COUNT] = {"magazine", "slab", "resize", "large", "short", "failed", "reclaim"};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "knoll-worst: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct counter *map_counter(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        fail(path);
    void *counter = mmap(NULL, sizeof(struct counter), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counter == MAP_FAILED)
        fail(path);
    return counter;
}

static void print_tally(const struct load *load, size_t heap_bytes, enum entry entry, enum path path,
                        const struct tally *tally, bool traces)
{
    printf("%s,%s,%zu,%s,%s,%" PRIu64 ",%" PRIu32, contender_name, load->name, heap_bytes, entry_names[entry],
           path_names[path], tally->calls, tally->most);
    for (int i = 0; i < SHARES; i++)
        printf(",%" PRIu64, tally->share[i]);
    for (uint32_t i = 0; traces && i < tally->saved; i++)
        printf(",%" PRIx64, tally->address[i]);
    putchar('\n');
}

/* Runs the load on a new heap, once for each of the two functions that allocate. */
static void run(struct session *session, const struct load *load, size_t heap_bytes, void *region, void **block,
                bool traces)
{
    session_start(session);
    for (enum entry entry = ENTRY_MALLOC; entry <= ENTRY_ALIGNED_ALLOC; entry++) {
        if (!contender_init(region, heap_bytes)) {
            fprintf(stderr, "knoll-worst: no heap could be made of %zu bytes\n", heap_bytes);
            exit(1);
        }
        session->allocating = entry;
        session->random = 0x9E3779B97F4A7C15;
        load->run(session, heap_bytes, block);
    }
    for (enum entry entry = 0; entry < ENTRY_COUNT; entry++) {
        for (enum path path = 0; path < PATH_COUNT; path++) {
            if (session->tally[entry][path].calls != 0)
                print_tally(load, heap_bytes, entry, path, &session->tally[entry][path], traces);
        }
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct session session;
    bool traces = argc > 2 && strcmp(argv[2], "trace") == 0;
    const char *only_load = argc > 2 + traces ? argv[2 + traces] : NULL;
    size_t only_mib = argc > 3 + traces ? strtoul(argv[3 + traces], NULL, 10) : 0;
    if (argc < 2) {
        fprintf(stderr, "usage: knoll-worst COUNTER [trace] [LOAD [MIB]]\n");
        return 2;
    }
    session.counter = map_counter(argv[1]);
    if (session.counter->instructions == 0) {
        fprintf(stderr, "knoll-worst: nothing counts: run it under QEMU with the plugin (see plugin.c)\n");
        return 1;
    }
    void *region = aligned_alloc(LARGEST_MIB * MIB, LARGEST_MIB * MIB); /* so that runs of every order fit it */
    void **block = calloc(LOAD_BLOCKS(LARGEST_MIB * MIB), sizeof *block);
    if (region == NULL || block == NULL)
        fail("memory for the heap");
    for (size_t i = 0; i < LOAD_COUNT; i++) {
        for (size_t j = 0; j < sizeof heap_mib / sizeof heap_mib[0]; j++) {
            if ((only_load == NULL || strcmp(only_load, loads[i].name) == 0) &&
                (only_mib == 0 || only_mib == heap_mib[j]))
                run(&session, &loads[i], heap_mib[j] * MIB, region, block, traces);
        }
    }
    return 0;
}
