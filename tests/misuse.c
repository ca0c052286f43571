/* A misuse suite: each case is a row that says what must become of it at every rung of hardening, so that none ever
 * weakens unseen and none is claimed to stop what it does not. What is found at the rung that this was built for must
 * be just what its row says.
 *
 * A case has a heap of its own, which is thrown away. One that is not stopped and would break even that, or have the
 * compiler's sanitizers end the program, is not executed.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

enum outcome {
    BREAKS,      /* not stopped, and not executed */
    MISSED,      /* not stopped */
    NEUTRALISED, /* no fault is reported, but no harm is done either */
    STOPPED      /* a fault is reported: at the call, or of a write at the next call that can see it */
};

enum kind { FREES, SIZES, OVERFLOWS, UNDERFLOWS, AFTER_FREE, STALE, KINDS };

struct misuse {
    const char *name;
    enum kind kind;
    enum outcome (*act)(size_t size, size_t amount);
    size_t size;
    size_t amount;
    unsigned char expected[3]; /* an outcome for each rung */
};

#define SPAN KIB(256)

static struct knoll_heap heap, other_heap;
static unsigned char *start;
static unsigned char *before, *block, *after; /* of one size, side by side where there is nothing else */
static void *blocks[4096];

static enum outcome reported(void)
{
    return last_fault.count != 0 ? STOPPED : MISSED;
}

/* ---- Frees ---- */

static enum outcome twice(size_t size, size_t others)
{
    for (size_t i = 0; i < others; i++)
        blocks[i] = knoll_malloc(&heap, size);
    knoll_free(&heap, block);
    free_all(&heap, blocks, others);
    knoll_free(&heap, block);
    return reported();
}

/* All that is round it is freed first. */
static enum outcome twice_merged(size_t size, size_t drain)
{
    (void)size;
    knoll_free(&heap, block);
    knoll_free(&heap, before);
    knoll_free(&heap, after);
    if (drain != 0)
        knoll_drain(&heap);
    knoll_free(&heap, block);
    return reported();
}

static enum outcome twice_in_a_batch(size_t size, size_t amount)
{
    void *both[] = {block, before, block};
    (void)size, (void)amount;
    knoll_free_batch(&heap, both, 3);
    return reported();
}

static enum outcome twice_sized(size_t size, size_t amount)
{
    (void)amount;
    knoll_free_sized(&heap, block, size);
    knoll_free_sized(&heap, block, size);
    return reported();
}

static enum outcome resized_after_free(size_t size, size_t new_size)
{
    (void)size;
    knoll_free(&heap, block);
    blocks[0] = knoll_realloc(&heap, block, new_size);
    return reported();
}

static enum outcome asked_after_free(size_t size, size_t amount)
{
    (void)size, (void)amount;
    knoll_free(&heap, block);
    return knoll_usable_size(&heap, block) == 0 ? reported() : MISSED;
}

static enum outcome freed_after_it_moved(size_t size, size_t new_size)
{
    (void)size;
    blocks[0] = knoll_realloc(&heap, block, new_size);
    assert_true(blocks[0] != NULL && blocks[0] != block);
    knoll_free(&heap, block);
    return reported();
}

/* Its memory is somebody else's by then, where nothing keeps it back. */
static enum outcome twice_after_reuse(size_t size, size_t new_size)
{
    knoll_free(&heap, block);
    if (new_size != size) { /* so that its slab or run goes back */
        knoll_free(&heap, before);
        knoll_free(&heap, after);
    }
    for (size_t i = 0; i < 8; i++)
        blocks[i] = knoll_malloc(&heap, new_size);
    knoll_free(&heap, block);
    return reported();
}

static enum outcome inside(size_t size, size_t offset)
{
    (void)size;
    knoll_free(&heap, block + offset);
    return reported();
}

static enum outcome resized_inside(size_t size, size_t offset)
{
    blocks[0] = knoll_realloc(&heap, block + offset, 2 * size);
    return reported();
}

static enum outcome foreign(size_t which, size_t amount)
{
    static unsigned char in_static_storage[64];
    unsigned char on_the_stack[64];
    unsigned char *of_another_heap = knoll_malloc(&other_heap, 100);
    unsigned char *addresses[] = {on_the_stack, in_static_storage, of_another_heap,
                                  start + SPAN, start - 16,        start + 64}; /* the last one is in the tables */
    (void)amount;
    knoll_free(&heap, addresses[which]);
    return reported();
}

static enum outcome never_handed_out(size_t size, size_t amount)
{
    (void)size;
    knoll_free(&heap, start + amount);
    return reported();
}

static enum outcome next_of_its_slab(size_t size, size_t amount)
{
    (void)size, (void)amount;
    knoll_free(&heap, after + (after - block));
    return reported();
}

/* ---- Sizes ---- */

static enum outcome as_size(size_t size, size_t named)
{
    (void)size;
    knoll_free_sized(&heap, block, named);
    return reported();
}

static enum outcome as_alignment(size_t alignment, size_t named)
{
    void *aligned = knoll_aligned_alloc(&heap, alignment, 100);
    knoll_free_aligned_sized(&heap, aligned, named, 100);
    return reported();
}

/* ---- Writes outside of a block ---- */

static void write_bytes(unsigned char *at, size_t count, int value)
{
    for (size_t i = 0; i < count; i++)
        *(volatile unsigned char *)(at + i) = (unsigned char)value;
}

static enum outcome found_at_free(void)
{
    knoll_free(&heap, block);
    return reported();
}

static enum outcome overflow(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    return found_at_free();
}

static enum outcome overflow_by_zero(size_t size, size_t count)
{
    write_bytes(block + size, count, 0);
    return found_at_free();
}

static enum outcome overflow_by_ones(size_t size, size_t count)
{
    write_bytes(block + size, count, 0xFF);
    return found_at_free();
}

static enum outcome overflow_seen_by_realloc(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    blocks[0] = knoll_realloc(&heap, block, 3 * size);
    return reported();
}

static enum outcome overflow_seen_by_check(size_t size, size_t count)
{
    write_bytes(block + size, count, 0x41);
    return knoll_check(&heap) != 0 ? STOPPED : MISSED;
}

/* One byte, this far after the end. */
static enum outcome overflow_that_skips(size_t size, size_t distance)
{
    write_bytes(block + size + distance, 1, 0x41);
    bool seen = knoll_check(&heap) != 0;
    knoll_free(&heap, block);
    knoll_free(&heap, after);
    return seen || reported() == STOPPED ? STOPPED : MISSED;
}

static enum outcome overflow_of_aligned(size_t alignment, size_t count)
{
    block = knoll_aligned_alloc(&heap, alignment, 100);
    return overflow(100, count);
}

static enum outcome overflow_after_shrinking(size_t size, size_t count)
{
    block = knoll_realloc(&heap, block, size - 5);
    return overflow(size - 5, count);
}

static enum outcome underflow(size_t size, size_t count)
{
    (void)size;
    write_bytes(block - count, count, 0x41);
    return found_at_free();
}

static enum outcome underflow_that_skips(size_t size, size_t distance)
{
    (void)size;
    write_bytes(block - distance, 1, 0x41);
    return found_at_free();
}

/* ---- Writes after a free ---- */

/* Takes all the memory there is, which has to pass by what was written. */
static enum outcome found_by_using_all(void)
{
    size_t count = 0;
    for (size_t size = largest_block(&heap); size != 0; size = largest_block(&heap))
        blocks[count++] = knoll_malloc(&heap, size);
    assert_true(count > 0);
    if (last_fault.count != 0)
        return STOPPED;
    free_all(&heap, blocks, count);
    return knoll_check(&heap) == 0 ? NEUTRALISED : MISSED; /* what is free belongs to nobody */
}

static enum outcome write_in_quarantine(size_t size, size_t place)
{
    knoll_free(&heap, block);
    write_bytes(block + (size - 1) * place / 2, 1, 0x41);
    knoll_drain(&heap);
    return last_fault.count != 0 ? STOPPED : found_by_using_all();
}

static enum outcome write_to_free(size_t size, size_t place)
{
    knoll_free(&heap, block);
    knoll_drain(&heap);
    write_bytes(block + (size - 1) * place / 2, 1, 0x41);
    return found_by_using_all();
}

static enum outcome write_after_merging(size_t size, size_t place)
{
    knoll_free(&heap, block);
    knoll_free(&heap, before);
    knoll_free(&heap, after);
    knoll_drain(&heap);
    write_bytes(block + (size - 1) * place / 2, 1, 0);
    return found_by_using_all();
}

static enum outcome write_seen_by_check(size_t size, size_t place)
{
    knoll_free(&heap, block);
    write_bytes(block + (size - 1) * place / 2, 1, 0x41);
    return knoll_check(&heap) != 0 ? STOPPED : found_by_using_all();
}

/* Who has the memory next has written to it when the old pointer is used. */
static enum outcome write_after_reuse(size_t size, size_t drain)
{
    knoll_free(&heap, block);
    if (drain != 0)
        knoll_drain(&heap);
    unsigned char *new = knoll_malloc(&heap, size);
    memset(new, 0x22, size);
    write_bytes(block, 1, 0x41);
    bool harmed = new[0] != 0x22;
    knoll_free(&heap, new);
    knoll_drain(&heap);
    return reported() == STOPPED ? STOPPED : harmed ? MISSED : NEUTRALISED;
}

/* ---- Old contents ---- */

static bool shows(const unsigned char *bytes, size_t size, int value)
{
    for (size_t i = 0; i < size; i++)
        if (*(const volatile unsigned char *)(bytes + i) == value)
            return true;
    return false;
}

static enum outcome read_after_free(size_t size, size_t drain)
{
    memset(block, 0x77, size);
    knoll_free(&heap, block);
    if (drain != 0)
        knoll_drain(&heap);
    return shows(block, size, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome old_contents(size_t size, size_t drain)
{
    memset(block, 0x77, size);
    knoll_free(&heap, block);
    if (drain != 0)
        knoll_drain(&heap);
    return shows(knoll_malloc(&heap, size), size, 0x77) ? MISSED : NEUTRALISED;
}

/* What was there before the heap was. */
static enum outcome contents_of_new_memory(size_t size, size_t amount)
{
    (void)amount;
    return shows(knoll_malloc(&heap, size), size, 0x5A) ? MISSED : NEUTRALISED;
}

static enum outcome old_contents_by_growing(size_t size, size_t new_size)
{
    void *first = knoll_malloc(&heap, new_size);
    memset(first, 0x77, new_size);
    knoll_free(&heap, first);
    knoll_drain(&heap);
    unsigned char *grown = knoll_realloc(&heap, knoll_malloc(&heap, size), new_size);
    return shows(grown + size, new_size - size, 0x77) ? MISSED : NEUTRALISED;
}

static enum outcome cleared(size_t size, size_t amount)
{
    static const unsigned char zeroes[KIB(20)];
    (void)amount;
    memset(block, 0x77, size);
    knoll_free(&heap, block);
    knoll_drain(&heap);
    return memcmp(knoll_calloc(&heap, 1, size), zeroes, size) == 0 ? NEUTRALISED : MISSED;
}

#include "misuse_table.h"

/* ---- Running them ---- */

static void prepare(const struct misuse *misuse)
{
    start = arena_at(KIB(64), KIB(4));
    make_heap(&other_heap, start + SPAN + KIB(64), KIB(64));
    make_heap(&heap, start, SPAN);
    knoll_set_fault_handler(&heap, record_fault);
    knoll_set_fault_handler(&other_heap, record_fault);
    before = knoll_malloc(&heap, misuse->size);
    block = knoll_malloc(&heap, misuse->size);
    after = knoll_malloc(&heap, misuse->size);
    last_fault.count = 0;
}

static bool is_stopped(enum outcome outcome)
{
    return outcome == STOPPED || outcome == NEUTRALISED;
}

/* Without magazines it is not the block freed last that is handed out next: so what relies on that is met less, never
 * more. */
static bool is_as_expected(const struct misuse *misuse, enum outcome found)
{
    enum outcome expected = (enum outcome)misuse->expected[KNOLL_HARDEN];
    return found == expected || (KNOLL_MAGAZINE == 0 && expected == MISSED && is_stopped(found));
}

static void every_misuse(void **state)
{
    static const char *const names[KINDS] = {
        "frees: ", "sizes: ", "overflows: ", "underflows: ", "writes after free: ", "old contents: "};
    size_t stopped[KINDS] = {0}, all[KINDS] = {0};
    size_t stopped_in_all = 0, wrong = 0;
    (void)state;
    for (size_t i = 0; i < MISUSES; i++) {
        const struct misuse *misuse = &misuses[i];
        enum outcome expected = (enum outcome)misuse->expected[KNOLL_HARDEN];
        enum outcome found = expected;
        if (expected != BREAKS) {
            prepare(misuse);
            found = misuse->act(misuse->size, misuse->amount);
        }
        if (!is_as_expected(misuse, found)) {
            check_say(misuse->name, misuse->size, " bytes, ");
            check_say("", misuse->amount, ": the outcome is ");
            check_say("", (size_t)found, ", expected ");
            check_say("", (size_t)expected, "\n");
            wrong++;
        }
        all[misuse->kind]++;
        stopped[misuse->kind] += is_stopped(found);
        stopped_in_all += is_stopped(found);
    }
    check_say("rung ", KNOLL_HARDEN, "\n");
    for (size_t kind = 0; kind < KINDS; kind++) {
        check_say(names[kind], stopped[kind], " of ");
        check_say("", all[kind], " stopped or neutralised\n");
    }
    check_say("misuse: ", stopped_in_all, " of ");
    check_say("", MISUSES, " stopped or neutralised\n");
    assert_int_equal(wrong, 0);
    if (KNOLL_HARDEN >= 1)
        assert_true(27 * stopped[FREES] >= 24 * all[FREES]);
    if (KNOLL_HARDEN >= 2) {
        assert_int_equal(stopped[OVERFLOWS], all[OVERFLOWS]);
        assert_true(100 * stopped_in_all >= 93 * MISUSES);
    }
}

/* What is stopped at one rung is stopped at all above it. */
static void no_rung_weakens(void **state)
{
    (void)state;
    assert_true(MISUSES >= 80);
    for (size_t i = 0; i < MISUSES; i++)
        for (size_t rung = 1; rung < 3; rung++)
            assert_true(misuses[i].expected[rung] >= misuses[i].expected[rung - 1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_misuse),
    cmocka_unit_test(no_rung_weakens),
};

CHECK_MAIN(tests)
