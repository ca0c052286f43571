/* The part of the platform that all targets share: from start.S to main and out again, and how a fault is told.
 *
 * The stack is watched twice. Where the processor can, the target makes the memory at or under its bottom trap, which
 * tells where it happened. Everywhere, its last words hold a pattern that is looked at on the way out.
 *
 * SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "target.h"

#define GUARD_BYTES   256
#define GUARD_PATTERN 0xa5

unsigned (*target_processor)(void);

static size_t distance(const unsigned char *from, const unsigned char *to)
{
    return (uintptr_t)to - (uintptr_t)from; /* of symbols, which C does not know to be in one object */
}

_Noreturn void platform_start(const void *boot_information)
{
    memmove(data_start, data_initial,
            distance(data_start, data_end)); /* from itself, but for images in read-only memory */
    memset(bss_start, 0, distance(bss_start, bss_end));
    memset(stack_bottom, GUARD_PATTERN, GUARD_BYTES);
    target_start(boot_information);
    platform_exit(main());
}

static bool stack_overrun(void)
{
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        if (stack_bottom[i] != GUARD_PATTERN) {
            return true;
        }
    }
    return false;
}

static void say(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    platform_write(text, length);
}

static void say_address(uintptr_t address)
{
    say("0x");
    for (unsigned shift = 8 * sizeof(address); shift != 0;) {
        shift -= 4;
        platform_write(&"0123456789abcdef"[address >> shift & 15], 1);
    }
}

/* Returns on the first processor that comes here, and only once. */
static void claim_telling(void)
{
    static unsigned telling; /* the processor's number, and one */
    unsigned nobody = 0;
    unsigned self = 1 + (target_processor == NULL ? 0 : target_processor());
    if (__atomic_load_n(&telling, __ATOMIC_RELAXED) == self) { /* an exception in the telling: no text, but an end */
        target_exit(PLATFORM_STATUS_FAULT);
    }
    if (target_processor == NULL) { /* alone: an exchange could be an exception, in memory that is not cached */
        __atomic_store_n(&telling, self, __ATOMIC_RELAXED);
    } else if (!__atomic_compare_exchange_n(&telling, &nobody, self, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        for (;;) { /* another one tells, and then ends the image */
        }
    }
}

_Noreturn void platform_exception(const char *cause, uintptr_t program_counter, uintptr_t address)
{
    claim_telling();
    say("exception: ");
    if (address - ((uintptr_t)stack_bottom - TARGET_GUARD) < (uintptr_t)2 * TARGET_GUARD || stack_overrun()) {
        say("stack overflow: ");
    }
    say(cause);
    say(" at ");
    say_address(program_counter);
    say(", address ");
    say_address(address);
    say("\n");
    target_exit(PLATFORM_STATUS_FAULT);
}

_Noreturn void platform_exit(int status)
{
    if (stack_overrun()) {
        say("stack overflow: found at exit\n");
        target_exit(PLATFORM_STATUS_FAULT);
    }
    target_exit(status < 0 || status > PLATFORM_STATUS_MOST ? PLATFORM_STATUS_MOST : status);
}

void platform_memory(void **start, size_t *size)
{
    *start = memory_start;
    *size = distance(memory_start, memory_end);
}
