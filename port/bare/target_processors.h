/* Between processors.c and one target's processors.S and processors.c. SPDX-License-Identifier: MIT */
#ifndef TARGET_PROCESSORS_H
#define TARGET_PROCESSORS_H

#include <stdbool.h>

#include "target.h"

/* processors.S has it too. */
#define PROCESSOR_STACK 16384

/* Lets processor `number` enter processor_main on the top of its stack; false if the board has none of this number. */
bool target_processor_start(unsigned number);

/* Makes interrupts and exceptions arrive at this processor; may be called again. */
void target_processor_prepare(void);

/* Makes the timer interrupt once, after so many microseconds; never, if that is 0. */
void target_timer_next(uint32_t microseconds);

/* Called by processors.S. */
_Noreturn void processor_main(unsigned number);

/* Called for each interrupt of the timer. */
void processor_timer(void);

#endif
