/* The heaps that are measured: shared objects as peer.h describes them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BENCH_CONTENDER_H
#define KNOLL_BENCH_CONTENDER_H

#include <stdbool.h>
#include <stddef.h>

enum { CONTENDERS_MAXIMUM = 32, PEERS_MAXIMUM = 20 };

struct contender {
    const char *(*init)(void *region, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    void (*free)(void *block, size_t size);
    char name[64]; /* without the version */
    char version[64];
};

/* Loads a shared object and makes its first heap, which tells whether it can be measured. Returns NULL, or one line
 * that says why it cannot; that may be overwritten by the next call. */
const char *contender_load(struct contender *contender, const char *file, void *region, size_t size);

#endif
