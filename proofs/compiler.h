/* The compiler's builtins in C that Eva can run. Counts of zeros are done in software there (KNOLL_COUNTS_IN_SOFTWARE).
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_PROOFS_COMPILER_H
#define KNOLL_PROOFS_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __builtin_memset       memset
#define __builtin_memcpy       memcpy
#define __builtin_sub_overflow size_sub_overflow
#define __builtin_mul_overflow size_mul_overflow
#define __builtin_trap         must_not_be_reached
#define __asm__(...) /* src/classes.h: changes nothing, and only hides an address */

static inline bool size_sub_overflow(size_t a, size_t b, size_t *result)
{
    *result = a - b;
    return a < b;
}

static inline bool size_mul_overflow(size_t a, size_t b, size_t *result)
{
    *result = a * b;
    return a != 0 && *result / a != b;
}

/*@ requires \false; */
void must_not_be_reached(void);

#endif
