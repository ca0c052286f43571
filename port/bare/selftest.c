/* An image that tries the platform itself. Its argument says how it is to end; without one it checks the four memory
 * functions and the memory span, and ends with 0. tests/bare_platform.cmake runs all of the ways.
 *
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include "target.h"

/* No memory and no device on any of the boards. */
#define WILD_ADDRESS ((uintptr_t)0xa0000000)

static void say(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    platform_write(text, length);
}

static int starts_with(const char *text, const char *beginning)
{
    while (*beginning != '\0' && *text == *beginning) {
        text++;
        beginning++;
    }
    return *beginning == '\0';
}

static void expect(int holds, const char *what)
{
    if (!holds) {
        say("selftest: wrong: ");
        say(what);
        say("\n");
        platform_exit(1);
    }
}

/* Each function against a loop of bytes, for all small sizes and misalignments; the bytes around must stay. */
static void check_memory_functions(void)
{
    enum { SPAN = 64, MOST = 24 };
    unsigned char before[SPAN], after[SPAN], expected[SPAN];
    for (unsigned i = 0; i < SPAN; i++) {
        before[i] = (unsigned char)(i * 37 + 1);
    }
    for (unsigned from = 16; from < 24; from++) {
        for (unsigned to = 8; to < 40; to++) {
            for (unsigned size = 0; size <= MOST; size++) {
                for (unsigned i = 0; i < SPAN; i++) {
                    expected[i] = i - to < size ? before[from + i - to] : before[i];
                    after[i] = before[i];
                }
                expect(memmove(after + to, after + from, size) == after + to, "what memmove returns");
                expect(memcmp(after, expected, SPAN) == 0, "memmove");

                expect(memcpy(after, before, SPAN) == after, "what memcpy returns");
                memcpy(after + to, before + from, size);
                expect(memcmp(after, expected, SPAN) == 0, "memcpy");

                expect(memset(after + to, 0xc3, size) == after + to, "what memset returns");
                for (unsigned i = 0; i < SPAN; i++) {
                    expect(after[i] == (i - to < size ? 0xc3 : before[i]), "memset");
                }
            }
        }
    }
    expect(memcmp("abc", "abd", 3) < 0 && memcmp("\xff", "a", 1) > 0 && memcmp("abc", "abd", 2) == 0, "memcmp");
}

static void check_memory_span(void)
{
    void *start;
    size_t size;
    platform_memory(&start, &size);
    expect((uintptr_t)start % 4096 == 0 && size % 4096 == 0, "the span's alignment");
    expect(size >= (size_t)4 << 20, "the span's size");
    volatile unsigned char *first = start;
    volatile unsigned char *last = first + size - 1;
    *first = 0x5a;
    *last = 0xa5;
    expect(*first == 0x5a && *last == 0xa5, "what the span's ends hold");
}

/* What C programs take for granted. */
static void check_variables(void)
{
    static volatile int initialised = 12345;
    static volatile int cleared[1000];
    expect(initialised == 12345, "initialised variables");
    for (size_t i = 0; i < sizeof(cleared) / sizeof(cleared[0]); i++) {
        expect(cleared[i] == 0, "cleared variables");
    }
}

/* Each call needs its caller's frame, so that no compiler makes this a loop. */
static unsigned descend(const volatile unsigned *caller)
{
    volatile unsigned frame[16];
    frame[0] = *caller + 1;
    return frame[0] == 0 ? 0 : descend(frame) + frame[0];
}

int main(void)
{
    const char *arguments = platform_arguments();
    if (starts_with(arguments, "exit ")) {
        int status = 0;
        for (const char *digit = arguments + 5; *digit >= '0' && *digit <= '9'; digit++) {
            status = 10 * status + (*digit - '0');
        }
        platform_exit(status);
    } else if (starts_with(arguments, "return")) {
        return 42;
    } else if (starts_with(arguments, "trap")) {
        __builtin_trap();
    } else if (starts_with(arguments, "wild")) {
        *(volatile unsigned *)WILD_ADDRESS = 1;
        return 0;
    } else if (starts_with(arguments, "overflow")) {
        volatile unsigned zero = 0;
        return descend(&zero) != 0;
    } else if (starts_with(arguments, "overrun")) {
        *(volatile unsigned char *)stack_bottom = 0;
        return 0;
    } else if (starts_with(arguments, "wait")) {
        for (;;) {
        }
    }
    check_memory_functions();
    check_memory_span();
    check_variables();
    say("selftest: passed\n");
    return 0;
}
