/* What the tests assert with: cmocka where it is (KNOLL_TEST_CMOCKA), and where it is not, the few of its macros that
 * the tests use, so that one source runs under an operating system and on bare metal.
 *
 * Without cmocka the first assertion that fails ends the program with status 1: there is nothing to unwind to. Either
 * way a run ends in the line "N passed, N failed".
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_CHECK_H
#define KNOLL_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>

#ifdef KNOLL_TEST_CMOCKA

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#else

struct CMUnitTest {
    const char *name;
    void (*test_func)(void **state);
};

#define cmocka_unit_test(function)                                                                                     \
    {                                                                                                                  \
#function, function                                                                                            \
    }

/* Ends the program. The two numbers are printed where they differ. */
_Noreturn void check_failed(const char *file, int line, const char *what, uint64_t got, uint64_t expected);

#define check_that(holds, what) ((holds) ? (void)0 : check_failed(__FILE__, __LINE__, what, 0, 0))
#define check_same(got, expected, what)                                                                                \
    ((got) == (expected) ? (void)0 : check_failed(__FILE__, __LINE__, what, got, expected))

#define assert_true(condition)          check_that(condition, #condition)
#define assert_false(condition)         check_that(!(condition), "not " #condition)
#define assert_non_null(pointer)        check_that((pointer) != NULL, #pointer " is not null")
#define assert_null(pointer)            assert_ptr_equal(pointer, NULL)
#define assert_ptr_equal(got, expected) check_same((uintptr_t)(got), (uintptr_t)(expected), #got " is " #expected)
#define assert_int_equal(got, expected) check_same((uint64_t)(got), (uint64_t)(expected), #got " == " #expected)
#define assert_memory_equal(got, expected, size)                                                                       \
    check_that(memcmp(got, expected, size) == 0, #got " is the same as " #expected)

#endif

/* Runs the tests and returns the status to end with. */
int check_run(const char *name, const struct CMUnitTest *tests, size_t count);

#define CHECK_MAIN(tests)                                                                                              \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return check_run(__FILE__, tests, sizeof(tests) / sizeof(tests)[0]);                                           \
    }

/* Where this is not 0 when a test fails, it is printed: what a random test was started with. */
extern size_t check_seed;

/* Prints a text, a number in decimal, another text. */
void check_say(const char *before, size_t number, const char *after);

#endif
