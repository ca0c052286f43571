/* With little address space, or few bytes that may be written to: CTest runs it under ulimit -v and -d. What is free
 * serves requests of any size, a request that fails takes nothing from the program, whose own mappings most of the
 * limit is left to at first, and a block that cannot move may get smaller.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MIB(n) ((size_t)(n) << 20)

void free_sized(void *block, size_t size);

static int failures;

static void expect(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "limited: %s\n", what);
        failures++;
    }
}

static void *nothing(void *argument)
{
    return argument;
}

int main(void)
{
    static unsigned char *blocks[100000];
    size_t count = 0;
    void *own = mmap(NULL, MIB(120), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(own != MAP_FAILED, "no 120 MiB for the program itself");
    if (own != MAP_FAILED)
        munmap(own, MIB(120));
    unsigned char *large = malloc(MIB(50)); /* of a size that is mapped by itself where there is room */
    expect(large != NULL, "no 50 MiB while the heap is empty");
    memset(large, 1, large == NULL ? 0 : MIB(50));
    free(large);
    unsigned char *zero = calloc(1, MIB(50));
    expect(zero != NULL && zero[0] == 0 && memcmp(zero, zero + 1, MIB(50) - 1) == 0, "what calloc gives is not zero");
    free(zero);

    while (count < 100 && (blocks[count] = malloc(MIB(31))) != NULL)
        count++;
    expect(count > 0 && count < 100, "blocks of 31 MiB end some time");
    void *map = mmap(NULL, MIB(1), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(map != MAP_FAILED, "no address space is left to the program");
    pthread_t thread;
    struct rlimit limit; /* a stack counts as data, of which with the heap full there is none left */
    if (getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        expect(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0,
               "nor for a thread");

    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    count = 0;
    large = malloc(MIB(50));
    unsigned char *block = malloc(1000);
    for (size_t size = MIB(1); size >= 16; size /= 2)
        while (count < sizeof blocks / sizeof blocks[0] && (blocks[count] = malloc(size)) != NULL)
            count++;
    expect(block != NULL && realloc(block, 100) == block, "a block did not get smaller where it is");
    free_sized(block, 100);
    for (size_t size = MIB(40); size >= MIB(10); size /= 2) {
        unsigned char *smaller = realloc(large, size);
        expect(smaller != NULL, "a large block did not get smaller");
        large = smaller != NULL ? smaller : large;
    }
    free(large);
    while (count > 0)
        free(blocks[--count]);
    return failures != 0;
}
