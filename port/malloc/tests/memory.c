/* What memory the library takes from the kernel, and what it gives back.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB(n) ((size_t)(n) << 20)

static size_t resident_bytes(void)
{
    unsigned long whole, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &whole, &resident), 2);
    fclose(file);
    return resident * 4096;
}

/* What is resident when nothing is that the heap could do without. */
static size_t resident_bytes_trimmed(void)
{
    malloc_trim(0);
    return resident_bytes();
}

static void take_and_write(unsigned char **blocks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, size);
    }
}

static void free_all(unsigned char **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

static void trimming(void **state)
{
    static unsigned char *blocks[64];
    (void)state;
    size_t before = resident_bytes_trimmed();
    take_and_write(blocks, 64, MIB(1));
    assert_true(resident_bytes() >= before + MIB(60));
    free_all(blocks, 64);
    assert_int_equal(malloc_trim(0), 1);
    assert_true(resident_bytes() <= before + MIB(2));
}

/* Much memory that is freed in a moment does not wait for the clock. */
static void dropping(void **state)
{
    static unsigned char *blocks[200];
    (void)state;
    size_t before = resident_bytes_trimmed();
    take_and_write(blocks, 200, MIB(1));
    free_all(blocks, 200);
    assert_true(resident_bytes() <= before + MIB(70));
}

/* KNOLL_DECAY_MS=0 in the environment: what is free goes back when a MiB was freed. */
static void decay(void **state)
{
    static unsigned char *blocks[640];
    (void)state;
    size_t before = resident_bytes_trimmed();
    take_and_write(blocks, 640, 100000);
    free_all(blocks, 640);
    assert_true(resident_bytes() <= before + MIB(3));
}

/* What calloc gives and nobody touches is not resident; what was used before is zero all the same. */
static void sparse(void **state)
{
    static unsigned char *blocks[64];
    (void)state;
    take_and_write(blocks, 64, MIB(1));
    free_all(blocks, 64);
    size_t before = resident_bytes_trimmed();
    for (size_t i = 0; i < 64; i++) {
        size_t size = MIB(4) + i * 1000;
        assert_non_null(blocks[i] = calloc(1, size));
        for (size_t at = 0; at < size; at += MIB(1) - 1)
            assert_int_equal(blocks[i][at], 0);
        blocks[i][size - 1] = 1;
    }
    assert_true(resident_bytes() <= before + MIB(8));
    free_all(blocks, 64);
    unsigned char *block = malloc(MIB(3) + 5);
    assert_non_null(block);
    memset(block, 0xFF, MIB(3) + 5);
    free(block);
    block = calloc(3, MIB(1));
    for (size_t at = 0; at < MIB(3); at++)
        assert_int_equal(block[at], 0);
    free(block);
}

static void *sleep_a_little(void *nothing)
{
    usleep(1000);
    return nothing;
}

/* Threads that nobody waits for, and that do not allocate, leave nothing behind: what the C library frees when they
 * have ended makes no cache. */
static void detached(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    size_t before = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 20; i++) {
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, &attributes, sleep_a_little, NULL), 0);
        }
        usleep(10000);
        if (round == 9)
            before = resident_bytes();
    }
    assert_true(resident_bytes() <= before + MIB(2));
    pthread_attr_destroy(&attributes);
}

static void mappings(void **state)
{
    static unsigned char *blocks[600];
    (void)state;
    size_t before = resident_bytes_trimmed();
    for (size_t i = 0; i < 600; i++) { /* so many that their table grows */
        blocks[i] = malloc(MIB(32) + i);
        assert_non_null(blocks[i]);
        blocks[i][MIB(32) - 1] = (unsigned char)i;
    }
    for (size_t i = 0; i < 600; i += 2)
        free(blocks[i]);
    for (size_t i = 1; i < 600; i += 2) {
        assert_int_equal(blocks[i][MIB(32) - 1], (unsigned char)i);
        if (i % 64 == 1 || KNOLL_MALLOC_RUNG < 3) /* where these are moved by copying */
            blocks[i] = realloc(blocks[i], MIB(40));
        assert_int_equal(blocks[i][MIB(32) - 1], (unsigned char)i);
        free(blocks[i]);
    }
    assert_true(resident_bytes() <= before + MIB(2));
}

/* More than the first span, with KNOLL_MAP_BYTES such that these blocks are not mapped by themselves. From rung 2 on
 * spans are shorter, and all that is handed out is looked at. */
#define SPANNING (KNOLL_HARDEN < 2 ? MIB(1000) : MIB(10))

static void spans(void **state)
{
    unsigned char *blocks[12];
    size_t reserved = mallinfo2().arena;
    (void)state;
    for (size_t i = 0; i < 12; i++) {
        blocks[i] = malloc(SPANNING);
        assert_non_null(blocks[i]);
        blocks[i][SPANNING - 1] = (unsigned char)i;
    }
    assert_true(mallinfo2().arena > reserved);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(blocks[i][SPANNING - 1], i);
        free(blocks[i]);
    }
}

/* A child with little address space, whose heap has to do with a smaller span. */
static void little_address_space(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        static char *arguments[] = {"/proc/self/exe", "little", NULL};
        struct rlimit limit = {MIB(200), MIB(200)};
        if (setrlimit(RLIMIT_AS, &limit) == 0)
            execv(arguments[0], arguments);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What is resident but for files' pages, of which the kernel maps many at a time: to the page, which statm need not
 * tell. */
static size_t anonymous_bytes(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Anonymous: %lu", &kib) != 1)
        continue;
    fclose(file);
    assert_int_not_equal(kib, 0);
    return kib * 1024;
}

/* Holds a block of each size up to a KiB, one at a time, and says how much more is resident. */
static void *use_each_size(void *grown)
{
    free(malloc(1)); /* the thread has its cache */
    size_t before = anonymous_bytes();
    for (size_t size = 16; size <= 1024; size += 16) {
        unsigned char *block = malloc(size);
        assert_non_null(block);
        memset(block, 1, size);
        free(block);
    }
    *(size_t *)grown = anonymous_bytes() - before;
    return NULL;
}

/* A thread of few allocations has few blocks cached: of 22 sizes here, not 16 KiB of each. */
static void small_beginnings(void **state)
{
    size_t grown = 0;
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, use_each_size, &grown), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(grown <= (KNOLL_HARDEN < 2 ? (size_t)100 << 10 : MIB(1))); /* from rung 2 on all freed blocks wait */
}

static int use_little(void)
{
    size_t bytes = 0;
    for (unsigned char *block; (block = malloc(100000)) != NULL; bytes += 100000)
        memset(block, 1, 100000);
    return bytes < MIB(100) || errno != ENOMEM;
}

int main(int count, char **arguments)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimming),         cmocka_unit_test(dropping),
        cmocka_unit_test(mappings),         cmocka_unit_test(little_address_space),
        cmocka_unit_test(small_beginnings), cmocka_unit_test(sparse),
        cmocka_unit_test(detached),
    };
    static const struct CMUnitTest tests_with_options[] = {
        cmocka_unit_test(spans),
        cmocka_unit_test(decay),
        cmocka_unit_test(trimming),
    };
    if (count > 1 && strcmp(arguments[1], "little") == 0)
        return use_little();
    if (getenv("KNOLL_MAP_BYTES") != NULL)
        return cmocka_run_group_tests(tests_with_options, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
