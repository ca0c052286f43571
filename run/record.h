/* Writing traces (trace.h says what they are) to files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_RECORD_H
#define RUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace.h"

struct recorder {
    FILE *file;
    uintptr_t start;   /* of the heap's region */
    uint32_t *slot_at; /* the slot of the block at each multiple of 16 bytes */
    uint32_t *vacant;  /* a stack of slots that were freed */
    size_t vacant_count;
    uint32_t slots;
    uint32_t operations;
};

/* Begins a trace of what happens in this region. Returns false if there is no such file or no memory. */
bool record_begin(struct recorder *recorder, const char *path, const void *region, size_t size);

void record_allocation(struct recorder *recorder, const void *block, size_t size);
void record_reallocation(struct recorder *recorder, const void *block, const void *moved, size_t size);
void record_free(struct recorder *recorder, const void *block, enum trace_kind kind);

/* Completes the file. Returns false if it could not be written. */
bool record_end(struct recorder *recorder);

#endif
