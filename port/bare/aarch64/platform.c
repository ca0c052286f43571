/* AArch64 in EL1 on QEMU's virt board: a PL011 serial port; semihosting ends the emulator.
 *
 * SPDX-License-Identifier: MIT */
#include "../semihosting.h"
#include "../target.h"

static volatile uint32_t *const uart = (volatile uint32_t *)0x09000000;

#define UART_FLAGS (0x18 / 4)
#define UART_FULL  0x20u

_Noreturn void target_exception(uint64_t syndrome, uintptr_t program_counter, uintptr_t address);

void target_start(const void *boot_information)
{
    (void)boot_information;
}

void platform_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((uart[UART_FLAGS] & UART_FULL) != 0) {
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

static const char *cause_name(uint64_t syndrome)
{
    switch (syndrome >> 26 & 0x3f) {
    case 0x00:
        return "undefined instruction";
    case 0x07:
        return "floating-point instruction";
    case 0x0e:
        return "illegal execution state";
    case 0x21:
        return "instruction abort";
    case 0x22:
        return "program counter misaligned";
    case 0x25:
        return "data abort";
    case 0x26:
        return "stack pointer misaligned";
    case 0x3c:
        return "breakpoint";
    default:
        return "unexpected exception";
    }
}

_Noreturn void target_exception(uint64_t syndrome, uintptr_t program_counter, uintptr_t address)
{
    platform_exception(cause_name(syndrome), program_counter, address);
}
