/* Misuses the blocks of a heap in one way, for a tool to report: tests/annotations runs it under Memcheck and with
 * AddressSanitizer.
 * usage: annotated NUMBER     0: no misuse at all; prints what it does, ends with status 3 if there is no such number
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "knoll.h"
#include "knoll_live.h"

static struct knoll_heap heap;
static _Alignas(KNOLL_PAGE) unsigned char memory[1 << 22];
static volatile unsigned char sink;

static __attribute__((noinline)) void use(void *block, size_t place)
{
    volatile unsigned char *bytes = block;
    bytes[place] = (unsigned char)(bytes[place] + 1);
}

static void overflow(void)
{
    use(knoll_calloc(&heap, 1, 40), 40); /* the block has 48 bytes or more */
}

static void overflow_of_a_run(void)
{
    use(knoll_calloc(&heap, 1, 5000), 5000);
}

static void overflow_when_aligned(void)
{
    use(memset(knoll_aligned_alloc(&heap, 256, 300), 0, 300), 300);
}

static void overflow_of_one_of_many(void)
{
    void *blocks[8];
    (void)knoll_malloc_batch(&heap, 100, 8, blocks);
    use(memset(blocks[5], 0, 100), 100);
}

static void overflow_after_shrinking(void)
{
    use(knoll_realloc(&heap, knoll_calloc(&heap, 1, 48), 45), 45);
}

static void overflow_after_growing(void)
{
    void *block = memset(knoll_realloc(&heap, knoll_calloc(&heap, 1, 4100), 9000), 0, 9000);
    use(block, 9000);
}

static void use_after_free(void)
{
    void *block = knoll_calloc(&heap, 1, 40);
    knoll_free(&heap, block);
    use(block, 0);
}

static void use_after_sized_free(void)
{
    void *block = knoll_calloc(&heap, 1, 40);
    knoll_free_sized(&heap, block, 40);
    use(block, 39);
}

static void use_after_free_of_a_run(void)
{
    void *block = knoll_calloc(&heap, 1, 20000);
    knoll_free(&heap, block);
    use(block, 10000);
}

static void use_after_free_of_many(void)
{
    void *blocks[8];
    (void)knoll_malloc_batch(&heap, 64, 8, blocks);
    memset(blocks[7], 0, 64);
    knoll_free_batch(&heap, blocks, 8);
    use(blocks[7], 8);
}

static void use_after_moving(void)
{
    void *block = knoll_calloc(&heap, 1, 40);
    (void)knoll_realloc(&heap, block, 400);
    use(block, 1);
}

static void use_of_what_was_cut_off(void)
{
    void *block = knoll_calloc(&heap, 1, 40000);
    (void)knoll_realloc(&heap, block, 5000);
    use(block, 30000);
}

static void use_of_no_block(void)
{
    use(memory, sizeof memory - 100);
}

static int ignore(void *context, const struct knoll_item *item)
{
    (void)context, (void)item;
    return 0;
}

/* The search looks at all of a block, and at what nobody has written. */
static void search_for_leaks(void **blocks, size_t bytes)
{
    const struct knoll_range roots[] = {{blocks, bytes}};
    struct knoll_leaks leaks;
    void *marks = malloc(knoll_leaks_bytes(&heap));
    knoll_leaks_begin(&leaks, &heap, marks, roots, 1, ignore, NULL);
    while (knoll_leaks_slice(&leaks, 1000) == KNOLL_LEAKS_GOING_ON)
        continue;
    free(marks);
}

/* Everything that may be done, and nothing else. */
static void no_misuse(void)
{
    static void *blocks[200];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            size_t size = (i * 37 + round * 11) % 3000;
            blocks[i] = memset(knoll_realloc(&heap, blocks[i], size), 1, size);
        }
        for (size_t i = 0; i < 20; i++) { /* runs longer and shorter where they lie */
            blocks[i] = knoll_realloc(&heap, blocks[i], 5000 + 3000 * i);
            memset(blocks[i], 2, 5000 + 3000 * i);
            blocks[i] = knoll_realloc(&heap, blocks[i], 4500);
            sink = ((unsigned char *)blocks[i])[4499];
        }
        memset(blocks[100], 3, knoll_usable_size(&heap, blocks[100]));
        blocks[100] = knoll_realloc(&heap, blocks[100], 0);
        blocks[100] = knoll_realloc(&heap, blocks[100], 1);
        for (size_t i = 0; i < 200; i += 2) {
            knoll_free(&heap, blocks[i]);
            blocks[i] = NULL;
        }
        blocks[0] = knoll_malloc(&heap, 101);
        search_for_leaks(blocks, sizeof blocks);
        if (knoll_check(&heap) != 0)
            exit(4);
    }
    knoll_free_batch(&heap, blocks, 200);
    if (knoll_malloc_batch(&heap, 500, 100, blocks) != 100)
        exit(4);
    for (size_t i = 0; i < 100; i++)
        memset(blocks[i], 4, 500);
    memset(blocks, 0, sizeof blocks);
    if (knoll_init(&heap, memory, sizeof memory / 2) != KNOLL_OK) /* a heap where there was another */
        exit(4);
    use(knoll_calloc(&heap, 1, 5000), 4999);
}

static const struct {
    void (*act)(void);
    const char *name;
} acts[] = {
    {no_misuse, "no misuse"},
    {overflow, "overflow"},
    {overflow_of_a_run, "overflow of a run"},
    {overflow_when_aligned, "overflow when aligned"},
    {overflow_of_one_of_many, "overflow of one of many"},
    {overflow_after_shrinking, "overflow after shrinking"},
    {overflow_after_growing, "overflow after growing"},
    {use_after_free, "use after free"},
    {use_after_sized_free, "use after sized free"},
    {use_after_free_of_a_run, "use after free of a run"},
    {use_after_free_of_many, "use after free of many"},
    {use_after_moving, "use after moving"},
    {use_of_what_was_cut_off, "use of what was cut off"},
    {use_of_no_block, "use of no block"},
};

int main(int count, char **arguments)
{
    size_t number = count == 2 ? strtoul(arguments[1], NULL, 10) : SIZE_MAX;
    if (number >= sizeof acts / sizeof acts[0])
        return 3;
    if (knoll_init(&heap, memory, sizeof memory) != KNOLL_OK)
        return 4;
    puts(acts[number].name);
    fflush(stdout);
    acts[number].act();
    return 0;
}
