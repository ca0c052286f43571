/* Edges: what the first and the last cells of a free run say of it, and how they change when runs are split and joined.
 *
 * All of it is about an array of cells: nothing here knows of regions, heaps or lists. So the contracts, which say that
 * splitting and joining leave just the runs that they should, can be proved (docs/proofs.md). In classic a run's first
 * three cells, one unit's, say all; in compact a run of four units or more says its length in the third cell and in the
 * last, a shorter one in the first and in the last, which may be one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_EDGES_H
#define KNOLL_EDGES_H

#include "region.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC

/* In the second cell: the run is in the second list of its order. */
#define SECOND_SHIFT 31

/* In the third cell: the run is the rest of its region, of any length and in no list. */
#define LENGTH_OF_REST (1u << 31)

/*@ predicate starts_free{L}(uint32_t *run, integer length) =
        kind_in(run[0]) == RUN_FREE && run[CELL_LENGTH] == length; */

/*@ requires \valid_read(run + (0 .. CELL_LENGTH));
    assigns \nothing;
    ensures \forall integer length; 0 <= length < LENGTH_OF_REST && starts_free(run, length) ==> \result == length; */
static inline uint32_t free_run_length(const uint32_t *run)
{
    return run[CELL_LENGTH] % LENGTH_OF_REST;
}

/* Whether this free run is the rest of its region. */
static inline bool is_rest(const uint32_t *run)
{
    return run[CELL_LENGTH] >= LENGTH_OF_REST;
}

/* Writes what the first cells of a free run say, its links to nowhere. */
/*@ requires \valid(run + (0 .. CELL_LENGTH));
    assigns run[0 .. CELL_LENGTH];
    ensures starts_free(run, length) && number_in(run[CELL_PREV]) == 0 && run[CELL_FREE_NEXT] == 0; */
static inline void mark_free(uint32_t *run, uint32_t length)
{
    *run = cell_of(RUN_FREE, NOWHERE);
    run[CELL_FREE_NEXT] = NOWHERE;
    run[CELL_LENGTH] = length;
}

#else

/* The length if it is less than four, or else 0; and which of the cells say it. */
/*@ logic integer short_in(integer cell) = cell / 0x8000000 % 4;
    predicate says_short(integer cell, integer length) =
        kind_in(cell) == RUN_FREE && short_in(cell) == (length < 4 ? length : 0);
    predicate starts_free{L}(uint32_t *run, integer length) =
        says_short(run[0], length) && (length >= 4 ==> number_in(run[CELL_LENGTH]) == length);
    predicate ends_free(integer last, integer length) =
        says_short(last, length) && (length >= 4 ==> number_in(last) == length);
    predicate is_free{L}(uint32_t *run, integer length) =
        starts_free(run, length) && ends_free(run[length - 1], length);
    predicate is_none(integer cell) = 0 <= cell < 0x40000000;
    predicate are_none{L}(uint32_t *run, integer from, integer to) =
        \forall integer i; from <= i < to ==> is_none(run[i]); */

/* What the first or last cell of a free run says of its length: 1 to 3, or 0 for more. */
/*@ assigns \nothing;
    ensures \result == short_in(cell); */
static inline uint32_t short_length(uint32_t cell)
{
    return cell >> SHORT_SHIFT & SHORT_MASK;
}

/*@ requires \valid_read(run) && (short_in(run[0]) == 0 ==> \valid_read(run + CELL_LENGTH));
    assigns \nothing;
    ensures \forall integer length; length >= 1 && starts_free(run, length) ==> \result == length; */
static inline uint32_t free_run_length(const uint32_t *run)
{
    uint32_t length = short_length(*run);
    return length != 0 ? length : run[CELL_LENGTH] & NUMBER_MASK;
}

/* The length of the free run that has this last cell, or 0 if none has. */
/*@ assigns \nothing;
    ensures \forall integer length; length >= 1 && ends_free(last, length) ==> \result == length;
    ensures kind_in(last) != RUN_FREE ==> \result == 0; */
static inline uint32_t length_before(uint32_t last)
{
    if (cell_kind(last) != RUN_END)
        return 0;
    return short_length(last) != 0 ? short_length(last) : last & NUMBER_MASK;
}

/* Writes what the edges of a free run say, which links back to none. Its second cell is of no kind, unless it is the
 * last; what it links to is whoever's who puts it into a list. */
/*@ requires 1 <= length <= NUMBER_MASK && \valid(run + (0 .. length - 1));
    requires length >= 3 ==> is_none(run[1]);
    assigns run[0], run[length < 4 ? length - 1 : 2], run[length - 1];
    ensures is_free(run, length);
    ensures length >= 2 ==> number_in(run[CELL_PREV]) == 0;
    ensures (length >= 3 ==> is_none(run[1])) && (length >= 4 ==> is_none(run[2])); */
static inline void mark_free(uint32_t *run, uint32_t length)
{
    uint32_t edge = cell_of(RUN_FREE, NOWHERE);
    if (length >= 4) {
        run[CELL_LENGTH] = length;
        run[length - 1] = edge | length;
    } else {
        edge |= length << SHORT_SHIFT;
        run[length - 1] = edge;
    }
    *run = edge;
}

/* No region has a rest that is in no list. */
static inline bool is_rest(const uint32_t *run)
{
    (void)run;
    return false;
}

/* Makes a free run three: one of `length` units, of kind NONE throughout, and what is left before and after it. */
/*@ requires length >= 1 && before + length + after <= NUMBER_MASK;
    requires \valid(run + (0 .. before + length + after - 1)) && are_none(run, 1, before + length + after - 1);
    assigns run[0 .. before + length + after - 1];
    ensures before != 0 ==> is_free(run, before) && are_none(run, 1, before - 1);
    ensures are_none(run, before, before + length);
    ensures after != 0 ==> is_free(run + (before + length), after);
    ensures after != 0 ==> are_none(run, before + length + 1, before + length + after - 1); */
static inline void split_free(uint32_t *run, uint32_t before, uint32_t length, uint32_t after)
{
    run[0] = cell_of(RUN_NONE, NOWHERE);
    /*@ assert are_none(run, 0, before + length + after - 1); */
    if (before != 0)
        mark_free(run, before);
    /*@ assert are_none(run, before, before + length + after - 1); */
    if (after == 0) {
        run[before + length - 1] = cell_of(RUN_NONE, NOWHERE);
        return;
    }
    mark_free(run + before + length, after);
}

/* Makes one free run of a run of `length` units that was held, of kind NONE but for its first cell, and of the free
 * ones before and after it. */
/*@ requires length >= 1 && before + length + after <= NUMBER_MASK;
    requires \valid(run + (0 .. before + length + after - 1));
    requires before != 0 ==> are_none(run, 1, before - 1);
    requires are_none(run, before + 1, before + length);
    requires after != 0 ==> are_none(run, before + length + 1, before + length + after - 1);
    assigns run[0 .. before + length + after - 1];
    ensures is_free(run, before + length + after);
    ensures are_none(run, 1, before + length + after - 1); */
static inline void join_free(uint32_t *run, uint32_t before, uint32_t length, uint32_t after)
{
    run[before] = cell_of(RUN_NONE, NOWHERE);
    if (before != 0)
        run[before - 1] &= RUN_WAS_BLOCK;
    /*@ assert are_none(run, 1, before + length); */
    if (after != 0)
        run[before + length] &= RUN_WAS_BLOCK;
    /*@ assert are_none(run, 1, before + length + after - 1); */
    mark_free(run, before + length + after);
}

#endif

#endif
