/* Between the shared part of the platform and one target's. Each target has a start.S that enters platform_start on
 * the stack, and provides platform_write, platform_arguments and the target_ functions; its link.ld provides the
 * symbols.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TARGET_H
#define TARGET_H

#include <stdint.h>

#include "platform.h"

extern unsigned char stack_bottom[], stack_top[];
extern unsigned char memory_start[], memory_end[];
extern unsigned char data_start[], data_end[], data_initial[];
extern unsigned char bss_start[], bss_end[];

/* The stack's guard is this many bytes, either from its bottom up or from there down, as the target can. */
#define TARGET_GUARD 4096u

/* Called by start.S. What the boot loader said is passed on to target_start. */
_Noreturn void platform_start(const void *boot_information);

/* Called by the target's exception handler, on any stack that works. */
_Noreturn void platform_exception(const char *cause, uintptr_t program_counter, uintptr_t address);

/* Says which processor is asking, once there are several; until then NULL. */
extern unsigned (*target_processor)(void);

/* Makes exceptions arrive, guards the stack, opens the serial port. */
void target_start(const void *boot_information);

/* Leaves with a status of 0 to 127. */
_Noreturn void target_exit(int status);

#endif
