/* What C, POSIX, and glibc's manual say of each function. Linked with the library, and once statically.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

#define MIB(n) ((size_t)(n) << 20)

/* Sizes that the compiler must not know. */
static volatile size_t too_large = SIZE_MAX;
static volatile size_t no_power = 24;
static void *volatile sink;

static void fill(unsigned char *block, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        block[i] = (unsigned char)(seed + i * 7);
}

static bool filled(const unsigned char *block, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != (unsigned char)(seed + i * 7))
            return false;
    return true;
}

static void every_size(void **state)
{
    static unsigned char *blocks[6000];
    (void)state;
    for (size_t size = 0; size < 6000; size++) {
        blocks[size] = malloc(size);
        assert_non_null(blocks[size]);
        assert_int_equal((uintptr_t)blocks[size] % 16, 0);
        assert_true(malloc_usable_size(blocks[size]) >= size);
        fill(blocks[size], size, (unsigned)size);
    }
    for (size_t size = 0; size < 6000; size++) {
        assert_true(filled(blocks[size], size, (unsigned)size));
        free(blocks[size]);
    }
    assert_int_equal(malloc_usable_size(NULL), 0);
    free(NULL);
}

static void cleared(void **state)
{
    (void)state;
    for (size_t size = 1; size < MIB(100); size = size * 3 + 1) {
        unsigned char *dirty = malloc(size);
        assert_non_null(dirty);
        memset(dirty, 0xFF, size < MIB(4) ? size : MIB(4));
        free(dirty);
        unsigned char *clean = calloc(1, size);
        assert_non_null(clean);
        for (size_t i = 0; i < size; i += 1 + size / 5000)
            assert_int_equal(clean[i], 0);
        free(clean);
    }
}

static void expect_no_memory(const void *block)
{
    assert_null(block);
    assert_int_equal(errno, ENOMEM);
    errno = 0;
}

static void too_much(void **state)
{
    (void)state;
    void *volatile kept = malloc(100);
    errno = 0;
    expect_no_memory(malloc(too_large));
    expect_no_memory(malloc(too_large / 2 + 1));
    expect_no_memory(malloc(too_large / 2 - 4096)); /* more than there is address space */
    expect_no_memory(calloc(too_large / 8, 16));
    expect_no_memory(calloc(too_large / 16, 16));
    expect_no_memory(realloc(kept, too_large));
    expect_no_memory(reallocarray(kept, too_large / 8, 16));
    expect_no_memory(aligned_alloc(64, too_large));
    expect_no_memory(aligned_alloc(too_large / 2 + 1, 1));
    expect_no_memory(memalign(64, too_large));
    expect_no_memory(valloc(too_large));
    expect_no_memory(pvalloc(too_large));
    free(kept);
}

static void alignments(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= MIB(128); alignment *= 2) {
        for (size_t size = 1; size <= 200000; size = size * 7 + 3) {
            unsigned char *block = aligned_alloc(alignment, size);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % alignment, 0);
            assert_true(malloc_usable_size(block) >= size);
            fill(block, size, 1);
            block = realloc(block, size + 5000);
            assert_true(filled(block, size, 1));
            free(block);
        }
    }
    errno = 0;
    assert_null(aligned_alloc(no_power, 100));
    assert_int_equal(errno, EINVAL);
    assert_null(aligned_alloc(too_large + 1, 100));
    void *block = sink;
    errno = 0;
    assert_int_equal(posix_memalign(&block, 3, 8), EINVAL);
    assert_int_equal(posix_memalign(&block, sizeof(void *) / 2, 8), EINVAL);
    assert_int_equal(posix_memalign(&block, 0, 8), EINVAL);
    assert_int_equal(posix_memalign(&block, 64, too_large), ENOMEM);
    assert_ptr_equal(block, sink);
    assert_int_equal(errno, 0); /* which it does not set */
    assert_int_equal(posix_memalign(&block, 256, 8), 0);
    assert_int_equal((uintptr_t)block % 256, 0);
    free(block);
    block = memalign(no_power, 8); /* rounded up */
    assert_int_equal((uintptr_t)block % 32, 0);
    free(block);
    block = valloc(10);
    assert_int_equal((uintptr_t)block % 4096, 0);
    free(block);
    block = pvalloc(4097);
    assert_true((uintptr_t)block % 4096 == 0 && malloc_usable_size(block) >= 8192);
    free(block);
}

/* Through slabs, runs and mappings, up and down. */
static void resizing(void **state)
{
    (void)state;
    unsigned char *block = realloc(NULL, 10);
    size_t size = 10;
    fill(block, size, 3);
    for (unsigned step = 0; step < 60; step++) {
        size_t wanted = step % 30 < 15 ? size * 3 : size / 3;
        block = realloc(block, wanted);
        assert_non_null(block);
        assert_true(malloc_usable_size(block) >= wanted);
        assert_true(filled(block, size < wanted ? size : wanted, 3));
        fill(block, wanted, 3);
        size = wanted;
        if (step % 15 == 14) /* 10 * 3^15 is 143 MiB */
            size = malloc_usable_size(block) < size ? 0 : size;
    }
    sink = realloc(block, 0);
    assert_null(sink);
    block = reallocarray(NULL, 100, 10);
    assert_true(malloc_usable_size(block) >= 1000);
    free(block);
}

static void errno_survives(void **state)
{
    (void)state;
    void *blocks[] = {malloc(10), malloc(100000), malloc(MIB(100))};
    for (size_t i = 0; i < 3; i++) {
        errno = 77;
        free(blocks[i]);
        assert_int_equal(errno, 77);
    }
}

static void sized(void **state)
{
    (void)state;
    for (size_t size = 0; size < MIB(80); size = size * 2 + 1) {
        free_sized(malloc(size), size);
        free_aligned_sized(aligned_alloc(64, size), 64, size);
        free_aligned_sized(aligned_alloc(8192, size), 8192, size);
    }
    for (size_t mib = 16; mib <= 128; mib *= 2) { /* of no bytes, which from some size on is a mapping */
        void *block = aligned_alloc(MIB(mib), 0);
        assert_non_null(block);
        free_aligned_sized(block, MIB(mib), 0);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
}

/* What realloc gave is freed with its size alone, though it keeps the alignment that the block had. */
static void sized_after_realloc(void **state)
{
    static const size_t alignments[] = {64, 4096}, sizes[] = {128, 200, 6400, 8192, 9000, 200000, MIB(50), MIB(60)};
    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (size_t from = 0; from < 8; from++)
            for (size_t to = 0; to < 8; to++) {
                void *block = aligned_alloc(alignments[a], sizes[from]);
                assert_non_null(block = realloc(block, sizes[to]));
                free_sized(block, sizes[to]);
            }
}

/* ---- What is told ---- */

static void numbers(void **state)
{
    (void)state;
    size_t used = mallinfo2().uordblks;
    void *block = malloc(1000);
    size_t taken = mallinfo2().uordblks - used; /* from rung 2 on with what is round it */
    assert_true(KNOLL_HARDEN < 2 ? taken == malloc_usable_size(block) : taken > malloc_usable_size(block));
    free(block);
    assert_int_equal(mallinfo2().uordblks, used);
    struct mallinfo2 before = mallinfo2();
    void *mapping = malloc(MIB(5000)); /* mapped by itself whatever the options */
    assert_int_equal(mallinfo2().hblks, before.hblks + 1);
    assert_int_equal(mallinfo2().hblkhd, before.hblkhd + MIB(5000));
    free(mapping);
    assert_int_equal(mallinfo2().hblks, before.hblks);
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 4096), 0);
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_int_equal(malloc_info(0, stream), 0);
    fclose(stream);
    assert_memory_equal(text, "<malloc version=\"knoll-", 23);
    assert_memory_equal(text + length - 10, "</malloc>\n", 10);
    free(text);
    errno = 0;
    assert_int_equal(malloc_info(1, stdout), -1);
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size), cmocka_unit_test(cleared),
        cmocka_unit_test(too_much),   cmocka_unit_test(alignments),
        cmocka_unit_test(resizing),   cmocka_unit_test(errno_survives),
        cmocka_unit_test(sized),      cmocka_unit_test(sized_after_realloc),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
