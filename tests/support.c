/* Memory, faults, snapshots and random numbers for the tests.
 *
 * The arena is filled with garbage before a heap is made in it, because a heap must not count on clean memory.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

unsigned char *arena;
size_t arena_size;

void arena_open(void)
{
    void *start;
    platform_memory(&start, &arena_size);
    arena = start;
    arena_size = arena_size > ARENA_MAXIMUM ? ARENA_MAXIMUM : arena_size;
}

unsigned char *arena_at(size_t alignment, size_t offset)
{
    uintptr_t past = ((uintptr_t)arena - offset) & (alignment - 1);
    size_t skip = past == 0 ? 0 : alignment - past;
    assert_true(skip < arena_size);
    return arena + skip;
}

size_t arena_left(const unsigned char *address)
{
    return (size_t)(arena + arena_size - address);
}

static void fail_on_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap;
    (void)address;
    assert_int_equal(fault, KNOLL_FAULT_NONE);
}

void make_heap(struct knoll_heap *heap, void *start, size_t size)
{
    memset(heap, 0xA5, sizeof *heap);
    memset(start, 0x5A, size);
    assert_int_equal(knoll_init(heap, start, size), KNOLL_OK);
    knoll_set_fault_handler(heap, fail_on_fault);
}

void *hold_the_end(struct knoll_heap *heap)
{
    unsigned char *last = NULL;
    unsigned char *block;
    while ((block = knoll_malloc(heap, largest_block(heap))) != NULL) { /* each leads to the one before */
        *(unsigned char **)(void *)block = last;
        last = block;
    }
    unsigned char *end = last;
    for (block = last; block != NULL; block = *(unsigned char **)(void *)block)
        end = block > end ? block : end;
    for (block = last; block != NULL; block = last) {
        last = *(unsigned char **)(void *)block;
        if (block != end)
            knoll_free(heap, block);
    }
    return end;
}

void add_memory(struct knoll_heap *heap, void *start, size_t size)
{
    memset(start, 0xC3, size);
    assert_int_equal(knoll_add_memory(heap, start, size), KNOLL_OK);
}

size_t largest_block(const struct knoll_heap *heap)
{
    struct knoll_stats stats;
    knoll_get_stats(heap, &stats);
    return stats.largest_block;
}

size_t round_up(size_t size, size_t multiple)
{
    size_t above = size % multiple;
    return above == 0 ? size : size + (multiple - above);
}

void free_all(struct knoll_heap *heap, void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        knoll_free(heap, blocks[i]);
        blocks[i] = NULL;
    }
}

size_t fill(struct knoll_heap *heap, size_t size, void **blocks, size_t limit)
{
    size_t count = 0;
    while (count < limit && (blocks[count] = knoll_malloc(heap, size)) != NULL)
        count++;
    return count;
}

bool is_aligned(const void *address, size_t alignment)
{
    return ((uintptr_t)address & (alignment - 1)) == 0;
}

static unsigned char pattern_byte(size_t place, unsigned seed)
{
    return (unsigned char)((place ^ (place >> 8)) * 7 + seed * 29 + 1);
}

void write_pattern(void *block, size_t size, unsigned seed)
{
    unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_byte(i, seed);
}

bool has_pattern(const void *block, size_t size, unsigned seed)
{
    const unsigned char *bytes = block;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern_byte(i, seed))
            return false;
    return true;
}

struct fault_record last_fault;

void record_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    last_fault.count++;
    last_fault.fault = fault;
    last_fault.address = address;
    last_fault.heap = heap;
    last_fault.broken = knoll_check(heap);
}

static struct {
    struct knoll_heap heap;
    unsigned char *start;
    size_t size;
    _Alignas(8) unsigned char bytes[KNOLL_TEST_SNAPSHOT];
} saved;

/* By words, because a memcmp by bytes makes an emulator slow; size is a multiple of 8, and so are the addresses. */
static bool same_words(const unsigned char *a, const unsigned char *b, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word_a, word_b;
        __builtin_memcpy(&word_a, __builtin_assume_aligned(a + i, 8), 8);
        __builtin_memcpy(&word_b, __builtin_assume_aligned(b + i, 8), 8);
        if (word_a != word_b)
            return false;
    }
    return true;
}

/* By words likewise: the compiler is kept from making a memcpy of it, which is an instruction for bytes on s390x. */
static void copy_words(unsigned char *to, const unsigned char *from, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word;
        __builtin_memcpy(&word, __builtin_assume_aligned(from + i, 8), 8);
        __asm__("" ::: "memory");
        __builtin_memcpy(__builtin_assume_aligned(to + i, 8), &word, 8);
    }
}

void snapshot_take(const struct knoll_heap *heap, void *start, size_t size)
{
    assert_true(size <= sizeof saved.bytes);
    memcpy(&saved.heap, heap, sizeof saved.heap);
    copy_words(saved.bytes, start, size);
    saved.start = start;
    saved.size = size;
}

bool snapshot_holds(const struct knoll_heap *heap)
{
    return memcmp(&saved.heap, heap, sizeof saved.heap) == 0 && same_words(saved.bytes, saved.start, saved.size);
}

void snapshot_restore(struct knoll_heap *heap)
{
    memcpy(heap, &saved.heap, sizeof saved.heap);
    copy_words(saved.start, saved.bytes, saved.size);
}

/* Marsaglia's xorshift, its better half scrambled by a multiplication. */
struct random random_from(uint32_t seed)
{
    struct random random = {((uint64_t)seed << 32 | seed) ^ 0x6B6E6F6C6C686561u};
    for (int i = 0; i < 8; i++)
        random_next(&random);
    return random;
}

uint32_t random_next(struct random *random)
{
    uint64_t state = random->state;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    random->state = state;
    return (uint32_t)((state * 0x9FB21C651E98DF25u) >> 32);
}

uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)(((uint64_t)random_next(random) * limit) >> 32);
}
