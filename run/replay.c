/* Every block is filled with bytes that follow from its slot and their place in it, and verified to its end before it
 * is freed or changes its size. So a heap that hands out memory twice, moves a block without all of its contents or
 * writes to blocks itself is found out, whatever its tables say.
 *
 * SPDX-License-Identifier: MIT */
#include "replay.h"

#include "report.h"

enum outcome { PLAYED, DAMAGED, NO_MEMORY, OVERWRITTEN };

static struct replay_state {
    struct knoll_heap heap;
    struct snapshot peak;
} state; /* static, for it is too large for a small board's stack */

static unsigned char pattern(uint32_t slot, size_t place)
{
    return (unsigned char)((size_t)slot * 151 + place + (place >> 8) * 3);
}

static void fill(const struct replay_slot *slot, uint32_t number, size_t from)
{
    for (size_t place = from; place < slot->size; place++) {
        slot->block[place] = pattern(number, place);
    }
}

static bool holds(const struct replay_slot *slot, uint32_t number, size_t size)
{
    for (size_t place = 0; place < size; place++) {
        if (slot->block[place] != pattern(number, place)) {
            return false;
        }
    }
    return true;
}

static enum outcome allocate(struct replay_slot *slot, uint32_t number, size_t size)
{
    slot->block = knoll_malloc(&state.heap, size);
    if (slot->block == NULL) {
        return NO_MEMORY;
    }
    slot->size = size;
    fill(slot, number, 0);
    return PLAYED;
}

static enum outcome reallocate(struct replay_slot *slot, uint32_t number, size_t size)
{
    size_t kept = size < slot->size ? size : slot->size;
    if (!holds(slot, number, slot->size)) {
        return OVERWRITTEN;
    }
    unsigned char *block = knoll_realloc(&state.heap, slot->block, size);
    if (block == NULL) {
        return NO_MEMORY;
    }
    slot->block = block;
    slot->size = size;
    if (!holds(slot, number, kept)) {
        return OVERWRITTEN;
    }
    fill(slot, number, kept);
    return PLAYED;
}

static enum outcome release(struct replay_slot *slot, uint32_t number, bool sized)
{
    bool whole = holds(slot, number, slot->size);
    if (sized) {
        knoll_free_sized(&state.heap, slot->block, slot->size);
    } else {
        knoll_free(&state.heap, slot->block);
    }
    slot->block = NULL;
    return whole ? PLAYED : OVERWRITTEN;
}

static enum outcome play_operation(const struct trace_operation *operation, struct replay_slot *slot)
{
    bool starts = operation->kind == TRACE_ALLOCATE;
    if (starts != (slot->block == NULL)) {
        return DAMAGED;
    }
    switch (operation->kind) {
    case TRACE_ALLOCATE:
        return allocate(slot, operation->slot, operation->size);
    case TRACE_REALLOCATE:
        return reallocate(slot, operation->slot, operation->size);
    case TRACE_FREE:
    case TRACE_FREE_SIZED:
        return release(slot, operation->slot, operation->kind == TRACE_FREE_SIZED);
    }
    return DAMAGED;
}

/* Plays until the end or until something is wrong, and leaves in *played how far it came. */
static enum outcome play(struct trace *trace, struct replay_slot slots[], uint32_t *played)
{
    for (*played = 0; *played < trace->operations; ++*played) {
        struct trace_operation operation;
        if (!trace_next(trace, &operation)) {
            return DAMAGED;
        }
        enum outcome outcome = play_operation(&operation, &slots[operation.slot]);
        if (outcome != PLAYED) {
            return outcome;
        }
        snapshot_follow_peak(&state.peak, &state.heap);
    }
    return trace->next == trace->end ? PLAYED : DAMAGED;
}

static void print_outcome(struct text *text, enum outcome outcome, uint32_t played)
{
    static const char *const outcomes[] = {"", "the trace is damaged", "out of memory", "A BLOCK HAS BEEN OVERWRITTEN"};
    text_string(text, "  ");
    if (outcome != PLAYED) {
        text_string(text, outcomes[outcome]);
        text_string(text, " after ");
    }
    text_number(text, played);
    text_string(text, outcome == PLAYED ? " operations, every block as it was left" : " operations");
    text_end_line(text);
}

int replay(const char *name, struct trace trace, struct replay_slot slots[], void *region, size_t size,
           knoll_fault_handler handler, struct text *text)
{
    text_string(text, "Replaying ");
    text_string(text, name);
    text_string(text, " on knoll " KNOLL_VERSION " (");
    text_string(text, knoll_profile());
    text_string(text, "), a region of ");
    text_bytes(text, size);
    text_end_line(text);

    int error = knoll_init(&state.heap, region, size);
    if (error != KNOLL_OK) {
        text_string(text, "  no heap: ");
        text_string(text, knoll_strerror(error));
        text_end_line(text);
        return 1;
    }
    knoll_set_fault_handler(&state.heap, handler);
    snapshot_take(&state.peak, &state.heap);

    uint32_t played;
    enum outcome outcome = play(&trace, slots, &played);
    for (uint32_t number = 0; number < trace.slots; number++) {
        if (slots[number].block != NULL && release(&slots[number], number, false) == OVERWRITTEN) {
            outcome = OVERWRITTEN;
        }
    }
    print_outcome(text, outcome, played);
    bool whole = report_heap(text, &state.heap, &state.peak);
    return !whole || outcome == OVERWRITTEN ? 3 : outcome != PLAYED;
}
