/* RISC-V in machine mode on QEMU's virt board: a 16550 serial port and the test finisher, which ends the emulator.
 *
 * SPDX-License-Identifier: MIT */
#include "../target.h"

static volatile uint8_t *const uart = (volatile uint8_t *)0x10000000;
static volatile uint32_t *const finisher = (volatile uint32_t *)0x100000;

#define UART_LINE_STATUS 5
#define UART_CAN_SEND    0x20

#define FINISHER_PASS 0x5555u
#define FINISHER_FAIL 0x3333u

/* Physical memory protection: one naturally aligned power of two, readable only, locked, which binds machine mode too.
 */
#define PMP_GUARD 0x99u

_Noreturn void target_exception(uintptr_t cause, uintptr_t program_counter, uintptr_t value);

void target_start(const void *boot_information)
{
    (void)boot_information;
    uintptr_t guard = (uintptr_t)stack_bottom >> 2 | (TARGET_GUARD / 8 - 1);
    __asm__ volatile("csrw pmpaddr0, %0\n\tcsrw pmpcfg0, %1" : : "r"(guard), "r"(PMP_GUARD) : "memory");
}

void platform_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((uart[UART_LINE_STATUS] & UART_CAN_SEND) == 0) {
        }
        uart[0] = (uint8_t)text[i];
    }
}

_Noreturn void target_exit(int status)
{
    *finisher = status == 0 ? FINISHER_PASS : (uint32_t)status << 16 | FINISHER_FAIL;
    for (;;) {
        __asm__ volatile("wfi");
    }
}

_Noreturn void target_exception(uintptr_t cause, uintptr_t program_counter, uintptr_t value)
{
    static const char *const names[] = {
        "instruction address misaligned", "instruction access fault", "illegal instruction",      "breakpoint",
        "load address misaligned",        "load access fault",        "store address misaligned", "store access fault",
    };
    size_t count = sizeof(names) / sizeof(names[0]);
    platform_exception(cause < count ? names[cause] : "unexpected exception", program_counter, value);
}
