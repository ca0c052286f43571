/* What the command line asks for.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BENCH_OPTIONS_H
#define KNOLL_BENCH_OPTIONS_H

#include "workload.h"

struct options {
    bool help;
    enum distribution distribution;
    unsigned long rounds;
    unsigned long pairs;
    unsigned long seed;
    long cpu;        /* -1: any one */
    const char *csv; /* or NULL */
    const char *peer[PEERS_MAXIMUM];
    size_t peers;
    const char *only[PEERS_MAXIMUM]; /* beginnings of contenders' names; none: all */
    size_t onlys;
    bool workload[WORKLOADS];
};

extern const char usage[];

/* Returns true, or has told on stderr in one line what is wrong. */
bool options_parse(struct options *options, int count, char *words[]);

#endif
