/* Counting one call: by how much the counter went up, less what it goes up by around a call of a function that only
 * returns, plus that one return. So what counts is all that the function executes, from its first instruction to its
 * return, and neither the call nor the arguments' loading. The tally is made afterwards and outside of what is counted.
 *
 * SPDX-License-Identifier: MIT */
#include "session.h"

const uint32_t session_share_limit[SHARES] = {18, 22, 35, 50, 75, 107, 200, UINT32_MAX};

void session_start(struct session *session)
{
    *session = (struct session){.counter = session->counter};
    for (enum entry entry = 0; entry < ENTRY_COUNT; entry++) {
        struct request request = {NULL, 1, 8};
        session->empty[entry] = contender_call(&session->counter->instructions, false, entry, &request);
    }
}

/* Keeps the addresses of the instructions from number `start` on, which are zeros if the plugin does not trace. */
static void save_worst(struct tally *tally, const struct counter *counter, uint64_t start, uint32_t length)
{
    tally->saved = length < WORST_SAVED ? length : WORST_SAVED;
    for (uint32_t i = 0; i < tally->saved; i++)
        tally->address[i] = counter->address[(start + i) % COUNTER_TRACE];
}

static void call(struct session *session, enum entry entry, struct request *request)
{
    uint64_t start = session->counter->instructions;
    uint32_t own = contender_call(&session->counter->instructions, true, entry, request) - session->empty[entry] + 1;
    uint64_t end = session->counter->instructions;

    struct tally *tally = &session->tally[entry][contender_path()];
    unsigned share = 0;
    while (own > session_share_limit[share])
        share++;
    tally->share[share]++;
    tally->calls++;
    if (own > tally->most) {
        tally->most = own;
        save_worst(tally, session->counter, start, (uint32_t)(end - start));
    }
}

void *session_allocate(struct session *session, size_t size)
{
    struct request request = {NULL, size, 8};
    call(session, session->allocating, &request);
    return request.block;
}

void session_free(struct session *session, void *block)
{
    struct request request = {block, 0, 0};
    if (block != NULL)
        call(session, ENTRY_FREE, &request);
}

bool session_ask(struct session *session, struct request *request)
{
    call(session, request->alignment > 16 ? ENTRY_ALIGNED_MORE : session->allocating, request);
    return request->block != NULL;
}

void session_give(struct session *session, struct request *request, bool is_sized)
{
    call(session, is_sized ? ENTRY_FREE_SIZED : ENTRY_FREE, request);
}

uint32_t session_random(struct session *session, uint32_t below)
{
    session->random ^= session->random << 13; /* Marsaglia, Xorshift RNGs, 2003 */
    session->random ^= session->random >> 7;
    session->random ^= session->random << 17;
    return (uint32_t)((session->random >> 32) * below >> 32);
}
