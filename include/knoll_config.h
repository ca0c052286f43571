/* knoll's configuration: every knob, its default, its cost and its effect.
 *
 * Set a knob on the compiler's command line, alike for the library and for everything that includes knoll.h, because
 * the size of struct knoll_heap depends on them. CMake takes the profile as KNOLL_PROFILE, the rung as KNOLL_HARDEN,
 * and others as KNOLL_DEFINITIONS; its target and pkg-config's file carry these along, but none that is in
 * CMAKE_C_FLAGS.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CONFIG_H
#define KNOLL_CONFIG_H

/* The two profiles. */
#define KNOLL_CLASSIC 1
#define KNOLL_COMPACT 2

/* KNOLL_PROFILE: KNOLL_CLASSIC (default) or KNOLL_COMPACT.
 * classic: seven classes of 64 to 4096 bytes over a buddy allocator of 4096-byte pages. The least code and tables
 *          (0.6 % of a region); requests round up to powers of two.
 * compact: 22 classes of 32 to 1024 bytes over runs of 512-byte units of any length, good fit. The least memory for
 *          a given load; tables take 0.8 % of a region. */
#ifndef KNOLL_PROFILE
#define KNOLL_PROFILE KNOLL_CLASSIC
#endif

/* KNOLL_REGION_BITS: a heap has at most 2^KNOLL_REGION_BITS regions. Default 3, so 8 regions.
 * Each doubling adds 9 bytes a region to struct knoll_heap (classic: 13) and one step to the search for a block's
 * region, and halves the largest region: a page less than 256 GiB in classic and than 8 GiB in compact by default. */
#ifndef KNOLL_REGION_BITS
#define KNOLL_REGION_BITS 3
#endif

#if KNOLL_REGION_BITS < 0 || KNOLL_REGION_BITS > 6
#error "KNOLL_REGION_BITS must be from 0 to 6"
#endif

/* KNOLL_MAGAZINE: how many freed blocks of each class are remembered, to be handed out again before others. Default 29
 * in classic, 9 in compact, which has three times the classes. 0 saves code and most of struct knoll_heap, but loads
 * that free and allocate in random order then take twice as long. Each one costs two pointers a class in struct
 * knoll_heap (compact: and a byte), and some five instructions in one of the calls after a slab has gone back. What is
 * remembered is free all the same, so it costs no other memory. */
#ifndef KNOLL_MAGAZINE
#if KNOLL_PROFILE == KNOLL_CLASSIC
#define KNOLL_MAGAZINE 29
#else
#define KNOLL_MAGAZINE 9
#endif
#endif

#if KNOLL_MAGAZINE < 0 || KNOLL_MAGAZINE > 64
#error "KNOLL_MAGAZINE must be from 0 to 64"
#endif

/* KNOLL_MEMORY_IS_ZERO: 1 if all memory that heaps are given reads as zero. Default 0.
 * Then knoll_init and knoll_add_memory need not clear the tables, so that they cost O(1) and touch a page or two. At
 * rung 2 of KNOLL_HARDEN free memory is then filled with zeroes: nothing needs to be written to new memory, what backs
 * a free run may be taken away, and a zero that is written after a free is not found, but changes nothing either. */
#ifndef KNOLL_MEMORY_IS_ZERO
#define KNOLL_MEMORY_IS_ZERO 0
#endif

#if KNOLL_MEMORY_IS_ZERO != 0 && KNOLL_MEMORY_IS_ZERO != 1
#error "KNOLL_MEMORY_IS_ZERO must be 0 or 1"
#endif

/* KNOLL_TABLE_SLACK: how many bytes at least are left unused between a region's tables and its first unit. Default 0,
 * at most 1 MiB. With two pages less one byte there is a whole page in between, wherever the tables end, that can be
 * made inaccessible. */
#ifndef KNOLL_TABLE_SLACK
#define KNOLL_TABLE_SLACK 0
#endif

#if KNOLL_TABLE_SLACK < 0 || KNOLL_TABLE_SLACK > 1048576
#error "KNOLL_TABLE_SLACK must be from 0 to 1048576"
#endif

/* KNOLL_CPUS: for how many processors a struct knoll_cpus (knoll_cpu.h) is. Default 64. Each costs 64 bytes in it. */
#ifndef KNOLL_CPUS
#define KNOLL_CPUS 64
#endif

#if KNOLL_CPUS < 1 || KNOLL_CPUS > 32767
#error "KNOLL_CPUS must be from 1 to 32767"
#endif

/* KNOLL_CPU_BYTES: what a processor may have free of each size class, besides 64 blocks; but always as much as 64
 * blocks. Default 64 KiB; up to 1 GiB. What is more goes back to the heap under its lock. */
#ifndef KNOLL_CPU_BYTES
#define KNOLL_CPU_BYTES 65536
#endif

#if KNOLL_CPU_BYTES < 0 || KNOLL_CPU_BYTES > 1073741824
#error "KNOLL_CPU_BYTES must be from 0 to 1073741824"
#endif

/* KNOLL_CPU_ENTRY: what the table for processors takes for each page (compact: two KiB), 64 or 32 bytes. Default 64, a
 * cache line: with 32, processors that own slabs side by side write to the same lines, and two of them can be a third
 * as fast as one. */
#ifndef KNOLL_CPU_ENTRY
#define KNOLL_CPU_ENTRY 64
#endif

#if KNOLL_CPU_ENTRY != 64 && KNOLL_CPU_ENTRY != 32
#error "KNOLL_CPU_ENTRY must be 64 or 32"
#endif

/* KNOLL_CPU_SPAN_SHIFT: each processor cuts runs out of spans of its own, of 2^KNOLL_CPU_SPAN_SHIFT bytes, so that
 * requests for up to a quarter of a span mostly need no lock. Default 19, 512 KiB; from 15 to 22, or 0: then all runs
 * take the lock. A processor may have free one span, as much again as callers hold of its spans, and one that was taken
 * since its last free. A span is taken only while as much as two would still be free: so for heaps of less than some 2
 * MiB 15, or 0, is better. With spans one region less can be added. */
#ifndef KNOLL_CPU_SPAN_SHIFT
#define KNOLL_CPU_SPAN_SHIFT (KNOLL_REGION_BITS == 0 ? 0 : 19)
#endif

#if KNOLL_CPU_SPAN_SHIFT != 0 && (KNOLL_CPU_SPAN_SHIFT < 15 || KNOLL_CPU_SPAN_SHIFT > 22)
#error "KNOLL_CPU_SPAN_SHIFT must be 0 or from 15 to 22"
#endif

#if KNOLL_CPU_SPAN_SHIFT != 0 && KNOLL_REGION_BITS == 0
#error "spans need a second region: KNOLL_REGION_BITS must be at least 1, or KNOLL_CPU_SPAN_SHIFT 0"
#endif

/* KNOLL_CPU_BATCH: how many slabs, or returned runs, are moved in one holding of the lock at most; and twice as many
 * new slabs are made. More takes the lock less often, and holds it longer. From 1 to 1024; default 8. */
#ifndef KNOLL_CPU_BATCH
#define KNOLL_CPU_BATCH 8
#endif

#if KNOLL_CPU_BATCH < 1 || KNOLL_CPU_BATCH > 1024
#error "KNOLL_CPU_BATCH must be from 1 to 1024"
#endif

/* KNOLL_HARDEN: how much misuse is stopped, from 0 to 2. Default 1. docs/hardening.md says what each rung stops, and
 * what it costs.
 * 0: callers are trusted with the blocks that they free and resize: it is not verified that a slab's block is held, nor
 *    that a size which they name is the block's. An address outside of the heap, and one where no run that is a block
 *    starts, are still faults, because that costs nothing. Any other misuse can break the heap.
 * 1: every block that is freed or resized is looked up in the tables before anything is changed: a double free, an
 *    address inside a block or never handed out, another heap's, a wrong size are faults at the faulty call.
 * 2: byte-exact: a front part and a canary round each block, freed memory is filled and verified, and waits in a
 *    quarantine before it is used again. Stops what is written outside of a block or after its free as well. */
#ifndef KNOLL_HARDEN
#define KNOLL_HARDEN 1
#endif

#if KNOLL_HARDEN < 0 || KNOLL_HARDEN > 2
#error "KNOLL_HARDEN must be from 0 to 2"
#endif

/* KNOLL_QUARANTINE_BYTES, KNOLL_QUARANTINE_BLOCKS: at rung 2, how much freed memory waits before it may be used again.
 * Defaults 65536 bytes, of which a heap uses no more than an eighth of its own, and 64 blocks. Each block costs 24
 * bytes in struct knoll_heap on a 64-bit target, 12 on others. The more there are, the later may a block be freed twice
 * or written to after its free and be found. Before a request is refused the quarantine is emptied. With 0 bytes freed
 * blocks can be used again at once. */
#ifndef KNOLL_QUARANTINE_BYTES
#define KNOLL_QUARANTINE_BYTES 65536
#endif
#ifndef KNOLL_QUARANTINE_BLOCKS
#define KNOLL_QUARANTINE_BLOCKS 64
#endif

#if KNOLL_QUARANTINE_BYTES < 0
#error "KNOLL_QUARANTINE_BYTES must be at least 0"
#endif

#if KNOLL_QUARANTINE_BLOCKS < 1 || KNOLL_QUARANTINE_BLOCKS > 65536
#error "KNOLL_QUARANTINE_BLOCKS must be from 1 to 65536"
#endif

/* KNOLL_BLOCK_AGE: 1 if at rung 2 blocks are to know their age (struct knoll_item) on targets of 32 bits too. Default
 * 0. There each block takes 16 bytes more then; on 64 bits there is room for it, so they always know it. */
#ifndef KNOLL_BLOCK_AGE
#define KNOLL_BLOCK_AGE 0
#endif

#if KNOLL_BLOCK_AGE != 0 && KNOLL_BLOCK_AGE != 1
#error "KNOLL_BLOCK_AGE must be 0 or 1"
#endif

/* KNOLL_FAULT_REPORT: 1 to describe the last fault in knoll_last_fault, 0 not to. Default 1.
 * It is the only writable datum of the library, 120 bytes on a 64-bit target, and costs a few hundred bytes of
 * code; nothing is done but at a fault. */
#ifndef KNOLL_FAULT_REPORT
#define KNOLL_FAULT_REPORT 1
#endif

#if KNOLL_FAULT_REPORT != 0 && KNOLL_FAULT_REPORT != 1
#error "KNOLL_FAULT_REPORT must be 0 or 1"
#endif

#if KNOLL_HARDEN >= 2 && !KNOLL_FAULT_REPORT
#error "KNOLL_FAULT_REPORT must be 1 at rung 2"
#endif

/* KNOLL_FAILURE_HOOK: the name of a function `int hook(struct knoll_heap *heap)` of yours. Default: none, at no cost.
 * It is asked before each allocation, before a batch and then for each block that the batch could not have with others,
 * and before each request for a run that serves one: if it returns 1 that fails, as if there were no memory. So tests
 * can let the n-th request fail, for each n in turn. At rung 2 what failed is tried again as long as that empties the
 * quarantine. It must not call functions that change the heap. Costs a call of it each time. */

/* KNOLL_RANDOM_HOOK: the name of a function `uint32_t hook(void)` of yours that returns a random number. Default: none,
 * at no cost. Then which free block of a slab is handed out next is random, and so is which of the oldest 32 blocks
 * leaves the quarantine and, in compact, where in a free run another one is cut out, up to 15 times its alignment from
 * its start. With KNOLL_MAGAZINE above 0 blocks freed last come first all the same; and batches, and processors
 * (knoll_cpu.h), take a slab's blocks in order. It must not call functions that change the heap. Costs a call of it
 * each time, and memory: runs lie less densely. */

/* KNOLL_CALLER_HOOK: the name of a function `uintptr_t hook(void)` of yours that returns an address of the program's,
 * such as the return address of your own kmalloc. Default: none, at no cost. At rung 2 it is noted as who allocated,
 * freed or came upon a block; else what the function of knoll.h returns to is, which is in kmalloc. Costs a call of it
 * each time. */

/* KNOLL_ANNOTATE: which tool is told what memory of a heap may be used. Default 0: none, at no cost.
 * 1: Valgrind's Memcheck (valgrind/memcheck.h), 2: AddressSanitizer (sanitizer/asan_interface.h). Then a use of a block
 * after it was freed, or beyond the size that it was asked for with, is reported as for malloc. Overflows are seen
 * where the size rounds up, so that there is slack before the next block; freed memory until it is handed out again.
 * When knoll_usable_size is asked, all of the block becomes usable. Memory that a heap had stays annotated when the
 * heap is given up; knoll_init and knoll_add_memory take it over as it is. Not at rung 2, which looks at freed memory
 * itself, nor with knoll_cpu.h. Costs a request to the tool for each call. */
#ifndef KNOLL_ANNOTATE
#define KNOLL_ANNOTATE 0
#endif

#if KNOLL_ANNOTATE != 0 && KNOLL_HARDEN >= 2
#error "KNOLL_ANNOTATE is for rungs 0 and 1: at rung 2 the heap itself reads and writes memory that is free"
#endif

#if KNOLL_ANNOTATE < 0 || KNOLL_ANNOTATE > 2
#error "KNOLL_ANNOTATE must be from 0 to 2"
#endif

/* KNOLL_LEAN_SHIFT, of knoll_lean.h alone: its smallest block is 2^KNOLL_LEAN_SHIFT bytes, from 4 to 6. Default 5, so
 * 32 bytes. Its tables take 1 / (2 << KNOLL_LEAN_SHIFT) of a region, 1.6 %, or one unit where that is more. */
#ifndef KNOLL_LEAN_SHIFT
#define KNOLL_LEAN_SHIFT 5
#endif

#if KNOLL_LEAN_SHIFT < 4 || KNOLL_LEAN_SHIFT > 6
#error "KNOLL_LEAN_SHIFT must be from 4 to 6"
#endif

/* KNOLL_LEAN_LISTS, of knoll_lean.h alone: how many lengths of blocks it has, each twice the one before, from 10 to 32,
 * and such that the longest is less than SIZE_MAX. A region is shorter than the longest twice. Default 24: blocks of up
 * to 256 MiB. Each takes two pointers in struct knoll_lean_heap, and may add a step to a call. */
#ifndef KNOLL_LEAN_LISTS
#define KNOLL_LEAN_LISTS 24
#endif

#if KNOLL_LEAN_LISTS < 10 || KNOLL_LEAN_LISTS > 32
#error "KNOLL_LEAN_LISTS must be from 10 to 32"
#endif

/* What follows is derived: not knobs. */
#define KNOLL_REGIONS_MAX (1 << KNOLL_REGION_BITS)

#if KNOLL_PROFILE == KNOLL_CLASSIC
#define KNOLL_UNIT_SHIFT   12                     /* units of 4096 bytes */
#define KNOLL_SLAB_MAXIMUM 4096u                  /* the largest block that comes from a slab */
#define KNOLL_CLASS_COUNT  7                      /* 64 to 4096 bytes */
#define KNOLL_LIST_COUNT   (2 * KNOLL_RUN_ORDERS) /* two lists of free runs an order */
#elif KNOLL_PROFILE == KNOLL_COMPACT
#define KNOLL_UNIT_SHIFT   9     /* units of 512 bytes */
#define KNOLL_SLAB_MAXIMUM 1024u /* the largest block that comes from a slab */
#define KNOLL_CLASS_COUNT  22    /* 32 to 1024 bytes, such as divide a slab of 2048 or 4096 bytes well */
#define KNOLL_LIST_GROUPS  (KNOLL_RUN_ORDERS / 2 - 1) /* of 32: one list a length to 31 units, then 16 a doubling */
#define KNOLL_FEW_UNITS    128                        /* shorter regions have no room for lists in their tables */
#define KNOLL_FEW_LISTS    48                         /* which are as many as they need */
#else
#error "KNOLL_PROFILE must be KNOLL_CLASSIC or KNOLL_COMPACT"
#endif

/* Free runs are counted by the power of two at or below their length in units. */
#define KNOLL_RUN_ORDERS ((KNOLL_PROFILE == KNOLL_CLASSIC ? 29 : 27) - KNOLL_REGION_BITS)

/* What the structs of each header depend on, each knob in bits of its own: who makes a heap says it, and is refused
 * where the library has it otherwise. */
#define KNOLL_KNOBS                                                                                                    \
    ((uint32_t)KNOLL_PROFILE | (uint32_t)KNOLL_REGION_BITS << 2 | (uint32_t)KNOLL_MAGAZINE << 5 |                      \
     (KNOLL_HARDEN < 2 ? 0 : (uint32_t)KNOLL_QUARANTINE_BLOCKS << 12))
#define KNOLL_CPU_KNOBS                                                                                                \
    (KNOLL_KNOBS | (uint64_t)KNOLL_CPUS << 32 | (uint64_t)KNOLL_CPU_SPAN_SHIFT << 48 | (uint64_t)KNOLL_CPU_ENTRY << 56)
#define KNOLL_LEAN_KNOBS ((uint32_t)KNOLL_LEAN_LISTS | (uint32_t)KNOLL_LEAN_SHIFT << 8)

#endif
