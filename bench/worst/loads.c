/* The loads: what a program does all day, and what somebody would do who wants a call to take long. Sizes are
 * log-uniform: each doubling is as likely as any other.
 *
 * mixed: a random one of 4,000 blocks of 8 to 65,536 bytes, or of as many as fit in half of the heap, is replaced.
 *
 * crowded: the same with as many blocks as the heap holds, and a quarter more, and so on up to three times as many, and
 * with 4,000, so that it is full in many ways and many calls fail.
 *
 * comb-64, comb-8192: the heap is filled with blocks of this size and every other one is freed; then requests come that
 * are tiny, that are a byte too big for the holes, and that are an eighth of the heap; then all is freed in random
 * order.
 *
 * tides: blocks come and go, first more come and then as many go, three times to fill ever more of the heap; sizes to a
 * third of the heap, from 8 bytes on, and of at least 500, and then with alignments too; half of the frees name size
 * and alignment.
 *
 * warm: blocks of one size are allocated and freed by turns, one to eight at a time: the calls that are meant to be the
 * shortest.
 *
 * SPDX-License-Identifier: MIT */
#include "loads.h"

#include <math.h>

#define CALLS        20000u
#define MIXED_BLOCKS 4000u
#define MIXED_MEAN   7272u /* of log-uniform sizes from 8 to 65,536 */

static size_t log_uniform(struct session *session, double least, double most)
{
    double part = session_random(session, UINT32_MAX) / (double)UINT32_MAX;
    return (size_t)(least * exp2(part * log2(most / least)) + 0.5);
}

static void replace(struct session *session, void **block, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++)
        block[i] = session_allocate(session, log_uniform(session, 8, 65536));
    for (uint32_t i = 0; i < CALLS; i++) {
        uint32_t victim = session_random(session, (uint32_t)blocks);
        session_free(session, block[victim]);
        block[victim] = session_allocate(session, log_uniform(session, 8, 65536));
    }
    for (size_t i = 0; i < blocks; i++)
        session_free(session, block[i]);
}

static void mixed(struct session *session, size_t heap_bytes, void **block)
{
    size_t fit = heap_bytes / 2 / MIXED_MEAN;
    replace(session, block, fit < MIXED_BLOCKS ? fit : MIXED_BLOCKS);
}

static void crowded(struct session *session, size_t heap_bytes, void **block)
{
    size_t held = heap_bytes / MIXED_MEAN;
    for (size_t quarters = 4; quarters <= 12; quarters++)
        replace(session, block, held * quarters / 4);
    replace(session, block, MIXED_BLOCKS);
}

static void free_at_random(struct session *session, void **block, uint32_t blocks)
{
    for (uint32_t left = blocks; left > 0; left--) {
        uint32_t i = session_random(session, left);
        session_free(session, block[i]);
        block[i] = block[left - 1];
    }
}

static void comb(struct session *session, size_t heap_bytes, void **block, size_t size)
{
    uint32_t blocks = 0;
    while ((block[blocks] = session_allocate(session, size)) != NULL)
        blocks++;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < blocks; i++) {
        if (i % 2 == 0)
            session_free(session, block[i]);
        else
            block[kept++] = block[i];
    }
    for (uint32_t i = 0; i < CALLS; i++) {
        const size_t sizes[] = {1 + session_random(session, 16), size + 1, heap_bytes / 8};
        block[kept] = session_allocate(session, sizes[session_random(session, 3)]);
        kept += block[kept] != NULL;
    }
    free_at_random(session, block, kept);
}

static void comb_64(struct session *session, size_t heap_bytes, void **block)
{
    comb(session, heap_bytes, block, 64);
}

static void comb_8192(struct session *session, size_t heap_bytes, void **block)
{
    comb(session, heap_bytes, block, 8192);
}

#define TIDES       6
#define TIDES_CALLS (CALLS / 2)

/* One tide: most of its first quarter's calls allocate, as many free as allocate then. */
static void tide(struct session *session, size_t heap_bytes, struct request *held, size_t most, unsigned number)
{
    double least = number % 3 == 1 ? 8 : number % 3 == 2 ? 500 : 1;
    double greatest = number % 2 != 0 ? 65536 : (double)heap_bytes / 3;
    size_t blocks = 0;
    for (uint32_t i = 0; i < TIDES_CALLS; i++) {
        uint32_t allocating = i < TIDES_CALLS / 4 ? 900 : 500; /* of 1,000 */
        if (blocks == 0 || (blocks < most && session_random(session, 1000) < allocating)) {
            bool aligns = number >= TIDES / 2 && session_random(session, 10) < 3;
            struct request request = {NULL, log_uniform(session, least, greatest),
                                      aligns ? (size_t)1 << session_random(session, 16) : 8};
            if (session_ask(session, &request))
                held[blocks++] = request;
        } else {
            size_t i_th = session_random(session, (uint32_t)blocks);
            session_give(session, &held[i_th], session_random(session, 2) == 0);
            held[i_th] = held[--blocks];
        }
    }
    while (blocks != 0) {
        size_t i_th = session_random(session, (uint32_t)blocks);
        session_give(session, &held[i_th], false);
        held[i_th] = held[--blocks];
    }
}

static void tides(struct session *session, size_t heap_bytes, void **block)
{
    struct request *held = (struct request *)(void *)block; /* a third as many */
    size_t room = LOAD_BLOCKS(heap_bytes) / 3;
    for (unsigned number = 0; number < TIDES; number++) {
        size_t most = heap_bytes / MIXED_MEAN * (1 + number) / 2 + 50;
        tide(session, heap_bytes, held, most < room ? most : room, number);
    }
}

static void warm(struct session *session, size_t heap_bytes, void **block)
{
    (void)heap_bytes;
    for (size_t size = 8; size <= 4096; size += size / 8) {
        for (uint32_t blocks = 1; blocks <= 8; blocks++) {
            for (uint32_t i = 0; i < blocks; i++)
                block[i] = session_allocate(session, size);
            for (uint32_t i = 0; i < blocks; i++)
                session_free(session, block[i]);
        }
    }
}

const struct load loads[LOAD_COUNT] = {
    {"mixed", mixed},         {"crowded", crowded}, {"comb-64", comb_64},
    {"comb-8192", comb_8192}, {"tides", tides},     {"warm", warm},
};
