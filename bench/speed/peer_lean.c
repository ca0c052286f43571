/* knoll lean as a contender.
 *
 * SPDX-License-Identifier: MIT */
#include "knoll_lean.h"
#include "peer.h"

static struct knoll_lean_heap the_heap;

const char *peer_init(void *region, size_t size)
{
    return knoll_lean_init(&the_heap, region, size) == KNOLL_OK ? NULL : "knoll lean does not take this region";
}

const char *peer_name(void)
{
    return "knoll-lean/" KNOLL_VERSION;
}

void *peer_aligned_alloc(size_t alignment, size_t size)
{
    return knoll_lean_aligned_alloc(&the_heap, alignment, size);
}

void peer_free(void *block, size_t size)
{
    (void)size;
    knoll_lean_free(&the_heap, block);
}
