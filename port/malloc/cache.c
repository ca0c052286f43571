/* What caches do with the lock held: begin, fill, empty, and change hands with their threads.
 *
 * A bin has room for BIN_LEAST blocks at first. Each time it is found empty, or full, its room is doubled, until that
 * is about BIN_BYTES: so a thread that allocates little keeps little, and at most what docs/malloc.md says. An empty
 * bin takes half of its room from the heap at once, but no more than BATCH_MOST blocks, which are touched; a full one
 * that has all the room it may have gives half back, those that have been there longest, but no more than GIVE_MOST: of
 * more than twice as many it gives one part after another, and what came last takes the part's place. So no call of
 * malloc or free moves more than GIVE_MOST blocks and a bin of runs. Runs are so much longer, and of so many lengths,
 * that those of lengths which are not asked for any more would be most of what is in a cache: so whenever a bin is
 * filled or emptied one bin of runs is looked at, all of them in turn, and half of what is in one goes back if nothing
 * has changed there since.
 *
 * A thread that ends leaves its cache, with what is in it, to the next thread that begins; so there are never more
 * caches than there were threads at once. More than IDLE_MOST that wait so are emptied first.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIN_BYTES  ((size_t)32 << 10)
#define BIN_LEAST  2u
#define BATCH_MOST 64u
#define GIVE_MOST  128u
#define RUNS_BYTES 4096u
#define IDLE_MOST  16u
#define ASKED_MOST 4

static struct cache *caches; /* of all threads, and of threads that have ended */
static struct cache *idle;   /* of those that have ended, linked by next_idle, */
static size_t idles;         /* and how many they are */
static pthread_key_t key;
static pid_t process; /* whose threads the owners are: a child that no handler of a fork was called for is another */
static bool has_key;
static uint8_t twice[CACHE_SERVES]; /* as in each cache */
/* Where in a cache a bin's slots begin, in bytes; and where those of the last one end. */
static uint32_t first_place[BINS + 1];

/* Where in a cache a bin's block of this number stands; 0 is before its first one. */
static uint32_t bin_place(size_t bin, size_t number)
{
    return first_place[bin] + (uint32_t)(number * sizeof(void *));
}

/* Gives each bin its place, with room for as many blocks as it may come to hold. */
static void place_bins(void)
{
    uint32_t place = offsetof(struct cache, slot);
    for (size_t bin = 1; bin < BINS; bin++) {
        first_place[bin] = place;
        if (bin == BIN_RUNS) /* no run has no units */
            continue;
        size_t limit = BIN_BYTES / bin_bytes(bin);
        place += (uint32_t)((1 + (limit < BIN_LEAST ? BIN_LEAST : limit)) * sizeof(void *));
    }
    first_place[BINS] = place;
}

/* How many blocks a bin may come to hold. */
static uint32_t bin_limit(size_t bin)
{
    return (uint32_t)((first_place[bin + 1] - first_place[bin]) / sizeof(void *) - 1);
}

static void **bin_blocks(const struct cache *cache, size_t bin)
{
    return cache_at(cache, bin_place(bin, 1));
}

/* How many blocks are in a bin of any thread, and one of them: as of a moment ago, if that thread is at work. */
static uint32_t bin_count(const struct cache *cache, size_t bin)
{
    size_t top = __atomic_load_n(&cache->top[2 * bin], __ATOMIC_RELAXED);
    return top == 0 ? 0 : (uint32_t)((top - bin_place(bin, 0)) / sizeof(void *));
}

static const void *bin_block(const struct cache *cache, size_t bin, uint32_t number)
{
    return __atomic_load_n(bin_blocks(cache, bin) + number, __ATOMIC_RELAXED);
}

static void give_first(struct cache *cache, size_t bin, uint32_t count)
{
    if (count == 0)
        return;
    void **blocks = bin_blocks(cache, bin);
    uint32_t left = bin_count(cache, bin) - count;
    heaps_free_batch(blocks, count);
    cache->top[2 * bin] = bin_place(bin, left);
    memmove(blocks, blocks + count, left * sizeof blocks[0]);
}

static void drain(struct cache *cache)
{
    for (size_t bin = 1; bin < BINS; bin++)
        give_first(cache, bin, bin_count(cache, bin));
}

/* The thread ends: its cache waits for another, and what it still frees goes straight to the heap. */
static void end(void *own)
{
    struct cache *cache = own;
    if (cache != lock_thread.cache || !lock_enter()) /* a thread that left one behind may have had this one's memory */
        return;
    lock_thread.is_over = true;
    lock_thread.served = 0;
    atomic_signal_fence(memory_order_seq_cst);
    lock_thread.cache = NULL;
    cache->next_idle = idle;
    idle = cache;
    if (idles++ >= IDLE_MOST) /* so many threads may not come again */
        drain(cache);
    lock_leave();
}

static void begin_all(void)
{
    /* The program's own random bytes would do, but who reads memory that has been freed would know the stack's canary.
     */
    if (HAS_SECRETS && syscall(SYS_getrandom, &bins.secret, sizeof bins.secret, GRND_NONBLOCK) != sizeof bins.secret)
        bins.secret = (uintptr_t)&bins * UINT64_C(0x9E3779B97F4A7C15);
    process = getpid();
    place_bins();
    for (size_t size = 0; size < CACHE_SERVES; size++)
        twice[size] = (uint8_t)(2 * bin_for_size(size));
    bins.secret |= 1;                             /* so it is neither 0 nor aligned, as pointers are */
    has_key = pthread_key_create(&key, end) == 0; /* by the first thread, before there are others */
}

/* How many blocks a bin may have now. */
static uint32_t bin_room(const struct cache *cache, size_t bin)
{
    return (uint32_t)((cache->most[2 * bin] - bin_place(bin, 0)) / sizeof(void *));
}

/* Makes a bin that was found empty, or full, one of twice as many blocks; false if it may have no more. */
static bool bin_grow(struct cache *cache, size_t bin)
{
    uint32_t limit = bin_limit(bin);
    uint32_t room = bin_room(cache, bin);
    cache->most[2 * bin] = bin_place(bin, 2 * room > limit ? limit : 2 * room);
    return room != limit;
}

/* A cache that no thread has. */
static struct cache *fresh_cache(void)
{
    struct cache *cache = mmap(NULL, first_place[BINS], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (cache == MAP_FAILED)
        return NULL;
    if (!options.huge_pages)
        madvise(cache, first_place[BINS], MADV_NOHUGEPAGE);
    for (size_t bin = 1; bin < BINS; bin++)
        if (bin != BIN_RUNS) { /* no run has no units */
            cache->top[2 * bin] = bin_place(bin, 0);
            cache->most[2 * bin] = bin_place(bin, BIN_LEAST);
        }
    memcpy(cache->twice, twice, sizeof twice);
    cache->next = caches;
    caches = cache;
    return cache;
}

/* The cache of a thread that is no more, though it has made one after it was told that it is over: one of the next few
 * in turn. What the C library frees of a thread's own memory comes so late. */
static struct cache *left_behind(void)
{
    static struct cache *next;
    struct cache *found = NULL;
    if (getpid() != process)
        return NULL;
    int error = errno;
    for (int i = 0; i < ASKED_MOST && found == NULL; i++) {
        struct cache *cache = next != NULL ? next : caches;
        if (cache == NULL)
            break;
        next = cache->next;
        if (cache->owner != 0 && syscall(SYS_tgkill, process, cache->owner, 0) != 0 && errno == ESRCH)
            found = cache;
    }
    errno = error;
    return found;
}

void cache_make(void)
{
    lock_thread.is_over = true; /* for what the calls below may allocate */
    if (!has_key)
        begin_all();
    if (!has_key || !lock_enter())
        return;                      /* this thread does without */
    if (lock_thread.cache != NULL) { /* a handler has come first */
        lock_thread.is_over = false;
        lock_leave();
        return;
    }
    struct cache *cache = idle;
    if (cache != NULL) {
        idle = cache->next_idle;
        idles--;
    } else {
        cache = left_behind();
        if (cache == NULL)
            cache = fresh_cache();
    }
    if (cache != NULL) /* a child of vfork makes it for its parent's thread */
        cache->owner = getpid() == process ? (pid_t)syscall(SYS_gettid) : 0;
    lock_thread.cache = cache; /* so that it is this thread's in a child, if a handler forks from here on */
    lock_leave();
    if (cache == NULL)
        return;
    if (pthread_setspecific(key, cache) != 0) {
        end(cache);
        return;
    }
    lock_thread.is_over = false;
    cache_return();
}

/* Looks at the next bin of runs: if nothing has changed in it since it was looked at last, half of it goes back. */
static void look_at_runs(struct cache *cache)
{
    size_t bin = BIN_RUNS + 1 + cache->looks++ % BIN_UNITS;
    size_t *seen = &cache->seen[bin - BIN_RUNS];
    if (cache->top[2 * bin] == *seen)
        give_first(cache, bin, (bin_count(cache, bin) + 1) / 2);
    *seen = cache->top[2 * bin];
}

/* Gives half of a full bin back, or of more than two parts of GIVE_MOST blocks one: now this, now that one, but never
 * the newest, which takes its place. */
static void give_part(struct cache *cache, size_t bin)
{
    uint32_t count = bin_count(cache, bin);
    if (count <= 2 * GIVE_MOST) {
        give_first(cache, bin, (count + 1) / 2);
        return;
    }
    uint32_t left = count - GIVE_MOST;
    void **blocks = bin_blocks(cache, bin);
    void **part = blocks + cache->looks % (left / GIVE_MOST) * GIVE_MOST;
    heaps_free_batch(part, GIVE_MOST);
    cache->top[2 * bin] = bin_place(bin, left);
    memcpy(part, blocks + left, GIVE_MOST * sizeof blocks[0]);
}

/* How many blocks an empty bin takes: half of its room, but of runs no more than RUNS_BYTES, or one. */
static uint32_t refill(const struct cache *cache, size_t bin)
{
    uint32_t half = (bin_room(cache, bin) + 1) / 2;
    size_t most = bin < BIN_RUNS ? BATCH_MOST : RUNS_BYTES / bin_bytes(bin);
    return half < most ? half : most != 0 ? (uint32_t)most : 1;
}

void *cache_refill(struct cache *cache, size_t bin)
{
    look_at_runs(cache);
    void **blocks = bin_blocks(cache, bin);
    size_t taken = heaps_allocate_batch(bin_bytes(bin), refill(cache, bin), blocks);
    if (taken == 0)
        return NULL;
    if (HAS_SECRETS)
        ((uint64_t *)blocks[taken - 1])[1] = 0; /* it does not stay in the cache */
    cache->top[2 * bin] = bin_place(bin, taken - 1);
    bin_grow(cache, bin);
    return blocks[taken - 1];
}

void cache_make_room(struct cache *cache, size_t bin)
{
    look_at_runs(cache);
    if (!bin_grow(cache, bin))
        give_part(cache, bin);
}

/* Whether the block is in a bin of any thread. */
static bool has(const void *block)
{
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next)
        for (size_t bin = 1; bin < BINS; bin++)
            for (uint32_t i = 0; i < bin_count(cache, bin); i++)
                if (bin_block(cache, bin, i) == block)
                    return true;
    return false;
}

/* What is not in the first region no bin has, by the tables; but it may wait in one. */
size_t cache_bin_of_held(const void *block)
{
    size_t bin = bins_by_tables(block);
    bool may_wait = HAS_SECRETS && (bin != 0 || ((uintptr_t)block % ALIGNMENT == 0 && heaps_own(block)));
    if (may_wait && ((const uint64_t *)block)[1] == bins.secret && has(block))
        heaps_fault(KNOLL_FAULT_DOUBLE_FREE, block);
    return bin;
}

/* Whatever a thread was doing to its cache in the parent is done, or not begun, once `top` says so. */
void cache_leave_behind(void)
{
    process = getpid();
    idle = NULL;
    idles = 0;
    for (struct cache *cache = caches; cache != NULL; cache = cache->next)
        if (cache == lock_thread.cache) {
            cache->owner = (pid_t)syscall(SYS_gettid);
        } else {
            idles++;
            cache->next_idle = idle;
            idle = cache;
        }
}

void cache_drain(void)
{
    struct cache *own;
    if (cache_borrow_if_ready(&own)) {
        drain(own);
        cache_return();
    }
    for (struct cache *cache = idle; cache != NULL; cache = cache->next_idle)
        drain(cache);
}

void cache_heaps_totals(struct heaps_totals *totals)
{
    heaps_totals(totals);
    for (const struct cache *cache = caches; cache != NULL; cache = cache->next) {
        for (size_t bin = 1; bin < BINS; bin++) {
            size_t *used =
                bin < BIN_RUNS ? &totals->stats.size_class[bin - 1].used_blocks : &totals->stats.large_blocks;
            size_t count = bin_count(cache, bin);
            if (count > *used) /* a block that went from bin to bin meanwhile may be counted twice */
                count = *used;
            size_t bytes = count * bin_bytes(bin);
            *used -= count;
            totals->cached_blocks += count;
            totals->cached_bytes += bytes;
            if (bin >= BIN_RUNS)
                totals->stats.large_bytes -= bytes < totals->stats.large_bytes ? bytes : totals->stats.large_bytes;
        }
    }
    totals->stats.used_bytes -= totals->cached_bytes;
    totals->stats.available_bytes += totals->cached_bytes;
}
