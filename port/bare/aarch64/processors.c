/* Processors of QEMU's virt board: its firmware interface starts them, and each has the architecture's virtual timer,
 * whose interrupt comes through a GICv2.
 *
 * SPDX-License-Identifier: MIT */
#include "../processors.h"
#include "../target_processors.h"

static volatile uint32_t *const distributor = (volatile uint32_t *)0x08000000;
static volatile uint32_t *const cpu_interface = (volatile uint32_t *)0x08010000; /* of whoever reads it */

#define GICD_CONTROL    0u
#define GICD_SET_ENABLE (0x100u / 4) /* its first word is each processor's own */
#define GICC_CONTROL    0u
#define GICC_PRIORITY   (0x4u / 4)
#define GICC_TAKE       (0xcu / 4)
#define GICC_END        (0x10u / 4)

#define GICC_NUMBER 0x3ffu
#define TIMER       27u

#define PSCI_CPU_ON  0xc4000003u
#define PSCI_SUCCESS 0

#define DAIF_IRQ 0x80u

void processor_enter(void);
void target_interrupt(void);
extern unsigned char processor_vectors[];

bool target_processor_start(unsigned number)
{
    register uint64_t x0 __asm__("x0") = PSCI_CPU_ON;
    register uint64_t x1 __asm__("x1") = number;
    register uint64_t x2 __asm__("x2") = (uintptr_t)processor_enter;
    register uint64_t x3 __asm__("x3") = number;
    __asm__ volatile("dsb sy\n\thvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return x0 == PSCI_SUCCESS;
}

void target_processor_prepare(void)
{
    __asm__ volatile("msr vbar_el1, %0\n\tisb" : : "r"(processor_vectors) : "memory");
    distributor[GICD_CONTROL] = 1;
    distributor[GICD_SET_ENABLE] = 1u << TIMER;
    cpu_interface[GICC_PRIORITY] = 0xff;
    cpu_interface[GICC_CONTROL] = 1;
}

void target_interrupt(void)
{
    uint32_t taken = cpu_interface[GICC_TAKE];
    if ((taken & GICC_NUMBER) == TIMER) {
        processor_timer(); /* which lets the line go, by setting the timer */
    }
    if ((taken & GICC_NUMBER) < 1020) { /* not spurious */
        cpu_interface[GICC_END] = taken;
    }
}

unsigned platform_processor(void)
{
    uint64_t affinity;
    __asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
    return affinity & 0xff;
}

void target_timer_next(uint32_t microseconds)
{
    uint64_t frequency;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    uint64_t ticks = frequency * microseconds / 1000000;
    uint64_t control = microseconds != 0;
    __asm__ volatile("msr cntv_tval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" : : "r"(ticks), "r"(control) : "memory");
}

uintptr_t platform_interrupts_off(void)
{
    uintptr_t state;
    __asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(state) : : "memory");
    return state & DAIF_IRQ;
}

void platform_interrupts_on(void)
{
    platform_interrupts_restore(0);
}

void platform_interrupts_restore(uintptr_t state)
{
    if ((state & DAIF_IRQ) == 0) {
        __asm__ volatile("msr daifclr, #2" : : : "memory");
    }
}
