/* What the tests of spans under several processors share: three processors, and what others do meanwhile.
 *
 * All is played by one: whenever a processor lets go of the lock others may run, so there a hook is called.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_SPANS_OTHERS_H
#define KNOLL_TESTS_LAYERS_SPANS_OTHERS_H

#include "layers_cpus.h"

#define LONGEST  (SPAN_BYTES / 4)
#define SHORTEST (KNOLL_SLAB_MAXIMUM + 1)
#define MOST     2048u

static struct knoll_cpu third;
static void *blocks[MOST];

static void (*hook)(void); /* what others do */
static bool hook_runs;

static inline void unlock_and_play(void *context)
{
    (void)context;
    if (hook == NULL || hook_runs)
        return;
    hook_runs = true;
    hook();
    hook_runs = false;
}

static inline void make_three(size_t size)
{
    hook = NULL;
    hook_runs = false;
    make(size);
    assert_int_equal(knoll_cpu_start(&third, &cpus, 3), 1);
    cpus.lock = count_holding;
    cpus.unlock = unlock_and_play;
}

static inline void expect_sound(void)
{
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpu_check(&first), 0);
    assert_int_equal(knoll_cpu_check(&second), 0);
    assert_int_equal(knoll_cpu_check(&third), 0);
    assert_int_equal(last_fault.count, 0);
}

/* Fills a span of the first processor with short runs, and leaves every other one held. */
static inline size_t halve_a_span(void)
{
    size_t count = 0;
    do
        assert_non_null(blocks[count] = knoll_cpu_malloc(&first, SHORTEST));
    while (first.span_count == 1 && ++count < MOST);
    knoll_cpu_free(&first, blocks[count]);
    knoll_cpu_collect(&first);
    assert_int_equal(first.span_count, 1);
    for (size_t i = 0; i < count; i += 2)
        knoll_cpu_free(&first, blocks[i]);
    return count;
}

/* Leaves no memory but what the first processor has. */
static inline void take_the_rest(void)
{
    for (size_t size = SPAN_BYTES; size >= SHORTEST; size /= 2)
        while (knoll_cpu_malloc(&third, size) != NULL)
            continue;
}

/* Of no class more blocks are used than there are, whatever is half done. */
static inline void expect_no_more_used_than_there_are(void)
{
    struct knoll_stats stats;
    hook_runs = true;
    knoll_cpus_get_stats(&cpus, &stats);
    for (unsigned i = 0; i < stats.class_count; i++)
        assert_true(stats.size_class[i].used_blocks <= stats.size_class[i].total_blocks);
    assert_true(stats.used_bytes + stats.available_bytes <= stats.total_bytes);
}

#endif
