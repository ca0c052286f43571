/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MALLOC_THREADED_H
#define BENCH_MALLOC_THREADED_H

#include "patterns.h"

void run_server(unsigned threads, unsigned rounds);
void run_hand_over(unsigned threads, unsigned rounds);
void run_shared(unsigned threads, unsigned rounds);
void run_short_threads(unsigned threads, unsigned rounds);
void run_one_word(unsigned threads, unsigned rounds);
void run_apart(unsigned threads, unsigned rounds);

#endif
