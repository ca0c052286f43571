#!/usr/bin/env bash
# Runs a command and expects exactly this status, and output of which a line matches the pattern.
#
#   bare_platform.sh <status> <pattern> <command>...
#
# SPDX-License-Identifier: MIT
set -euo pipefail

expected=$1 pattern=$2
shift 2

status=0
output=$("$@" 2>&1) || status=$?
echo "$output"
if ((status != expected)); then
    echo "status $status instead of $expected" >&2
    exit 1
fi
if ! grep -q -e "$pattern" <<<"$output"; then
    echo "no line matches: $pattern" >&2
    exit 1
fi
