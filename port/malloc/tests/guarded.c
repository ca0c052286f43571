/* Rung 3: what lies round large blocks and tables, what becomes of freed ones, and that places and order are random.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE   ((size_t)4096)
#define MANY   400
#define KIB(n) ((size_t)(n) << 10)

/* Whether the kernel can read this byte. */
static bool is_readable(const unsigned char *byte)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    bool readable = write(ends[1], byte, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

static void blocks_lie_between_guards(void **state)
{
    (void)state;
    for (size_t size = PAGE; size < KIB(3000); size = size * 2 + 1) {
        unsigned char *block = malloc(size);
        unsigned char *end = block + (size + 15) / 16 * 16;
        unsigned char *start = block - (uintptr_t)block % PAGE;
        assert_int_equal((uintptr_t)end % PAGE, 0);
        assert_true(is_readable(block) && is_readable(end - 1) && is_readable(start));
        assert_false(is_readable(end) || is_readable(end + PAGE - 1));
        assert_false(is_readable(start - 1) || is_readable(start - PAGE));
        free(block);
        assert_false(is_readable(block) || is_readable(end - 1));
    }
}

static void places_are_random(void **state)
{
    static unsigned char *blocks[MANY];
    size_t descents = 0, near = 0;
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = malloc(KIB(8));
        if (i > 0) {
            descents += blocks[i] < blocks[i - 1];
            near +=
                (size_t)(blocks[i] < blocks[i - 1] ? blocks[i - 1] - blocks[i] : blocks[i] - blocks[i - 1]) < KIB(1024);
        }
    }
    for (size_t i = 0; i < MANY; i++)
        free(blocks[i]);
    assert_true(descents > MANY / 4 && descents < 3 * MANY / 4);
    assert_true(near < MANY / 20);
}

/* Of small blocks, which lie in slabs: the next one is seldom the one after. */
static void order_is_random(void **state)
{
    static unsigned char *blocks[MANY];
    size_t descents = 0, next = 0;
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        blocks[i] = malloc(24);
        if (i > 0) {
            descents += blocks[i] < blocks[i - 1];
            next += blocks[i] - blocks[i - 1] == 64;
        }
    }
    for (size_t i = 0; i < MANY; i++)
        free(blocks[i]);
    assert_true(descents > MANY / 4);
    assert_true(next < MANY / 3);
}

/* The mappings round a small block: without access, the tables, without access, blocks, without access. */
static void tables_lie_between_guards(void **state)
{
    char line[512], rights[5];
    unsigned long start, end, ends[3] = {0};
    bool open[4] = {false}, found = false;
    uintptr_t block = (uintptr_t)malloc(100);
    FILE *file = fopen("/proc/self/maps", "r");
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && !found) {
        assert_int_equal(sscanf(line, "%lx-%lx %4s", &start, &end, rights), 3);
        if (start <= block && block < end) {
            found = true;
            assert_true(rights[0] == 'r' && open[0] == false && open[1] == true && open[2] == false);
            assert_true(ends[0] == start && end - start < KIB(8192));
            assert_true(fgets(line, sizeof line, file) != NULL);
            assert_int_equal(sscanf(line, "%lx-%lx %4s", &ends[1], &ends[2], rights), 3);
            assert_true(ends[1] == end && rights[0] == '-');
        }
        open[2] = open[1];
        open[1] = open[0];
        open[0] = rights[0] == 'r';
        ends[0] = end;
    }
    fclose(file);
    assert_true(found);
    free((void *)block);
}

/* More large blocks than a process may have mappings: heaps take what the kernel refuses. */
static void too_many_for_the_kernel(void **state)
{
    enum { COUNT = 24000 };
    unsigned char **blocks = malloc(COUNT * sizeof *blocks);
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(PAGE);
        assert_non_null(blocks[i]);
        blocks[i][PAGE - 1] = (unsigned char)i;
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(blocks[i][PAGE - 1], (unsigned char)i);
        free(blocks[i]);
    }
    free(blocks);
}

/* What waits after its free keeps its place when a request is refused that could not be served anyhow. */
static void refused_requests_empty_nothing(void **state)
{
    unsigned char *block = malloc(KIB(8)), in_core;
    (void)state;
    free(block);
    assert_int_equal(mincore(block, PAGE, &in_core), 0); /* there is a mapping */
    for (unsigned shift = 47; shift < 63; shift++) {
        void *volatile none = malloc((size_t)1 << shift);
        free(none);
        none = aligned_alloc((size_t)1 << shift, KIB(8));
        free(none);
    }
    assert_int_equal(mincore(block, PAGE, &in_core), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_between_guards),
        cmocka_unit_test(places_are_random),
        cmocka_unit_test(order_is_random),
        cmocka_unit_test(tables_lie_between_guards),
        cmocka_unit_test(refused_requests_empty_nothing),
        cmocka_unit_test(too_many_for_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
