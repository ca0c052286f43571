/* Simulated: 1 to 256 processors in virtual time. The real code runs, one call at a time, each for the processor whose
 * clock is least. A call costs as many cycles as it executes instructions, read from the plugin's counter around it,
 * and besides:
 *
 *   - LINE_CYCLES for each cache line that it writes and another processor has written last: that of the slab's entry,
 *     that of the owner's queue where it pushes, those of what it collects, and under the lock HEAP_LINES of the heap;
 *   - what it waits for the lock: the lock hook puts the clock forward to when the lock is free.
 *
 * What is counted is what knoll costs: a caller that does something else between its calls meets others less often. So
 * the processor count at which a load stops scaling is the least that it can be. Not simulated: caches that are too
 * small, instructions that overlap, and how the memory between processors slows down when many use it.
 *
 * SPDX-License-Identifier: MIT */
#include "cpu_table.h"
#include "cpus.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define LINE_CYCLES 100u /* from one processor's cache to another's, on one chip; about 50 ns at 2 GHz */
#define HEAP_LINES  4u   /* the class or list, the counts, the run's cells, its neighbour's */
#define LINE_BYTES  64u
#define RING        64u /* blocks on the way from a producer to its consumer */
#define TRACES      4u  /* different ones; more processors play the same */

/* A simulated processor. */
struct player {
    uint64_t clock;
    uint64_t waited; /* of that, for the lock */
    size_t next;     /* event of its trace */
    uint32_t taken;  /* blocks of its trace */
    void **block;    /* by number; a producer's, that are on the way */
};

struct load {
    const char *name;
    unsigned kind; /* of trace */
    size_t warm_up, events;
    bool is_pairs; /* odd players produce, even ones consume */
};

static const struct load loads[] = {
    {"own small", 0, 6000, 4000, false},
    {"own mixed", 1, 2000, 2000, false},
    {"pairs", 0, 1000, 3000, true},
    {"runs", 2, 200, 600, false},
};

static const volatile uint64_t *count;
static struct player player[KNOLL_CPUS + 1];
static struct trace trace[TRACES];
static unsigned players;

/* What the call that is running has cost so far, besides its instructions. */
static unsigned caller;
static uint64_t started, extra, hooks;
static uint64_t lock_is_free, hook_entered;
static unsigned lock_had;

/* Who wrote a cache line last: of entries by slab, of queues by number. And how many entries wait in these. */
static uint16_t *line_writer;
static unsigned queue_writer[KNOLL_CPUS + 1];
static unsigned queue_waits[KNOLL_CPUS + 1];

static uint64_t now(void)
{
    return player[caller].clock + (hook_entered - started - hooks) + extra;
}

static void lock(void *context)
{
    (void)context;
    hook_entered = *count;
    if (lock_is_free > now()) {
        player[caller].waited += lock_is_free - now();
        extra += lock_is_free - now();
    }
    if (lock_had != caller)
        extra += (1 + HEAP_LINES) * LINE_CYCLES;
    lock_had = caller;
    hooks += *count - hook_entered;
}

static void unlock(void *context)
{
    (void)context;
    hook_entered = *count;
    lock_is_free = now();
    hooks += *count - hook_entered;
}

static void touch_entry(const struct knoll_cpu_entry *entry)
{
    size_t line = (size_t)(entry - cpus.region[FIRST_REGION].entries) * sizeof *entry / LINE_BYTES;
    if (line_writer[line] != caller && line_writer[line] != 0)
        extra += LINE_CYCLES;
    line_writer[line] = (uint16_t)caller;
}

static void touch_queue(unsigned number)
{
    if (queue_writer[number] != caller && queue_writer[number] != 0)
        extra += LINE_CYCLES;
    queue_writer[number] = caller;
}

static void begin(unsigned number)
{
    caller = number;
    extra = 0;
    hooks = 0;
    started = *count;
}

static void end(void)
{
    player[caller].clock += *count - started - hooks;
}

static void *take(unsigned number, size_t size)
{
    struct knoll_cpu_queue *queue = &cpus.queue[number];
    uint32_t waiting = queue->last;
    struct cpu_place place;
    begin(number);
    void *block = knoll_cpu_malloc(&processor[number], size);
    end();
    if (block == NULL)
        fail("no memory for a block");
    if (knoll_cpu_find(&cpus, block, &place) && place.shape != NULL)
        touch_entry(place.entry);
    if (waiting != queue->last) { /* it collected */
        unsigned seen = queue_waits[number] < KNOLL_CPU_BATCH ? queue_waits[number] : KNOLL_CPU_BATCH;
        touch_queue(number);
        queue_waits[number] -= seen;
        extra += seen * LINE_CYCLES;
    }
    player[number].clock += extra;
    return block;
}

static void give(unsigned number, void *block)
{
    struct cpu_place place;
    bool is_slab = knoll_cpu_find(&cpus, block, &place) && place.shape != NULL;
    unsigned owner = is_slab ? entry_owner(place.entry) : number;
    bool pushes = owner != number && !entry_is_queued(place.entry);
    begin(number);
    knoll_cpu_free(&processor[number], block);
    end();
    if (is_slab)
        touch_entry(place.entry);
    if (pushes) {
        touch_queue(owner);
        queue_waits[owner]++;
    }
    player[number].clock += extra;
}

/* ---- Playing ---- */

static void play_own(unsigned number)
{
    struct player *own = &player[number];
    int32_t event = trace[number % TRACES].event[own->next++];
    if (event > 0)
        own->block[own->taken++] = take(number, (size_t)event);
    else
        give(number, own->block[~event]);
}

/* A consumer's `next` follows its producer's. Who cannot go on waits for the other. */
static void play_pair(unsigned number)
{
    unsigned producer = number - (number + 1) % 2;
    struct player *own = &player[number];
    struct player *other = &player[number == producer ? number + 1 : producer];
    void **ring = player[producer].block;
    if (number == producer && own->next - other->next < RING) {
        ring[own->next % RING] = take(number, 16 + (own->next * 37 + number) % 240);
        own->next++;
    } else if (number != producer && own->next < other->next) {
        give(number, ring[own->next++ % RING]);
    } else if (own->clock <= other->clock) {
        own->clock = other->clock + 1;
    }
}

/* Those who have something to do, as a heap of which the first has the least clock. */
static unsigned waiting[KNOLL_CPUS];
static unsigned waiting_count;

static void sift(unsigned place)
{
    for (unsigned child; (child = 2 * place + 1) < waiting_count; place = child) {
        if (child + 1 < waiting_count && player[waiting[child + 1]].clock < player[waiting[child]].clock)
            child++;
        if (player[waiting[place]].clock <= player[waiting[child]].clock)
            return;
        unsigned moved = waiting[place];
        waiting[place] = waiting[child];
        waiting[child] = moved;
    }
}

/* Has each player go on to this event. */
static void play(const struct load *load, size_t limit)
{
    for (unsigned i = 0; i < players; i++)
        waiting[i] = i + 1;
    for (unsigned i = waiting_count = players; i-- > 0;)
        sift(i);
    while (waiting_count > 0) {
        unsigned number = waiting[0];
        if (load->is_pairs)
            play_pair(number);
        else
            play_own(number);
        if (player[number].next == limit)
            waiting[0] = waiting[--waiting_count];
        sift(0);
    }
}

static void start_clocks(void)
{
    for (unsigned i = 1; i <= players; i++)
        player[i].clock = player[i].waited = 0;
    lock_is_free = 0;
}

static void run(const struct load *load, unsigned processors)
{
    size_t size = ((size_t)processors + 4) << (load->kind == 0 ? 21 : 24);
    players = processors;
    make_heap(size, players, lock, unlock, NULL);
    size_t entries = size >> GROUP_BYTES_SHIFT; /* more than there are */
    line_writer = calloc(entries * sizeof(struct knoll_cpu_entry) / LINE_BYTES + 1, sizeof *line_writer);
    memset(player, 0, sizeof player);
    memset(queue_writer, 0, sizeof queue_writer);
    memset(queue_waits, 0, sizeof queue_waits);
    for (unsigned i = 1; i <= players; i++)
        player[i].block = calloc(load->warm_up + load->events, sizeof(void *));
    play(load, load->warm_up);
    start_clocks();
    play(load, load->warm_up + load->events);

    double cycles = 0, waited = 0, pairs_per_cycle = 0;
    for (unsigned i = 1; i <= players; i++) {
        cycles += (double)player[i].clock;
        waited += (double)player[i].waited;
        pairs_per_cycle += (double)load->events / 2 / (double)player[i].clock;
        free(player[i].block);
    }
    report(processors, load->name, "pairs_per_1000_cycles", 1000 * pairs_per_cycle);
    report(processors, load->name, "lock_wait_percent", 100 * waited / cycles);
    free(line_writer);
}

void simulate(const volatile uint64_t *instructions)
{
    count = instructions;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        for (unsigned seed = 0; seed < TRACES; seed++)
            trace[seed] = trace_make(loads[i].kind, seed + 1, false);
        for (unsigned processors = loads[i].is_pairs ? 2 : 1; processors <= KNOLL_CPUS; processors *= 2)
            run(&loads[i], processors);
        for (unsigned seed = 0; seed < TRACES; seed++)
            trace_free(&trace[seed]);
    }
}
