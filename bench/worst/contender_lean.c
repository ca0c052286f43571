/* knoll lean. What a call is about to do is told by the tables: whether its list has a slab, or whether its slab has
 * other blocks that are held.
 *
 * SPDX-License-Identifier: MIT */
#include "../../lean/lean_tables.h"

typedef struct knoll_lean_heap contender_heap;

#include "calls.h"

static enum path path;

/* As for knoll. */
static malloc_function *volatile mallocs[] = {(malloc_function *)empty, knoll_lean_malloc};
static aligned_function *volatile aligned_allocs[] = {(aligned_function *)empty, knoll_lean_aligned_alloc};
static free_function *volatile frees[] = {(free_function *)empty, knoll_lean_free};

const char *const contender_name = "knoll-lean";

bool contender_init(void *start, size_t size)
{
    return knoll_lean_init(&heap, start, size) == KNOLL_OK;
}

static enum path path_of_allocation(size_t size)
{
    size_t list = 0;
    while (size > block_size(list))
        list++;
    return list >= WORD_SHIFT ? PATH_LARGE : heap.list[list].next == &heap.list[list] ? PATH_RESIZE : PATH_SLAB;
}

static enum path path_of_free(const void *block)
{
    uintptr_t address = (uintptr_t)block;
    const struct knoll_lean_unit *unit = unit_at(heap.region, address); /* the only one */
    size_t list = list_held(unit);
    return list >= WORD_SHIFT ? PATH_LARGE : are_all(unit->word | bit_of(address), list) ? PATH_RESIZE : PATH_SLAB;
}

uint32_t contender_call(const volatile uint64_t *count, bool really, enum entry entry, struct request *request)
{
    if (entry == ENTRY_FREE || entry == ENTRY_FREE_SIZED) { /* it has none that names a size */
        path = really ? path_of_free(request->block) : PATH_SLAB;
        return call_free(count, frees[really], request);
    }
    path = path_of_allocation(request->size > request->alignment ? request->size : request->alignment);
    uint32_t counted = entry == ENTRY_MALLOC ? call_malloc(count, mallocs[really], request)
                                             : call_aligned_alloc(count, aligned_allocs[really], request);
    if (request->block == NULL)
        path = PATH_FAILED;
    return counted;
}

enum path contender_path(void)
{
    return path;
}
