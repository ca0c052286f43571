/* What the tests of the layer of many processors share: a heap, and two of its processors.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_CPUS_H
#define KNOLL_TESTS_LAYERS_CPUS_H

#include "blocks.h"
#include "check.h"
#include "cpu_spans.h"
#include "support.h"

static struct knoll_cpus cpus;
static struct knoll_cpu first, second;

static inline void make(size_t size)
{
    last_fault.count = 0;
    assert_int_equal(knoll_cpus_init(&cpus, arena_at(MIB(1), 0), size, NULL, NULL, NULL), KNOLL_OK);
    assert_int_equal(cpus.turn, 1);
    knoll_set_fault_handler(&cpus.heap, record_fault);
    assert_int_equal(knoll_cpu_start(&first, &cpus, 1), 1);
    assert_int_equal(knoll_cpu_start(&second, &cpus, 2), 1);
    assert_int_equal(knoll_cpu_start(&second, &cpus, 2), 0);
}

static inline struct cpu_place find(const void *block)
{
    struct cpu_place place;
    memset(&place, 0, sizeof place);
    assert_true(knoll_cpu_find(&cpus, block, &place));
    return place;
}

/* ---- A heap whose lock counts how often it is held ---- */

static size_t holdings;

static inline void count_holding(void *context)
{
    (void)context;
    holdings++;
}

static inline void unlock(void *context)
{
    (void)context;
}

static inline void make_counting(void)
{
    make(MIB(6));
    cpus.lock = count_holding;
    cpus.unlock = unlock;
}

#endif
