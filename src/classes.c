/* The size classes of the two profiles.
 *
 * classic: the powers of two from 64 to 4096. A slab has 64 blocks, so it takes 1 to 64 units, a power of two.
 *
 * compact: 32, 48, 64, then four sizes for each doubling. A slab is short, so that it comes free soon; its length is
 * chosen so that nothing is left over at its end, and is five units at least because its state takes five cells, but
 * for a slab of 64 blocks of 32 bytes, whose state takes four.
 *
 * SPDX-License-Identifier: MIT */
#include "classes.h"

/* size, units, capacity, inverse, shift, least units */
const struct knoll_class knoll_classes[KNOLL_CLASS_COUNT] = {
#if KNOLL_PROFILE == KNOLL_CLASSIC
    {64, 1, 64, 0x1, 6, 1},     {128, 2, 64, 0x1, 7, 1},    {256, 4, 64, 0x1, 8, 1},    {512, 8, 64, 0x1, 9, 1},
    {1024, 16, 64, 0x1, 10, 1}, {2048, 32, 64, 0x1, 11, 1}, {4096, 64, 64, 0x1, 12, 1},
#else
    {32, 4, 64, 0x1, 5, 4},         {48, 6, 64, 0xaaaaaaab, 4, 5},  {64, 5, 40, 0x1, 6, 5},
    {80, 5, 32, 0xcccccccd, 4, 5},  {96, 6, 32, 0xaaaaaaab, 5, 5},  {112, 7, 32, 0xb6db6db7, 4, 5},
    {128, 5, 20, 0x1, 7, 5},        {160, 5, 16, 0xcccccccd, 5, 5}, {192, 6, 16, 0xaaaaaaab, 6, 5},
    {224, 7, 16, 0xb6db6db7, 5, 5}, {256, 5, 10, 0x1, 8, 5},        {320, 5, 8, 0xcccccccd, 6, 5},
    {384, 6, 8, 0xaaaaaaab, 7, 5},  {448, 7, 8, 0xb6db6db7, 6, 5},  {512, 5, 5, 0x1, 9, 5},
    {640, 5, 4, 0xcccccccd, 7, 5},  {768, 6, 4, 0xaaaaaaab, 8, 5},  {896, 7, 4, 0xb6db6db7, 7, 5},
    {1024, 6, 3, 0x1, 10, 5},
#endif
};
