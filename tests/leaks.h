/* What the tests of the search for leaks share: blocks that refer to each other, and a model that knows which to which.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_LEAKS_H
#define KNOLL_TESTS_LEAKS_H

#include "check.h"
#include "knoll_live.h"
#include "support.h"

#define NODES 2000
#define LINKS 4

static struct knoll_heap heap;
static unsigned char *ground; /* its first region */
static struct knoll_leaks leaks;
static struct node {
    uintptr_t *block;
    size_t words;
    unsigned links[LINKS]; /* to nodes, less one; 0 for none */
    bool is_reached;
} nodes[NODES];
static unsigned order[NODES];
static uintptr_t roots[2][8];
static uint32_t marks[KIB(64)];

static inline void make(void)
{
    ground = arena_at(MIB(1), 0); /* so that nothing short is free at the regions' ends */
    make_heap(&heap, ground, MIB(2));
    if (KNOLL_REGIONS_MAX > 1)
        add_memory(&heap, ground + MIB(3), MIB(1));
    memset(nodes, 0, sizeof nodes);
    memset(roots, 0, sizeof roots);
    assert_true(knoll_leaks_bytes(&heap) <= sizeof marks);
    assert_int_equal(knoll_leaks_bytes(&heap), MIB(KNOLL_REGIONS_MAX > 1 ? 3 : 2) / (CLASSIC ? 256 : 128));
}

static inline void add_node(unsigned i, size_t size)
{
    nodes[i].block = knoll_calloc(&heap, 1, size);
    assert_non_null(nodes[i].block);
    nodes[i].words = size / sizeof(uintptr_t);
}

/* A reference to the node, by its start or another address in it. */
static inline uintptr_t reference(unsigned i, size_t within)
{
    return (uintptr_t)nodes[i].block + within % (nodes[i].words * sizeof(uintptr_t));
}

static inline void link_nodes(unsigned from, unsigned link, unsigned to, size_t within)
{
    nodes[from].links[link] = to + 1;
    size_t part = nodes[from].words / LINKS; /* each link has a place in a part of its own */
    nodes[from].block[link * part + within % part] = reference(to, within);
}

static inline size_t reach_from(unsigned first)
{
    size_t found = 0, looked = 0;
    if (nodes[first].is_reached)
        return 0;
    nodes[first].is_reached = true;
    order[found++] = first;
    for (; looked < found; looked++) {
        for (unsigned link = 0; link < LINKS; link++) {
            unsigned to = nodes[order[looked]].links[link];
            if (to != 0 && !nodes[to - 1].is_reached) {
                nodes[to - 1].is_reached = true;
                order[found++] = to - 1;
            }
        }
    }
    return found;
}

struct found {
    size_t count, stop_at;
    uint64_t fingerprint;
};

static inline int see_leak(void *context, const struct knoll_item *item)
{
    struct found *found = context;
    assert_int_equal(item->kind, KNOLL_ITEM_BLOCK);
    assert_int_equal(item->size, knoll_usable_size(&heap, item->start));
    found->fingerprint += block_fingerprint(item->start, item->size);
    return ++found->count == found->stop_at;
}

static struct knoll_range ranges[] = {
    {roots[0], sizeof roots[0]}, {(char *)roots[1] + 1, sizeof roots[1] - 1}, {roots, 0}};

static inline struct found search(size_t budget)
{
    struct found found = {0, 0, 0};
    memset(marks, 0xEE, sizeof marks);
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    int state;
    while ((state = knoll_leaks_slice(&leaks, budget)) == KNOLL_LEAKS_GOING_ON)
        ;
    assert_int_equal(state, KNOLL_LEAKS_DONE);
    assert_int_equal(knoll_leaks_slice(&leaks, budget), KNOLL_LEAKS_DONE);
    return found;
}

static inline void expect_what_is_not_reached(void)
{
    static const size_t budgets[] = {1, 50, SIZE_MAX};
    struct found expected = {0, 0, 0};
    for (unsigned i = 0; i < NODES; i++) {
        if (nodes[i].block == NULL || nodes[i].is_reached)
            continue;
        expected.count++;
        expected.fingerprint += block_fingerprint(nodes[i].block, knoll_usable_size(&heap, nodes[i].block));
    }
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        struct found found = search(budgets[i]);
        assert_int_equal(found.count, expected.count);
        assert_true(found.fingerprint == expected.fingerprint);
    }
}

#endif
