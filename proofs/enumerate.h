/* Proof by enumeration: a theorem over a finite domain holds if it does in every case. Each program prints a line for
 * each theorem, with its cases, and exits with 1 if any does not hold.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_PROOFS_ENUMERATE_H
#define KNOLL_PROOFS_ENUMERATE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static uint64_t cases, wrong;
static int open_theorems;

/* One case of the theorem at hand. */
static inline void holds(bool it_does)
{
    cases++;
    wrong += !it_does;
}

/* Closes a theorem. One without a case is not proved. */
static inline void theorem(const char *text)
{
    bool proved = wrong == 0 && cases != 0;
    printf("%s: %s, %" PRIu64 " of %" PRIu64 " cases\n", proved ? "proved" : "OPEN", text, cases - wrong, cases);
    open_theorems += !proved;
    cases = wrong = 0;
}

#endif
