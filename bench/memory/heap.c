/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include "knoll.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct knoll_heap knoll;

static const char *knoll_init_region(void *region, size_t size)
{
    int error = knoll_init(&knoll, region, size);
    return error == KNOLL_OK ? NULL : knoll_strerror(error);
}

static const char *knoll_name(void)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? "knoll-classic" : "knoll-compact";
}

static void *knoll_allocate(size_t alignment, size_t size)
{
    return knoll_aligned_alloc(&knoll, alignment, size);
}

static void knoll_give(void *block, size_t size)
{
    (void)size;
    knoll_free(&knoll, block);
}

const struct heap heap_knoll = {knoll_init_region, knoll_name, knoll_allocate, knoll_give, sizeof(struct knoll_heap)};

/* Stores the address of the peer's function in *function: through memory, because ISO C has no conversion for it. */
static void look_up(void *object, const char *path, const char *name, void *function)
{
    void *address = dlsym(object, name);
    if (address == NULL) {
        fprintf(stderr, "knoll-memory: %s: it has no function %s (see bench/peer.h)\n", path, name);
        exit(2);
    }
    memcpy(function, &address, sizeof address);
}

struct heap heap_load(const char *path)
{
    struct heap heap = {0};
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        fprintf(stderr, "knoll-memory: %s\n", dlerror());
        exit(2);
    }
    look_up(object, path, "peer_init", &heap.init);
    look_up(object, path, "peer_name", &heap.name);
    look_up(object, path, "peer_aligned_alloc", &heap.aligned_alloc);
    look_up(object, path, "peer_free", &heap.free);
    return heap;
}
