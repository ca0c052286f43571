/* The four functions that compilers call without being asked. Words where both addresses are aligned alike, which is
 * the common case and several times faster; bytes elsewhere, because not every processor loads an unaligned word.
 *
 * A compiler that recognises these loops would make each of them a call of itself: compile this file with that
 * recognition off (-ffreestanding in clang, -fno-tree-loop-distribute-patterns in gcc). And without optimisation at
 * link time (-fno-lto): there functions that nothing calls yet are dropped before the calls of them are made.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>
#include <stdbool.h>
#include <stdint.h>

/* The type may alias any other, as characters do. */
typedef uintptr_t __attribute__((may_alias)) word;

static bool aligned(const void *pointer)
{
    return (uintptr_t)pointer % sizeof(word) == 0;
}

static bool aligned_alike(const void *a, const void *b)
{
    return ((uintptr_t)a ^ (uintptr_t)b) % sizeof(word) == 0;
}

/* Lowest address first, so that it also moves downwards between spans that overlap. */
static void copy_up(unsigned char *to, const unsigned char *from, size_t size)
{
    if (aligned_alike(to, from)) {
        for (; size != 0 && !aligned(to); size--) {
            *to++ = *from++;
        }
        for (; size >= sizeof(word); size -= sizeof(word)) {
            *(word *)(void *)to = *(const word *)(const void *)from;
            to += sizeof(word);
            from += sizeof(word);
        }
    }
    for (; size != 0; size--) {
        *to++ = *from++;
    }
}

/* Highest address first; the pointers are past the ends. */
static void copy_down(unsigned char *to, const unsigned char *from, size_t size)
{
    if (aligned_alike(to, from)) {
        for (; size != 0 && !aligned(to); size--) {
            *--to = *--from;
        }
        for (; size >= sizeof(word); size -= sizeof(word)) {
            to -= sizeof(word);
            from -= sizeof(word);
            *(word *)(void *)to = *(const word *)(const void *)from;
        }
    }
    for (; size != 0; size--) {
        *--to = *--from;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    copy_up(to, from, size);
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    /* In unsigned arithmetic a target below the source is far above it, so one comparison finds the harmful overlap. */
    if ((uintptr_t)to - (uintptr_t)from >= size) {
        copy_up(to, from, size);
    } else {
        copy_down((unsigned char *)to + size, (const unsigned char *)from + size, size);
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    unsigned char byte = (unsigned char)value;
    unsigned char *next = to;
    for (; size != 0 && !aligned(next); size--) {
        *next++ = byte;
    }
    word pattern = UINTPTR_MAX / 0xff * byte; /* the byte in every byte */
    for (; size >= sizeof(word); size -= sizeof(word)) {
        *(word *)(void *)next = pattern;
        next += sizeof(word);
    }
    for (; size != 0; size--) {
        *next++ = byte;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = a;
    const unsigned char *right = b;
    for (; size != 0; size--, left++, right++) {
        if (*left != *right) {
            return *left < *right ? -1 : 1;
        }
    }
    return 0;
}
