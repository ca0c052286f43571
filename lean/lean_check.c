/* knoll lean: the check of all invariants that lean_tables.h numbers.
 *
 * Each region is walked run by run; a free run or slab with a free block is looked up by its links, which must lead
 * back to it, and counted. That there are no more in the lists is told by counting those.
 *
 * SPDX-License-Identifier: MIT */
#include "lean_tables.h"

/* What the walks found. */
struct found {
    size_t listed;
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

/* Whether the links lead to neighbours that lead back. */
static bool is_linked(const struct knoll_lean_link *link)
{
    return link->next != NULL && link->prev != NULL && link->next->prev == link && link->prev->next == link;
}

static int check_slab(const struct knoll_lean_unit *unit, struct found *found)
{
    size_t list = list_held(unit);
    uintptr_t all = all_blocks(list);
    if ((unit->word & ~all) != 0 || unit->word == all)
        return 5;
    for (uintptr_t held = all & ~unit->word; held != 0; held &= held - 1) /* at most WORD_BITS rounds */
        found->used += block_size(list);
    if (unit->word == 0)
        return 0;
    found->listed++;
    return is_linked(&unit->link) ? 0 : 6;
}

/* Checks the free run of this list at this place. Its buddy may be the one before it as well as the one after it. */
static int check_free(const struct knoll_lean_unit *region, const struct knoll_lean_unit *unit, size_t list,
                      struct found *found)
{
    uintptr_t address = address_of(region, unit);
    if ((address & (block_size(list) - 1)) != 0)
        return 4;
    uintptr_t offset = (address ^ block_size(list)) - (uintptr_t)region;
    if (offset < region_bytes(region) && region[offset / UNIT].state == FREE + list)
        return 4;
    found->listed++;
    return is_linked(&unit->link) ? 0 : 6;
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
        return check_slab(unit, found);
    bool is_free = unit->state >= FREE;
    if (is_free)
        list = unit->state - FREE;
    if (list < WORD_SHIFT || list >= LISTS)
        return 2;
    *bytes = block_size(list);
    if (is_free)
        return check_free(region, unit, list, found);
    found->used += *bytes;
    return (address_of(region, unit) & (*bytes - 1)) == 0 ? 0 : 4;
}

static int check_region(const struct knoll_lean_heap *heap, const struct knoll_lean_unit *region, struct found *found)
{
    if (!region_is_legal(region))
        return 1;
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

/* Counts what is in the lists, up to one more than there may be; a list leads back to its head. */
static int check_lists(const struct knoll_lean_heap *heap, const struct found *found)
{
    size_t listed = 0;
    for (size_t list = 0; list < LISTS; list++) { /* LISTS rounds */
        const struct knoll_lean_link *head = &heap->list[list];
        if (!is_linked(head))
            return 6;
        for (struct knoll_lean_link *link = head->next; link != head; link = link->next) {
            const struct knoll_lean_unit *unit = unit_of(link);
            listed++; /* at most as many rounds as were found, and one */
            if (listed > found->listed || !is_linked(link) || unit->state != (list < WORD_SHIFT ? HELD : FREE) + list)
                return 6;
        }
    }
    return listed == found->listed ? 0 : 6;
}

int knoll_lean_check(const struct knoll_lean_heap *heap)
{
    struct found found = {0, 0, false};
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
