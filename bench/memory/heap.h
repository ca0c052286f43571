/* The heaps that are measured: knoll, of the profile that this is built with, and shared objects with the functions of
 * bench/peer.h.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MEMORY_HEAP_H
#define MEMORY_HEAP_H

#include <stddef.h>

struct heap {
    const char *(*init)(void *region, size_t size); /* NULL, or why there is no heap */
    const char *(*name)(void);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    void (*free)(void *block, size_t size);
    size_t control_bytes; /* that the heap needs outside of its region, 0 if not known */
};

extern const struct heap heap_knoll;

/* Loads a peer; ends the program with a message if it is none. */
struct heap heap_load(const char *path);

#endif
