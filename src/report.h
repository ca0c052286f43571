/* From a fault to what is known of it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_REPORT_H
#define KNOLL_REPORT_H

#include "blocks.h"

/* Those of knoll_check up to this one are of the tables, which no caller breaks but by writing there. */
#define INVARIANTS_OF_TABLES 15u

/* Describes the fault in knoll_last_fault as far as the tables tell. Also of a heap without memory. */
#if KNOLL_FAULT_REPORT
void knoll_report_describe(const struct knoll_heap *heap, enum knoll_fault fault, const void *address);
#else
static inline void knoll_report_describe(const struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap, (void)fault, (void)address;
}
#endif

/* Hands the fault to the heap's handler, or traps if it has none. */
void knoll_report_deliver(const struct knoll_heap *heap, enum knoll_fault fault, const void *address);

/* Both. */
void knoll_report(const struct knoll_heap *heap, enum knoll_fault fault, const void *address);

#endif
