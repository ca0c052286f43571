/* One table says which options there are, and one function for each kind of value understands it.
 *
 * SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char usage[] =
    "usage: knoll-speed [options]\n"
    "Times pairs of an allocation and a free, for knoll and for other heaps, in one process and in turns.\n"
    "  --rounds N        rounds, of which the median is taken; 15\n"
    "  --pairs N         pairs that are timed for each workload in each round; 100000\n"
    "  --seed N          where the random numbers start; 1\n"
    "  --uniform         draw sizes uniformly instead of log-uniformly\n"
    "  --workload NAME   only this one: pingpong, small, mixed, large, LIFO, FIFO; can be repeated\n"
    "  --contender NAME  only those whose names begin so, glibc and the empty one; can be repeated\n"
    "  --peer FILE.so    one more contender (bench/peer.h says what it must offer); can be repeated\n"
    "  --cpu N           the processor to stay on; by default the last one that is allowed\n"
    "  --csv FILE        write the results there too\n"
    "Exit status: 0 measured, 1 something failed, 2 wrong arguments.\n";

static bool parse_number(const char *text, unsigned long least, unsigned long most, unsigned long *number)
{
    char *end;
    *number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *number >= least && *number <= most;
}

static bool set_rounds(struct options *options, const char *value)
{
    return parse_number(value, 1, 9999, &options->rounds);
}

static bool set_pairs(struct options *options, const char *value)
{
    return parse_number(value, 1, 100000000, &options->pairs);
}

static bool set_seed(struct options *options, const char *value)
{
    return parse_number(value, 0, UINT32_MAX, &options->seed);
}

static bool set_cpu(struct options *options, const char *value)
{
    unsigned long number;
    bool right = parse_number(value, 0, 1023, &number);
    options->cpu = (long)number;
    return right;
}

static bool set_csv(struct options *options, const char *value)
{
    options->csv = value;
    return *value != '\0';
}

static bool add_peer(struct options *options, const char *value)
{
    if (*value == '\0' || options->peers == PEERS_MAXIMUM)
        return false;
    options->peer[options->peers++] = value;
    return true;
}

static bool add_only(struct options *options, const char *value)
{
    if (*value == '\0' || options->onlys == PEERS_MAXIMUM)
        return false;
    options->only[options->onlys++] = value;
    return true;
}

static bool add_workload(struct options *options, const char *value)
{
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (strcmp(value, workloads[i].name) == 0) {
            options->workload[i] = true;
            return true;
        }
    }
    return false;
}

static const struct description {
    const char *name;
    bool (*set)(struct options *options, const char *value);
    const char *values;
} descriptions[] = {
    {"--rounds", set_rounds, "a number from 1 to 9999"},
    {"--pairs", set_pairs, "a number from 1 to 100000000"},
    {"--seed", set_seed, "a number of 32 bits"},
    {"--cpu", set_cpu, "the number of a processor"},
    {"--csv", set_csv, "the name of a file"},
    {"--peer", add_peer, "a shared object, and there can be 20"},
    {"--contender", add_only, "the beginning of a name, and there can be 20"},
    {"--workload", add_workload, "pingpong, small, mixed, large, LIFO or FIFO"},
};

static const struct description *find(const char *name)
{
    for (size_t i = 0; i < sizeof descriptions / sizeof descriptions[0]; i++)
        if (strcmp(name, descriptions[i].name) == 0)
            return &descriptions[i];
    return NULL;
}

static void select_all_workloads_if_none(struct options *options)
{
    for (size_t i = 0; i < WORKLOADS; i++)
        if (options->workload[i])
            return;
    memset(options->workload, true, sizeof options->workload);
}

bool options_parse(struct options *options, int count, char *words[])
{
    *options = (struct options){.rounds = 15, .pairs = 100000, .seed = 1, .cpu = -1};
    for (int i = 1; i < count; i++) {
        const struct description *found = find(words[i]);
        if (strcmp(words[i], "--help") == 0) {
            options->help = true;
        } else if (strcmp(words[i], "--uniform") == 0) {
            options->distribution = UNIFORM;
        } else if (found == NULL) {
            fprintf(stderr, "knoll-speed: unknown argument %s\n", words[i]);
            return false;
        } else if (++i == count || !found->set(options, words[i])) {
            fprintf(stderr, "knoll-speed: %s wants %s\n", found->name, found->values);
            return false;
        }
    }
    select_all_workloads_if_none(options);
    return true;
}
