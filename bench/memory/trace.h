/* The traces that a heap's memory is measured with: what a program asks for and gives back, in order.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MEMORY_TRACE_H
#define MEMORY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace {
    int32_t *event; /* size > 0: a block of that size is asked for, the next number is its; ~number < 0: it is freed */
    size_t events;
    size_t blocks; /* asked for in all */
    size_t peak;   /* the most bytes that were held at once, as asked for */
};

#define TRACE_COUNT 4
extern const char *const trace_names[TRACE_COUNT];

/* Makes a trace, the same for the same arguments everywhere. `uniform` draws sizes evenly between their bounds instead
 * of log-uniformly. Ends the program if memory does not suffice. */
struct trace trace_make(unsigned kind, uint64_t seed, bool uniform);
void trace_free(struct trace *trace);

#endif
