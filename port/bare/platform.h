/* What an image that runs without an operating system may ask of its platform. The platform starts the processor,
 * gives variables their first values, and calls main with interrupts off, on a stack of 64 KiB, of which the lowest 4
 * may be a guard. main's value is the image's exit status.
 *
 * A processor exception prints one line, which names its cause, the program counter and the address that was touched,
 * and ends the image with PLATFORM_STATUS_FAULT. So does a stack that was found overrun, at the latest at exit.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stddef.h>

#define PLATFORM_STATUS_MOST  123 /* the greatest exit status that is the image's own */
#define PLATFORM_STATUS_FAULT 125 /* 124 is that of an emulator which has waited long enough */

int main(void);

/* Writes to the serial port, and returns when the last byte is with it. */
void platform_write(const char *text, size_t length);

/* Ends the image. A status outside 0 to PLATFORM_STATUS_MOST arrives as the latter. */
_Noreturn void platform_exit(int status);

/* The free memory beside the image, as one span; start and size are multiples of 4096. */
void platform_memory(void **start, size_t *size);

/* The text that the image was started with; empty if there is none. */
const char *platform_arguments(void);

#endif
