/* Blocks that are given back from elsewhere (src/cpu_queue.c, cpu.c, cpu_heap.c), for Spin: every order in which three
 * processors can do their steps is tried.
 *
 * There are GROUPS slabs of two blocks each. Three processes stand for processors:
 *   Owner   number 1: takes blocks of its slabs, frees its own, looks through its queue; with MOVES gives slabs back, adopts
 *           them, goes off and comes again
 *   Remote  frees whatever is held, from elsewhere
 *   Other   number 2. With STEALS it takes blocks out of the owner's queue, without the lock; with MOVES it looks
 *           through the queue of nobody, and the owner's while that is off, adopts slabs, takes from them, looks through
 *           its own queue and gives slabs back; with neither it frees, as a second Remote
 * Each reading or writing of what is shared is a step of its own, and an atomic operation is one step. A step is done
 * together with another only if it is of what nobody else can see at the time, or takes a lock before or releases one
 * after it. An interrupt, maskable or not, is one process more that does its steps while the one it came upon stands
 * still: so a run with two that free has all that an interrupt in the middle of a free can do, between the exchange and
 * the link too, and every run has what one can do in the middle of the owner's calls. The processes go on for ever, so that all that can be reached by any number of calls is tried.
 *
 * Properties, held to by assertions:
 *   1. No block is handed out while a caller holds it or is about to give it back.
 *   2. A group is in at most one queue, once.
 *   3. No returned block is lost: whenever all processors are between two calls, each block is held, in `free` or in
 *      `returned`, and each group with returned blocks is reached from a queue to its end.
 *   4. Who gives back does at most STEPS steps on what is shared. None waits: were there one that could, all others
 *      stopped, Spin would report an invalid end state.
 *   5. Nothing is reported as freed twice, and what is taken from a queue with returned blocks is a slab still.
 *   With MISUSE the remote processor also frees what it does not hold, at any moment, also at the same one as the owner.
 *   Then 5 does not hold; 1 to 4 do, because what is in `free` and in `returned` is not handed out. A block that is
 *   freed while it is being handed out is lost to its new holder, as with any free of somebody else's block.
 *
 * Memory is sequentially consistent here: Spin knows no weaker. That the program behaves so is what its pairs of
 * acquire and release are for, which this model does not test:
 *   - the OR into `returned`, the look at next_queued after it, the writing of QUEUE_NOT and the look at `returned` after
 *     that: all sequentially consistent, so that here too one of the two sees what the other did;
 *   - the AND that takes bits from `returned` (release): that a bit was moved to `free` is seen by who finds it gone;
 *   - the exchange of a queue's `last` (acquire and release): QUEUE_CUT comes before the next link;
 *   - the link (release) and its reading (acquire): what was pushed before is seen with it;
 *   - `busy` (exchange with acquire, store with release): `rest` passes from one who looks through a queue to the next;
 *   - the lock, which is whoever's provides it: owners and the heap's words.
 *
 * Mistakes that are seeded by a definition, and must be found: MISTAKE_PUSH: every return pushes, queued or not;
 * MISTAKE_MOVED: a group whose owner changed is not pushed again; MISTAKE_ACCEPT: accept takes bits away that it did not
 * move; MISTAKE_THIEF: who steals does not push again what is left; MISTAKE_LOOK: who returns a block looks at `free` after
 * the OR too; MISTAKE_GONE: groups of which nothing is returned are not left alone. With MISUSE, MISTAKE_UNMASKED:
 * blocks are handed out of `free` without a look at `returned`.
 *
 * SPDX-License-Identifier: MIT */

#ifndef GROUPS
#define GROUPS 2
#endif
#define ALL 3 /* the blocks of a slab: bits 1 and 2 */

#define NOT 0 /* in queues groups stand as their number plus 1 */
#define CUT 6
#define END 7

#define NOBODY 0
#define OWNER  1
#define OTHER  2
#define QUEUES 3

#define STEPS 7 /* an OR, looks at `free` and next_queued, compare-and-exchange, the owner, an exchange, the link */

typedef Entry {
    byte free;
    byte returned;
    byte next;
    byte owner
};

typedef Queue {
    byte last;
    byte rest;
    bit busy
};

Entry entry[GROUPS];
Queue queue[QUEUES];
bit locked;
bit is_off; /* the owner */

/* What only the assertions look at. */
byte held[GROUPS];    /* by callers */
byte leaving[GROUPS]; /* a caller has called free, and the block is in neither word yet */
bit queued[GROUPS];
bit is_gone[GROUPS]; /* to the page layer */

/* ---- Callers ---- */

#if GROUPS == 1
#define EACH(condition)                                                                                                \
    :: condition(0, 1) -> g = 0; b = 1                                                                                 \
    :: condition(0, 2) -> g = 0; b = 2
#else
#define EACH(condition)                                                                                                \
    :: condition(0, 1) -> g = 0; b = 1                                                                                 \
    :: condition(0, 2) -> g = 0; b = 2                                                                                 \
    :: condition(1, 1) -> g = 1; b = 1                                                                                 \
    :: condition(1, 2) -> g = 1; b = 2
#endif
#define IS_HELD(group, block)     (held[group] & (block))
#define IS_MINE(group, block)     (held[group] & (block)) && entry[group].owner == me
#define IS_ANY(group, block)      true
#define OWNS(group, block)        entry[group].owner == me && (block) == 1
#define MAY_GIVE_UP(group, block) !locked && entry[group].owner == me && (block) == 1
#define MAY_ADOPT(group, block)   !locked && entry[group].owner == NOBODY && entry[group].free != 0 && (block) == 1

inline hand_out(g, b)
{
    assert(!((held[g] | leaving[g]) & b));
    held[g] = held[g] | b
}

inline call_free(g, b)
{
    held[g] = held[g] & ~b;
    leaving[g] = leaving[g] | b
}

/* From here on the block may be handed out again. In misuse, whoever holds it has lost it. */
inline let_go(g, b)
{
#ifndef MISUSE
    assert(leaving[g] & b);
#endif
    leaving[g] = leaving[g] & ~b;
    held[g] = held[g] & ~b
}

inline refuse(g, b)
{
#ifndef MISUSE
    assert(false);
#endif
    leaving[g] = leaving[g] & ~b
}

/* A caller who holds it calls free. */
inline choose_held(g, b)
{
    if
    EACH(IS_HELD)
    fi;
    call_free(g, b)
}

/* ---- Giving back: knoll_cpu_push and knoll_cpu_return ---- */

inline push(g, to, before, steps)
{
    if
    :: atomic { entry[g].next != NOT -> steps++ }
    :: atomic { entry[g].next == NOT -> entry[g].next = CUT; steps++ };
        atomic { to = entry[g].owner; steps++ };
        atomic {
            before = queue[to].last;
            queue[to].last = g + 1;
            to = 0;
            steps++;
            assert(!queued[g]);
            queued[g] = 1
        };
        atomic { entry[g].next = before; steps++; before = 0 }
    fi
}

inline forget(g, b, before, steps)
{
    assert(steps <= STEPS);
    steps = 0;
    before = 0;
    g = 0;
    b = 0
}

inline return_block(g, b, to, before, steps)
{
    if
    :: atomic { (entry[g].free & b) != 0 -> steps++; refuse(g, b) }
    :: atomic { (entry[g].free & b) == 0 -> steps++ };
        atomic {
            before = entry[g].returned & b;
            entry[g].returned = entry[g].returned | b;
            steps++;
            if
            :: before != 0 -> refuse(g, b)
            :: else -> let_go(g, b)
            fi
        };
#ifdef MISTAKE_LOOK
        if
        :: atomic { (entry[g].free & b) != 0 -> refuse(g, b) }
        :: else
        fi;
#endif
#ifdef MISTAKE_PUSH
        entry[g].next = NOT;
#endif
        if
        :: before != 0
        :: before == 0 ->
            if
            :: atomic { entry[g].next != NOT -> steps++ }
            :: atomic { entry[g].next == NOT -> steps++ };
                push(g, to, before, steps)
            fi
        fi
    fi;
    atomic { forget(g, b, before, steps) }
}

/* ---- Looking through queues: knoll_cpu_queue_open and _take; closing is done with the last step ---- */

/* `first` becomes the group plus 1, or 0 if there is none that can be looked at now. Who cannot open it gets none. */
inline open_and_take(q, first, link)
{
    if
    :: queue[q].busy
    :: atomic { !queue[q].busy -> queue[q].busy = 1; first = queue[q].rest };
        if
        :: first != END
        :: atomic { first == END && queue[q].last == END -> first = 0 }
        :: atomic { first == END && queue[q].last != END -> first = queue[q].last; queue[q].last = END }
        fi;
        if
        :: first == 0
        :: atomic { first != 0 && entry[first - 1].next == CUT -> queue[q].rest = first; first = 0 }
        :: atomic { first != 0 && entry[first - 1].next != CUT -> link = entry[first - 1].next };
        atomic {
entry[first - 1].next = NOT;
                queue[q].rest = link;
                queued[first - 1] = 0;
                link = 0
            }
        fi;
        if
        :: first == 0 -> queue[q].busy = 0
        :: else
        fi
    fi
}

/* knoll_cpu_accept. Nobody else writes `free` meanwhile, but all may read it. A group of which nothing is returned is
 * left alone before: it may be a slab no more. */
inline accept(g, bits)
{
    if
#ifndef MISTAKE_GONE
    :: entry[g].returned == 0
    :: atomic { entry[g].returned != 0 ->
#else
    :: atomic { true ->
#endif
            bits = entry[g].returned;
#ifndef MISUSE
            assert(!is_gone[g] && (bits & entry[g].free) == 0)
#endif
        };
        entry[g].free = entry[g].free | bits;
        atomic {
#ifdef MISTAKE_ACCEPT
            bits = ALL;
#endif
            entry[g].returned = entry[g].returned & ~bits;
            bits = 0
        }
    fi
}

/* ---- The owner's side (cpu.c) ---- */

/* take_here: whoever calls it is the only one to write `free`. */
inline take_here(g, b, seen)
{
    atomic {
        if
        EACH(OWNS)
        fi;
        b = entry[g].free
    };
    seen = entry[g].returned;
    atomic {
#ifndef MISTAKE_UNMASKED
        b = b & ~seen;
#endif
        if
        :: b != 0 ->
            b = ((b & 1) -> 1 : 2);
            entry[g].free = entry[g].free & ~b;
            hand_out(g, b);
#ifdef MISUSE
            held[g] = held[g] & ~(entry[g].returned & ~seen & b) /* freed during this call */
#endif
        :: else
        fi;
        seen = 0;
        g = 0;
        b = 0
    }
}

/* knoll_cpu_free of a block of its own slab. */
inline give_here(g, b, seen)
{
    atomic {
        if
        EACH(IS_MINE)
        fi;
        call_free(g, b);
        seen = (entry[g].free | entry[g].returned) & b
    };
    atomic {
        if
        :: seen -> refuse(g, b)
        :: else -> let_go(g, b); entry[g].free = entry[g].free | b
        fi;
        seen = 0;
        g = 0;
        b = 0
    }
}

/* collect, one group of it. */
inline look_through_own(g, link, bits, seen, steps)
{
    open_and_take(me, g, link);
    if
    :: g == 0
    :: else ->
        if
        :: entry[g - 1].owner == me -> accept(g - 1, bits)
        :: entry[g - 1].owner != me ->
#ifdef MISTAKE_MOVED
            skip
#else
            push(g - 1, bits, seen, steps)
#endif
        fi;
        atomic { queue[me].busy = 0; g = 0; steps = 0 }
    fi
}

/* take_from_queue, one group of it. */
inline steal(q, g, link, left, right, steps)
{
    open_and_take(q, g, link);
    if
    :: g == 0
    :: else ->
        left = entry[g - 1].returned;
        right = left & ~entry[g - 1].free;
        atomic {
            if
            :: right != 0 ->
                right = ((right & 1) -> 1 : 2);
                left = entry[g - 1].returned & ~right;
                entry[g - 1].returned = left;
                hand_out(g - 1, right);
                right = 0
            :: else
            fi
        };
        if
        :: left == 0
        :: else ->
            left = 0;
#ifdef MISTAKE_THIEF
            skip
#else
            push(g - 1, left, right, steps)
#endif
        fi;
        atomic { queue[q].busy = 0; g = 0; left = 0; steps = 0 }
    fi
}

/* ---- Under the lock (cpu_heap.c) ---- */

inline lock()
{
    atomic { !locked -> locked = 1 }
}

/* knoll_cpu_give_back. A slab of which all blocks are free goes back to the page layer. */
inline give_back(g)
{
    entry[g].owner = NOBODY;
    if
    :: entry[g].free == ALL ->
#ifndef MISUSE
        assert(entry[g].returned == 0);
#endif
        is_gone[g] = 1
    :: else
    fi
}

inline give_up(g, b)
{
    atomic {
        if
        EACH(MAY_GIVE_UP)
        fi;
        give_back(g);
        g = 0;
        b = 0
    }
}

inline adopt(g, b)
{
    atomic {
        if
        EACH(MAY_ADOPT)
        fi;
        entry[g].owner = me;
        is_gone[g] = 0;
        g = 0;
        b = 0
    }
}

/* collect of cpu_heap.c, one group of it. */
inline look_through_common(q, g, link, bits, seen, steps)
{
    open_and_take(q, g, link);
    if
    :: g == 0
    :: else ->
        if
        :: entry[g - 1].owner == NOBODY || entry[g - 1].owner == q ->
            accept(g - 1, bits);
            atomic {
                if
                :: !is_gone[g - 1] -> give_back(g - 1)
                :: else
                fi
            }
        :: entry[g - 1].owner != NOBODY && entry[g - 1].owner != q -> push(g - 1, bits, seen, steps)
        fi;
        atomic { queue[q].busy = 0; g = 0; steps = 0 }
    fi
}

/* ---- The processors ---- */

proctype Owner(byte me)
{
    byte g, b, link, bits, seen, steps;
end:
    do
    :: take_here(g, b, seen)
    :: give_here(g, b, seen)
    :: look_through_own(g, link, bits, seen, steps)
#ifdef MOVES
    :: give_up(g, b)
    :: adopt(g, b)
    :: atomic { !locked -> is_off = 1 };
        atomic { !locked -> is_off = 0 }
#endif
    od
}

proctype Remote()
{
    byte g, b, to, before, steps;
end:
    do
    :: atomic { choose_held(g, b) };
        return_block(g, b, to, before, steps)
#ifdef MISUSE
    :: atomic {
            if
            EACH(IS_ANY)
            fi
        };
        return_block(g, b, to, before, steps)
#endif
    od
}

proctype Other(byte me)
{
    byte g, b, link, bits, seen, steps;
end:
    do
#ifdef STEALS
    :: steal(OWNER, g, link, bits, seen, steps)
#endif
#ifdef MOVES
    :: lock(); look_through_common(NOBODY, g, link, bits, seen, steps); locked = 0
    :: atomic { !locked && is_off -> locked = 1 };
        look_through_common(OWNER, g, link, bits, seen, steps); locked = 0
    :: adopt(g, b)
    :: take_here(g, b, seen)
    :: give_up(g, b)
    :: look_through_own(g, link, bits, seen, steps)
#endif
#if !defined(STEALS) && !defined(MOVES)
    :: atomic { choose_held(g, b) };
        return_block(g, b, link, bits, steps)
#endif
    od
}

/* ---- Between calls ---- */

/* Follows a chain to its end and notes in `reached` what is in it. */
inline follow(from)
{
    x = from;
    do
    :: x == END -> break
    :: else ->
        assert(x != CUT && !(reached & (1 << x)));
        reached = reached | (1 << x);
        x = entry[x - 1].next
    od
}

init
{
    byte g, q, x, reached;
    atomic {
        do
        :: g == GROUPS -> break
        :: else -> entry[g].free = ALL; entry[g].owner = OWNER; g++
        od;
        g = 0;
        do
        :: q == QUEUES -> break
        :: else -> queue[q].last = END; queue[q].rest = END; q++
        od;
        q = 0;
        run Owner(OWNER); run Remote(); run Other(OTHER)
    };
end:
    do
    :: atomic { Owner[1]@end && Remote[2]@end && Other[3]@end ->
        d_step {
            do
            :: q == QUEUES -> break
            :: else ->
                follow(queue[q].rest);
                follow(queue[q].last);
                q++
            od;
            do
            :: g == GROUPS -> break
            :: else ->
                assert(queued[g] == ((reached & (1 << (g + 1))) != 0));
                assert(queued[g] == (entry[g].next != NOT) && (queued[g] || entry[g].returned == 0));
                assert(leaving[g] == 0 && (entry[g].free | entry[g].returned | held[g]) == ALL);
                assert((held[g] & (entry[g].free | entry[g].returned)) == 0);
                g++
            od;
            g = 0;
            q = 0;
            x = 0;
            reached = 0
        } }
    od
}
