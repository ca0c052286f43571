/* Further processors, and a timer's interrupts on each: on targets that have a processors.S (riscv64, aarch64). An
 * image that names nothing of this runs on one processor, without interrupts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PLATFORM_PROCESSORS_H
#define PLATFORM_PROCESSORS_H

#include <stdint.h>

#define PLATFORM_PROCESSORS 8 /* at most */

/* Starts all other processors that the board has. Each calls entry with its number, from 1, interrupts off, on a stack
 * of 16 KiB, and waits for ever when that returns; a stack that was found overrun by then ends the image. Returns how
 * many processors there are with the caller, which is number 0. To be called once, by main. */
unsigned platform_processors_start(void (*entry)(unsigned number));

/* The number of the calling processor. */
unsigned platform_processor(void);

/* From now on calls `handler` every so many microseconds on this processor, with interrupts off, while they are on
 * otherwise. The same handler on all. 0 ends it. */
void platform_timer_set(uint32_t microseconds, void (*handler)(void));

/* Turns this processor's interrupts off; says what they were, for platform_interrupts_restore. */
uintptr_t platform_interrupts_off(void);
void platform_interrupts_on(void);
void platform_interrupts_restore(uintptr_t state);

#endif
