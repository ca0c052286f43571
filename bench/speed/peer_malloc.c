/* A malloc as a contender: that of a library, loaded under its own handle, so that several live side by side and none
 * takes the place of the process's own, which is found by the C library's file name. HOST_LIBRARY is the file's name,
 * HOST_NAME the contender's.
 *
 * malloc is called where it gives the alignment anyway, as any program would.
 *
 * SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"

static void *(*allocate)(size_t);
static void *(*allocate_aligned)(size_t, size_t);
static void (*release)(void *);
static char name[64] = HOST_NAME;

/* By copying, because C has no conversion from an object's address to a function's. */
static bool find(void *library, const char *symbol, void *function)
{
    void *address = dlsym(library, symbol);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

/* Each library has its own way to tell. */
static void add_version(void *library)
{
    int (*mimalloc)(void);
    int (*jemalloc)(const char *, void *, size_t *, void *, size_t);
    const char *(*tcmalloc)(int *, int *, const char **);
    const char *(*glibc)(void);
    char digits[32];
    const char *version = digits;
    size_t size = sizeof version;
    int major;
    int minor;
    if (find(library, "mi_version", &mimalloc)) {
        int number = mimalloc();
        snprintf(digits, sizeof digits, "%d.%d.%d", number / 100, number / 10 % 10, number % 10);
    } else if (find(library, "tc_version", &tcmalloc)) {
        const char *patch;
        tcmalloc(&major, &minor, &patch);
        snprintf(digits, sizeof digits, "%d.%d%s", major, minor, patch);
    } else if (find(library, "mallctl", &jemalloc)) {
        if (jemalloc("version", &version, &size, NULL, 0) != 0)
            return;
    } else if (find(library, "gnu_get_libc_version", &glibc)) { /* every library depends on it: so the last to ask */
        version = glibc();
    } else {
        return;
    }
    snprintf(name, sizeof name, HOST_NAME "/%.*s", (int)strcspn(version, "-"), version);
}

const char *peer_name(void)
{
    return name;
}

const char *peer_init(void *region, size_t size)
{
    (void)region;
    (void)size;
    if (release != NULL)
        return NULL;
    void *library = dlopen(HOST_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return dlerror();
    if (!find(library, "malloc", &allocate) || !find(library, "memalign", &allocate_aligned) ||
        !find(library, "free", &release))
        return "it has no malloc, memalign and free";
    add_version(library);
    return NULL;
}

void *peer_aligned_alloc(size_t alignment, size_t size)
{
    return alignment <= alignof(max_align_t) ? allocate(size) : allocate_aligned(alignment, size);
}

void peer_free(void *block, size_t size)
{
    (void)size;
    release(block);
}
