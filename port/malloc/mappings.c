/* Up to rung 2, the blocks that are mapped directly: so large that the kernel should have them back at once, and can
 * move them without copying. A block starts where a page does, and its mapping ends where a page does.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include "bits.h"

#include <sys/mman.h>

static size_t blocks_mapped;
static size_t bytes_mapped;

void *pages_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void pages_unmap(void *pages, size_t size)
{
    munmap(pages, size);
}

/* Nothing is by chance here. */
void pages_after_fork(void)
{
}

static void put(struct mapping mapping)
{
    mapping_table_put(mapping);
    blocks_mapped++;
    bytes_mapped += mapping.size;
}

static void take_out(const struct mapping *mapping)
{
    blocks_mapped--;
    bytes_mapped -= mapping->size;
    mapping_table_remove(mapping);
}

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) & ~(PAGE - 1);
}

void *mapping_make(size_t alignment, size_t size)
{
    size_t usable = whole_pages(size + (size == 0));
    size_t extra = alignment <= PAGE ? 0 : alignment;
    if (usable < size || usable > PTRDIFF_MAX - extra || !mapping_table_reserve())
        return NULL;
    unsigned char *memory = pages_map(usable + extra);
    if (memory == NULL)
        return NULL;
    size_t before = extra == 0 ? 0 : (size_t)(-(uintptr_t)memory & (alignment - 1));
    if (extra > before)
        munmap(memory + before + usable, extra - before);
    put((struct mapping){memory + before, usable, before, 0, false});
    return memory + before;
}

struct mapping *mapping_find(const void *block)
{
    return (uintptr_t)block % PAGE == 0 ? mapping_table_find(block) : NULL;
}

bool mapping_fits(const struct mapping *mapping, size_t alignment, size_t size)
{
    size += size == 0; /* for which there is a page too */
    return size <= mapping->size && mapping->size - size < PAGE &&
           (alignment == 0 || (is_power_of_two(alignment) && (uintptr_t)mapping->block % alignment == 0));
}

void mapping_discard(struct mapping *mapping)
{
    unsigned char *start = mapping->block - mapping->before;
    size_t size = mapping->before + mapping->size;
    take_out(mapping);
    if (munmap(start, size) != 0) /* there are as many mappings as there may be, and it would part one */
        madvise(start, size, MADV_DONTNEED);
}

void *mapping_resize(struct mapping *mapping, size_t size)
{
    size_t usable = whole_pages(size);
    if (usable < size || usable > PTRDIFF_MAX)
        return NULL;
    if (usable == mapping->size)
        return mapping->block;
    struct mapping moved = *mapping;
    void *block = mremap(moved.block, moved.size, usable, MREMAP_MAYMOVE);
    if (block == MAP_FAILED)
        return NULL;
    if (block != moved.block && moved.before != 0) { /* what was before it stays where it was */
        munmap(moved.block - moved.before, moved.before);
        moved.before = 0;
    }
    take_out(mapping);
    moved.block = block;
    moved.size = usable;
    put(moved);
    return block;
}

void mapping_totals(size_t *blocks, size_t *bytes)
{
    *blocks = blocks_mapped;
    *bytes = bytes_mapped;
}
