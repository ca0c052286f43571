/* The report of a fault: what is known of it, in one struct that a handler, a debugger or a dump of memory shows.
 *
 * It is a static struct and not the heap's, because it must be found by its name when a program has died, whatever heap
 * it was in, and because heaps that never fault should not be larger for it. It is filled from the tables and costs
 * nothing before a fault. Whether the tables themselves are sound takes a walk over all of them: that is left to
 * knoll_fault_examine, which a handler may call, so that a trap is not delayed by it.
 *
 * SPDX-License-Identifier: MIT */
#include "report.h"

#if KNOLL_FAULT_REPORT

struct knoll_fault_report knoll_last_fault;

void knoll_report_describe(const struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    struct block block;
    const unsigned char *start = knoll_block_around(heap, address, &block);
    size_t count = knoll_last_fault.count + 1;
    __builtin_memset(&knoll_last_fault, 0, sizeof knoll_last_fault);
    knoll_last_fault.count = count;
    knoll_last_fault.heap = heap;
    knoll_last_fault.fault = (uint32_t)fault;
    knoll_last_fault.address = (uintptr_t)address;
    knoll_last_fault.rung = KNOLL_HARDEN;
    if (start != NULL) {
        knoll_last_fault.block = (uintptr_t)start;
        knoll_last_fault.block_size = block.size;
    }
}

#endif

void knoll_report_deliver(const struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    if (heap->fault_handler == NULL) /* not covered: the same */
        __builtin_trap();            /* not covered: it ends the program, and what it has counted is lost */
    heap->fault_handler((struct knoll_heap *)(uintptr_t)heap, fault,
                        address); /* the handler owns what the caller owns */
}

__attribute__((noinline, cold)) void knoll_report(const struct knoll_heap *heap, enum knoll_fault fault,
                                                  const void *address)
{
    knoll_report_describe(heap, fault, address);
    knoll_report_deliver(heap, fault, address);
}

void knoll_fault_examine(const struct knoll_heap *heap, struct knoll_fault_report *report)
{
    report->invariant = (uint32_t)knoll_check(heap);
    bool by_callers = report->invariant == 0 || report->invariant > INVARIANTS_OF_TABLES;
    report->evidence = by_callers ? KNOLL_EVIDENCE_CALLER : KNOLL_EVIDENCE_HEAP;
}

/* ---- The line ---- */

struct line {
    char *text;
    size_t size; /* one character of it is for the null character */
    size_t length;
};

static void put(struct line *line, const char *text)
{
    for (; *text != '\0' && line->length + 1 < line->size; text++) /* as many rounds as the text has characters */
        line->text[line->length++] = *text;
}

static void put_number(struct line *line, uintptr_t number, unsigned base)
{
    char digits[24] = ""; /* as many as a number of 64 bits has, and more */
    size_t first = sizeof digits - 1;
    do /* at most a round for each digit */
        digits[--first] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    put(line, &digits[first]);
}

static void put_address(struct line *line, uintptr_t address)
{
    put(line, "0x");
    put_number(line, address, 16);
}

static void put_origin(struct line *line, const char *what, const struct knoll_origin *origin)
{
    if (origin->caller == 0)
        return;
    put(line, what);
    put_address(line, origin->caller);
    if (origin->tag != 0) {
        put(line, " for ");
        put_address(line, origin->tag);
    }
}

static void put_block(struct line *line, const struct knoll_fault_report *report)
{
    if (report->block == 0)
        return;
    put(line, ", block ");
    put_address(line, report->block);
    put(line, " of ");
    put_number(line, report->block_size, 10);
    put(line, " bytes");
    if (report->rung >= 2 && report->allocated.caller != 0) {
        put(line, ", asked for as ");
        put_number(line, report->requested, 10);
    }
}

size_t knoll_fault_line(const struct knoll_fault_report *report, char *text, size_t size)
{
    static const char verdicts[][40] = {"", "; points at the caller", "; points at the heap"};
    struct line line = {text, size, 0};
    if (size == 0)
        return 0;
    put(&line, knoll_fault_name((int)report->fault));
    put(&line, ": ");
    put_address(&line, report->address);
    put_block(&line, report);
    if (report->broken != 0) {
        put(&line, ", broken at ");
        put_address(&line, report->broken);
    }
    put_origin(&line, ", allocated by ", &report->allocated);
    put_origin(&line, ", freed by ", &report->freed);
    put_origin(&line, ", found by ", &report->found);
    if (report->invariant != 0) {
        put(&line, "; broken: ");
        put(&line, knoll_invariant((int)report->invariant));
    }
    put(&line, verdicts[report->evidence > KNOLL_EVIDENCE_HEAP ? KNOLL_EVIDENCE_NONE : report->evidence]);
    text[line.length] = '\0';
    return line.length;
}
