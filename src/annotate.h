/* What Memcheck and AddressSanitizer are told of a heap's memory, so that they report its misuse as they do for malloc;
 * KNOLL_ANNOTATE chooses, and 0 makes all of this nothing.
 *
 * Only the bytes that were asked for of a block that is held are accessible; all else outside of the tables is not:
 * free blocks and runs, and the slack from what was asked for to the block's end. That line is kept nowhere in the
 * heap, so where it is needed, to copy a block or to move the line, the tool is asked.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_ANNOTATE_H
#define KNOLL_ANNOTATE_H

#include "knoll.h"

#if KNOLL_ANNOTATE == 1

#include <valgrind/memcheck.h>

/* How many of the block's first bytes are accessible. */
static inline size_t annotated_size(const void *block, size_t usable)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
    uintptr_t first = (uintptr_t)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(block, usable); /* that is not, or 0 */
    VALGRIND_ENABLE_ERROR_REPORTING;
    return first == 0 ? usable : first - (uintptr_t)block;
}

/* Before and after a word is read that may be accessible to nobody. */
static inline void annotate_peek(void)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void annotate_peeked(uintptr_t *word)
{
    VALGRIND_ENABLE_ERROR_REPORTING;
    VALGRIND_MAKE_MEM_DEFINED(word, sizeof *word);
}

/* A region's memory: what is there from a heap before it is forgotten. */
static inline void annotate_region(void *start, size_t size)
{
    VALGRIND_MAKE_MEM_UNDEFINED(start, size);
}

static inline void annotate_unused(void *start, size_t size)
{
    VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

static inline void annotate_taken(void *block, size_t size)
{
    VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, 0);
}

static inline void annotate_given(void *block, size_t usable)
{
    (void)usable; /* Memcheck knows how much of it was accessible */
    VALGRIND_FREELIKE_BLOCK(block, 0);
}

/* A block that stays where it is becomes `size` bytes; it had `before` usable bytes, and has `usable` now. */
static inline void annotate_resized(void *block, size_t before, size_t size, size_t usable)
{
    size_t known = annotated_size(block, before);
    (void)usable;
    if (size != 0) {
        VALGRIND_RESIZEINPLACE_BLOCK(block, known, size, 0);
    } else { /* which Memcheck does not resize to */
        VALGRIND_FREELIKE_BLOCK(block, 0);
        VALGRIND_MALLOCLIKE_BLOCK(block, 0, 0, 0);
    }
}

/* The caller asked how large the block is, and may use all of it. */
static inline void annotate_opened(const void *block, size_t usable)
{
    VALGRIND_RESIZEINPLACE_BLOCK(block, annotated_size(block, usable), usable, 0);
}

#elif KNOLL_ANNOTATE == 2

#include <sanitizer/asan_interface.h>

static inline size_t annotated_size(const void *block, size_t usable)
{
    void *whole = (void *)(uintptr_t)block;
    uintptr_t first = (uintptr_t)__asan_region_is_poisoned(whole, usable); /* that is poisoned, or 0 */
    return first == 0 ? usable : first - (uintptr_t)block;
}

static inline void annotate_region(void *start, size_t size)
{
    __asan_unpoison_memory_region(start, size);
}

static inline void annotate_unused(void *start, size_t size)
{
    __asan_poison_memory_region(start, size);
}

static inline void annotate_taken(void *block, size_t size)
{
    __asan_unpoison_memory_region(block, size);
}

static inline void annotate_given(void *block, size_t usable)
{
    __asan_poison_memory_region(block, usable);
}

static inline void annotate_resized(void *block, size_t before, size_t size, size_t usable)
{
    __asan_poison_memory_region(block, before > usable ? before : usable);
    __asan_unpoison_memory_region(block, size);
}

static inline void annotate_opened(const void *block, size_t usable)
{
    __asan_unpoison_memory_region(block, usable);
}

#else

static inline size_t annotated_size(const void *block, size_t usable)
{
    (void)block;
    return usable;
}

static inline void annotate_region(const void *start, size_t size)
{
    (void)start, (void)size;
}

static inline void annotate_unused(const void *start, size_t size)
{
    (void)start, (void)size;
}

static inline void annotate_taken(const void *block, size_t size)
{
    (void)block, (void)size;
}

static inline void annotate_given(const void *block, size_t usable)
{
    (void)block, (void)usable;
}

static inline void annotate_resized(const void *block, size_t before, size_t size, size_t usable)
{
    (void)block, (void)before, (void)size, (void)usable;
}

static inline void annotate_opened(const void *block, size_t usable)
{
    (void)block, (void)usable;
}

#endif

#if KNOLL_ANNOTATE != 1 /* AddressSanitizer leaves a function alone that says so */

static inline void annotate_peek(void)
{
}

static inline void annotate_peeked(const uintptr_t *word)
{
    (void)word;
}

#endif

#endif
