/* What the tests of spans share: runs of the first of two processors, and what must hold of all.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LAYERS_SPANS_H
#define KNOLL_TESTS_LAYERS_SPANS_H

#include "layers_cpus.h"

#define LONGEST (SPAN_BYTES / 4)
#define MOST    4096u

static void *blocks[MOST];
static size_t sizes[MOST];

static inline void expect_sound(void)
{
    assert_int_equal(knoll_cpus_check(&cpus), 0);
    assert_int_equal(knoll_cpu_check(&first), 0);
    assert_int_equal(knoll_cpu_check(&second), 0);
    assert_int_equal(last_fault.count, 0);
}

static inline uint32_t owner_of(const void *run)
{
    return entry_owner(find(run).entry);
}

static inline uint32_t number_of(const void *run)
{
    struct cpu_place place = find(run);
    return group_unit(place.group) + place.index;
}

static inline size_t available(void)
{
    struct knoll_stats stats;
    knoll_cpus_get_stats(&cpus, &stats);
    assert_int_equal(stats.used_bytes + stats.available_bytes, stats.total_bytes);
    return stats.available_bytes;
}

/* Fills some spans with runs of the first, of many lengths. */
static inline size_t fill_spans(size_t most)
{
    size_t count = 0;
    size_t held = 0;
    while (count < MOST && held < most) {
        sizes[count] = KNOLL_SLAB_MAXIMUM + 1 + count * 7919 % (LONGEST - KNOLL_SLAB_MAXIMUM);
        blocks[count] = knoll_cpu_malloc(&first, sizes[count]);
        write_pattern(blocks[count], sizes[count], (unsigned)count);
        held += sizes[count++];
    }
    return count;
}

#endif
