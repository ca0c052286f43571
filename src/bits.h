/* Bit operations and powers of two. The lowest layer: depends on nothing.
 *
 * Where the processor counts zeros in an instruction, the compiler's builtins are used; elsewhere they would become
 * calls to the compiler's library, which a freestanding program need not have, so there the counts are done here.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BITS_H
#define KNOLL_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef KNOLL_COUNTS_IN_SOFTWARE
#if defined(__riscv) && !defined(__riscv_zbb)
#define KNOLL_COUNTS_IN_SOFTWARE 1
#elif defined(__arm__) && !defined(__ARM_FEATURE_CLZ)
#define KNOLL_COUNTS_IN_SOFTWARE 1
#else
#define KNOLL_COUNTS_IN_SOFTWARE 0
#endif
#endif

#if KNOLL_COUNTS_IN_SOFTWARE

/* The position of the highest set bit, by halving. Needs value != 0. */
/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 32 && (1 << \result) <= value < (2 << \result); */
static inline unsigned bits_highest32(uint32_t value)
{
    unsigned position = 0;
    for (unsigned half = 16; half != 0; half >>= 1) { /* 5 rounds */
        if (value >> half != 0) {
            value >>= half;
            position += half;
        }
    }
    return position;
}

/* The lowest set bit is the highest one of the value without all others. */
/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 32 && (value & (1 << \result)) != 0 && (value & ((1 << \result) - 1)) == 0; */
static inline unsigned bits_lowest32(uint32_t value)
{
    return bits_highest32(value & (~value + 1));
}

#else

/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 32 && (1 << \result) <= value < (2 << \result); */
static inline unsigned bits_highest32(uint32_t value)
{
    return 31u - (unsigned)__builtin_clz(value);
}

/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 32 && (value & (1 << \result)) != 0 && (value & ((1 << \result) - 1)) == 0; */
static inline unsigned bits_lowest32(uint32_t value)
{
    return (unsigned)__builtin_ctz(value);
}

#endif

/* The position of the highest and of the lowest set bit; value != 0. By halves where a register has 32 bits, because
 * there the compiler may make a call of a 64-bit count. */
/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 64 && (1 << \result) <= value < (2 << \result); */
static inline unsigned bits_highest(uint64_t value)
{
#if !KNOLL_COUNTS_IN_SOFTWARE && UINTPTR_MAX > UINT32_MAX
    return 63u - (unsigned)__builtin_clzll(value);
#else
    uint32_t high = (uint32_t)(value >> 32);
    return high != 0 ? 32 + bits_highest32(high) : bits_highest32((uint32_t)value);
#endif
}

/*@ requires value != 0;
    assigns \nothing;
    ensures \result < 64 && (value & (1 << \result)) != 0 && (value & ((1 << \result) - 1)) == 0; */
static inline unsigned bits_lowest(uint64_t value)
{
#if !KNOLL_COUNTS_IN_SOFTWARE && UINTPTR_MAX > UINT32_MAX
    return (unsigned)__builtin_ctzll(value);
#else
    uint32_t low = (uint32_t)value;
    return low != 0 ? bits_lowest32(low) : 32 + bits_lowest32((uint32_t)(value >> 32));
#endif
}

/* How many bits are set. Not by the compiler's builtin, which becomes a call where there is no instruction for it. */
static inline unsigned bits_count(uint64_t value)
{
    unsigned count = 0;
    for (; value != 0; value &= value - 1) /* at most 64 rounds */
        count++;
    return count;
}

/* A word with only this bit set; position < 64. */
/*@ requires position < 64;
    assigns \nothing;
    ensures \result == (1 << position); */
static inline uint64_t bit(unsigned position)
{
    return (uint64_t)1 << position;
}

/* Whether the word has this bit, and it is set; any index may be asked for. */
static inline bool bit_is_set(uint64_t word, uint32_t index)
{
    return index < 64 && (word >> index & 1) != 0;
}

/* A word with this many low bits set; count <= 64. */
/*@ requires count <= 64;
    assigns \nothing;
    ensures (count == 0 ==> \result == 0) && (count == 64 ==> \result == 0xFFFFFFFFFFFFFFFF); */
/* not covered: it is in the tests' and the proofs' vocabulary, and so in no object of the core */
static inline uint64_t bits_low(unsigned count)
{
    return count == 0 ? 0 : ~(uint64_t)0 >> (64 - count);
}

static inline bool is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/*@ requires count < 32;
    assigns \nothing; */
static inline uint32_t rotate_right(uint32_t value, unsigned count)
{
    return value >> count | value << (-count & 31);
}

/* The same of a number as long as an address; 0 < count < 32. */
static inline uintptr_t rotate_right_address(uintptr_t value, unsigned count)
{
    return value >> count | value << (8 * sizeof value - count);
}

/* Memory that may hold anything, whatever its type. */
typedef uintptr_t __attribute__((may_alias)) any_word;

#endif
