/* The bit functions on all words of 32 bits, and of 64 bits with each half all that a half can be. Compiled for the
 * counts in an instruction and for those in software.
 *
 * What a bit's position means is said by arithmetic on powers of two, which uses none of the functions.
 *
 * SPDX-License-Identifier: MIT */
#include "bits.h"
#include "enumerate.h"

/* The words whose highest bit is this one lie side by side; those whose lowest bit it is are the odd multiples of it.
 */
static void counts_of_32_bits(void)
{
    for (unsigned position = 0; position < 32; position++) {
        uint64_t power = UINT64_C(1) << position;
        for (uint64_t value = power; value < 2 * power; value++)
            holds(bits_highest32((uint32_t)value) == position);
    }
    theorem("bits_highest32 on every word");
    for (unsigned position = 0; position < 32; position++) {
        uint64_t power = UINT64_C(1) << position;
        for (uint64_t value = power; value <= UINT32_MAX; value += 2 * power)
            holds(bits_lowest32((uint32_t)value) == position);
    }
    theorem("bits_lowest32 on every word");
}

/* In software these are one choice between two counts of 32 bits; what takes long would say the same again. */
static void counts_of_64_bits(void)
{
    if (KNOLL_COUNTS_IN_SOFTWARE)
        return;
    for (uint64_t half = 1; half <= UINT32_MAX; half++) {
        unsigned highest = bits_highest32((uint32_t)half);
        holds(bits_highest(half) == highest);
        holds(bits_highest(half << 32) == 32 + highest && bits_highest(half << 32 | UINT32_MAX) == 32 + highest);
    }
    theorem("bits_highest on every half, the other all clear or below it all set");
    for (uint64_t half = 1; half <= UINT32_MAX; half++) {
        unsigned lowest = bits_lowest32((uint32_t)half);
        holds(bits_lowest(half << 32) == 32 + lowest);
        holds(bits_lowest(half) == lowest && bits_lowest(half | (uint64_t)UINT32_MAX << 32) == lowest);
    }
    theorem("bits_lowest on every half, the other all clear or above it all set");
}

static void masks(void)
{
    uint64_t power = 1;
    for (unsigned count = 0; count < 64; count++, power *= 2) {
        holds(bits_low(count) == power - 1);
        holds(bit(count) == power);
    }
    holds(bits_low(64) == UINT64_MAX);
    theorem("bit and bits_low for every position and count");
}

static void powers_of_two(void)
{
    if (KNOLL_COUNTS_IN_SOFTWARE)
        return; /* the same code either way */
    uint64_t power = 1;
    for (uint64_t value = 0; value <= UINT32_MAX; value++) {
        holds(is_power_of_two((size_t)value) == (value == power));
        if (value == power)
            power *= 2;
    }
    theorem("is_power_of_two on every word of 32 bits");
}

/* What builtins.h has the provers take for granted of shifts, masks and powers, for words of 32 bits. */
static void axioms(void)
{
    if (KNOLL_COUNTS_IN_SOFTWARE)
        return; /* none of the core's code is in it */
    for (uint64_t x = 0; x <= UINT32_MAX; x++) {
        holds(x >> 9 == x / 512 && x >> 12 == x / 4096 && x >> 27 == x / 0x8000000 && x >> 30 == x / 0x40000000);
        holds(x << 9 == 512 * x && x << 12 == 4096 * x && x << 27 == 0x8000000 * x && x << 30 == 0x40000000 * x);
        holds((x & 3) == x % 4 && (x & 0x7FFFFFF) == x % 0x8000000 && (x & 0x20000000) / 0x40000000 == 0);
    }
    theorem("shifts multiply and divide, and masks are remainders, on every word");
    for (uint64_t y = 0; y < 0x40000000; y++) {
        for (uint64_t x = 0; x < 4; x++)
            holds((y | (uint32_t)(x << 30)) == 0x40000000 * x + y);
        for (uint64_t x = 0; x < 8 && y < 0x20000000; x++)
            holds((x * 0x20000000 | y) == x * 0x20000000 + y);
    }
    theorem("or adds what has no bit in common, for a cell's kind and number");
    for (unsigned order = 0; order < 32; order++) {
        uint64_t power = UINT64_C(1) << order;
        for (uint64_t x = 0; x <= UINT32_MAX; x += power)
            holds((x ^ power) == (x / power % 2 == 0 ? x + power : x - power));
    }
    theorem("exclusive or with a power of two goes to the other half, from every multiple of it");
}

int main(void)
{
    axioms();
    counts_of_32_bits();
    counts_of_64_bits();
    masks();
    powers_of_two();
    return open_theorems != 0;
}
