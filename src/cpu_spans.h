/* Spans: runs of a processor's own, and how long they are.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CPU_SPANS_H
#define KNOLL_CPU_SPANS_H

#include "cpu_table.h"

/* So many spans must be free besides one that is taken. */
#define SPANS_LEFT 2u

#define SPAN_BYTES ((size_t)1 << KNOLL_CPU_SPAN_SHIFT)
#define SPAN_UNITS ((uint32_t)(SPAN_BYTES >> KNOLL_UNIT_SHIFT))
#define SPAN_HEAD  GROUP_UNITS                                /* units at its start, and at its end, */
#define SPAN_TAIL  (KNOLL_PROFILE == KNOLL_CLASSIC ? 0u : 1u) /* that no run of it has */

_Static_assert(GROUP_UNITS >= RUN_SHORTEST, "a span's head is a run");

/* Whether a request may be served from a span. */
static inline bool span_serves(size_t alignment, size_t size)
{
    return KNOLL_CPU_SPAN_SHIFT != 0 && size <= SPAN_BYTES / 4 && alignment <= SPAN_BYTES / 4;
}

/* What a span says of itself: its units that callers hold, and in how many runs. */
static inline uint32_t span_held(const struct knoll_cpu_entry *entry)
{
    return (uint32_t)entry_free(entry);
}

static inline uint32_t span_runs(const struct knoll_cpu_entry *entry)
{
    return (uint32_t)(entry_free(entry) >> 32);
}

/* A processor that comes has none. */
void knoll_cpu_spans_begin(struct knoll_cpu *cpu);

/* Takes a run out of the processor's spans, for a request that they may serve; NULL if none has room. */
void *knoll_cpu_spans_take(struct knoll_cpu *cpu, size_t alignment, size_t size);

/* Gives back a run that callers held, of one of the processor's spans. After one or several knoll_cpu_spans_settle is
 * to be called. */
void knoll_cpu_spans_give(struct knoll_cpu *cpu, uint32_t number);

/* Gives back the runs of the processor's spans that start in this group and were returned, and lets it go. */
void knoll_cpu_spans_accept(struct knoll_cpu *cpu, uint32_t group);

/* Gives up spans while more is free in them than may be. */
void knoll_cpu_spans_settle(struct knoll_cpu *cpu);

/* Makes a run of one of the processor's spans so many units long, where it lies; false if it cannot be. */
bool knoll_cpu_spans_resize(struct knoll_cpu *cpu, uint32_t number, uint32_t length);

/* Makes this run, which was taken for it, a span of the processor. */
void knoll_cpu_spans_add(struct knoll_cpu *cpu, uint32_t number);

/* Gives up the spans of which callers hold nothing, or all of them. */
void knoll_cpu_spans_give_up(struct knoll_cpu *cpu, bool all);

#endif
