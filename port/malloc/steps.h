/* Steps of malloc and free that gcc makes longer than need be on x86-64, each by one or two of their 14 and 24
 * instructions. What they do the functions for other machines say. Those that write do it by one instruction there.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_STEPS_H
#define KNOLL_MALLOC_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#define STEP_GATE 10 /* the highest bit of a gate that is open */

/* ThreadSanitizer does not see what assembler does. */
#if defined(__SANITIZE_THREAD__)
#define IS_WATCHED 1
#elif defined(__has_feature)
#define IS_WATCHED __has_feature(thread_sanitizer)
#else
#define IS_WATCHED 0
#endif

#if defined(__x86_64__) && defined(__LP64__) && !IS_WATCHED

/* Shifting leaves the lowest bit in the carry. */
static inline size_t step_look_up(const unsigned char *bytes, size_t place)
{
    const struct {
        unsigned char byte[4096];
    } *read = (const void *)bytes; /* for the compiler: any of them */
    size_t found;
    __asm__("shrq %1\n\t"
            "movzbl (%2,%1), %k0\n\t"
            "adcl $0, %k0"
            : "=&r"(found), "+r"(place)
            : "r"(bytes), "m"(*read)
            : "cc");
    return found;
}

static inline void step_up(size_t *top)
{
    __asm__("addq %1, %0" : "+m"(*top) : "i"(sizeof(void *)) : "cc");
}

/* The block, which is not NULL, is to be where results are, so that it need not be brought there. */
static inline void *step_down(size_t *top, void *block)
{
    __asm__("subq %2, %0" : "+m"(*top), "+a"(block) : "i"(sizeof(void *)) : "cc");
    if (block == NULL)
        __builtin_unreachable();
    return block;
}

/* The last bit that is shifted out is in the carry. */
static inline bool step_shut(size_t *gate)
{
    bool was_open;
    __asm__("shrq %2, %0" : "+m"(*gate), "=@ccc"(was_open) : "i"(STEP_GATE + 1) : "cc");
    return was_open;
}

#else

/* A byte for every two places, and one more where the place is odd. */
static inline size_t step_look_up(const unsigned char *bytes, size_t place)
{
    return bytes[place / 2] + place % 2;
}

/* Adds a pointer's size. Nobody else writes it, others may read it. */
static inline void step_up(size_t *top)
{
    __atomic_store_n(top, *top + sizeof(void *), __ATOMIC_RELAXED);
}

/* Subtracts it, and returns the block that malloc returns. */
static inline void *step_down(size_t *top, void *block)
{
    __atomic_store_n(top, *top - sizeof(void *), __ATOMIC_RELAXED);
    return block;
}

/* Makes the gate 0, and says whether it was open: not 0. A signal handler that comes in between leaves one that is open
 * so; but it may open one that was not yet, by making the thread's cache, so that is left as it is. */
static inline bool step_shut(size_t *gate)
{
    bool was_open = *(volatile size_t *)gate != 0;
    if (was_open)
        *(volatile size_t *)gate = 0;
    return was_open;
}

#endif

#endif
