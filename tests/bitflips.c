/* What becomes of a heap in whose tables, or whose struct knoll_heap, one bit has flipped, for every bit of the tables
 * of many heaps. A program by itself, for a system with signals: tools/bitflips runs it at each rung of hardening.
 * usage: bitflips STATES SEED EVERY
 *
 * Each state is a heap after a random history. Each bit of its tables is flipped, alone. If knoll_check sees it, that
 * is noted. Then, as if nobody had called knoll_check, the heap is used on: blocks are allocated and freed, until
 *
 *   fault     the heap reports a fault, though every call was right;
 *   crash     a call reads or writes outside of memory or never returns, which a system with an MMU or a watchdog
 * stops; harm      a block is handed out that overlaps another, or the tables, or lies outside of the heap; refusal   a
 * block is not handed out that the same history got from the sound heap: nothing is broken, but memory is lost; nothing
 * the history ends as that of the sound heap does.
 *
 * The first of these counts. A flip is detected if knoll_check sees it or a fault comes first; it escapes if not, and
 * harm or a crash comes first. The heap is used on after one of EVERY flips, in each state others, for where that takes
 * long; so it is with bits that nothing reads, and of those of the struct one of STRUCT_EVERY is flipped. Not flipped
 * are the pointers to regions and to the handler. Prints a line of comma-separated values for each kind of cell.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "blocks.h"
#include "pages.h"
#include "support.h"

#define SLOTS      48
#define STEPS      96 /* of the history after the flip */
#define PATIENCE   20 /* milliseconds of processor time, after which what goes on counts as never returning */
#define LARGEST    KIB(160)
#define TABLES_MAX KIB(4)

#define STRUCT_EVERY (IS_BYTE_EXACT ? 128 : 16)

/* What a block has before and after a caller's bytes. */
#define BEFORE FRONT
#define AFTER  (OVERHEAD - FRONT)

enum outcome { NOTHING, REFUSAL, FAULT, HARM, CRASH, NOT_USED_ON, OUTCOMES };

enum cell_use {
    HEADER,
    SHAPE,
    FREE_FIRST,
    FREE_NEXT,
    FREE_LENGTH,
    FREE_END,
    LARGE_FIRST,
    LARGE_LENGTH,
    SLAB_FIRST,
    SLAB_BITS,
    SLAB_NEXT,
    SLAB_STATE,
    INSIDE,
    LISTS,
    SLACK,
    HEAP_NUMBERS,
    HEAP_MAGAZINES,
    HEAP_QUARANTINE,
    NOT_FLIPPED,
    CELL_USES
};

static const char uses[CELL_USES][32] = {
    "region header",
    "shapes of units",
    "free run: kind and prev",
    "free run: next",
    "free run: length",
    "free run: last",
    "large run: kind",
    "large run: length",
    "slab: kind and prev",
    "slab: word",
    "slab: next and notes",
    "slab: notes",
    "inside of runs",
    "lists of free runs",
    "unused",
    "struct: numbers",
    "struct: magazines",
    "struct: quarantine",
    "",
};

struct slot {
    unsigned char *block;
    size_t size;
};

struct history {
    struct knoll_heap heap;
    struct slot slot[SLOTS];
    struct random random;
    unsigned refused; /* calls that got NULL */
};

/* What is used on, between pages that nobody may write to: for a broken heap can write beyond its struct. And what is
 * kept of the sound heap, where nothing that a broken one writes can change it. */
static struct history *now;
static struct {
    struct history history;
    unsigned char bytes[LARGEST]; /* of its tables and, where it writes to them, its blocks */
    unsigned refused;             /* calls that get NULL, when it is used on */
} * sound;
static unsigned char *base;
static size_t size, tables;
static volatile unsigned faults;
static sigjmp_buf rescue;
static unsigned long tally[CELL_USES][2][OUTCOMES]; /* by use, whether knoll_check sees it, and what comes first */
static unsigned char use_of[TABLES_MAX];
static unsigned char use_in_struct[sizeof(struct knoll_heap)];

static void note_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap, (void)fault, (void)address;
    faults++;
}

static void on_signal(int number)
{
    siglongjmp(rescue, number);
}

/* What is watched begins with watch() and ends with watched = 0. A tick that finds the same going on as the one before
 * ends it. So nothing is asked of the system for each flip. */
static volatile unsigned long watched, watched_at_tick, watches;

static void watch(void)
{
    watched = ++watches;
}

static void on_tick(int number)
{
    if (watched != 0 && watched == watched_at_tick)
        siglongjmp(rescue, number);
    watched_at_tick = watched;
}

static bool overlaps_another(const struct slot *slot)
{
    if (slot->block < base + tables + BEFORE || slot->size > size || slot->block > base + size - slot->size - AFTER)
        return true;
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *other = &now->slot[i];
        if (other != slot && other->block != NULL && slot->block < other->block + other->size + OVERHEAD &&
            other->block < slot->block + slot->size + OVERHEAD)
            return true;
    }
    return false;
}

/* One call of a history: frees the slot's block if there is one, else fills it. */
static enum outcome step(void)
{
    struct slot *slot = &now->slot[random_below(&now->random, SLOTS)];
    uint32_t most = random_below(&now->random, 4) == 0 ? 12000 : 1200;
    size_t wanted = random_below(&now->random, most) + 1;
    if (slot->block != NULL) {
        knoll_free(&now->heap, slot->block);
        slot->block = NULL;
        return faults != 0 ? FAULT : NOTHING;
    }
    slot->size = wanted;
    slot->block = knoll_malloc(&now->heap, wanted);
    if (faults != 0)
        return FAULT;
    if (slot->block == NULL) {
        now->refused++;
        return NOTHING;
    }
    if (overlaps_another(slot))
        return HARM;
    if (IS_BYTE_EXACT) /* which would find that it holds the fill, as if it were free */
        memset(slot->block, 0x3C, wanted);
    return NOTHING;
}

/* Uses the heap on until something happens. */
static enum outcome use_on(void)
{
    volatile enum outcome outcome = NOTHING;
    faults = 0;
    if (sigsetjmp(rescue, 0) != 0) {
        watched = 0;
        return CRASH;
    }
    watch();
    for (unsigned i = 0; i < STEPS && outcome == NOTHING; i++)
        outcome = step();
    for (unsigned i = 0; i < SLOTS && outcome == NOTHING; i++) {
        knoll_free(&now->heap, now->slot[i].block);
        now->slot[i].block = NULL;
        outcome = faults != 0 ? FAULT : NOTHING;
    }
    watched = 0;
    return outcome == NOTHING && now->refused > sound->refused ? REFUSAL : outcome;
}

/* Makes a heap and uses it for a while. */
static void make_state(uint32_t seed)
{
    static const size_t sizes[] = {KIB(32), KIB(64), KIB(96), LARGEST};
    memset(now, 0, sizeof *now);
    now->random = random_from(seed);
    size = sizes[seed % 4];
    if (knoll_init(&now->heap, base, size) != KNOLL_OK)
        abort();
    knoll_set_fault_handler(&now->heap, note_fault);
    tables = size - knoll_total_bytes(&now->heap);
    if (tables > TABLES_MAX)
        abort();
    for (uint32_t i = 20 + random_below(&now->random, 400); i > 0; i--)
        step();
    now->refused = 0;
}

/* ---- What each byte of the tables is for ---- */

static void set_use(const void *start, size_t bytes, enum cell_use use)
{
    memset(use_of + ((const unsigned char *)start - base), use, bytes);
}

static void set_uses_of_run(const struct knoll_region *region, uint32_t index, uint32_t length)
{
    uint32_t *entry = region_entry(region, index);
    switch (cell_kind(*entry)) {
    case RUN_FREE:
        if (RUN_END_IS_MARKED)
            set_use(&entry[length - 1], 4, FREE_END);
        if (length >= RUN_SHORTEST && !(RUN_END_IS_MARKED && length == 2))
            set_use(&entry[CELL_FREE_NEXT], 4, FREE_NEXT);
        if (!RUN_END_IS_MARKED || length > 3)
            set_use(&entry[CELL_LENGTH], 4, FREE_LENGTH);
        set_use(entry, 4, FREE_FIRST);
        break;
    case RUN_LARGE:
        set_use(&entry[CELL_LARGE_LENGTH], 4, LARGE_LENGTH);
        set_use(entry, 4, LARGE_FIRST);
        break;
    case RUN_SLAB:
        for (uint32_t i = GROUP_UNITS; i < length && RUN_END_IS_MARKED; i += GROUP_UNITS)
            set_use(&entry[i], 4, SHAPE);
        set_use(&entry[CELL_WORD], 8, SLAB_BITS);
        set_use(&entry[CELL_SLAB_NEXT], 4, SLAB_NEXT);
        if (CELL_NOTES != CELL_SLAB_NEXT)
            set_use(&entry[CELL_NOTES], 4, SLAB_STATE);
        set_use(entry, 4, SLAB_FIRST);
        break;
    case RUN_NONE:
        abort();
    }
}

static void set_uses(void)
{
    const struct knoll_region *region = now->heap.region[0];
    unsigned char *lists = base + knoll_region_lists_at(region->count);
    memset(use_of, SLACK, sizeof use_of);
    set_use(region, offsetof(struct knoll_region, resizes), HEADER);
    set_use(&region->resizes, sizeof region->resizes, INSIDE); /* which any number may be */
    for (uint32_t i = 0; i < region->count; i++) {
        set_use(region_entry(region, i), 4, INSIDE);
        if (CLASSIC) {
            set_use(&region_entry(region, i)[CELL_SHAPE], 4, SHAPE);
            set_use(&region_entry(region, i)[CELL_WORD], 8, INSIDE);
        }
    }
    set_use(lists, lists_in_region(region->count) * 4, LISTS);
    uint32_t length;
    for (uint32_t index = region->first; index < region->count; index += length) {
        length = run_length(region, index);
        set_uses_of_run(region, index, length);
    }
}

/* ---- What each byte of the struct is for ---- */

#define SET_MEMBER(member, use)                                                                                        \
    memset(use_in_struct + offsetof(struct knoll_heap, member), use, sizeof now->heap.member)

static void set_uses_in_struct(void)
{
    memset(use_in_struct, HEAP_NUMBERS, sizeof use_in_struct);
    SET_MEMBER(region, NOT_FLIPPED);
    SET_MEMBER(fault_handler, NOT_FLIPPED);
#if KNOLL_MAGAZINE > 0
    for (unsigned i = 0; i < KNOLL_CLASS_COUNT; i++) {
        SET_MEMBER(size_class[i].hints, HEAP_MAGAZINES);
        SET_MEMBER(size_class[i].hint_block, HEAP_MAGAZINES);
        SET_MEMBER(size_class[i].hint_slab, HEAP_MAGAZINES);
#if KNOLL_PROFILE == KNOLL_COMPACT
        SET_MEMBER(size_class[i].hint_index, HEAP_MAGAZINES);
#endif
    }
#endif
#if IS_BYTE_EXACT
    SET_MEMBER(quarantined_bytes, HEAP_QUARANTINE);
    SET_MEMBER(quarantine_first, HEAP_QUARANTINE);
    SET_MEMBER(quarantine_count, HEAP_QUARANTINE);
    SET_MEMBER(quarantine, HEAP_QUARANTINE);
#endif
}

/* ---- Flipping ---- */

static bool check_sees(void)
{
    if (sigsetjmp(rescue, 0) != 0)
        abort(); /* knoll_check must never crash, nor run on */
    watch();
    bool seen = knoll_check(&now->heap) != 0;
    watched = 0;
    return seen;
}

static size_t bytes_kept(void)
{
    return IS_BYTE_EXACT ? size : tables;
}

/* Flips one bit in the sound heap, and sees what becomes of it. */
static void flip(unsigned char *byte, unsigned bit, enum cell_use use, bool is_used_on)
{
    *now = sound->history;
    memcpy(base, sound->bytes, bytes_kept());
    *byte ^= (unsigned char)(1u << bit);
    bool seen = (use != SLACK || is_used_on) && check_sees();
    enum outcome outcome = NOT_USED_ON;
    if (is_used_on) /* bits of no meaning are not */
        outcome = use == SLACK ? NOTHING : use_on();
    tally[use][seen][outcome]++;
}

static void flip_every_bit(size_t state, size_t every)
{
    set_uses();
    if (mprotect(sound, sizeof *sound, PROT_READ | PROT_WRITE) != 0)
        abort();
    sound->history = *now;
    memcpy(sound->bytes, base, bytes_kept());
    sound->refused = SLOTS + STEPS;
    if (check_sees() || use_on() != NOTHING)
        abort();
    sound->refused = now->refused;
    if (mprotect(sound, sizeof *sound, PROT_READ) != 0)
        abort();
    for (size_t bit = 0; bit < 8 * tables; bit++)
        flip(&base[bit / 8], bit % 8, (enum cell_use)use_of[bit / 8], bit % every == state % every);
    unsigned char *heap = (unsigned char *)&now->heap;
    for (size_t bit = state % STRUCT_EVERY; bit < 8 * sizeof now->heap; bit += STRUCT_EVERY)
        if (use_in_struct[bit / 8] != NOT_FLIPPED)
            flip(&heap[bit / 8], bit % 8, (enum cell_use)use_in_struct[bit / 8], true);
}

/* Signals end what goes on, and are not held back afterwards: nothing returns from their handlers. */
static void catch_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    static const struct itimerval tick = {{0, PATIENCE * 1000}, {0, PATIENCE * 1000}};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    action.sa_handler = on_tick;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
}

static void *map_between_guards(size_t bytes)
{
    size_t whole = (bytes + KNOLL_PAGE - 1) / KNOLL_PAGE * KNOLL_PAGE;
    unsigned char *start = mmap(NULL, whole + 2 * MIB(1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + MIB(1), whole, PROT_READ | PROT_WRITE) != 0)
        abort();
    return start + MIB(1);
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fputs("usage: bitflips STATES SEED EVERY\n", stderr);
        return 2;
    }
    arena_open();
    sound = map_between_guards(sizeof *sound);
    now = map_between_guards(sizeof *now);
    base = arena_at(MIB(1), 0) + MIB(8); /* with room before and behind, for what a broken link writes to */
    catch_signals();
    long states = strtol(arguments[1], NULL, 10);
    uint32_t seed = (uint32_t)strtoul(arguments[2], NULL, 10);
    size_t every = strtoul(arguments[3], NULL, 10);
    set_uses_in_struct();
    for (long i = 0; i < states; i++) {
        make_state(seed + (uint32_t)i);
        flip_every_bit((size_t)i, every);
        if ((i + 1) % 100 == 0)
            fprintf(stderr, "%s rung %d: %ld of %ld heaps\n", knoll_profile(), KNOLL_HARDEN, i + 1, states);
    }
    for (size_t use = 0; use < NOT_FLIPPED; use++) {
        printf("%s", uses[use]);
        for (size_t seen = 0; seen < 2; seen++)
            for (size_t i = 0; i < OUTCOMES; i++)
                printf(",%lu", tally[use][seen][i]);
        printf("\n");
    }
    return 0;
}
