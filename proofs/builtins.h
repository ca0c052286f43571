/* What the compiler's builtins do, as its manual says: nothing verifies these contracts, all proofs trust them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_PROOFS_BUILTINS_H
#define KNOLL_PROOFS_BUILTINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*@ requires value != 0;
    assigns \result \from value;
    ensures 0 <= \result < 32 && (1 << (31 - \result)) <= value < (2 << (31 - \result)); */
int __builtin_clz(unsigned value);

/*@ requires value != 0;
    assigns \result \from value;
    ensures 0 <= \result < 64 && (1 << (63 - \result)) <= value < (2 << (63 - \result)); */
int __builtin_clzll(unsigned long long value);

/*@ requires value != 0;
    assigns \result \from value;
    ensures 0 <= \result < 32 && (value & (1 << \result)) != 0 && (value & ((1 << \result) - 1)) == 0; */
int __builtin_ctz(unsigned value);

/*@ requires value != 0;
    assigns \result \from value;
    ensures 0 <= \result < 64 && (value & (1 << \result)) != 0 && (value & ((1 << \result) - 1)) == 0; */
int __builtin_ctzll(unsigned long long value);

/* What C says of its unsigned integers, in so far as the provers are not told by Frama-C: numbers out of range wrap,
 * shifts multiply and divide, and no bit of x & y is in y alone. */
/*@ axiomatic Integers {
        axiom wraps_32: \forall integer x; -0x100000000 <= x < 0 ==> (uint32_t)x == x + 0x100000000;
        axiom wraps_64: \forall integer x; -0x10000000000000000 <= x < 0 ==> (uint64_t)x == x + 0x10000000000000000;
        axiom shifts_9: \forall integer x; (x << 9) == 512 * x;
        axiom shifts_12: \forall integer x; (x << 12) == 4096 * x;
        axiom shifts_right_9: \forall integer x; 0 <= x ==> (x >> 9) == x / 512;
        axiom shifts_right_12: \forall integer x; 0 <= x ==> (x >> 12) == x / 4096;
        axiom shifts_27: \forall integer x; (x << 27) == 0x8000000 * x;
        axiom shifts_30: \forall integer x; (x << 30) == 0x40000000 * x;
        axiom shifts_right_27: \forall integer x; 0 <= x ==> (x >> 27) == x / 0x8000000;
        axiom shifts_right_30: \forall integer x; 0 <= x ==> (x >> 30) == x / 0x40000000;
        axiom ands_2: \forall integer x; 0 <= x ==> (x & 3) == x % 4;
        axiom ands_27: \forall integer x; 0 <= x ==> (x & 0x7FFFFFF) == x % 0x8000000;
        axiom ands_29: \forall integer x; 0 <= x ==> (x & 0x20000000) / 0x40000000 == 0;
        axiom ors_29: \forall integer x, y; 0 <= x && x % 0x20000000 == 0 && 0 <= y < 0x20000000 ==> (x | y) == x + y;
        axiom ors_30: \forall integer x, y; 0 <= x < 4 && 0 <= y < 0x40000000 ==>
            (y | (uint32_t)(x << 30)) == 0x40000000 * x + y;
        axiom xors: \forall integer x, order; 0 <= x && 0 <= order && x % (1 << order) == 0 ==>
            (x ^ (1 << order)) == (x / (1 << order) % 2 == 0 ? x + (1 << order) : x - (1 << order));
        axiom ands: \forall integer x, y; 0 <= x ==> 0 <= (x & y) <= x;
    } */

/* Of any integer types; here of the one that the core asks for. */
#define __builtin_sub_overflow size_sub_overflow
#define __builtin_mul_overflow size_mul_overflow

/*@ requires \valid(result);
    assigns \result, *result \from a, b;
    ensures *result == (size_t)(a - b) && (\result <==> a < b); */
bool size_sub_overflow(size_t a, size_t b, size_t *result);

/*@ requires \valid(result);
    assigns \result, *result \from a, b;
    ensures *result == (size_t)(a * b) && (\result <==> a * b > SIZE_MAX); */
bool size_mul_overflow(size_t a, size_t b, size_t *result);

#endif
