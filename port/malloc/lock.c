/* One lock over all heaps: a futex (Drepper, Futexes Are Tricky, 2011) that says who has it, and whether it is awaited.
 *
 * While a thread is in a heap a signal handler may interrupt it, on the same thread, and free a block: taking the lock
 * would wait for ever. So each thread notes that it is inside; a handler that frees then leaves the block in a list,
 * which whoever leaves a heap next takes over, and a handler that allocates is refused. Until the program has a second
 * thread, the note is all there is to a lock. From rung 2 on a block may have no room for the list's link, and what
 * follows it is verified: so there are places for blocks, and one that finds them all taken is lost.
 *
 * Around fork the lock is held, so that the child finds the heaps whole; what else happens around it on the same thread
 * may use them. A handler may fork while its thread is in a heap: if that has the lock, which says so by itself, both
 * processes go on with it.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cache.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS         100
#define DEFERRED_MOST 256

/* Said here once more: a compiler does not take it from the declaration, and not every linker makes up for that. */
_Thread_local struct lock_thread lock_thread __attribute__((tls_model("initial-exec")));
_Atomic(void *) lock_deferred;

static _Atomic(void *) deferred[KNOLL_HARDEN < 2 ? 1 : DEFERRED_MOST]; /* at rung 2: what lock_deferred says there is */
/* The address of the lock_thread of who has it, and 1 besides if somebody waits for it. */
static _Atomic(uintptr_t) lock;

static uintptr_t me(void)
{
    return (uintptr_t)&lock_thread;
}

/* On the low half of the lock, which has the bit. */
static void futex(int operation, uint32_t value)
{
    int error = errno;
    uintptr_t low = (uintptr_t)&lock + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof lock - sizeof value);
    syscall(SYS_futex, low, operation, value, NULL, NULL, 0);
    errno = error;
}

static __attribute__((noinline)) void wait_for_lock(void)
{
    for (int spins = 0; spins < SPINS; spins++) {
        uintptr_t free = 0;
        if (atomic_load_explicit(&lock, memory_order_relaxed) == 0 && atomic_compare_exchange_weak(&lock, &free, me()))
            return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    for (;;) {
        uintptr_t seen = 0;
        if (atomic_compare_exchange_strong(&lock, &seen, me() | 1))
            return;
        if ((seen & 1) != 0 || atomic_compare_exchange_strong(&lock, &seen, seen | 1))
            futex(FUTEX_WAIT_PRIVATE, (uint32_t)seen | 1);
    }
}

static void take_lock(void)
{
    uintptr_t free = 0;
    if (!atomic_compare_exchange_strong(&lock, &free, me()))
        wait_for_lock();
}

static void give_lock(void)
{
    if ((atomic_exchange(&lock, 0) & 1) != 0)
        futex(FUTEX_WAKE_PRIVATE, 1);
}

uintptr_t lock_caller(void)
{
    return lock_thread.caller;
}

void lock_take(void)
{
    take_lock();
    lock_thread.has_lock = true;
}

static void free_list(void *block)
{
    while (block != NULL) {
        void *next = *(void **)block;
        (void)cache_bin_of_held(block);
        heaps_free(block);
        block = next;
    }
}

static void free_places(void)
{
    for (size_t i = 0; i < sizeof deferred / sizeof deferred[0]; i++) {
        void *block = atomic_exchange(&deferred[i], NULL);
        if (block != NULL)
            heaps_free(block);
    }
}

/* Takes over what handlers have freed. Inside. */
static void free_deferred(void)
{
    void *block = atomic_exchange(&lock_deferred, NULL);
    if (KNOLL_HARDEN < 2)
        free_list(block);
    else if (block != NULL)
        free_places();
}

/* Leaves with the lock, or after having left takes over what handlers have freed, which may have come at any moment. */
void lock_leave_slowly(void)
{
    do {
        if (!lock_thread.inside && !lock_enter())
            return;
        free_deferred();
        if (lock_thread.has_lock) {
            lock_thread.has_lock = false;
            give_lock();
        }
        atomic_signal_fence(memory_order_seq_cst);
        lock_thread.inside = false;
        atomic_signal_fence(memory_order_seq_cst);
    } while (atomic_load_explicit(&lock_deferred, memory_order_relaxed) != NULL);
}

void lock_abandon(void)
{
    if (lock_thread.has_lock) {
        lock_thread.has_lock = false;
        give_lock();
    }
}

static void defer_to_place(void *block)
{
    for (size_t i = 0; i < sizeof deferred / sizeof deferred[0]; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&deferred[i], &none, block)) {
            atomic_store(&lock_deferred, deferred);
            return;
        }
    }
}

void lock_defer_free(void *block)
{
    if (KNOLL_HARDEN >= 2) {
        defer_to_place(block);
        return;
    }
    void *next = atomic_load(&lock_deferred);
    do
        *(void **)block = next;
    while (!atomic_compare_exchange_weak(&lock_deferred, &next, block));
}

/* ---- Forks ---- */

/* The C library takes the lock of its list of files for a fork. Who has that may wait for a file, and who has the file
 * for this lock: so first that of the list. */
__attribute__((weak)) void _IO_list_lock(void);
__attribute__((weak)) void _IO_list_unlock(void);
__attribute__((weak)) void _IO_list_resetlock(void);

/* What a handler does meanwhile waits. Whether this is in a handler that has come while its thread was in a heap. */
static bool change_begins(void)
{
    bool was_inside = lock_thread.inside;
    lock_thread.inside = true;
    atomic_signal_fence(memory_order_seq_cst);
    return was_inside;
}

static void change_ends(bool was_inside)
{
    atomic_signal_fence(memory_order_seq_cst);
    lock_thread.inside = was_inside;
}

static void before_fork(void)
{
    if (_IO_list_lock != NULL)
        _IO_list_lock();
    bool was_inside = change_begins();
    if (lock_thread.forks++ == 0) {
        lock_thread.took_lock = (atomic_load(&lock) & ~(uintptr_t)1) != me();
        if (lock_thread.took_lock)
            take_lock();
    }
    change_ends(was_inside);
}

static void after_fork_in_parent(void)
{
    bool was_inside = change_begins();
    if (--lock_thread.forks == 0 && lock_thread.took_lock)
        give_lock();
    change_ends(was_inside);
    if (_IO_list_unlock != NULL)
        _IO_list_unlock();
}

/* Who waited for the lock is in the parent. */
static void after_fork_in_child(void)
{
    bool was_inside = change_begins();
    atomic_store(&lock, --lock_thread.forks == 0 && lock_thread.took_lock ? 0 : me());
    if (!was_inside)
        cache_leave_behind();
    pages_after_fork();
    change_ends(was_inside);
    if (_IO_list_resetlock != NULL)
        _IO_list_resetlock();
}

void lock_watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
