/* knoll lean's check: each kind of damage is told by the invariant's number, and no bit of what the tables say can be
 * flipped unseen but of what nobody reads.
 *
 * SPDX-License-Identifier: MIT */
#include "check.h"
#include "support.h"

#include "../lean/lean_tables.h"

#define SPAN (32 * UNIT)

_Static_assert(SPAN >> KNOLL_LEAN_SHIFT >> LISTS == 0, "with so few lists no region is as long as that of this test");

static struct knoll_lean_heap heap, sound;
static struct knoll_lean_unit tables[SPAN / UNIT];
static unsigned char *start, *full, *part, *run, *page;
static struct knoll_lean_unit *region;

/* A heap with a slab that is full and one that is not, two runs, free runs, and a spare unit. */
static void make(void)
{
    start = arena_at(SPAN, 0);
    assert_int_equal(knoll_lean_init(&heap, start, SPAN), KNOLL_OK);
    region = heap.region;
    full = knoll_lean_malloc(&heap, UNIT / 2);
    assert_non_null(knoll_lean_malloc(&heap, UNIT / 2));
    part = knoll_lean_malloc(&heap, UNIT / 4);
    assert_non_null(knoll_lean_malloc(&heap, UNIT / 4));
    run = knoll_lean_malloc(&heap, 4 * UNIT);
    page = knoll_lean_malloc(&heap, UNIT);
    void *spare = knoll_lean_malloc(&heap, 1);
    knoll_lean_free(&heap, spare);
    assert_non_null(heap.spare);
    assert_int_equal(knoll_lean_check(&heap), 0);
    sound = heap;
    memcpy(tables, region, sizeof tables);
}

static void expect(int invariant)
{
    assert_int_equal(knoll_lean_check(&heap), invariant);
    heap = sound;
    memcpy(region, tables, sizeof tables);
    assert_int_equal(knoll_lean_check(&heap), 0);
}

static struct knoll_lean_unit *at(const unsigned char *block)
{
    return unit_at(region, (uintptr_t)block);
}

/* The first unit of the longest free run. */
static struct knoll_lean_unit *longest_free(void)
{
    size_t list = LISTS - 1;
    while (list > WORD_SHIFT && heap.list[list].next == &heap.list[list])
        list--;
    return unit_of(heap.list[list].next);
}

static void regions(void **state)
{
    (void)state;
    make();
    region->word += 1;
    expect(1);
    region->word = UNIT;
    expect(1);
    region->word = 0 - UNIT;
    expect(1);
    region->word = SPAN - UNIT; /* a run goes beyond */
    expect(2);
    region->word = SIZE_MAX / 2 + 1; /* longer than the longest run twice, where there can be such a region */
    assert_true(knoll_lean_check(&heap) != 0);
    memcpy(region, tables, sizeof tables);
    heap.region = region + 1; /* where no region starts */
    heap.region->word = SPAN;
    expect(1);
    region->link.next = &region->link; /* a chain without an end */
    expect(1);
}

static void runs(void **state)
{
    (void)state;
    make();
    at(page)->state = NOTHING;
    expect(2);
    at(page)->state = LISTS + 1;
    expect(2);
    at(run)->state = FREE + 2;
    expect(2);
    heap.spare = NULL;
    expect(2);
    heap.spare = at(page);
    expect(2);
    knoll_lean_free(&heap, knoll_lean_malloc(&heap, 2 * UNIT)); /* gives the spare back: there is none then */
    assert_null(heap.spare);
    heap.spare = at(page);
    expect(2);
    at(run)[1].state = HELD;
    expect(3);
    at(run)[3].state = HELD + LISTS - 1;
    expect(3);
    at(run)[1].state = FREE + WORD_SHIFT; /* which nobody asks */
    expect(0);
    at(page)->state = HELD + WORD_SHIFT + 1;
    assert_int_equal(((uintptr_t)page / UNIT) % 2, 1);
    expect(4);
}

static void buddies(void **state)
{
    (void)state;
    make();
    struct knoll_lean_unit *low = longest_free();
    size_t halves = low->state - FREE - 1;
    struct knoll_lean_unit *high = unit_after(low, block_size(halves));
    assert_true(halves >= WORD_SHIFT);
    *high = *low; /* cut in two, as it should not be */
    low->state = high->state = FREE + halves;
    expect(4);
    low->state = HELD + halves;
    high->state = FREE + halves; /* linked to by nobody */
    expect(6);
}

/* Three units free after the tables, a run of one and one of two, said to be of two and one. */
static void misaligned(void **state)
{
    (void)state;
    start = arena_at(SPAN, 0);
    assert_int_equal(knoll_lean_init(&heap, start, 4 * UNIT), KNOLL_OK);
    region = heap.region;
    struct knoll_lean_link *one = &heap.list[WORD_SHIFT], *two = one + 1;
    assert_int_equal(region[1].state, FREE + WORD_SHIFT);
    assert_int_equal(region[2].state, FREE + WORD_SHIFT + 1);
    region[1].state = FREE + WORD_SHIFT + 1;
    region[3].state = FREE + WORD_SHIFT;
    one->next = one->prev = &region[3].link;
    region[3].link = (struct knoll_lean_link){one, one};
    two->next = two->prev = &region[1].link;
    region[1].link = (struct knoll_lean_link){two, two};
    assert_int_equal(knoll_lean_check(&heap), 4);
}

static void slabs(void **state)
{
    (void)state;
    make();
    at(part)->word |= 2;
    expect(5);
    at(part)->word = all_blocks(at(part)->state - HELD);
    expect(5);
    at(part)->word = 0; /* and still in its list */
    expect(6);
    at(full)->word = 1; /* and in none */
    expect(6);
    at(part)->link.next = at(part)->link.prev = &at(part)->link;
    expect(6);
    at(part)->link.next = NULL;
    expect(6);
    at(part)->link.prev = NULL;
    expect(6);
    at(part)->link.prev = &at(part)->link; /* whose next one is another */
    expect(6);
    at(part)->word &= at(part)->word - 1; /* a block more is held */
    expect(7);
}

/* Units inside of a run, which nobody asks, in a list in place of a free run: as many, and links lead both ways, but
 * for those of one in between. */
static void insiders(void **state)
{
    (void)state;
    make();
    struct knoll_lean_unit *inside = at(run) + 1;
    struct knoll_lean_unit *whole = longest_free();
    struct knoll_lean_link *head = &heap.list[whole->state - FREE];
    whole->link = (struct knoll_lean_link){&whole->link, &whole->link};
    inside[0].state = whole->state;
    inside[0].link = (struct knoll_lean_link){head, head};
    head->next = head->prev = &inside[0].link;
    expect(6);

    whole->link = (struct knoll_lean_link){&whole->link, &whole->link};
    inside[0].state = inside[1].state = whole->state;
    inside[0].link = (struct knoll_lean_link){&inside[1].link, head};
    inside[1].link = (struct knoll_lean_link){head, head};
    head->next = &inside[0].link;
    head->prev = &inside[1].link;
    expect(6);
}

static void lists(void **state)
{
    (void)state;
    make();
    heap.list[0].next = NULL;
    expect(6);
    size_t list = at(part)->state - HELD;
    heap.list[list].next = heap.list[list].prev = &heap.list[list];
    expect(6);
    at(part)->link.next = at(part)->link.prev = &at(part)->link; /* a ring of its own */
    heap.list[list].next = heap.list[list].prev = &heap.list[list];
    expect(6);
    struct knoll_lean_link *link = &at(part)->link; /* in another list */
    heap.list[list].next = heap.list[list].prev = &heap.list[list];
    heap.list[list + 1].next = heap.list[list + 1].prev = link;
    link->next = link->prev = &heap.list[list + 1];
    expect(6);
    static struct knoll_lean_unit strangers[2] = {{.state = HELD}, {.state = HELD}}; /* of which one leads not back */
    struct knoll_lean_link *head = &heap.list[0];
    head->next = &strangers[0].link;
    head->prev = &strangers[1].link;
    strangers[0].link = (struct knoll_lean_link){&strangers[1].link, head};
    strangers[1].link = (struct knoll_lean_link){head, head};
    expect(6);
    strangers[0].link = (struct knoll_lean_link){head, head}; /* and one that does, in place of a slab */
    at(part)->link.next = at(part)->link.prev = &at(part)->link;
    head = &heap.list[at(part)->state - HELD];
    head->next = head->prev = &strangers[0].link;
    strangers[0].state = at(part)->state;
    strangers[0].link = (struct knoll_lean_link){head, head};
    expect(6);
    at(part)->link.next = (struct knoll_lean_link *)(uintptr_t)8; /* where nothing is */
    expect(6);
    heap.used++;
    expect(7);
}

/* Of what starts at a unit: what it says, and of a slab the word. Only slabs of which all blocks are held, and a held
 * run of one unit, may pass for one another. */
static void every_bit(void **state)
{
    (void)state;
    make();
    size_t seen = 0;
    size_t missed = 0;
    for (struct knoll_lean_unit *unit = region + table_bytes(SPAN) / UNIT; unit < region + SPAN / UNIT;) {
        uintptr_t says = unit->state;
        size_t list = says - (says >= FREE ? FREE : HELD);
        for (size_t i = 0; i < 2 * WORD_BITS; i++) {
            uintptr_t *word = i < WORD_BITS ? &unit->state : &unit->word;
            if (word == &unit->word && list >= WORD_SHIFT)
                continue;
            *word ^= (uintptr_t)1 << i % WORD_BITS;
            bool is_seen = knoll_lean_check(&heap) != 0;
            assert_true(is_seen || (says <= HELD + WORD_SHIFT && unit->word == 0 && unit->state <= HELD + WORD_SHIFT));
            seen += is_seen;
            missed += !is_seen;
            memcpy(region, tables, sizeof tables);
        }
        unit = unit_after(unit, says == NOTHING || list < WORD_SHIFT ? UNIT : block_size(list));
    }
    assert_true(seen > 10 * WORD_BITS && missed <= 6);
    assert_int_equal(knoll_lean_check(&heap), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(regions), cmocka_unit_test(runs),  cmocka_unit_test(buddies),  cmocka_unit_test(misaligned),
    cmocka_unit_test(slabs),   cmocka_unit_test(lists), cmocka_unit_test(insiders), cmocka_unit_test(every_bit),
};

CHECK_MAIN(tests)
