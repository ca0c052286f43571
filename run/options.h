/* The options of knoll-run and knoll-replay, and the arguments of the replay image. Freestanding.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RUN_OPTIONS_H
#define RUN_OPTIONS_H

#include "text.h"

enum option {
    OPTION_REGION = 1,
    OPTION_PROGRAM = 2,
    OPTION_COLOUR = 4,
    OPTION_LOAD = 8,
    OPTION_RECORD = 16,
    OPTION_HELP = 32,
    OPTION_TRACE = 64 /* the one word that is no option */
};

enum colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

struct options {
    size_t region;
    const char *program; /* "lua", "sqlite" or "all" */
    enum colour colour;
    bool small; /* the small load */
    const char *record;
    bool help;
    const char *trace;
};

/* Sets those options that the words name and leaves the others. `accepted` is a sum of enum option. Returns false, and
 * writes one line that says what is wrong, at the first word that cannot be understood. */
bool options_parse(struct options *options, unsigned accepted, size_t count, char *const words[], struct text *errors);

#endif
