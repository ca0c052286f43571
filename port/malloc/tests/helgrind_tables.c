/* For tools/races: regions whose tables Helgrind does not check, because free looks up the block of a program in them
 * without the lock, on purpose (cache.h); the linker puts these before the core's functions (--wrap). What is in the
 * struct of a heap, in caches and in blocks is checked.
 *
 * SPDX-License-Identifier: MIT */
#include <valgrind/helgrind.h>

#include "region.h"

int __real_knoll_init(struct knoll_heap *heap, void *start, size_t size);
int __wrap_knoll_init(struct knoll_heap *heap, void *start, size_t size);
int __real_knoll_add_memory(struct knoll_heap *heap, void *start, size_t size);
int __wrap_knoll_add_memory(struct knoll_heap *heap, void *start, size_t size);

static int ignore_tables(const struct knoll_heap *heap, int error)
{
    if (error == KNOLL_OK) {
        const struct knoll_region *region = heap->region[heap->region_count - 1];
        VALGRIND_HG_DISABLE_CHECKING(region_base(region), (size_t)region->first << KNOLL_UNIT_SHIFT);
    }
    return error;
}

int __wrap_knoll_init(struct knoll_heap *heap, void *start, size_t size)
{
    return ignore_tables(heap, __real_knoll_init(heap, start, size));
}

int __wrap_knoll_add_memory(struct knoll_heap *heap, void *start, size_t size)
{
    return ignore_tables(heap, __real_knoll_add_memory(heap, start, size));
}
