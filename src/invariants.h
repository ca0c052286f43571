/* What check.c asks of check_runs.c: the invariants by number, and those of a single run.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_INVARIANTS_H
#define KNOLL_INVARIANTS_H

#include "blocks.h"
#include "knoll_live.h"

enum invariant {
    HOLDS = 0,
    REGION_TABLE,
    RUNS_TILE,
    FREE_RUN_FORM,
    FREE_RUNS_MERGED,
    LARGE_FORM,
    SLAB_FORM,
    SLAB_SHAPES,
    ONE_EMPTY_SLAB,
    FREE_LISTS,
    FREE_COUNTS,
    PARTIAL_LISTS,
    FREE_BLOCKS,
    CLASS_COUNTS,
    LARGE_COUNTS,
    BYTES,
    INVARIANTS
};

/* Notes where this invariant is broken. */
static inline enum invariant broken_at(struct knoll_check_cursor *cursor, enum invariant broken, const void *where)
{
    cursor->where = where;
    return broken;
}

/* A list of free runs or of slabs. */
struct run_list {
    const uint32_t *head;
    enum run_kind kind;
    unsigned id; /* the list's number, or the class */
};

static inline uint32_t link_after(const uint32_t *entry, enum run_kind kind)
{
    return kind == RUN_FREE ? link_of(entry[CELL_FREE_NEXT], 0) : link_of(entry[CELL_SLAB_NEXT], GROUP_SHIFT);
}

static inline uint32_t link_before(const uint32_t *entry, enum run_kind kind)
{
    return link_of(entry[CELL_PREV], kind == RUN_FREE ? 0 : GROUP_SHIFT);
}

/* The entry that a link leads to, or NULL if what is there cannot be in this list. Follows no link. */
const uint32_t *knoll_check_member(const struct knoll_heap *heap, const struct run_list *list, uint32_t number);

/* Looks at what lies at cursor->unit of the region, and moves on: a unit of the tables, the start of a run, a slab, or
 * the units inside a run as far as the budget allows. What it adds up is in cursor->tally. */
enum invariant knoll_check_units(const struct knoll_heap *heap, const struct knoll_region *region,
                                 struct knoll_check_cursor *cursor);

/* Whether this number of hints of a class's magazine, some of which may be to slabs that went back, can be looked
 * through: there are not more than there is room for, and each names the entry of a slab of the class that could have
 * its block. */
bool knoll_check_old_hints(const struct knoll_heap *heap, unsigned size_class, size_t hints);

/* After a change of the heap: whether the run that was looked at last is still there, so that what follows cursor->unit
 * is known. */
bool knoll_check_run_stays(const struct knoll_region *region, const struct knoll_check_cursor *cursor);

#endif
