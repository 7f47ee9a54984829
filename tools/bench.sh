#!/usr/bin/env bash
# Runs every benchmark program of a build, one after the other, on an otherwise idle machine. Each prints its context
# first. The first wrong answer ends it.
# Usage: tools/bench.sh BUILD_FOLDER [Google Benchmark's flags]
# --benchmark_out names a file for one program only: each would write over that of the one before.
set -euo pipefail
build=${1:?usage: tools/bench.sh BUILD_FOLDER [flags of Google Benchmark]}
shift
shopt -s nullglob
programs=("$build"/bin/bench_*)
if ((${#programs[@]} == 0)); then
  echo "tools/bench.sh: no programs in $build/bin; build the target all_bench" >&2
  exit 2
fi
for program in "${programs[@]}"; do
  "$program" "$@"
done
