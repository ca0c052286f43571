/* Calls to the debugger or emulator that watches the processor, in the form that Arm defined and RISC-V took over.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

/* In start.S: the trapping instruction that stands for the call. */
uintptr_t semihosting_call(uintptr_t operation, void *block);

/* Ends the emulator with this status. */
void semihosting_exit(int status);

#endif
