/* Allocation traces: what a program asked of its heap, in order. Freestanding.
 *
 * A trace is "knolltrc", the number of slots and the number of operations (32 bits each, little endian), then the
 * operations. Each is the number 4 * slot + kind, followed by the size where there is one. Numbers are written seven
 * bits a byte, lowest first, with the eighth bit set in all but the last. A slot stands for a block from its allocation
 * until it is freed, and for another one later.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_TRACE_H
#define RUN_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_MAGIC "knolltrc"
enum { TRACE_HEADER = 16 };

enum trace_kind { TRACE_ALLOCATE, TRACE_REALLOCATE, TRACE_FREE, TRACE_FREE_SIZED };

struct trace_operation {
    enum trace_kind kind;
    uint32_t slot;
    size_t size; /* of the first two kinds */
};

struct trace {
    uint32_t slots; /* all slot numbers are below this */
    uint32_t operations;
    const unsigned char *next;
    const unsigned char *end;
};

/* Returns false if these bytes are no trace. */
bool trace_open(struct trace *trace, const void *bytes, size_t size);

/* Reads the next operation. Returns false if what follows is none: the trace is damaged, for its operations are
 * counted. */
bool trace_next(struct trace *trace, struct trace_operation *operation);

#endif
