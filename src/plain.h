/* The names of the heap's functions that rung 2 of hardening stands on.
 *
 * Up to rung 1 heap.c, batch.c, check.c and inspect.c define the public functions, and PLAIN gives those names. At rung
 * 2 the public functions are those of hardened.c and sweep.c: there PLAIN gives names of their own to the ones under
 * them, which deal in whole blocks and know nothing of front parts, canaries and quarantine.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_PLAIN_H
#define KNOLL_PLAIN_H

#include "knoll.h"

#if KNOLL_HARDEN < 2

#define PLAIN(name) knoll_##name

#else

#define PLAIN(name) knoll_plain_##name

int PLAIN(init_for)(struct knoll_heap *heap, void *start, size_t size, uint32_t knobs);
int PLAIN(add_memory)(struct knoll_heap *heap, void *start, size_t size);
void *PLAIN(malloc)(struct knoll_heap *heap, size_t size);
void *PLAIN(aligned_alloc)(struct knoll_heap *heap, size_t alignment, size_t size);
void *PLAIN(calloc)(struct knoll_heap *heap, size_t count, size_t size);
void *PLAIN(realloc)(struct knoll_heap *heap, void *block, size_t size);
size_t PLAIN(malloc_batch)(struct knoll_heap *heap, size_t size, size_t count, void **blocks);
void PLAIN(free)(struct knoll_heap *heap, void *block);
void PLAIN(free_sized)(struct knoll_heap *heap, void *block, size_t size);
void PLAIN(free_aligned_sized)(struct knoll_heap *heap, void *block, size_t alignment, size_t size);
void PLAIN(free_batch)(struct knoll_heap *heap, void *const *blocks, size_t count);
size_t PLAIN(good_size)(const struct knoll_heap *heap, size_t alignment, size_t size);
size_t PLAIN(usable_size)(const struct knoll_heap *heap, const void *block);
size_t PLAIN(used_bytes)(const struct knoll_heap *heap);
size_t PLAIN(available_bytes)(const struct knoll_heap *heap);
void PLAIN(get_stats)(const struct knoll_heap *heap, struct knoll_stats *stats);
int PLAIN(walk)(const struct knoll_heap *heap, knoll_visitor visitor, void *context);
int PLAIN(check)(const struct knoll_heap *heap);
const char *PLAIN(invariant)(int number);

#endif

#endif
