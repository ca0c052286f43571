/* The loads under which the worst call is looked for.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_LOADS_H
#define WORST_LOADS_H

#include "session.h"

struct load {
    const char *name;
    void (*run)(struct session *session, size_t heap_bytes, void **block); /* block: room for LOAD_BLOCKS(heap_bytes) */
};

#define LOAD_COUNT 6
extern const struct load loads[LOAD_COUNT];

#define LOAD_BLOCKS(heap_bytes) ((heap_bytes) / 64 + 32768)

#endif
