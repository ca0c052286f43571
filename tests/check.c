/* Running tests, with cmocka or without. All output goes through platform_write, and numbers are formatted here,
 * because on bare metal there is no printf.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

size_t check_seed;

static void say(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    platform_write(text, length);
}

void check_say(const char *before, size_t number, const char *after)
{
    char digits[24];
    size_t first = sizeof digits - 1;
    digits[first] = '\0';
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    say(before);
    say(&digits[first]);
    say(after);
}

static int say_result(size_t passed, size_t failed)
{
    if (failed != 0 && check_seed != 0)
        check_say("seed ", check_seed, "\n");
    check_say("", passed, " passed, ");
    check_say("", failed, " failed\n");
    return failed == 0 ? 0 : 1;
}

#ifdef KNOLL_TEST_CMOCKA

int check_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    arena_open();
    int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    size_t not_passed = failed < 0 ? count : (size_t)failed;
    return say_result(count - not_passed, not_passed);
}

#else

static size_t passed_so_far;

/* In hexadecimal: a division of 64 bits is not to be had everywhere. */
static void say_hex(uint64_t number)
{
    char digits[] = "0x0000000000000000";
    for (size_t i = sizeof digits - 2; number != 0; i--, number >>= 4)
        digits[i] = "0123456789abcdef"[number & 15];
    say(digits);
}

_Noreturn void check_failed(const char *file, int line, const char *what, uint64_t got, uint64_t expected)
{
    say(file);
    check_say(":", (size_t)line, ": failed: ");
    say(what);
    if (got != expected) {
        say(": got ");
        say_hex(got);
        say(", expected ");
        say_hex(expected);
    }
    say("\n");
    platform_exit(say_result(passed_so_far, 1));
}

int check_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    arena_open();
    say(name);
    say("\n");
    for (size_t i = 0; i < count; i++) {
        say("  ");
        say(tests[i].name);
        say("\n");
        tests[i].test_func(NULL);
        passed_so_far++;
    }
    return say_result(passed_so_far, 0);
}

#endif
