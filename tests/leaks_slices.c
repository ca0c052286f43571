/* The search for leaks, slice by slice: how much one does, and what becomes of a search when the heap changes.
 *
 * SPDX-License-Identifier: MIT */
#include "leaks.h"

static size_t slices_of(size_t budget, size_t range_count)
{
    struct found found = {0, 0, 0};
    size_t slices = 0, before = 0;
    knoll_leaks_begin(&leaks, &heap, marks, ranges, range_count, see_leak, &found);
    for (int state = KNOLL_LEAKS_GOING_ON; state == KNOLL_LEAKS_GOING_ON; slices++, before = found.count) {
        state = knoll_leaks_slice(&leaks, budget);
        assert_true(found.count - before <= 1); /* each leak here is a run of its own */
    }
    return slices;
}

static void a_slice_takes_its_steps_and_no_more(void **state)
{
    (void)state;
    make();
    for (unsigned i = 0; i < 10; i++)
        add_node(i, 20000);
    size_t slices = slices_of(1, 2);
    assert_true(slices > 10 + 2 * 7 + knoll_leaks_bytes(&heap) / (CLASSIC ? 16 : 4) / 2); /* visits, words, units */
    assert_int_equal(slices_of(0, 2), slices);
    assert_int_equal(slices_of(1, 3), slices + 1); /* a step for each root, be it empty */
    struct found found = {0, 2, 0};                /* and none after the visitor has had enough */
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 2);
    /* Each that is reached takes a step, and one for each word. */
    size_t words = 0;
    roots[0][0] = reference(0, 0);
    for (unsigned i = 0; i < 10; i++) {
        words += knoll_usable_size(&heap, nodes[i].block) / sizeof(uintptr_t);
        if (i < 9)
            nodes[i].block[0] = reference(i + 1, 0);
    }
    assert_int_equal(slices_of(1, 2), slices + 10 + words);
}

static void nothing_to_search(void **state)
{
    static const struct knoll_range tiny = {(char *)roots[0] + 1, 1}; /* too short for a word */
    struct found found = {0, 0, 0};
    (void)state;
    make();
    add_node(0, 100);
    roots[0][0] = reference(0, 0);
    knoll_leaks_begin(&leaks, &heap, marks, &tiny, 1, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, 0), KNOLL_LEAKS_GOING_ON); /* one step */
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 1);
    memset(&heap, 0, sizeof heap);
    knoll_leaks_begin(&leaks, &heap, marks, &tiny, 1, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 1);
}

static void a_change_is_noticed(void **state)
{
    struct found found = {0, 0, 0};
    (void)state;
    make();
    add_node(0, 100);
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    knoll_free(&heap, knoll_malloc(&heap, 100)); /* not yet */
    assert_int_equal(knoll_leaks_slice(&leaks, 5), KNOLL_LEAKS_GOING_ON);
    knoll_free(&heap, knoll_malloc(&heap, 100));
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
    assert_int_equal(found.count, 0);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 1);
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, 5), KNOLL_LEAKS_GOING_ON);
    knoll_free(&heap, nodes[0].block);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
    if (KNOLL_REGIONS_MAX < 3)
        return;
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    add_memory(&heap, ground + MIB(5), MIB(1));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
}

/* How far a search has come: to its second root, amid the words of this block, with blocks on the stack, or pending. */
static bool has_come(unsigned far, const uintptr_t *block)
{
    bool is_amid = (uintptr_t)leaks.next == (uintptr_t)(block + 5);
    return far == 0 ? leaks.root > 0 : far == 1 ? is_amid : far == 2 ? leaks.stacked > 1 : leaks.pending > 1;
}

/* Nothing is left of what was found before a change, wherever the search was: neither what is reached is reported, nor
 * is what was reached before still thought to be. */
static void a_search_begins_anew(void **state)
{
    enum { WIDE = 2 * KNOLL_LEAKS_STACK };
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct found found = {0, 0, 0};
        bool stays = i % 2 == 0;
        make();
        add_node(2 * WIDE, WIDE * sizeof(uintptr_t));
        for (unsigned j = 0; j < WIDE; j++) {
            add_node(j, 100);
            add_node(WIDE + j, 100);
            nodes[j].block[0] = reference(WIDE + j, 0);
            nodes[2 * WIDE].block[j] = reference(j, 0);
        }
        roots[0][0] = reference(2 * WIDE, 0);
        knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
        do
            assert_int_equal(knoll_leaks_slice(&leaks, 1), KNOLL_LEAKS_GOING_ON);
        while (!has_come(i / 2, nodes[2 * WIDE].block));
        if (!stays)
            memset(roots, 0, sizeof roots);
        knoll_free(&heap, knoll_malloc(&heap, 100));
        assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
        assert_int_equal(found.count, 0);
        assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
        assert_int_equal(found.count, stays ? 0 : 2 * WIDE + 1);
    }
}

/* One run gets shorter and another longer by as much, both where they are, so that no count but that of resizes tells.
 */
static void a_resize_is_noticed(void **state)
{
    struct found found = {0, 0, 0};
    (void)state;
    make();
    void *first = knoll_malloc(&heap, 60000), *second = knoll_malloc(&heap, 60000);
    assert_ptr_equal(knoll_realloc(&heap, second, 30000), second);
    size_t used = knoll_used_bytes(&heap);
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, 5), KNOLL_LEAKS_GOING_ON);
    assert_ptr_equal(knoll_realloc(&heap, first, 30000), first);
    assert_ptr_equal(knoll_realloc(&heap, second, 60000), second);
    assert_int_equal(knoll_used_bytes(&heap), used);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
}

/* Where the first pass saw one long run there are several when it begins anew. */
static void a_change_inside_a_run(void **state)
{
    struct found found = {0, 0, 0};
    (void)state;
    make();
    make_heap(&heap, ground, MIB(2)); /* one region, so that both passes come to the same units first */
    add_node(0, 60000);
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    do
        assert_int_equal(knoll_leaks_slice(&leaks, 1), KNOLL_LEAKS_GOING_ON);
    while (leaks.run == 0); /* which is the node's */
    knoll_free(&heap, nodes[0].block);
    knoll_drain(&heap);
    for (unsigned i = 0; i < 4; i++) {
        add_node(i, 8000);
        roots[0][i] = reference(i, 100);
    }
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_CHANGED);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slice_takes_its_steps_and_no_more),
    cmocka_unit_test(nothing_to_search),
    cmocka_unit_test(a_change_is_noticed),
    cmocka_unit_test(a_search_begins_anew),
    cmocka_unit_test(a_resize_is_noticed),
    cmocka_unit_test(a_change_inside_a_run),
};

CHECK_MAIN(tests)
