/* What the parts of knoll-cpus share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_CPUS_H
#define BENCH_CPUS_H

#include "counter.h"
#include "knoll_cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern struct knoll_cpus cpus;
extern struct knoll_cpu processor[KNOLL_CPUS + 1]; /* from 1 */

/* Makes the heap anew, with this many bytes that nobody has touched, for processors 1 to count. */
void make_heap(size_t size, unsigned count, knoll_cpu_lock lock, knoll_cpu_lock unlock, void *context);

_Noreturn void fail(const char *what);

/* Writes a line of CSV: processors,contender,load,measure,value. */
void report(unsigned processors, const char *load, const char *measure, double value);

static inline uint32_t draw_below(uint64_t *state, uint32_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 32) * bound >> 32);
}

/* The three parts. The latter two run under QEMU with the counting plugin, and read the counter. */
void measure_threads(void);
void simulate(const volatile uint64_t *instructions);
void measure_holding(const volatile uint64_t *instructions);

#endif
