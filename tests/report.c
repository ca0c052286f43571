/* The fault report: what it says of each kind of fault, member by member and as a line. The lines are golden: addresses
 * in them are written as what they are relative to, for the heap may lie anywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#define LINE 640

static struct knoll_heap heap;
static unsigned char *start; /* of the region */
static char line[LINE], expected[LINE];
static size_t expected_length;

/* As docs/using.md says to those who read a dump by hand. */
_Static_assert(offsetof(struct knoll_fault_report, broken) == 5 * sizeof(void *) &&
                   offsetof(struct knoll_fault_report, allocated) == 6 * sizeof(void *) &&
                   offsetof(struct knoll_fault_report, freed) == 8 * sizeof(void *) &&
                   offsetof(struct knoll_fault_report, found) == 10 * sizeof(void *) &&
                   offsetof(struct knoll_fault_report, fault) == 13 * sizeof(void *) &&
                   offsetof(struct knoll_fault_report, rung) == 13 * sizeof(void *) + 12,
               "the layout that is documented");

/* ---- What a line must be ---- */

static void expect_text(const char *text)
{
    for (; *text != '\0'; text++)
        expected[expected_length++] = *text;
}

static void expect_address(const void *address)
{
    uintptr_t number = (uintptr_t)address;
    unsigned digits = 1;
    while (digits < 2 * sizeof number && number >> 4 * digits != 0)
        digits++;
    expect_text("0x");
    while (digits-- > 0)
        expected[expected_length++] = "0123456789abcdef"[number >> 4 * digits & 15];
}

/* Each @ in the text stands for the next of the addresses. */
static void expect_line(const char *text, const void *first, const void *second, const void *third)
{
    const void *addresses[] = {first, second, third};
    size_t next = 0;
    expected_length = 0;
    for (; *text != '\0'; text++) {
        if (*text == '@')
            expect_address(addresses[next++]);
        else
            expected[expected_length++] = *text;
    }
    expected[expected_length] = '\0';
    assert_int_equal(knoll_fault_line(&knoll_last_fault, line, LINE), expected_length);
    assert_memory_equal(line, expected, expected_length + 1);
}

/* ---- Faults ---- */

static void make(void)
{
    start = arena_at(KIB(64), KIB(4));
    make_heap(&heap, start, KIB(256));
    knoll_set_fault_handler(&heap, record_fault);
    last_fault.count = 0;
}

static void expect_report(enum knoll_fault fault, const void *address, const void *block, size_t block_size)
{
    const struct knoll_fault_report *report = &knoll_last_fault;
    assert_int_equal(last_fault.count, 1);
    assert_ptr_equal(report->heap, &heap);
    assert_int_equal(report->fault, fault);
    assert_int_equal(report->address, (uintptr_t)address);
    assert_int_equal(report->block, (uintptr_t)block);
    assert_int_equal(report->block_size, block_size);
    assert_int_equal(report->rung, KNOLL_HARDEN);
    assert_int_equal(report->invariant, 0);
    last_fault.count = 0;
}

static void double_free(void **state)
{
    (void)state;
    if (KNOLL_HARDEN != 1)
        return;
    make();
    unsigned char *block = knoll_malloc(&heap, 64);
    unsigned char *run = knoll_malloc(&heap, 8192);
    assert_non_null(knoll_malloc(&heap, 64));
    knoll_free(&heap, block);
    knoll_free(&heap, block);
    expect_report(KNOLL_FAULT_DOUBLE_FREE, block, block, 64);
    expect_line("block freed twice: @, block @ of 64 bytes", block, block, NULL);
    knoll_free(&heap, run);
    knoll_free_sized(&heap, run, 8192);
    expect_report(KNOLL_FAULT_DOUBLE_FREE, run, NULL, 0);
    expect_line("block freed twice: @", run, NULL, NULL);
}

static void inside_a_block(void **state)
{
    (void)state;
    if (KNOLL_HARDEN != 1)
        return;
    make();
    unsigned char *block = knoll_malloc(&heap, 64);
    unsigned char *run = knoll_malloc(&heap, 8192);
    knoll_free(&heap, block + 9);
    expect_report(KNOLL_FAULT_INTERIOR, block + 9, block, 64);
    expect_line("address inside a block: @, block @ of 64 bytes", block + 9, block, NULL);
    assert_null(knoll_realloc(&heap, run + 8191, 1));
    expect_report(KNOLL_FAULT_INTERIOR, run + 8191, run, 8192);
    expect_line("address inside a block: @, block @ of 8192 bytes", run + 8191, run, NULL);
}

static void of_no_block(void **state)
{
    (void)state;
    if (KNOLL_HARDEN > 1)
        return;
    make();
    knoll_free(&heap, line);
    expect_report(KNOLL_FAULT_FOREIGN, line, NULL, 0);
    expect_line("address outside of the heap: @", line, NULL, NULL);
    knoll_free(&heap, start + 16);
    expect_report(KNOLL_FAULT_TABLES, start + 16, NULL, 0);
    expect_line("address in the heap's tables: @", start + 16, NULL, NULL);
    knoll_free(&heap, start + KIB(128));
    expect_report(KNOLL_FAULT_NOT_HANDED_OUT, start + KIB(128), NULL, 0);
    expect_line("address of no block: @", start + KIB(128), NULL, NULL);
}

static void the_wrong_size(void **state)
{
    (void)state;
    if (KNOLL_HARDEN != 1)
        return;
    make();
    unsigned char *block = knoll_malloc(&heap, 64);
    knoll_free_sized(&heap, block, 65);
    expect_report(KNOLL_FAULT_SIZE, block, block, 64);
    expect_line("size or alignment is not the block's: @, block @ of 64 bytes", block, block, NULL);
}

/* ---- Rung 2: who did what, and the first byte that is broken ---- */

/* The report's own return addresses and block size are taken as they are, but must be there. */
static void expect_guarded(enum knoll_fault fault, const unsigned char *block, const void *broken, bool is_known)
{
    const struct knoll_fault_report *report = &knoll_last_fault;
    assert_int_equal(last_fault.count, 1);
    assert_int_equal(report->fault, fault);
    assert_int_equal(report->block, (uintptr_t)block);
    assert_int_equal(report->broken, (uintptr_t)broken);
    assert_true(report->block_size >= 61 + OVERHEAD);
    assert_true(report->found.caller != 0 && report->found.tag == 9);
    assert_int_equal(report->allocated.caller != 0, is_known);
    assert_int_equal(report->allocated.tag, is_known ? 7 : 0);
    assert_int_equal(report->requested, is_known ? 61 : 0);
    assert_int_equal(report->evidence, KNOLL_EVIDENCE_CALLER);
    last_fault.count = 0;
}

static unsigned char *make_tagged(void)
{
    make();
    knoll_set_tag(&heap, 7);
    unsigned char *block = knoll_malloc(&heap, 61);
    knoll_set_tag(&heap, 9);
    return block;
}

static void of_guards(void **state)
{
    (void)state;
    if (!IS_BYTE_EXACT)
        return;
    unsigned char *block = make_tagged();
    block[63] = 0;
    knoll_free(&heap, block);
    expect_guarded(KNOLL_FAULT_OVERFLOW, block, block + 63, true);
    assert_int_equal(knoll_last_fault.invariant, 16);
    block = make_tagged();
    block[-1] ^= 1;
    knoll_free(&heap, block);
    expect_guarded(KNOLL_FAULT_UNDERFLOW, block, block - FRONT, false);
    assert_int_equal(knoll_last_fault.invariant, 16);
    block = make_tagged();
    knoll_free_sized(&heap, block, 60);
    expect_guarded(KNOLL_FAULT_SIZE, block, NULL, true);
}

static void of_what_waits(void **state)
{
    (void)state;
    if (!IS_BYTE_EXACT)
        return;
    unsigned char *block = make_tagged();
    knoll_free(&heap, block);
    knoll_free(&heap, block);
    expect_guarded(KNOLL_FAULT_DOUBLE_FREE, block, NULL, true);
    assert_true(knoll_last_fault.freed.caller != 0 && knoll_last_fault.freed.tag == 9);
    block[17] = 0;
    knoll_drain(&heap);
    expect_guarded(KNOLL_FAULT_WRITE_AFTER_FREE, block, block + 17, true);
    assert_int_equal(knoll_last_fault.address, (uintptr_t)block + 17);
    assert_true(knoll_last_fault.freed.caller != 0 && knoll_last_fault.freed.tag == 9);
    assert_int_equal(knoll_last_fault.invariant, 17);
    assert_int_equal(knoll_check(&heap), 0);
}

/* ---- Examining ---- */

static void what_it_points_at(void **state)
{
    (void)state;
    if (KNOLL_HARDEN != 1)
        return;
    make();
    unsigned char *block = knoll_malloc(&heap, 64);
    knoll_free(&heap, block + 9);
    assert_int_equal(knoll_last_fault.evidence, KNOLL_EVIDENCE_NONE);
    knoll_fault_examine(&heap, &knoll_last_fault);
    assert_int_equal(knoll_last_fault.evidence, KNOLL_EVIDENCE_CALLER);
    expect_line("address inside a block: @, block @ of 64 bytes; points at the caller", block + 9, block, NULL);
    heap.large_blocks++;
    knoll_fault_examine(&heap, &knoll_last_fault);
    heap.large_blocks--;
    assert_int_equal(knoll_last_fault.invariant, 14);
    assert_int_equal(knoll_last_fault.evidence, KNOLL_EVIDENCE_HEAP);
    expect_line("address inside a block: @, block @ of 64 bytes; broken: large blocks are counted; points at the heap",
                block + 9, block, NULL);
}

/* The last invariant of the tables is of the heap as well. */
static void the_last_of_the_tables(void **state)
{
    (void)state;
    make();
    assert_non_null(knoll_malloc(&heap, 64));
    struct knoll_fault_report report = {.fault = KNOLL_FAULT_INTERIOR};
    heap.peak++;
    knoll_fault_examine(&heap, &report);
    heap.peak--;
    assert_int_equal(report.invariant, 15);
    assert_int_equal(report.evidence, KNOLL_EVIDENCE_HEAP);
}

/* A handler may look at it; every fault is counted, of whatever heap. */
static void examine_and_record(struct knoll_heap *faulty, enum knoll_fault fault, const void *address)
{
    assert_int_equal(knoll_last_fault.fault, fault);
    assert_int_equal(knoll_last_fault.address, (uintptr_t)address);
    assert_ptr_equal(knoll_last_fault.heap, faulty);
    knoll_fault_examine(faulty, &knoll_last_fault);
    last_fault.count++;
}

static void from_a_handler(void **state)
{
    (void)state;
    make();
    knoll_set_fault_handler(&heap, examine_and_record);
    size_t count = knoll_last_fault.count;
    for (size_t i = 0; i < 5; i++)
        knoll_free(&heap, line + i);
    assert_int_equal(last_fault.count, 5);
    assert_int_equal(knoll_last_fault.count, count + 5);
    assert_int_equal(knoll_last_fault.evidence, KNOLL_EVIDENCE_CALLER);
}

/* ---- The line ---- */

static struct knoll_fault_report everything(void)
{
    return (struct knoll_fault_report){
        .address = UINTPTR_MAX,
        .block = UINTPTR_MAX,
        .block_size = SIZE_MAX,
        .requested = SIZE_MAX,
        .broken = UINTPTR_MAX,
        .allocated = {UINTPTR_MAX, UINTPTR_MAX},
        .freed = {UINTPTR_MAX, UINTPTR_MAX},
        .found = {UINTPTR_MAX, UINTPTR_MAX},
        .evidence = KNOLL_EVIDENCE_CALLER,
        .rung = 2,
    };
}

/* Whatever is in it, it fits; and where it may not, it is cut off, and nothing after it is written. */
static void any_line_fits(void **state)
{
    (void)state;
    struct knoll_fault_report report = everything();
    for (report.fault = 0; report.fault <= KNOLL_FAULT_WRITE_AFTER_FREE + 1; report.fault++) {
        for (report.invariant = 0; report.invariant < 20; report.invariant++) {
            size_t length = knoll_fault_line(&report, line, LINE);
            assert_true(length < LINE - 1);
            assert_int_equal(line[length], '\0');
        }
    }
    size_t whole = knoll_fault_line(&report, line, LINE);
    for (size_t size = 0; size <= whole + 2; size++) {
        memset(expected, 1, LINE);
        size_t length = knoll_fault_line(&report, expected, size);
        assert_int_equal(length, size == 0 ? 0 : size <= whole ? size - 1 : whole);
        assert_memory_equal(expected, line, length);
        assert_int_equal(expected[length], size == 0 ? 1 : 0);
        assert_int_equal(expected[length + 1], 1);
    }
}

static void all_that_a_line_can_say(void **state)
{
    (void)state;
    knoll_last_fault = (struct knoll_fault_report){
        .fault = KNOLL_FAULT_OVERFLOW,
        .address = 0x1000,
        .block = 0x1000,
        .block_size = 112,
        .requested = 61,
        .broken = 0x103d,
        .allocated = {0x400a10, 7},
        .freed = {0x400b20, 0},
        .found = {0x400c30, 0xab},
        .invariant = 15,
        .evidence = KNOLL_EVIDENCE_HEAP,
        .rung = 2,
    };
    expect_line(
        "bytes written after a block's end: 0x1000, block 0x1000 of 112 bytes, asked for as 61, broken at 0x103d, "
        "allocated by 0x400a10 for 0x7, freed by 0x400b20, found by 0x400c30 for 0xab; broken: total, used and "
        "peak bytes agree with the regions and blocks; points at the heap",
        NULL, NULL, NULL);
    knoll_last_fault = (struct knoll_fault_report){
        .address = 0x1000, .block = 0x1000, .block_size = 112, .requested = 61, .evidence = 7, .rung = 2};
    expect_line("no fault: 0x1000, block 0x1000 of 112 bytes", NULL, NULL,
                NULL); /* by whom is not known, nor evidence 7 */
    knoll_last_fault = (struct knoll_fault_report){.fault = 0};
    expect_line("no fault: 0x0", NULL, NULL, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(double_free),
    cmocka_unit_test(inside_a_block),
    cmocka_unit_test(the_wrong_size),
    cmocka_unit_test(what_it_points_at),
    cmocka_unit_test(of_no_block),
    cmocka_unit_test(of_guards),
    cmocka_unit_test(of_what_waits),
    cmocka_unit_test(from_a_handler),
    cmocka_unit_test(any_line_fits),
    cmocka_unit_test(all_that_a_line_can_say),
    cmocka_unit_test(the_last_of_the_tables),
};

CHECK_MAIN(tests)
