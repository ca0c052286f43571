/* The size classes of the two profiles.
 *
 * classic: the powers of two from 64 to 4096. A slab has 64 blocks, so it takes 1 to 64 units, a power of two.
 *
 * compact: 32, 48, 64, then four sizes for each doubling. A slab is short, so that it comes free soon; its length is
 * chosen so that nothing is left over at its end, and is two units at least because its state takes two entries.
 *
 * SPDX-License-Identifier: MIT */
#include "classes.h"

/* size, units, capacity, inverse, shift, least units */
const struct knoll_class knoll_classes[KNOLL_CLASS_COUNT] = {
#if KNOLL_PROFILE == KNOLL_CLASSIC
    {64, 1, 64, 0x1, 6, 1},     {128, 2, 64, 0x1, 7, 1},    {256, 4, 64, 0x1, 8, 1},    {512, 8, 64, 0x1, 9, 1},
    {1024, 16, 64, 0x1, 10, 1}, {2048, 32, 64, 0x1, 11, 1}, {4096, 64, 64, 0x1, 12, 1},
#else
    {32, 2, 64, 0x1, 5, 2},          {48, 3, 64, 0xaaaaaaab, 4, 2},   {64, 2, 32, 0x1, 6, 2},
    {80, 5, 64, 0xcccccccd, 4, 2},   {96, 3, 32, 0xaaaaaaab, 5, 2},   {112, 7, 64, 0xb6db6db7, 4, 2},
    {128, 2, 16, 0x1, 7, 2},         {160, 5, 32, 0xcccccccd, 5, 2},  {192, 3, 16, 0xaaaaaaab, 6, 2},
    {224, 7, 32, 0xb6db6db7, 5, 2},  {256, 2, 8, 0x1, 8, 2},          {320, 5, 16, 0xcccccccd, 6, 2},
    {384, 3, 8, 0xaaaaaaab, 7, 2},   {448, 7, 16, 0xb6db6db7, 6, 2},  {512, 2, 4, 0x1, 9, 2},
    {640, 5, 8, 0xcccccccd, 7, 2},   {768, 3, 4, 0xaaaaaaab, 8, 2},   {896, 7, 8, 0xb6db6db7, 7, 2},
    {1024, 4, 4, 0x1, 10, 2},        {1280, 5, 4, 0xcccccccd, 8, 2},  {1536, 6, 4, 0xaaaaaaab, 9, 2},
    {1792, 7, 4, 0xb6db6db7, 8, 2},  {2048, 8, 4, 0x1, 11, 2},        {2560, 10, 4, 0xcccccccd, 9, 3},
    {3072, 9, 3, 0xaaaaaaab, 10, 3}, {3584, 14, 4, 0xb6db6db7, 9, 4}, {4096, 12, 3, 0x1, 12, 4},
#endif
};
