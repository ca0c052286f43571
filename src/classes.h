/* Size classes: which block sizes slabs are cut into, and the arithmetic that goes with them. A profile is this table
 * and a page layer.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_CLASSES_H
#define KNOLL_CLASSES_H

#include "region.h"

/* A class. size = odd << shift, where odd is 1, 3, 5 or 7. */
struct knoll_class {
    uint16_t size;
    uint8_t units;    /* a slab's usual length */
    uint8_t capacity; /* its blocks then: at most 64 */
    uint32_t inverse; /* of odd, modulo 2^32 */
    uint8_t shift;
    uint8_t least_units; /* the shortest slab there may be */
};

extern const struct knoll_class knoll_classes[KNOLL_CLASS_COUNT];

#define CLASS_LARGE KNOLL_CLASS_COUNT /* not a class: such a request is served by a run */

/* The index of the block that starts `offset` bytes into a slab of this class, exact or not at all: where offset is
 * no multiple of the size the result is 2^20 or more. Multiplying by the inverse divides exactly if odd divides it, and
 * gives more than 2^32 / odd - 1 otherwise; the rotation divides by 2^shift in the same way (Warren, Hacker's Delight,
 * 10-17). */
static inline uint32_t class_block_at(const struct knoll_class *size_class, uint32_t offset)
{
    return rotate_right(offset * size_class->inverse, size_class->shift);
}

#if KNOLL_PROFILE == KNOLL_CLASSIC

#define CLASS_ALIGNMENT_MAXIMUM KNOLL_SLAB_MAXIMUM /* every class is aligned to its size */

/* The smallest class that holds both size and alignment. */
static inline unsigned class_for(size_t alignment, size_t size)
{
    size_t least = size > alignment ? size : alignment;
    if (least > KNOLL_SLAB_MAXIMUM)
        return CLASS_LARGE;
    return least <= 64 ? 0 : bits_highest32((uint32_t)least - 1) - 5;
}

#else

#define CLASS_ALIGNMENT_MAXIMUM UNIT /* slabs are aligned to a unit */

static inline unsigned class_for_size(size_t size)
{
    uint32_t granules = (uint32_t)(size + 15) >> 4;
    if (granules <= 4)
        return granules <= 2 ? 0 : granules - 2;
    unsigned doubling = bits_highest32(granules - 1) - 2;
    return 4 * doubling + ((granules - 1) >> doubling) - 1;
}

/* The smallest class that holds the size and all of whose blocks have the alignment, which a slab can remember from 48
 * bytes on. */
static inline unsigned class_for(size_t alignment, size_t size)
{
    if (size > KNOLL_SLAB_MAXIMUM || alignment > CLASS_ALIGNMENT_MAXIMUM)
        return CLASS_LARGE;
    unsigned index = class_for_size(size > alignment ? size : alignment);
    if (alignment > 16 && index == 0)
        index = class_for_size(64);
    while ((knoll_classes[index].size & (alignment - 1)) != 0) /* a power of two is at most 3 classes on */
        index++;
    return index;
}

#endif

/* How many blocks a slab of this many units has. */
static inline unsigned class_blocks_in(const struct knoll_class *size_class, uint32_t units)
{
    if (units >= size_class->units)
        return size_class->capacity;
    return (units << KNOLL_UNIT_SHIFT) / size_class->size;
}

/* The shortest slab of this many blocks. */
static inline uint32_t class_units_for(const struct knoll_class *size_class, unsigned blocks)
{
    uint32_t units = (blocks * size_class->size + (uint32_t)UNIT - 1) >> KNOLL_UNIT_SHIFT;
    return units > size_class->least_units ? units : size_class->least_units;
}

#endif
