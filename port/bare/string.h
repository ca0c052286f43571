/* <string.h> where there is no C library: what a compiler may call by itself (memory.c).
 *
 * SPDX-License-Identifier: MIT */
#ifndef PLATFORM_STRING_H
#define PLATFORM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
