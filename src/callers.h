/* A block of the tables as its caller knows it: up to rung 1 they are the same, at rung 2 it is between its guards.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CALLERS_H
#define KNOLL_CALLERS_H

#include <stdbool.h>

#include "knoll.h"

#if KNOLL_HARDEN >= 2

/* Describes the block of so many bytes that begins at `start`, which the tables say is held; false if it is in
 * quarantine. One whose front part is broken is shown where it most likely is, without bytes. */
bool knoll_callers_block(const struct knoll_heap *heap, const unsigned char *start, size_t size,
                         struct knoll_item *item);

#else

static inline bool knoll_callers_block(const struct knoll_heap *heap, const unsigned char *start, size_t size,
                                       struct knoll_item *item)
{
    (void)heap;
    *item = (struct knoll_item){KNOLL_ITEM_BLOCK, start, size, size, 1};
    return true;
}

#endif

#endif
