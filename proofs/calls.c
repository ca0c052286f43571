/* Every sequence of CALLS calls on a heap, run by Eva, which proves of each of its steps that it does nothing
 * undefined: no access outside of the struct and the region, none to what was not written, no shift or sum out of
 * range.
 *
 * Sizes are intervals, each of all sizes that are served alike; so what is shown holds for every size in them.
 * Addresses are numbers, because the core calculates with them: the region is at REGION and the struct at HEAP, and
 * nothing else of memory is valid.
 *
 * SPDX-License-Identifier: MIT */
#include "classes.c"
#include "region.c"
#include "pages_buddy.c"
#include "pages_runs.c"
#include "slab.c"
#include "large.c"
#include "blocks.c"
#include "heap.c"
#include "batch.c"
#include "__fc_builtin.h"

#ifndef CALLS
#define CALLS 3
#endif

#define REGION ((unsigned char *)0x100000)
#define SIZE   KNOLL_MINIMUM_HEAP
#define HEAP   ((struct knoll_heap *)0x200000)
#define SLOTS  3

static void *slot[SLOTS];

static void on_fault(struct knoll_heap *heap, enum knoll_fault fault, const void *address)
{
    (void)heap, (void)fault, (void)address;
}

static size_t size_from(size_t least, size_t most)
{
    return (size_t)Frama_C_unsigned_long_interval(least, most);
}

static void hold(void *block)
{
    for (int i = 0; i < SLOTS; i++) {
        if (slot[i] == NULL) {
            slot[i] = block;
            return;
        }
    }
    knoll_free(HEAP, block);
}

static void call(void)
{
    void *blocks[2];
    switch (Frama_C_interval(0, 10)) {
    case 0:
        hold(knoll_malloc(HEAP, size_from(1, 32)));
        break;
    case 1:
        hold(knoll_malloc(HEAP, size_from(513, 576)));
        break;
    case 2:
        hold(knoll_malloc(HEAP, size_from(4097, 4608)));
        break;
    case 3:
        hold(knoll_aligned_alloc(HEAP, 256, size_from(1, 32)));
        break;
    case 4:
        hold(knoll_calloc(HEAP, 1, 40));
        break;
    case 5:
        knoll_free(HEAP, slot[0]);
        slot[0] = NULL;
        break;
    case 6:
        knoll_free(HEAP, slot[1]);
        slot[1] = NULL;
        break;
    case 7:
        hold(knoll_realloc(HEAP, slot[0], 600));
        slot[0] = NULL;
        break;
    case 8: /* an address inside a block, one beyond the region, and freed twice */
        knoll_free(HEAP, slot[0] == NULL ? REGION + SIZE : (unsigned char *)slot[0] + 8);
        knoll_free(HEAP, REGION + SIZE - 16);
        break;
    case 9:
        knoll_free_sized(HEAP, slot[0], size_from(1, 32));
        slot[0] = NULL;
        break;
    default:
        knoll_free_batch(HEAP, blocks, knoll_malloc_batch(HEAP, size_from(33, 48), 2, blocks));
        break;
    }
}

int main(void)
{
    int error = knoll_init(HEAP, REGION, SIZE);
    //@ check made: error == KNOLL_OK;
    knoll_set_fault_handler(HEAP, on_fault);
    for (int i = 0; i < CALLS; i++)
        call();
    //@ check used: HEAP->headroom <= HEAP->peak <= HEAP->total;
    return 0;
}
