/* Lists of free runs by length: in which list a run belongs. Arithmetic only; a list's number is at most the
 * list_of_length of the longest run.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_LENGTHS_H
#define KNOLL_LENGTHS_H

#include "bits.h"
#include "knoll.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

#define LIST_OF_ENDS 0u /* in compact; here no list needs to be asked for by name */

/* By order: every run is a power of two long. Each order has a second list, SECOND_LIST after this one. */
#define SECOND_LIST (KNOLL_LIST_COUNT / 2u)

static inline unsigned list_of_length(uint32_t length)
{
    return bits_highest32(length);
}

#else

/* A list for each length up to 31 units, then sixteen a doubling (Masmano, Ripoll, Crespo, Real: TLSF, 2004). Runs that
 * touch the end of their region are in the list of ends, whatever their length. */
#define LIST_OF_ENDS 0u

/* How many low bits of a length do not matter for its list. */
static inline unsigned list_coarseness(uint32_t length)
{
    return bits_highest32(length | 16) - 4;
}

static inline unsigned list_of_length(uint32_t length)
{
    unsigned coarseness = list_coarseness(length);
    return (coarseness << 4) + (length >> coarseness);
}

/* The lowest list of which every run has this length at least. */
static inline unsigned list_sufficing(uint32_t length)
{
    return list_of_length(length + (1u << list_coarseness(length)) - 1);
}

/* Lists for a region of so many units: at most one run is longer than half of them, so the last list may be for all
 * that are. */
static inline unsigned lists_for(uint32_t units)
{
    return list_of_length(units / 2) + 2;
}

#endif

/* How many lists the tables of a region of so many units have room for. */
static inline size_t lists_in_region(size_t units)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    (void)units;
    return 0;
#else
    return units < KNOLL_FEW_UNITS ? 0 : lists_for((uint32_t)units);
#endif
}

#endif
