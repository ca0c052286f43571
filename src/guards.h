/* Rung 2: what lies round a caller's block, and in free memory.
 *
 *     block (of a class, or a run)                                                           its end
 *     | fill, if the alignment asks for it | front part | the caller's bytes | canary ...    |
 *                                                       ^ the address that the caller knows
 *
 * The front part has the size of four words, or of eight on 32 bits if blocks are to know their age. The canary begins
 * at the byte after the last that was asked for, has eight bytes at least, and goes on to the block's end.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_GUARDS_H
#define KNOLL_GUARDS_H

#include "bits.h"
#include "knoll.h"

/* Of free memory. Unless that reads as zero from the first: as a pointer it leads nowhere, as a size it is refused, and
 * few write it. */
#define FILL_BYTE    (KNOLL_MEMORY_IS_ZERO ? 0 : 0xF5)
#define CANARY_LEAST 8u /* bytes */

#define GUARD_HAS_NUMBER (UINTPTR_MAX > UINT32_MAX || KNOLL_BLOCK_AGE)
#define GUARD_CANARIES   (UINTPTR_MAX <= UINT32_MAX && KNOLL_BLOCK_AGE ? 4 : 1) /* all the room there is */

struct guard_front {
    uintptr_t size;   /* that was asked for */
    uintptr_t caller; /* who asked */
    uintptr_t notes;  /* the caller's tag, GUARD_WAITS, and the log2 of the alignment */
#if GUARD_HAS_NUMBER
    uint32_t number; /* of blocks handed out before */
#endif
    uint32_t canary[GUARD_CANARIES]; /* each of all before, the address and the heap's secret */
};

#define GUARD_FRONT      sizeof(struct guard_front)
#define GUARD_WAITS      (1u << 7) /* the block has been freed and is in quarantine */
#define GUARD_LOG2_MASK  127u
#define GUARD_TAG_SHIFT  8
#define GUARD_LOG2_LEAST 4u /* every block is aligned to 16 */

/* How far from a block's first byte the caller's first byte is, if it has this alignment. */
static inline size_t guard_distance(unsigned log2_alignment)
{
    size_t alignment = (size_t)1 << log2_alignment;
    return alignment > GUARD_FRONT ? alignment : GUARD_FRONT;
}

static inline struct guard_front *guard_front_of(const unsigned char *user)
{
    return (struct guard_front *)((uintptr_t)user - GUARD_FRONT);
}

static inline unsigned guard_log2(const struct guard_front *front)
{
    return (unsigned)(front->notes & GUARD_LOG2_MASK);
}

/* The number of the block in the order in which blocks were handed out; and how many were since, modulo 2^32. */
#if GUARD_HAS_NUMBER

static inline void guard_set_number(const struct knoll_heap *heap, struct guard_front *front)
{
    front->number = (uint32_t)heap->allocations;
}

static inline uint32_t guard_number(const struct guard_front *front)
{
    return front->number;
}

static inline uint32_t guard_age(const struct knoll_heap *heap, const struct guard_front *front)
{
    return (uint32_t)heap->allocations - front->number;
}

#else

static inline void guard_set_number(const struct knoll_heap *heap, struct guard_front *front)
{
    (void)heap, (void)front;
}

static inline uint32_t guard_number(const struct guard_front *front)
{
    (void)front;
    return 0;
}

static inline uint32_t guard_age(const struct knoll_heap *heap, const struct guard_front *front)
{
    (void)heap, (void)front;
    return 0;
}

#endif

/* Writes the front part of the block that callers know by this address, after its size, caller and notes were set; and
 * whether they are as they were written. */
void knoll_guard_seal(const struct knoll_heap *heap, unsigned char *user);
bool knoll_guard_is_sealed(const struct knoll_heap *heap, const unsigned char *user);

/* Writes a block's canary, from the byte after the caller's last to `end`; and the first byte of it that is broken, or
 * NULL. */
void knoll_guard_close(const struct knoll_heap *heap, unsigned char *user, const unsigned char *end);
const unsigned char *knoll_guard_broken(const struct knoll_heap *heap, const unsigned char *user,
                                        const unsigned char *end);

/* Fills free memory; and the first byte of it that does not hold the fill, or NULL. */
void knoll_fill(unsigned char *start, const unsigned char *end);
const unsigned char *knoll_fill_broken(const unsigned char *start, const unsigned char *end);

/* A secret for a heap whose owner has none: of where it lies. */
uintptr_t knoll_guard_secret(const struct knoll_heap *heap, const void *start);

#endif
