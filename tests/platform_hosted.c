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

void platform_memory(void **start, size_t *size)
{
    static _Alignas(KNOLL_PAGE) unsigned char memory[ARENA_MAXIMUM];
    *start = memory;
    *size = sizeof memory;
}

_Noreturn void platform_exit(int status)
{
    exit(status);
}
