/* Every call of a client passes here on its way to knoll, so that the heap near its peak can be shown afterwards and
 * the calls be recorded. This costs a comparison for each call.
 *
 * SPDX-License-Identifier: MIT */
#include "client.h"

void *client_malloc(struct client_heap *heap, size_t size)
{
    void *block = knoll_malloc(&heap->heap, size);
    snapshot_follow_peak(&heap->peak, &heap->heap);
    if (heap->recorder != NULL && block != NULL) {
        record_allocation(heap->recorder, block, size);
    }
    return block;
}

void *client_realloc(struct client_heap *heap, void *block, size_t size)
{
    void *moved = knoll_realloc(&heap->heap, block, size);
    snapshot_follow_peak(&heap->peak, &heap->heap);
    if (heap->recorder != NULL && moved != NULL) {
        record_reallocation(heap->recorder, block, moved, size);
    }
    return moved;
}

void client_free(struct client_heap *heap, void *block)
{
    if (heap->recorder != NULL) {
        record_free(heap->recorder, block, TRACE_FREE);
    }
    knoll_free(&heap->heap, block);
}

void client_free_sized(struct client_heap *heap, void *block, size_t size)
{
    if (heap->recorder != NULL) {
        record_free(heap->recorder, block, TRACE_FREE_SIZED);
    }
    knoll_free_sized(&heap->heap, block, size);
}
