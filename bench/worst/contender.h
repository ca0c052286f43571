/* The heap under test, as the loads see it: linked in, one to a program, so that its functions are called as anybody
 * would call them and nothing stands between.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WORST_CONTENDER_H
#define WORST_CONTENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a call turned out to do. */
enum path {
    PATH_MAGAZINE, /* took what a magazine remembered, or had it remembered */
    PATH_SLAB,     /* took from or gave to a slab that stayed */
    PATH_RESIZE,   /* added a slab, or gave one back */
    PATH_LARGE,    /* took or gave a run */
    PATH_SHORT,    /* took from elsewhere than it would if memory sufficed */
    PATH_FAILED,   /* gave NULL */
    PATH_RECLAIM,  /* an allocation for which a slab was given back first, whatever came of it */
    PATH_COUNT
};

/* The functions of the heap that are called. */
enum entry {
    ENTRY_MALLOC,
    ENTRY_ALIGNED_ALLOC, /* with an alignment that every block has */
    ENTRY_ALIGNED_MORE,  /* the same function, with more */
    ENTRY_FREE,
    ENTRY_FREE_SIZED,
    ENTRY_COUNT
};

extern const char *const contender_name;
bool contender_init(void *start, size_t size);

/* A block as it was asked for. */
struct request {
    void *block;
    size_t size;
    size_t alignment; /* 8 where none is named */
};

/* Calls the heap once and returns by how much *count went up. With `really` false an empty function is called in its
 * place, by the same code: what that returns is to be subtracted. The allocating ones leave the result in
 * request->block. */
uint32_t contender_call(const volatile uint64_t *count, bool really, enum entry entry, struct request *request);

/* What the latest call did. To be asked after every call, because it compares with what it saw the time before. */
enum path contender_path(void);

#endif
