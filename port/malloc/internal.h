/* libknoll-malloc: what its files share.
 *
 *     malloc.c, new.c     the entry points: C, POSIX, glibc; C++
 *     cache.c             each thread's free blocks, taken and given without the lock
 *     heaps.c             blocks: of knoll heaps, or mapped directly
 *     spans.c             the heaps' memory: spans of reserved address space
 *     mappings.c          the blocks that are mapped directly; at rung 3 guarded.c, with guard pages and chance
 *     bins.c              the map of blocks that caches may keep; steps.h how it is looked up, and caches used
 *     mapping_table.c     where mapped blocks are
 *     lock.c              one lock over all, fork, and what a signal handler may do meanwhile
 *     options.c           the environment
 *     late.c              the C++ library, where it is loaded late
 *     report.c            what is printed, without allocating
 *
 * Each calls only those below it, but for lock.c, which has cache.c and heaps.c take back what handlers have freed, and
 * take over what a fork leaves behind.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_INTERNAL_H
#define KNOLL_MALLOC_INTERNAL_H

#include "knoll.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#define HIDDEN      __attribute__((visibility("hidden")))
#define EXPORT      __attribute__((visibility("default")))
#define ALIGNMENT   16u /* of max_align_t, which every block has */
#define PAGE        ((size_t)4096)
#define HEAPS_MOST  64                  /* of at most 64 GiB each */
#define HAS_CACHES  (KNOLL_HARDEN < 2)  /* what waits in one is not filled, nor verified when it is handed out */
#define HAS_SECRETS (KNOLL_HARDEN == 1) /* blocks that wait in caches say so */
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* KNOLL_MALLOC_RUNG: how much misuse the library stops, from 0 to 3 (docs/hardening.md). Up to 2 it is the core's
 * KNOLL_HARDEN; at 3 the core's is 2, and what an MMU makes possible comes on top. Blocks of MAP_LEAST bytes or more
 * are mapped by themselves, unless KNOLL_MAP_BYTES says otherwise; at rung 3 up to WAITING_MOST of them, which have
 * WAITING_BYTES of address space, keep it after their free. */
#if KNOLL_MALLOC_RUNG < 3
#define MAP_LEAST       ((size_t)32 << 20)
#define MAP_LEAST_LEAST ((size_t)64 << 10)
#else
#define MAP_LEAST       ((size_t)4096)
#define MAP_LEAST_LEAST ((size_t)1024)
#endif
#define WAITING_MOST  1024
#define WAITING_BYTES ((size_t)16 << 30)
#define MAPPED_MOST   16384 /* blocks; each takes three mappings, of which Linux lets a process have 65,530 */
#define REPLACED_MOST ((size_t)16 << 20) /* less than so many bytes come from a heap if they cannot be mapped */

/* ---- options.c ---- */

struct options {
    bool stats;        /* KNOLL_STATS=1: print statistics at exit */
    int stats_signal;  /* KNOLL_STATS_SIGNAL=N: and when this signal comes; 0: none */
    bool huge_pages;   /* KNOLL_THP=1: let the kernel back spans with huge pages */
    uint64_t decay_ms; /* KNOLL_DECAY_MS=N: how long free memory may stay resident; by default a second */
    size_t span_first; /* KNOLL_SPAN_BYTES=N: how long the first span is; 0: as long as it may be */
    size_t map_least;  /* KNOLL_MAP_BYTES=N: blocks of so many bytes or more are mapped directly; MAP_LEAST */
};

HIDDEN extern struct options options;

/* Reads the options, if they have not been and there is an environment already. */
void options_read(char *const *environment);

/* The value of a variable of these, and a line that says that it is not used. */
const char *options_value(char *const *environment, const char *name);
void options_complain(const char *name, const char *value, const char *what);

/* ---- report.c: lines to the standard error, built in a buffer on the stack ---- */

struct line {
    char text[768]; /* for one of knoll_fault_line as well */
    size_t length;
};

void line_text(struct line *line, const char *text);
void line_number(struct line *line, uint64_t number, int width);
void line_end(struct line *line, int file);

/* Keeps the standard error, for what is printed after the program has closed it. */
void report_keep_error(void);

struct heaps_totals;
void report_stats(int file, const struct heaps_totals *totals);

/* A misuse that knoll_last_fault describes: one line, and the end of the program. */
_Noreturn void report_fault(void);

/* Damage that nobody has come upon, found when the program ends: one line, and the end by a signal instead. */
_Noreturn void report_broken(int invariant);

/* What the library cannot go on without: one line, and the end of the program. */
_Noreturn void report_missing(const char *what);

/* ---- lock.c ---- */

/* What is known of this thread. */
struct lock_thread {
    bool inside;         /* it is in a heap */
    bool has_lock;       /* and has taken the lock for that */
    uint8_t forks;       /* how many forks it is in, around which it has the lock, */
    bool took_lock;      /* for which it has taken it */
    bool is_over;        /* it may have no cache any more */
    uint8_t frees;       /* without a cache, up to FREES_ALONE */
    size_t served;       /* malloc asks its cache at once for less than so many bytes: CACHE_SERVES; or 0, if it has
                          * none, and while it works on it */
    struct cache *cache; /* its own, or NULL */
    uintptr_t caller;    /* from rung 2 on: what the library's function that it is in returns to, */
    bool keeps_caller;   /* which another that is called for the same caller leaves as it is */
};

HIDDEN extern _Thread_local struct lock_thread lock_thread __attribute__((tls_model("initial-exec")));
HIDDEN extern _Atomic(void *) lock_deferred; /* what handlers have freed: each block's first word leads to the next */

/* From rung 2 on a block says who asked for it, and who freed it: each entry point says first what it returns to. */
#define CALLER (KNOLL_HARDEN >= 2 ? __builtin_return_address(0) : NULL)

static inline void called_by(const void *caller)
{
    if (KNOLL_HARDEN >= 2 && !lock_thread.keeps_caller && !lock_thread.inside)
        lock_thread.caller = (uintptr_t)caller;
}

/* Around the call of another entry point for the same caller. */
static inline void keep_caller(bool keeps)
{
    if (KNOLL_HARDEN >= 2)
        lock_thread.keeps_caller = keeps;
}

/* The core's KNOLL_CALLER_HOOK. */
uintptr_t lock_caller(void);

void lock_take(void);
void lock_leave_slowly(void);

/* Whether this thread may use the heaps now: not if a signal handler has interrupted it while it does. */
static inline bool lock_enter(void)
{
    if (UNLIKELY(lock_thread.inside))
        return false;
    lock_thread.inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(!__libc_single_threaded) && !lock_thread.forks)
        lock_take();
    return true;
}

static inline void lock_leave(void)
{
    if (UNLIKELY(lock_thread.has_lock)) {
        lock_leave_slowly();
        return;
    }
    atomic_signal_fence(memory_order_seq_cst);
    lock_thread.inside = false;
    atomic_signal_fence(memory_order_seq_cst);
    if (UNLIKELY(atomic_load_explicit(&lock_deferred, memory_order_relaxed) != NULL))
        lock_leave_slowly();
}

/* The program ends here, in a heap that is sound: others may go on until it has. */
void lock_abandon(void);

/* Keeps a block that a handler frees meanwhile until lock_leave. */
void lock_defer_free(void *block);

/* Registers what must happen around fork. */
void lock_watch_forks(void);

/* ---- heaps.c: all of these between lock_enter and lock_leave ---- */

void *heaps_allocate(size_t alignment, size_t size);
size_t heaps_allocate_batch(size_t size, size_t count, void **blocks);
void heaps_free_batch(void *const *blocks, size_t count);
void *heaps_allocate_zeroed(size_t size);
void *heaps_resize(void *block, size_t size);
void heaps_free(void *block);
void heaps_free_sized(void *block, size_t alignment, size_t size); /* 0: none was named */
size_t heaps_usable_size(const void *block);

/* From rung 2 on: verifies what lies round all blocks, and reports what is broken. */
void heaps_verify(void);

/* Whether the address is in a span of any heap. */
bool heaps_own(const void *address);

/* A misuse of this block that no heap found by itself: it is reported, and the program ends. */
_Noreturn void heaps_fault(enum knoll_fault kind, const void *block);

size_t heaps_used_bytes(void);
void heaps_walk_free(size_t least, knoll_visitor visitor, void *context);

struct heaps_totals {
    struct knoll_stats stats; /* the sum over all heaps; largest_block is the greatest */
    size_t heaps;
    size_t mapped_blocks, mapped_bytes; /* of blocks that are mapped directly */
    size_t cached_blocks, cached_bytes; /* in threads' caches: the heaps hold them to be used */
    size_t reserved_bytes;              /* of address space */
};

void heaps_totals(struct heaps_totals *totals);

/* ---- late.c: what the C++ library has by this name, or NULL. Not in the archive ---- */

__attribute__((weak)) void *late_find(const char *name);

/* ---- decay.c: between lock_enter and lock_leave too ---- */

/* So many bytes have been freed: it may be time to give memory back. */
void decay_count_freed(size_t bytes);

/* Gives free memory back to the kernel at once; the bytes that were offered. */
size_t decay_trim(void);

/* ---- mapping_table.c ---- */

struct mapping {
    unsigned char *block; /* NULL: the place is not taken */
    size_t size;          /* usable bytes: to the mapping's end, or at rung 3 those asked for */
    size_t before;        /* bytes of the mapping before the block, a guard page not counted */
    unsigned alignment;   /* at rung 3: the log2 of that which was asked for, 4 at least */
    bool waits;           /* at rung 3: it has been freed */
};

/* Makes room for one more. */
bool mapping_table_reserve(void);
void mapping_table_put(struct mapping mapping);
struct mapping *mapping_table_find(const void *block);
void mapping_table_remove(const struct mapping *mapping);

/* The mapping that this address is in, at rung 3 in a guard page of as well, even if it was freed; NULL if there is
 * none. O(mappings). */
const struct mapping *mapping_around(const void *address);

/* The one after this one, in no order; the first one for NULL, NULL after the last. */
struct mapping *mapping_table_next(const struct mapping *mapping);

/* ---- mappings.c or guarded.c ---- */

/* Whole pages that read as zero; at rung 3 between guard pages, at a random place. */
void *pages_map(size_t size);
void pages_unmap(void *pages, size_t size);

/* In the child: its chances are not to be its parent's. */
void pages_after_fork(void);

void *mapping_make(size_t alignment, size_t size);
struct mapping *mapping_find(const void *block);
void mapping_discard(struct mapping *mapping);

/* Whether the block may be freed as one of this size. */
bool mapping_fits(const struct mapping *mapping, size_t alignment, size_t size);

/* Makes it longer or shorter, moving it if need be; NULL if it cannot be. */
void *mapping_resize(struct mapping *mapping, size_t size);
void mapping_totals(size_t *blocks, size_t *bytes);

#if KNOLL_MALLOC_RUNG < 3

/* Whether a block at this address may be mapped directly. */
static inline bool mapping_may_be(const void *block)
{
    return (uintptr_t)block % PAGE == 0;
}

static inline enum knoll_fault mapping_broken(const struct mapping *mapping)
{
    (void)mapping;
    return KNOLL_FAULT_NONE;
}

static inline unsigned char *mapping_start(const struct mapping *mapping)
{
    return mapping->block - mapping->before;
}

static inline unsigned char *mapping_end(const struct mapping *mapping)
{
    return mapping->block + mapping->size;
}

static inline void pages_forbid(void *from, void *to)
{
    (void)from, (void)to;
}

#else

static inline bool mapping_may_be(const void *block)
{
    (void)block;
    return true;
}

/* From its first guard page's start to its last one's end. */
static inline unsigned char *mapping_start(const struct mapping *mapping)
{
    return mapping->block - mapping->before - PAGE;
}

static inline unsigned char *mapping_end(const struct mapping *mapping)
{
    size_t size = mapping->before + mapping->size + (mapping->size == 0);
    return mapping->block - mapping->before + (size + PAGE - 1) / PAGE * PAGE + PAGE;
}

/* What was written round the block, if anything was: KNOLL_FAULT_OVERFLOW or _UNDERFLOW. */
enum knoll_fault mapping_broken(const struct mapping *mapping);

/* Makes all whole pages of this span inaccessible. */
void pages_forbid(void *from, void *to);

/* The core's KNOLL_RANDOM_HOOK. */
uint32_t guarded_random(void);

#endif

#endif
