/* knoll as a contender. Compiled together with the core as one translation unit, as the library is, once for each
 * profile and each way to free.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll.h"
#include "peer.h"

#if KNOLL_PROFILE == KNOLL_CLASSIC
#define PROFILE "classic"
#else
#define PROFILE "compact"
#endif

static struct knoll_heap the_heap;

const char *peer_init(void *region, size_t size)
{
    int error = knoll_init(&the_heap, region, size);
    return error == KNOLL_OK ? NULL : knoll_strerror(error);
}

void *peer_aligned_alloc(size_t alignment, size_t size)
{
    return knoll_aligned_alloc(&the_heap, alignment, size);
}

#ifdef PEER_SIZED

const char *peer_name(void)
{
    return "knoll-" PROFILE "-sized/" KNOLL_VERSION;
}

void peer_free(void *block, size_t size)
{
    knoll_free_sized(&the_heap, block, size);
}

#else

const char *peer_name(void)
{
    return "knoll-" PROFILE "/" KNOLL_VERSION;
}

void peer_free(void *block, size_t size)
{
    (void)size;
    knoll_free(&the_heap, block);
}

#endif
