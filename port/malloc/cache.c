/* What caches do with the lock held: begin, fill, empty, and change hands with their threads.
 *
 * A bin holds up to BIN_MOST blocks or about BIN_BYTES, but two at least, so a thread keeps at most what docs/malloc.md
 * says. An empty bin takes half of that from the heap at once, a full one gives half back: those that have been there
 * longest. A thread that ends leaves its cache, with what is in it, to the next thread that begins; so there are never
 * more caches than there were threads at once.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define BIN_BYTES ((size_t)32 << 10)

uint64_t cache_secret = 1;
struct cache cache_none;

static struct cache *caches; /* of all threads, and of threads that have ended */
static struct cache *idle;   /* of those that have ended, linked by next_idle */
static pthread_key_t key;
static bool has_key;

/* The thread ends: its cache waits for another, and what it still frees goes straight to the heap. */
static void end(void *own)
{
    struct cache *cache = own;
    if (!lock_enter())
        return;
    lock_thread.own = NULL;
    lock_thread.cache = &cache_none;
    lock_thread.is_over = true;
    cache->next_idle = idle;
    idle = cache;
    lock_leave();
}

static void begin_all(void)
{
    const void *random = (const void *)getauxval(AT_RANDOM); /* NOLINT(performance-no-int-to-ptr) */
    if (random != NULL)
        memcpy(&cache_secret, random, sizeof cache_secret);
    cache_secret |= 1;                            /* so it is neither 0 nor aligned, as pointers are */
    has_key = pthread_key_create(&key, end) == 0; /* by the first thread, before there are others */
}

/* A cache that no thread has. */
static struct cache *fresh_cache(void)
{
    struct cache *cache = mmap(NULL, sizeof *cache, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (cache == MAP_FAILED)
        return NULL;
    for (size_t i = 0; i < CACHE_BINS; i++) {
        size_t bytes = bin_bytes(i);
        size_t most = bytes == 0 ? 0 : BIN_BYTES / bytes;
        cache->bin[i].most = bytes == 0 ? 0 : (uint32_t)(most < 2 ? 2 : most > BIN_MOST ? BIN_MOST : most);
    }
    cache->next = caches;
    caches = cache;
    return cache;
}

void cache_make(void)
{
    lock_thread.is_over = true; /* for what the calls below may allocate */
    if (!has_key)
        begin_all();
    if (!has_key || !lock_enter())
        return; /* this thread does without */
    struct cache *cache = idle;
    if (cache != NULL)
        idle = cache->next_idle;
    else
        cache = fresh_cache();
    lock_leave();
    if (cache == NULL)
        return;
    if (pthread_setspecific(key, cache) != 0) {
        end(cache);
        return;
    }
    lock_thread.own = cache;
    lock_thread.cache = cache;
    lock_thread.is_over = false;
}

void *cache_refill(struct cache *cache, size_t bin)
{
    union bin *to = &cache->bin[bin];
    uint32_t wanted = (to->most + 1) / 2;
    size_t taken = heaps_allocate_batch(bin_bytes(bin), wanted, to->block + 1);
    if (taken == 0)
        return NULL;
    for (size_t i = 1; i < taken; i++)
        ((uint64_t *)to->block[i])[1] = cache_secret;
    to->count = (uint32_t)taken - 1;
    return to->block[taken];
}

static void give_first(union bin *from, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        ((uint64_t *)from->block[i])[1] = 0;
    heaps_free_batch(from->block + 1, count);
    from->count -= count;
    memmove(from->block + 1, from->block + 1 + count, from->count * sizeof from->block[0]);
}

void cache_flush(struct cache *cache, size_t bin)
{
    give_first(&cache->bin[bin], (cache->bin[bin].count + 1) / 2);
}

bool cache_has(const void *block)
{
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next)
        for (size_t bin = 0; bin < CACHE_BINS; bin++)
            for (uint32_t i = 1; i <= bin_count(&cache->bin[bin]); i++)
                if (bin_block(&cache->bin[bin], i) == block)
                    return true;
    return false;
}

static void drain(struct cache *cache)
{
    for (size_t bin = 0; bin < CACHE_BINS; bin++)
        if (cache->bin[bin].count != 0)
            give_first(&cache->bin[bin], cache->bin[bin].count);
}

void cache_drain(void)
{
    struct cache *own = cache_borrow();
    drain(own);
    cache_return(own);
    for (struct cache *cache = idle; cache != NULL; cache = cache->next_idle)
        drain(cache);
}

void cache_heaps_totals(struct heaps_totals *totals)
{
    heaps_totals(totals);
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next) {
        for (size_t bin = 0; bin < CACHE_BINS; bin++) {
            size_t *used =
                bin < KNOLL_CLASS_COUNT ? &totals->stats.size_class[bin].used_blocks : &totals->stats.large_blocks;
            size_t count = bin_count(&cache->bin[bin]);
            if (count > *used) /* a block that went from bin to bin meanwhile may be counted twice */
                count = *used;
            *used -= count;
            totals->cached_blocks += count;
            totals->cached_bytes += count * bin_bytes(bin);
        }
    }
    totals->stats.used_bytes -= totals->cached_bytes;
    totals->stats.available_bytes += totals->cached_bytes;
}
