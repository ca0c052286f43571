/* Options, from environment variables. A value that makes no sense is reported once, and the default stands.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "internal.h"

#include <signal.h>
#include <string.h>
#include <sys/auxv.h>

struct options options = {.decay_ms = 1000, .map_least = MAP_LEAST};

void options_complain(const char *name, const char *value, const char *what)
{
    struct line line = {.length = 0};
    line_text(&line, "knoll: ");
    line_text(&line, name);
    line_text(&line, "=");
    line_text(&line, value);
    line_text(&line, " is ignored: ");
    line_text(&line, what);
    line_end(&line, 2);
}

/* The value of this variable, or NULL. Whoever runs with rights that their user has not must not listen to the user. */
const char *options_value(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL && getauxval(AT_SECURE) == 0; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

/* Reads a decimal number of at least `least` and at most `most`, if the variable is set. */
static void read_number(char *const *environment, const char *name, uint64_t least, uint64_t most, uint64_t *number)
{
    const char *value = options_value(environment, name);
    if (value == NULL)
        return;
    uint64_t found = 0;
    bool sound = *value != '\0';
    for (const char *digit = value; *digit != '\0' && sound; digit++) {
        sound = *digit >= '0' && *digit <= '9' && found <= most / 10;
        found = 10 * found + (uint64_t)(*digit - '0');
    }
    if (sound && found >= least && found <= most)
        *number = found;
    else
        options_complain(name, value, "not a number in its range");
}

void options_read(char *const *environment)
{
    static bool are_read;
    if (are_read || environment == NULL)
        return;
    are_read = true;
    uint64_t stats = 0;
    uint64_t stats_signal = 0;
    uint64_t huge_pages = 0;
    uint64_t span_first = 0;
    uint64_t map_least = options.map_least;
    read_number(environment, "KNOLL_STATS", 0, 1, &stats);
    read_number(environment, "KNOLL_STATS_SIGNAL", 1, (uint64_t)SIGRTMAX, &stats_signal);
    read_number(environment, "KNOLL_THP", 0, 1, &huge_pages);
    read_number(environment, "KNOLL_DECAY_MS", 0, (uint64_t)1 << 40, &options.decay_ms);
    read_number(environment, "KNOLL_SPAN_BYTES", (uint64_t)1 << 20, (uint64_t)1 << 32, &span_first);
    read_number(environment, "KNOLL_MAP_BYTES", MAP_LEAST_LEAST, (uint64_t)1 << 32, &map_least);
    options.stats = stats != 0;
    options.stats_signal = (int)stats_signal;
    options.huge_pages = huge_pages != 0;
    options.span_first = (size_t)span_first & ~(PAGE - 1);
    options.map_least = (size_t)map_least;
}
