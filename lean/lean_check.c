/* knoll lean: the check of all invariants that lean_tables.h numbers.
 *
 * The regions' own links are looked at first: that the chain of them ends, and each is one that may be. Then each
 * region is walked run by run; a free run or slab with a free block is looked up by its links, which must lead to
 * others and back to it, and counted, and its address added up. That the lists have these and no others is told by
 * doing the same with what is in them. So no link is followed before it is known to lead to where one can be, but for
 * those from region to region.
 *
 * SPDX-License-Identifier: MIT */
#include "lean_tables.h"

/* What the walks found. */
struct found {
    size_t listed;
    uintptr_t sum; /* of the addresses of what is listed */
    size_t used;
    bool spare;
};

static bool region_is_legal(const struct knoll_lean_unit *region)
{
    size_t size = region_bytes(region);
    if ((uintptr_t)region + (size - 1) < (uintptr_t)region)
        return false;
    return (uintptr_t)region % UNIT == 0 && size % UNIT == 0 && size >= 2 * UNIT && !is_too_long(size);
}

/* Whether all regions are legal, and the chain of them ends: none is met twice. */
static bool regions_are_sound(const struct knoll_lean_heap *heap)
{
    size_t count = 0;
    for (const struct knoll_lean_unit *region = heap->region; region != NULL; region = region_before(region)) {
        size_t before = 0; /* rounds: as many as regions, and so are those of each */
        for (const struct knoll_lean_unit *other = heap->region; other != region; other = region_before(other))
            before++;
        if (before != count++ || !region_is_legal(region))
            return false;
    }
    return true;
}

/* Whether this is a list's head or a unit's link, so that it may be followed. */
static bool is_link(const struct knoll_lean_heap *heap, const struct knoll_lean_link *link)
{
    uintptr_t offset = (uintptr_t)link - (uintptr_t)heap->list;
    if (offset < sizeof heap->list)
        return offset % sizeof *link == 0;
    for (const struct knoll_lean_unit *region = heap->region; region != NULL; region = region_before(region)) {
        offset = (uintptr_t)link - (uintptr_t)region; /* at most as many rounds as regions */
        if (offset < region_bytes(region) >> TABLE_SHIFT)
            return offset % sizeof *region == 0;
    }
    return false;
}

/* Whether the links lead to neighbours that lead back. */
static bool is_linked(const struct knoll_lean_heap *heap, const struct knoll_lean_link *link)
{
    return is_link(heap, link->next) && is_link(heap, link->prev) && link->next->prev == link &&
           link->prev->next == link;
}

/* Notes that this must be in a list: 0, or 6 if it is in none. */
static int must_be_listed(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *unit, struct found *found)
{
    found->listed++;
    found->sum += (uintptr_t)&unit->link;
    return is_linked(heap, &unit->link) ? 0 : 6;
}

static int check_slab(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *unit, struct found *found)
{
    size_t list = list_held(unit);
    uintptr_t all = all_blocks(list);
    if ((unit->word & ~all) != 0 || unit->word == all)
        return 5;
    for (uintptr_t held = all & ~unit->word; held != 0; held &= held - 1) /* at most WORD_BITS rounds */
        found->used += block_size(list);
    return unit->word == 0 ? 0 : must_be_listed(heap, unit, found);
}

/* Checks the free run of this list at this place. Its buddy may be the one before it as well as the one after it. */
static int check_free(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *region,
                      const struct knoll_lean_unit *unit, size_t list, struct found *found)
{
    uintptr_t address = address_of(region, unit);
    if ((address & (block_size(list) - 1)) != 0)
        return 4;
    uintptr_t offset = (address ^ block_size(list)) - (uintptr_t)region;
    if (offset < region_bytes(region) && region[offset / UNIT].state == FREE + list)
        return 4;
    return must_be_listed(heap, unit, found);
}

/* Checks what starts at this unit; *bytes gets its length. */
static int check_unit(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *region,
                      const struct knoll_lean_unit *unit, size_t *bytes, struct found *found)
{
    size_t list = list_held(unit);
    *bytes = UNIT;
    if (unit->state == NOTHING) {
        found->spare = true;
        return unit == heap->spare ? 0 : 2;
    }
    if (list < WORD_SHIFT)
        return check_slab(heap, unit, found);
    bool is_free = unit->state >= FREE;
    if (is_free)
        list = unit->state - FREE;
    if (list < WORD_SHIFT || list >= LISTS)
        return 2;
    *bytes = block_size(list);
    if (is_free)
        return check_free(heap, region, unit, list, found);
    found->used += *bytes;
    return (address_of(region, unit) & (*bytes - 1)) == 0 ? 0 : 4;
}

static int check_region(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *region, struct found *found)
{
    size_t end = region_bytes(region);
    size_t at = table_bytes(end);
    while (at < end) { /* at most as many rounds as units */
        size_t bytes;
        int broken = check_unit(heap, region, region + at / UNIT, &bytes, found);
        if (broken != 0)
            return broken;
        for (size_t inside = UNIT; inside < bytes && at + inside < end; inside += UNIT) /* of all units */
            if (list_held(region + (at + inside) / UNIT) < LISTS)
                return 3;
        at += bytes;
    }
    return at == end ? 0 : 2;
}

/* Counts and adds up what is in the lists, up to one more than there may be; a list leads back to its head. */
static int check_lists(const struct knoll_lean_heap *heap, const struct found *found)
{
    size_t listed = 0;
    uintptr_t sum = 0;
    for (size_t list = 0; list < LISTS; list++) { /* LISTS rounds */
        const struct knoll_lean_link *head = &heap->list[list];
        if (!is_linked(heap, head))
            return 6;
        for (struct knoll_lean_link *link = head->next; link != head; link = link->next) {
            const struct knoll_lean_unit *unit = unit_of(link);
            listed++; /* at most as many rounds as were found, and one */
            sum += (uintptr_t)link;
            if (listed > found->listed || !is_linked(heap, link) ||
                unit->state != (list < WORD_SHIFT ? HELD : FREE) + list)
                return 6;
        }
    }
    return listed == found->listed && sum == found->sum ? 0 : 6;
}

int knoll_lean_check(const struct knoll_lean_heap *heap)
{
    struct found found = {0, 0, 0, false};
    if (!regions_are_sound(heap))
        return 1;
    for (const struct knoll_lean_unit *region = heap->region; region != NULL; region = region_before(region)) {
        int broken = check_region(heap, region, &found); /* as many rounds as regions */
        if (broken != 0)
            return broken;
    }
    if (found.spare != (heap->spare != NULL))
        return 2;
    int broken = check_lists(heap, &found);
    return broken == 0 && found.used != heap->used ? 7 : broken;
}
