/* What a board does for the tests, done by the C library.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

void platform_write(const char *text, size_t length)
{
    fwrite(text, 1, length, stdout);
    fflush(stdout);
}

/* Buddies and aligned blocks lie where addresses have them lie: so that each run of a test does the same, its memory
 * starts at the same place within a multiple of anything that it asks for. */
void platform_memory(void **start, size_t *size)
{
    enum { ALIGNMENT = 64 << 20 };
    static unsigned char memory[ARENA_MAXIMUM + ALIGNMENT];
    *start = memory + (-(uintptr_t)memory & (ALIGNMENT - 1));
    *size = ARENA_MAXIMUM;
}

_Noreturn void platform_exit(int status)
{
    exit(status);
}
