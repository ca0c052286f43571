/* The programs that are run, and the heap as it is presented to them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_CLIENT_H
#define RUN_CLIENT_H

#include "answers.h"
#include "knoll.h"
#include "record.h"
#include "report.h"

/* A heap, and what is learnt as a client's calls pass. */
struct client_heap {
    struct knoll_heap heap;
    struct snapshot peak;
    struct recorder *recorder; /* NULL unless the client is recorded */
};

void *client_malloc(struct client_heap *heap, size_t size);
void *client_realloc(struct client_heap *heap, void *block, size_t size);
void client_free(struct client_heap *heap, void *block);
void client_free_sized(struct client_heap *heap, void *block, size_t size);

/* A program that runs scripts. Those functions that return a string return NULL when all went well, otherwise what the
 * program says about it. There is one at a time. */
struct client {
    const char *name; /* of its directory, too */
    const char *title;
    const char *extension;
    const char *const *scripts; /* run in this order; ends in NULL */
    const char *(*start)(struct client_heap *heap, unsigned load);
    const char *(*run)(const char *path, struct answers *answers);
    void (*stop)(void); /* after start in any case */
};

extern const struct client client_lua;
extern const struct client client_sqlite;

#endif
