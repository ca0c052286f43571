/* Rung 3: guard pages, chance, and memory that is mapped at random places.
 *
 * A block of options.map_least bytes or more is in a mapping of its own:
 *
 *     | guard page | canary | the block, from an address that its alignment allows | canary | guard page |
 *                  a page's start                                                           a page's start
 *
 * The block ends where the second guard page begins, or as few bytes before as its alignment asks for. So a write or
 * read beyond its end ends the program at once; what is written into the few bytes round it is found when it is freed.
 * Its mapping is then without memory and inaccessible, and keeps its place until WAITING_MOST others have been freed
 * after it, or WAITING_BYTES; which one goes is random. Spans of heaps lie between guard pages as well.
 *
 * Mappings lie at random places of a neighbourhood, which is somewhere else in each process: if they lay anywhere, each
 * would need three pages of page tables, where one is enough. Where the place is taken, the kernel finds another.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include "bits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESSES        ((size_t)1 << 47) /* what a program has of them, on x86-64 at most */
#define NEIGHBOURHOOD    ((uint64_t)64 << 30)
#define LOWEST           ((uint64_t)1 << 40) /* programs, their libraries and stacks lie above or below */
#define PLACES           ((uint64_t)32 << 40)
#define MULTIPLIER       0x9E3779B97F4A7C15u
#define CANARY_OF(block) ((((secret ^ (uintptr_t)(block)) * MULTIPLIER) & 0x7E7E7E7E7E7E7E7Eu) | 0x8080808080808080u)

static uint64_t neighbourhood;
static uint64_t secret;
static size_t blocks_mapped;
static size_t bytes_mapped;
static unsigned char *waiting[WAITING_MOST];
static size_t waiting_count;
static size_t waiting_bytes;

/* ---- Chance ---- */

static uint32_t numbers[64]; /* as many as the kernel gives without being interrupted */
static size_t left;

uint32_t guarded_random(void)
{
    if (left == 0) {
        if (syscall(SYS_getrandom, numbers, sizeof numbers, 0) != sizeof numbers)
            report_missing("random numbers (getrandom), which rung 3 needs");
        left = sizeof numbers / sizeof numbers[0];
    }
    uint32_t number = numbers[--left];
    numbers[left] = 0;
    return number;
}

void pages_after_fork(void)
{
    left = 0;
}

static uint64_t random_word(void)
{
    return (uint64_t)guarded_random() << 32 | guarded_random();
}

/* ---- Pages ---- */

static void *random_place(void)
{
    if (neighbourhood == 0) {
        neighbourhood = LOWEST + random_word() % PLACES;
        secret = random_word();
    }
    uint64_t place = (neighbourhood + random_word() % NEIGHBOURHOOD) / PAGE * PAGE;
    return (void *)(uintptr_t)place; /* NOLINT(performance-no-int-to-ptr) */
}

void pages_forbid(void *from, void *to)
{
    uintptr_t start = ((uintptr_t)from + PAGE - 1) / PAGE * PAGE;
    uintptr_t end = (uintptr_t)to / PAGE * PAGE;
    if (start < end)
        mprotect((void *)start, end - start, PROT_NONE); /* NOLINT(performance-no-int-to-ptr) */
}

/* Lets one that waits go, at random; false if none waits. */
static bool let_one_go(void)
{
    if (waiting_count == 0)
        return false;
    size_t place = (size_t)(random_word() % waiting_count);
    struct mapping *mapping = mapping_table_find(waiting[place]);
    waiting[place] = waiting[--waiting_count];
    waiting_bytes -= (size_t)(mapping_end(mapping) - mapping_start(mapping));
    munmap(mapping_start(mapping), (size_t)(mapping_end(mapping) - mapping_start(mapping)));
    mapping_table_remove(mapping);
    return true;
}

/* Pages between two that are inaccessible; NULL if the kernel has none to give. */
static unsigned char *map_now(size_t alignment, size_t size)
{
    size_t whole = PAGE + alignment + size;
    unsigned char *memory = mmap(random_place(), whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t before = PAGE + (-((uintptr_t)memory + PAGE) & (alignment - 1));
    unsigned char *start = memory + before;
    if (before > PAGE)
        munmap(memory, before - PAGE);
    if (whole > before + size + PAGE)
        munmap(start + size + PAGE, whole - before - size - PAGE);
    if (mprotect(start, size, PROT_READ | PROT_WRITE) == 0)
        return start;
    munmap(start - PAGE, size + 2 * PAGE);
    return NULL;
}

/* The same, if need be in place of what waits; unless no address space has so much. */
static unsigned char *map(size_t alignment, size_t size)
{
    unsigned char *start;
    while ((start = map_now(alignment, size)) == NULL && size + alignment < ADDRESSES && let_one_go())
        continue;
    return start;
}

void *pages_map(size_t size)
{
    return map(PAGE, size);
}

void pages_unmap(void *pages, size_t size)
{
    munmap((unsigned char *)pages - PAGE, size + 2 * PAGE);
}

/* ---- Canaries ---- */

/* The first byte of the span that is not the word's, which lies at each multiple of eight; or NULL. If `writes`, it is
 * made so first. */
static const unsigned char *canary(uint64_t word, unsigned char *from, const unsigned char *to, bool writes)
{
    const unsigned char *bytes = (const unsigned char *)&word;
    for (unsigned char *at = from; at < to;) {
        size_t length = (uintptr_t)at % sizeof word != 0 || to - at < (ptrdiff_t)sizeof word ? 1 : sizeof word;
        const unsigned char *wanted = bytes + (uintptr_t)at % sizeof word;
        if (writes)
            __builtin_memcpy(at, wanted, length);
        else if (__builtin_memcmp(at, wanted, length) != 0)
            return at;
        at += length;
    }
    return NULL;
}

/* ---- Blocks ---- */

static size_t round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

static unsigned log2_of(size_t alignment)
{
    return alignment <= ALIGNMENT ? 4 : (unsigned)__builtin_ctzll(alignment);
}

void *mapping_make(size_t wanted_alignment, size_t size)
{
    size_t alignment = (size_t)1 << log2_of(wanted_alignment);
    size_t most = PTRDIFF_MAX - 3 * PAGE;
    if ((blocks_mapped >= MAPPED_MOST && size < REPLACED_MOST) || size > most || alignment > most - size ||
        !mapping_table_reserve())
        return NULL;
    size_t room = round_up(size == 0 ? 1 : size, alignment < PAGE ? alignment : PAGE);
    size_t pages = round_up(room, PAGE);
    unsigned char *start = map(alignment < PAGE ? PAGE : alignment, pages);
    if (start == NULL)
        return NULL;
    unsigned char *block = start + pages - room;
    canary(CANARY_OF(block), start, block, true);
    canary(CANARY_OF(block), block + size, start + pages, true);
    mapping_table_put((struct mapping){block, size, (size_t)(block - start), log2_of(alignment), false});
    blocks_mapped++;
    bytes_mapped += size;
    return block;
}

struct mapping *mapping_find(const void *block)
{
    struct mapping *mapping = mapping_table_find(block);
    return mapping == NULL || mapping->waits ? NULL : mapping;
}

enum knoll_fault mapping_broken(const struct mapping *mapping)
{
    unsigned char *block = mapping->block;
    if (canary(CANARY_OF(block), block - mapping->before, block, false) != NULL)
        return KNOLL_FAULT_UNDERFLOW;
    if (canary(CANARY_OF(block), block + mapping->size, mapping_end(mapping) - PAGE, false) != NULL)
        return KNOLL_FAULT_OVERFLOW;
    return KNOLL_FAULT_NONE;
}

bool mapping_fits(const struct mapping *mapping, size_t alignment, size_t size)
{
    return size == mapping->size &&
           (alignment == 0 || (is_power_of_two(alignment) && log2_of(alignment) == mapping->alignment));
}

/* Its memory goes at once, its place later. */
void mapping_discard(struct mapping *mapping)
{
    int error = errno;
    unsigned char *block = mapping->block;
    unsigned char *start = mapping_start(mapping);
    size_t size = (size_t)(mapping_end(mapping) - start);
    blocks_mapped--;
    bytes_mapped -= mapping->size;
    mapping->waits = true;
    while (waiting_count == WAITING_MOST || waiting_bytes + size > WAITING_BYTES)
        if (!let_one_go())
            break;
    while (mmap(start, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        if (!let_one_go())
            break;
    waiting[waiting_count++] = block;
    waiting_bytes += size;
    errno = error;
}

/* Only where nothing changes: the block is to end where its guard page begins. */
void *mapping_resize(struct mapping *mapping, size_t size)
{
    return size == mapping->size ? mapping->block : NULL;
}

void mapping_totals(size_t *blocks, size_t *bytes)
{
    *blocks = blocks_mapped;
    *bytes = bytes_mapped;
}
