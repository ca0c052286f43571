/* The page layer on small regions: every arrangement of held and free units that a region of so many can have, and from
 * each every run given back, every run made longer or shorter, and every request.
 *
 * An arrangement is a text, a letter a unit. Which free runs there must be follows from it by definition: in compact
 * the longest stretches of free units, in classic the longest that are a power of two at a multiple of themselves; and
 * classic has a rest besides, all units from one on, for which every unit is tried that it may start at.
 * After each call the tables are compared with that, run by run, and knoll_check verifies links, lists and counts.
 *
 * SPDX-License-Identifier: MIT */
#include "pages_buddy.c"
#include "pages_runs.c"
#include "enumerate.h"
#include "large.h"
#include "slab.h"
#include <stdlib.h>
#include <string.h>

#define CLASSIC (KNOLL_PROFILE == KNOLL_CLASSIC)
#define MOST    (CLASSIC ? 15u : 17u) /* units */
#define PLACES  16u                   /* classic: where a region may start, in units of the address space */

enum unit { FREE = '.', FIRST = '[', MORE = '=' }; /* FIRST and MORE are of a held run */

static unsigned char *memory;
static struct knoll_heap heap;
static struct knoll_region *region;
static char before[MOST + 1], after[MOST + 1]; /* a call */
static uint32_t units;                         /* of the region, after its tables */
static uint32_t rest;                          /* of these the first that is of the rest; in compact there is none */

/* ---- The definition ---- */

static bool are_free(const char *text, uint32_t at, uint32_t length)
{
    return length <= units - at && strspn(text + at, ".") >= length;
}

/* Whether a run of this length may start there. */
static bool may_be_run(uint32_t at, uint32_t length)
{
    uintptr_t place = ((uintptr_t)region >> KNOLL_UNIT_SHIFT) + region->first + at;
    return !CLASSIC || ((length & (length - 1)) == 0 && place % length == 0);
}

/* The length of the run that starts here. */
static uint32_t length_at(const char *text, uint32_t at)
{
    uint32_t longest = 1;
    if (text[at] == FIRST)
        return 1 + (uint32_t)strspn(text + at + 1, "=");
    if (at == rest)
        return units - rest;
    for (uint32_t length = 1; length <= rest - at && are_free(text, at, length); length++)
        if (may_be_run(at, length))
            longest = length;
    return longest;
}

static void set_held(char *text, uint32_t at, uint32_t length)
{
    memset(text + at, MORE, length);
    text[at] = FIRST;
}

/* The longest run that can be cut from the rest. */
static uint32_t longest_of_rest(void)
{
    uint32_t longest = 0;
    for (uint32_t at = rest; at < units; at++)
        for (uint32_t length = 1; length <= units - at; length *= 2)
            if (may_be_run(at, length) && length > longest)
                longest = length;
    return longest;
}

/* What the place of the unit where the rest starts is a multiple of. */
static uint32_t multiple_of(uint32_t at)
{
    uint32_t length = 1;
    while (may_be_run(at, 2 * length) && length <= units)
        length *= 2;
    return length;
}

/* Whether what is free before this unit should be of the rest too, if that started here. */
static bool reaches_further(const char *text, uint32_t at)
{
    uint32_t length = multiple_of(at);
    return length <= at && are_free(text, at - length, length);
}

/* Where the rest starts when the run that this unit is in has come free. */
static uint32_t rest_with(const char *text, uint32_t unit)
{
    uint32_t start = 0, length;
    for (uint32_t at = 0; at <= unit; at += length) {
        start = at;
        length = length_at(text, at);
    }
    if (!CLASSIC || start + length_at(text, start) != rest)
        return rest;
    while (reaches_further(text, start))
        start -= multiple_of(start);
    return start;
}

/* The longest free run in which a run of `length` units can start at a multiple of `alignment`. */
static uint32_t longest_serving(const char *text, uint32_t length, uint32_t alignment)
{
    uint32_t longest = 0, run;
    for (uint32_t at = 0; at < units; at += run) {
        run = length_at(text, at);
        uint32_t serves = at == rest ? longest_of_rest() : run;
        uintptr_t place = ((uintptr_t)region >> KNOLL_UNIT_SHIFT) + region->first + at;
        uint32_t to_aligned = (uint32_t)(-place & (alignment - 1));
        if (text[at] == FREE && serves >= to_aligned + length && serves > longest)
            longest = serves;
    }
    return longest;
}

/* The longest free run before the rest. */
static uint32_t longest_listed(const char *text)
{
    uint32_t longest = 0;
    for (uint32_t at = 0; at < rest; at += length_at(text, at))
        if (text[at] == FREE && length_at(text, at) > longest)
            longest = length_at(text, at);
    return longest;
}

/* ---- The tables ---- */

static uint32_t number_at(uint32_t at)
{
    return region_unit_number(region, region->first + at);
}

static void make_region(uint32_t count, uint32_t place)
{
    units = count;
    memset(&heap, 0, sizeof heap);
    knoll_slab_begin(&heap); /* or knoll_check would miss it */
    region = knoll_region_make(&heap, memory + place * UNIT, (count + 1) * UNIT);
    if (region->first != 1)
        abort();
    knoll_pages_add(&heap, region);
}

static void push_free(uint32_t at, uint32_t length)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    if (at != rest)
        push_at(&heap, region, region->first + at, bits_highest32(length), at % 2);
#else
    mark_free(region_entry(region, region->first + at), length);
    enlist(&heap, region, region->first + at, length);
#endif
}

static void pull_free(uint32_t at, uint32_t length)
{
#if KNOLL_PROFILE == KNOLL_CLASSIC
    (void)length;
    move_rest(&heap, region, region->first + at, region->first + rest);
#else
    delist(&heap, region, region->first + at, length);
#endif
}

static void write_tables(const char *text)
{
    make_region(units, (uint32_t)(((uintptr_t)region - (uintptr_t)memory) >> KNOLL_UNIT_SHIFT));
    for (uint32_t at = 0, length; at < units; at += length) { /* takes away what was free at first */
        uint32_t *entry = region_entry(region, region->first + at);
        length = free_run_length(entry);
        pull_free(at, length);
        if (!CLASSIC)
            memset(entry, 0, (size_t)length * CELLS_PER_UNIT * sizeof *entry);
    }
    for (uint32_t at = 0, length; at < units; at += length) {
        length = length_at(text, at);
        uint32_t *entry = region_entry(region, region->first + at);
        if (text[at] == FREE) {
            push_free(at, length);
            continue;
        }
        *entry = cell_of(RUN_LARGE, 4);
        entry[CELL_LARGE_LENGTH] = length;
        heap.large_blocks++;
        heap.peak += length * UNIT;
    }
}

/* Whether the tables say what this text does. */
static bool tables_say(const char *text)
{
    for (uint32_t at = 0, length; at < units; at += length) {
        length = length_at(text, at);
        const uint32_t *entry = region_entry(region, region->first + at);
        if (cell_kind(*entry) != (text[at] == FREE ? RUN_FREE : RUN_LARGE) ||
            (text[at] == FREE ? free_run_length(entry) : large_length(entry)) != length)
            return false;
    }
    return rest_of(&heap, region) == region->first + rest && knoll_check(&heap) == 0;
}

/* ---- The calls ---- */

enum call { GIVE, RESIZE, TAKE, ASK, CALLS };

static uint64_t counts[CALLS][2]; /* cases of each, and those that were wrong */

static void note(enum call call, bool right)
{
    counts[call][0]++;
    counts[call][1] += !right;
}

static void begin_call(void)
{
    write_tables(before);
    memcpy(after, before, sizeof after);
}

static void give_run(uint32_t at)
{
    uint32_t length = length_at(before, at);
    begin_call();
    memset(after + at, FREE, length);
    uint32_t rest_before = rest;
    rest = rest_with(after, at);
    uint32_t start = at; /* of the free run that comes about */
    for (uint32_t i = 0; i <= at; i += length_at(after, i))
        start = i;
    uint32_t behind = CLASSIC ? 0 : start + length_at(after, start) - at - length;
    uint32_t merged = CLASSIC && start == rest ? longest_of_rest() : length_at(after, start);
    note(ASK, knoll_pages_merged_length(&heap, number_at(at), length) == merged &&
                  knoll_pages_free_behind(&heap, number_at(at), length) == behind);
    (void)large_give(&heap, number_at(at));
    heap.headroom += length * UNIT;
    note(GIVE, tables_say(after));
    rest = rest_before;
}

static void resize_run(uint32_t at, uint32_t wanted)
{
    uint32_t length = length_at(before, at);
    begin_call();
    bool can = wanted <= length ||
               (may_be_run(at, wanted) && wanted <= units - at && are_free(before, at + length, wanted - length));
    if (can) {
        memset(after + at, FREE, length);
        set_held(after, at, wanted);
    }
    bool did = knoll_large_resize(&heap, number_at(at), wanted);
    if (did)
        heap.peak = heap.peak + wanted * UNIT - length * UNIT;
    uint32_t rest_before = rest;
    if (can && CLASSIC && (at + length == rest || at + wanted > rest))
        rest = at + wanted;
    note(RESIZE, did == can && tables_say(after));
    rest = rest_before;
}

static void take_run(uint32_t wanted, uint32_t alignment)
{
    size_t usable;
    begin_call();
    uint32_t length = (uint32_t)pages_round(wanted, alignment);
    unsigned char *run = knoll_large_take_aligned(&heap, alignment * UNIT, wanted * UNIT, false, &usable);
    bool must = longest_serving(before, length, CLASSIC ? 1 : alignment) != 0;
    if (run == NULL) { /* compact looks at some lists' first run only, where an alignment is asked for */
        note(TAKE, (!must || (!CLASSIC && alignment > 1)) && tables_say(before));
        return;
    }
    heap.peak += usable;
    uint32_t at = (uint32_t)((size_t)(run - region_base(region)) >> KNOLL_UNIT_SHIFT) - region->first;
    bool fits =
        ((uintptr_t)run & (alignment * UNIT - 1)) == 0 && are_free(before, at, length) && may_be_run(at, length);
    if (fits)
        set_held(after, at, length);
    uint32_t rest_before = rest;
    bool is_lowest = at < rest || (longest_listed(before) < length && at - rest < length);
    if (CLASSIC && at + length > rest)
        rest = at + length;
    note(TAKE, must && fits && is_lowest && usable == length * UNIT && tables_say(after));
    rest = rest_before;
}

static void try_calls(void)
{
    begin_call();
    uint32_t longest = longest_serving(before, 1, 1);
    note(ASK, tables_say(before) && knoll_pages_longest(&heap) == (longest < RUN_SHORTEST ? 0 : longest));
    for (uint32_t at = 0; at < units; at += length_at(before, at)) {
        if (before[at] == FREE)
            continue;
        give_run(at);
        for (uint32_t wanted = RUN_SHORTEST; wanted <= units + 1; wanted++)
            if (!CLASSIC || is_power_of_two(wanted))
                resize_run(at, wanted);
    }
    for (uint32_t alignment = 1; alignment <= 16; alignment *= 2)
        for (uint32_t wanted = 1; wanted <= units + 1; wanted++)
            take_run(wanted, alignment);
}

/* Each place where the rest can start: all is free from there on, and what should be of it is. */
static void try_rests(void)
{
    rest = units;
    if (!CLASSIC) {
        try_calls();
        return;
    }
    for (;;) {
        if (!reaches_further(before, rest))
            try_calls();
        if (rest == 0 || before[rest - 1] != FREE)
            return;
        rest--;
    }
}

/* Every text that goes on from here. */
static void arrange(uint32_t at)
{
    if (at == units) {
        try_rests();
        return;
    }
    before[at] = FREE;
    arrange(at + 1);
    for (uint32_t length = RUN_SHORTEST; length <= units - at; length++) {
        if (may_be_run(at, length)) {
            set_held(before, at, length);
            arrange(at + length);
        }
    }
}

static void close_theorem(enum call call, const char *text)
{
    cases = counts[call][0];
    wrong = counts[call][1];
    theorem(text);
}

int main(void)
{
    memory = aligned_alloc(4 * PLACES * UNIT, 4 * PLACES * UNIT);
    if (memory == NULL)
        return 1;
    for (uint32_t count = RUN_SHORTEST; count <= MOST; count++) {
        for (uint32_t place = 0; place < (CLASSIC ? PLACES : 1); place++) {
            if (CLASSIC && count > 9 && place > 1)
                continue;
            make_region(count, place);
            memset(before, 0, sizeof before);
            arrange(0);
        }
    }
    close_theorem(GIVE, "a run given back merges with all that it belongs to, and with no more, in every arrangement");
    close_theorem(RESIZE, "a run is made longer or shorter just if it can be where it lies, in every arrangement");
    close_theorem(TAKE,
                  "a request is served from free units, at its alignment, and refused only if none suffice, in every "
                  "arrangement");
    close_theorem(ASK,
                  "the longest run, and the one that a free would bring about, are foretold, in every arrangement");
    free(memory);
    return open_theorems != 0;
}
