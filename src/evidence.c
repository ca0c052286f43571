/* Rung 2: finding blocks by their front parts, and what the evidence says where none is found.
 *
 * An address that a caller names is only believed if the words before it are a front part of this heap, for this very
 * address, and if the tables say that the block which it then belongs to is held. Where that is not so, the tables
 * tell in which block the address lies, and the places where that block's front part can be are tried: one for each
 * alignment, of which just one fits. If none has one, the front part was overwritten.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_HARDEN >= 2

#include "evidence.h"
#include "report.h"

static void describe(struct guarded *guarded, const struct block *block, unsigned char *start, unsigned char *user)
{
    guarded->block = *block;
    guarded->start = start;
    guarded->end = start + block->size;
    guarded->user = user;
}

bool knoll_guarded_find(const struct knoll_heap *heap, const void *address, bool waits, struct guarded *guarded)
{
    unsigned char *user = (unsigned char *)(uintptr_t)address;
    const struct knoll_region *region = knoll_region_search(heap, address);
    struct block block;
    if (region == NULL || (uintptr_t)user % BLOCK_ALIGNMENT != 0 || region_offset(region, user) < GUARD_FRONT)
        return false;
    const struct guard_front *front = guard_front_of(user);
    if (!knoll_guard_is_sealed(heap, user) || ((front->notes & GUARD_WAITS) != 0) != waits)
        return false;
    size_t distance = guard_distance(guard_log2(front));
    unsigned char *start = user - distance;
    if (!knoll_block_find(heap, start, &block) || block.size - CANARY_LEAST < distance + front->size)
        return false;
    describe(guarded, &block, start, user);
    return true;
}

bool knoll_guarded_at(const struct knoll_heap *heap, const struct block *block, unsigned char *start,
                      struct guarded *guarded)
{
    for (unsigned log2 = GUARD_LOG2_LEAST; guard_distance(log2) < block->size; log2++) { /* at most a round a bit */
        unsigned char *user = start + guard_distance(log2);
        if (knoll_guard_is_sealed(heap, user) && guard_log2(guard_front_of(user)) == log2) {
            describe(guarded, block, start, user);
            return true;
        }
    }
    return false;
}

const unsigned char *knoll_guarded_broken(const struct knoll_heap *heap, const struct guarded *guarded,
                                          enum knoll_fault *fault)
{
    const unsigned char *broken = knoll_fill_broken(guarded->start, guarded->user - GUARD_FRONT);
    *fault = KNOLL_FAULT_UNDERFLOW;
    if (broken != NULL)
        return broken;
    *fault = KNOLL_FAULT_OVERFLOW;
    return knoll_guard_broken(heap, guarded->user, guarded->end);
}

const unsigned char *knoll_waiting_broken(const struct knoll_heap *heap, const unsigned char *start,
                                          const unsigned char *end, const unsigned char *user)
{
    const unsigned char *broken = knoll_fill_broken(start, user - GUARD_FRONT);
    if (broken == NULL && !knoll_guard_is_sealed(heap, user))
        broken = user - GUARD_FRONT;
    return broken != NULL ? broken : knoll_fill_broken(user, end);
}

void knoll_evidence(const struct knoll_heap *heap, enum knoll_fault fault, const void *address, uintptr_t caller,
                    const struct guarded *guarded, const unsigned char *broken, const struct knoll_origin *freed)
{
    knoll_report_describe(heap, fault, address);
    knoll_last_fault.found = (struct knoll_origin){caller, heap->tag};
    knoll_last_fault.broken = (uintptr_t)broken;
    if (freed != NULL)
        knoll_last_fault.freed = *freed;
    if (guarded != NULL) {
        const struct guard_front *front = guard_front_of(guarded->user);
        knoll_last_fault.block = (uintptr_t)guarded->user;
        knoll_last_fault.block_size = guarded->block.size;
        if (knoll_guard_is_sealed(heap, guarded->user)) {
            knoll_last_fault.requested = front->size;
            knoll_last_fault.allocated = (struct knoll_origin){front->caller, front->notes >> GUARD_TAG_SHIFT};
        }
    }
    knoll_fault_examine(heap, &knoll_last_fault);
    knoll_report_deliver(heap, fault, address);
}

/* Whether callers may have known the block that begins at `start` by this address. */
static bool may_be_user(const unsigned char *start, const unsigned char *address)
{
    size_t distance = (size_t)(address - start);
    return distance == GUARD_FRONT ||
           (distance > GUARD_FRONT && is_power_of_two(distance) && ((uintptr_t)address & (distance - 1)) == 0);
}

/* Who freed the block in quarantine that callers knew by this address; NULL if none is. */
static const struct knoll_origin *freed_by(const struct knoll_heap *heap, const unsigned char *user)
{
    for (uint32_t i = 0; i < heap->quarantine_count; i++) { /* at most KNOLL_QUARANTINE_BLOCKS rounds */
        const struct knoll_quarantined *waiting =
            &heap->quarantine[(heap->quarantine_first + i) % KNOLL_QUARANTINE_BLOCKS];
        if (waiting->block == user)
            return &waiting->freed;
    }
    return NULL;
}

/* Reports an address in a run that is no block's. */
static void evidence_in_free_run(const struct knoll_heap *heap, const unsigned char *address, uintptr_t caller)
{
    enum knoll_fault fault = knoll_address_fault(heap, address);
    if (fault == KNOLL_FAULT_NOT_HANDED_OUT &&
        knoll_address_fault(heap, address - GUARD_FRONT) == KNOLL_FAULT_DOUBLE_FREE)
        fault = KNOLL_FAULT_DOUBLE_FREE;
    knoll_evidence(heap, fault, address, caller, NULL, NULL, NULL);
}

void knoll_evidence_of_address(const struct knoll_heap *heap, const void *named, uintptr_t caller)
{
    const unsigned char *address = named;
    struct block block;
    struct guarded guarded;
    unsigned char *start = knoll_block_around(heap, address, &block);
    if (start == NULL) {
        evidence_in_free_run(heap, address, caller);
        return;
    }
    describe(&guarded, &block, start, start + GUARD_FRONT);
    if (block.place.shape != NULL && !slab_holds(&block.place)) {
        bool freed = may_be_user(start, address) && knoll_address_fault(heap, start) == KNOLL_FAULT_DOUBLE_FREE;
        guarded.user = start + (freed ? (size_t)(address - start) : GUARD_FRONT);
        knoll_evidence(heap, freed ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT, address, caller, &guarded,
                       NULL, NULL);
        return;
    }
    enum knoll_fault fault = KNOLL_FAULT_INTERIOR;
    const unsigned char *broken = NULL;
    const struct knoll_origin *freed = NULL;
    if (!knoll_guarded_at(heap, &block, start, &guarded)) {
        freed = freed_by(heap, address);
        if (freed != NULL) {
            fault = KNOLL_FAULT_DOUBLE_FREE;
            guarded.user = start + (address - start);
        } else if (may_be_user(start, address)) {
            fault = KNOLL_FAULT_UNDERFLOW;
            guarded.user = start + (address - start);
            broken = address - GUARD_FRONT;
        }
    } else if ((guard_front_of(guarded.user)->notes & GUARD_WAITS) != 0) {
        freed = freed_by(heap, guarded.user);
        fault = address == guarded.user ? KNOLL_FAULT_DOUBLE_FREE : KNOLL_FAULT_NOT_HANDED_OUT;
    }
    knoll_evidence(heap, fault, address, caller, &guarded, broken, freed);
}

bool knoll_guarded_verify(const struct knoll_heap *heap, const void *address, uintptr_t caller, struct guarded *guarded)
{
    enum knoll_fault fault;
    if (!knoll_guarded_find(heap, address, false, guarded)) {
        knoll_evidence_of_address(heap, address, caller);
        return false;
    }
    const unsigned char *broken = knoll_guarded_broken(heap, guarded, &fault);
    if (broken != NULL)
        knoll_evidence(heap, fault, address, caller, guarded, broken, NULL);
    return broken == NULL;
}

#endif
