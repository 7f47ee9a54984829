#!/usr/bin/env bash
# Runs every benchmark program of a build, one after the other, on an otherwise idle machine.
# Usage: tools/bench.sh BUILD_FOLDER [Google Benchmark's flags]
set -euo pipefail
build=$1
shift
for program in "$build"/bin/bench_*; do
  "$program" "$@"
done
