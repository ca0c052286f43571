/* Harts of QEMU's virt board: the core-local interruptor wakes them, and has a timer for each.
 *
 * SPDX-License-Identifier: MIT */
#include "../processors.h"
#include "../target_processors.h"

static volatile uint32_t *const software_interrupt = (volatile uint32_t *)0x2000000; /* a word each hart */
static volatile uint64_t *const timer_compare = (volatile uint64_t *)0x2004000;      /* two words each hart */
static volatile uint64_t *const timer = (volatile uint64_t *)0x200bff8;

#define TIMER_PER_MICROSECOND 10 /* the board's clock */

#define MSTATUS_MIE 0x8u
#define MIE_TIMER   0x80u

/* Where harts that wait in start.S go. */
extern void (*volatile hart_entry)(void);

void processor_enter(void);
void processor_trap(void);

bool target_processor_start(unsigned number)
{
    hart_entry = processor_enter;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    software_interrupt[number] = 1;
    return software_interrupt[number] == 1; /* the hart lets it stand; where there is none nothing is kept */
}

void target_processor_prepare(void)
{
    __asm__ volatile("csrw mtvec, %0\n\tcsrw mie, %1" : : "r"(processor_trap), "r"((uintptr_t)MIE_TIMER) : "memory");
}

unsigned platform_processor(void)
{
    uintptr_t hart;
    __asm__ volatile("csrr %0, mhartid" : "=r"(hart));
    return (unsigned)hart;
}

void target_timer_next(uint32_t microseconds)
{
    timer_compare[platform_processor()] =
        microseconds == 0 ? UINT64_MAX : *timer + (uint64_t)microseconds * TIMER_PER_MICROSECOND;
}

uintptr_t platform_interrupts_off(void)
{
    uintptr_t state;
    __asm__ volatile("csrrc %0, mstatus, %1" : "=r"(state) : "r"((uintptr_t)MSTATUS_MIE) : "memory");
    return state & MSTATUS_MIE;
}

void platform_interrupts_on(void)
{
    platform_interrupts_restore(MSTATUS_MIE);
}

void platform_interrupts_restore(uintptr_t state)
{
    __asm__ volatile("csrs mstatus, %0" : : "r"(state) : "memory");
}
