/* A random load for one heap under processors that really run at once, be they threads or a board's: what each of them
 * does in a step, what an interrupt does, and what must hold at the end.
 *
 * Whoever takes a block writes a pattern of the block's own into it, and whoever gives it back, be it another, finds it
 * there or fails: so no two blocks overlap, none is handed out twice, and none is changed by the heap. Blocks go from
 * one processor to another, and to interrupts, through words that are exchanged atomically.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_CPUS_LOAD_H
#define KNOLL_TESTS_CPUS_LOAD_H

#include "knoll_cpu.h"
#include "support.h"

#define LOAD_PROCESSORS 8
#define LOAD_HELD       48

/* One processor. `number` is from 1. */
struct load_worker {
    struct knoll_cpu cpu;
    struct random random;
    unsigned number;
    struct load_block *held[LOAD_HELD];
    size_t blocks;   /* taken */
    size_t crossing; /* given back, taken by another */
    size_t refusals; /* for want of memory */
};

extern struct knoll_cpus load_cpus;
extern struct load_worker load_workers[LOAD_PROCESSORS + 1]; /* the first is not used */

/* Provided by the program: says what was found wrong, and ends it. Called by any processor. */
_Noreturn void load_failed(const char *what);

/* Makes the heap, in which memory will be short for so many processors. */
void load_make(unsigned processors, knoll_cpu_lock lock, knoll_cpu_lock unlock, void *context, uint32_t seed);

/* All that one processor does: so many steps, then it gives back what it holds and goes. */
void load_run(struct load_worker *worker, size_t steps);

/* What an interrupt does, on any processor: gives back some of the blocks that were left for it. */
void load_interrupt(void);

/* Ends the load when every load_run has returned: gives back all that is left, and the heap must be as new. */
void load_finish(unsigned processors);

/* Blocks that were given back by interrupts, since load_make. */
size_t load_interrupt_frees(void);

#endif
