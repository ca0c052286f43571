/* Rung 2: from an address to the block that a caller holds there, or to what is known of the fault that it is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_EVIDENCE_H
#define KNOLL_EVIDENCE_H

#include "blocks.h"
#include "guards.h"

/* A block with what lies round it. */
struct guarded {
    struct block block;   /* as the tables know it */
    unsigned char *start; /* its first byte */
    unsigned char *end;   /* after its last */
    unsigned char *user;  /* the address that its caller knows */
};

/* Finds the block that callers know by this address, which is held or, if `waits`, in quarantine; false if its front
 * part or the tables say otherwise. */
bool knoll_guarded_find(const struct knoll_heap *heap, const void *address, bool waits, struct guarded *guarded);

/* The block, held or in quarantine, that begins at `start` as the tables know it; false if its front part is broken. */
bool knoll_guarded_at(const struct knoll_heap *heap, const struct block *block, unsigned char *start,
                      struct guarded *guarded);

/* The first byte round a held block that was overwritten, or NULL; *fault says which kind that is. */
const unsigned char *knoll_guarded_broken(const struct knoll_heap *heap, const struct guarded *guarded,
                                          enum knoll_fault *fault);

/* Of a block in quarantine whose bytes are from `start` to `end`: the first that does not hold what was left there. */
const unsigned char *knoll_waiting_broken(const struct knoll_heap *heap, const unsigned char *start,
                                          const unsigned char *end, const unsigned char *user);

/* Finds the block that callers know by this address and verifies its guards; reports what is wrong otherwise. */
#if KNOLL_HARDEN >= 2
bool knoll_guarded_verify(const struct knoll_heap *heap, const void *address, uintptr_t caller,
                          struct guarded *guarded);
#else
static inline bool knoll_guarded_verify(const struct knoll_heap *heap, const void *address, uintptr_t caller,
                                        struct guarded *guarded)
{
    (void)heap, (void)address, (void)caller, (void)guarded;
    return true;
}
#endif

/* Reports what an address is that knoll_guarded_find does not find. */
void knoll_evidence_of_address(const struct knoll_heap *heap, const void *named, uintptr_t caller);

/* Reports a fault of this block, of which NULL is nothing known; `broken` and `freed` may be NULL. */
void knoll_evidence(const struct knoll_heap *heap, enum knoll_fault fault, const void *address, uintptr_t caller,
                    const struct guarded *guarded, const unsigned char *broken, const struct knoll_origin *freed);

#endif
