/* A Cortex-M on Arm's MPS2 board: its own serial port; semihosting ends the emulator. All faults arrive as hard faults,
 * because nothing enables the finer ones; the fault status registers tell them apart.
 *
 * SPDX-License-Identifier: MIT */
#include <stdbool.h>

#include "../semihosting.h"
#include "../target.h"

static volatile uint32_t *const uart = (volatile uint32_t *)0x40004000;

#define UART_STATE   1
#define UART_FULL    1u
#define UART_CONTROL 2
#define UART_SENDS   1u
#define UART_DIVIDER 4
#define UART_FASTEST 16u

/* The memory protection unit. */
static volatile uint32_t *const protection = (volatile uint32_t *)0xe000ed94;

#define PROTECTION_CONTROL 0 /* words from the first */
#define PROTECTION_BASE    2
#define PROTECTION_REGION  3

#define BASE_IS_REGION_0     (1u << 4)
#define REGION_4096_BYTES    (11u << 1 | 1u)
#define REGION_PLAIN_MEMORY  (1u << 19)
#define REGION_READ_ONLY     (5u << 24)
#define CONTROL_OVER_DEFAULT (1u << 2 | 1u) /* what is in no region stays as it is without the unit */

static volatile uint32_t *const fault_status = (volatile uint32_t *)0xe000ed28;

#define FAULT_HARD   1 /* words from the first */
#define FAULT_MEMORY 3
#define FAULT_BUS    4

#define FAULT_MEMORY_VALID (1u << 7)
#define FAULT_BUS_VALID    (1u << 15)
#define FAULT_STACKING     (1u << 4 | 1u << 12)
#define FAULT_BREAKPOINT   (1u << 31)

_Noreturn void target_exception(const uint32_t *frame, uint32_t number);

void target_start(const void *boot_information)
{
    (void)boot_information;
    uart[UART_DIVIDER] = UART_FASTEST;
    uart[UART_CONTROL] = UART_SENDS;
    protection[PROTECTION_BASE] = (uintptr_t)stack_bottom | BASE_IS_REGION_0;
    protection[PROTECTION_REGION] = REGION_READ_ONLY | REGION_PLAIN_MEMORY | REGION_4096_BYTES;
    protection[PROTECTION_CONTROL] = CONTROL_OVER_DEFAULT;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
}

void platform_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((uart[UART_STATE] & UART_FULL) != 0) {
        }
        uart[0] = (uint8_t)text[i];
    }
}

_Noreturn void target_exit(int status)
{
    semihosting_exit(status);
    for (;;) {
        __asm__ volatile("wfi");
    }
}

static const char *cause_name(uint32_t number, uint32_t status)
{
    static const struct {
        uint32_t bits;
        const char *name;
    } causes[] = {
        {FAULT_STACKING, "fault while entering an exception"},
        {1u << 16, "undefined instruction"},
        {1u << 17, "not Thumb state"},
        {1u << 18, "invalid exception return"},
        {1u << 19, "no coprocessor"},
        {1u << 24, "unaligned access"},
        {1u << 25, "division by zero"},
        {1u << 0 | 1u << 8, "instruction access fault"},
        {1u << 1 | 1u << 9 | 1u << 10, "data access fault"},
    };
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if ((status & causes[i].bits) != 0) {
            return causes[i].name;
        }
    }
    if (number == 3 && (fault_status[FAULT_HARD] & FAULT_BREAKPOINT) != 0) {
        return "breakpoint";
    }
    return number == 3 ? "hard fault" : "unexpected exception";
}

/* `frame` is where the processor saved eight registers, the seventh being the program counter. Where the stack was not
 * good for that, it is unknown, and told as 0. */
_Noreturn void target_exception(const uint32_t *frame, uint32_t number)
{
    uint32_t status = fault_status[0];
    uintptr_t address = 0;
    if ((status & FAULT_STACKING) != 0) {
        address = (uintptr_t)frame;
    } else if ((status & FAULT_BUS_VALID) != 0) {
        address = fault_status[FAULT_BUS];
    } else if ((status & FAULT_MEMORY_VALID) != 0) {
        address = fault_status[FAULT_MEMORY];
    }
    uintptr_t depth = (uintptr_t)stack_top - (uintptr_t)frame;
    bool saved = (status & FAULT_STACKING) == 0 && depth <= (uintptr_t)stack_top - (uintptr_t)stack_bottom;
    platform_exception(cause_name(number, status), saved ? frame[6] : 0, address);
}
