/* Each thread's cache of free blocks: what malloc and free do in most cases, without a lock.
 *
 * For each bin (bins.h) a cache has an array of blocks, of which the last one in is the first out. To the heap a block
 * in a cache is held. That it is not held by the program is noted at rung 1 in the block itself: its second word is a
 * secret, which no block that is handed out has there, unless the program has come upon it and put it there. So a block
 * that is freed and has the secret is looked for in all caches, and is being freed twice if it is found.
 *
 * All else about an address that is freed the map of bins tells, without the lock. What does not look right is left to
 * the heap to judge, with the lock.
 *
 * Who has the lock may look into the bins of other threads, to count what is in them or to find a block freed twice. So
 * what a thread writes to its bins without the lock it writes with atomic stores, which cost no more than others.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_CACHE_H
#define KNOLL_MALLOC_CACHE_H

#include "bins.h"

#include <sys/types.h>

/* What lock_thread.served is while a cache is ready: a size that is too large for slabs. */
#define CACHE_SERVES ((size_t)KNOLL_SLAB_MAXIMUM + 1)

_Static_assert(CACHE_SERVES >> STEP_GATE == 1, "the highest bit of what step_shut shuts");

/* How full a bin is: `top` says where its last block stands, and `most` where the last one would that it may have; in
 * bytes from the cache's start. Both are 0 if nothing is cached in it. There is NULL where a bin has no block: so what
 * `top` says is read before it is known which. */
struct cache {
    union {
        size_t top[2 * BINS]; /* by what the map says: at twice the bin; in between nothing is cached */
        void *nothing;        /* NULL: where the tops of bins are that cache nothing */
    };
    size_t most[2 * BINS];
    size_t seen[BIN_UNITS + 1]; /* what `top` said of the bin of runs of each length, when it was looked at last; */
    size_t looks;               /* and how often one was */
    struct cache *next;         /* all caches */
    struct cache *next_idle;
    pid_t owner;                 /* the thread whose it is, or was before it became idle */
    uint8_t twice[CACHE_SERVES]; /* the bin for a size that slabs serve, twice: the same in all caches */
    void *slot[];                /* of each bin NULL, then blocks: the last one in is the first out */
};

static inline void **cache_at(const struct cache *cache, size_t place)
{
    return (void **)((uintptr_t)cache + place);
}

static inline void *cache_take(struct cache *cache, size_t twice_bin)
{
    size_t top = cache->top[twice_bin];
    uint64_t *block = *cache_at(cache, top);
    if (UNLIKELY(block == NULL))
        return NULL;
    block = step_down(&cache->top[twice_bin], block);
    if (HAS_SECRETS)
        block[1] = 0;
    return block;
}

/* Whether the block was put into its bin, of which this is twice the number or, where there is none, what the map says.
 */
static inline bool cache_give(struct cache *cache, size_t twice_bin, void *block)
{
    size_t top = cache->top[twice_bin];
    uint64_t *words = block;
    if (UNLIKELY(top >= cache->most[twice_bin] || (HAS_SECRETS && words[1] == bins.secret)))
        return false;
    if (HAS_SECRETS)
        words[1] = bins.secret;
    __atomic_store_n(cache_at(cache, top) + 1, block, __ATOMIC_RELAXED);
    step_up(&cache->top[twice_bin]);
    return true;
}

static inline bool bin_is_full(const struct cache *cache, size_t bin)
{
    return cache->top[2 * bin] == cache->most[2 * bin];
}

/* While a thread works on its cache that is not ready: so a handler that interrupts it keeps its hands off. This is for
 * who has found it ready; a handler that comes before it is shut has left it so. */
static inline struct cache *cache_borrow(void)
{
    lock_thread.served = 0;
    atomic_signal_fence(memory_order_seq_cst);
    return lock_thread.cache;
}

/* False if it is not ready, or there is none. */
static inline bool cache_borrow_if_ready(struct cache **cache)
{
    if (UNLIKELY(!step_shut(&lock_thread.served)))
        return false;
    atomic_signal_fence(memory_order_seq_cst);
    *cache = lock_thread.cache;
    return true;
}

static inline void cache_return(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    lock_thread.served = CACHE_SERVES;
}

/* Makes this thread's cache, if there is memory for it. Without the lock. */
void cache_make(void);

/* ---- With the lock ---- */

/* Takes blocks into an empty bin; the last of them, or NULL if there is no memory. */
void *cache_refill(struct cache *cache, size_t bin);

/* Makes room in a full bin. */
void cache_make_room(struct cache *cache, size_t bin);

/* The bin of a block that the program holds, by the heap's tables; 0 if it has none. Ends the program if the block
 * waits in a cache of any thread: then it has been freed. */
size_t cache_bin_of_held(const void *block);

/* After a fork, in the child: the caches of all threads but this one are those of threads that have ended. */
void cache_leave_behind(void);

/* Gives all blocks of this thread's cache, and of those that no thread has, back to the heap. */
void cache_drain(void);

/* The totals over all heaps, in which what is in caches is free. */
void cache_heaps_totals(struct heaps_totals *totals);

#endif
