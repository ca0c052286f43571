/* What was measured, and the two ways to show it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KNOLL_BENCH_RESULTS_H
#define KNOLL_BENCH_RESULTS_H

#include "options.h"

/* One contender on one workload: ns a pair, the harness's own included, and the ratio to glibc. */
struct figures {
    bool served; /* memory sufficed in every round; otherwise there is nothing below */
    double median;
    double least;
    double most;
    double ratio;
};

struct results {
    const struct options *options;
    const struct contender *contenders;
    size_t count;
    size_t empty; /* the places of these two among the contenders */
    size_t glibc;
    struct figures figures[CONTENDERS_MAXIMUM][WORKLOADS];
};

/* Makes a workload's figures of its times: [contender][round], negative where memory did not suffice. False if there is
 * no memory for it. */
bool results_reckon(struct results *results, size_t workload, const double *times);

/* A table for people. */
void results_print(const struct results *results);

/* Writes the same in full. False if the file cannot be written. */
bool results_write(const struct results *results, const char *file);

#endif
