/* Two steps of free that gcc makes longer than need be on x86-64, each by one or two of its 24 instructions. What they
 * do the functions for other machines say.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_MALLOC_STEPS_H
#define KNOLL_MALLOC_STEPS_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

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

/* As one instruction, which is no atomic one. */
static inline void step_up(size_t *top)
{
    __asm__("addq %1, %0" : "+m"(*top) : "i"(sizeof(void *)) : "cc");
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

#endif

#endif
