/* Size classes: which block sizes slabs are cut into, and the arithmetic that goes with them. A profile is this table
 * and a page layer.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CLASSES_H
#define KNOLL_CLASSES_H

#include "region.h"

/* What the slabs of a class are like. size = odd << rotate. */
struct knoll_shape {
    uint64_t blocks;   /* the bits of a slab's word that stand for a block */
    uint32_t inverse;  /* of odd, modulo 2^32 */
    uint32_t low;      /* the slab's bytes, less one: the bits of an address that say where in the slab it is */
    uint32_t capacity; /* blocks: 1 to 64 */
    uint16_t size;     /* of a block */
    uint8_t rotate;
    uint8_t size_class;
};

extern const struct knoll_shape knoll_shapes[KNOLL_CLASS_COUNT];

/* The shape that region_shape says, SHAPE_SLAB included. */
static inline const struct knoll_shape *shape_of(size_t shape)
{
    return (const struct knoll_shape *)((uintptr_t)knoll_shapes - SHAPE_SLAB * sizeof(struct knoll_shape)) + shape;
}

#define CLASS_LARGE KNOLL_CLASS_COUNT /* not a class: such a request is served by a run */

/* A block's index in its slab is the number of its bit in the slab's word. In compact the blocks are numbered one by
 * one. In classic a block has the number of the 64 bytes that it starts with, so that the address alone tells it. */
#define INDEX_SHIFT 6 /* in classic */

/* The index of the block that starts `offset` bytes into a slab of this shape, exact or not at all: where offset is
 * no multiple of the size the result is one that no block has. In compact it is 2^20 or more then: multiplying by the
 * inverse divides exactly if odd divides it, and gives more than 2^32 / odd - 1 otherwise; the rotation divides by
 * 2^rotate in the same way (Warren, Hacker's Delight, 10-17). */
static inline uint32_t shape_block_at(const struct knoll_shape *shape, uint32_t offset)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? rotate_right(offset, INDEX_SHIFT)
                                          : rotate_right(offset * shape->inverse, shape->rotate);
}

/* Whether a block has this index. */
static inline bool shape_has(const struct knoll_shape *shape, uint32_t index)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? bit_is_set(shape->blocks, index) : index < shape->capacity;
}

/* The index of the block that this offset in a slab lies in, or one that no block has if it lies in what is left over
 * at the end. Less than 64. */
static inline uint32_t shape_block_around(const struct knoll_shape *shape, uint32_t offset)
{
    uint32_t block = offset / shape->size;
    return KNOLL_PROFILE == KNOLL_CLASSIC ? block * shape->size >> INDEX_SHIFT : block;
}

/* The bits of an address that say where in a slab of this shape it is. */
static inline uint32_t shape_low(const struct knoll_shape *shape)
{
    return KNOLL_PROFILE == KNOLL_CLASSIC ? (uint32_t)UNIT - 1 : shape->low;
}

/* A slab's length in units. */
/*@ requires \valid_read(shape) && (shape->low + 1) % UNIT == 0;
    assigns \nothing;
    ensures \result * UNIT == shape->low + 1; */
static inline uint32_t shape_length(const struct knoll_shape *shape)
{
    return (shape->low >> KNOLL_UNIT_SHIFT) + 1;
}

/* The state of a class. The compiler is kept from seeing how the address came about, for it would do that anew for each
 * member, which is a sixth of the instructions of a call. */
static inline struct knoll_class_state *class_state(struct knoll_heap *heap, size_t size_class)
{
    struct knoll_class_state *state = &heap->size_class[size_class];
    __asm__("" : "+r"(state));
    return state;
}

/* How many blocks the slabs of a class have. */
static inline size_t class_blocks(const struct knoll_heap *heap, unsigned size_class)
{
    return (size_t)knoll_shapes[size_class].capacity * heap->size_class[size_class].slabs;
}

/* The smallest class that holds so many granules: looked up, because to count would be slower on many processors. */
#define GRANULE_SHIFT (KNOLL_PROFILE == KNOLL_CLASSIC ? 6 : 4)

extern const uint8_t knoll_class_of[(KNOLL_SLAB_MAXIMUM >> GRANULE_SHIFT) + 1];

/* The smallest class that holds this size, which is at most KNOLL_SLAB_MAXIMUM. */
/*@ requires size <= KNOLL_SLAB_MAXIMUM;
    assigns \nothing; */
static inline size_t class_for_size(size_t size)
{
    return knoll_class_of[(size + (1 << GRANULE_SHIFT) - 1) >> GRANULE_SHIFT];
}

#if KNOLL_PROFILE == KNOLL_CLASSIC

static inline size_t class_size(size_t size_class)
{
    return (size_t)64 << size_class;
}

/* How many bytes after the first block of a slab the one with this index starts, of so many bytes each. */
static inline uint32_t block_offset(uint32_t size, uint32_t index)
{
    (void)size;
    return index << INDEX_SHIFT;
}

/* The smallest class that holds both size and alignment: every class is aligned to its size. */
static inline unsigned class_for(size_t alignment, size_t size)
{
    size_t least = size > alignment ? size : alignment;
    return least > KNOLL_SLAB_MAXIMUM ? CLASS_LARGE : (unsigned)class_for_size(least);
}

#else

static inline size_t class_size(size_t size_class)
{
    return knoll_shapes[size_class].size;
}

static inline uint32_t block_offset(uint32_t size, uint32_t index)
{
    return index * size;
}

/* The smallest class that holds the size and all of whose blocks have the alignment. */
static inline unsigned class_for(size_t alignment, size_t size)
{
    size_t least = size > alignment ? size : alignment;
    if (least > KNOLL_SLAB_MAXIMUM)
        return CLASS_LARGE;
    unsigned size_class = (unsigned)class_for_size(least);
    if (alignment > BLOCK_ALIGNMENT)
        while ((class_size(size_class) & (alignment - 1)) != 0) /* at most 6 rounds: the last class has them all */
            size_class++;
    return size_class;
}

#endif

#endif
