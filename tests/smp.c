/* One heap under the processors of a board: each runs the load of cpus_load.h while its timer interrupts it wherever it
 * is, and the interrupt frees blocks from there.
 *
 * The lock is a spin lock that turns interrupts off, as a kernel's would. The image says in one line what was done, and
 * its status is 0 only if all held.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "cpus_load.h"
#include "processors.h"

#ifndef KNOLL_TEST_STEPS
#define KNOLL_TEST_STEPS 20000
#endif
#ifndef KNOLL_TEST_SEED
#define KNOLL_TEST_SEED 1
#endif

#define STEPS        (KNOLL_TEST_STEPS < 20000 ? KNOLL_TEST_STEPS * 3 : 60000) /* of each processor */
#define MICROSECONDS 100                                                       /* between a processor's interrupts */

static struct {
    uint32_t is_held;
    uintptr_t interrupts; /* of the holder, to be restored */
} spin_lock;

static uint32_t ready; /* whether the heap is made, and for how many processors */
static uint32_t done;  /* how many processors have done */
static size_t interrupts;

_Noreturn void load_failed(const char *what)
{
    platform_write("failed: ", 8);
    size_t length = 0;
    while (what[length] != '\0')
        length++;
    platform_write(what, length);
    platform_write("\n", 1);
    platform_exit(1);
}

static void lock(void *context)
{
    (void)context;
    uintptr_t state = platform_interrupts_off();
    while (__atomic_exchange_n(&spin_lock.is_held, 1, __ATOMIC_ACQUIRE) != 0) {
    }
    spin_lock.interrupts = state;
}

static void unlock(void *context)
{
    (void)context;
    uintptr_t state = spin_lock.interrupts;
    __atomic_store_n(&spin_lock.is_held, 0, __ATOMIC_RELEASE);
    platform_interrupts_restore(state);
}

static void interrupted(void)
{
    __atomic_fetch_add(&interrupts, 1, __ATOMIC_RELAXED);
    load_interrupt();
}

/* What each processor does; the load has them from 1. */
static void run(unsigned number)
{
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0) {
    }
    platform_timer_set(MICROSECONDS, interrupted);
    platform_interrupts_on();
    load_run(&load_workers[number + 1], STEPS);
    platform_interrupts_off();
    platform_timer_set(0, interrupted);
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
}

int main(void)
{
    arena_open();
    unsigned processors = platform_processors_start(run);
    load_make(processors, lock, unlock, NULL, KNOLL_TEST_SEED);
    __atomic_store_n(&ready, processors, __ATOMIC_RELEASE);
    run(0);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != processors) {
    }
    size_t blocks = 0;
    size_t crossing = 0;
    size_t refusals = 0;
    for (unsigned i = 1; i <= processors; i++) {
        blocks += load_workers[i].blocks;
        crossing += load_workers[i].crossing;
        refusals += load_workers[i].refusals;
    }
    load_finish(processors);
    check_say("", processors, " processors, ");
    check_say("", blocks, " blocks, ");
    check_say("", crossing, " crossing frees, ");
    check_say("", load_interrupt_frees(), " freed in ");
    check_say("", interrupts, " interrupts, ");
    check_say("", refusals, " refusals\n");
    if (refusals == 0 || load_interrupt_frees() == 0 || (processors > 1 && crossing == 0))
        load_failed("the load was too light");
    return 0;
}
