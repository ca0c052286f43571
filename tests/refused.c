/* The other tests once more, each of their requests refused in turn: the hook of KNOLL_FAILURE_HOOK refuses the n-th
 * request that a test makes, for every n up to 64 and a spread of greater ones, and the test is run again for each.
 *
 * This stands in the place of check.c, and the core is built with -finstrument-functions, by which is known when the
 * refused call returns: then every invariant must hold, and if the call failed no byte may be used that was not before.
 * The test goes on, with a block fewer than it expects. Where it asserts that it has it, or uses it anyway, it ends
 * there. However it ends, the heap that was asked last must be sound, every block in it can be freed, and then it is
 * as new. That a test has all of its blocks back is for tests/failing.c, whose scenarios know of refusals, to assert.
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

#include "check.h"
#include "support.h"

#define EACH       64u      /* requests up to this one are refused one by one, then each a quarter further on */
#define HELD_MOST  KIB(128) /* blocks */
#define BROKEN(at) stop(__LINE__, at)

size_t check_seed;

static sigjmp_buf end_of_test;
static struct knoll_heap *heap;     /* that was asked last */
static size_t requests, refused_at; /* counted from 1; 0 for none */
static size_t points, ended_early;
static const char *test_name;

/* The refused call, while it lasts. */
static struct {
    bool goes_on;
    size_t used, failures;
} refused;

/* How many of the core's functions have been entered and not left; it is not counted while the core is looked at. */
static volatile size_t depth;
static volatile bool looks;

static _Noreturn void stop(int line, const char *what)
{
    printf("%s, line %d: with request %zu refused: %s\n", test_name, line, refused_at, what);
    platform_exit(1);
}

/* What tests say is the same each time, and is heard where they run by themselves. */
void check_say(const char *before, size_t number, const char *after)
{
    (void)before, (void)number, (void)after;
}

static size_t failures_of(const struct knoll_heap *of)
{
    struct knoll_stats stats;
    knoll_get_stats(of, &stats);
    return stats.failures;
}

/* ---- The hook, and the refused call's end ---- */

int fail_on_demand(struct knoll_heap *asking);

int fail_on_demand(struct knoll_heap *asking)
{
    if (looks)
        return 0;
    heap = asking;
    if (++requests != refused_at)
        return 0;
    looks = true;
    refused.goes_on = true;
    refused.used = knoll_used_bytes(heap);
    refused.failures = failures_of(heap);
    looks = false;
    return 1;
}

static void look_after_refusal(const void *function)
{
    refused.goes_on = false;
    looks = true;
    if (knoll_check(heap) != 0)
        BROKEN(knoll_invariant(knoll_check(heap)));
    bool gives_some = function == (const void *)(uintptr_t)knoll_malloc_batch;
    if (failures_of(heap) != refused.failures && !gives_some && knoll_used_bytes(heap) != refused.used)
        BROKEN("a call that failed has taken or lost memory");
    looks = false;
}

void __cyg_profile_func_enter(void *function, void *caller); /* NOLINT(bugprone-reserved-identifier) */
void __cyg_profile_func_exit(void *function, void *caller);  /* NOLINT(bugprone-reserved-identifier) */

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)function, (void)caller;
    depth += !looks;
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)caller;
    if (looks)
        return;
    depth--;
    if (depth == 0 && refused.goes_on)
        look_after_refusal(function);
}

/* ---- How a test ends ---- */

_Noreturn void check_failed(const char *file, int line, const char *what, uint64_t got, uint64_t expected)
{
    (void)file, (void)got, (void)expected;
    if (refused_at == 0 || requests < refused_at)
        stop(line, what); /* nothing was refused */
    siglongjmp(end_of_test, 1);
}

/* The test uses a block that it was not given; the core may not. */
static void on_signal(int number)
{
    (void)number;
    if (depth != 0)
        BROKEN("the core uses memory that it does not have");
    check_failed(NULL, __LINE__, "a crash", 0, 0);
}

static struct {
    const void *block[HELD_MOST];
    size_t count;
} held;

static struct {
    const void *start[KNOLL_REGIONS_MAX];
    size_t size[KNOLL_REGIONS_MAX];
    size_t count;
} regions;

static int note_item(void *context, const struct knoll_item *item)
{
    (void)context;
    if (item->kind == KNOLL_ITEM_BLOCK && held.count < HELD_MOST)
        held.block[held.count++] = item->start;
    if (item->kind == KNOLL_ITEM_REGION) {
        regions.start[regions.count] = item->start;
        regions.size[regions.count++] = item->size;
    }
    return held.count == HELD_MOST;
}

static void expect_as_new(void)
{
    struct knoll_stats stats, new;
    knoll_get_stats(heap, &stats);
    if (regions.count == 0) /* the test has left a heap without memory */
        return;
    size_t first = 0; /* the longest, because there is a least size for the first */
    for (size_t i = 1; i < regions.count; i++)
        first = regions.size[i] > regions.size[first] ? i : first;
    knoll_init(heap, (void *)(uintptr_t)regions.start[first], regions.size[first]);
    for (size_t i = 0; i < regions.count; i++)
        if (i != first)
            knoll_add_memory(heap, (void *)(uintptr_t)regions.start[i], regions.size[i]);
    knoll_get_stats(heap, &new);
    if (stats.used_bytes != 0 || stats.total_bytes != new.total_bytes || stats.largest_block != new.largest_block)
        BROKEN("the heap is not as new when all is freed");
}

static void look_at_heap(void)
{
    looks = true;
    held.count = regions.count = 0;
    last_fault.count = 0;
    knoll_set_fault_handler(heap, record_fault);
    if (knoll_check(heap) != 0)
        BROKEN(knoll_invariant(knoll_check(heap)));
    if (knoll_walk(heap, note_item, NULL) != 0)
        BROKEN("there are too many blocks");
    for (size_t i = 0; i < held.count; i++)
        knoll_free(heap, (void *)(uintptr_t)held.block[i]);
    knoll_drain(heap);
    if (last_fault.count != 0 || knoll_check(heap) != 0)
        BROKEN("what is held cannot be freed");
    expect_as_new();
    looks = false;
}

/* ---- In turn ---- */

/* Runs the test with this request refused; whether it came to that. */
static bool run(const struct CMUnitTest *test, size_t at)
{
    requests = depth = 0;
    refused_at = at;
    refused.goes_on = looks = false;
    heap = NULL;
    check_seed = 0;
    if (sigsetjmp(end_of_test, 1) == 0)
        test->test_func(NULL);
    else
        ended_early++;
    if (at == 0 || requests < at)
        return false;
    points++;
    look_at_heap();
    return true;
}

static void refuse_in_turn(const struct CMUnitTest *test)
{
    test_name = test->name;
    run(test, 0);
    size_t at = 1;
    while (run(test, at)) /* as many rounds as there are requests, or fewer */
        at += at < EACH ? 1 : at / 4;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

int check_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    (void)name;
    arena_open();
    catch_signals();
    for (size_t i = 0; i < count; i++)
        refuse_in_turn(&tests[i]);
    printf("%zu refusals, %zu of which ended the test\n%zu passed, 0 failed\n", points, ended_early, count);
    return 0;
}
