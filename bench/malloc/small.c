/* Programs of one thread with small blocks: arithmetic on large numbers, logic, trees, texts.
 *
 * SPDX-License-Identifier: MIT */
#include "patterns.h"

#include <stdlib.h>
#include <string.h>

/* Numbers of a few words, each made from two others that die soon. */
void run_numbers(unsigned threads, unsigned rounds)
{
    (void)threads;
    struct number {
        uint32_t length, digit[];
    } * stack[64] = {NULL};
    struct random random = {1};
    for (unsigned step = 0; step < rounds * 40000; step++) {
        unsigned place = draw_below(&random, 64);
        uint32_t length = 1 + draw_below(&random, 10);
        struct number *sum = take(sizeof *sum + length * sizeof sum->digit[0]);
        sum->length = length;
        for (uint32_t i = 0; i < length; i++)
            sum->digit[i] = stack[place] == NULL ? step : stack[place]->digit[i % stack[place]->length] + i;
        struct number *copy = take(sizeof *copy + length * sizeof copy->digit[0]);
        memcpy(copy, sum, sizeof *sum + length * sizeof sum->digit[0]);
        free(sum);
        free(stack[place]);
        stack[place] = copy;
    }
    for (unsigned i = 0; i < 64; i++)
        free(stack[i]);
}

/* Sets of cubes that are built up, copied, merged and thrown away together. */
void run_sets(unsigned threads, unsigned rounds)
{
    (void)threads;
    struct random random = {2};
    for (unsigned round = 0; round < rounds * 10; round++) {
        unsigned count = 200 + draw_below(&random, 800);
        void **cubes = take(count * sizeof *cubes);
        for (unsigned i = 0; i < count; i++)
            cubes[i] = take(8 + 8 * draw_below(&random, 8));
        for (unsigned merge = 0; merge < 2 * count; merge++) {
            unsigned place = draw_below(&random, count);
            free(cubes[place]);
            cubes[place] = take(8 + 8 * draw_below(&random, 12));
        }
        cubes = realloc(cubes, 2 * count * sizeof *cubes);
        for (unsigned i = 0; i < count; i++)
            cubes[count + i] = take(24);
        for (unsigned i = 0; i < 2 * count; i++)
            free(cubes[i]);
        free(cubes);
    }
}

struct tree {
    struct tree *child[2];
    double mass[5];
};

static struct tree *grow_tree(unsigned depth)
{
    struct tree *tree = take(sizeof *tree);
    for (unsigned i = 0; i < 2; i++)
        tree->child[i] = depth == 0 ? NULL : grow_tree(depth - 1);
    return tree;
}

static double weigh(struct tree *tree)
{
    double sum = 1;
    for (unsigned i = 0; i < 2; i++)
        sum += tree->child[i] == NULL ? 0 : weigh(tree->child[i]);
    for (unsigned i = 0; i < 5; i++)
        tree->mass[i] = sum * i;
    return sum;
}

static void fell(struct tree *tree)
{
    for (unsigned i = 0; i < 2; i++)
        if (tree->child[i] != NULL)
            fell(tree->child[i]);
    free(tree);
}

/* A tree that is built, walked over a few times, and felled. */
void run_trees(unsigned threads, unsigned rounds)
{
    (void)threads;
    for (unsigned round = 0; round < rounds; round++) {
        struct tree *tree = grow_tree(14);
        for (unsigned walk = 0; walk < 4; walk++)
            weigh(tree);
        fell(tree);
    }
}

/* Lifetimes of all lengths: most blocks die young, some stay. */
void run_lifetimes(unsigned threads, unsigned rounds)
{
    (void)threads;
    static void *slots[1 << 14];
    struct random random = {4};
    for (unsigned step = 0; step < rounds * 40000; step++) {
        unsigned place = draw_below(&random, 1u << draw_below(&random, 15));
        free(slots[place]);
        slots[place] = take(draw_size(&random, 3, 11));
    }
    for (unsigned i = 0; i < 1 << 14; i++) {
        free(slots[i]);
        slots[i] = NULL;
    }
}

/* Lines that are read, grow by realloc, and are kept in a table. */
void run_texts(unsigned threads, unsigned rounds)
{
    (void)threads;
    static char *lines[4096];
    struct random random = {5};
    for (unsigned step = 0; step < rounds * 4000; step++) {
        char *line = take(16);
        unsigned length = 16;
        unsigned wanted = 16 + draw_below(&random, 1000);
        while (length < wanted) {
            length = length * 3 / 2 + 1;
            line = realloc(line, length);
            if (line == NULL)
                abort();
            line[length - 1] = 0;
        }
        line = realloc(line, wanted);
        unsigned place = draw_below(&random, 4096);
        free(lines[place]);
        lines[place] = line;
    }
    for (unsigned i = 0; i < 4096; i++) {
        free(lines[i]);
        lines[i] = NULL;
    }
}

/* One size at a time, a burst taken and freed, in the order and in the reverse order. */
void run_bursts(unsigned threads, unsigned rounds)
{
    (void)threads;
    static void *blocks[2000];
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t size = 16; size <= 1024; size += 48) {
            for (unsigned i = 0; i < 2000; i++)
                blocks[i] = take(size);
            for (unsigned i = 0; i < 2000; i++)
                free(blocks[round % 2 == 0 ? i : 1999 - i]);
        }
    }
}

/* Blocks of a MiB or so, of which each page is written once. */
void run_large(unsigned threads, unsigned rounds)
{
    (void)threads;
    unsigned char *blocks[20] = {NULL};
    struct random random = {6};
    for (unsigned step = 0; step < rounds * 10; step++) {
        unsigned place = draw_below(&random, 20);
        free(blocks[place]);
        size_t size = ((size_t)256 << 10) + draw_below(&random, 4u << 20);
        blocks[place] = take(size);
        for (size_t at = 0; at < size; at += 4096)
            blocks[place][at] = 1;
    }
    for (unsigned i = 0; i < 20; i++)
        free(blocks[i]);
}

/* One phase of a program after another, each with blocks of its own sizes, of which a few stay. */
void run_phases(unsigned threads, unsigned rounds)
{
    (void)threads;
    static void *kept[4096];
    static void *blocks[20000];
    struct random random = {7};
    for (unsigned round = 0; round < rounds; round++) {
        unsigned power = 4 + round % 7;
        unsigned count = 20000u >> (power > 6 ? power - 6 : 0);
        for (unsigned i = 0; i < count; i++)
            blocks[i] = take(draw_size(&random, power, power + 1));
        for (unsigned i = 0; i < count; i++) {
            if (i % 64 != 0) {
                free(blocks[i]);
                continue;
            }
            unsigned place = draw_below(&random, 4096);
            free(kept[place]);
            kept[place] = blocks[i];
        }
    }
    for (unsigned i = 0; i < 4096; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}
