/* A PC in long mode: the first serial port; QEMU's debug-exit device ends the emulator.
 *
 * SPDX-License-Identifier: MIT */
#include "../target.h"

#define COM1            0x3f8
#define COM1_STATUS     (COM1 + 5)
#define COM1_CAN_SEND   0x20u
#define DEBUG_EXIT      0xf4
#define EXCEPTION_COUNT 32

#define CODE_SELECTOR 8u
#define TASK_SELECTOR 16u

/* The start of what a PVH boot loader tells. */
struct boot_information {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line;
};

#define BOOT_MAGIC 0x336ec578u

/* Tables that the processor reads. */
struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t address;
};

extern unsigned char exceptions[];
extern uint64_t descriptors[];

static uint64_t gates[2 * EXCEPTION_COUNT];
static uint32_t task_state[26];
static const char *arguments = "";

_Noreturn void target_exception(uint64_t vector, uintptr_t program_counter, uintptr_t address);

static void port_write(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static void port_write_byte(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read_byte(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* All exceptions on the stack in slot 1 of the task state, which is the usual one from its top: they never return, and
 * where the stack pointer was may not be memory. The addresses are below 4 GiB. */
static void catch_exceptions(void)
{
    task_state[9] = (uint32_t)(uintptr_t)stack_top;
    uint64_t base = (uintptr_t)task_state;
    descriptors[2] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 | (uint64_t)0x89 << 40 | base >> 24 << 56;
    for (size_t i = 0; i < EXCEPTION_COUNT; i++) {
        uint64_t entry = (uintptr_t)exceptions + 16 * i;
        gates[2 * i] = (entry & 0xffff) | CODE_SELECTOR << 16 | (uint64_t)0x8e01 << 32 | entry >> 16 << 48;
    }
    struct table_pointer pointer = {sizeof(gates) - 1, (uintptr_t)gates};
    __asm__ volatile("lidt %0\n\tltr %1" : : "m"(pointer), "r"((uint16_t)TASK_SELECTOR) : "memory");
}

void target_start(const void *boot_information)
{
    catch_exceptions();
    const struct boot_information *boot = boot_information;
    if (boot != NULL && boot->magic == BOOT_MAGIC && boot->command_line != 0) {
        arguments = (const char *)(uintptr_t)boot->command_line;
    }
}

void platform_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((port_read_byte(COM1_STATUS) & COM1_CAN_SEND) == 0) {
        }
        port_write_byte(COM1, (uint8_t)text[i]);
    }
}

const char *platform_arguments(void)
{
    return arguments;
}

/* The emulator ends with twice this and one; 1 is left to its own failures. */
_Noreturn void target_exit(int status)
{
    port_write(DEBUG_EXIT, (uint32_t)status + 1);
    for (;;) {
        __asm__ volatile("cli\n\thlt");
    }
}

_Noreturn void target_exception(uint64_t vector, uintptr_t program_counter, uintptr_t address)
{
    static const char *const names[] = {
        "division error",
        "debug",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "out of bounds",
        "invalid instruction",
        "no coprocessor",
        "double fault",
        "coprocessor",
        "invalid task state",
        "segment not present",
        "stack segment fault",
        "protection fault",
        "page fault",
    };
    size_t count = sizeof(names) / sizeof(names[0]);
    platform_exception(vector < count ? names[vector] : "unexpected exception", program_counter, address);
}
