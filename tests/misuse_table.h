/* The table of misuse.c: one row a case, and what becomes of it at rungs 0, 1 and 2. X would break the heap and is not
 * executed, M is missed, N neutralised, S stopped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_TESTS_MISUSE_TABLE_H
#define KNOLL_TESTS_MISUSE_TABLE_H

#define X BREAKS
#define M MISSED
#define N NEUTRALISED
#define S STOPPED

#define CASE(kind, act, size, amount, rung_0, rung_1, rung_2)                                                          \
    {                                                                                                                  \
#act ": ", kind, act, size, amount,                                                                            \
        {                                                                                                              \
            rung_0, rung_1, rung_2                                                                                     \
        }                                                                                                              \
    }

/* By so many bytes: each less than, as much as, and more than the canary's least, a word and a granule. */
#define BY_BYTES(kind, act, size, rung_0, rung_1, rung_2)                                                              \
    CASE(kind, act, size, 1, rung_0, rung_1, rung_2), CASE(kind, act, size, 2, rung_0, rung_1, rung_2),                \
        CASE(kind, act, size, 7, rung_0, rung_1, rung_2), CASE(kind, act, size, 8, rung_0, rung_1, rung_2),            \
        CASE(kind, act, size, 15, rung_0, rung_1, rung_2), CASE(kind, act, size, 16, rung_0, rung_1, rung_2)

/* At the first byte, in the middle, at the last. */
#define AT_PLACES(act, size, rung_0, rung_1, rung_2)                                                                   \
    CASE(AFTER_FREE, act, size, 0, rung_0, rung_1, rung_2), CASE(AFTER_FREE, act, size, 1, rung_0, rung_1, rung_2),    \
        CASE(AFTER_FREE, act, size, 2, rung_0, rung_1, rung_2)

static const struct misuse misuses[] = {
    CASE(FREES, twice, 64, 0, X, S, S),
    CASE(FREES, twice, 1000, 0, X, S, S),
    CASE(FREES, twice, 8192, 0, S, S, S),
    CASE(FREES, twice, 64, 10, X, S, S),
    CASE(FREES, twice, 1000, 10, X, S, S),
    CASE(FREES, twice, 8192, 6, S, S, S),
    CASE(FREES, twice, 64, 200, X, S, S),
    CASE(FREES, twice_merged, 64, 0, X, S, S),
    CASE(FREES, twice_merged, 64, 1, X, S, S),
    CASE(FREES, twice_merged, 8192, 0, S, S, S),
    CASE(FREES, twice_merged, 8192, 1, S, S, S),
    CASE(FREES, twice_in_a_batch, 64, 0, X, S, S),
    CASE(FREES, twice_sized, 64, 0, X, S, S),
    CASE(FREES, resized_after_free, 64, 5000, X, S, S),
    CASE(FREES, asked_after_free, 64, 0, M, S, S),
    CASE(FREES, freed_after_it_moved, 64, 5000, X, S, S),
    CASE(FREES, freed_after_it_moved, 1000, 9000, X, S, S),
    CASE(FREES, twice_after_reuse, 64, 64, M, M, S),
    CASE(FREES, twice_after_reuse, 8192, 8192, M, M, S),
    CASE(FREES, inside, 64, 16, X, S, S),
    CASE(FREES, inside, 64, 1, X, S, S),
    CASE(FREES, inside, 64, 8, X, S, S),
    CASE(FREES, inside, 1000, 512, X, S, S),
    CASE(FREES, inside, 8192, 4096, S, S, S),
    CASE(FREES, inside, 8192, 1, S, S, S),
    CASE(FREES, resized_inside, 64, 16, X, S, S),
    CASE(FREES, foreign, 0, 0, S, S, S),
    CASE(FREES, foreign, 1, 0, S, S, S),
    CASE(FREES, foreign, 2, 0, S, S, S),
    CASE(FREES, foreign, 3, 0, S, S, S),
    CASE(FREES, foreign, 4, 0, S, S, S),
    CASE(FREES, foreign, 5, 0, S, S, S),
    CASE(FREES, never_handed_out, 64, KIB(128), S, S, S),
    CASE(FREES, next_of_its_slab, 64, 0, X, S, S),

    CASE(SIZES, as_size, 100, 1000, M, S, S),
    CASE(SIZES, as_size, 8192, 8193, M, S, S),
    CASE(SIZES, as_size, 100, 5000, M, S, S),
    CASE(SIZES, as_size, 100, 101, M, M, S),
    CASE(SIZES, as_size, 100, 99, M, M, S),
    CASE(SIZES, as_size, 8000, 8001, M, M, S),
    CASE(SIZES, as_alignment, 16, 8192, M, S, S),
    CASE(SIZES, as_alignment, 512, 64, M, M, S),

    BY_BYTES(OVERFLOWS, overflow, 1, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 24, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 61, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 100, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 1000, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 5000, M, M, S),
    BY_BYTES(OVERFLOWS, overflow, 20001, M, M, S),
    CASE(OVERFLOWS, overflow_by_zero, 61, 1, M, M, S),
    CASE(OVERFLOWS, overflow_by_zero, 1000, 1, M, M, S),
    CASE(OVERFLOWS, overflow_by_ones, 61, 1, M, M, S),
    CASE(OVERFLOWS, overflow_by_ones, 5000, 1, M, M, S),
    CASE(OVERFLOWS, overflow_seen_by_realloc, 61, 1, M, M, S),
    CASE(OVERFLOWS, overflow_seen_by_realloc, 5000, 1, M, M, S),
    CASE(OVERFLOWS, overflow_seen_by_check, 61, 1, M, M, S),
    CASE(OVERFLOWS, overflow_seen_by_check, 5000, 1, M, M, S),
    CASE(OVERFLOWS, overflow_that_skips, 24, 8, M, M, S),
    CASE(OVERFLOWS, overflow_that_skips, 24, 16, M, M, S),
    CASE(OVERFLOWS, overflow_that_skips, 61, 24, M, M, S),
    CASE(OVERFLOWS, overflow_of_aligned, 64, 1, M, M, S),
    CASE(OVERFLOWS, overflow_of_aligned, 4096, 3, M, M, S),
    CASE(OVERFLOWS, overflow_after_shrinking, 61, 1, M, M, S),
    CASE(OVERFLOWS, overflow_after_shrinking, 5000, 1, M, M, S),

    BY_BYTES(UNDERFLOWS, underflow, 24, M, M, S),
    BY_BYTES(UNDERFLOWS, underflow, 1000, M, M, S),
    BY_BYTES(UNDERFLOWS, underflow, 5000, M, M, S),
    CASE(UNDERFLOWS, underflow_that_skips, 24, 9, M, M, S),
    CASE(UNDERFLOWS, underflow_that_skips, 1000, 16, M, M, S),

    AT_PLACES(write_in_quarantine, 24, N, N, S),
    AT_PLACES(write_in_quarantine, 1000, N, N, S),
    AT_PLACES(write_in_quarantine, 5000, N, N, S),
    AT_PLACES(write_to_free, 24, N, N, S),
    AT_PLACES(write_to_free, 1000, N, N, S),
    AT_PLACES(write_to_free, 20000, N, N, S),
    AT_PLACES(write_after_merging, 61, N, N, S),
    AT_PLACES(write_after_merging, 20000, N, N, S),
    CASE(AFTER_FREE, write_seen_by_check, 100, 1, N, N, S),
    CASE(AFTER_FREE, write_seen_by_check, 20000, 1, N, N, S),
    CASE(AFTER_FREE, write_after_reuse, 100, 0, M, M, S),
    CASE(AFTER_FREE, write_after_reuse, 5000, 0, M, M, S),
    CASE(AFTER_FREE, write_after_reuse, 100, 1, M, M, M),
    CASE(AFTER_FREE, write_after_reuse, 5000, 1, M, M, M),

    CASE(STALE, read_after_free, 24, 0, M, M, N),
    CASE(STALE, read_after_free, 1000, 1, M, M, N),
    CASE(STALE, read_after_free, 20000, 0, M, M, N),
    CASE(STALE, old_contents, 24, 0, M, M, N),
    CASE(STALE, old_contents, 24, 1, M, M, N),
    CASE(STALE, old_contents, 1000, 1, M, M, N),
    CASE(STALE, old_contents, 20000, 1, M, M, N),
    CASE(STALE, contents_of_new_memory, 100, 0, M, M, N),
    CASE(STALE, contents_of_new_memory, 20000, 0, M, M, N),
    CASE(STALE, old_contents_by_growing, 24, 1000, M, M, N),
    CASE(STALE, old_contents_by_growing, 1000, 20000, M, M, N),
    CASE(STALE, cleared, 24, 0, N, N, N),
    CASE(STALE, cleared, 1000, 0, N, N, N),
    CASE(STALE, cleared, 20000, 0, N, N, N),
};

#undef X
#undef M
#undef N
#undef S

#define MISUSES (sizeof misuses / sizeof misuses[0])

#endif
