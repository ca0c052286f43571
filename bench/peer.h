/* What a heap must offer to be measured: a shared object with these four functions.
 *
 *     cc -O2 -shared -fPIC -I bench my_peer.c -o my_peer.so
 *     tools/bench --peer ./my_peer.so
 *
 * Every contender is one, knoll's profiles and the C library's malloc too, so all pay for the same calls. The object is
 * loaded with RTLD_LOCAL: what it exports besides disturbs nobody. It needs no locks, and keeps its state in static
 * variables, for it serves one heap at a time. A peer is never unloaded.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BENCH_PEER_H
#define KNOLL_BENCH_PEER_H

#include <stddef.h>

#if defined(__GNUC__)
#define PEER_EXPORT __attribute__((visibility("default")))
#else
#define PEER_EXPORT
#endif

/* Makes a heap of this region and forgets the one before, with all of its blocks. The region is aligned to 2 MiB. A
 * heap that takes memory elsewhere ignores it. Returns NULL, or one line that says why there is no heap. */
PEER_EXPORT const char *peer_init(void *region, size_t size);

/* The contender's name, a slash and its version: "TLSF/3.1". Called after peer_init. */
PEER_EXPORT const char *peer_name(void);

/* Returns a block, or NULL if memory does not suffice. `alignment` is a power of two. */
PEER_EXPORT void *peer_aligned_alloc(size_t alignment, size_t size);

/* Takes back a block that was asked for with this size. Heaps that need no size ignore it. */
PEER_EXPORT void peer_free(void *block, size_t size);

#endif
