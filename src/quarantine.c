/* The quarantine: a ring of freed blocks, the tables' view of which is that they are held.
 *
 * While a block waits nobody gets its memory, so whoever still writes through an old pointer changes nothing but the
 * fill, and that is verified when the block leaves; and who frees it again finds a front part that says it was freed.
 * Without a quarantine the memory is somebody else's at once, and neither can be told from what its new owner does.
 *
 * It is bounded in blocks and in bytes, and no block that is larger than all of it enters.
 *
 * Invariant: quarantined_bytes are the bytes of the quarantine_count blocks in the ring, each of which has a front part
 * that says so, and is filled.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"

#if KNOLL_HARDEN >= 2

#include "plain.h"
#include "quarantine.h"
#include "chance.h"

#define OLDEST 32u /* where there is chance, one of so many leaves: each does before long */

static size_t most_bytes(const struct knoll_heap *heap)
{
    size_t share = heap->total / 8;
    size_t most = KNOLL_QUARANTINE_BYTES;
    return share < most ? share : most;
}

/* Makes the block's memory free. */
static void give_back(struct knoll_heap *heap, unsigned char *start, const unsigned char *end)
{
    knoll_fill(start, end);
    PLAIN(free)(heap, start);
}

/* Takes the block of so many bytes that is at this place out of the ring: the first one comes there instead. */
static void leave(struct knoll_heap *heap, uint32_t place, size_t size)
{
    heap->quarantine[place] = *quarantine_at(heap, 0);
    heap->quarantine_first = (heap->quarantine_first + 1) % KNOLL_QUARANTINE_BLOCKS;
    heap->quarantine_count--;
    heap->quarantined_bytes -= size;
}

bool knoll_quarantine_let_go(struct knoll_heap *heap, uintptr_t caller)
{
    if (heap->quarantine_count == 0)
        return false;
    struct guarded guarded;
    uint32_t oldest = heap->quarantine_count < OLDEST ? heap->quarantine_count : OLDEST;
    uint32_t place = (heap->quarantine_first + chance_below(oldest)) % KNOLL_QUARANTINE_BLOCKS;
    const struct knoll_quarantined waiting = heap->quarantine[place];
    guarded.user = waiting.block;
    guarded.start = knoll_block_around(heap, guarded.user, &guarded.block);
    if (guarded.start == NULL || (size_t)(guarded.user - guarded.start) < GUARD_FRONT ||
        (uintptr_t)guarded.user % BLOCK_ALIGNMENT !=
            0) { /* the ring or the tables are broken: there is nothing to give back */
        leave(heap, place, 0);
        knoll_evidence_of_address(heap, guarded.user, caller);
        return true;
    }
    guarded.end = guarded.start + guarded.block.size;
    const unsigned char *broken = knoll_waiting_broken(heap, guarded.start, guarded.end, guarded.user);
    if (broken != NULL)
        knoll_evidence(heap, KNOLL_FAULT_WRITE_AFTER_FREE, broken, caller, &guarded, broken, &waiting.freed);
    leave(heap, place, guarded.block.size);
    give_back(heap, guarded.start, guarded.end);
    return true;
}

void knoll_quarantine_put(struct knoll_heap *heap, const struct guarded *guarded, struct knoll_origin freed)
{
    size_t size = guarded->block.size;
    if (size > most_bytes(heap)) {
        give_back(heap, guarded->start, guarded->end);
        return;
    }
    while (heap->quarantine_count == KNOLL_QUARANTINE_BLOCKS || heap->quarantined_bytes + size > most_bytes(heap))
        if (!knoll_quarantine_let_go(heap, freed.caller)) /* at most KNOLL_QUARANTINE_BLOCKS rounds */
            heap->quarantined_bytes = 0;                  /* of what was damaged the length was not known */
    uint32_t place = (heap->quarantine_first + heap->quarantine_count) % KNOLL_QUARANTINE_BLOCKS;
    heap->quarantine[place] = (struct knoll_quarantined){guarded->user, freed};
    heap->quarantine_count++;
    heap->region[0]->resizes++; /* which tells that the heap has changed: see moment.h */
    heap->quarantined_bytes += size;
    guard_front_of(guarded->user)->notes |= GUARD_WAITS;
    knoll_guard_seal(heap, guarded->user);
    knoll_fill(guarded->user, guarded->end);
}

#endif
