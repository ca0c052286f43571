/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MALLOC_SMALL_H
#define BENCH_MALLOC_SMALL_H

#include "patterns.h"

void run_numbers(unsigned threads, unsigned rounds);
void run_sets(unsigned threads, unsigned rounds);
void run_trees(unsigned threads, unsigned rounds);
void run_lifetimes(unsigned threads, unsigned rounds);
void run_texts(unsigned threads, unsigned rounds);
void run_bursts(unsigned threads, unsigned rounds);
void run_large(unsigned threads, unsigned rounds);
void run_phases(unsigned threads, unsigned rounds);

#endif
