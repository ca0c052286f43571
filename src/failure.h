/* Failures on demand, to test how the callers of a heap, and the heap itself, bear them: see KNOLL_FAILURE_HOOK.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_FAILURE_H
#define KNOLL_FAILURE_H

#include <stdbool.h>

#include "knoll.h"

#ifdef KNOLL_FAILURE_HOOK

int KNOLL_FAILURE_HOOK(struct knoll_heap *heap);

/* Whether the request that is about to be served is to be refused. */
static inline bool must_fail(struct knoll_heap *heap)
{
    return KNOLL_FAILURE_HOOK(heap) != 0;
}

#else

/* A macro, so that the compiler knows it where it counts what the tests execute. */
#define must_fail(heap) false

#endif

#endif
