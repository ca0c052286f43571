/* A fault with no handler set ends in the processor's trap: each kind in a process of its own, and each call.
 *
 * Only under an operating system, which can tell us how the process died.
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "knoll_lean.h"
#include "support.h"

#define LAST_FAULT (IS_BYTE_EXACT ? KNOLL_FAULT_WRITE_AFTER_FREE : KNOLL_FAULT_SIZE)

static struct knoll_heap heap;

static void provoke_knoll(enum knoll_fault fault)
{
    static unsigned char elsewhere[64];
    unsigned char *block = knoll_malloc(&heap, 100);
    knoll_malloc(&heap, 100);
    switch (fault) {
    case KNOLL_FAULT_NONE:
        break;
    case KNOLL_FAULT_DOUBLE_FREE:
        knoll_free(&heap, block);
        knoll_free(&heap, block);
        break;
    case KNOLL_FAULT_INTERIOR:
        knoll_free(&heap, block + 16);
        break;
    case KNOLL_FAULT_FOREIGN:
        (void)knoll_realloc(&heap, elsewhere, 10);
        break;
    case KNOLL_FAULT_TABLES:
        (void)knoll_usable_size(&heap, arena + 64);
        break;
    case KNOLL_FAULT_NOT_HANDED_OUT:
        knoll_free_sized(&heap, arena + KIB(60), 10);
        break;
    case KNOLL_FAULT_SIZE:
        knoll_free_aligned_sized(&heap, block, 16, 1000);
        break;
    case KNOLL_FAULT_OVERFLOW:
        block[100] ^= 1;
        knoll_free(&heap, block);
        break;
    case KNOLL_FAULT_UNDERFLOW:
        block[-1] ^= 1;
        knoll_free(&heap, block);
        break;
    case KNOLL_FAULT_WRITE_AFTER_FREE:
        knoll_free(&heap, block);
        block[0] ^= 1;
        while (knoll_malloc(&heap, 100) != NULL) /* which drains what waits to be used again */
            continue;
        break;
    }
}

static void provoke_lean(enum knoll_fault fault)
{
    static struct knoll_lean_heap lean;
    unsigned char *start = arena_at(KNOLL_LEAN_UNIT, 0);
    assert_int_equal(knoll_lean_init(&lean, start, KIB(64)), KNOLL_OK);
    unsigned char *block = knoll_lean_malloc(&lean, 100);
    knoll_lean_free(&lean, fault == KNOLL_FAULT_NONE      ? block
                           : fault == KNOLL_FAULT_FOREIGN ? start + KIB(64)
                                                          : block + 1);
}

/* The signal that ended a process which did this; 0 if it ended by itself. */
static int signal_of(void (*provoke)(enum knoll_fault), enum knoll_fault fault)
{
    static const int traps[] = {SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS, SIGFPE};
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
            signal(traps[i], SIG_DFL);
        provoke(fault);
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_fault_traps(void **state)
{
    (void)state;
    make_heap(&heap, arena, KIB(64));
    knoll_set_fault_handler(&heap, NULL);
    assert_int_equal(signal_of(provoke_knoll, KNOLL_FAULT_NONE), 0);
    for (int fault = KNOLL_FAULT_DOUBLE_FREE; fault <= LAST_FAULT; fault++) {
        int ended_by = signal_of(provoke_knoll, (enum knoll_fault)fault);
        assert_true(ended_by == SIGILL || ended_by == SIGTRAP);
    }
}

/* Also in a heap on which no handler was ever set: the value after knoll_init is NULL, whatever the struct held. */
static void trapping_is_the_default(void **state)
{
    (void)state;
    memset(&heap, 0xA5, sizeof heap);
    assert_int_equal(knoll_init(&heap, arena, KIB(64)), KNOLL_OK);
    int ended_by = signal_of(provoke_knoll, KNOLL_FAULT_INTERIOR);
    assert_true(ended_by == SIGILL || ended_by == SIGTRAP);
}

static void a_fault_of_lean_traps(void **state)
{
    (void)state;
    assert_int_equal(signal_of(provoke_lean, KNOLL_FAULT_NONE), 0);
    int ended_by = signal_of(provoke_lean, KNOLL_FAULT_FOREIGN);
    assert_true(ended_by == SIGILL || ended_by == SIGTRAP);
    ended_by = signal_of(provoke_lean, KNOLL_FAULT_NOT_HANDED_OUT);
    assert_true(ended_by == SIGILL || ended_by == SIGTRAP);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_fault_traps),
    cmocka_unit_test(a_fault_of_lean_traps),
    cmocka_unit_test(trapping_is_the_default),
};

CHECK_MAIN(tests)
