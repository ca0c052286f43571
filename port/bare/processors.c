/* Further processors, as far as targets share them: their stacks, and the timer's period.
 *
 * A stack has a pattern in its lowest bytes, which is looked at when its processor has done.
 *
 * SPDX-License-Identifier: MIT */
#include "processors.h"
#include <string.h>
#include "target_processors.h"

#define PATTERN_BYTES 256
#define PATTERN       0xa5

_Alignas(4096) unsigned char processor_stacks[PLATFORM_PROCESSORS - 1][PROCESSOR_STACK];

static void (*processor_entry)(unsigned number);
static void (*timer_handler)(void);
static uint32_t timer_period[PLATFORM_PROCESSORS]; /* in microseconds */

unsigned platform_processors_start(void (*entry)(unsigned number))
{
    processor_entry = entry;
    target_processor = platform_processor;
    memset(processor_stacks, PATTERN, sizeof processor_stacks);
    unsigned count = 1;
    while (count < PLATFORM_PROCESSORS && target_processor_start(count)) {
        count++;
    }
    return count;
}

_Noreturn void processor_main(unsigned number)
{
    const unsigned char *stack = processor_stacks[number - 1];
    target_processor_prepare();
    processor_entry(number);
    platform_timer_set(0, NULL);
    platform_interrupts_off();
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        if (stack[i] != PATTERN) {
            platform_exception("stack overflow", 0, (uintptr_t)&stack[i]);
        }
    }
    for (;;) {
        __asm__ volatile("wfi");
    }
}

void platform_timer_set(uint32_t microseconds, void (*handler)(void))
{
    uintptr_t state = platform_interrupts_off();
    target_processor_prepare();
    if (handler != NULL) {
        __atomic_store_n(&timer_handler, handler, __ATOMIC_RELEASE);
    }
    timer_period[platform_processor()] = microseconds;
    target_timer_next(microseconds);
    platform_interrupts_restore(state);
}

void processor_timer(void)
{
    target_timer_next(timer_period[platform_processor()]);
    __atomic_load_n(&timer_handler, __ATOMIC_ACQUIRE)();
}
