/* What a fuzzer's calls are held against: an account of a heap that knows nothing of slabs or runs.
 *
 * It keeps what is held, and a shadow of one byte for each 16 of memory: a block must come from bytes that are free
 * there, must be aligned, and bears marks that must be there when it is looked at. The walk, the statistics and
 * knoll_check must agree with it. To be fast it looks at up to 33 words of a block: tests/model.c looks at all of it,
 * and is ten times as slow.
 *
 * SPDX-License-Identifier: MIT */
#include "fuzz.h"
#include "check.h"
#include "support.h"

#define GROUND  MIB(5) /* where the regions lie */
#define GRANULE 16     /* bytes for each byte of the shadow */

struct knoll_heap heap;
struct held held[HELD_MAX];
struct span spans[SPANS];
struct state now;
size_t operations;

static _Alignas(KNOLL_PAGE) unsigned char ground[GROUND];
static unsigned char shadow[GROUND / GRANULE];

/* ---- The shadow ---- */

static size_t cells_of(size_t size)
{
    return size == 0 ? 1 : (size + GRANULE - 1) / GRANULE;
}

static unsigned char *cell_of(const unsigned char *address)
{
    assert_true(address >= ground && address < ground + GROUND);
    return shadow + (size_t)(address - ground) / GRANULE;
}

unsigned char cell_at(const unsigned char *address)
{
    return *cell_of(address);
}

static bool is_free(const unsigned char *start, size_t size)
{
    const unsigned char *cell = cell_of(start);
    return size <= (size_t)(ground + GROUND - start) && cell[0] == FREE &&
           memcmp(cell, cell + 1, cells_of(size) - 1) == 0;
}

static void shade(const unsigned char *start, size_t size, int as)
{
    memset(cell_of(start), as, cells_of(size));
}

/* ---- Memory ---- */

void oracle_open(void)
{
    memset(&now, 0, sizeof now);
    for (size_t i = 0; i < SPANS && spans[i].start != NULL; i++)
        shade(spans[i].start, spans[i].size, TAKEN);
    if (operations == 0)
        memset(shadow, TAKEN, sizeof shadow);
    memset(spans, 0, sizeof spans);
}

void plan_span(size_t pages, size_t gap)
{
    const struct span *last = now.spans_planned == 0 ? NULL : &spans[now.spans_planned - 1];
    unsigned char *start = (last == NULL ? ground : last->start + last->size) + gap * KNOLL_PAGE;
    spans[now.spans_planned++] = (struct span){start, pages * KNOLL_PAGE, 0};
}

/* Tables must not count on clean memory. */
void take_span(void)
{
    struct span *span = &spans[now.spans_added];
    size_t dirty = span->size / 64 + KNOLL_PAGE, before = 0;
    memset(span->start, 0x5A, dirty < span->size ? dirty : span->size);
    if (now.spans_added++ == 0) {
        memset(&heap, 0xA5, sizeof heap);
        assert_int_equal(knoll_init(&heap, span->start, span->size), KNOLL_OK);
    } else {
        before = knoll_total_bytes(&heap);
        assert_int_equal(knoll_add_memory(&heap, span->start, span->size), KNOLL_OK);
    }
    span->tables = span->size - (knoll_total_bytes(&heap) - before);
    shade(span->start + span->tables, span->size - span->tables, FREE);
}

/* ---- Contents: the last byte that was asked for, the last that may be used, and up to 32 words before them ---- */

static size_t word_distance(size_t size)
{
    return 8 * (1 + size / 256);
}

static uint64_t mark_at(const struct held *of, size_t place)
{
    return (of->seed + place) * 0x9FB21C651E98DF25u;
}

static void write_marks(const struct held *to)
{
    if (to->usable > to->size)
        to->block[to->usable - 1] = 0xEE;
    for (size_t at = 0; at + 8 < to->size; at += word_distance(to->size)) {
        uint64_t mark = mark_at(to, at);
        memcpy(to->block + at, &mark, 8);
    }
    if (to->size > 0)
        to->block[to->size - 1] = (unsigned char)to->seed;
}

/* Asserts that the first `size` bytes of what was written are here. */
static void expect_marks(const struct held *of, const unsigned char *block, size_t size)
{
    for (size_t at = 0; at + 8 < of->size && at + 8 <= size; at += word_distance(of->size)) {
        uint64_t mark;
        memcpy(&mark, block + at, 8);
        assert_true(mark == mark_at(of, at));
    }
    if (size > 0 && size == of->size)
        assert_int_equal(block[size - 1], of->seed & 0xFF);
}

void expect_all_marks(const struct held *of)
{
    expect_marks(of, of->block, of->size);
    if (of->usable > of->size)
        assert_int_equal(of->block[of->usable - 1], 0xEE);
}

/* ---- Blocks ---- */

static void count_new(struct held *new, unsigned char *block)
{
    new->block = block;
    new->usable = knoll_usable_size(&heap, block);
    new->seed = now.allocations + now.calls;
    assert_true(new->usable >= new->size && (!IS_BYTE_EXACT || new->usable == new->size));
    assert_true(is_aligned(block, new->alignment) && is_aligned(block, GRANULE));
    assert_true(is_free(block, new->usable));
    shade(block, new->usable, TAKEN);
    shade(block, 1, START);
    now.used += new->usable + OVERHEAD;
    if (now.used > now.peak)
        now.peak = now.used;
}

static void count_gone(const struct held *gone)
{
    shade(gone->block, gone->usable, FREE);
    now.used -= gone->usable + OVERHEAD;
}

/* A request fails only if the heap then says that it would; it speaks of knoll_malloc. */
void count_failure(size_t alignment, size_t size)
{
    now.failures++;
    assert_true(alignment > 16 || largest_block(&heap) < size + (size == 0));
}

void count_request(unsigned char *block, size_t alignment, size_t size)
{
    operations++;
    if (block == NULL) {
        count_failure(alignment, size);
        return;
    }
    struct held *new = &held[now.held++];
    new->size = size;
    new->alignment = alignment;
    now.allocations++;
    count_new(new, block);
    write_marks(new);
}

struct held count_free(size_t which)
{
    struct held gone = held[which];
    expect_all_marks(&gone);
    count_gone(&gone);
    held[which] = held[--now.held];
    now.freed[now.frees++ % FREED] = gone.block;
    operations++;
    return gone;
}

void count_resize(size_t which, unsigned char *block, size_t size)
{
    const struct held old = held[which];
    struct held *new = &held[which];
    bool moved = block != old.block;
    operations++;
    if (block == NULL) {
        /* The tables know the greatest alignment in a slab, not that of each block: it is kept for all of them. */
        bool alignment_counts = old.alignment > 16 || (!CLASSIC && old.usable <= KNOLL_SLAB_MAXIMUM);
        assert_true(size > old.size);
        count_failure(alignment_counts ? KNOLL_PAGE : 1, size);
        return;
    }
    expect_marks(&old, block, size < old.size ? size : old.size);
    new->size = size;
    now.allocations += moved;
    now.frees += moved;
    if (!moved)
        count_gone(&old);
    count_new(new, block); /* if it moved, both were there for a moment, and must not overlap */
    if (moved)
        count_gone(&old);
    write_marks(new);
}

/* ---- The heap as a whole ---- */

static int expect_free_run(void *context, const struct knoll_item *item)
{
    (void)context;
    assert_true(is_free(item->start, item->size));
    return 0;
}

void verify(void)
{
    uint64_t fingerprint = 0;
    struct knoll_stats stats;
    struct survey found = survey(&heap);
    knoll_get_stats(&heap, &stats);
    for (size_t i = 0; i < now.held; i++)
        fingerprint += block_fingerprint(held[i].block, held[i].usable);
    assert_int_equal(knoll_check(&heap), 0);
    assert_int_equal(knoll_walk_free(&heap, 1, expect_free_run, NULL), 0);
    assert_int_equal(found.blocks, now.held);
    assert_true(found.fingerprint == fingerprint);
    assert_int_equal(found.regions, now.spans_added);
    assert_int_equal(stats.allocations, now.allocations);
    assert_int_equal(stats.frees, now.frees);
    assert_int_equal(stats.failures, now.failures);
    assert_true(stats.peak_used_bytes >= now.peak);
    now.verified = now.calls;
}

void expect_as_new(void)
{
    struct knoll_stats old;
    knoll_get_stats(&heap, &old);
    assert_int_equal(old.used_bytes, 0);
    assert_int_equal(knoll_init(&heap, spans[0].start, spans[0].size), KNOLL_OK);
    for (size_t i = 1; i < now.spans_added; i++)
        assert_int_equal(knoll_add_memory(&heap, spans[i].start, spans[i].size), KNOLL_OK);
    assert_int_equal(old.total_bytes, knoll_total_bytes(&heap));
    assert_int_equal(old.largest_block, largest_block(&heap));
}
