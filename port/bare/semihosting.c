/* What the platform uses of semihosting: the command line, which it offers as the image's arguments, and, where the
 * board has no device for that, the way out.
 *
 * SPDX-License-Identifier: MIT */
#include "semihosting.h"
#include "platform.h"

#define GET_COMMAND_LINE 0x15
#define EXIT_EXTENDED    0x20
#define APPLICATION_EXIT 0x20026

const char *platform_arguments(void)
{
    static char text[256];
    uintptr_t block[] = {(uintptr_t)text, sizeof(text)};
    return semihosting_call(GET_COMMAND_LINE, block) == 0 ? text : "";
}

void semihosting_exit(int status)
{
    uintptr_t block[] = {APPLICATION_EXIT, (uintptr_t)status};
    semihosting_call(EXIT_EXTENDED, block);
}
