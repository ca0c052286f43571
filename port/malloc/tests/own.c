/* A program that has a malloc of its own, but not all that goes with it, and loads the library all the same.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(16) unsigned char memory[1 << 20];
static size_t taken;

static bool is_own(const void *block)
{
    return (uintptr_t)block - (uintptr_t)memory < sizeof memory;
}

/* The size stands before each block, and nothing is ever taken back. */
void *malloc(size_t size)
{
    unsigned char *block = memory + taken + 16;
    if (size > sizeof memory - taken - 32)
        return NULL;
    taken += 16 + (size + 15) / 16 * 16;
    memcpy(block - 16, &size, sizeof size);
    return block;
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* which reads as zero */
}

void *realloc(void *block, size_t size)
{
    void *moved = malloc(size);
    size_t old = 0;
    if (block != NULL)
        memcpy(&old, (unsigned char *)block - 16, sizeof old);
    if (moved != NULL && block != NULL)
        memcpy(moved, block, old < size ? old : size);
    return moved;
}

void free(void *block)
{
    if (block != NULL && !is_own(block))
        abort();
}

int main(void)
{
    char *text = strdup("text");
    if (!is_own(text))
        return 1;
    text = reallocarray(text, 100, 10);
    if (!is_own(text) || strcmp(text, "text") != 0)
        return 2;
    free(text);
    return 0;
}
