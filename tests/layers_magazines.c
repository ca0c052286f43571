/* Magazines and lists: in which order the blocks of a class are handed out again.
 *
 * What a magazine remembers comes before what slabs have. So where the order of slabs' blocks is tested, as many blocks
 * as a magazine has room for, the ballast, are taken first, are given back before the blocks in question, and come out
 * again before those: this way the same tests hold with magazines of every size, none included.
 *
 * SPDX-License-Identifier: MIT */
#include "layers_slab.h"

static const unsigned room = KNOLL_MAGAZINE;

static unsigned char *ballast[KNOLL_MAGAZINE + 1];

/* A heap with the ballast taken, from slabs that do not come free when it is given, and one more whole slab, the
 * current one. Nothing is free in slabs. */
static void set_up(unsigned size_class)
{
    make_wide();
    for (unsigned count = 0; count < room;) {
        ballast[count] = take(size_class);
        count += find(ballast[count]).index != 0;
    }
    take_slab(size_class);
}

static void give_ballast(unsigned size_class)
{
    for (unsigned i = 0; i < room; i++) {
        assert_int_equal(magazine_hints(&heap.size_class[size_class]), i);
        give(ballast[i]);
    }
    assert_int_equal(magazine_hints(&heap.size_class[size_class]), room);
}

static void take_ballast(unsigned size_class)
{
    for (unsigned i = room; i > 0; i--)
        assert_ptr_equal(take(size_class), ballast[i - 1]);
    assert_int_equal(magazine_hints(&heap.size_class[size_class]), 0);
}

static void lowest_free_block_first(void **state)
{
    struct random random = random_from(21);
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        set_up(i);
        uint32_t slabs = heap.size_class[i].slabs;
        uint32_t free_blocks = heap.size_class[i].free_blocks;
        for (unsigned round = 0; round < 200; round++) {
            unsigned a = random_below(&random, usual(i)->capacity), b = random_below(&random, usual(i)->capacity);
            if (a == b)
                continue;
            give_ballast(i);
            give(blocks[a]);
            give(blocks[b]);
            assert_int_equal(heap.size_class[i].partial, NOWHERE); /* the current slab needs no list */
            take_ballast(i);
            assert_ptr_equal(take(i), blocks[a < b ? a : b]);
            assert_ptr_equal(take(i), blocks[a < b ? b : a]);
        }
        assert_int_equal(heap.size_class[i].free_blocks, free_blocks);
        assert_int_equal(heap.size_class[i].slabs, slabs);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* Against a stack. The first block of each slab stays, so that no slab goes back and takes its hints along. */
static void what_was_freed_last_comes_first(void **state)
{
    struct random random = random_from(22);
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        unsigned char *held[128], *remembered[KNOLL_MAGAZINE + 1];
        unsigned count = 0, hints = 0;
        make_wide();
        for (unsigned step = 0; step < 2000; step++) {
            bool grows = random_below(&random, 256) < (step % 512 < 256 ? 160 : 96);
            if (count == 0 || (count < 128 && grows)) {
                held[count] = take(i);
                if (hints > 0)
                    assert_ptr_equal(held[count], remembered[--hints]);
                count += find(held[count]).index != 0;
            } else {
                unsigned which = random_below(&random, count);
                give(held[which]);
                if (hints < room)
                    remembered[hints++] = held[which];
                held[which] = held[--count];
            }
            assert_int_equal(magazine_hints(&heap.size_class[i]), hints);
        }
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* A slab is listed just if a block of it comes back that its class's magazine has no room for; and once. */
static void the_magazine_comes_before_the_list(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        const struct knoll_class_state *counts = &heap.size_class[i];
        set_up(i);
        struct slab_place place = find(blocks[0]);
        take(i); /* so that another slab is the current one */
        give_ballast(i);
        assert_int_equal(counts->partial, NOWHERE);
        for (unsigned n = 0; n < room; n++) {
            assert_int_equal(find(ballast[n]).slab[CELL_NOTES] & SLAB_KNOWN, 0);
            assert_int_equal(knoll_address_fault(&heap, ballast[n]), KNOLL_FAULT_DOUBLE_FREE);
        }
        for (unsigned n = 0; n < 2; n++) {
            give(blocks[n]);
            assert_int_equal(magazine_hints(&heap.size_class[i]), room);
            assert_int_equal(counts->partial, place.number);
            assert_true((place.slab[CELL_NOTES] & SLAB_KNOWN) != 0);
            assert_int_equal(link_of(place.slab[CELL_SLAB_NEXT], GROUP_SHIFT), NOWHERE);
            assert_int_equal(knoll_check(&heap), 0);
        }
        take_ballast(i);
        for (unsigned n = 1; n < usual(i)->capacity; n++) /* the current slab is used up before */
            assert_ptr_equal(find(take(i)).slab, counts->current);
        assert_ptr_equal(take(i), blocks[0]);
        assert_ptr_equal(counts->current, place.slab);
        assert_int_equal(counts->partial, NOWHERE);
        assert_true((place.slab[CELL_NOTES] & SLAB_KNOWN) != 0);
        assert_int_equal(knoll_address_fault(&heap, blocks[1]), KNOLL_FAULT_DOUBLE_FREE); /* all were handed out once */
        assert_ptr_equal(take(i), blocks[1]);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static void expect_listed(unsigned size_class, const void *const *expected, unsigned count)
{
    uint32_t number = heap.size_class[size_class].partial;
    uint32_t before = NOWHERE;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(number, find(expected[i]).number);
        const uint32_t *slab = entry_of(&heap, number);
        assert_int_equal(link_of(slab[CELL_PREV], GROUP_SHIFT), before);
        before = number;
        number = link_of(slab[CELL_SLAB_NEXT], GROUP_SHIFT);
    }
    assert_int_equal(number, NOWHERE);
    assert_int_equal(knoll_check(&heap), 0);
}

/* The slab that was listed last serves first, when nothing else does; then the one before it, then a new one. */
static void what_was_listed_last_comes_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        unsigned capacity = usual(i)->capacity;
        set_up(i);
        unsigned char *first = blocks[capacity - 1];
        take_slab(i);
        unsigned char *second = blocks[0];
        take(i);
        uint32_t slabs = heap.size_class[i].slabs;
        give_ballast(i);
        expect_listed(i, NULL, 0);
        give(first);
        expect_listed(i, (const void *[]){first}, 1);
        give(second);
        expect_listed(i, (const void *[]){second, first}, 2);
        take_ballast(i);
        for (unsigned n = 1; n < capacity; n++)
            take(i);
        expect_listed(i, (const void *[]){second, first}, 2);
        assert_ptr_equal(take(i), second);
        expect_listed(i, (const void *[]){first}, 1);
        assert_ptr_equal(take(i), first);
        expect_listed(i, NULL, 0);
        assert_int_equal(heap.size_class[i].slabs, slabs);
        take(i);
        assert_int_equal(heap.size_class[i].slabs, slabs + 1);
    }
}

/* A slab that goes back leaves the list, wherever in it it is. */
static void a_slab_goes_back_from_the_list(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        for (unsigned victim = 0; victim < 3; victim++) {
            unsigned capacity = usual(i)->capacity;
            unsigned char *slabs[3][64];
            set_up(i);
            memcpy(slabs[2], blocks, sizeof blocks);
            for (unsigned n = 2; n > 0; n--) {
                take_slab(i);
                memcpy(slabs[n - 1], blocks, sizeof blocks);
            }
            take(i);
            give_ballast(i);
            for (unsigned n = 3; n > 0; n--)
                give(slabs[n - 1][0]);
            expect_listed(i, (const void *[]){slabs[0][0], slabs[1][0], slabs[2][0]}, 3);
            for (unsigned n = 1; n < capacity; n++)
                give(slabs[victim][n]);
            expect_listed(i, (const void *[]){slabs[0][0], slabs[1][0], slabs[2][0]}, 3); /* it is kept in hand */
            give_back_the_slab_in_hand();
            expect_listed(i, (const void *[]){slabs[victim == 0][0], slabs[victim == 2 ? 1 : 2][0]}, 2);
            take_ballast(i);
        }
    }
}

/* Two slabs' blocks are remembered in turns, and one of the slabs goes back. */
static void hints_go_back_with_their_slab(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASSES_OF_SEVERAL; i++) {
        unsigned capacity = usual(i)->capacity;
        unsigned other = (i + 1) % CLASSES_OF_SEVERAL;
        make_wide();
        take_slab(i);
        uint32_t stays = find(take(i)).number;
        unsigned char *remembered = take(i);
        give(blocks[0]);
        give(remembered);
        for (unsigned n = 1; n < capacity; n++)
            give(blocks[n]);
        assert_true(knoll_slab_spare_is_empty(&heap)); /* empty, though blocks of it are remembered */
        unsigned hints = room < capacity + 1 ? room : capacity + 1;
        assert_int_equal(magazine_hints(&heap.size_class[i]), hints);

        give(take(other)); /* takes its place, and it goes back */
        struct slab_place place;
        assert_false(slab_find(heap.region[0], blocks[0], &place));
        assert_int_equal(magazine_hints(&heap.size_class[i]), -(int)hints);
        assert_int_equal(knoll_check(&heap), 0);
        assert_int_equal(hints_to_slabs(i), room >= 2);
        assert_int_equal(heap.size_class[i].slabs, 1);
        assert_int_equal(knoll_check(&heap), 0);
        hold_all(); /* what was the slab's memory among others */
        expect_again(take(i), remembered);
        for (unsigned n = 2; n < capacity; n++)
            assert_int_equal(find(take(i)).number, stays);
        assert_int_equal(heap.size_class[i].slabs, 1);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

/* A slab of one block is empty when that is freed: it is kept in hand, and goes back with its hint for the next one. */
static void slabs_of_one_block(void **state)
{
    (void)state;
    for (unsigned i = CLASSES_OF_SEVERAL; i < KNOLL_CLASS_COUNT; i++) {
        make_wide();
        assert_int_equal(usual(i)->capacity, 1);
        unsigned char *first = take(i), *second = take(i), *third = take(i);
        give(first);
        assert_int_equal(magazine_hints(&heap.size_class[i]), room > 0);
        assert_ptr_equal(take(i), first);
        assert_int_equal(heap.size_class[i].slabs, 3);
        give(second);
        give(first);
        assert_int_equal(heap.size_class[i].slabs, 2);
        assert_int_equal(hints_to_slabs(i), room > 0);
        assert_int_equal(knoll_address_fault(&heap, second), KNOLL_FAULT_DOUBLE_FREE);
        assert_int_equal(knoll_check(&heap), 0);
        assert_ptr_equal(take(i), first);
        give(third);
        assert_int_equal(heap.size_class[i].slabs, 2);
        assert_true(knoll_slab_spare_is_empty(&heap));
        give_back_the_slab_in_hand();
        assert_int_equal(heap.size_class[i].slabs, 1);
        assert_int_equal(hints_to_slabs(i), 0);
        assert_int_equal(knoll_check(&heap), 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slabs_of_one_block),
    cmocka_unit_test(lowest_free_block_first),
    cmocka_unit_test(what_was_freed_last_comes_first),
    cmocka_unit_test(the_magazine_comes_before_the_list),
    cmocka_unit_test(what_was_listed_last_comes_first),
    cmocka_unit_test(a_slab_goes_back_from_the_list),
    cmocka_unit_test(hints_go_back_with_their_slab),
};

CHECK_MAIN(tests)
