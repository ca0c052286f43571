/* What a fuzzer runs: its bytes are a program of calls on one heap, right ones and wrong ones.
 *
 * The first bytes lay out up to four regions; then each byte is a call and its variant, followed by the bytes of its
 * arguments, and 0 is read after the end. Nothing else decides what happens, so an input is the trace of what it finds.
 *
 * What is right is held against the oracle (tests/fuzz_oracle.c): each block when it is handed out, resized and given
 * back, used bytes after every call, the whole heap now and then, at the end, and when all is free. What is wrong must
 * be reported, once, and leave the heap's struct and tables as they were, to the byte: wrong addresses, from rung 1 on
 * wrong frees and sizes, at rung 2 writes outside of blocks and after their free.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "check.h"
#include "fuzz.h"
#include "knoll_live.h"
#include "support.h"

#define TABLES_MAX KIB(20)                  /* of a region */
#define MISUSES    (IS_BYTE_EXACT ? 8 : 64) /* in an input: at rung 2 each of them checks the heap */

static const uint8_t *input, *input_end;
static struct knoll_check_cursor cursor;

static size_t next(void)
{
    return input < input_end ? *input++ : 0;
}

static size_t any_held(void)
{
    return next() * now.held >> 8;
}

/* A byte tells the order of magnitude and the place in it, the call's variant what lies beside that. */
static size_t any_size(unsigned variant)
{
    static const unsigned char shift[] = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 11};
    static const size_t beside[] = {0, 0, 0, 0, 1, (size_t)-1, 7, (size_t)-8};
    size_t code = next();
    if (code == 0xFF)
        return largest_block(&heap) + variant % 2;
    if (code == 0xFE)
        return SIZE_MAX - KNOLL_PAGE * variant;
    return (code < 16 ? code : (16 + code % 16) << shift[code / 16]) + beside[variant];
}

/* ---- Right calls ---- */

static void release(size_t which, unsigned variant)
{
    struct held gone = count_free(which);
    if (variant < 4)
        knoll_free(&heap, gone.block);
    else if (variant < 6 && gone.alignment == 1)
        knoll_free_sized(&heap, gone.block, gone.size);
    else
        knoll_free_aligned_sized(&heap, gone.block, gone.alignment, gone.size);
}

static void call_free(unsigned variant)
{
    if (now.held > 0)
        release(any_held(), variant);
}

static void call_free_many(unsigned variant)
{
    size_t at = any_held();
    for (size_t count = 1 + next() % 64; count > 0 && now.held > 0; count--, at += variant)
        release(at % now.held, 0);
}

static void call_free_batch(unsigned variant)
{
    void *blocks[64];
    size_t count = 0, wanted = 1 + next() % 64;
    for (size_t at = any_held(); count < wanted && now.held > 0; count++, at += variant)
        blocks[count] = count_free(at % now.held).block;
    knoll_free_batch(&heap, blocks, count);
}

static void request(size_t size)
{
    if (now.held == HELD_MAX)
        return;
    size_t largest = now.allocations % 16 == 0 ? largest_block(&heap) : 0; /* it takes longer than the request */
    unsigned char *block = knoll_malloc(&heap, size);
    assert_true(block != NULL || size > largest || largest == 0);
    count_request(block, 1, size);
}

static void call_malloc(unsigned variant)
{
    request(any_size(variant));
}

static void call_malloc_many(unsigned variant)
{
    size_t size = any_size(variant);
    for (size_t count = 1 + next() % 64; count > 0; count--)
        request(size);
}

static void call_malloc_batch(unsigned variant)
{
    void *blocks[64];
    size_t size = any_size(variant), count = 1 + next() % 64;
    if (count > HELD_MAX - now.held)
        return;
    size_t given = knoll_malloc_batch(&heap, size, count, blocks);
    for (size_t i = 0; i < given; i++)
        count_request(blocks[i], 1, size);
    if (given < count)
        count_failure(1, size);
}

static void call_aligned_alloc(unsigned variant)
{
    size_t code = next(), size = any_size(variant);
    size_t alignment = (size_t)1 << (code < 0xE0 ? code % 14 : code % (8 * sizeof(size_t)));
    if (now.held == HELD_MAX)
        return;
    if (variant == 7) {
        assert_null(knoll_aligned_alloc(&heap, 3 * alignment, size));
        now.failures++;
    }
    count_request(knoll_aligned_alloc(&heap, alignment, size), alignment, size);
}

static void call_calloc(unsigned variant)
{
    size_t count = 1 + variant, each = any_size(0), size;
    if (now.held == HELD_MAX)
        return;
    if (__builtin_mul_overflow(count, each, &size))
        size = SIZE_MAX;
    unsigned char *block = knoll_calloc(&heap, count, each);
    if (block != NULL && size > 0)
        assert_true(block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
    count_request(block, 1, size);
}

static void call_realloc(unsigned variant)
{
    size_t which = any_held(), size = any_size(variant);
    if (now.held == 0) {
        count_request(knoll_realloc(&heap, NULL, size), 1, size);
        return;
    }
    expect_all_marks(&held[which]);
    count_resize(which, knoll_realloc(&heap, held[which].block, size), size);
}

static void call_to_ask(unsigned variant)
{
    const struct held *of = &held[any_held()];
    if (variant == 0)
        knoll_drain(&heap);
    knoll_set_tag(&heap, variant);
    knoll_free(&heap, NULL);
    assert_int_equal(knoll_available_bytes(&heap) + knoll_used_bytes(&heap), knoll_total_bytes(&heap));
    if (now.held == 0)
        return;
    assert_int_equal(knoll_usable_size(&heap, of->block), of->usable);
    assert_true(knoll_good_size(&heap, of->alignment, of->size) <= of->usable);
    assert_true(knoll_owns(&heap, of->block) == 1 && knoll_owns(&heap, &heap) == 0);
}

static void call_check_slice(unsigned variant)
{
    assert_int_equal(knoll_check_slice(&heap, &cursor, 1 + (next() << variant)), 0);
}

static void call_add_memory(unsigned variant)
{
    const struct span *other = &spans[variant % now.spans_added];
    assert_int_equal(knoll_add_memory(&heap, other->start + other->size - KNOLL_PAGE, KIB(16)), KNOLL_ERROR_OVERLAP);
    operations++;
    if (now.spans_added < now.spans_planned)
        take_span();
}

/* ---- Misuse ---- */

#define KIND(name) (1u << KNOLL_FAULT_##name)

static struct {
    struct knoll_heap heap;
    unsigned char tables[SPANS][TABLES_MAX];
} before;

static void note_fault(struct knoll_heap *faulty, enum knoll_fault fault, const void *address)
{
    last_fault = (struct fault_record){last_fault.count + 1, fault, address, faulty, 0};
}

static void remember_heap(void)
{
    operations++;
    before.heap = heap;
    for (size_t i = 0; i < now.spans_added; i++)
        memcpy(before.tables[i], spans[i].start, spans[i].tables);
}

/* Asserts that the fault of a call since remember_heap was reported, and that nothing has changed. */
static void expect_fault(const void *address, unsigned kinds)
{
    assert_int_equal(last_fault.count, 1);
    assert_true((kinds >> last_fault.fault & 1) != 0);
    assert_ptr_equal(last_fault.address, address);
    last_fault.count = 0;
    assert_memory_equal(&before.heap, &heap, sizeof heap);
    for (size_t i = 0; i < now.spans_added; i++)
        assert_memory_equal(before.tables[i], spans[i].start, spans[i].tables);
}

static void hand_in(unsigned char *address, unsigned variant, unsigned kinds)
{
    void *blocks[] = {address};
    remember_heap();
    switch (variant) {
    case 0:
        knoll_free_sized(&heap, address, any_size(0));
        break;
    case 1:
        knoll_free_aligned_sized(&heap, address, 16, any_size(0));
        break;
    case 2:
        assert_null(knoll_realloc(&heap, address, any_size(0)));
        break;
    case 3:
        knoll_free_batch(&heap, blocks, 1);
        break;
    case 4:
        assert_int_equal(knoll_usable_size(&heap, address), 0);
        break;
    default:
        knoll_free(&heap, address);
        break;
    }
    expect_fault(address, kinds);
}

/* Any address in the heap: what must be said of it follows from the shadow. */
static void hand_in_any(unsigned char *address, unsigned variant)
{
    unsigned char cell = cell_at(address);
    if (!FINDS_MISUSE || (cell == START && is_aligned(address, 16)))
        return;
    hand_in(address, variant,
            cell == FREE ? KIND(DOUBLE_FREE) | KIND(NOT_HANDED_OUT) | KIND(INTERIOR) : KIND(INTERIOR));
}

static void name_wrong_size(const struct held *of, unsigned variant)
{
    if (!FINDS_MISUSE || knoll_good_size(&heap, 1, of->usable + 1) == of->usable)
        return;
    remember_heap();
    if (IS_BYTE_EXACT && variant % 2 == 1)
        knoll_free_aligned_sized(&heap, of->block, of->alignment < 32 ? 32 : 1, of->size);
    else
        knoll_free_sized(&heap, of->block, of->usable + 1);
    expect_fault(of->block, KIND(SIZE));
}

/* One byte before or after a block, which is put right afterwards. */
static void write_outside(const struct held *of, unsigned variant)
{
    size_t place = next();
    bool is_before = place % 2 == 0;
    unsigned char *at = is_before ? of->block - 1 - place % (OVERHEAD - 8) : of->block + of->usable + place % 8;
    *at ^= 0x55;
    assert_true(knoll_check(&heap) != 0);
    hand_in(of->block, variant % 4, is_before ? KIND(UNDERFLOW) : KIND(OVERFLOW));
    *at ^= 0x55;
}

/* One byte of a block after its free: found when it leaves the quarantine, which takes an eighth of the heap at most;
 * else when it is handed out again, and if it is not, it is put right here. */
static void write_after_free(size_t which, unsigned variant)
{
    size_t used = knoll_used_bytes(&heap), total = knoll_total_bytes(&heap), wanted = any_size(variant);
    struct held gone = held[which];
    if (gone.usable == 0)
        return;
    release(which, 0);
    size_t whole = used - knoll_used_bytes(&heap);
    bool waits = whole <= total / 8 && whole <= KNOLL_QUARANTINE_BYTES, is_asked_for = variant % 2 == 1;
    unsigned char *at = gone.block + next() * gone.usable / 256;
    if (is_asked_for)
        knoll_drain(&heap);
    *at ^= 0x55;
    assert_true(knoll_check(&heap) != 0);
    if (is_asked_for)
        request(wanted);
    else
        knoll_drain(&heap);
    assert_true(is_asked_for ? last_fault.count <= 1 : last_fault.count == waits);
    assert_true(last_fault.count == 0 || last_fault.fault == KNOLL_FAULT_WRITE_AFTER_FREE);
    assert_true(last_fault.count == 0 || last_fault.address == at);
    if (last_fault.count == 0)
        *at ^= 0x55;
    last_fault.count = 0;
    assert_int_equal(knoll_check(&heap), 0);
}

static void call_misuse(unsigned variant)
{
    size_t what = next() % 8, place = next();
    const struct span *span = &spans[place % now.spans_added];
    size_t which = place * now.held >> 8;
    const struct held *of = &held[which];
    if (now.misuses++ == MISUSES || (now.held == 0 && what > 3))
        return;
    if (what == 0)
        hand_in(span->start + next() * span->tables / 256, variant, KIND(TABLES));
    else if (what == 1)
        hand_in((unsigned char *)held + place, variant, KIND(FOREIGN));
    else if (what == 2)
        hand_in_any(span->start + span->tables + (next() << 8 | place) % (span->size - span->tables), variant);
    else if (what == 3 && now.freed[place % FREED] != NULL)
        hand_in_any(now.freed[place % FREED], variant);
    else if (what == 4)
        hand_in_any(of->block + next() * of->usable / 256, variant);
    else if (what == 5)
        name_wrong_size(of, variant);
    else if (what == 6 && IS_BYTE_EXACT)
        write_outside(of, variant);
    else if (what == 7 && IS_BYTE_EXACT)
        write_after_free(which, variant);
}

/* ---- Programs ---- */

/* One of 32 calls for the lower five bits of a byte, the more frequent the more it is worth to have many of it. */
static void step(void)
{
    static void (*const call[32])(unsigned) = {
        call_malloc,      call_malloc,       call_malloc,     call_malloc,        call_malloc,      call_malloc,
        call_malloc,      call_misuse,       call_free,       call_free,          call_free,        call_free,
        call_free,        call_free,         call_free,       call_free,          call_realloc,     call_realloc,
        call_realloc,     call_realloc,      call_realloc,    call_malloc_many,   call_malloc_many, call_free_many,
        call_free_many,   call_malloc_batch, call_free_batch, call_aligned_alloc, call_calloc,      call_add_memory,
        call_check_slice, call_to_ask,
    };
    size_t code = next();
    call[code % 32]((unsigned)(code >> 5));
    size_t used = knoll_used_bytes(&heap);
    assert_true(IS_BYTE_EXACT ? used >= now.used : used == now.used);
    assert_int_equal(last_fault.count, 0);
    now.calls++;
    if (now.calls - now.verified >= 256 + knoll_total_bytes(&heap) / 512)
        verify();
}

/* From some page on spans of 2 to 33 pages or eight times as many, side by side or a page apart. */
static void plan_spans(void)
{
    size_t shape = next(), gap = shape >> 4, count = 1 + shape % SPANS;
    size_t first = (shape >> 2) % count;
    for (size_t i = 0; i < count; i++) {
        size_t code = next();
        size_t pages = (2 + code % 32) << (code >= 0xE0 ? 3 : 0);
        plan_span(i == first ? pages + KNOLL_MINIMUM_HEAP / KNOLL_PAGE : pages, gap);
        gap = code >> 5 & 1;
    }
    struct span swapped = spans[0];
    spans[0] = spans[first];
    spans[first] = swapped;
}

static void say_operations(void)
{
    check_say("operations: ", operations, "\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (operations == 0)
        (void)atexit(say_operations);
    oracle_open();
    operations++; /* the heap is made */
    input = bytes;
    input_end = bytes + size;
    memset(&cursor, 0, sizeof cursor);
    plan_spans();
    take_span();
    knoll_set_fault_handler(&heap, note_fault);
    while (input < input_end)
        step();
    verify();
    while (now.held > 0)
        release(now.held - 1, now.held % 8);
    knoll_drain(&heap);
    verify();
    expect_as_new();
    return 0;
}
