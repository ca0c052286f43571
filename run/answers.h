/* Compares what a script prints with the answers that are known, line by line. The answers are in expected/: what the
 * programs lua5.4 and sqlite3 print for the same scripts.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_ANSWERS_H
#define RUN_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ANSWERS_LINE = 512 }; /* longer lines are compared in pieces */

struct answers {
    FILE *expected;
    size_t line; /* the number of lines printed so far or, if one is wrong, up to that */
    bool wrong;
    size_t length;
    char printed[ANSWERS_LINE]; /* the line as it is being printed, or the first wrong one */
    char expects[ANSWERS_LINE]; /* what that should have been; empty after the end of the file */
};

/* Returns false if there is no such file. */
bool answers_open(struct answers *answers, const char *path);

void answers_add(struct answers *answers, const char *characters, size_t length);

/* Returns whether all was as it should be; a file that goes on counts as a wrong line. */
bool answers_close(struct answers *answers);

#endif
