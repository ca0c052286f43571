/* Repeats on a heap what a trace says, and verifies what the heap gives. Freestanding.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_REPLAY_H
#define RUN_REPLAY_H

#include "knoll.h"
#include "text.h"
#include "trace.h"

/* A block that the trace holds; NULL where it holds none. The array is the caller's and all NULL at first. */
struct replay_slot {
    unsigned char *block;
    size_t size;
};

/* Plays the trace on a new heap in this region, reports, and returns an exit status: 0, 1 if memory did not suffice or
 * the trace is damaged, 3 if the heap did wrong. The handler gets the heap's faults and must not return. */
int replay(const char *name, struct trace trace, struct replay_slot slots[], void *region, size_t size,
           knoll_fault_handler handler, struct text *text);

#endif
