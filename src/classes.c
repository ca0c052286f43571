/* The size classes of the two profiles.
 *
 * classic: the powers of two from 64 to 4096, cut from slabs of one page. Slabs of 64 blocks, so of 1 to 64 pages, held
 * on to memory that other sizes needed: for a load of mixed sizes 6 % more.
 *
 * compact: sizes that divide a slab of 2048 bytes, or where more than a fiftieth would be left over and of 4096 bytes
 * less is, of 4096. A slab is short so that it comes free soon: with slabs twice as long a load of small blocks needs
 * 1.5 % more memory.
 *
 * SPDX-License-Identifier: MIT */
#include "classes.h"

#define FITTING(size, units)  ((units)*UNIT / (size))
#define CAPACITY(size, units) (FITTING(size, units) < 64 ? FITTING(size, units) : 64)
#define SHAPE(size_class, size, rotate, inverse, units)                                                                \
    {                                                                                                                  \
        BLOCKS(size, units), inverse, (units)*UNIT - 1, CAPACITY(size, units), size, rotate, size_class                \
    }

#if KNOLL_PROFILE == KNOLL_CLASSIC /* a bit each size / 64: with one, they are all ones less one, divided */
#define BLOCKS(size, units) (~(uint64_t)0 / (((uint64_t)2 << ((size) / 64 - 1)) - 1))
#else
#define BLOCKS(size, units) (~(uint64_t)0 >> (64 - CAPACITY(size, units)))
#endif

/* class, size, rotation, inverse, units */
const struct knoll_shape knoll_shapes[KNOLL_CLASS_COUNT] = {
#if KNOLL_PROFILE == KNOLL_CLASSIC
    SHAPE(0, 64, 6, 1, 1),    SHAPE(1, 128, 7, 1, 1),   SHAPE(2, 256, 8, 1, 1),   SHAPE(3, 512, 9, 1, 1),
    SHAPE(4, 1024, 10, 1, 1), SHAPE(5, 2048, 11, 1, 1), SHAPE(6, 4096, 12, 1, 1),
#else
    SHAPE(0, 32, 5, 0x1u, 4),          SHAPE(1, 48, 4, 0xaaaaaaabu, 4),   SHAPE(2, 64, 6, 0x1u, 4),
    SHAPE(3, 80, 4, 0xcccccccdu, 8),   SHAPE(4, 96, 5, 0xaaaaaaabu, 4),   SHAPE(5, 112, 4, 0xb6db6db7u, 4),
    SHAPE(6, 128, 7, 0x1u, 4),         SHAPE(7, 144, 4, 0x38e38e39u, 4),  SHAPE(8, 160, 5, 0xcccccccdu, 8),
    SHAPE(9, 176, 4, 0xba2e8ba3u, 8),  SHAPE(10, 192, 6, 0xaaaaaaabu, 8), SHAPE(11, 224, 5, 0xb6db6db7u, 4),
    SHAPE(12, 256, 8, 0x1u, 4),        SHAPE(13, 288, 5, 0x38e38e39u, 4), SHAPE(14, 336, 4, 0x3cf3cf3du, 4),
    SHAPE(15, 400, 4, 0xc28f5c29u, 4), SHAPE(16, 448, 6, 0xb6db6db7u, 8), SHAPE(17, 512, 9, 0x1u, 4),
    SHAPE(18, 576, 6, 0x38e38e39u, 8), SHAPE(19, 672, 5, 0x3cf3cf3du, 4), SHAPE(20, 816, 4, 0xfafafafbu, 8),
    SHAPE(21, 1024, 10, 0x1u, 4),
#endif
};

const uint8_t knoll_class_of[(KNOLL_SLAB_MAXIMUM >> GRANULE_SHIFT) + 1] = {
#if KNOLL_PROFILE == KNOLL_CLASSIC
    0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
    6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
#else
    0,  0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 11, 12, 12, 13, 13, 14, 14, 14,
    15, 15, 15, 15, 16, 16, 16, 17, 17, 17, 17, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 20,
    20, 20, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21,
#endif
};
