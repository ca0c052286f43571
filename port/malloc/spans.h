/* The heaps, and how they get more memory.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_SPANS_H
#define KNOLL_MALLOC_SPANS_H

#include "internal.h"

HIDDEN extern struct knoll_heap *const spans_heap; /* HEAPS_MOST, */
HIDDEN extern size_t spans_heaps;                  /* of which so many are made */
HIDDEN extern size_t spans_reserved;               /* bytes of address space */

/* Adds a span for a request, and none that has no room for it: that would take address space from the program, and
 * serve nobody. The first one makes the first heap. */
bool spans_grow(size_t alignment, size_t size_wanted);

/* What the heaps do at a fault. In heaps.c. */
void heaps_on_fault(struct knoll_heap *of, enum knoll_fault kind, const void *address);

#endif
