/* What the search for leaks finds, against a model that knows which block refers to which.
 *
 * SPDX-License-Identifier: MIT */
#include "leaks.h"

static void graphs_at_random(void **state)
{
    size_t reached = 0, all = 0;
    (void)state;
    for (uint32_t seed = 1; seed <= 6; seed++) {
        struct random random = random_from(seed);
        make();
        for (unsigned i = 0; i < NODES; i++)
            add_node(i, 64 + random_below(&random, i % 50 == 0 ? 12000 : 300));
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned link = 0; link < LINKS; link++)
                if (random_below(&random, 10) < seed)
                    link_nodes(i, link, random_below(&random, NODES), random_next(&random) % 4096);
        for (unsigned i = 0; i < 4; i++) {
            unsigned first = random_below(&random, NODES);
            roots[i % 2][1 + i] = reference(first, random_below(&random, 1000));
            reached += reach_from(first);
        }
        all += NODES;
        expect_what_is_not_reached();
    }
    assert_true(reached > all / 4 && reached < all - all / 20);
    check_say("", reached, " blocks reached");
    check_say(" of ", all, "\n");
}

/* A list as long as there are blocks, and a block that refers to all others, which is more than the stack holds. */
static void long_and_wide(void **state)
{
    (void)state;
    make();
    for (unsigned i = 0; i < NODES; i++)
        add_node(i, 100);
    for (unsigned i = 0; i + 1 < NODES; i++)
        link_nodes(NODES - 1 - i, 0, NODES - 2 - i, i);
    roots[0][0] = reference(NODES - 1, 0);
    assert_int_equal(reach_from(NODES - 1), NODES);
    expect_what_is_not_reached();

    make();
    add_node(0, NODES * sizeof(uintptr_t));
    for (unsigned i = 1; i < NODES; i++) {
        add_node(i, i % 100 == 0 ? 5000 : 90);
        if (i % 3 != 0) {
            nodes[0].block[i] = reference(i, 7);
            nodes[i].is_reached = true;
        }
    }
    for (unsigned i = 1; i + 1 < NODES; i += 3) { /* one of three through another */
        link_nodes(i, 0, i + 2, 3);
        nodes[i + 2].is_reached = i + 2 < NODES;
    }
    roots[1][7] = reference(0, 8);
    nodes[0].is_reached = true;
    expect_what_is_not_reached();
}

/* What refers to no block: free memory, tables, what is left over of a slab, an address beside the heap. */
static void references_to_nothing(void **state)
{
    (void)state;
    make();
    for (unsigned i = 0; i < 8; i++)
        add_node(i, 200);
    roots[0][0] = (uintptr_t)ground;
    roots[0][1] = (uintptr_t)ground + MIB(2) - 1;
    roots[0][2] = (uintptr_t)ground + MIB(2);
    roots[0][3] = (uintptr_t)nodes[7].block;
    roots[0][4] = (uintptr_t)knoll_malloc(&heap, 20000) + 19000;
    knoll_free(&heap, (void *)(roots[0][4] - 19000));
    knoll_free(&heap, nodes[7].block);
    nodes[7].block = NULL;
    nodes[3].is_reached = true;
    roots[0][7] = reference(3, 199);
    expect_what_is_not_reached();
    memset(roots, 0, sizeof roots);
    nodes[3].is_reached = false;
    expect_what_is_not_reached();
    struct found found = {0, 2, 0};
    knoll_leaks_begin(&leaks, &heap, marks, NULL, 0, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 2);
}

/* What is left over at a slab's end, of which no block has a part. */
static void references_behind_the_last_block(void **state)
{
    (void)state;
    for (size_t size = 32; size <= 1024; size += 16) {
        make();
        add_node(0, size);
        roots[0][0] = (uintptr_t)nodes[0].block | 2047;
        roots[0][1] = (uintptr_t)nodes[0].block | 4095;
        if (!IS_BYTE_EXACT)
            expect_what_is_not_reached();
    }
}

/* What waits for room on the stack lies before the block that refers to it, so that the runs are gone through again. */
static void pending_blocks_before_others(void **state)
{
    enum { FIRST = 32, ALL = 80 };
    (void)state;
    make();
    for (unsigned i = 0; i < ALL; i++)
        add_node(i, 100);
    add_node(ALL, (FIRST + 1) * sizeof(uintptr_t));
    for (unsigned i = 0; i < 8; i++) { /* one of these lies behind all others */
        add_node(ALL + 2, 20000);
        if (i == 0 || (uintptr_t)nodes[ALL + 2].block > (uintptr_t)nodes[ALL + 1].block) {
            struct node last = nodes[ALL + 1];
            nodes[ALL + 1] = nodes[ALL + 2];
            nodes[ALL + 2] = last;
        }
        knoll_free(&heap, i == 0 ? NULL : nodes[ALL + 2].block);
        nodes[ALL + 2].block = NULL;
    }
    for (unsigned i = 0; i <= ALL; i++)
        assert_true(nodes[i].block < nodes[ALL + 1].block);
    for (unsigned i = 0; i < FIRST; i++)
        nodes[ALL].block[i] = reference(i, 1);
    nodes[ALL].block[FIRST] = reference(ALL + 1, 0);
    for (unsigned i = FIRST; i < ALL; i++)
        nodes[ALL + 1].block[i] = reference(i, 2);
    for (unsigned i = 0; i < ALL + 2; i++)
        nodes[i].is_reached = true;
    roots[0][0] = reference(ALL, 0);
    add_node(ALL + 2, 100);
    expect_what_is_not_reached();
}

/* A free block leads nowhere, whatever stands in it, be there room on the stack or not. */
static void references_through_free_blocks(void **state)
{
    enum { WIDE = 2 * KNOLL_LEAKS_STACK, FREED, BEHIND, LAST };
    (void)state;
    for (unsigned live = 0; live <= WIDE; live += WIDE) {
        make();
        add_node(BEHIND, 200);
        add_node(WIDE, (WIDE + 1) * sizeof(uintptr_t));
        for (unsigned i = 0; i < live; i++) {
            add_node(i, 100);
            nodes[WIDE].block[i] = reference(i, 0);
            nodes[i].is_reached = true;
        }
        add_node(LAST, 100); /* so that the one freed is not the slab's only one, nor its first */
        add_node(FREED, 100);
        nodes[FREED].block[1] = reference(BEHIND, 0);
        nodes[WIDE].block[WIDE] = reference(FREED, 0);
        knoll_free(&heap, nodes[FREED].block);
        nodes[FREED].block = NULL;
        nodes[WIDE].is_reached = true;
        roots[0][0] = reference(WIDE, 0);
        expect_what_is_not_reached();
    }
}

/* As many blocks in each slab as there can be. */
static void chains_through_whole_slabs(void **state)
{
    (void)state;
    make();
    for (unsigned i = 0; i < 300; i++) {
        add_node(i, sizeof(uintptr_t));
        if (i > 0)
            nodes[i - 1].block[0] = (uintptr_t)nodes[i].block;
        nodes[i].is_reached = true;
    }
    roots[0][0] = (uintptr_t)nodes[0].block;
    expect_what_is_not_reached();
}

/* The first unit after the tables is a leak, and what refers to free memory refers to no block. */
static void a_leak_right_after_the_tables(void **state)
{
    struct found found = {0, 0, 0};
    (void)state;
    make();
    make_heap(&heap, arena_at(KIB(64), KNOLL_PAGE), KNOLL_MINIMUM_HEAP); /* where classic may have a run at unit 1 */
    unsigned char *leak = knoll_malloc(&heap, 5000);
    unsigned char *freed = knoll_malloc(&heap, 5000);
    knoll_free(&heap, freed);
    knoll_drain(&heap);
    roots[0][0] = (uintptr_t)freed + 2000;
    knoll_leaks_begin(&leaks, &heap, marks, ranges, 2, see_leak, &found);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    assert_int_equal(found.count, 1);
    knoll_free(&heap, leak);
}

/* Only the last word of a root refers to a block, and the root ends at, or right behind, that word. */
static void words_at_the_end_of_a_root(void **state)
{
    static uintptr_t words[4]; /* the last one is in no root */
    (void)state;
    make();
    add_node(0, 100);
    for (size_t beyond = 0; beyond < 2 * sizeof(uintptr_t); beyond++) {
        size_t skipped = beyond / sizeof(uintptr_t); /* 1 where the root begins in a word */
        size_t bytes = 3 * sizeof words[0] + beyond % sizeof words[0];
        struct knoll_range range = {(char *)words + skipped, bytes - skipped};
        for (size_t place = 2; place < 4; place++) {
            struct found found = {0, 0, 0};
            memset(words, 0, sizeof words);
            words[place] = reference(0, 0);
            knoll_leaks_begin(&leaks, &heap, marks, &range, 1, see_leak, &found);
            assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
            assert_int_equal(found.count, place == 3);
        }
    }
}

/* What lies round a block refers to nothing and is no reference to it; what waits to be used again is not held. */
static void guards_are_no_part_of_blocks(void **state)
{
    (void)state;
    if (!IS_BYTE_EXACT)
        return;
    for (size_t size = 0; size < 9000; size = 3 * size + 7) {
        make();
        knoll_set_tag(&heap, (uintptr_t)ground + MIB(1)); /* no front part of another has a reference by it */
        for (unsigned i = 0; i < 3; i++)
            add_node(i, size + sizeof(uintptr_t));
        knoll_set_tag(&heap, (uintptr_t)nodes[1].block >> 8);
        add_node(3, 100);
        roots[0][0] = (uintptr_t)nodes[0].block - 1; /* in the front part */
        roots[0][1] = (uintptr_t)nodes[0].block - FRONT;
        roots[0][2] = (uintptr_t)nodes[2].block;
        roots[0][3] = (uintptr_t)nodes[3].block + 100; /* after the last byte */
        roots[0][4] = (uintptr_t)nodes[0].block + size + sizeof(uintptr_t) + 1;
        nodes[2].is_reached = nodes[3].is_reached = true;
        expect_what_is_not_reached();
        knoll_free(&heap, nodes[2].block);
        nodes[2].block = NULL;
        nodes[1].block[0] = (uintptr_t)nodes[0].block;
        roots[0][0] = (uintptr_t)nodes[1].block;
        nodes[0].is_reached = nodes[1].is_reached = true;
        expect_what_is_not_reached();
    }
}

/* Then nobody knows where in it the caller's bytes are. */
static void any_reference_into_a_damaged_block_counts(void **state)
{
    (void)state;
    if (!IS_BYTE_EXACT)
        return;
    for (size_t size = 1; size < 9000; size = 3 * size + 7) {
        make();
        add_node(0, size + sizeof(uintptr_t));
        unsigned char *front = (unsigned char *)nodes[0].block - 1;
        roots[0][0] = (uintptr_t)nodes[0].block + size;
        nodes[0].is_reached = true;
        *front ^= 1;
        expect_what_is_not_reached();
        *front ^= 1;
    }
}

#if IS_BYTE_EXACT

static struct knoll_item leaked[8];
static size_t leaked_count;

static int note_leak(void *context, const struct knoll_item *item)
{
    (void)context;
    if (item->kind == KNOLL_ITEM_BLOCK)
        leaked[leaked_count++] = *item;
    return leaked_count == 8;
}

/* A leak, and a block that a walk shows, says for whom it was allocated, where, and before which others. */
static void expect_origins(void *const *blocks, bool has_age)
{
    assert_int_equal(leaked_count, 3);
    for (size_t i = 0; i < 3; i++) {
        size_t which = 0;
        while (blocks[which] != leaked[i].start)
            assert_true(++which < 3);
        assert_int_equal(leaked[i].size, 100 << 4 * which);
        assert_true(leaked[i].block_size > leaked[i].size);
        assert_int_equal(leaked[i].allocated.tag, 70 + which);
        assert_true(leaked[i].allocated.caller != 0);
        assert_int_equal(leaked[i].age, has_age ? 2 * (2 - which) + 1 : 0);
    }
}

static void whose_leak_it_is(void **state)
{
    void *blocks[3];
    bool has_age = sizeof(void *) > 4 || KNOLL_BLOCK_AGE;
    (void)state;
    make();
    for (size_t i = 0; i < 3; i++) {
        knoll_set_tag(&heap, 70 + i);
        blocks[i] = knoll_malloc(&heap, (size_t)100 << 4 * i);
        knoll_free(&heap, knoll_malloc(&heap, 100));
    }
    leaked_count = 0;
    knoll_leaks_begin(&leaks, &heap, marks, NULL, 0, note_leak, NULL);
    assert_int_equal(knoll_leaks_slice(&leaks, SIZE_MAX), KNOLL_LEAKS_DONE);
    expect_origins(blocks, has_age);
    leaked_count = 0;
    assert_int_equal(knoll_walk(&heap, note_leak, NULL), 0);
    expect_origins(blocks, has_age);
    knoll_set_tag(&heap, 71); /* who resizes a block is whom it is for from then on */
    assert_ptr_equal(knoll_realloc(&heap, blocks[2], 25000), blocks[2]);
    leaked_count = 0;
    assert_int_equal(knoll_walk(&heap, note_leak, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        if (leaked[i].start == blocks[2])
            assert_true(leaked[i].allocated.tag == 71 && leaked[i].age == 0 && leaked[i].size == 25000);
}

#else

static void whose_leak_it_is(void **state)
{
    (void)state;
}

#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(graphs_at_random),
    cmocka_unit_test(long_and_wide),
    cmocka_unit_test(references_to_nothing),
    cmocka_unit_test(references_behind_the_last_block),
    cmocka_unit_test(pending_blocks_before_others),
    cmocka_unit_test(references_through_free_blocks),
    cmocka_unit_test(chains_through_whole_slabs),
    cmocka_unit_test(a_leak_right_after_the_tables),
    cmocka_unit_test(words_at_the_end_of_a_root),
    cmocka_unit_test(guards_are_no_part_of_blocks),
    cmocka_unit_test(any_reference_into_a_damaged_block_counts),
    cmocka_unit_test(whose_leak_it_is),
};

CHECK_MAIN(tests)
