/* Loading contenders. Nothing is ever unloaded: a malloc's threads and exit handlers would not survive it.
 *
 * SPDX-License-Identifier: MIT */
#include "contender.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* By copying, because C has no conversion from an object's address to a function's. */
static bool find(void *library, const char *symbol, void *function)
{
    void *address = dlsym(library, symbol);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

const char *contender_load(struct contender *contender, const char *file, void *region, size_t size)
{
    const char *(*name)(void);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return dlerror();
    if (!find(library, "peer_init", &contender->init) || !find(library, "peer_name", &name) ||
        !find(library, "peer_aligned_alloc", &contender->aligned_alloc) ||
        !find(library, "peer_free", &contender->free))
        return dlerror();
    const char *problem = contender->init(region, size);
    if (problem != NULL)
        return problem;
    const char *full = name();
    size_t length = strcspn(full, "/");
    const char *version = full[length] == '/' ? full + length + 1 : "";
    snprintf(contender->name, sizeof contender->name, "%.*s", (int)length, full);
    snprintf(contender->version, sizeof contender->version, "%s", version);
    return NULL;
}
