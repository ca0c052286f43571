#!/usr/bin/env bash
# Options from the environment: what they print, and that a bad one is reported once and ignored.
# usage: options.sh LIBRARY
# SPDX-License-Identifier: MIT
set -euo pipefail
library=$1

# The standard error of a program under the library, with these variables.
under() {
    env "$@" LD_PRELOAD="$library" "$(command -v true)" 2>&1
}

expect() { # expect WHAT IS WANTED
    if [[ $2 != "$3" ]]; then
        printf '%s: got "%s", not "%s"\n' "$1" "$2" "$3" >&2
        exit 1
    fi
}

expect "nothing" "$(under A=b)" ""
for bad in KNOLL_DECAY_MS=abc KNOLL_DECAY_MS= KNOLL_DECAY_MS=-1 KNOLL_DECAY_MS=99999999999999999999 KNOLL_STATS=2 \
    KNOLL_THP=yes KNOLL_STATS_SIGNAL=0 KNOLL_STATS_SIGNAL=1000 KNOLL_MAP_BYTES=1 KNOLL_SPAN_BYTES=4096; do
    expect "$bad" "$(under "$bad")" "knoll: $bad is ignored: not a number in its range"
done
for bad in KNOLL_STATS_SIGNAL=9 KNOLL_STATS_SIGNAL=19 KNOLL_STATS_SIGNAL=33; do
    expect "$bad" "$(under "$bad")" "knoll: $bad is ignored: no signal that a program can catch"
done
for good in KNOLL_DECAY_MS=0 KNOLL_DECAY_MS=5000 KNOLL_STATS=0 KNOLL_THP=1 KNOLL_STATS_SIGNAL=10 KNOLL_MAP_BYTES=65536 \
    KNOLL_SPAN_BYTES=1048576; do
    expect "$good" "$(under "$good")" ""
done
stats=$(under KNOLL_STATS=1)
expect "statistics' first line" "${stats%%,*}" "knoll 0.1.0"
[[ $stats == *"bytes used "* && $stats == *"allocations "* ]]

# A program that has closed the standard error before it ends, as sort does.
[[ $(KNOLL_STATS=1 LD_PRELOAD="$library" sort /dev/null 2>&1) == *"bytes used "* ]]

reserved() { under "$1" KNOLL_STATS=1 | sed -n 's/^  bytes reserved *//p'; }
expect "a first span of 16 MiB" "$(reserved KNOLL_SPAN_BYTES=16777216)" 16777216

# Statistics when a signal comes.
stats=$(KNOLL_STATS_SIGNAL=10 LD_PRELOAD="$library" bash -c 'kill -10 $$; echo went on' 2>&1)
[[ $stats == *"bytes used "* && $stats == *"went on"* ]]
