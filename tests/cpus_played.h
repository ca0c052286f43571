/* One heap under several processors, all played by one thread: what the tests of that share. The locks are counted:
 * none may be taken twice, nor held when a call returns. A fault ends the test, but where it is expected.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_CPUS_PLAYED_H
#define KNOLL_TESTS_CPUS_PLAYED_H

#include "check.h"
#include "knoll_cpu.h"
#include "support.h"

#define PROCESSORS 4
#define SMALLEST   (CLASSIC ? 64u : 32u)

static struct knoll_cpus cpus;
static struct knoll_cpu processor[PROCESSORS + 1]; /* from 1 */
static int lock_depth;
static size_t locks;

static inline void lock(void *context)
{
    assert_ptr_equal(context, &locks);
    assert_int_equal(lock_depth++, 0);
    locks++;
}

static inline void unlock(void *context)
{
    assert_ptr_equal(context, &locks);
    assert_int_equal(--lock_depth, 0);
}

/* A fault ends the test, but where it is expected. */
static bool faults_expected;

static inline void note_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    assert_true(faults_expected);
    assert_ptr_equal(heap, &cpus.heap);
    last_fault.count++;
    last_fault.fault = fault;
    last_fault.address = address;
}

static inline void make(size_t size)
{
    faults_expected = false;
    last_fault.count = 0;
    memset(&cpus, 0xA5, sizeof cpus);
    memset(processor, 0xA5, sizeof processor);
    assert_int_equal(knoll_cpus_init(&cpus, arena_at(MIB(1), 0), size, lock, unlock, &locks), KNOLL_OK);
    knoll_set_fault_handler(&cpus.heap, note_fault);
    for (unsigned i = 1; i <= PROCESSORS; i++)
        assert_true(knoll_cpu_start(&processor[i], &cpus, i));
}

static inline struct knoll_stats stats_now(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    return stats;
}

static inline void check_all(void)
{
    assert_int_equal(lock_depth, 0);
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    for (unsigned i = 1; i <= PROCESSORS; i++)
        assert_int_equal(knoll_cpu_check(&processor[i]), 0);
}

/* Drains every processor; then nothing may be left of what they had, when no block is held. */
static inline void expect_as_new(const struct knoll_stats *before)
{
    for (unsigned i = 1; i <= PROCESSORS; i++)
        knoll_cpu_drain(&processor[i]);
    for (unsigned i = 1; i <= PROCESSORS; i++) /* what they returned to each other, and to those who had gone */
        assert_true(knoll_cpu_start(&processor[i], &cpus, i));
    assert_null(knoll_cpu_malloc(&processor[1], SIZE_MAX / 2)); /* looks everywhere */
    for (unsigned i = 1; i <= PROCESSORS; i++)
        knoll_cpu_drain(&processor[i]);
    struct knoll_stats after = stats_now();
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(after.used_bytes, 0);
    assert_int_equal(knoll_used_bytes(&cpus.heap), 0);
    assert_int_equal(after.largest_block, before->largest_block);
}

#endif
