/* Calls on the heap under test, counted and tallied by the function called and by what it did.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_SESSION_H
#define WORST_SESSION_H

#include "contender.h"
#include "counter.h"

#define SHARES      8    /* of calls, by the number of their instructions */
#define WORST_SAVED 4096 /* addresses of the worst call that are kept */

struct tally {
    uint64_t calls;
    uint64_t share[SHARES];
    uint32_t most;  /* instructions in one call: the worst */
    uint32_t saved; /* addresses, if the plugin traces; those of the empty call around it included */
    uint64_t address[WORST_SAVED];
};

struct session {
    struct counter *counter;
    enum entry allocating; /* by which function */
    uint64_t random;
    uint32_t empty[ENTRY_COUNT]; /* what an empty call takes */
    struct tally tally[ENTRY_COUNT][PATH_COUNT];
};

extern const uint32_t session_share_limit[SHARES]; /* the most instructions that count towards each share */

/* Measures the empty calls and forgets all others. */
void session_start(struct session *session);

void *session_allocate(struct session *session, size_t size);
void session_free(struct session *session, void *block); /* NULL is not passed on */

/* The same, with an alignment, and with or without naming size and alignment. False if there is no memory. */
bool session_ask(struct session *session, struct request *request);
void session_give(struct session *session, struct request *request, bool is_sized);

/* Evenly from 0 to below - 1. */
uint32_t session_random(struct session *session, uint32_t below);

#endif
